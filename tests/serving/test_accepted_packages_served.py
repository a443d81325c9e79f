"""The packages below tests/packages/accept, served by the Python of their runtime, and asked."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from served import Answer, Server, serve
from serving_interpreters import ROOT, Interpreter, prepare

from airlock.adapters.catalogue_files import load_catalogue
from airlock.domain.catalogue import Runtime
from airlock.domain.config import parse_config
from tests.at_once import ended

FOLDER = ROOT / "tests" / "packages" / "accept"
CASES = sorted(path.parent for path in FOLDER.glob("*/expected.json"))
LOADING_S = 15
START_S = 60
STOP_S = 60


def told(case: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((case / "expected.json").read_text(encoding="utf-8"))
    return value


HERE = [case for case in CASES if "served" not in told(case)]
CONTAINED = [case for case in CASES if told(case).get("served") == "in a container"]


@pytest.fixture(scope="module")
def runtimes() -> Any:
    """Case → the runtime that its configuration asks for."""
    catalogue = load_catalogue(ROOT / "include")
    schema = json.loads((ROOT / "include/specs/config.schema.json").read_text(encoding="utf-8"))

    def find(case: Path) -> Runtime:
        config, findings = parse_config((case / "package/model/config.json").read_bytes(), schema, catalogue)
        assert config is not None, findings
        engine = config.model_type
        row = catalogue.find(engine, config.runtime) if config.runtime else catalogue.default(engine)
        assert row is not None
        return row

    return find


def variables(row: Runtime) -> dict[str, str]:
    """The environment that the row's images set, but for what only its engine reads."""
    return {
        "AIRLOCK_ENGINE": row.engine,
        "AIRLOCK_BASE_CLASS": row.service.base_class,
        "AIRLOCK_MODEL_PATH": row.service.model_path,
        **{name: value for name, value in row.environment if name.startswith("AIRLOCK_")},
    }


def ask(server: Server, call: dict[str, Any], *, unix: bool) -> Answer:
    """Send one call; while the model is still loading, again."""
    ends_at = time.monotonic() + LOADING_S
    while True:
        answer = _send(server, call, unix=unix)
        loading = answer.status == 503 or ("get" in call and answer.status == 404)
        if not loading or time.monotonic() > ends_at:
            return answer
        time.sleep(0.1)


def _send(server: Server, call: dict[str, Any], *, unix: bool) -> Answer:
    path = "/" + call.get("query", "")
    if "get" in call:
        return server.request("GET", call["get"], unix=unix)
    if "form" in call:
        parts = [(field, name, content.encode()) for field, name, content in call["form"]]
        return server.post_form(*parts, path=path, unix=unix)
    return server.post(call["json"], path, unix=unix)


def check_calls(server: Server, case: Path, *, unix: bool = False) -> None:
    calls = told(case)["calls"]
    assert calls
    # Twice: packages keep state on themselves.
    for call in [*calls, *calls]:
        answer = ask(server, call, unix=unix)
        assert (answer.status, answer.json) == (200, call["answer"]), server.log


@pytest.fixture(scope="module")
def conversations(request: pytest.FixtureRequest, runtimes: Any) -> dict[Path, Future[None]]:
    """Case → its conversation, two at a time: most of each is the start of a server."""

    def converse(case: Path) -> None:
        row = runtimes(case)
        with serve(prepare(row.python), case / "package", **variables(row)) as server:
            check_calls(server, case)

    wanted = [item.callspec.params["case"] for item in request.session.items if _asks_here(item)]
    return ended(converse, wanted, at_once=2)


def _asks_here(item: pytest.Item) -> bool:
    return getattr(item, "originalname", "") == "test_the_package_answers_on_its_runtimes_python"


@pytest.mark.parametrize("case", HERE, ids=lambda case: case.name)
def test_the_package_answers_on_its_runtimes_python(case: Path, conversations: dict[Path, Future[None]]) -> None:
    conversations[case].result()


# ── absolute paths ───────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def serve_in_container(interpreter: Interpreter, row: Runtime, package: Path, folder: Path) -> Iterator[Server]:
    """The same server in a base image without its engine, where the home is /home/mind."""
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        pytest.skip("no container engine answers")
    folder.chmod(0o777)
    serving = ROOT / "include" / "runtimes" / "serving"
    settings = {**variables(row), "AIRLOCK_PACKAGE_DIR": "/package", "AIRLOCK_HOME": "/home/mind"}
    settings |= {"AIRLOCK_BIND": "unix:/run/airlock/socket", "PYTHONPATH": "/serving:/libraries"}
    container = f"airlock-accepted-{uuid.uuid4().hex[:12]}"
    command = ["docker", "run", "--rm", "--name", container, "--init", "--network", "none", "--read-only"]
    command += ["--user", "65534:65534"]
    for target, source in (("/serving", serving), ("/libraries", interpreter.libraries), ("/package", package)):
        command += ["--mount", f"type=bind,source={source},target={target},readonly"]
    command += ["--mount", f"type=bind,source={folder},target=/run/airlock", "--tmpfs", "/tmp"]
    command += ["--tmpfs", "/home/mind:mode=1777"]
    for name, value in settings.items():
        command += ["--env", f"{name}={value}"]
    command += ["--env", "PYTHONDONTWRITEBYTECODE=1", row.base_image, "python", "-m", "model_service.server"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    server = Server(process, folder)
    try:
        ends_at = time.monotonic() + START_S
        while not (folder / "socket").exists() and time.monotonic() < ends_at and process.poll() is None:
            time.sleep(0.05)
        yield server
    finally:
        # The client ends when its container is gone, which a signal to the client alone would not make sure of.
        subprocess.run(["docker", "rm", "--force", container], capture_output=True, check=False, timeout=STOP_S)
        process.wait(STOP_S)


@pytest.mark.parametrize("case", CONTAINED, ids=lambda case: case.name)
def test_the_package_answers_where_its_absolute_paths_lead(case: Path, runtimes: Any, tmp_path: Path) -> None:
    row = runtimes(case)
    package = tmp_path / "package"
    shutil.copytree(case / "package", package)
    tmp_path.chmod(0o755)
    shared = tmp_path / "s"
    shared.mkdir()
    with serve_in_container(prepare(row.python), row, package, shared) as server:
        check_calls(server, case, unix=True)
