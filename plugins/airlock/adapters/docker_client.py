"""The container engine's client: its exceptions end here, and whether an engine answers at all."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import docker
import requests
import urllib3
from docker.constants import DEFAULT_UNIX_SOCKET
from docker.errors import DockerException

from airlock.domain.findings import shown
from airlock.errors import BackendUnavailable

#: Marks everything that belongs to a DAG run.
RUN_LABEL = "io.airlock.run"
TASK_LABEL = "io.airlock.task"
TRY_LABEL = "io.airlock.try"
#: The process that started it, as `owner.this_process` writes it.
OWNER_LABEL = "io.airlock.owner"
VERSION_LABEL = "io.airlock.version"

#: What the client raises when the engine refuses, goes away, or dies in the middle of an answer. The last kind comes
#: through unwrapped from a streamed answer.
ENGINE_ERRORS = (DockerException, requests.RequestException, urllib3.exceptions.HTTPError)

ClientFactory = Callable[[], docker.DockerClient]


@contextlib.contextmanager
def engine_errors(doing: str) -> Iterator[None]:
    """Turn the client's exceptions into the tree's.

    Args:
        doing: What is done meanwhile, as in "while it was …".

    Raises:
        BackendUnavailable: The engine refused, does not answer, or went away.
    """
    try:
        yield
    except ENGINE_ERRORS as error:
        raise engine_gone(doing, error) from error


def engine_gone(doing: str, error: BaseException | str) -> BackendUnavailable:
    """The error of an engine that is away."""
    return BackendUnavailable(
        "BLD010",
        f"The container engine failed while it was {doing}: {shown(str(error))}",
        "Check that it runs and that this user may use it (`docker info`).",
    )


def docker_answers(timeout_s: float = 2.0) -> bool:
    """Whether a container engine answers within the time."""
    host = os.environ.get("DOCKER_HOST") or DEFAULT_UNIX_SOCKET
    if host.startswith("unix:"):
        # Asked first without the client, which leaves a socket open where nobody listens.
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as probe:
            try:
                probe.settimeout(timeout_s)
                probe.connect(urlsplit(host.removeprefix("http+")).path)
            except OSError:
                return False
    try:
        client = docker.from_env(timeout=max(1, round(timeout_s)))
    except ENGINE_ERRORS:
        return False
    try:
        return bool(client.ping())
    except ENGINE_ERRORS:
        return False
    finally:
        client.close()
