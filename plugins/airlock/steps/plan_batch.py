"""plan: what would become of every package of a batch; nothing is copied, reserved or changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from airlock.domain.batch import (
    MAX_MANIFEST_BYTES,
    BatchEntry,
    BatchItem,
    BatchPlan,
    Plan,
    entries_of,
    folders_below,
    import_run_id,
    read_manifest,
    short,
)
from airlock.domain.batch_request import BatchRequest
from airlock.domain.catalogue import Catalogue
from airlock.domain.package import FetchLimits
from airlock.domain.record import VersionRow
from airlock.domain.registered import MAX_PAGE, Page, VersionFilter
from airlock.domain.request import ImportRequest, parse_request
from airlock.domain.source import Scheme, SourceLocation
from airlock.domain.version import Status
from airlock.errors import BatchRejected, PermanentError, Rejected, RequestRejected
from airlock.ports import ObjectStorage, PackageStore
from airlock.registry_ports import RegistryReader
from airlock.steps.check import check_source
from airlock.steps.fetch import known_digest

StorageOf = Callable[[Scheme, str], ObjectStorage]


def plan_batch(
    request: BatchRequest,
    *,
    batch_run_id: str,
    storage_of: StorageOf,
    store: PackageStore,
    reader: RegistryReader,
    catalogue: Catalogue,
    schema: Mapping[str, Any],
    limits: FetchLimits,
    log: Callable[[str], None],
) -> BatchPlan:
    """Look at every package of a batch.

    Args:
        request: The batch.
        batch_run_id: The run that asks; the runs of the imports are named after it.
        storage_of: The storage of a scheme and a Connection.
        store: Where packages of earlier imports are.
        reader: Which versions there are.
        catalogue: The known runtimes.
        schema: include/specs/config.schema.json.
        limits: How much one package may hold.
        log: Takes a line for each package.

    Raises:
        BatchRejected: The manifest cannot be read, or the batch has no package or too many.
        SourceRefused: The prefix or the manifest cannot be had.
        StorageUnavailable: A storage did not answer.
        RegistryUnavailable: The registry did not answer.
    """
    entries = entries_of(
        _forms(request, storage_of), {**request.defaults, "source_connection": request.source_connection}
    )
    names = Counter(entry.form["model_name"] for entry in entries)
    sources = Counter(str(entry.form.get("source_location")) for entry in entries)
    items = []
    for entry in entries:
        plan, reason = _decide(
            entry,
            twice=_twice(entry, names, sources),
            storage_of=storage_of,
            store=store,
            reader=reader,
            catalogue=catalogue,
            schema=schema,
            limits=limits,
        )
        item = BatchItem(
            place=entry.place,
            model_name=str(entry.form["model_name"]),
            source=str(entry.form.get("source_location", "")),
            plan=plan,
            reason=short(reason),
            form=dict(entry.form),
            run_id=import_run_id(batch_run_id, entry.form) if plan.is_imported else "",
        )
        items.append(item)
        log(f"{item.place}: {item.model_name} from {item.source}: {plan.value}{f' ({reason})' if reason else ''}")
    return BatchPlan(items=tuple(items), dry_run=request.dry_run)


def _forms(request: BatchRequest, storage_of: StorageOf) -> Iterable[tuple[str, Mapping[str, Any]]]:
    if request.packages:
        return [(f"package {number}", {"source_location": each}) for number, each in enumerate(request.packages, 1)]
    if request.prefix is not None:
        prefix = request.prefix
        listed = storage_of(prefix.scheme, request.source_connection).list(prefix)
        return [
            (f"folder {name}", {"source_location": f"{prefix}{name}/"})
            for name in folders_below(prefix.prefix, (item.key for item in listed))
        ]
    manifest = request.manifest
    if manifest is None:
        raise ValueError("a batch has a list, a prefix or a manifest")
    return read_manifest(
        _manifest_bytes(manifest, storage_of(manifest.scheme, request.source_connection)), str(manifest)
    )


def _manifest_bytes(manifest: SourceLocation, storage: ObjectStorage) -> bytes:
    item = next((each for each in storage.list(manifest) if each.key == manifest.prefix), None)
    if item is None:
        raise BatchRejected("BAT004", f"There is no object {manifest}.", "Upload the manifest, or correct its name.")
    # One byte more than is read shows that it is too large.
    return b"".join(storage.read(manifest, item, 0, min(item.size_bytes, MAX_MANIFEST_BYTES + 1)))


def _twice(entry: BatchEntry, names: Counter[Any], sources: Counter[str]) -> str:
    source, name = str(entry.form.get("source_location")), entry.form["model_name"]
    if sources[source] > 1 and "model_version" not in entry.form:
        return f"The batch names {source} {sources[source]} times."
    if names[name] > 1 and "model_version" not in entry.form:
        return f"The batch has {names[name]} packages of the model {name}: give each its `model_version`."
    return ""


def _decide(
    entry: BatchEntry,
    *,
    twice: str,
    storage_of: StorageOf,
    store: PackageStore,
    reader: RegistryReader,
    catalogue: Catalogue,
    schema: Mapping[str, Any],
    limits: FetchLimits,
) -> tuple[Plan, str]:
    if twice:
        return Plan.INVALID, twice
    try:
        request = parse_request(entry.form)
        if request.rebuild:
            return Plan.INVALID, "A batch imports packages. Rebuild a version by a run of `import_model`."
        storage = storage_of(request.source.scheme, request.source_connection)
        versions = _versions(request.model_name, reader)
        number = request.model_version
        wanted = reader.find(request.model_name, number) if number is not None else None
        candidates = versions if number is None else (wanted,) if wanted else ()
        same = _identical(request, storage, store, limits, candidates)
        if same is not None:
            return Plan.IDENTICAL, f"Version {same} holds the same bytes."
        if wanted is not None:
            return Plan.INVALID, f"{wanted.model_name} {wanted.model_version} exists already, {wanted.status.value}."
        broken = _broken(request, storage, catalogue, schema, limits)
    except RequestRejected as error:
        return Plan.INVALID, _reasons(error)
    except PermanentError as error:
        return Plan.INVALID, str(error)
    if broken:
        return Plan.INVALID, broken
    return (Plan.NEW_VERSION if versions else Plan.NEW), ""


def _versions(model_name: str, reader: RegistryReader) -> tuple[VersionRow, ...]:
    """Every version of a model that is not deleted, newest first."""
    found: list[VersionRow] = []
    while True:
        page = Page(limit=MAX_PAGE, offset=len(found))
        items = reader.versions(VersionFilter(model_name=model_name), page).items
        found += items
        if len(items) < MAX_PAGE:
            return tuple(found)


def _identical(
    request: ImportRequest,
    storage: ObjectStorage,
    store: PackageStore,
    limits: FetchLimits,
    versions: Sequence[VersionRow],
) -> str | None:
    """The version in order that holds the very same package, if one does.

    A request that changes the configuration makes another version of the same bytes.
    """
    normal = [row for row in versions if row.status is Status.NORMAL]
    if not normal or request.config_override is not None or request.dependencies is not None:
        return None
    digest = known_digest(request.source, storage=storage, store=store, limits=limits)
    return next((row.model_version for row in normal if row.package_digest == f"sha256:{digest}"), None)


def _broken(
    request: ImportRequest,
    storage: ObjectStorage,
    catalogue: Catalogue,
    schema: Mapping[str, Any],
    limits: FetchLimits,
) -> str:
    """What the package's listing and headers break; empty where they keep every rule, or only its import can tell."""
    if request.source.archive or request.config_override is not None or request.dependencies is not None:
        return ""
    report = check_source(
        request.source,
        storage=storage,
        catalogue=catalogue,
        schema=schema,
        limits=limits,
        trusted=request.trust_model_code,
    )
    if report.refusal is not None:
        return str(report.refusal)
    return "; ".join(finding.line() for finding in report.findings if finding.is_error)


def _reasons(error: Rejected) -> str:
    return "; ".join(finding.line() for finding in error.findings if finding.is_error)
