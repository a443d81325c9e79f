"""A layer that is installed in a container of the layer below, with the wheels that earlier builds have fetched."""

from __future__ import annotations

import contextlib
import io
import shlex
import tarfile
from collections import deque
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import IO, Any

import docker
from docker.errors import ImageNotFound
from docker.types import LogConfig, Mount

from airlock.adapters.build_litter import Signature, name_image, remove_litter
from airlock.adapters.build_output import KEPT_LINES, OutputLines, too_slow
from airlock.adapters.deadline_stream import TimeOver, until
from airlock.adapters.docker_build import ended_from_outside
from airlock.adapters.docker_client import ENGINE_ERRORS, ClientFactory, engine_errors, engine_gone
from airlock.adapters.install_failures import Kind, Reading, install_error, read_failure
from airlock.adapters.package_archive import CHUNK_BYTES
from airlock.domain.catalogue import Runtime
from airlock.domain.image import Layer
from airlock.domain.installing import (
    CACHE_FOLDER,
    CACHE_VOLUME,
    INSTALL_FOLDER,
    SCRATCH_FOLDER,
    install_environment,
)
from airlock.errors import AirlockError
from airlock.ports.clock import Clock

#: Nothing is gained by compiling what an index could not give or the disk could not take.
_FINAL = (Kind.UNREACHABLE, Kind.DISK_FULL)


@dataclass(frozen=True, slots=True)
class _Ended:
    status: int
    reading: Reading


class LayerInstall:
    """Installs layers on one engine.

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
        """Install a layer and tag it; nothing of a failed try stays.

        Wheels alone are tried first, with the shared cache; what must be compiled gets a container without it.

        Raises:
            BuildFailed: The same layer will fail again.
            BackendUnavailable: The engine, the network or the index did not answer.
        """
        deadline = self._clock.monotonic() + self._timeout_s
        with engine_errors("asked for its version"):
            client = self._clients()
        try:
            client.api.timeout = round(self._timeout_s) + 60
            for shared in (True, False):
                with engine_errors("looking for litter of an earlier build"):
                    remove_litter(client, layer.tag, self._builder)
                context.seek(0)
                variables = install_environment(arguments, shared=shared)
                ended = self._attempt(client, runtime, layer, context, variables, shared, deadline, log)
                if ended is None:
                    return
                error = self._error(client, runtime, layer, ended)
                if not shared or ended.reading.kind in _FINAL:
                    raise error
                log("Not everything has a wheel that fits: trying again with sources, without the shared cache.")
        finally:
            with contextlib.suppress(*ENGINE_ERRORS):
                remove_litter(client, layer.tag, self._builder)
            client.close()

    def _attempt(
        self,
        client: docker.DockerClient,
        runtime: Runtime,
        layer: Layer,
        context: IO[bytes],
        variables: Mapping[str, str],
        shared: bool,
        deadline: float,
        log: Callable[[str], None],
    ) -> _Ended | None:
        """One container: None where it became the layer."""
        kept: deque[str] = deque(maxlen=KEPT_LINES)
        with engine_errors("installing a layer"):
            try:
                own = client.images.get(layer.base).attrs["Config"]
            except ImageNotFound:
                raise engine_gone("installing a layer", f"the image {layer.base} was removed meanwhile") from None
            container = client.api.create_container(
                layer.base, **_container_options(client, layer, self._network, shared, self._builder)
            )["Id"]
            # Handed over in the volume, and not as the container's environment: that would become the image's.
            client.api.put_archive(container, SCRATCH_FOLDER, _environment_file(variables))
            client.api.put_archive(container, SCRATCH_FOLDER, _pieces(context))
            client.api.start(container)
            try:
                output = client.api.logs(container, stream=True, follow=True)
                lines = OutputLines()
                for piece in until(output, deadline, self._clock):
                    for line in lines.take(piece.decode("utf-8", "replace")):
                        kept.append(line)
                        log(line)
            except TimeOver:
                raise too_slow(runtime, layer, self._timeout_s, kept) from None
            status = int(client.api.wait(container)["StatusCode"])
            if status != 0:
                return _Ended(status, read_failure(kept))
            labels = {**(own["Labels"] or {}), **self._builder.labels(layer.tag)}
            made = client.api.commit(container, pause=False, conf={**own, "Labels": labels})["Id"]
            if not name_image(client, made, layer.tag):
                log(f"Another worker has made {layer.tag} meanwhile: its image is taken.")
            return None

    def _error(self, client: docker.DockerClient, runtime: Runtime, layer: Layer, ended: _Ended) -> AirlockError:
        with engine_errors("installing a layer"):
            # A dying engine ends its containers too.
            client.ping()
        return ended_from_outside(runtime, layer, ended.status) or install_error(ended.reading, runtime, layer.name)


def _container_options(
    client: docker.DockerClient, layer: Layer, network: str, shared: bool, builder: Signature
) -> dict[str, Any]:
    mounts = [Mount(SCRATCH_FOLDER, None, type="volume")]
    if shared:
        mounts.append(Mount(CACHE_FOLDER, CACHE_VOLUME, type="volume"))
    return {
        "command": ["sh", f"{INSTALL_FOLDER}/install.sh"],
        # Whatever a base image of a company's own starts, and as whom.
        "entrypoint": [],
        "user": "0:0",
        "labels": builder.labels(layer.tag),
        "host_config": client.api.create_host_config(
            mounts=mounts,
            network_mode=network,
            log_config=LogConfig(type=LogConfig.types.JSON, config={"max-size": "50m", "max-file": "1"}),
        ),
    }


def _environment_file(variables: Mapping[str, str]) -> bytes:
    text = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(variables.items())).encode()
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.GNU_FORMAT) as tar:
        entry = tarfile.TarInfo("install/environment")
        entry.size, entry.mode = len(text), 0o600
        tar.addfile(entry, io.BytesIO(text))
    return target.getvalue()


def _pieces(file: IO[bytes]) -> Generator[bytes, None, None]:
    while piece := file.read(CHUNK_BYTES):
        yield piece
