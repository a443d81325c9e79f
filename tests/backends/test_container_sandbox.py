"""What a package can do inside its container, asked of a real one; and what becomes of a build when its engine dies."""

from __future__ import annotations

import contextlib
import gc
import io
import json
import socket
import socketserver
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest
import requests
from backend_bench import BASE_IMAGE, PACKAGES, Bench, ask, until_ended, until_ready
from docker.errors import APIError

from airlock.adapters.build_litter import remove_old_litter
from airlock.adapters.clock import SystemClock
from airlock.adapters.docker_backend import DockerBackend
from airlock.adapters.docker_client import OWNER_LABEL, RUN_LABEL, docker_answers
from airlock.adapters.install_settings import InstallSettings
from airlock.adapters.owner import this_process
from airlock.domain.version import RunRef
from airlock.errors import BackendUnavailable, RuntimeUnavailable

# The engine's client leaves a socket open where nobody listens.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. .socket:pytest.PytestUnraisableExceptionWarning")

_PROBE = """
facts = {"uid": os.getuid(), "gid": os.getgid(), "groups": os.getgroups()}
with open("/proc/self/status") as file:
    status = dict(line.split(":", 1) for line in file)
facts["capabilities"] = [status[name].strip() for name in ("CapEff", "CapPrm", "CapBnd", "CapInh")]
facts["no_new_privileges"] = status["NoNewPrivs"].strip()

def attempt(action):
    try:
        action()
        return "done"
    except Exception as error:
        return type(error).__name__

def write(path):
    with open(path, "w") as file:
        file.write("x")

def fill(path):
    with open(path, "wb") as file:
        while True:
            file.write(b"x" * 1000000)

facts["writes"] = {
    path: attempt(lambda: write(path + "/probe"))
    for path in (
        "/", "/etc", "/opt/airlock/serving", "/opt/airlock/package/model", "/usr/local", "/tmp", "/home/mind", "model"
    )
}
facts["fill /tmp"] = attempt(lambda: fill("/tmp/full"))
os.remove("/tmp/full")
facts["interfaces"] = [line.split(":")[0].strip() for line in open("/proc/net/dev").readlines()[2:]]
facts["connect"] = attempt(lambda: socket.create_connection(("1.1.1.1", 53), 2))
facts["resolve"] = attempt(lambda: socket.getaddrinfo("example.com", 80))
write("/tmp/script")
os.chmod("/tmp/script", 0o755)
facts["execute in /tmp"] = attempt(lambda: subprocess.check_call(["/tmp/script"]))
facts["directory"] = os.getcwd()
facts["hostname"] = socket.gethostname()
facts["docker socket"] = os.path.exists("/var/run/docker.sock")
return facts
"""

PACKAGES["probes"] = ("pass", _PROBE)
PACKAGES["forks"] = (
    "pass",
    "made = []\ntry:\n    while len(made) < 2000:\n        made.append(subprocess.Popen(['sleep', '60']))\n"
    "except OSError:\n    pass\nfor child in made:\n    child.kill()\nreturn len(made)",
)
PACKAGES["writes-beside-its-socket"] = ("pass", "open('/run/airlock/more', 'w').write('x'); return 1")


def test_the_sandbox_holds(docker_bench: Bench) -> None:
    with docker_bench.serve("probes") as service:
        until_ready(service)
        facts = ask(service)
    assert (facts["uid"], facts["gid"], facts["groups"]) in ((65534, 65534, []), (65534, 65534, [65534]))
    assert facts["capabilities"] == ["0000000000000000"] * 4
    assert facts["no_new_privileges"] == "1"
    writable = {path for path, outcome in facts["writes"].items() if outcome == "done"}
    assert writable == {"/tmp", "/home/mind", "model"}
    assert facts["fill /tmp"] == "OSError"
    assert facts["interfaces"] == ["lo"]
    assert facts["connect"] == "OSError"
    assert facts["resolve"] == "gaierror"
    assert facts["execute in /tmp"] == "PermissionError"
    assert (facts["directory"], facts["hostname"]) == ("/home/mind", "localhost")
    assert facts["docker socket"] is False


def test_a_fork_bomb_ends_at_the_limit(docker_bench: Bench) -> None:
    with docker_bench.serve("forks") as service:
        until_ready(service)
        assert 0 < ask(service) < 512


