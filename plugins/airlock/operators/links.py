"""Links from tasks to pages. Imports no operator, so that the plugin may register them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

#: Where the pages are mounted in Airflow.
URL_PREFIX = "/airlock"


class ReportLink(BaseOperatorLink):
    """From a task of an import to the report of what was found in its package."""

    name = "Validation report"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """The address of the report's page."""
        return f"{URL_PREFIX}/reports/{quote(ti_key.dag_id, safe='')}/{quote(ti_key.run_id, safe='')}"
