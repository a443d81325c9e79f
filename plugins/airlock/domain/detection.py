"""Which engine and runtime a package needs, and the evidence for it.

Evidence is read from names and first bytes only; nothing is loaded or executed. Doubt is an error that shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from airlock.domain.catalogue import Catalogue, Runtime
from airlock.domain.config import ModelConfig
from airlock.domain.device import Device
from airlock.domain.engines import ENGINES, SERVICE_FILE
from airlock.domain.package import Manifest
from airlock.errors import EngineNotDetected, RuntimeUnavailable

#: Bytes of each model file that detection reads.
HEAD_BYTES = 512

_XGBOOST_OPENINGS = (b"binf", b"bs64", b'{"learner"', b'{"version"', b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One thing that speaks for engines.

    Attributes:
        file: The file that it was read from.
        says: What was seen.
        engines: The engines that it fits.
    """

    file: str
    says: str
    engines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """The engine and runtime of a package.

    Attributes:
        engine: The engine.
        runtime: The runtime's name; with the engine it is the catalogue's key.
        engine_version: Version of the engine's library.
        python: Python of the runtime.
        devices: Devices that the runtime serves.
        evidence: What speaks for it.
    """

    engine: str
    runtime: str
    engine_version: str
    python: str
    devices: tuple[Device, ...]
    evidence: tuple[Evidence, ...]


def files_to_read(manifest: Manifest) -> tuple[str, ...]:
    """Paths under `model/` whose first bytes detection wants: the files at the top that no name explains."""
    return tuple(path for path in manifest.model_paths() if "/" not in path and path.endswith((".m", ".pth", ".pt")))


def gather_evidence(manifest: Manifest, heads: Mapping[str, bytes]) -> tuple[Evidence, ...]:
    """What the files say.

    Args:
        manifest: The package's files.
        heads: Path under `model/` → first bytes, for the paths of `files_to_read`.
    """
    evidence = []
    paths = manifest.model_paths()
    for engine in ENGINES.values():
        for kind in engine.model_files:
            for path in kind.matches(paths):
                if path not in heads:
                    evidence.append(Evidence(file=f"model/{path}", says=f"is {kind.what}", engines=(engine.name,)))
    for path, head in sorted(heads.items()):
        says, engines = _read_head(path, head)
        evidence.append(Evidence(file=f"model/{path}", says=says, engines=engines))
    return tuple(sorted(evidence, key=lambda item: (item.file, item.engines)))


def _read_head(path: str, head: bytes) -> tuple[str, tuple[str, ...]]:
    by_name = ("Scikit_Learn", "XGBoost") if path.endswith(".m") else ("PyTorch",)
    if head.startswith(_XGBOOST_OPENINGS):
        return "holds an XGBoost booster", ("XGBoost",)
    if head.startswith(b"PK\x03\x04"):
        return "is a zip archive as PyTorch writes it", ("PyTorch",)
    if head[:1] == b"\x80" and len(head) > 1 and head[1] <= 5:
        # Protocol 2 with PyTorch's magic number is the form that 1.5 and older wrote.
        if b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." in head[:32]:
            return "is a pickle as PyTorch before 1.6 wrote it", ("PyTorch",)
        return "is a pickle", by_name
    if head[:2] in (b"x\x01", b"x\x9c", b"x\xda", b"x^") or head.startswith((
        b"\x1f\x8b",
        b"BZh",
        b"\xfd7zXZ",
        b"\x04\x22M\x18",
    )):
        return "is a compressed joblib file", tuple(name for name in by_name if name != "PyTorch") or by_name
    return "has no known form", by_name


def detect(manifest: Manifest, heads: Mapping[str, bytes], config: ModelConfig, catalogue: Catalogue) -> Detection:
    """Decide the engine and the runtime.

    Args:
        manifest: The package's files.
        heads: First bytes of the paths that `files_to_read` names.
        config: The configuration.
        catalogue: The known runtimes.

    Raises:
        EngineNotDetected: A file contradicts `model_type`, or no runtime is known for the engine.
        RuntimeUnavailable: The runtime is known and cannot be had, or no runtime serves this kind of package.
    """
    engine = config.model_type
    if engine not in ENGINES:
        raise RuntimeUnavailable(
            "DET004", f"Packages of model_type {engine} cannot be served.", f"Use one of: {', '.join(ENGINES)}."
        )
    evidence = gather_evidence(manifest, heads)
    needed = {f"model/{path}" for kind in ENGINES[engine].model_files for path in kind.matches(manifest.model_paths())}
    against = [item for item in evidence if item.file in needed and not _supports(evidence, item.file, engine)]
    if against:
        shown = "; ".join(f"{item.file} {item.says} ({' or '.join(item.engines)})" for item in against)
        raise EngineNotDetected(
            "DET001",
            f"config.json says {engine}, the files say otherwise: {shown}.",
            "Correct `model_type` or the file.",
        )
    runtime = runtime_of(config, catalogue)
    return Detection(
        engine=engine,
        runtime=runtime.name,
        engine_version=runtime.engine_version,
        python=runtime.python,
        devices=runtime.devices,
        evidence=(
            Evidence(file="model/config.json", says=f"names model_type {engine}", engines=(engine,)),
            *(item for item in evidence if engine in item.engines),
        ),
    )


def _supports(evidence: tuple[Evidence, ...], file: str, engine: str) -> bool:
    return any(item.file == file and engine in item.engines for item in evidence)


def runtime_of(config: ModelConfig, catalogue: Catalogue) -> Runtime:
    """The runtime that the configuration names, or the engine's default.

    Raises:
        EngineNotDetected: The engine has no such runtime.
        RuntimeUnavailable: The runtime cannot be had.
    """
    engine = config.model_type
    runtime = catalogue.find(engine, config.runtime) if config.runtime else catalogue.default(engine)
    if runtime is None:
        named = config.runtime or "a default runtime"
        raise EngineNotDetected(
            "DET002", f"{engine} has no runtime {named}.", catalogue.suggestion(engine, config.runtime or "")
        )
    if not runtime.available:
        nearest = f"Use {runtime.nearest!r} instead." if runtime.nearest else ""
        raise RuntimeUnavailable("DET003", f"{runtime} cannot be had: {runtime.unavailable_reason}", nearest)
    return runtime


def has_service_code(manifest: Manifest) -> bool:
    """Whether the package brings inference code."""
    return SERVICE_FILE in manifest.model_paths()
