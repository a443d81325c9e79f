"""build: the runtime image or environment, of which only what is missing is made."""

from __future__ import annotations

from collections.abc import Callable

from airlock.domain.catalogue import Catalogue, Runtime
from airlock.domain.detection import Detection
from airlock.domain.engines import IMAGE
from airlock.domain.image import BuildPlan, Image, plan_build
from airlock.domain.package import Package
from airlock.domain.record import Accepted, Validated
from airlock.domain.version import EventKind
from airlock.errors import RuntimeUnavailable
from airlock.ports import PackageStore, Registry, RuntimeBackend
from airlock.steps.obtain import obtain


def build(
    accepted: Accepted,
    package: Package,
    validated: Validated,
    detection: Detection,
    *,
    store: PackageStore,
    backend: RuntimeBackend,
    registry: Registry,
    catalogue: Catalogue,
    base_image_prefix: str,
    log: Callable[[str], None],
) -> Image:
    """Make the runtime.

    Args:
        accepted: The version.
        package: The staged package; bundled wheels come from it.
        validated: Its configuration with the dependencies.
        detection: The engine and runtime.
        store: Where the package lies.
        backend: What builds.
        registry: For the version's history.
        catalogue: The known runtimes.
        base_image_prefix: Replaces the public registry in base images.
        log: Takes a line of output at a time.

    Raises:
        BuildFailed: A dependency cannot be installed, or the build ends with an error.
        RuntimeUnavailable: The runtime cannot be had on this worker.
        ImageRefused: The user's own image cannot be had, or cannot be served here.
        BackendUnavailable: The engine or the network did not answer.
    """
    if detection.engine == IMAGE:
        return obtain(accepted, validated, backend=backend, registry=registry, log=log)
    plan = plan_for(validated, detection, package, store, backend, catalogue, base_image_prefix)
    registry.add_event(accepted.reservation, EventKind.NORMAL, f"Image task started on backend {backend.kind.value}.")
    image = backend.build(plan, log)
    made = [layer for layer in image.layers if not layer.reused]
    text = (
        f"Image created: {', '.join(f'{layer.name} layer in {layer.seconds:.1f} s' for layer in made)}."
        if made
        else "Existing environment image reused."
    )
    registry.add_event(accepted.reservation, EventKind.NORMAL, text)
    return image


def plan_for(
    validated: Validated,
    detection: Detection,
    package: Package,
    store: PackageStore,
    backend: RuntimeBackend,
    catalogue: Catalogue,
    base_image_prefix: str,
) -> BuildPlan:
    """The build plan of a detected package."""
    dependencies = validated.config.dependencies
    bundled = {dependency.name for dependency in dependencies if dependency.bundled}
    paths = store.manifest(package.digest).model_paths() if bundled else {}
    runtime = known_runtime(detection, catalogue)
    return plan_build(
        runtime,
        dependencies,
        serving_digest=backend.serving_digest(runtime),
        base_image_prefix=base_image_prefix,
        package_digest=package.digest,
        bundled_digests={path: entry.sha256 for path, entry in paths.items() if path in bundled},
    )


def known_runtime(detection: Detection, catalogue: Catalogue) -> Runtime:
    """The detected row.

    Raises:
        RuntimeUnavailable: The worker's catalogue has no such row: it is another release than the one that detected it.
    """
    runtime = catalogue.find(detection.engine, detection.runtime)
    if runtime is None:
        raise RuntimeUnavailable(
            "BLD001",
            f"This worker's catalogue has no {detection.engine} {detection.runtime}.",
            "Bring all workers to the same release of Airlock.",
        )
    return runtime
