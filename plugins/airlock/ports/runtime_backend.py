"""What builds runtimes and images and runs them: a container engine, or child processes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from airlock.domain.baking import BakePlan
from airlock.domain.catalogue import Runtime
from airlock.domain.device import Device
from airlock.domain.image import BackendKind, BuildPlan, Image, Isolation
from airlock.domain.image_reference import ImageReference
from airlock.domain.package import Manifest
from airlock.domain.version import RunRef
from airlock.ports.running_service import ImageLaunch, Launch, RunningImage, RunningService


class RuntimeBackend(Protocol):
    """What builds runtimes and runs services."""

    @property
    def kind(self) -> BackendKind:
        """Which backend this is."""

    @property
    def isolation(self) -> Isolation:
        """What stands between user code and the host."""

    @property
    def machine(self) -> str:
        """Architecture that it builds for, as `uname -m` names it.

        Raises:
            BackendUnavailable: The engine does not answer.
        """

    def serving_digest(self, runtime: Runtime) -> str:
        """Digest of the serving code that goes into a runtime, with the runtime's stand-in where it has one."""

    def devices(self) -> frozenset[Device]:
        """Devices that this worker can test on."""

    def base_at_hand(self, plan: BuildPlan) -> bool:
        """Whether the base image of a plan is on this worker, or may be pulled. Asked before a variant is chosen."""

    def build(self, plan: BuildPlan, log: Callable[[str], None]) -> Image:
        """Make what is missing of a runtime.

        Args:
            plan: The layers.
            log: Takes one line of progress or build output at a time.

        Raises:
            BuildFailed: The same plan will fail again.
            RuntimeUnavailable: The runtime cannot be had on this machine.
            BackendUnavailable: The engine, the network or an index did not answer.
        """

    def bake(self, plan: BakePlan, manifest: Manifest, log: Callable[[str], None]) -> Image:
        """Make an image that holds its package.

        Args:
            plan: The runtime's image, and what the new one is called.
            manifest: The package's files.
            log: Takes one line of progress at a time.

        Raises:
            RuntimeUnavailable: This backend makes no images.
            BuildFailed: The same plan will fail again.
            StoreDamaged: The package in the store is not what its manifest says.
            BackendUnavailable: The engine or a registry did not answer.
        """

    def image_present(self, image: Image) -> bool:
        """Whether the image can be started on this worker."""

    def image_in_registry(self, image: Image) -> bool:
        """Whether a registry has the image under its digest, so that this worker could pull it.

        Raises:
            BackendUnavailable: The engine or the registry did not answer, or the registry does not open to us.
        """

    def serve(self, launch: Launch) -> AbstractContextManager[RunningService]:
        """Start a service; leaving the context ends it and removes all of it.

        Raises:
            BackendUnavailable: The engine does not answer.
            BuildFailed: The image is neither here nor in a registry.
        """

    def obtain(self, reference: ImageReference, log: Callable[[str], None]) -> Image:
        """Have an image of the user's own on this worker, and look at it.

        Args:
            reference: How the configuration names it.
            log: Takes one line of progress at a time.

        Raises:
            ImageRefused: It cannot be had, or cannot be served here.
            BackendUnavailable: The engine or the image's registry did not answer.
        """

    def serve_image(self, launch: ImageLaunch) -> AbstractContextManager[RunningImage]:
        """Start an image of the user's own; leaving the context ends it and removes all of it.

        Raises:
            ImageRefused: The image cannot be had any more.
            BackendUnavailable: The engine or the image's registry did not answer.
        """

    def sweep(self, run: RunRef) -> int:
        """Remove whatever this run left behind, and return how many things that were."""
