"""The assets that registered versions update: what anybody's deployment DAG can be scheduled on.

    with DAG(dag_id="deploy", schedule=[MODEL_VERSIONS]): …           # every version
    with DAG(dag_id="deploy_iris", schedule=[model_asset("iris")]): … # those of one model

Each event's extra is the version's record, the same that the import's run gives as its result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.sdk import Asset, AssetAlias

if TYPE_CHECKING:
    from airflow.sdk import Context

# Names without addresses: for an address Airflow looks through its providers, which takes a quarter of a second.
MODEL_VERSIONS = Asset(name="airlock_model_versions", group="airlock")
#: Stands for the assets of single models, which are known only when a version is registered.
MODELS = AssetAlias(name="airlock_models", group="airlock")


def model_asset(model_name: str) -> Asset:
    """The asset of one model: updated by each of its versions."""
    # Model names may be Chinese, and those of assets may not.
    return Asset(name=f"airlock_model_{quote(model_name)}", group="airlock")


def tell_of_version(record: Mapping[str, Any], context: Context) -> None:
    """Add a version's record to the events of the task's assets.

    Args:
        record: The version's record.
        context: The task's; a task that does not declare the assets tells nobody.
    """
    events = context["outlet_events"]
    declared = {outlet.name for outlet in context["task"].outlets if isinstance(outlet, (Asset, AssetAlias))}
    if MODEL_VERSIONS.name in declared:
        events[MODEL_VERSIONS].extra = dict(record)
    if MODELS.name in declared:
        events[MODELS].add(model_asset(str(record["model_name"])), extra=dict(record))
