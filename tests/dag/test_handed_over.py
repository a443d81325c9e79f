"""A registered version, handed over and really started as its manifest says: by Docker's command, and by Compose."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.local_state import free_ports
from tests.compose.stack import compose_answers
from tests.dag.conftest import Installation, Outcome, Upload

READY_S = 120


@pytest.fixture
def handed(docker: Installation, upload: Upload, run_import: Callable[..., Outcome]) -> Callable[[str, int], str]:
    """The manifest of a version that was just imported, for a platform and a port of the host."""
    from airlock.domain.deployment.hand_off import Platform, hand_off
    from airlock.web.api.deployment import written

    name = f"handed-{upload.bucket.name[-8:]}".strip("-")
    outcome = run_import(model_name=name, source_location=upload.go(), min_memory_mb=300, min_cpu=0.5)
    assert outcome.state == "success", outcome.tasks
    wiring = docker.wiring()
    row = wiring.registry_reader.find(name, "0.0.1")
    assert row is not None
    folder = wiring.store.folder(row.package_digest.rpartition(":")[2])

    def manifest(platform: str, port: int) -> str:
        chosen = Platform(platform)
        return written(hand_off(row, chosen, device=None, package_folder=folder, host_port=port), chosen)

    return manifest


def run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def ask(port: int, container: str) -> Any:
    """What the service answers, as soon as it does."""
    deadline = time.monotonic() + READY_S
    body = json.dumps({"data": {"req_data": [{"a": 2, "b": 3}]}})
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.request("POST", "/", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status == 200:
                return json.loads(text)
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        assert time.monotonic() < deadline, run("docker", "logs", container)
        time.sleep(0.2)


@contextmanager
def removed(container: str) -> Iterator[str]:
    try:
        yield container
    finally:
        run("docker", "rm", "--force", "--volumes", container)


def looked_at(container: str) -> dict[str, Any]:
    (found,) = json.loads(run("docker", "inspect", container))
    seen: dict[str, Any] = found
    return seen


def healthy_and_given_time(container: str) -> None:
    """The container's own check finds the service, and a stop lets it finish."""
    deadline = time.monotonic() + READY_S
    while (seen := looked_at(container))["State"]["Health"]["Status"] != "healthy":
        assert time.monotonic() < deadline, seen["State"]["Health"]
        time.sleep(0.5)
    assert seen["Config"]["StopTimeout"] == 45


def in_the_sandbox(container: str) -> None:
    """As the version was tested: not root, nothing to write to, no capability, no more than it asked for."""
    seen = looked_at(container)
    host = seen["HostConfig"]
    assert seen["Config"]["User"] == "65534:65534"
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["Memory"]) == (True, ["ALL"], 300_000_000)
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert [(mount["Destination"], mount["RW"]) for mount in seen["Mounts"] if mount["Type"] == "bind"] == [
        ("/opt/airlock/package", False)
    ]


def test_the_command_for_docker_starts_a_service_that_answers(
    handed: Callable[[str, int], str], tmp_path: Path
) -> None:
    (port,) = free_ports(1)
    script = tmp_path / "deploy.sh"
    script.write_text(handed("docker", port))
    with removed(run("sh", str(script)).strip()) as container:
        assert ask(port, container)["data"]["resp_data"] == [{"predictresult": 5}]
        in_the_sandbox(container)
        healthy_and_given_time(container)


def test_the_command_for_docker_can_be_run_again_whatever_became_of_the_last_time(
    handed: Callable[[str, int], str], tmp_path: Path
) -> None:
    (port,) = free_ports(1)
    script = tmp_path / "deploy.sh"
    script.write_text(handed("docker", port))
    with socket.create_server(("127.0.0.1", port)):
        failed = subprocess.run(["sh", str(script)], capture_output=True, text=True, check=False, timeout=300)
    assert failed.returncode != 0
    assert str(port) in failed.stderr
    first = run("sh", str(script)).strip()
    with removed(run("sh", str(script)).strip()) as container:
        assert container != first
        assert first not in run("docker", "ps", "--all", "--quiet", "--no-trunc")
        assert ask(port, container)["data"]["resp_data"] == [{"predictresult": 5}]


@pytest.mark.compose
def test_the_file_for_compose_starts_a_service_that_answers(handed: Callable[[str, int], str], tmp_path: Path) -> None:
    if not compose_answers():
        pytest.skip("Docker Compose v2 is not there (scripts/get-compose)")
    (port,) = free_ports(1)
    file = tmp_path / "compose.yaml"
    file.write_text(handed("compose", port))
    compose = ("docker", "compose", "--file", str(file))
    read = yaml.safe_load(run(*compose, "config"))
    assert read["services"]["model"]["read_only"] is True
    try:
        run(*compose, "up", "--detach")
        (container,) = run(*compose, "ps", "--quiet").split()
        assert ask(port, container)["data"]["resp_data"] == [{"predictresult": 5}]
        in_the_sandbox(container)
        healthy_and_given_time(container)
    finally:
        run(*compose, "down", "--volumes")
