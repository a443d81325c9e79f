"""One image layer, built by the container engine with a time limit, a log, and an error that says what to change."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

import docker
from docker.errors import APIError, ImageNotFound, NotFound

from airlock.adapters.build_litter import Signature, has_litter, name_image, remove_litter
from airlock.adapters.build_output import KEPT_LINES, OutputLines, plain_line, too_slow
from airlock.adapters.deadline_stream import TimeOver, until
from airlock.adapters.docker_client import ENGINE_ERRORS, ClientFactory, engine_errors, engine_gone
from airlock.adapters.install_failures import install_error, read_failure
from airlock.domain.base_images import missing_base
from airlock.domain.catalogue import Runtime
from airlock.domain.findings import shown
from airlock.domain.image import BuildPlan, Layer
from airlock.errors import AirlockError, BackendUnavailable, RuntimeUnavailable
from airlock.ports.clock import Clock

#: How long a killed build may take to end before its stream is left to itself.
END_GRACE_S = 15.0
LOOK_S = 0.2
_KILLED_STATUSES = (137, 143)


class LayerBuild:
    """Builds layers on one engine.

    Args:
        clients: Makes a client of the engine.
        network: Network of the build, as `docker build --network` takes it.
        timeout_s: Seconds that one layer may take.
        clock: Time.
        builder: Who builds.
    """

    def __init__(
        self, clients: ClientFactory, *, network: str, timeout_s: float, clock: Clock, builder: Signature
    ) -> None:
        self._clients = clients
        self._builder = builder
        self._network = network
        self._timeout_s = timeout_s
        self._clock = clock

    def make(
        self,
        runtime: Runtime,
        layer: Layer,
        context: IO[bytes],
        arguments: Mapping[str, str],
        log: Callable[[str], None],
    ) -> None:
        """Build a layer and tag it; nothing of a failed build stays.

        Raises:
            BuildFailed: The same layer will fail again.
            RuntimeUnavailable: One of the runtime's own pins cannot be had.
            BackendUnavailable: The engine, the network or the index did not answer.
        """
        client = self._client()
        try:
            with engine_errors("looking for litter of an earlier build"):
                remove_litter(client, layer.tag, self._builder)
            try:
                self._build(client, runtime, layer, context, arguments, log)
            finally:
                # The stage that installs is an image without a tag as large as what it installed.
                with contextlib.suppress(*ENGINE_ERRORS):
                    remove_litter(client, layer.tag, self._builder)
        finally:
            client.close()

    def _client(self) -> docker.DockerClient:
        with engine_errors("asked for its version"):
            return self._clients()

    def have_base(self, plan: BuildPlan, log: Callable[[str], None]) -> None:
        """Pull what a plan starts from, where it is not on the engine and may be pulled.

        Raises:
            RuntimeUnavailable: It cannot be had.
            BackendUnavailable: The engine or the base image's registry did not answer.
        """
        client = self._client()
        try:
            self._have_base(client, plan, log)
        finally:
            client.close()

    def _have_base(self, client: docker.DockerClient, plan: BuildPlan, log: Callable[[str], None]) -> None:
        base = plan.layers[0].base
        message, remedy = missing_base(plan)
        with engine_errors("looking for a base image"):
            try:
                client.images.get(base)
                return
            except ImageNotFound:
                pass
        if not plan.base_may_be_pulled:
            raise RuntimeUnavailable("BLD007", message, remedy)
        log(f"The base image {base} is not on this worker: pulling it.")
        try:
            client.images.pull(base)
        except NotFound as error:
            raise RuntimeUnavailable("BLD007", f"There is no base image {base}: {shown(str(error))}", remedy) from error
        except APIError as error:
            kind = RuntimeUnavailable if error.status_code in (400, 401, 403) else BackendUnavailable
            raise kind("BLD007", f"The base image {base} cannot be pulled: {shown(str(error))}", remedy) from error
        except ENGINE_ERRORS as error:
            raise engine_gone("pulling a base image", error) from error

    def _build(
        self,
        client: docker.DockerClient,
        runtime: Runtime,
        layer: Layer,
        context: IO[bytes],
        arguments: Mapping[str, str],
        log: Callable[[str], None],
    ) -> None:
        kept: deque[str] = deque(maxlen=KEPT_LINES)
        outcome = _Outcome()
        over = threading.Event()
        over.set()
        ended = False
        try:
            with engine_errors("building an image"):
                answers = client.api.build(
                    fileobj=context,
                    custom_context=True,
                    encoding=None,
                    rm=True,
                    forcerm=True,
                    pull=False,
                    decode=True,
                    buildargs=dict(arguments),
                    network_mode=self._network,
                    # The limit that counts is the deadline below: a single read may rightly take long.
                    timeout=round(self._timeout_s) + 60,
                )
                over.clear()
                for answer in until(answers, self._clock.monotonic() + self._timeout_s, self._clock, over):
                    for line in outcome.take(answer):
                        kept.append(line)
                        log(line)
            ended = True
        except TimeOver:
            raise too_slow(runtime, layer, self._timeout_s, kept) from None
        finally:
            if not ended:
                self._abandon(layer, over)
        if outcome.error:
            raise self._error(client, runtime, layer, outcome, kept)
        if not outcome.image:
            raise engine_gone("building an image", "its output ended before the image was there")
        with engine_errors("naming a built image"):
            if not name_image(client, outcome.image, layer.tag):
                log(f"Another worker has made {layer.tag} meanwhile: its image is taken.")

    def _error(
        self, client: docker.DockerClient, runtime: Runtime, layer: Layer, outcome: _Outcome, kept: deque[str]
    ) -> AirlockError:
        with engine_errors("building an image"):
            # A dying engine ends the build's container, and the build says 137 as if the package were to blame.
            client.ping()
        return ended_from_outside(runtime, layer, outcome.status) or install_error(
            read_failure([*kept, outcome.error]), runtime, layer.name
        )

    def _abandon(self, layer: Layer, over: threading.Event) -> None:
        """End a build that nobody waits for any more: the engine ends one whose container is gone.

        Only the end of its output says that the engine makes nothing of it any more: between two steps there is neither
        a container nor an image to be seen, and a step that is being committed leaves one later.
        """
        deadline = self._clock.monotonic() + END_GRACE_S
        with contextlib.suppress(*ENGINE_ERRORS):
            client = self._clients()
            try:
                while not over.is_set() and self._clock.monotonic() < deadline:
                    remove_litter(client, layer.tag, self._builder)
                    self._clock.sleep(LOOK_S)
                # An image whose container is just being removed is refused until that is done.
                while has_litter(client, layer.tag, self._builder) and self._clock.monotonic() < deadline:
                    remove_litter(client, layer.tag, self._builder)
                    self._clock.sleep(LOOK_S)
            finally:
                client.close()


class _Outcome:
    """What a build's stream of answers says."""

    def __init__(self) -> None:
        self.error = ""
        self.status = 0
        self.image = ""
        self._lines = OutputLines()

    def take(self, answer: Mapping[str, Any]) -> Iterator[str]:
        """Take one answer, and give the whole lines that came with it."""
        if answer.get("error"):
            self.error = plain_line(str(answer["error"]))
            detail = answer.get("errorDetail")
            code = detail.get("code") if isinstance(detail, Mapping) else None
            self.status = code if isinstance(code, int) else 1
        made = answer.get("aux")
        if isinstance(made, Mapping) and made.get("ID"):
            # Stages that are done are told, too; the last is the image.
            self.image = str(made["ID"])
        return self._lines.take(str(answer.get("stream") or ""))


def ended_from_outside(runtime: Runtime, layer: Layer, status: int) -> BackendUnavailable | None:
    """The error of a build that somebody or something ended, None where it ended by itself."""
    if status not in _KILLED_STATUSES:
        return None
    return BackendUnavailable(
        "BLD010",
        f"The {layer.name} layer of {runtime} was ended from outside (status {status}).",
        "Look for a lack of memory on the worker, or for whoever stopped it.",
    )
