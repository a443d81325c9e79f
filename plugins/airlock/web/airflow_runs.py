"""Airflow's own runs, as the pages need them: start one, and look at what one was given."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Annotated, Any, Protocol

from fastapi import Depends

from airlock.domain.version import RunRef
from airlock.errors import NotStarted

REVALIDATE_DAG_ID = "revalidate_models"


class Runs(Protocol):
    """The runs of DAGs in this installation. Who may start them is asked before."""

    def has_dag(self, dag_id: str) -> bool:
        """Whether the installation has a DAG of this name that can be started."""

    def start(self, dag_id: str, conf: Mapping[str, Any], actor: str) -> RunRef:
        """Start a run in a user's name.

        Raises:
            NotStarted: There is no such DAG, its file is broken, or it refuses the conf.
        """

    def conf_of(self, run: RunRef) -> dict[str, Any] | None:
        """What a run was given; None where Airflow no longer knows the run."""

    def is_under_way(self, run: RunRef) -> bool:
        """Whether a run has not ended; False where there is none."""


class AirflowRuns:
    """The runs in Airflow's own database, which the API server may open."""

    def has_dag(self, dag_id: str) -> bool:
        """Whether Airflow has read a DAG of this name, and its file still is there and whole."""
        from airflow.models.dag import DagModel

        found = DagModel.get_current(dag_id)
        return found is not None and not found.is_stale and not found.has_import_errors

    def start(self, dag_id: str, conf: Mapping[str, Any], actor: str) -> RunRef:
        """Start a run in a user's name."""
        from airflow.api.common.trigger_dag import trigger_dag
        from airflow.exceptions import AirflowException
        from airflow.utils.types import DagRunTriggeredByType

        if not self.has_dag(dag_id):
            raise NotStarted(
                "WEB010", f"The DAG {dag_id} is not there, or its file is broken.", "Look at Airflow's Dags."
            )
        try:
            run = trigger_dag(
                dag_id, conf=dict(conf), triggered_by=DagRunTriggeredByType.UI, triggering_user_name=actor
            )
        # ValueError: Airflow's word for a conf that its form would not take.
        except (AirflowException, ValueError) as error:
            raise NotStarted("WEB011", f"The DAG {dag_id} was not started: {error}", "Change what it says.") from error
        return RunRef(dag_id=dag_id, run_id=run.run_id)

    def conf_of(self, run: RunRef) -> dict[str, Any] | None:
        """What a run was given."""
        from airflow.models.dagrun import DagRun

        found = DagRun.find(dag_id=run.dag_id, run_id=run.run_id)
        return dict(found[0].conf or {}) if found else None

    def is_under_way(self, run: RunRef) -> bool:
        """Whether a run has not ended."""
        from airflow.models.dagrun import DagRun
        from airflow.utils.state import State

        found = DagRun.find(dag_id=run.dag_id, run_id=run.run_id)
        return bool(found) and found[0].state not in State.finished_dr_states


@functools.cache
def runs() -> Runs:
    """The runs of this installation."""
    return AirflowRuns()


WiredRuns = Annotated[Runs, Depends(runs)]
