"""A service under test: what is started, what a running one is asked, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from airlock.domain.catalogue import Runtime
from airlock.domain.device import Device
from airlock.domain.health import Health
from airlock.domain.image import Image
from airlock.domain.smoke import HttpRequest, HttpResponse, NoResponse
from airlock.domain.version import RunRef


@dataclass(frozen=True, slots=True, kw_only=True)
class AtOnce:
    """How often a request is sent, several at a time.

    Attributes:
        concurrency: How many are under way at a time.
        most: Requests at most.
        fewest: Requests at least, however long they take.
        seconds: When no more than the fewest are sent.
    """

    concurrency: int
    most: int
    fewest: int
    seconds: float


class RunningService(Protocol):
    """A service that was started for a test."""

    def send(self, request: HttpRequest, timeout_s: float, max_bytes: int) -> HttpResponse | NoResponse:
        """Send a request; the time limit covers the whole answer."""

    def send_at_once(
        self, request: HttpRequest, plan: AtOnce, timeout_s: float, max_bytes: int
    ) -> Sequence[HttpResponse | NoResponse]:
        """Send a request many times, several at a time; ends early with the first that gets no answer."""

    def exit(self) -> ServiceExit | None:
        """How it ended, None while it runs."""

    def log_tail(self, lines: int = 100) -> str:
        """The last lines of its log. Comes from user code: escape before showing."""

    def peak_memory_bytes(self) -> int | None:
        """Highest memory so far, None where it cannot be read."""

    def gpu_memory_bytes(self) -> int | None:
        """GPU memory that it holds now, None where there is no GPU or that cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceExit:
    """How a service ended.

    Attributes:
        status: Exit status; 128 + signal where a signal ended it.
        out_of_memory: Whether the memory limit ended it.
    """

    status: int
    out_of_memory: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What to start for a test.

    Attributes:
        image: The runtime image or environment.
        runtime: The catalogue's row.
        package_digest: The package to serve.
        model_name: The model's name.
        device: The device to test on.
        cpus: Cores, None for the backend's own default.
        memory_mb: Memory limit in megabytes (10^6 bytes).
        run: The DAG run, for labels and sweeping.
        task: The task, likewise; with its map index where it is one of many that run at once.
        attempt: Which try of the task this is, from 1.
    """

    image: Image
    runtime: Runtime
    package_digest: str
    model_name: str
    device: Device
    cpus: float | None
    memory_mb: int
    run: RunRef
    task: str
    attempt: int


class RunningImage(RunningService, Protocol):
    """An image of the user's own that was started for a test."""

    def command_passed(self) -> bool:
        """Whether the command that asks for its health has ended with status 0 when it ran last."""

    def has_shell(self) -> bool:
        """Whether it has what a platform runs a command with, as a health check in its container is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLaunch:
    """What to start of an image of the user's own.

    Attributes:
        image: The image.
        package_digest: The package, whose files the image may read.
        device: The device to test on.
        cpus: Cores, None for the backend's own default.
        memory_mb: Memory limit in megabytes (10^6 bytes).
        user: The user that it runs as.
        ports: Where it is asked.
        health: Its health check; a command is run by the engine itself.
        run: The DAG run, for labels and sweeping.
        task: The task, likewise; with its map index where it is one of many that run at once.
        attempt: Which try of the task this is, from 1.
    """

    image: Image
    package_digest: str
    device: Device
    cpus: float | None
    memory_mb: int
    user: str
    ports: tuple[int, ...]
    health: Health
    run: RunRef
    task: str
    attempt: int
