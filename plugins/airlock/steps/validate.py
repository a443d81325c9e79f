"""validate: config.json and the package's files keep the rules, or every broken one is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airlock.domain.catalogue import Catalogue
from airlock.domain.engines import CONFIG_FILE
from airlock.domain.findings import Severity, by_weight, has_errors
from airlock.domain.import_report import PackageReport
from airlock.domain.inventory import inventory
from airlock.domain.package import Manifest, Package
from airlock.domain.record import Accepted, Validated
from airlock.domain.version import EventKind
from airlock.errors import PackageRejected
from airlock.ports.clock import Clock
from airlock.ports.package_store import PackageFiles, PackageStore
from airlock.ports.registry import Registry
from airlock.ports.reports import Reports
from airlock.steps.examine import config_bytes_of, examine
from airlock.steps.model_files import read_evidence
from airlock.steps.reporting import NotedFiles, keep_package

#: Findings that `trust_model_code` turns from errors into warnings.
TRUSTABLE = frozenset({"MDL001", "MDL003"})
MAX_SHOWN_FILES = 5


def validate(
    accepted: Accepted,
    package: Package,
    *,
    store: PackageStore,
    registry: Registry,
    catalogue: Catalogue,
    schema: Mapping[str, Any],
    reports: Reports,
    clock: Clock,
    log: Callable[[str], None],
) -> Validated:
    """Check the configuration and the files.

    Args:
        accepted: The request; its overrides replace the package's own.
        package: The staged package.
        store: Where it lies.
        registry: For the version's history.
        catalogue: The known runtimes.
        schema: include/specs/config.schema.json.
        reports: Where the import's report is kept, whatever comes out.
        clock: Time.
        log: Takes what could not be reported.

    Raises:
        PackageRejected: Rules are broken; all are listed.
        StoreDamaged: The staged bytes cannot be read.
    """
    manifest = store.manifest(package.digest)
    files = NotedFiles(store)
    data, file = _config_bytes(accepted, package, manifest, files)
    config, findings = examine(
        manifest,
        package.digest,
        data,
        file,
        store=files,
        catalogue=catalogue,
        schema=schema,
        dependencies=accepted.request.dependencies,
        trusted=accepted.request.trust_model_code,
    )
    refused = config is None or has_errors(findings)
    evidence = read_evidence(manifest, package.digest, store)
    report = PackageReport(
        model_name=accepted.reservation.model_name,
        model_version=accepted.reservation.model_version,
        source=package.source,
        package_digest=package.digest,
        size_bytes=package.size_bytes,
        trusted_model_code=accepted.request.trust_model_code,
        passed=not refused,
        at=clock.now(),
        findings=by_weight([*package.findings, *findings]),
        files=inventory(manifest, findings, evidence, files.read_paths),
    )
    keep_package(report, reports=reports, run=accepted.reservation.run, log=log)
    if config is None or refused:
        raise PackageRejected(f"the package {package.source}", by_weight(findings))
    validated = Validated(config=config, findings=by_weight(findings))
    trusted = sorted({item.place.file for item in findings if item.code in TRUSTABLE})
    if accepted.request.trust_model_code and trusted:
        # The history stays when the record goes.
        text = f"The request trusts the code in {', '.join(trusted[:MAX_SHOWN_FILES])}"
        text += f" and {len(trusted) - MAX_SHOWN_FILES} more files." if len(trusted) > MAX_SHOWN_FILES else "."
        registry.add_event(accepted.reservation, EventKind.ABNORMAL, text)
    warnings = sum(item.count for item in findings if item.severity is Severity.WARNING)
    registry.add_event(
        accepted.reservation,
        EventKind.NORMAL,
        f"The package keeps the rules of {config.model_type}" + (f"; {warnings} warnings." if warnings else "."),
    )
    return validated


def _config_bytes(
    accepted: Accepted, package: Package, manifest: Manifest, store: PackageFiles
) -> tuple[bytes | None, str]:
    if accepted.request.config_override is not None:
        # Half a surrogate pair has no UTF-8: the reader refuses it, as it does in a file.
        return accepted.request.config_override.encode(errors="surrogatepass"), "request config_override"
    return config_bytes_of(manifest, package.digest, store), f"model/{CONFIG_FILE}"
