"""The whole exception tree: what went wrong, told apart by its consequence.

A `PermanentError` gives the same answer for the same input, so nothing is gained by trying again; a `TransientError`
may pass. Every case carries a stable code, the facts, and a remedy; its text is a sentence a user can act on. `args`
mirrors `__init__`, so every case survives pickling between a worker and whoever reads its outcome.

`ValueError` and `TypeError` are left to mean a caller's bug, never a refused model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airlock.domain.failure import FailureReport
    from airlock.domain.findings import Finding


class AirlockError(Exception):
    """Anything that ends a step.

    Args:
        code: Stable code of the case, such as `SRC001`.
        message: Where, what and how many.
        remedy: What to change; an imperative sentence, or empty where nothing can be done by the reader.
    """

    def __init__(self, code: str, message: str, remedy: str = "") -> None:
        super().__init__(code, message, remedy)
        self.code = code
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"[{self.code}] {self.message}" + (f" {self.remedy}" if self.remedy else "")


class PermanentError(AirlockError):
    """The same input gives the same answer: do not retry."""


class TransientError(AirlockError):
    """The outside world failed us: the same input may pass later."""


class Rejected(PermanentError):
    """Rules were broken; all of them are listed at once.

    Args:
        subject: What was checked: "the import request", "the package s3://bucket/iris/".
        findings: Every finding, errors first. At least one is an error.
    """

    def __init__(self, subject: str, findings: tuple[Finding, ...]) -> None:
        errors = [finding for finding in findings if finding.is_error]
        first = errors[0]
        lines = "".join(f"\n  {finding.line()}" for finding in errors)
        number = sum(finding.count for finding in errors)
        count = "1 rule is" if number == 1 else f"{number} rules are"
        super().__init__(first.code, f"{count} broken in {subject}:{lines}")
        self.args = (subject, findings)
        self.subject = subject
        self.findings = findings


class RequestRejected(Rejected):
    """The import form breaks rules (REQ…)."""


class PackageRejected(Rejected):
    """The package breaks rules (PKG…, CFG…, API…, DEP…, SVC…)."""


class BatchRejected(PermanentError):
    """A batch import cannot be read, or names no package or too many (BAT…)."""


class BatchIncomplete(PermanentError):
    """Some packages of a batch were not imported (BAT005)."""


class VersionExists(PermanentError):
    """A name and version are written once."""


class NoSuchVersion(PermanentError):
    """There is no such model, version or alias, or it was deleted."""


class VersionBusy(PermanentError):
    """The version is not in a state in which this can be done to it."""


class VersionChanged(PermanentError):
    """What was found of a version is of what it was before somebody else changed it (REG013)."""


class AliasRefused(PermanentError):
    """A name that cannot be an alias (REG012)."""


class HandOffRefused(PermanentError):
    """The version cannot be deployed as was asked."""


class RunRefused(PermanentError):
    """Airflow does not start the run: its own permissions, its own checks, or a paused or broken DAG."""


class FormRefused(RunRefused):
    """Airflow's check of the form does not take a field that keeps every rule of the import (RUN003)."""


class NotStarted(PermanentError):
    """What was written on a page cannot be read, so that nothing was asked of Airflow (WEB…)."""


class SourceRefused(PermanentError):
    """The source cannot be had, and will not be by itself: no Connection, no bucket, no permission, unsafe names."""


class SourceChanged(TransientError):
    """An object was replaced or deleted while it was copied: the next try sees one consistent state."""


class StorageUnavailable(TransientError):
    """The object storage did not answer, or answered with an error of its own."""


class EngineNotDetected(PermanentError):
    """No engine, several, or evidence against the configured one."""


class RuntimeUnavailable(PermanentError):
    """The runtime is known and cannot be had here."""


class BuildFailed(PermanentError):
    """The runtime image or environment cannot be made from this configuration."""


class ImageRefused(PermanentError):
    """An image of the user's own cannot be had, or cannot be served."""


class BackendUnavailable(TransientError):
    """The container engine, a package index or an interpreter did not answer."""


class SmokeFailed(PermanentError):
    """The service did not start, or did not answer as its configuration promises.

    Args:
        code: Stable code of the case.
        message: What was asked, what came back.
        remedy: What to change.
        report: What was asked, what came back and what the service said, where it was started at all.
    """

    def __init__(self, code: str, message: str, remedy: str = "", report: FailureReport | None = None) -> None:
        super().__init__(code, message, remedy)
        self.args = (code, message, remedy, report)
        self.report = report


class DeviceRequired(PermanentError):
    """A device that the request demands was not tested, or none was."""


class RegistryUnavailable(TransientError):
    """The registry's database did not answer."""


class ReportsUnavailable(TransientError):
    """The folder of the imports' reports cannot be read or written."""


class MirrorUnavailable(TransientError):
    """The mirror of the registry did not answer, or answered with an error of its own (MIR…)."""


class MirrorRefused(PermanentError):
    """The mirror of the registry does not take what it is told, or is not named as it must be (MIR…)."""


class VersionGone(PermanentError):
    """The version that this run reserved is no longer its own: deleted, or decided by someone else."""


class StoreDamaged(PermanentError):
    """Bytes in the package store do not match their digest."""


class StoreAway(TransientError):
    """The folder of the package store is not there: it is not mounted, or nothing was ever imported."""


class StoreFull(TransientError):
    """The store's disk is full: the next try may find room."""


class SweepIncomplete(PermanentError):
    """Some versions of a sweep could not be looked at (RVL011)."""


class SettingInvalid(PermanentError):
    """A setting of section [airlock] cannot be used as it is."""