def test_a_service_that_fills_its_sockets_folder_is_ended_and_the_log_says_why(docker_bench: Bench) -> None:
    with docker_bench.serve("writes-beside-its-socket") as service:
        until_ready(service)
        ask(service)
        assert until_ended(service).out_of_memory is False
        assert "its socket's folder" in service.log_tail()
    assert docker_bench.leftovers() == []


def test_no_password_of_an_index_stays_in_an_image_or_a_log(docker_bench: Bench) -> None:
    install = InstallSettings.from_settings(docker_bench.settings)
    secret = InstallSettings(
        cert=install.cert,
        index_url=install.index_url,
        find_links=install.find_links,
        trusted_host=install.trusted_host,
        http_proxy="http://user:geheim@127.0.0.1:9",
        https_proxy=install.https_proxy,
        no_proxy=install.no_proxy,
    )
    runtime = docker_bench.runtime
    lines: list[str] = []
    plan = docker_bench.plan(runtime=replace(runtime, name="secret"))
    image = docker_bench.backend(install=secret).build(plan, lines.append)
    client = docker.from_env()
    history = json.dumps(client.images.get(image.digest).history())
    client.close()
    assert "geheim" not in history
    assert "geheim" not in "\n".join(lines)
    assert "geheim" not in Path(image.log).read_text()


def test_a_base_image_that_nobody_has_is_said_with_what_to_do(docker_bench: Bench) -> None:
    runtime = replace(docker_bench.runtime, base_image="127.0.0.1:9/nobody/python:3.11-slim")
    with pytest.raises((BackendUnavailable, RuntimeUnavailable)) as caught:
        docker_bench.backend().build(docker_bench.plan(runtime=runtime), lambda line: None)
    assert caught.value.code == "BLD007"
    assert "base_image_prefix" in caught.value.remedy
    assert "127.0.0.1:9/nobody/python:3.11-slim" in caught.value.message


def test_what_killed_builds_left_long_ago_is_removed_and_nothing_younger(docker_bench: Bench) -> None:
    tag = f"litter-{docker_bench.token}"
    client = docker.from_env()
    try:
        dockerfile = f"FROM {BASE_IMAGE}\nLABEL io.airlock.layer={tag}\nENV A=1\n".encode()
        for _ in client.api.build(fileobj=io.BytesIO(dockerfile), rm=True, decode=True):
            pass
        label = f"io.airlock.layer={tag}"
        assert len(client.images.list(filters={"label": label, "dangling": True})) == 1
        container = client.containers.create(client.images.list(filters={"label": label})[0].id, ["true"])
        now = time.time()
        assert remove_old_litter(client, now - 60, label) == 0
        assert remove_old_litter(client, now + 60, label) == 2
        assert client.images.list(filters={"label": label}) == []
        assert container.id not in {found.id for found in client.containers.list(all=True, ignore_removed=True)}
    finally:
        client.close()


