"""The catalogue: which runtimes there are, one value per (engine, runtime)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from airlock.domain.device import Device


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

    def __str__(self) -> str:
        return f"{self.engine} {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """All runtimes, sorted by engine and name."""

    runtimes: tuple[Runtime, ...]

    @classmethod
    def of(cls, runtimes: Iterable[Runtime]) -> Catalogue:
        """The catalogue of these runtimes in any order."""
        return cls(runtimes=tuple(sorted(runtimes, key=lambda runtime: (runtime.engine, runtime.name))))

    def of_engine(self, engine: str) -> tuple[Runtime, ...]:
        """The engine's runtimes, sorted by name."""
        return tuple(runtime for runtime in self.runtimes if runtime.engine == engine)

    def find(self, engine: str, name: str) -> Runtime | None:
        """The row of that key, or None."""
        return next((runtime for runtime in self.of_engine(engine) if runtime.name == name), None)

    def default(self, engine: str) -> Runtime | None:
        """The engine's default row, or None where the engine has no rows."""
        return next((runtime for runtime in self.of_engine(engine) if runtime.default), None)

    def suggestion(self, engine: str, name: str) -> str:
        """The engine's rows and its default as a sentence, the likeliest meant first."""
        names = [runtime.name for runtime in self.of_engine(engine) if runtime.available]
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        default = self.default(engine)
        text = f"Did you mean {near[0]!r}? " if near else ""
        text += f"Runtimes of {engine}: {', '.join(names) or 'none'}."
        return text + (f" Its default is {default.name!r}." if default else "")
