"""An image that holds its package, for whoever wants one thing to deploy. It is tested itself, like every image."""

from __future__ import annotations

from collections.abc import Callable

from airlock.domain.baking import PACKAGE_LAYER, plan_bake
from airlock.domain.catalogue import Runtime
from airlock.domain.image import Image
from airlock.domain.package import Package
from airlock.domain.record import Accepted
from airlock.domain.version import EventKind
from airlock.errors import ImageRefused
from airlock.ports.package_store import PackageStore
from airlock.ports.registry import History
from airlock.ports.runtime_backend import RuntimeBackend


def bake(
    accepted: Accepted,
    package: Package,
    runtime: Runtime,
    image: Image,
    *,
    store: PackageStore,
    backend: RuntimeBackend,
    registry: History,
    log: Callable[[str], None],
) -> Image:
    """Lay the package into the runtime's image.

    Args:
        accepted: The version.
        package: The staged package.
        runtime: The build of the catalogue's row that the image is of.
        image: The runtime's image.
        store: Where the package lies.
        backend: What makes images.
        registry: For the version's history.
        log: Takes a line of progress at a time.

    Raises:
        RuntimeUnavailable: The backend makes no images.
        BuildFailed: It takes too long, or the runtime's image is gone.
        StoreDamaged: The package in the store is not what its manifest says.
        BackendUnavailable: The engine or a registry did not answer.
    """
    plan = plan_bake(
        runtime,
        image,
        package_digest=package.digest,
        source=package.source,
        model_name=accepted.reservation.model_name,
        model_version=accepted.reservation.model_version,
    )
    made = backend.bake(plan, store.manifest(package.digest), log)
    layer = next(layer for layer in made.layers if layer.name == PACKAGE_LAYER)
    how = "reused" if layer.reused else f"made of {package.size_bytes:,} bytes in {layer.seconds:.1f} s"
    registry.add_event(
        accepted.reservation,
        EventKind.NORMAL,
        f"Image with the model inside: {made.reference}, {made.digest}; package layer {how}.",
    )
    return made


def nothing_to_bake(reference: str) -> ImageRefused:
    """The error of an image of the user's own, which is kept as it is."""
    return ImageRefused(
        "IMG013",
        f"The image {reference} is the package's own: it is kept as it is, and the package is mounted into it.",
        "Leave out `bake_model`, or build the model into the image.",
    )
