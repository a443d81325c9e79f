"""The DAG `import_model`: one model package, from object storage to a registered, tested version.

Wiring only: no input or output, no logic. The form is in `airlock.operators.form`.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, TriggerRule

from airlock.operators.approve import ApproveOperator
from airlock.operators.assets import MODEL_VERSIONS, MODELS
from airlock.operators.form import IMPORT_FORM, IMPORT_FORM_DOC
from airlock.operators.placement import placement
from airlock.operators.steps import (
    APPROVAL_TASK,
    AcceptOperator,
    BuildOperator,
    CloseOperator,
    DetectOperator,
    FetchOperator,
    RegisterOperator,
    SmokeOperator,
    ValidateOperator,
)

with DAG(
    dag_id="import_model",
    dag_display_name="Import a model",
    description="Fetch, check, build, test and register one model package.",
    doc_md=IMPORT_FORM_DOC,
    schedule=None,
    catchup=False,
    params=IMPORT_FORM,
    tags=["airlock"],
    default_args={
        "retries": 2,
        "retry_delay": timedelta(seconds=5),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=5),
        "execution_timeout": timedelta(minutes=30),
    },
) as dag:
    accepted = AcceptOperator(task_id="accept")
    # Steps bound their own work; these bounds are for what no step foresaw.
    package = FetchOperator(task_id="fetch", execution_timeout=timedelta(hours=6), accepted=accepted.output)
    validated = ValidateOperator(task_id="validate", accepted=accepted.output, package=package.output)
    detection = DetectOperator(
        task_id="detect", accepted=accepted.output, package=package.output, validated=validated.output
    )
    known = {
        "accepted": accepted.output,
        "package": package.output,
        "validated": validated.output,
        "detection": detection.output,
    }
    image = BuildOperator(task_id="build", execution_timeout=timedelta(hours=3), **known)
    tests = [
        SmokeOperator(
            task_id=f"smoke_{device}",
            device=device,
            execution_timeout=timedelta(hours=2),
            image=image.output,
            **placement(device),
            **known,
        )
        for device in ("cpu", "gpu", "ascend")
    ]
    reports = [test.output for test in tests]
    approved = ApproveOperator(
        task_id=APPROVAL_TASK,
        accepted=accepted.output,
        detection=detection.output,
        reports=reports,
        trigger_rule=TriggerRule.NONE_FAILED,
        # It waits for a person, not for work.
        execution_timeout=None,
        response_timeout=timedelta(days=14),
    )
    version = RegisterOperator(
        task_id="register",
        image=image.output,
        reports=reports,
        trigger_rule=TriggerRule.NONE_FAILED,
        outlets=[MODEL_VERSIONS, MODELS],
        **known,
    )
    closing = CloseOperator(task_id="close").as_teardown()

    accepted >> package >> validated >> detection >> image >> tests >> approved >> version >> closing
    dag.add_result(version.output)
