"""The one file that Airflow's plugin loader runs: the pages, and how they are reached.

It imports no operator: the scheduler would keep them cached, and edits would need a restart.
"""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

from airlock.operators.links import ReportLink
from airlock.web.app import URL_PREFIX, create_app


class AirlockPlugin(AirflowPlugin):
    """The Models pages inside Airflow."""

    name = "airlock"
    fastapi_apps: ClassVar[list[dict[str, Any]]] = [
        {"name": "Airlock", "app": create_app(), "url_prefix": URL_PREFIX},
    ]
    #: The operators carry the link; here it is made known to whoever reads their tasks.
    operator_extra_links: ClassVar[list[Any]] = [ReportLink()]
    external_views: ClassVar[list[dict[str, Any]]] = [
        {
            "name": "Models",
            "href": f"{URL_PREFIX}/",
            "destination": "nav",
            "url_route": "airlock-models",
            "nav_top_level": True,
        },
        # A tab of every run: Airflow cannot be told that only runs of some DAGs have one.
        {
            "name": "Model",
            "href": f"{URL_PREFIX}/runs/{{DAG_ID}}/{{RUN_ID}}",
            "destination": "dag_run",
            "url_route": "airlock-model",
        },
    ]
