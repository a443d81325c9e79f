"""A service in its container, seen through its socket and through the engine."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import docker
from docker.errors import NotFound
from docker.models.containers import Container

from airlock.adapters.docker_client import ENGINE_ERRORS, engine_errors, engine_gone
from airlock.adapters.docker_options import SOCKET_NAME
from airlock.adapters.gpu_memory import GPUS_QUERY, memory_of_processes, used_in_all
from airlock.adapters.requests_at_once import send_at_once
from airlock.adapters.service_client import exchange
from airlock.domain.smoke import HttpRequest, HttpResponse, NoResponse
from airlock.ports.running_service import AtOnce, ServiceExit

log = logging.getLogger(__name__)

MAX_TAIL_BYTES = 64 * 1024
WATCH_S = 0.5
_KILLED_STATUS = 137
# Nothing inside sends SIGTERM to a container's first process; an engine that goes down does.
_STOPPED_STATUS = 143
# Where the engine puts a container's control group, by version of the interface and by driver.
_PEAK_FILES = (
    "/sys/fs/cgroup/memory/docker/{id}/memory.max_usage_in_bytes",
    "/sys/fs/cgroup/memory/system.slice/docker-{id}.scope/memory.max_usage_in_bytes",
    "/sys/fs/cgroup/docker/{id}/memory.peak",
    "/sys/fs/cgroup/system.slice/docker-{id}.scope/memory.peak",
)


class ContainerService:
    """A running container.

    Args:
        client: The engine's client.
        container: The container, started.
        socket: Path of its socket on the host.
        sockets: Names that may be in the socket's folder.
    """

    def __init__(
        self,
        client: docker.DockerClient,
        container: Container,
        socket: str,
        sockets: frozenset[str] = frozenset({SOCKET_NAME}),
    ) -> None:
        self._client = client
        self._container = container
        self._socket = socket
        self._sockets = sockets
        self._started_at = time.time()
        self._sampled_peak = 0
        self._note = ""
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="container-watch", daemon=True)
        self._watcher.start()

    def send(self, request: HttpRequest, timeout_s: float, max_bytes: int) -> HttpResponse | NoResponse:
        """Send a request; the time limit covers the whole answer."""
        return exchange(self._socket, request, timeout_s, max_bytes)

    def send_at_once(
        self, request: HttpRequest, plan: AtOnce, timeout_s: float, max_bytes: int
    ) -> Sequence[HttpResponse | NoResponse]:
        """Send a request many times, several at a time; ends early with the first that gets no answer."""
        return send_at_once(lambda: self.send(request, timeout_s, max_bytes), plan)

    def exit(self) -> ServiceExit | None:
        """How it ended, None while it runs.

        A container whose worker process was ended by the memory limit counts as ended, though its first process lives.

        Raises:
            BackendUnavailable: The engine does not answer, or something else removed or stopped the container.
        """
        with engine_errors("asked for a container's state"):
            try:
                self._container.reload()
            except NotFound:
                raise engine_gone("asked for a container's state", "the container was removed from outside") from None
            state = self._container.attrs["State"]
            if state.get("Running"):
                return ServiceExit(status=_KILLED_STATUS, out_of_memory=True) if self._memory_ran_out() else None
            status = int(state.get("ExitCode") or 0)
            if status == _STOPPED_STATUS:
                raise engine_gone("running a container", "the container was stopped from outside")
            if status == _KILLED_STATUS:
                # An engine that dies ends its containers as the memory limit does.
                self._client.ping()
            return ServiceExit(status=status, out_of_memory=bool(state.get("OOMKilled")) or self._memory_ran_out())

    def log_tail(self, lines: int = 100) -> str:
        """The last lines of its log, at most 64 KiB."""
        with engine_errors("asked for a container's log"):
            try:
                content = self._container.logs(stdout=True, stderr=True, tail=lines)
            except NotFound:
                return self._note
        text = content[-MAX_TAIL_BYTES:].decode("utf-8", "replace")
        return f"{text}{self._note}"

    def peak_memory_bytes(self) -> int | None:
        """Highest memory so far, page cache and in-memory file systems included, as the limit counts them."""
        identity = str(self._container.id)
        for pattern in _PEAK_FILES:
            with contextlib.suppress(OSError, ValueError):
                return int(Path(pattern.format(id=identity)).read_text())
        usage = self._usage()
        return max(usage, self._sampled_peak) or None

    def gpu_memory_bytes(self) -> int | None:
        """GPU memory that its processes hold; where only the container can be asked, what is in use on its GPUs."""
        if not self._container.attrs["HostConfig"].get("DeviceRequests"):
            return None
        try:
            table = self._container.top()
            column = table["Titles"].index("PID")
            used = memory_of_processes({int(row[column]) for row in table["Processes"]})
            if used is None:
                status, told = self._container.exec_run(list(GPUS_QUERY), stderr=False)
                text = told.decode("utf-8", "replace") if isinstance(told, bytes) else ""
                used = used_in_all(text) if status == 0 else None
        except (*ENGINE_ERRORS, ValueError):
            return None
        return used

    def close(self) -> None:
        """Stop watching."""
        self._over.set()
        self._watcher.join(timeout=5)

    def _memory_ran_out(self) -> bool:
        events = self._client.events(  # type: ignore[call-overload]  # the stubs know whole seconds only
            since=f"{self._started_at:.6f}",
            # A moment that is still to come would make the engine wait for it.
            until=f"{time.time():.6f}",
            filters={"container": str(self._container.id), "event": "oom"},
            decode=True,
        )
        return any(True for _ in events)

    def _usage(self) -> int:
        try:
            stats = self._client.api.stats(str(self._container.id), stream=False, one_shot=True)
        except ENGINE_ERRORS:
            return 0
        memory = stats.get("memory_stats") or {}
        return int(memory.get("max_usage") or memory.get("usage") or 0)

    def _watch(self) -> None:
        folder = os.path.dirname(self._socket)
        while not self._over.wait(WATCH_S):
            # The folder is the one place outside memory that the service can write to.
            with contextlib.suppress(OSError):
                if set(os.listdir(folder)) - self._sockets:
                    self._note = "\nairlock: the service was ended because it wrote files into its socket's folder.\n"
                    log.warning("A service wrote into its socket's folder and is ended.")
                    with contextlib.suppress(*ENGINE_ERRORS):
                        self._container.kill()
                    return
            if not any(os.path.exists(pattern.format(id=self._container.id)) for pattern in _PEAK_FILES):
                self._sampled_peak = max(self._sampled_peak, self._usage())
