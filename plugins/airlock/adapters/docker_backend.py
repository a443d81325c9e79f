"""The container engine as a backend: images layer by layer, services in a sandbox."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
from docker.errors import APIError, ImageNotFound, NotFound
from docker.models.containers import Container

from airlock.adapters.build_litter import remove_old_litter
from airlock.adapters.docker_bake import image_gone
from airlock.adapters.docker_client import (
    ENGINE_ERRORS,
    OWNER_LABEL,
    RUN_LABEL,
    TASK_LABEL,
    ClientFactory,
    docker_answers,
    engine_errors,
)
from airlock.adapters.docker_images import RuntimeImages
from airlock.adapters.docker_options import HostDevices, container_options
from airlock.adapters.docker_service import ContainerService
from airlock.adapters.docker_user_image import UserImages
from airlock.adapters.host_devices import host_devices
from airlock.adapters.image_credentials import CredentialsOf, nobody
from airlock.adapters.image_repository import ImageRepository
from airlock.adapters.install_settings import InstallSettings
from airlock.adapters.owner import LONGEST_TEST_S, is_gone
from airlock.adapters.relayed_service import RelayedService
from airlock.adapters.run_folders import RunFolders, socket_path
from airlock.adapters.serving_code import serving_digest
from airlock.adapters.settings import Settings
from airlock.domain.baking import BakePlan
from airlock.domain.catalogue import Runtime
from airlock.domain.device import Device
from airlock.domain.image import BackendKind, BuildPlan, Image, Isolation
from airlock.domain.image_reference import ImageReference
from airlock.domain.package import Manifest
from airlock.domain.version import RunRef
from airlock.ports.clock import Clock
from airlock.ports.running_service import ImageLaunch, Launch

__all__ = ["DockerBackend", "docker_answers"]

log = logging.getLogger(__name__)

OLD_LITTER_S = 600.0
#: How often a container's removal is asked for, and how long after each refusal.
REMOVE_TRIES = 4
REMOVE_WAIT_S = 1.0


class DockerBackend:
    """Builds images and runs containers.

    Args:
        settings: The installation's settings.
        install: Where packages come from.
        package_folder: Package digest → folder on the engine's host that contains `model/`.
        clock: Time.
        clients: Makes a client; the one of the environment (DOCKER_HOST and so on) by default.
        credentials_of: How registries of images know us.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        install: InstallSettings,
        package_folder: Callable[[str], str],
        clock: Clock,
        clients: ClientFactory = docker.from_env,
        credentials_of: CredentialsOf = nobody,
    ) -> None:
        self._settings = settings
        self._install = install
        self._package_folder = package_folder
        self._clock = clock
        self._clients = clients
        self._credentials_of = credentials_of
        self._serving_folder = settings.include_dir / "runtimes" / "serving"
        self._serving_digests: dict[str, str] = {}
        self._folders = RunFolders(settings.work_dir)

    @property
    def kind(self) -> BackendKind:
        """Images and containers."""
        return BackendKind.DOCKER

    @property
    def isolation(self) -> Isolation:
        """A container."""
        return Isolation.CONTAINER

    @property
    def machine(self) -> str:
        """That of the engine's host, which may be another one than this process's."""
        return str(self._info.get("Architecture") or "")

    @functools.cached_property
    def _client(self) -> docker.DockerClient:
        with engine_errors("asked for its version"):
            return self._clients()

    @functools.cached_property
    def _host(self) -> HostDevices:
        return host_devices(self._info, self._settings.ascend_access)

    @functools.cached_property
    def _info(self) -> dict[str, object]:
        with engine_errors("asked for its facts"):
            return dict(self._client.info())

    def serving_digest(self, runtime: Runtime) -> str:
        """Digest of the serving code and the runtime's stand-in, read once."""
        if runtime.stand_in_for not in self._serving_digests:
            self._serving_digests[runtime.stand_in_for] = serving_digest(self._serving_folder, runtime.stand_in_for)
        return self._serving_digests[runtime.stand_in_for]

    def devices(self) -> frozenset[Device]:
        """Devices of the engine's host that the engine can hand to a container."""
        return self._host.devices()

    # ── images of runtimes ───────────────────────────────────────────────────────────────────────────────────────────

    @functools.cached_property
    def _images(self) -> RuntimeImages:
        settings, machine = self._settings, self.machine
        repository = None
        if settings.image_repository:
            repository = ImageRepository(
                self._client,
                settings.image_repository,
                credentials_of=self._credentials_of,
                machine=machine,
                timeout_s=settings.build_timeout_s,
                max_bytes=settings.max_image_bytes,
                clock=self._clock,
            )
        return RuntimeImages(
            self._client,
            clients=self._clients,
            settings=settings,
            install=self._install,
            package_folder=self._package_folder,
            serving_folder=self._serving_folder,
            machine=machine,
            repository=repository,
            clock=self._clock,
        )

    def base_at_hand(self, plan: BuildPlan) -> bool:
        """Whether what a plan starts from is on this engine, or the whole image is, or a registry may have it."""
        return plan.base_may_be_pulled or self._images.at_hand(plan)

    def build(self, plan: BuildPlan, log: Callable[[str], None]) -> Image:
        """Make the layers that are missing.

        Raises:
            BuildFailed: The same plan will fail again.
            RuntimeUnavailable: The runtime cannot be had on this machine.
            SettingInvalid: The registry of images refuses us.
            BackendUnavailable: The engine, the network, an index or the registry did not answer.
        """
        return self._images.build(plan, log)

    def bake(self, plan: BakePlan, manifest: Manifest, log: Callable[[str], None]) -> Image:
        """Make an image that holds its package.

        Raises:
            BuildFailed: It takes too long, or the runtime's image is gone.
            StoreDamaged: The package in the store is not what its manifest says.
            SettingInvalid: The registry of images refuses us.
            BackendUnavailable: The engine or the registry did not answer.
        """
        return self._images.bake(plan, manifest, log)

    def image_present(self, image: Image) -> bool:
        """Whether the very same image is on this engine."""
        return self._images.present(image)

    def image_in_registry(self, image: Image) -> bool:
        """Whether a registry has the very same image; nothing is pulled.

        Raises:
            BackendUnavailable: The engine or the registry did not answer, or the registry does not open to us.
        """
        return self._images.offered(image) if image.own is None else self._user_images.offered(image)

    # ── serving ──────────────────────────────────────────────────────────────────────────────────────────────────────

    @contextlib.contextmanager
    def serve(self, launch: Launch) -> Iterator[ContainerService]:
        """Start a container; leaving the context removes it with all that it wrote.

        Raises:
            BackendUnavailable: The engine does not answer, or refuses to start it.
            BuildFailed: The image is neither here nor in a registry.
        """
        self._remove_abandoned()
        self._remove(launch.run, launch.task)
        image = self._images.have(launch.image, log.info)
        package = self._package_folder(launch.package_digest)
        folder = self._folders.make(launch.run, launch.task)
        container: Container | None = None
        service: ContainerService | None = None
        try:
            socket = Path(socket_path(folder))
            socket.parent.mkdir()
            # The container's user is nobody in particular; nobody else on the host gets past the folder above.
            socket.parent.chmod(0o777)
            options = container_options(
                launch, package_folder=package, socket_folder=str(socket.parent), host=self._host
            )
            with engine_errors("starting a container"):
                try:
                    container = self._client.containers.create(image, **options)
                except ImageNotFound:
                    raise image_gone(launch.image.reference) from None
                container.start()
            service = ContainerService(self._client, container, str(socket))
            yield service
        finally:
            if service is not None:
                service.close()
            if container is not None:
                self._remove_container(str(container.id))
            self._folders.remove(folder)

    # ── images of the user's own ─────────────────────────────────────────────────────────────────────────────────────

    @functools.cached_property
    def _user_images(self) -> UserImages:
        return UserImages(
            self._client,
            settings=self._settings,
            machine=str(self._info.get("Architecture") or ""),
            host=self._host,
            folders=self._folders,
            package_folder=self._package_folder,
            credentials_of=self._credentials_of,
            remove=self._remove_container,
            clock=self._clock,
        )

    def obtain(self, reference: ImageReference, log: Callable[[str], None]) -> Image:
        """Have an image of the user's own on this worker.

        Raises:
            ImageRefused: It cannot be had, or cannot be served here.
            BackendUnavailable: The engine or the image's registry did not answer.
        """
        return self._user_images.obtain(reference, log)

    @contextlib.contextmanager
    def serve_image(self, launch: ImageLaunch) -> Iterator[RelayedService]:
        """Start an image of the user's own; leaving the context removes its containers with all that they wrote.

        Raises:
            ImageRefused: The engine cannot start it, or it is gone and cannot be pulled again.
            BackendUnavailable: The engine does not answer.
        """
        self._remove_abandoned()
        self._remove(launch.run, launch.task)
        with self._user_images.serve(launch) as service:
            yield service

    # ── leftovers ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _remove_container(self, identity: str) -> bool:
        """Remove a container; a failure is logged, because what is left is found again by its labels."""
        tries_left = REMOVE_TRIES
        while True:
            tries_left -= 1
            try:
                self._client.api.remove_container(identity, force=True, v=True)
                return True
            except NotFound:
                return False
            except ENGINE_ERRORS as error:
                # The engine kills, waits ten seconds and gives up; hundreds of processes on a busy host end later.
                if not tries_left or not isinstance(error, APIError) or not error.is_server_error():
                    log.warning("Container %s could not be removed: %s", identity[:12], error)
                    return False
            self._clock.sleep(REMOVE_WAIT_S)

    def sweep(self, run: RunRef) -> int:
        """Remove the containers and folders of a run; and what builds left so long ago that none can be going on."""
        with engine_errors("looking for litter of builds"):
            old = remove_old_litter(self._client, self._clock.now() - self._settings.build_timeout_s - OLD_LITTER_S)
        if old:
            log.info("Removed %d leftovers of builds whose workers were killed.", old)
        return self._remove(run, None) + self._remove_abandoned()

    def _remove_abandoned(self) -> int:
        """Remove what processes left that were killed, in any run: theirs may never be tried again."""
        with engine_errors("looking for leftovers"):
            found = self._client.api.containers(all=True, filters={"label": [RUN_LABEL, OWNER_LABEL]})
        now = self._clock.now()
        count = 0
        for container in found:
            gone = is_gone(container["Labels"][OWNER_LABEL])
            if gone or (gone is None and container["Created"] < now - LONGEST_TEST_S):
                count += self._remove_container(container["Id"])
        with engine_errors("looking for leftovers"):
            # They go with their containers, unless those were removed by somebody else.
            volumes = self._client.volumes.list(filters={"label": [RUN_LABEL, OWNER_LABEL]})
            for volume in volumes:
                if is_gone(volume.attrs["Labels"][OWNER_LABEL]):
                    with contextlib.suppress(NotFound, APIError):
                        volume.remove()
                        count += 1
        for folder in self._folders.abandoned(now):
            self._folders.remove(folder)
            count += 1
        if count:
            log.warning("Removed %d leftovers of tests whose processes were killed.", count)
        return count

    def _remove(self, run: RunRef, task: str | None) -> int:
        wanted = [f"{RUN_LABEL}={run}"] + ([f"{TASK_LABEL}={task}"] if task is not None else [])
        with engine_errors("looking for leftovers"):
            containers = self._client.api.containers(all=True, filters={"label": wanted})
        count = sum(self._remove_container(container["Id"]) for container in containers)
        for folder in self._folders.found(run, task):
            self._folders.remove(folder)
            count += 1
        return count
