"""Runs of Airflow's, as pages and API start them and look at them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from airlock.domain.version import RunRef


class DagRuns(Protocol):
    """Runs of this installation's DAGs, started in the name of whoever asks."""

    async def start(self, dag_id: str, conf: Mapping[str, Any], credentials: Mapping[str, str]) -> RunRef:
        """Start a run.

        Args:
            dag_id: The DAG.
            conf: What it is given; for `import_model` the import form.
            credentials: The caller's own headers of sign-in: it is Airflow that decides by them, as for any caller.

        Raises:
            FormRefused: Airflow's check of `conf` does not take it.
            RunRefused: Airflow does not start it.
        """

    def has_dag(self, dag_id: str) -> bool:
        """Whether the installation has a DAG of this name that can be started."""

    def conf_of(self, run: RunRef) -> dict[str, Any] | None:
        """What a run was given; None where Airflow no longer knows the run."""

    def is_under_way(self, run: RunRef) -> bool:
        """Whether a run has not ended; False where there is none."""
