"""A backend that builds nothing and runs services that behave as told."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from airlock.domain.baking import PACKAGE_LAYER, BakePlan
from airlock.domain.base_images import missing_base
from airlock.domain.catalogue import Runtime
from airlock.domain.device import Device
from airlock.domain.image import BackendKind, BuildPlan, BuiltLayer, Image, Isolation, UserImage
from airlock.domain.image_reference import ImageReference
from airlock.domain.package import Manifest
from airlock.domain.version import RunRef
from airlock.errors import BackendUnavailable, BuildFailed, ImageRefused, RuntimeUnavailable
from airlock.ports.running_service import ImageLaunch, Launch
from tests.fakes.clock import FakeClock
from tests.fakes.running_service import Behaviour, FakeService


class FakeBackend:
    """Builds nothing and remembers it; runs services that behave as told.

    Attributes:
        behaviour: How the next service behaves.
        on: Devices of this worker.
        machine: Its architecture.
        index: Normal names of the packages that can be installed; None means all.
        bases: Base images of variants that are on this worker.
        pulls: Base images that the installation's registry has, and that a build pulls.
        away: Whether the engine does not answer.
        tags: Layers that are there.
        registry: References of images that a registry has.
        launches: What was started.
        user_images: Name → image of the user's own that can be had.
        image_launches: What was started of those.
        as_user: User → how a service behaves that runs as it, where it is another way.
        running: Services that are running now.
        litter: Run → number of things that a killed task left behind.
    """

    def __init__(self, clock: FakeClock, behaviour: Behaviour | None = None) -> None:
        self.clock = clock
        self.behaviour = behaviour or Behaviour()
        self.on = frozenset({Device.CPU})
        self.machine = "x86_64"
        self.index: frozenset[str] | None = None
        self.bases: frozenset[str] = frozenset()
        self.pulls: frozenset[str] = frozenset()
        self.away = False
        self.tags: set[str] = set()
        self.registry: set[str] = set()
        self.launches: list[Launch] = []
        self.user_images: dict[str, UserImage] = {}
        self.image_launches: list[ImageLaunch] = []
        self.as_user: dict[str, Behaviour] = {}
        self.running: list[FakeService] = []
        self.litter: dict[RunRef, int] = {}

    @property
    def kind(self) -> BackendKind:
        return BackendKind.DOCKER

    @property
    def isolation(self) -> Isolation:
        return Isolation.CONTAINER

    def serving_digest(self, runtime: Runtime) -> str:
        return ("5a" if runtime.stand_in else "5e") * 32

    def devices(self) -> frozenset[Device]:
        return self.on

    def base_at_hand(self, plan: BuildPlan) -> bool:
        return plan.base_may_be_pulled or plan.layers[0].base in self.bases

    def build(self, plan: BuildPlan, log: Callable[[str], None]) -> Image:
        self._answer()
        if plan.runtime.base_recipe and plan.layers[0].base not in self.bases | self.pulls:
            raise RuntimeUnavailable("BLD007", *missing_base(plan))
        missing = [
            dependency.requirement()
            for dependency in plan.dependencies
            if self.index is not None and not dependency.bundled and dependency.key not in self.index
        ]
        if missing:
            raise BuildFailed("BLD010", f"Cannot be installed: {', '.join(missing)}.", "Correct `dependencies`.")
        layers = []
        for layer in plan.layers:
            reused = layer.tag in self.tags
            if not reused:
                log(f"building {layer.tag}")
            self.tags.add(layer.tag)
            layers.append(BuiltLayer(name=layer.name, tag=layer.tag, reused=reused, seconds=0.0 if reused else 2.0))
        return Image(
            backend=self.kind,
            isolation=self.isolation,
            reference=plan.layers[-1].tag,
            digest="sha256:" + hashlib.sha256(plan.key.encode()).hexdigest(),
            size_bytes=100_000_000,
            layers=tuple(layers),
            log="",
            build=plan.runtime.build,
        )

    def bake(self, plan: BakePlan, manifest: Manifest, log: Callable[[str], None]) -> Image:
        self._answer()
        if not self.image_present(plan.image):
            raise BuildFailed("BLD012", f"The image {plan.image.reference} is gone.", "Import again.")
        layers = [*plan.image.layers]
        for name, tag, seconds in ((PACKAGE_LAYER, plan.content_tag, 3.0), (plan.model.name, plan.model.tag, 0.5)):
            reused = tag in self.tags
            self.tags.add(tag)
            layers.append(BuiltLayer(name=name, tag=tag, reused=reused, seconds=0.0 if reused else seconds))
        return replace(
            plan.image,
            reference=plan.model.tag,
            digest="sha256:" + hashlib.sha256(plan.model.tag.encode()).hexdigest(),
            size_bytes=plan.image.size_bytes + manifest.size_bytes,
            layers=tuple(layers),
            baked=True,
        )

    def image_present(self, image: Image) -> bool:
        self._answer()
        return image.reference in self.tags

    def image_in_registry(self, image: Image) -> bool:
        self._answer()
        return image.reference in self.registry

    @contextmanager
    def serve(self, launch: Launch) -> Iterator[FakeService]:
        self._answer()
        if not (self.image_present(launch.image) or self.image_in_registry(launch.image)):
            raise BuildFailed("BLD011", f"The image {launch.image.reference} is gone.", "Import again.")
        service = FakeService(self.behaviour, self.clock)
        self.launches.append(launch)
        self.running.append(service)
        try:
            yield service
        finally:
            self.running.remove(service)

    def obtain(self, reference: ImageReference, log: Callable[[str], None]) -> Image:
        self._answer()
        own = self.user_images.get(str(reference))
        if own is None:
            raise ImageRefused("IMG001", f"There is no image {reference}.", "Push it.")
        log(f"Pulling {reference}.")
        digest = "sha256:" + hashlib.sha256(str(reference).encode()).hexdigest()
        return Image(
            backend=self.kind,
            isolation=self.isolation,
            reference=f"{reference.repository}@{digest}",
            digest=digest,
            size_bytes=200_000_000,
            layers=(BuiltLayer(name="image", tag=str(reference), reused=False, seconds=2.0),),
            log="",
            own=own,
        )

    @contextmanager
    def serve_image(self, launch: ImageLaunch) -> Iterator[FakeService]:
        self._answer()
        service = FakeService(self.as_user.get(launch.user, self.behaviour), self.clock)
        self.image_launches.append(launch)
        self.running.append(service)
        try:
            yield service
        finally:
            self.running.remove(service)

    def sweep(self, run: RunRef) -> int:
        return self.litter.pop(run, 0)

    def _answer(self) -> None:
        if self.away:
            raise BackendUnavailable("BLD012", "The container engine does not answer.", "Start it.")
