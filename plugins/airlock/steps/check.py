"""check: the rules of an import on a package that nobody imports yet: on its author's machine, or in object storage.

Nothing is copied, reserved or told to anybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from airlock.domain.catalogue import Catalogue
from airlock.domain.config import ModelConfig
from airlock.domain.detection import Detection, Evidence, detect, likeliest
from airlock.domain.engines import CONFIG_FILE, IMAGE
from airlock.domain.findings import Finding, by_weight, finding, has_errors
from airlock.domain.model_files.torch_file import MAX_SUMMED_BYTES
from airlock.domain.package import FetchLimits, Manifest, check_names
from airlock.domain.parameters import parameters_of
from airlock.domain.source import SourceLocation
from airlock.errors import PermanentError, SourceRefused
from airlock.steps.examine import config_bytes_of, examine
from airlock.steps.model_files import read_evidence
from airlock.steps.source_package import DIGEST, SourcePackage

if TYPE_CHECKING:
    from airlock.ports.object_storage import ObjectStorage
    from airlock.ports.package_store import PackageFiles

#: Bytes of model files that a check fetches unless it is told otherwise.
DEFAULT_READ_BYTES = 256_000_000
#: A checksum takes every byte; the storage and the import's own digest hold for those of tensors.
REMOTE_SUMMED_BYTES = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What a check has to say.

    Attributes:
        findings: All findings, errors first.
        file_count: Files of the package.
        size_bytes: Sum of all files.
        config: The configuration, where it is usable.
        detection: Engine and runtime, where nothing speaks against them.
        refusal: Why there is none, though every rule is kept.
        evidence: What the files say, whatever the configuration does.
        bytes_read: Bytes that were fetched for it; None where the package lies on this machine.
    """

    findings: tuple[Finding, ...]
    file_count: int
    size_bytes: int
    config: ModelConfig | None = None
    detection: Detection | None = None
    refusal: PermanentError | None = None
    evidence: tuple[Evidence, ...] = ()
    bytes_read: int | None = None

    @property
    def complete(self) -> bool:
        """Whether every model file was read as far as an import reads it."""
        return all(item.code != "MDL009" for item in self.findings)

    @property
    def passed(self) -> bool:
        """Whether the package would get past validation and detection."""
        return not has_errors(self.findings) and self.refusal is None

    def as_data(self) -> dict[str, Any]:
        """The report as JSON types: what `check --format json` prints, and what whoever asks by REST gets."""
        data: dict[str, Any] = {
            "passed": self.passed,
            "files": self.file_count,
            "bytes": self.size_bytes,
            "bytes_read": self.bytes_read,
            "complete": self.complete,
            "engine": self.detection.engine if self.detection else None,
            "runtime": self.detection.runtime if self.detection else None,
            "confidence": self.detection.confidence if self.detection else None,
            "likeliest": dict(likeliest(self.evidence)),
            "parameters": [asdict(each) for each in parameters_of(self.config.apis)] if self.config else [],
            "evidence": [
                {
                    "file": item.file,
                    "says": item.says,
                    "engines": {engine: item.confidence(engine) for engine in item.engines},
                    "written_by": [str(by) for by in item.written_by],
                    "details": [list(pair) for pair in item.details],
                }
                for item in self.evidence
            ],
            "findings": [
                {
                    "code": item.code,
                    "severity": item.severity.value,
                    "message": item.message,
                    "file": item.place.file,
                    "line": item.place.line,
                    "column": item.place.column,
                    "pointer": item.place.pointer,
                    "value": item.value,
                    "fix": item.fix,
                }
                for item in self.findings
            ],
        }
        if self.refusal is not None:
            refusal = self.refusal
            data["refusal"] = {"code": refusal.code, "message": refusal.message, "fix": refusal.remedy}
        return data


