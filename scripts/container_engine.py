"""What the demo asks of Docker Engine: whether it is there, the base images, and that nothing of its runs is left."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

from scripts.bootstrap import clean_environment
from scripts.children import ChildFailed, Keeper
from scripts.local_state import ROOT, LocalError

CATALOGUE = ROOT / "include" / "runtimes" / "catalogue"
# The docker backend labels every container with the run that it belongs to, as `<DAG>/<run>`.
RUN_LABEL = "io.airlock.run"
MAKE_TIMEOUT_S = 900.0


class EngineUnusable(LocalError):
    """The container backend cannot be used here; the message says why."""


def connect() -> Any:
    """Returns a client of the engine that the environment names.

    Raises:
        EngineUnusable: None answers.
    """
    import docker
    import requests

    try:
        client = docker.from_env(timeout=600)
        client.ping()
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise EngineUnusable(f"no container engine answers ({error})") from error
    return client


def base_image(engine: str, runtime: str) -> str:
    """Returns the base image of a runtime, as the catalogue names it."""
    entry = yaml.safe_load((CATALOGUE / engine / f"{runtime}.yaml").read_text(encoding="utf-8"))
    prefix = os.environ.get("AIRFLOW__AIRLOCK__BASE_IMAGE_PREFIX", "")
    return f"{prefix}{entry['base_image']}"


def provide_base_images(images: Iterable[str], keeper: Keeper, log: Path, tell: Callable[[str], None]) -> None:
    """Makes sure that the base images are there: pulled, or made from what this machine has.

    Args:
        images: Their references.
        keeper: Runs the script that makes them.
        log: Where its output goes.
        tell: Gets one line for each thing that is done.

    Raises:
        EngineUnusable: One is missing, cannot be pulled and cannot be made.
    """
    import docker
    import requests

    client = connect()
    to_make = []
    for image in sorted(set(images)):
        try:
            client.images.get(image)
            continue
        except docker.errors.ImageNotFound:
            tell(f"pulling {image}")
        try:
            client.images.pull(image)
        except (docker.errors.DockerException, requests.RequestException) as error:
            if not image.startswith("python:"):
                raise EngineUnusable(f"the base image {image} is missing and cannot be pulled ({error})") from error
            to_make.append(image)
    if not to_make:
        return
    names = ", ".join(to_make)
    if os.geteuid() != 0 or not shutil.which("docker") or not Path("/etc/debian_version").exists():
        raise EngineUnusable(
            f"the base images {names} are missing, no container registry can be reached, and making them here needs "
            "root on Debian with Docker's command line"
        )
    tell(f"no container registry can be reached: making {names} (about a minute the first time)")
    versions = sorted({image.partition(":")[2].partition("-")[0] for image in to_make})
    try:
        keeper.run(
            "make-base-images",
            [ROOT / "scripts" / "make-base-images", *versions],
            env=clean_environment(),
            log=log,
            timeout_s=MAKE_TIMEOUT_S,
        )
    except ChildFailed as error:
        raise EngineUnusable(f"the base images {names} could not be made: {error}") from error


def sweep(runs: Iterable[str]) -> int:
    """Removes the containers that these runs left, when their own clean-up was cut short.

    Args:
        runs: As `<DAG>/<run>`.

    Returns:
        How many there were; 0 also where no engine answers.
    """
    import docker
    import requests

    removed = 0
    with contextlib.suppress(EngineUnusable, docker.errors.DockerException, requests.RequestException):
        client = connect()
        for run in runs:
            for container in client.containers.list(
                all=True, filters={"label": f"{RUN_LABEL}={run}"}, ignore_removed=True
            ):
                with contextlib.suppress(docker.errors.NotFound):
                    container.remove(force=True, v=True)
                    removed += 1
    return removed
