"""The report of one import: what its package holds, what was found, and what suites of expectations made of it."""

from __future__ import annotations

from dataclasses import dataclass

from airlock.domain.expectations import SuiteReport
from airlock.domain.findings import Finding
from airlock.domain.inventory import INVENTORY, FileRow
from airlock.domain.revalidation import SweepReport


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageReport:
    """What was found out about a package before it was built.

    Attributes:
        model_name: The model.
        model_version: The version that the import holds.
        source: Where the package came from, as text.
        package_digest: Its digest; empty where it was refused before it was whole.
        size_bytes: Sum of all files.
        trusted_model_code: Whether the request trusts code in model files.
        passed: Whether it keeps every rule.
        at: When, seconds since 1970.
        findings: Everything that was found, errors first.
        files: The files.
    """

    model_name: str
    model_version: str
    source: str
    package_digest: str
    size_bytes: int
    trusted_model_code: bool
    passed: bool
    at: float
    findings: tuple[Finding, ...]
    files: tuple[FileRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a run got no version, so that no version can tell it.

    Attributes:
        reason: As a version's reason: code first, and every broken rule in a line of its own.
        at: When, seconds since 1970.
    """

    reason: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """All that is kept of one run.

    Attributes:
        package: What validation found; None before it has ended.
        suites: Task → what was judged in it.
        sweep: What a sweep over registered versions did; None for a run that is none.
        refusal: Why it got no version; None where it got one, or has not ended.
    """

    package: PackageReport | None
    suites: dict[str, tuple[SuiteReport, ...]]
    sweep: SweepReport | None = None
    refusal: Refusal | None = None

    @property
    def inventory(self) -> SuiteReport | None:
        """What was expected of the package's files, once it was judged."""
        return next((each for suites in self.suites.values() for each in suites if each.suite == INVENTORY), None)