def test_a_container_that_the_engine_does_not_end_in_time_is_asked_for_again_and_goes(
    docker_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = docker.from_env()
    run = RunRef(dag_id="removal", run_id=docker_bench.token)
    remove = docker.APIClient.remove_container
    refused = requests.Response()
    refused.status_code = 500
    asked: list[str] = []

    def reluctant(self: docker.APIClient, container: str, **options: Any) -> None:
        asked.append(container)
        if len(asked) < 3:
            raise APIError("tried to kill container, but did not receive an exit event", response=refused)
        remove(self, container, **options)

    try:
        container = client.containers.create(BASE_IMAGE, ["true"], labels={RUN_LABEL: str(run)})
        monkeypatch.setattr(docker.APIClient, "remove_container", reluctant)
        assert docker_bench.backend().sweep(run) >= 1
        assert asked == [container.id] * 3
        label = {"label": f"{RUN_LABEL}={run}"}
        assert client.containers.list(all=True, filters=label, ignore_removed=True) == []
    finally:
        client.close()


# ── an engine that is away, or dies ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(autouse=True)
def sockets_are_collected_here() -> Iterator[None]:
    """What the client left open is found now, and not in whichever test comes later."""
    yield
    gc.collect()


def _away(bench: Bench, path: str) -> DockerBackend:
    return DockerBackend(
        settings=bench.settings,
        install=InstallSettings(),
        package_folder=bench.package_folder,
        clock=SystemClock(),
        clients=lambda: docker.DockerClient(base_url=f"unix://{path}", timeout=5),
    )


@pytest.fixture
def bench_without_engine(short_folder: Path) -> Bench:
    return Bench("docker", short_folder / "away", "away")


def test_an_engine_that_is_away_is_a_passing_trouble_everywhere(bench_without_engine: Bench, tmp_path: Path) -> None:
    backend = _away(bench_without_engine, str(tmp_path / "docker.sock"))
    plan = bench_without_engine.plan()
    with pytest.raises(BackendUnavailable, match="BLD010"):
        backend.build(plan, lambda line: None)
    with pytest.raises(BackendUnavailable, match="BLD010"):
        backend.sweep(RunRef(dag_id="d", run_id="r"))
    with pytest.raises(BackendUnavailable, match="BLD010"):
        backend.devices()


class _DyingEngine(socketserver.ThreadingUnixStreamServer):
    """Answers as an engine does until a build streams, and then breaks off; then it is alive or away."""

    daemon_threads = True

    def __init__(self, path: str, last: bytes) -> None:
        super().__init__(path, _DyingHandler)
        self.last = last
        self.builds = 0


class _DyingHandler(socketserver.StreamRequestHandler):
    server: Any

    def handle(self) -> None:
        while True:
            request = self.rfile.readline().decode()
            if not request:
                return
            length, chunked = 0, False
            while (line := self.rfile.readline().strip().lower()) != b"":
                length = int(line.split()[1]) if line.startswith(b"content-length") else length
                chunked = chunked or line == b"transfer-encoding: chunked"
            self.rfile.read(length)
            while chunked:
                size = int(self.rfile.readline(), 16)
                self.rfile.read(size + 2)
                chunked = size > 0
            path = request.split()[1]
            if "/build?" in path:
                self.server.builds += 1
                data = b'{"stream":"Step 1/9 : FROM x\\n"}\r\n' + self.server.last
                self.wfile.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + f"{len(data):x}\r\n".encode()
                    + data
                    + b"\r\n"
                )
                return
            self._answer(path)

    def _answer(self, path: str) -> None:
        name = path.partition("?")[0]
        status, body = 200, b"{}"
        if name.endswith("/version"):
            body = b'{"ApiVersion": "1.41", "Version": "20.10"}'
        elif name.endswith("/info"):
            body = b'{"NCPU": 2, "Architecture": "x86_64", "Runtimes": {}}'
        elif name.endswith("/json") and "/images/" in name and not name.endswith("/images/json"):
            found = "python" in name
            status, body = (200, b'{"Id": "sha256:1", "Size": 1}') if found else (404, b'{"message": "No such image"}')
        elif name.endswith(("/containers/json", "/images/json")):
            body = b"[]"
        elif self.server.builds and name.endswith("/_ping"):
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self.wfile.write(head.encode() + body)


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="ale-") as folder:
        path = f"{folder}/docker.sock"
        with _DyingEngine(path, request.param) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            yield path
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    "engine",
    [b"", b'{"error":"returned a non-zero code: 137","errorDetail":{"code":137,"message":"x"}}\r\n'],
    ids=["the stream breaks off", "the build says 137"],
    indirect=True,
)
def test_an_engine_that_dies_in_a_build_is_not_the_packages_fault(bench_without_engine: Bench, engine: str) -> None:
    backend = _away(bench_without_engine, engine)
    before = time.monotonic()
    with pytest.raises(BackendUnavailable, match="BLD010"):
        backend.build(bench_without_engine.plan(), lambda line: None)
    assert time.monotonic() - before < 30


def test_nobody_who_answers_is_found_out_in_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    assert docker_answers() is False
    with tempfile.TemporaryDirectory(prefix="ale-") as folder, socket.socket(socket.AF_UNIX) as mute:
        mute.bind(f"{folder}/docker.sock")
        mute.listen()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{folder}/docker.sock")
        before = time.monotonic()
        assert docker_answers(1) is False
        assert time.monotonic() - before < 5


def test_a_volume_whose_container_and_process_are_gone_is_removed(docker_bench: Bench) -> None:
    client = docker.from_env()
    mine, gone = (f"airlock-test-{docker_bench.token}-{name}" for name in ("mine", "gone"))
    owners = {mine: this_process(), gone: this_process().rpartition("/")[0] + "/1"}
    try:
        for name, owner in owners.items():
            client.volumes.create(name, labels={"io.airlock.run": f"test-{docker_bench.token}/v", OWNER_LABEL: owner})
        docker_bench.backend().sweep(RunRef(dag_id="another", run_id="run"))
        left = {volume.name for volume in client.volumes.list()}
        assert mine in left
        assert gone not in left
    finally:
        for name in owners:
            with contextlib.suppress(docker.errors.NotFound):
                client.volumes.get(name).remove()
        client.close()
