"""A small client of Airflow's REST API, with the standard library only."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime
from typing import Any

from scripts.local_state import LocalError

TIMEOUT_S = 60.0
TRIES = 3
#: States of a run that do not change any more.
ENDED = ("success", "failed")
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def moment(text: str) -> datetime:
    """Returns a point in time as Airflow writes it."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


class ApiError(LocalError):
    """Airflow refused a request.

    Attributes:
        status: The HTTP status.
        detail: What Airflow said.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail

    def __str__(self) -> str:
        return f"HTTP {self.status}: {self.detail}"


class AirflowApi:
    """Speaks to one Airflow as one user."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url
        self._credentials = {"username": user, "password": password}
        self._token = ""
        # Never by way of a proxy that the environment may name: it is on this machine.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def request(self, method: str, path: str, body: Any = None, query: dict[str, Any] | None = None) -> Any:
        """Sends one request, signed in, and returns the JSON of the answer (None when it is empty).

        Raises:
            ApiError: The answer's status is not 2xx.
            OSError: No answer.
        """
        suffix = "?" + urllib.parse.urlencode(query, doseq=True) if query else ""
        tries = TRIES
        while True:
            tries -= 1
            if not self._token:
                self._sign_in()
            try:
                return self._send(method, path + suffix, body)
            except ApiError as error:
                # An old token, or a database that was busy for too long.
                if tries == 0 or (error.status != 401 and error.status < 500):
                    raise
            self._token = ""
            time.sleep(0.5)

    def health(self) -> dict[str, dict[str, Any]]:
        """Returns Airflow's health report.

        It needs no sign-in; with one, no other server than the own can answer.
        """
        if not self._token:
            self._sign_in()
        found: dict[str, dict[str, Any]] = self._send("GET", "/api/v2/monitor/health", None)
        return found

    def warm_up(self) -> None:
        """Makes the API server build the part that tasks talk to, which it would do, for seconds, at the first task."""
        self._send("GET", "/execution/health", None)

    def wait_for_dag(self, dag_id: str, timeout_s: float, since: datetime = LONG_AGO) -> None:
        """Waits until a DAG can be triggered.

        Args:
            dag_id: Its id.
            timeout_s: How long at most.
            since: When Airflow was started. What it knows of the DAG from an earlier start is not enough: the file may
                have changed, and until it is read again a trigger may be refused.

        Raises:
            ApiError: It is not there when the time is over, or its file cannot be imported; the detail says why.
        """
        deadline = time.monotonic() + timeout_s
        while not self._is_ready(dag_id, since):
            found = self.request("GET", "/api/v2/importErrors")["import_errors"]
            errors = [error for error in found if moment(error["timestamp"]) >= since]
            if errors or time.monotonic() > deadline:
                texts = "\n".join(f"{error['filename']}:\n{error['stack_trace']}" for error in errors)
                raise ApiError(404, f"there is no DAG {dag_id}\n{texts}".rstrip())
            time.sleep(0.2)

    def _is_ready(self, dag_id: str, since: datetime) -> bool:
        try:
            dag = self.request("GET", f"/api/v2/dags/{dag_id}/details")
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        parsed = dag["last_parsed_time"]
        return not dag["is_stale"] and parsed is not None and moment(parsed) >= since

    def make_pool(self, name: str, slots: int, description: str) -> None:
        """Makes a pool of tasks; one that is there stays as it is."""
        body = {"name": name, "slots": slots, "description": description, "include_deferred": False}
        try:
            self.request("POST", "/api/v2/pools", body)
        except ApiError as error:
            if error.status != 409:
                raise

    def trigger(self, dag_id: str, conf: dict[str, Any], run_id: str | None = None) -> str:
        """Starts a run of a DAG and returns its id."""
        body: dict[str, Any] = {"logical_date": None, "conf": conf}
        if run_id:
            body["dag_run_id"] = run_id
        try:
            run: dict[str, Any] = self.request("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)
        except ApiError as error:
            # The answer to an earlier try was an error, although the run was made.
            if error.status == 409 and run_id:
                return run_id
            raise
        return str(run["dag_run_id"])

    def run_of(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Returns a run: its state, start and end."""
        found: dict[str, Any] = self.request(
            "GET", f"/api/v2/dags/{dag_id}/dagRuns/{urllib.parse.quote(run_id, safe='')}"
        )
        return found

    def wait_for_run(self, dag_id: str, run_id: str, timeout_s: float) -> str:
        """Waits until a run has ended, and returns its state.

        Args:
            dag_id: The DAG's id.
            run_id: The run's.
            timeout_s: How long at most.

        Raises:
            TimeoutError: It has not; the message says how far its tasks are.
        """
        deadline = time.monotonic() + timeout_s
        while (state := str(self.run_of(dag_id, run_id)["state"])) not in ENDED:
            if time.monotonic() > deadline:
                tasks = ", ".join(
                    f"{task['task_id']} {task['state'] or 'not begun'}" for task in self.task_instances(dag_id, run_id)
                )
                raise TimeoutError(f"{dag_id} {run_id} is {state} after {timeout_s:.0f} s: {tasks}")
            time.sleep(0.5)
        return state

    def fail_run(self, dag_id: str, run_id: str) -> None:
        """Ends a run: its tasks are stopped, and its teardown cleans up."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{urllib.parse.quote(run_id, safe='')}"
        self.request("PATCH", path, {"state": "failed"}, {"update_mask": "state"})

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Returns the tasks of a run: states, start and end times, try numbers."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{urllib.parse.quote(run_id, safe='')}/taskInstances"
        found: list[dict[str, Any]] = self.request("GET", path, query={"limit": 100})["task_instances"]
        return found

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """Returns a value that a task handed on, None when there is none."""
        run = urllib.parse.quote(run_id, safe="")
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run}/taskInstances/{task_id}/xcomEntries/{key}"
        try:
            value = self.request("GET", path)["value"]
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        # Older values come as JSON in a string.
        if isinstance(value, str):
            try:
                return json.loads(value)
            except ValueError:
                return value
        return value

    def log_lines(self, dag_id: str, run_id: str, task_id: str, try_number: int) -> list[dict[str, Any]]:
        """Returns a task's log, one record a line."""
        run = urllib.parse.quote(run_id, safe="")
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run}/taskInstances/{task_id}/logs/{try_number}"
        content = self.request("GET", path)["content"]
        return [entry if isinstance(entry, dict) else {"event": str(entry)} for entry in content]

    def _sign_in(self) -> None:
        self._token = str(self._send("POST", "/auth/token", self._credentials)["access_token"])

    def _send(self, method: str, path: str, body: Any) -> Any:
        request = urllib.request.Request(self.url + path, method=method)
        request.add_header("Accept", "application/json")
        if self._token and path != "/auth/token":
            request.add_header("Authorization", f"Bearer {self._token}")
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            with self._opener.open(request, data, timeout=TIMEOUT_S) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                said = error.read().decode("utf-8", "replace")
            try:
                detail = json.loads(said)["detail"]
            except (ValueError, KeyError, TypeError):
                detail = said
            raise ApiError(error.code, detail if isinstance(detail, str) else json.dumps(detail)) from error
        return json.loads(text) if text else None
