"""The images of runtimes on one engine: layer by layer, each made once, however many ask for it; pulled where a
registry has them, pushed where they were made, and with the package inside where that is asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import docker
from docker.errors import ImageNotFound

from airlock.adapters.build_litter import Signature
from airlock.adapters.build_log import BuildLog, log_path
from airlock.adapters.docker_bake import PackageBake, image_gone
from airlock.adapters.docker_build import LayerBuild
from airlock.adapters.docker_client import ClientFactory, engine_errors
from airlock.adapters.docker_context import build_arguments, build_context
from airlock.adapters.docker_install import LayerInstall
from airlock.adapters.file_lock import file_lock
from airlock.adapters.image_repository import ImageRepository
from airlock.adapters.install_settings import InstallSettings
from airlock.adapters.settings import Settings
from airlock.domain.baking import PACKAGE_LAYER, BakePlan
from airlock.domain.catalogue import Runtime, other_machine
from airlock.domain.image import (
    BASE_LAYER,
    BackendKind,
    BuildPlan,
    BuiltLayer,
    Image,
    Isolation,
    Layer,
)
from airlock.domain.package import Manifest
from airlock.domain.user_image import runnable
from airlock.errors import RuntimeUnavailable
from airlock.ports.clock import Clock

Log = Callable[[str], None]


class RuntimeImages:
    """Has the images of runtimes.

    Args:
        client: The engine's client.
        clients: Makes further ones.
        settings: The installation's settings.
        install: Where packages come from.
        package_folder: Package digest → folder on the engine's host that contains `model/`.
        serving_folder: The serving code.
        machine: The engine's architecture, as `uname -m` names it.
        repository: Where images are pushed to and pulled from, None for nowhere.
        clock: Time.
    """

    def __init__(
        self,
        client: docker.DockerClient,
        *,
        clients: ClientFactory,
        settings: Settings,
        install: InstallSettings,
        package_folder: Callable[[str], str],
        serving_folder: Path,
        machine: str,
        repository: ImageRepository | None,
        clock: Clock,
    ) -> None:
        self._client = client
        self._settings = settings
        self._install = install
        self._package_folder = package_folder
        self._serving_folder = serving_folder
        self._machine = machine
        self._repository = repository
        self._clock = clock
        network, timeout_s = settings.build_network, settings.build_timeout_s
        self._locks = settings.work_dir / "locks"
        self._signature = signature = Signature.of(self._locks)
        self._builder = LayerBuild(clients, network=network, timeout_s=timeout_s, clock=clock, builder=signature)
        self._installer = LayerInstall(clients, network=network, timeout_s=timeout_s, clock=clock, builder=signature)
        self._bake = PackageBake(clients, timeout_s=timeout_s, clock=clock, builder=signature)

    # ── making ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def build(self, plan: BuildPlan, log: Log) -> Image:
        """Make the layers that are missing here and in the registry.

        Raises:
            BuildFailed: The same plan will fail again.
            RuntimeUnavailable: The runtime cannot be had on this machine.
            SettingInvalid: The registry of images refuses us.
            BackendUnavailable: The engine, the network, an index or the registry did not answer.
        """
        if self._machine not in plan.runtime.architectures:
            raise RuntimeUnavailable("BLD008", *other_machine(plan.runtime, self._machine))
        last = plan.layers[-1]
        started = self._clock.monotonic()
        if self._found(last.tag, log):
            seconds = self._clock.monotonic() - started
            layers = tuple(self._reused(layer.name, layer.tag, seconds) for layer in plan.layers)
        else:
            layers = tuple(self._layer(plan, layer, log) for layer in plan.layers)
        return self._image(plan.runtime, last.tag, layers, log)

    def bake(self, plan: BakePlan, manifest: Manifest, log: Log) -> Image:
        """Make an image that holds its package.

        Raises:
            BuildFailed: It takes too long, or the runtime's image is gone.
            StoreDamaged: The package in the store is not what its manifest says.
            SettingInvalid: The registry of images refuses us.
            BackendUnavailable: The engine or the registry did not answer.
        """
        started = self._clock.monotonic()
        if self._found(plan.model.tag, log):
            seconds = self._clock.monotonic() - started
            made = tuple(
                self._reused(name, tag, seconds)
                for name, tag in ((PACKAGE_LAYER, plan.content_tag), (plan.model.name, plan.model.tag))
            )
        else:
            base = self.have(plan.image, log)
            package = Path(self._package_folder(plan.package_digest))
            made = (
                self._once(
                    PACKAGE_LAYER,
                    plan.content_tag,
                    lambda tell: self._bake.make(plan, base, manifest, package, tell),
                    log,
                ),
                # No other host has use for a package's layer without the names above it.
                self._once(
                    plan.model.name,
                    plan.model.tag,
                    lambda tell: self._make(plan.runtime, plan.model, None, tell),
                    log,
                ),
            )
        return replace(self._image(plan.runtime, plan.model.tag, (*plan.image.layers, *made), log), baked=True)

    def _layer(self, plan: BuildPlan, layer: Layer, log: Log) -> BuiltLayer:
        def make(tell: Log) -> None:
            if layer.name == BASE_LAYER:
                self._builder.have_base(plan, tell)
            self._make(plan.runtime, layer, plan, tell)
            if self._repository is not None and layer is not plan.layers[-1]:
                self._repository.publish(layer.tag, tell)

        return self._once(layer.name, layer.tag, make, log)

    def _once(self, name: str, tag: str, make: Callable[[Log], None], log: Log) -> BuiltLayer:
        """Find or make one layer: of all processes with this `work_dir` one makes it, and the others wait for it."""
        started = self._clock.monotonic()
        if not self._present(tag):
            lock = hashlib.sha256(tag.encode()).hexdigest()[:20]
            with file_lock(
                self._locks / f"{lock}.lock",
                limit_s=self._settings.build_timeout_s,
                clock=self._clock,
                what=f"image {tag}",
                tell=log,
            ):
                if not self._found(tag, log):
                    kept = BuildLog(self._settings.work_dir, _log_key(name, tag), log)
                    make(kept.line)
                    seconds = self._clock.monotonic() - started
                    kept.line(f"Layer {name}: {tag} made in {seconds:.1f} s.")
                    return BuiltLayer(name=name, tag=tag, reused=False, seconds=round(seconds, 3), log=str(kept.path))
        return self._reused(name, tag, self._clock.monotonic() - started)

    def _reused(self, name: str, tag: str, seconds: float) -> BuiltLayer:
        kept = log_path(self._settings.work_dir, _log_key(name, tag))
        return BuiltLayer(
            name=name, tag=tag, reused=True, seconds=round(seconds, 3), log=str(kept) if kept.exists() else ""
        )

    def _make(self, runtime: Runtime, layer: Layer, plan: BuildPlan | None, log: Log) -> None:
        package = Path(self._package_folder(plan.package_digest)) if plan and layer.bundled_wheels else None
        with build_context(
            runtime,
            layer,
            install=self._install,
            serving_folder=self._serving_folder,
            package_folder=package,
            machine=self._machine,
            work_dir=self._settings.work_dir,
            signature=self._signature,
        ) as context:
            arguments = build_arguments(runtime, layer, self._install, self._machine)
            how = self._installer if layer.program else self._builder
            how.make(runtime, layer, context, arguments, log)

    def _image(self, runtime: Runtime, tag: str, layers: tuple[BuiltLayer, ...], log: Log) -> Image:
        reference = tag if self._repository is None else self._repository.publish(tag, log)
        with engine_errors("asked for an image"):
            attributes = self._client.images.get(tag).attrs
        return Image(
            backend=BackendKind.DOCKER,
            isolation=Isolation.CONTAINER,
            reference=reference,
            digest=reference.partition("@")[2] or str(attributes["Id"]),
            size_bytes=int(attributes["Size"]),
            layers=layers,
            log=next((layer.log for layer in reversed(layers) if not layer.reused), ""),
            build=runtime.build,
        )

    # ── finding ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def present(self, image: Image) -> bool:
        """Whether the very same image is on this engine."""
        return self._present(runnable(image.reference, image.digest))

    def offered(self, image: Image) -> bool:
        """Whether the installation's registry has the very same image."""
        name = runnable(image.reference, image.digest)
        return "@" in name and self._repository is not None and self._repository.offers(name)

    def at_hand(self, plan: BuildPlan) -> bool:
        """Whether what a plan starts from is on this engine, or the whole image is."""
        return self._present(plan.layers[0].base) or self._present(plan.layers[-1].tag)

    def have(self, image: Image, log: Log) -> str:
        """The image's name for the engine, never a tag; one that a registry has is pulled where it is missing.

        Raises:
            BuildFailed: It is neither here nor in a registry.
            SettingInvalid: The registry refuses us.
            BackendUnavailable: The engine or the registry did not answer.
        """
        name = runnable(image.reference, image.digest)
        if not self._present(name):
            if "@" not in name or self._repository is None:
                raise image_gone(image.reference)
            self._repository.have(name, image.layers[-1].tag, log)
        return name

    def _found(self, tag: str, log: Log) -> bool:
        """Whether an image is here, or is now because a registry had it."""
        if self._present(tag):
            log(f"The image {tag} is there already.")
            return True
        return self._repository is not None and self._repository.fetch(tag, log)

    def _present(self, reference: str) -> bool:
        with engine_errors("looking for an image"):
            try:
                self._client.images.get(reference)
            except ImageNotFound:
                return False
            return True


def _log_key(name: str, tag: str) -> str:
    return f"{name}-{tag.rpartition(':')[2]}"
