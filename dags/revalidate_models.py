"""The DAG `revalidate_models`: registered versions that are due are checked, tested and judged again.

Wiring only. A batch is a mapped group of tasks: versions to be tested come in small batches, those that are only
checked in large ones, so that a thousand unchanged versions cost a handful of tasks and no container.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, TriggerRule, task_group

from airlock.operators.placement import placement
from airlock.operators.sweep import (
    TO_TEST,
    CheckVersionsOperator,
    JudgeVersionsOperator,
    PlanSweepOperator,
    ReportSweepOperator,
    RetestVersionsOperator,
    revalidation_schedule,
)
from airlock.operators.sweep_form import SWEEP_FORM, SWEEP_FORM_DOC

with DAG(
    dag_id="revalidate_models",
    dag_display_name="Look at registered models again",
    description="Check, test and judge the versions that are due.",
    doc_md=SWEEP_FORM_DOC,
    schedule=revalidation_schedule(),
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    catchup=False,
    params=SWEEP_FORM,
    tags=["airlock"],
    default_args={
        "retries": 2,
        "retry_delay": timedelta(seconds=5),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=5),
        "execution_timeout": timedelta(hours=6),
    },
) as dag:
    plan = PlanSweepOperator(task_id="plan")

    @task_group(group_id="batch")
    def look_again(batch):
        """One batch."""
        checked = CheckVersionsOperator(task_id="check", batch=batch)
        to_test = checked.output[TO_TEST]
        tests = [
            RetestVersionsOperator(task_id=f"test_{device}", device=device, to_test=to_test, **placement(device))
            for device in ("cpu", "gpu", "ascend")
        ]
        judged = JudgeVersionsOperator(
            task_id="judge",
            check=checked.task_id,
            tests={test.device: test.task_id for test in tests},
            trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
        )
        checked >> tests >> judged
        return [checked.output, judged.output]

    # What every batch's tasks give, which is also what the report waits for.
    batches = look_again.expand(batch=plan.output)
    check, judge = (given.operator for given in batches)
    report = ReportSweepOperator(
        task_id="report",
        plan=plan.output["plan"],
        check=check.task_id,
        judge=judge.task_id,
        tests=judge.tests,
        trigger_rule=TriggerRule.ALL_DONE,
    )
    batches >> report
    dag.add_result(report.output)
