"""The stack of docker-compose.yaml, started for real beside whatever else runs on this machine."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from scripts.airflow_api import AirflowApi
from scripts.compose_secrets import IMAGE_UID
from scripts.local_state import free_ports
from tests.conftest import ROOT

HERE = Path(__file__).parent
#: Variable of the compose file → the stand-in's target, for images that no registry gives us here.
STAND_INS = {
    "POSTGRES_IMAGE": "postgres",
    "REDIS_IMAGE": "redis",
    "REGISTRY_IMAGE": "registry",
    "DOCKER_PROXY_IMAGE": "haproxy",
}
#: What the stand-ins are made from, and what the project's own image is: there on a host with or without a registry.
DEBIAN_IMAGE = "python:3.12-slim-bookworm"
PULL_TIMEOUT_S = 120


def compose_answers() -> bool:
    """Whether Compose v2 is there as a plugin of Docker's command line."""
    done = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    return done.returncode == 0


class Stack:
    """One stack with volumes, ports, secrets and a data folder of its own.

    Attributes:
        folder: Its secrets and its .env.
        data: The folder that workers share with the engine's host.
        project: The compose project's name.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # The path of a Unix socket below it must stay short.
        self.data = Path("/var/tmp") / f"airlock-{secrets.token_hex(3)}"
        self.project = f"airlock-test-{secrets.token_hex(4)}"
        self._port, self._objects, self._registry = free_ports(3)
        self._images: dict[str, str] = {}
        self._built: list[str] = []

    # ── life ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Build, make the secrets, start, and return when everything is healthy."""
        self._provide_images()
        registry = {"REGISTRY_PORT": str(self._registry)}
        self._run(
            [sys.executable, "-m", "scripts.compose_secrets", "--project", self.folder, "--data", self.data],
            env={**os.environ, **registry},
        )
        # One command, which builds what is missing.
        self.compose("up", "--detach", timeout_s=2000)
        self.wait_until_healthy(600)

    def stop(self) -> None:
        """Remove containers, volumes, images and files."""
        if (self.folder / ".env").exists():
            self.compose("down", "--volumes", "--timeout", "20", timeout_s=300)
        # Tags of what its workers pushed, too.
        listing = ["docker", "image", "ls", "--format={{.Repository}}:{{.Tag}}", f"{self.registry}/airlock/*"]
        pushed = subprocess.run(listing, capture_output=True, text=True, check=False).stdout.split()
        for image in (*self._built, *pushed):
            subprocess.run(["docker", "image", "rm", image], capture_output=True, check=False)
        shutil.rmtree(self.data, ignore_errors=True)

    def compose(self, *arguments: str, timeout_s: float = 120) -> str:
        """Run a command of Docker Compose in this project, and return its output."""
        files = ["--project-directory", ROOT, "--env-file", self.folder / ".env"]
        return self._run(
            ["docker", "compose", "--project-name", self.project, *files, *arguments],
            env=self._environment(),
            timeout_s=timeout_s,
        )

    def wait_until_healthy(self, timeout_s: float) -> None:
        """Wait until every service runs and is healthy, and the one that only initialises has ended well."""
        deadline = time.monotonic() + timeout_s
        while sick := [one for one in self.containers() if not _is_well(one)]:
            assert time.monotonic() < deadline, (sick, self.compose("logs", "--tail", "40"))
            time.sleep(2)

    def containers(self) -> list[dict[str, Any]]:
        """Every container of the project as Compose lists it."""
        lines = self.compose("ps", "--all", "--format", "json").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    # ── use ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def url(self) -> str:
        """Where Airflow answers."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def registry(self) -> str:
        """The registry's address, as the engine knows it."""
        return f"localhost:{self._registry}"

    def secret(self, name: str) -> str:
        """The text of a secret's file."""
        return (self.folder / "secrets" / name).read_text(encoding="utf-8")

    def api(self) -> AirflowApi:
        """Airflow's REST API, signed in as the stack's user."""
        return AirflowApi(self.url, "admin", self.secret("admin_password"))

    def s3_client(self) -> Any:
        """A client of the stack's object storage, as a user on this machine has it."""
        import boto3
        from botocore.config import Config

        connection = json.loads(self.secret("connections"))["airlock_s3"]
        return boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self._objects}",
            region_name=connection["extra"]["region_name"],
            aws_access_key_id=connection["login"],
            aws_secret_access_key=connection["password"],
            config=Config(**connection["extra"]["config_kwargs"]),
        )

    def python_in(self, service: str, code: str) -> str:
        """Run Python in a service's container and return what it prints."""
        return self.compose("exec", "--no-TTY", service, "python", "-c", code)

    # ── parts ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _provide_images(self) -> None:
        self._images = {"AIRLOCK_IMAGE": "airlock-test/airlock", "OBJECT_STORAGE_IMAGE": "airlock-test/object-server"}
        self._built = list(self._images.values())
        (self.folder / ".env").unlink(missing_ok=True)
        for variable, target in STAND_INS.items():
            default = _default_of(variable)
            if not _can_be_had(default):
                self._images[variable] = f"airlock-test/{target}"
                self._built.append(f"airlock-test/{target}")
                self._run(
                    ["docker", "build", "--quiet", f"--tag=airlock-test/{target}", f"--target={target}",
                     f"--build-arg=DEBIAN_IMAGE={DEBIAN_IMAGE}", HERE / "stand_ins"],
                    env={**os.environ, "DOCKER_BUILDKIT": "0"},
                    timeout_s=600,
                )  # fmt: skip

    def _environment(self) -> dict[str, str]:
        # Nothing of a stack that the machine's owner has set up gets in.
        own = (*STAND_INS, "COMPOSE_", "AIRLOCK_", "CPU_", "WORKER_", "OBJECT_STORAGE_")
        env = {name: value for name, value in os.environ.items() if not name.startswith(own)}
        ports = {"AIRLOCK_PORT": self._port, "OBJECT_STORAGE_PORT": self._objects, "REGISTRY_PORT": self._registry}
        return {**env, **self._images, **{name: str(port) for name, port in ports.items()}}

    def _run(self, command: list[Any], env: dict[str, str], timeout_s: float = 120) -> str:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        return done.stdout


def _is_well(container: dict[str, Any]) -> bool:
    if container["Service"] == "init":
        return bool(container["State"] == "exited" and container["ExitCode"] == 0)
    return bool(container["State"] == "running" and container["Health"] == "healthy")


def _default_of(variable: str) -> str:
    text = (ROOT / "docker-compose.yaml").read_text(encoding="utf-8")
    return text.partition("${" + variable + ":-")[2].partition("}")[0]


def _can_be_had(image: str) -> bool:
    if subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False).returncode == 0:
        return True
    try:
        pulled = subprocess.run(
            ["docker", "pull", "--quiet", image], capture_output=True, check=False, timeout=PULL_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return False
    return pulled.returncode == 0


def stack_user() -> int:
    """The user that the stack runs as when this process makes it."""
    return os.geteuid() or IMAGE_UID
