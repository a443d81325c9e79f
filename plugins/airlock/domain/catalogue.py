"""The catalogue: which runtimes there are, one value per (engine, runtime)."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from airlock.domain.device import Device
from airlock.domain.runtime_names import UnifiedName, parse_unified_name, version_distance

#: The variant that is the engine itself, where the row's own build is a stand-in.
GENUINE = "genuine"
#: Names of a row's own build in a version's record; another build has its variant's name.
OWN_BUILD = "own"
STAND_IN_BUILD = "stand-in"

#: Engine → pattern of the distributions that are the engine itself, and not what it brings along.
_DISTRIBUTIONS = {
    "CatBoost": "catboost",
    "LightGBM": "lightgbm",
    "MXNet": r"mxnet(?:-cu[0-9]+)?",
    "MindSpore": "mindspore(?:-gpu|-ascend)?",
    "ONNX": "onnxruntime(?:-gpu)?",
    "PyTorch": "torch",
    "Scikit_Learn": "scikit-learn",
    "Spark_MLlib": "pyspark",
    "TensorFlow": "tensorflow(?:-cpu|-gpu)?",
    "Transformers": "transformers",
    "XGBoost": "xgboost(?:-cpu)?",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpec:
    """How a runtime serves a package.

    Attributes:
        base_class: `module:Class` of the engine's base class in the serving code.
        model_path: What the service's `model_path` is: `folder`, comma-separated patterns of one file, or `dir:NAME`.
    """

    base_class: str
    model_path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """Another build of a row.

    Attributes:
        name: `gpu` where one build cannot serve both devices, `genuine` where the row's own build is a stand-in.
        devices: Devices that this build serves.
        base_image: Readable image tag.
        base_recipe: Dockerfile text of the base image where no registry has it, else empty.
        system_packages: Debian packages that the engine's libraries need.
        environment: Variables of the serving process.
        constraints: Text of the pinned requirements.
    """

    name: str
    devices: tuple[Device, ...]
    base_image: str
    base_recipe: str
    system_packages: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    constraints: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """One row of the catalogue.

    Attributes:
        engine: The engine's name.
        name: The runtime's name; unique within its engine.
        engine_version: Version of the engine's library.
        status: `seed` for a row of the specification, `current` for a row of today.
        python: Python version, `X.Y`.
        architectures: Machine architectures as `uname -m` names them.
        devices: Devices that the runtime serves.
        default: Whether it is the engine's default.
        available: Whether it can be had at all.
        unavailable_reason: Why not.
        nearest: The runtime of the same engine to take instead.
        base_image: Readable image tag.
        base_image_digest: `sha256:…` where one is known.
        system_packages: Debian packages that the engine's libraries need.
        extra_index_urls: Package indexes beside the configured one, used where no local wheel satisfies a pin.
        service: How it serves.
        environment: Variables of the serving process.
        startup_timeout_s: Seconds until the first successful prediction.
        memory_mb: Memory limit in megabytes (10^6 bytes) where the request names none.
        constraints: Text of the pinned requirements: every distribution, exactly.
        base_recipe: Dockerfile text of the base image where no registry has it, else empty.
        stand_in: What the pins install instead of the engine itself, and what that does not do; else empty.
        variants: Other builds of the same row, sorted by name.
        variant: The variant that this value is, empty for the row itself.
    """

    engine: str
    name: str
    engine_version: str
    status: str
    python: str
    architectures: tuple[str, ...]
    devices: tuple[Device, ...]
    default: bool
    available: bool
    unavailable_reason: str
    nearest: str
    base_image: str
    base_image_digest: str
    system_packages: tuple[str, ...]
    extra_index_urls: tuple[str, ...]
    service: ServiceSpec
    environment: tuple[tuple[str, str], ...]
    startup_timeout_s: float
    memory_mb: int
    constraints: str
    base_recipe: str = ""
    stand_in: str = ""
    variants: tuple[Variant, ...] = ()
    variant: str = ""

    def __str__(self) -> str:
        return f"{self.engine} {self.name}" + (f" (build {self.variant})" if self.variant else "")

    @property
    def build(self) -> str:
        """The build's name, as a version's record has it."""
        return self.variant or (STAND_IN_BUILD if self.stand_in else OWN_BUILD)

    @property
    def stand_in_for(self) -> str:
        """The engine that the pins stand in for, empty where they are the engine itself."""
        return self.engine if self.stand_in else ""

    def is_built_for(self, device: Device) -> bool:
        """Whether the row's own build uses the device.

        A row of the specification may serve a device by another build of it, or by a stand-in that knows the CPU alone:
        such a build would answer on a machine with the device, and say nothing about it.
        """
        if device not in self.devices:
            return False
        if device is Device.CPU:
            return True
        return not self.stand_in and all(variant.name != device.value for variant in self.variants)

    def as_build(self, name: str) -> Runtime:
        """The same row in the build of a version's record.

        Raises:
            ValueError: It has no such build.
        """
        return self if name in (OWN_BUILD, STAND_IN_BUILD) else self.as_variant(name)

    def has_build(self, name: str) -> bool:
        """Whether `as_build` has a build of this name."""
        return name in (OWN_BUILD, STAND_IN_BUILD) or any(variant.name == name for variant in self.variants)

    def variants_for(self, device: Device) -> tuple[Runtime, ...]:
        """The row in those of its variants that use a device; the engine itself comes before what is left of it."""
        return tuple(self.as_variant(variant.name) for variant in self.variants if device in variant.devices)

    def genuine(self) -> Runtime | None:
        """The row with its engine itself, where its own build is a stand-in and there is another."""
        there = any(variant.name == GENUINE for variant in self.variants)
        return self.as_variant(GENUINE) if there else None

    def as_variant(self, name: str) -> Runtime:
        """The same row in another of its builds.

        Raises:
            ValueError: It has no such build.
        """
        variant = next((variant for variant in self.variants if variant.name == name), None)
        if variant is None:
            raise ValueError(f"{self} has no variant {name!r}")
        return replace(
            self,
            devices=variant.devices,
            base_image=variant.base_image,
            base_image_digest="",
            base_recipe=variant.base_recipe,
            system_packages=variant.system_packages,
            environment=variant.environment,
            constraints=variant.constraints,
            stand_in="" if variant.name == GENUINE else self.stand_in,
            variants=(),
            variant=variant.name,
        )

    def fits(self, name: UnifiedName) -> bool:
        """Whether the row is what a unified name says.

        A row carries neither the operating system nor the version of CUDA or CANN, so these are not compared.
        """
        return (
            self.engine == name.engine
            and self._has_version(name.version)
            and self.python == name.python
            and name.accelerator in self.devices
            and name.architecture in self.architectures
        )

    def _has_version(self, version: str) -> bool:
        # A row may say 1.13 and pin 1.13.1: then 1.13.0 is another version, which it does not have.
        pinned = self._engine_pins()
        if not pinned or version == self.engine_version:
            return not any(version_distance(self.engine_version, version))
        return any(not any(version_distance(pin, version)) for pin in pinned)

    def _engine_pins(self) -> list[str]:
        """Versions that it pins of the engine itself, without the name of the build behind a `+`."""
        name = _DISTRIBUTIONS.get(self.engine)
        pin = rf"^{name}==([0-9]+(?:\.[0-9]+)*)(?:\+\S*)?$"
        return re.findall(pin, self.constraints, re.MULTILINE) if name else []

    def distance(self, name: UnifiedName) -> tuple[int, ...]:
        """How far the row is from what a unified name says; smaller is nearer."""
        return (
            int(name.architecture not in self.architectures),
            int(name.accelerator not in self.devices),
            *version_distance(self.engine_version, name.version),
            *version_distance(self.python, name.python),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """All runtimes, sorted by engine and name."""

    runtimes: tuple[Runtime, ...]

    @classmethod
    def of(cls, runtimes: Iterable[Runtime]) -> Catalogue:
        """The catalogue of these runtimes in any order."""
        return cls(runtimes=tuple(sorted(runtimes, key=lambda runtime: (runtime.engine, runtime.name))))

    def base_recipes(self) -> dict[str, str]:
        """Base image → Dockerfile text, for those that nobody publishes."""
        return {
            build.base_image: build.base_recipe
            for row in self.runtimes
            for build in (row, *(row.as_variant(variant.name) for variant in row.variants))
            if build.base_recipe
        }

    def of_engine(self, engine: str) -> tuple[Runtime, ...]:
        """The engine's runtimes, sorted by name."""
        return tuple(runtime for runtime in self.runtimes if runtime.engine == engine)

    def find(self, engine: str, name: str) -> Runtime | None:
        """The row of that key, or the one that a name of the unified form fits exactly, or None."""
        rows = self.of_engine(engine)
        row = next((runtime for runtime in rows if runtime.name == name), None)
        unified = parse_unified_name(name) if row is None else None
        if unified is None:
            return row
        fitting = [runtime for runtime in rows if runtime.fits(unified)]
        # One made for that device alone comes first, then the engine's default.
        return min(fitting, key=lambda runtime: (len(runtime.devices), not runtime.default), default=None)

    def default(self, engine: str) -> Runtime | None:
        """The engine's default row, or None where the engine has no rows."""
        return next((runtime for runtime in self.of_engine(engine) if runtime.default), None)

    def of_config(self, engine: str, name: str | None) -> Runtime | None:
        """The row that a configuration means: the one that it names, else the engine's default; None without either."""
        return self.find(engine, name) if name else self.default(engine)

    def nearest_on(self, machine: str, row: Runtime) -> Runtime | None:
        """The row of the same engine that can be had on machines of an architecture and is most like another one."""
        rows = [other for other in self.of_engine(row.engine) if other.available and machine in other.architectures]
        return min(
            rows,
            key=lambda other: (
                version_distance(other.engine_version, row.engine_version),
                version_distance(other.python, row.python),
                Device.CPU not in other.devices,
            ),
            default=None,
        )

    def suggestion(self, engine: str, name: str) -> str:
        """The engine's rows and its default as a sentence, the likeliest meant first."""
        rows = [runtime for runtime in self.of_engine(engine) if runtime.available]
        names = [runtime.name for runtime in rows]
        unified = parse_unified_name(name)
        if unified is not None:
            text = _nearest(engine, unified, rows)
        else:
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
            text = f"Did you mean {near[0]!r}? " if near else ""
        default = self.default(engine)
        text += f"Runtimes of {engine}: {', '.join(names) or 'none'}."
        return text + (f" Its default is {default.name!r}." if default else "")


def other_machine(row: Runtime, machine: str, nearest: Runtime | None = None) -> tuple[str, str]:
    """That a row is made for other machines: what is the matter, and what to do.

    Args:
        row: The row.
        machine: Architecture of the machine that was to build it.
        nearest: The row to take instead, where one is known.
    """
    made_for = ", ".join(row.architectures)
    other = f"the runtime {nearest.name!r} ({row.engine} {nearest.engine_version})" if nearest else "another runtime"
    return (
        f"{row} is made for {made_for}; this worker builds for {machine}.",
        f"Use {other}, or a worker of that architecture.",
    )


def _nearest(engine: str, name: UnifiedName, rows: list[Runtime]) -> str:
    """The row nearest to a unified name, as a sentence that ends with a space."""
    if name.engine != engine:
        return f"The name says {name.engine}, not {engine}. "
    if not rows:
        return ""
    row = min(rows, key=lambda runtime: runtime.distance(name))
    devices = " and ".join(device.value for device in row.devices)
    architectures = " or ".join(row.architectures)
    return (
        f"The nearest is {row.name!r}: version {row.engine_version}, Python {row.python}, {devices}, {architectures}. "
    )
