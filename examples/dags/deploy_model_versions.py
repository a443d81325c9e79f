"""An example: a deployment that starts by itself whenever Airlock has registered a version.

Copy it into a DAG folder and replace `deploy`. Schedule it on `model_asset("iris")` instead for one model alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import DAG, task

from airlock.operators.assets import MODEL_VERSIONS

with DAG(
    dag_id="deploy_model_versions",
    description="What a deployment gets to know of every version that Airlock registers.",
    schedule=[MODEL_VERSIONS],
    catchup=False,
    tags=["airlock", "example"],
) as dag:

    @task
    def choose(triggering_asset_events: Mapping[Any, Any] | None = None) -> list[dict[str, Any]]:
        """Give the records of the versions for real-time use; several may have come since the last run."""
        events = (triggering_asset_events or {}).get(MODEL_VERSIONS, [])
        records = [dict(event.extra) for event in events]
        return [record for record in records if "real-time" in record["install_type"]]

    @task(map_index_template="{{ model }}")
    def deploy(record: dict[str, Any]) -> str:
        """Start the image with the package mounted read-only; here it is only said."""
        from airflow.sdk import get_current_context

        model = f"{record['model_name']} {record['model_version']}"
        get_current_context()["model"] = model  # type: ignore[typeddict-unknown-key]
        return f"{model}: {record['image']} with {record['package_digest']}"

    deploy.expand(record=choose())
