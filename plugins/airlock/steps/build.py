"""build: the runtime image or environment, of which only what is missing is made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from airlock.domain.base_images import missing_base
from airlock.domain.catalogue import OWN_BUILD, STAND_IN_BUILD, Catalogue, Runtime, other_machine
from airlock.domain.detection import Detection
from airlock.domain.engines import IMAGE
from airlock.domain.image import BuildPlan, Image, plan_build
from airlock.domain.package import Package
from airlock.domain.record import Accepted, Validated
from airlock.domain.version import EventKind
from airlock.errors import RuntimeUnavailable
from airlock.ports.package_store import PackageStore
from airlock.ports.registry import Registry
from airlock.ports.runtime_backend import RuntimeBackend
from airlock.steps.bake import bake, nothing_to_bake
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
    """Make the runtime: the engine itself where the row is a stand-in and its variant can be made, else the row's own.

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
        RuntimeUnavailable: The runtime cannot be had on this worker, or no image with the model inside.
        StoreDamaged: The package in the store is not what its manifest says.
        ImageRefused: The user's own image cannot be had, or cannot be served here.
        BackendUnavailable: The engine or the network did not answer.
    """
    if detection.engine == IMAGE:
        if accepted.request.bake_model:
            raise nothing_to_bake(validated.config.swr_location or "")
        return obtain(accepted, validated, backend=backend, registry=registry, log=log)
    registry.add_event(accepted.reservation, EventKind.NORMAL, f"Image task started on backend {backend.kind.value}.")
    row = known_runtime(detection, catalogue)
    machine = backend.machine
    if machine not in row.architectures:
        raise RuntimeUnavailable("BLD008", *other_machine(row, machine, catalogue.nearest_on(machine, row)))

    def tell(text: str) -> None:
        registry.add_event(accepted.reservation, EventKind.NORMAL, text)

    def planned(runtime: Runtime) -> BuildPlan:
        return plan_for(validated, runtime, package, store, backend, base_image_prefix)

    genuine = row.genuine()
    made = first_made([planned(genuine)] if genuine is not None else [], backend, log)
    for unmade in made.unmade:
        log(f"{unmade.message} {unmade.remedy}")
    runtime = made.runtime or row
    image = made.image or backend.build(planned(row), log)
    if image.build == STAND_IN_BUILD:
        tell(f"Built as a stand-in for {row.engine}. {row.stand_in}")
    tell(built_event(image))
    if accepted.request.bake_model:
        image = bake(accepted, package, runtime, image, store=store, backend=backend, registry=registry, log=log)
    return image


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What became of a row's variants.

    Attributes:
        runtime: The build that was made, None where none could be.
        image: Its image.
        unmade: Why the others could not be made here, in the order in which they were tried.
    """

    runtime: Runtime | None = None
    image: Image | None = None
    unmade: tuple[RuntimeUnavailable, ...] = ()


def first_made(plans: Sequence[BuildPlan], backend: RuntimeBackend, log: Callable[[str], None]) -> Made:
    """Make the first of several builds that can be made on this worker.

    Args:
        plans: The builds, the one to be preferred first.
        backend: What builds.
        log: Takes a line of output at a time.

    Raises:
        BuildFailed: A dependency cannot be installed, or the build ends with an error.
        BackendUnavailable: The engine or the network did not answer.
    """
    unmade: list[RuntimeUnavailable] = []
    for plan in plans:
        if not backend.base_at_hand(plan):
            unmade.append(RuntimeUnavailable("BLD007", *missing_base(plan, backend.kind)))
            continue
        try:
            return Made(runtime=plan.runtime, image=backend.build(plan, log), unmade=tuple(unmade))
        except RuntimeUnavailable as error:
            unmade.append(error)
    return Made(unmade=tuple(unmade))


def built_event(image: Image) -> str:
    """What was built, as one sentence of the version's history."""
    which = f" of the build {image.build}" if image.build not in (OWN_BUILD, STAND_IN_BUILD) else ""
    made = [layer for layer in image.layers if not layer.reused]
    if not made:
        return f"Existing environment image{which} reused."
    return f"Image{which} created: {', '.join(f'{layer.name} layer in {layer.seconds:.1f} s' for layer in made)}."


def plan_for(
    validated: Validated,
    runtime: Runtime,
    package: Package,
    store: PackageStore,
    backend: RuntimeBackend,
    base_image_prefix: str,
) -> BuildPlan:
    """The plan of one build of the detected row."""
    dependencies = validated.config.dependencies
    bundled = {dependency.name for dependency in dependencies if dependency.bundled}
    paths = store.manifest(package.digest).model_paths() if bundled else {}
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
