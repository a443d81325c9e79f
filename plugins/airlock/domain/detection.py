"""Which engine and runtime a package needs, decided on evidence. Doubt is an error that shows it.

How sure a piece of evidence is of an engine is one of four values (`airlock.domain.model_files.facts`): 0.95 where the
bytes name the engine or carry its own mark, 0.8 where their structure is its own, 0.5 where a name alone was looked at,
0.3 where several engines write that form. Pieces of evidence are taken for independent, so together they leave the
product of their doubts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from airlock.domain.catalogue import Catalogue, Runtime
from airlock.domain.config import ModelConfig
from airlock.domain.device import Device
from airlock.domain.engines import ENGINES, SERVICE_FILE
from airlock.domain.findings import Finding, Place, finding
from airlock.domain.model_files.facts import NAMED, STRONG, WEAK, WrittenBy
from airlock.domain.package import Manifest
from airlock.domain.version_fit import fitting_runtime, span_of
from airlock.errors import EngineNotDetected, RuntimeUnavailable

MAX_VERSION_WARNINGS = 10
MAX_EVIDENCE_KEPT = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One thing that speaks for engines.

    Attributes:
        file: The file that it was read from.
        says: What was seen.
        engines: The engines that it fits, surest first.
        confidences: How sure it is of each of them, between 0 and 1; 0.5 where nothing is said.
        written_by: Versions that the file names.
        details: What else it tells, by name.
        served: Whether the engine's own service loads a file of this form, under the right name.
    """

    file: str
    says: str
    engines: tuple[str, ...]
    confidences: tuple[float, ...] = ()
    written_by: tuple[WrittenBy, ...] = ()
    details: tuple[tuple[str, str], ...] = ()
    served: bool = True

    def confidence(self, engine: str) -> float:
        """How sure it is of an engine; 0 where it does not fit it."""
        if engine not in self.engines:
            return 0.0
        return self.confidences[self.engines.index(engine)] if self.confidences else NAMED


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
        confidence: How sure all evidence together is of the engine, between 0 and 1.
        findings: What does not fit and refuses nothing.
    """

    engine: str
    runtime: str
    engine_version: str
    python: str
    devices: tuple[Device, ...]
    evidence: tuple[Evidence, ...]
    confidence: float = 1.0
    findings: tuple[Finding, ...] = ()


def detect(manifest: Manifest, evidence: tuple[Evidence, ...], config: ModelConfig, catalogue: Catalogue) -> Detection:
    """Decide the engine and the runtime.

    Args:
        manifest: The package's files.
        evidence: What they say.
        config: The configuration; its `model_type` is an engine, `Image` has none.
        catalogue: The known runtimes.

    Raises:
        EngineNotDetected: A file contradicts `model_type`, or no runtime is known for the engine.
        RuntimeUnavailable: The runtime is known and cannot be had.
    """
    engine = config.model_type
    needed = _needed(engine, manifest)
    against = [item for item in evidence if item.file in needed and not _supports(evidence, item.file, engine)]
    if against:
        raise _conflict(engine, against, evidence)
    runtime = runtime_of(config, catalogue)
    named = Evidence(file="model/config.json", says=f"names model_type {engine}", engines=(engine,))
    own = tuple(item for item in evidence if engine in item.engines)
    return Detection(
        engine=engine,
        runtime=runtime.name,
        engine_version=runtime.engine_version,
        python=runtime.python,
        devices=runtime.devices,
        # What travels from task to task is small, however many files there are.
        evidence=(named, *sorted(own, key=lambda item: _rank(item, needed))[:MAX_EVIDENCE_KEPT]),
        confidence=together((named, *own), engine),
        findings=(*_other_engine(engine, needed, evidence), *_other_version(own, runtime, catalogue)),
    )


def _rank(item: Evidence, needed: set[str]) -> tuple[bool, int, str]:
    return item.file not in needed, item.file.count("/"), item.file


def together(evidence: Iterable[Evidence], engine: str) -> float:
    """How sure all pieces are of an engine: 1 less the product of their doubts, in whole hundredths and never 1."""
    doubt = 1.0
    for item in evidence:
        doubt *= 1 - item.confidence(engine)
    return min(math.floor((1 - doubt) * 100 + 1e-6) / 100, 0.99)


def likeliest(evidence: tuple[Evidence, ...]) -> tuple[tuple[str, float], ...]:
    """The engines that the files fit, surest first, with the confidence of all files together."""
    engines = dict.fromkeys(engine for item in evidence for engine in item.engines)
    ranked = [(engine, together(evidence, engine)) for engine in engines]
    return tuple(sorted(ranked, key=lambda pair: (-pair[1], pair[0])))


def shown_engines(evidence: tuple[Evidence, ...]) -> str:
    """The likeliest engine in words, with those that are as likely; empty where the files say nothing."""
    ranked = likeliest(evidence)
    best = [f"{engine} (confidence {confidence})" for engine, confidence in ranked if confidence == ranked[0][1]]
    return " or ".join(best[:4])


def _needed(engine: str, manifest: Manifest) -> set[str]:
    paths = manifest.model_paths()
    return {f"model/{path}" for kind in ENGINES[engine].model_files for path in kind.matches(paths)}


def _supports(evidence: tuple[Evidence, ...], file: str, engine: str) -> bool:
    return any(item.file == file and engine in item.engines for item in evidence)


def _conflict(engine: str, against: list[Evidence], evidence: tuple[Evidence, ...]) -> EngineNotDetected:
    sides = "; ".join(_side(item) for item in against[:5])
    others = [item for item in evidence if item not in against and item.engines and item.confidence(engine) < STRONG]
    also = f" Also there: {'; '.join(_side(item) for item in others[:3])}." if others else ""
    meant = shown_engines(tuple(against))
    return EngineNotDetected(
        "DET001",
        f"config.json says {engine}, the files say otherwise: {sides}.{also}",
        f"Set `model_type` to {meant}, or bring a file that {engine} loads.",
    )


def _side(item: Evidence) -> str:
    by = f", written by {item.written_by[0]}" if item.written_by else ""
    engines = " or ".join(f"{engine} {item.confidence(engine)}" for engine in item.engines[:4])
    return f"{item.file} {item.says}{by} ({engines or 'no engine'})"


def _other_engine(engine: str, needed: set[str], evidence: tuple[Evidence, ...]) -> list[Finding]:
    """DET005 where the files fit the engine in form alone, and another one in substance."""
    found = []
    for item in evidence:
        surest = max(item.confidences, default=NAMED)
        if item.file in needed and item.confidence(engine) <= WEAK and surest >= STRONG:
            message = f"It {item.says}; {engine} can load it only with that library."
            fix = f"Add the library to `dependencies`, or set `model_type` to {item.engines[0]}."
            found.append(finding("DET005", message, place=Place(file=item.file), fix=fix))
    if not needed and any(item.engines for item in evidence) and together(evidence, engine) == 0:
        message = f"No file speaks for {engine}; they fit {shown_engines(evidence)}."
        found.append(finding("DET005", message, place=Place(file="model/")))
    return found


def _other_version(own: tuple[Evidence, ...], runtime: Runtime, catalogue: Catalogue) -> list[Finding]:
    """DET006 for each file that another version of the engine wrote than the runtime has."""
    needs = []
    for item in sorted(own, key=lambda each: (each.file.count("/"), each.file)):
        for written in item.written_by:
            span = span_of(written, runtime.engine)
            if span is not None:
                needs.append((item, written, span))
    unfit = [(item, written, span) for item, written, span in needs if not span.holds(runtime.engine_version)]
    found: dict[tuple[str, str], Finding] = {}
    for item, written, span in unfit:
        row = fitting_runtime(runtime.engine, [each for _, _, each in needs], runtime, catalogue)
        row = row or fitting_runtime(runtime.engine, [span], runtime, catalogue)
        again = f"Save the model again with {runtime.engine} {runtime.engine_version}"
        fix = f"Use the runtime {row.name!r} ({row.engine_version})." if row else f"{again}; no runtime fits it."
        shown = ", ".join(map(str, item.written_by))
        message = (
            f"It was written with {shown}, so it needs {runtime.engine} {span}; "
            f"{runtime.name!r} has {runtime.engine_version}."
        )
        # The parts of one model were written by one version, and an archive's level says no more than its version.
        key = (str(written), "") if "/metadata/part-" in item.file else (item.file, "")
        found.setdefault(key, finding("DET006", message, place=Place(file=item.file), fix=fix))
    return list(found.values())[:MAX_VERSION_WARNINGS]


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
