"""Links from tasks to pages. Imports no operator: Airflow would keep it cached."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

#: Where Airflow shows the pages, in its frame and with its navigation beside them.
_PAGES = "/plugin/airlock-models/airlock"


def _page_of(page: str, ti_key: TaskInstanceKey) -> str:
    """The address of a page about a run, without host: whoever follows it is in Airflow already, by whatever name."""
    from airflow.sdk.configuration import conf

    under = urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")
    return f"{under}{_PAGES}/{page}/{quote(ti_key.dag_id, safe='')}/{quote(ti_key.run_id, safe='')}"


class ModelLink(BaseOperatorLink):
    """From a task of an import to the version that its run imports."""

    name = "Model"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """The address of the page that knows a run's version."""
        return _page_of("runs", ti_key)


class SweepLink(BaseOperatorLink):
    """From a task of a sweep to its summary."""

    name = "Summary"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """The address of the summary's page."""
        return _page_of("reports", ti_key)


class ReportLink(BaseOperatorLink):
    """From a task of an import to the report of what was found in its package."""

    name = "Validation report"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """The address of the report's page."""
        return _page_of("reports", ti_key)
