"""One run of `import_model`, followed by REST from its trigger to its end."""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime
from typing import Any

from scripts.airflow_api import ENDED, AirflowApi, ApiError, moment
from scripts.progress import Progress

DAG_ID = "import_model"
# The task after which the version is Normal.
LAST_STEP = "register"
OUTCOMES = {"success": "done", "failed": "FAILED", "skipped": "skipped"}


class ImportRun:
    """One import.

    Attributes:
        model_name: The model's name.
        engine: The engine that the package was made for.
        run_id: The run's id.
        is_finished: Whether the run has ended.
        record: The registration record; None when the import failed or is not finished.
        error: Why it failed, empty otherwise.
        seconds: From the trigger to the end of registration, or of the run when it failed.
    """

    def __init__(self, api: AirflowApi, progress: Progress, model_name: str, engine: str, conf: dict[str, Any]) -> None:
        """Triggers the run."""
        self.model_name = model_name
        self.engine = engine
        self.is_finished = False
        self.record: dict[str, Any] | None = None
        self.error = ""
        self.seconds = 0.0
        self._api = api
        self._progress = progress
        self._ended: set[str] = set()
        self._tries: dict[str, int] = {}
        self._triggered = datetime.now(UTC)
        stamp = self._triggered.strftime("%Y%m%dT%H%M%S")
        self.run_id = api.trigger(DAG_ID, conf, f"demo-{model_name}-{stamp}")

    @property
    def is_normal(self) -> bool:
        """Whether the version is registered and in order."""
        return self.record is not None and self.record["status"] == "Normal"

    @property
    def url(self) -> str:
        """The run's page."""
        return f"{self._api.url}/dags/{DAG_ID}/runs/{self.run_id}"

    def follow(self) -> None:
        """Asks once how it stands and shows what is new."""
        state = self._api.run_of(DAG_ID, self.run_id)["state"]
        # After the run's state, so that the tasks of a finished run are all final.
        tasks = self._api.task_instances(DAG_ID, self.run_id)
        for task in sorted(tasks, key=lambda task: task["start_date"] or "9"):
            self._show(task)
        if state in ENDED:
            self._finish(state, tasks)

    def cancel(self) -> None:
        """Ends the run; its teardown decides the version and removes what is left of it."""
        with contextlib.suppress(ApiError, OSError):
            self._api.fail_run(DAG_ID, self.run_id)

    def _show(self, task: dict[str, Any]) -> None:
        name, state = task["task_id"], task["state"]
        if name in self._ended:
            return
        tries = task["try_number"] or 0
        if state == "skipped" and task["start_date"] is None:
            # Never begun, because the run was cancelled.
            self._ended.add(name)
            return
        if state in ("up_for_retry", "running") and tries > self._tries.get(name, 1):
            self._progress.end(self.model_name, name, f"failed, try {tries} follows")
        self._tries[name] = max(tries, self._tries.get(name, 1))
        if state in OUTCOMES:
            self._ended.add(name)
            took = None if state == "skipped" else task["duration"]
            self._progress.end(self.model_name, name, OUTCOMES[state], took)
        elif state == "running":
            self._progress.begin(self.model_name, name)

    def _finish(self, state: str, tasks: list[dict[str, Any]]) -> None:
        self.is_finished = True
        end = next((task["end_date"] for task in tasks if task["task_id"] == LAST_STEP and task["end_date"]), None)
        ended = moment(end) if end else datetime.now(UTC)
        self.seconds = (ended - self._triggered).total_seconds()
        if state == "success":
            self.record = self._api.xcom(DAG_ID, self.run_id, LAST_STEP)
        if not self.is_normal:
            failed = [task for task in tasks if task["state"] == "failed"]
            self.error = "\n".join(self._reason(task) for task in failed) or f"the run ended as {state}"

    def _reason(self, task: dict[str, Any]) -> str:
        """Returns what the failed task said: its last error record, else the exception that ended it."""
        try:
            lines = self._api.log_lines(DAG_ID, self.run_id, task["task_id"], task["try_number"])
        except (ApiError, OSError) as error:
            return f"{task['task_id']}: its log cannot be read ({error})"
        for line in reversed(lines):
            for detail in reversed(line.get("error_detail") or []):
                if detail.get("exc_value"):
                    return f"{task['task_id']}: {detail['exc_value']}"
            if line.get("level") in ("error", "critical"):
                return f"{task['task_id']}: {line['event']}"
        return f"{task['task_id']} failed; see {self.url}"


def follow_until_finished(runs: list[ImportRun], timeout_s: float, stop_waiting: Any) -> None:
    """Follows runs that are being cancelled until all have ended.

    Args:
        runs: The runs.
        timeout_s: How long at most.
        stop_waiting: Called without arguments; a true answer ends the waiting.
    """
    deadline = time.monotonic() + timeout_s
    while not all(run.is_finished for run in runs):
        if stop_waiting() or time.monotonic() > deadline:
            return
        for run in runs:
            if not run.is_finished:
                with contextlib.suppress(ApiError, OSError):
                    run.follow()
        time.sleep(0.3)
