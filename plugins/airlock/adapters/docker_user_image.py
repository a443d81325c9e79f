"""Images of the user's own on the container engine: had from their registry, and started for a test.

The service listens on TCP ports, and its container has no network: a relay's container owns the network namespace that
the service joins, and passes what comes in on a Unix socket on to the port.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, ImageNotFound
from docker.models.containers import Container

from airlock.adapters.docker_client import engine_errors, engine_gone
from airlock.adapters.docker_image_options import relay_options, user_image_options
from airlock.adapters.docker_options import HostDevices
from airlock.adapters.docker_pull import ImagePull
from airlock.adapters.image_credentials import CredentialsOf
from airlock.adapters.relayed_service import RelayedService
from airlock.adapters.run_folders import RunFolders, socket_path
from airlock.adapters.settings import Settings
from airlock.domain.findings import shown
from airlock.domain.image import BackendKind, BuiltLayer, Image, Isolation, UserImage
from airlock.domain.image_reference import ImageReference, NoReference, parse_reference
from airlock.domain.user_image import (
    ImageFacts,
    check_image,
    check_registry,
    kept_reference,
    machine_of,
    runnable,
)
from airlock.errors import BackendUnavailable, ImageRefused, RuntimeUnavailable, SettingInvalid
from airlock.ports.clock import Clock
from airlock.ports.running_service import ImageLaunch

log = logging.getLogger(__name__)

#: What the engine says where there is nothing that can be started: no such program, no permission, another form.
_CANNOT_START = (400, 404)
#: The engine calls a USER that the image does not have an error of its own.
_NO_SUCH_USER = "no matching entries in"


class UserImages:
    """Has, checks and starts images of the user's own.

    Args:
        client: The engine's client.
        settings: The installation's settings.
        machine: The engine's architecture, as `uname -m` names it.
        host: What the engine's host has.
        folders: Folders of running services.
        package_folder: Package digest → folder on the engine's host that contains `model/`.
        credentials_of: How registries know us.
        remove: Removes a container by its identifier.
        clock: Time.
    """

    def __init__(
        self,
        client: docker.DockerClient,
        *,
        settings: Settings,
        machine: str,
        host: HostDevices,
        folders: RunFolders,
        package_folder: Callable[[str], str],
        credentials_of: CredentialsOf,
        remove: Callable[[str], bool],
        clock: Clock,
    ) -> None:
        self._client = client
        self._settings = settings
        self._machine = machine
        self._host = host
        self._folders = folders
        self._package_folder = package_folder
        self._credentials_of = credentials_of
        self._remove = remove
        self._clock = clock

    # ── having ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def obtain(self, reference: ImageReference, log: Callable[[str], None]) -> Image:
        """Have an image on this worker, and look at it.

        Raises:
            ImageRefused: It cannot be had, or cannot be served here.
            BackendUnavailable: The engine or the registry did not answer.
        """
        started = self._clock.monotonic()
        name = _engine_name(reference)
        before = self._facts(name)
        facts = before if self._settings.image_pull != "always" else None
        reused = facts is not None
        if facts is None:
            check_registry(reference, self._settings.image_registries)
            if self._settings.image_pull == "never":
                raise ImageRefused(
                    "IMG001",
                    f"The image {reference} is not on this worker, and `[airlock] image_pull` is never.",
                    "Bring it to every worker, or let it be pulled.",
                )
            log(f"Pulling {reference}.")
            facts = self._pulled(reference, log)
        else:
            log(f"The image {reference} is on this worker; its registry is not asked.")
        try:
            check_image(reference, facts, machine=self._machine, max_bytes=self._settings.max_image_bytes)
        except ImageRefused:
            if before is None:
                self._forget(name)
            raise
        self._have_relay(log)
        kept, digest = kept_reference(reference, facts)
        seconds = round(self._clock.monotonic() - started, 3)
        return Image(
            backend=BackendKind.DOCKER,
            isolation=Isolation.CONTAINER,
            reference=kept,
            digest=digest,
            size_bytes=facts.size_bytes,
            layers=(BuiltLayer(name="image", tag=str(reference), reused=reused, seconds=seconds),),
            log="",
            own=facts.own,
        )

    def _pulled(self, reference: ImageReference, log: Callable[[str], None]) -> ImageFacts:
        pull = ImagePull(
            self._client,
            machine=self._machine,
            timeout_s=self._settings.build_timeout_s,
            max_bytes=self._settings.max_image_bytes,
            clock=self._clock,
        )
        pull.pull(reference, self._credentials_of(reference.registry), log)
        facts = self._facts(_engine_name(reference))
        if facts is None:
            raise engine_gone("pulling an image", "its output ended before the image was there")
        return facts

    def _facts(self, name: str) -> ImageFacts | None:
        with engine_errors("looking for an image"):
            try:
                return facts_of(self._client.images.get(name).attrs)
            except ImageNotFound:
                return None

    def _forget(self, name: str) -> None:
        """Remove what was pulled and refused; whoever uses it meanwhile keeps it."""
        with contextlib.suppress(BackendUnavailable), engine_errors("removing an image"):
            self._client.images.remove(name)

    def _have_relay(self, log: Callable[[str], None]) -> str:
        name = self._settings.base_image_prefix + self._settings.relay_image
        try:
            reference = parse_reference(name)
        except NoReference as error:
            raise SettingInvalid("SET001", f"`[airlock] relay_image` is {name!r}: {error}.", "Correct it.") from None
        if self._facts(_engine_name(reference)) is None:
            log(f"The relay's image {name} is not on this worker: pulling it.")
            try:
                self._pulled(reference, log)
            except ImageRefused as error:
                raise RuntimeUnavailable(
                    "BLD007",
                    f"The image that the test's relay runs in cannot be had: {error.message}",
                    "Make it on this worker (`make base-images`), or name another image with Python in "
                    "`[airlock] relay_image`.",
                ) from error
        return _engine_name(reference)

    def offered(self, image: Image) -> bool:
        """Whether the image's registry has the very same image, and this worker may pull it.

        Raises:
            BackendUnavailable: The engine or the registry did not answer, or the registry does not open to us.
        """
        name = runnable(image.reference, image.digest)
        if "@" not in name or self._settings.image_pull == "never":
            return False
        reference = parse_reference(name)
        pull = ImagePull(
            self._client,
            machine=self._machine,
            timeout_s=self._settings.build_timeout_s,
            max_bytes=self._settings.max_image_bytes,
            clock=self._clock,
        )
        return pull.offers(reference, self._credentials_of(reference.registry))

    # ── starting ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @contextlib.contextmanager
    def serve(self, launch: ImageLaunch) -> Iterator[RelayedService]:
        """Start an image; leaving the context removes its containers with all that they wrote.

        Raises:
            ImageRefused: The engine cannot start it, or it is gone and cannot be pulled again.
            BackendUnavailable: The engine does not answer.
        """
        name = self._have_again(launch.image)
        relay_image = self._have_relay(log.info)
        folder = self._folders.make(launch.run, launch.task)
        containers: list[Container] = []
        service: RelayedService | None = None
        try:
            sockets = Path(socket_path(folder)).parent
            sockets.mkdir()
            # The relay's user is nobody in particular; nobody else on the host gets past the folder above.
            sockets.chmod(0o777)
            with engine_errors("starting a relay"):
                relay = self._client.containers.create(
                    relay_image, **relay_options(launch, self._relay_program(), str(sockets))
                )
                containers.append(relay)
                relay.start()
            options = user_image_options(
                launch,
                relay=str(relay.id),
                model_folder=str(Path(self._package_folder(launch.package_digest), "model")),
                host=self._host,
            )
            container = self._started(name, options, containers)
            service = RelayedService(self._client, container, relay, str(sockets), launch.ports)
            yield service
        finally:
            if service is not None:
                service.close()
            for left in reversed(containers):
                self._remove(str(left.id))
            self._folders.remove(folder)

    def _started(self, name: str, options: dict[str, Any], containers: list[Container]) -> Container:
        with engine_errors("starting a container"):
            container = self._client.containers.create(name, **options)
            containers.append(container)
            try:
                container.start()
            except APIError as error:
                if error.status_code not in _CANNOT_START and _NO_SUCH_USER not in str(error.explanation):
                    raise
                raise ImageRefused(
                    "IMG010",
                    f"The engine cannot start the image: {shown(str(error.explanation), 300)}",
                    "Correct CMD, ENTRYPOINT, USER or WORKDIR in its Dockerfile.",
                ) from error
        return container

    def _have_again(self, image: Image) -> str:
        """The image's name for the engine; another worker than the one that looked at it may have to pull it first."""
        name = runnable(image.reference, image.digest)
        if self._facts(name) is None:
            if "@" not in name:
                raise ImageRefused(
                    "IMG009",
                    f"The image {image.reference} is no longer on this worker, and no registry has it.",
                    "Push it to a registry and name it there, or run the import's build task again.",
                )
            self._pulled(parse_reference(name), log.info)
        return name

    def _relay_program(self) -> str:
        return (self._settings.include_dir / "runtimes" / "relay.py").read_text(encoding="utf-8")


def _engine_name(reference: ImageReference) -> str:
    """The name that the engine knows an image by: with a digest it takes no tag."""
    if reference.digest:
        return f"{reference.repository}@{reference.digest}"
    return f"{reference.repository}:{reference.tag or 'latest'}"


def facts_of(attributes: dict[str, Any]) -> ImageFacts:
    """What the engine says of an image, as it answers."""
    config = attributes.get("Config") or {}
    ports = (key.partition("/") for key in config.get("ExposedPorts") or {})
    return ImageFacts(
        identity=str(attributes["Id"]),
        repository_digests=tuple(attributes.get("RepoDigests") or ()),
        size_bytes=int(attributes.get("Size") or 0),
        operating_system=str(attributes.get("Os") or ""),
        starts=bool(config.get("Cmd") or config.get("Entrypoint")),
        own=UserImage(
            user=str(config.get("User") or ""),
            ports=tuple(sorted(int(port) for port, _, kind in ports if port.isdecimal() and kind in ("", "tcp"))),
            volumes=tuple(sorted(config.get("Volumes") or ())),
            architecture=machine_of(str(attributes.get("Architecture") or "")),
        ),
    )