def check(
    digest: str,
    *,
    store: PackageFiles,
    catalogue: Catalogue,
    schema: Mapping[str, Any],
    limits: FetchLimits,
    noticed: Iterable[Finding] = (),
    trusted: bool = False,
    summed_bytes: int = MAX_SUMMED_BYTES,
) -> CheckReport:
    """Apply the rules of fetch, validate and detect.

    Args:
        digest: What the store knows the package by.
        store: Where it lies.
        catalogue: The known runtimes.
        schema: include/specs/config.schema.json.
        limits: How much one package may hold.
        noticed: What was seen while its files were listed.
        trusted: Whether code in model files is trusted.
        summed_bytes: Bytes of each archive whose checksums are compared.
    """
    manifest = store.manifest(digest)
    findings = [*noticed, *check_names(entry.path for entry in manifest.files), *_sizes(manifest, limits)]
    config = None
    # Headers first: where only so much is read, each file says at least what it is.
    evidence = read_evidence(manifest, digest, store)
    if not manifest.files:
        findings.append(finding("PKG001", "There is no folder `model` with files in it."))
    else:
        data = config_bytes_of(manifest, digest, store)
        config, broken = examine(
            manifest,
            digest,
            data,
            f"model/{CONFIG_FILE}",
            store=store,
            catalogue=catalogue,
            schema=schema,
            trusted=trusted,
            summed_bytes=summed_bytes,
        )
        findings += broken
    detection, refusal = None, None
    if config is not None and config.model_type == IMAGE and not has_errors(findings):
        # Needed for such packages alone, and a tenth of the start of a check.
        from airlock.domain.user_image import detect_image

        detection = detect_image(config)
    elif config is not None and not has_errors(findings):
        try:
            detection = detect(manifest, evidence, config, catalogue)
            findings += detection.findings
        except PermanentError as error:
            refusal = error
    return CheckReport(
        findings=by_weight(findings),
        file_count=len(manifest.files),
        size_bytes=manifest.size_bytes,
        config=config,
        detection=detection,
        refusal=refusal,
        evidence=evidence,
    )


def check_source(
    asked: SourceLocation,
    *,
    storage: ObjectStorage,
    catalogue: Catalogue,
    schema: Mapping[str, Any],
    limits: FetchLimits,
    trusted: bool = False,
    max_read_bytes: int = DEFAULT_READ_BYTES,
) -> CheckReport:
    """Apply the rules to a package where it lies in object storage, from its listing and its files' headers first.

    Args:
        asked: The folder that contains `model/`, or `model/` itself.
        storage: Where it lies.
        catalogue: The known runtimes.
        schema: include/specs/config.schema.json.
        limits: How much one package may hold.
        trusted: Whether code in model files is trusted.
        max_read_bytes: Bytes of model files that are fetched in all; 0 for any number. What is left out is said.

    Raises:
        SourceRefused: No bucket, no permission, or an archive.
        SourceChanged: An object changed meanwhile.
        StorageUnavailable: The storage did not answer.
    """
    if asked.archive:
        raise SourceRefused(
            "SRC009",
            f"{asked} is an archive, and archives are checked when they are imported.",
            "Unpack it and check the folder; the name of a folder in object storage ends with `/`.",
        )
    package = SourcePackage(asked, storage=storage, limits=limits, max_read_bytes=max_read_bytes)
    report = check(
        DIGEST,
        store=package,
        catalogue=catalogue,
        schema=schema,
        limits=limits,
        noticed=package.noticed,
        trusted=trusted,
        summed_bytes=REMOTE_SUMMED_BYTES,
    )
    return replace(report, bytes_read=package.bytes_read)


def _sizes(manifest: Manifest, limits: FetchLimits) -> list[Finding]:
    findings = []
    if manifest.size_bytes > limits.max_package_bytes:
        message = f"`model/` has {manifest.size_bytes:,} bytes, at most {limits.max_package_bytes:,} are taken."
        findings.append(finding("PKG008", message))
    if len(manifest.files) > limits.max_objects:
        message = f"`model/` has {len(manifest.files):,} files, at most {limits.max_objects:,} are taken."
        findings.append(finding("PKG009", message))
    return findings
