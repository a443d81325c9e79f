"""Runs of DAGs, started through Airflow's own REST API inside the process that serves it.

The request never leaves the process and carries the caller's own sign-in, so that Airflow's auth manager decides about
it as about any other, checks the form, and records who started the run. A session of our own on Airflow's database
would decide nothing. What is only looked at comes from that database: a page that waits for a nested request keeps a
thread while the request needs another one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx

from airlock.domain.findings import shown
from airlock.domain.version import RunRef
from airlock.errors import FormRefused, RunRefused

PATH = "/api/v2/dags/{dag_id}/dagRuns"
#: What a caller is known by: a token of their own, or the session's cookie. By the last Airflow tells whether a page or
#: a program started the run.
PASSED_ON = ("authorization", "cookie", "referer")
MAX_REASON_CHARACTERS = 1000


class AirflowRuns:
    """Runs in this Airflow; in its API server only.

    Args:
        app: The ASGI application; Airflow's own, as it serves, where none is given.
    """

    def __init__(self, app: Any = None) -> None:
        self._app = app

    async def start(self, dag_id: str, conf: Mapping[str, Any], credentials: Mapping[str, str]) -> RunRef:
        """Start a run in the name of whoever asks."""
        headers = {name: credentials[name] for name in PASSED_ON if name in credentials}
        transport = httpx.ASGITransport(self._application(), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://airflow") as client:
            body = {"logical_date": None, "conf": dict(conf)}
            answer = await client.post(PATH.format(dag_id=dag_id), content=json.dumps(body), headers={
                **headers, "content-type": "application/json",
            })  # fmt: skip
        # A broken DAG is answered like a broken form.
        if answer.status_code == httpx.codes.BAD_REQUEST and await asyncio.to_thread(self.has_dag, dag_id):
            # The field and what is wrong with it; the schema, and all that was sent, follow on more lines.
            reason = shown(_reason(answer).partition("\n")[0], MAX_REASON_CHARACTERS)
            told = f"Airflow does not take the form: {reason}."
            raise FormRefused("RUN003", told, f"Correct it by the form of the DAG {dag_id}.")
        if answer.status_code != httpx.codes.OK:
            reason = shown(_reason(answer), MAX_REASON_CHARACTERS)
            raise RunRefused(
                "RUN002",
                f"Airflow does not start a run of {dag_id} (HTTP {answer.status_code}): {reason}",
                "Look whether the DAG is there, active and allowed to you.",
            )
        return RunRef(dag_id=dag_id, run_id=answer.json()["dag_run_id"])

    def has_dag(self, dag_id: str) -> bool:
        """Whether Airflow has read a DAG of this name, and its file still is there and whole."""
        from airflow.models.dag import DagModel

        found = DagModel.get_current(dag_id)
        return found is not None and not found.is_stale and not found.has_import_errors

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

    def _application(self) -> Any:
        if self._app is None:
            # The module that the server was started with: importing it again gives the same application.
            from airflow.api_fastapi.main import app

            self._app = app
        return self._app


def _reason(answer: httpx.Response) -> str:
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return answer.text
    return detail if isinstance(detail, str) else json.dumps(detail, ensure_ascii=False)
