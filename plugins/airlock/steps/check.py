"""check: the rules of an import on a package that nobody imports yet, such as a folder on its author's machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airlock.domain.catalogue import Catalogue
from airlock.domain.config import ModelConfig
from airlock.domain.detection import Detection, Evidence, detect
from airlock.domain.engines import CONFIG_FILE, IMAGE
from airlock.domain.findings import Finding, by_weight, finding, has_errors
from airlock.domain.package import FetchLimits, Manifest, check_names
from airlock.domain.user_image import detect_image
from airlock.errors import PermanentError
from airlock.ports import PackageStore
from airlock.steps.model_files import read_evidence
from airlock.steps.validate import config_bytes_of, examine


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
    """

    findings: tuple[Finding, ...]
    file_count: int
    size_bytes: int
    config: ModelConfig | None = None
    detection: Detection | None = None
    refusal: PermanentError | None = None
    evidence: tuple[Evidence, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the package would get past validation and detection."""
        return not has_errors(self.findings) and self.refusal is None


def check(
    digest: str,
    *,
    store: PackageStore,
    catalogue: Catalogue,
    schema: Mapping[str, Any],
    limits: FetchLimits,
    noticed: Sequence[Finding] = (),
    trusted: bool = False,
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
    """
    manifest = store.manifest(digest)
    findings = [*noticed, *check_names(manifest.model_paths()), *_sizes(manifest, limits)]
    config = None
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
        )
        findings += broken
    evidence = read_evidence(manifest, digest, store)
    detection, refusal = None, None
    if config is not None and config.model_type == IMAGE and not has_errors(findings):
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


def _sizes(manifest: Manifest, limits: FetchLimits) -> list[Finding]:
    findings = []
    if manifest.size_bytes > limits.max_package_bytes:
        message = f"`model/` has {manifest.size_bytes:,} bytes, at most {limits.max_package_bytes:,} are taken."
        findings.append(finding("PKG008", message))
    if len(manifest.files) > limits.max_objects:
        message = f"`model/` has {len(manifest.files):,} files, at most {limits.max_objects:,} are taken."
        findings.append(finding("PKG009", message))
    return findings
