"""The DAG `import_models`: many packages, each by a run of its own of `import_model`.

Wiring only. Runs and not a mapped group of the same tasks: a run is what a version belongs to, what is swept, cleared
and tried again; a batch is nothing that an import must know of. The tasks that wait are deferred: they hold no worker.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, TriggerRule

from airlock.operators.arrivals import arrivals
from airlock.operators.batch import (
    ChooseImportsOperator,
    PlanBatchOperator,
    ReportBatchOperator,
    batch_concurrency,
)
from airlock.operators.batch_form import BATCH_FORM, BATCH_FORM_DOC

with DAG(
    dag_id="import_models",
    dag_display_name="Import many models",
    description="Import the packages of a list, a prefix or a manifest.",
    doc_md=BATCH_FORM_DOC,
    schedule=arrivals(),
    catchup=False,
    params=BATCH_FORM,
    tags=["airlock"],
    default_args={
        "retries": 2,
        "retry_delay": timedelta(seconds=5),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=5),
        "execution_timeout": timedelta(hours=1),
    },
) as dag:
    plan = PlanBatchOperator(task_id="plan")
    chosen = ChooseImportsOperator(task_id="choose", plan=plan.output)
    imports = TriggerDagRunOperator.partial(
        task_id="import",
        trigger_dag_id="import_model",
        wait_for_completion=True,
        deferrable=True,
        poke_interval=5,
        # A task that is cleared imports its package again. By itself it is not tried again: the import has tries.
        reset_dag_run=True,
        retries=0,
        execution_timeout=timedelta(days=2),
        max_active_tis_per_dagrun=batch_concurrency(),
        map_index_template="{{ task.conf['model_name'] }}",
    ).expand_kwargs(chosen.output)
    report = ReportBatchOperator(task_id="report", plan=plan.output, trigger_rule=TriggerRule.ALL_DONE)

    plan >> chosen >> imports >> report
    dag.add_result(report.output)
