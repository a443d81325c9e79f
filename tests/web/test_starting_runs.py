"""What becomes of Airflow's answer where a run is asked for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException, Request

from airlock.adapters.airflow_runs import AirflowRuns
from airlock.errors import FormRefused, RunRefused

DUMP = "Invalid input for param labels: None is not of type 'array'\n\nFailed validating 'type' in schema:\n    {}"


def answering(status: int, detail: Any, asked: list[Any] | None = None) -> AirflowRuns:
    """Runs of an Airflow that gives this answer, and has read the DAG `import_model`."""
    app = FastAPI()

    @app.post("/api/v2/dags/{dag_id}/dagRuns")
    async def trigger(request: Request, dag_id: str) -> Any:
        if asked is not None:
            asked.append((dag_id, await request.json(), request.headers.get("authorization")))
        if status == 200:
            return {"dag_run_id": "manual__1"}
        raise HTTPException(status, detail)

    class Runs(AirflowRuns):
        def has_dag(self, dag_id: str) -> bool:
            return dag_id == "import_model"

    return Runs(app)


def start(runs: AirflowRuns, dag_id: str = "import_model") -> Any:
    return asyncio.run(runs.start(dag_id, {"labels": None}, {"authorization": "Bearer word", "host": "x"}))


def test_a_run_is_asked_for_with_the_callers_own_sign_in() -> None:
    asked: list[Any] = []
    run = start(answering(200, None, asked))
    assert (run.dag_id, run.run_id) == ("import_model", "manual__1")
    assert asked == [("import_model", {"logical_date": None, "conf": {"labels": None}}, "Bearer word")]


def test_a_field_that_airflow_does_not_take_is_told_without_its_schema() -> None:
    with pytest.raises(FormRefused, match=r"RUN003.*param labels: None is not of type 'array'\. Correct") as caught:
        start(answering(400, DUMP))
    assert "schema" not in str(caught.value)


@pytest.mark.parametrize("status,dag_id", [(400, "broken"), (403, "import_model"), (404, "import_model")])
def test_a_run_that_is_not_started_for_another_reason_is_no_matter_of_the_form(status: int, dag_id: str) -> None:
    with pytest.raises(RunRefused, match=rf"RUN002.*HTTP {status}.*It has import errors") as caught:
        start(answering(status, "It has import errors"), dag_id)
    assert not isinstance(caught.value, FormRefused)
