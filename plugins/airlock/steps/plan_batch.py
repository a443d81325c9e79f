"""plan: what would become of every package of a batch; nothing is copied, reserved or changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from airlock.domain.batch import (
    MAX_MANIFEST_BYTES,
    MAX_PACKAGES,
    BatchEntry,
    BatchItem,
    BatchPlan,
    Plan,
    entries_of,
    folders_below,
    import_run_id,
    imported_the_same,
    name_of,
    read_manifest,
    short,
)
from airlock.domain.batch_request import BatchRequest
from airlock.domain.catalogue import Catalogue
from airlock.domain.package import FetchLimits
from airlock.domain.record import VersionRow
from airlock.domain.registered import MAX_PAGE, Page, VersionFilter
from airlock.domain.request import ImportRequest
from airlock.domain.request_form import parse_request
from airlock.domain.source import Scheme, SourceLocation
from airlock.domain.version import Status
from airlock.errors import BatchRejected, PermanentError, Rejected, RequestRejected
from airlock.ports.object_storage import ObjectStorage
from airlock.ports.package_store import PackageStore
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
    twice = _Twice(entries)
    items = []
    for entry in entries:
        run_id = import_run_id(batch_run_id, entry.form)
        plan, reason, run_id = _decide(
            entry,
            run_id,
            twice=twice.of(entry),
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
            run_id=run_id if plan.is_imported else "",
        )
        items.append(item)
        log(f"{item.place}: {item.model_name} from {item.source}: {plan.value}{f' ({reason})' if reason else ''}")
    return BatchPlan(items=tuple(items), dry_run=request.dry_run)


def one_too_many(source: str) -> BatchItem:
    """A package that arrived together with more than a batch takes; it is named, and not forgotten."""
    return BatchItem(
        place="arrived",
        model_name=name_of(source),
        source=source,
        plan=Plan.INVALID,
        reason=f"More than {MAX_PACKAGES:,} packages arrived at once: write its marker again.",
        form={},
        run_id="",
    )


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


class _Twice:
    """What a batch names more often than it can be imported. Values that are no text are the form's to refuse."""

    def __init__(self, entries: Sequence[BatchEntry]) -> None:
        self._sources = Counter(_text(entry, "source_location") for entry in entries)
        self._names = Counter(_text(entry, "model_name") for entry in entries)
        self._places: dict[tuple[str, str], list[str]] = {}
        for entry in entries:
            self._places.setdefault(_version(entry), []).append(entry.place)

    def of(self, entry: BatchEntry) -> str:
        """Why the entry cannot be imported beside the others; empty where it can."""
        source, name = _text(entry, "source_location"), _text(entry, "model_name")
        if "model_version" in entry.form:
            places = self._places[_version(entry)]
            version = _text(entry, "model_version")
            return f"The batch gives {name} {version} {len(places)} times: {', '.join(places)}." if places[1:] else ""
        if self._sources[source] > 1:
            return f"The batch names {source} {self._sources[source]} times."
        if self._names[name] > 1:
            return f"The batch has {self._names[name]} packages of the model {name}: give each its `model_version`."
        return ""


def _text(entry: BatchEntry, field: str) -> str:
    return str(entry.form.get(field))


def _version(entry: BatchEntry) -> tuple[str, str]:
    return _text(entry, "model_name"), _text(entry, "model_version")


def _decide(
    entry: BatchEntry,
    run_id: str,
    *,
    twice: str,
    storage_of: StorageOf,
    store: PackageStore,
    reader: RegistryReader,
    catalogue: Catalogue,
    schema: Mapping[str, Any],
    limits: FetchLimits,
) -> tuple[Plan, str, str]:
    """What is to become of a package, why, and the run that imports it."""
    if twice:
        return Plan.INVALID, twice, ""
    try:
        request = parse_request(entry.form)
        if request.rebuild:
            return Plan.INVALID, "A batch imports packages. Rebuild a version by a run of `import_model`.", ""
        storage = storage_of(request.source.scheme, request.source_connection)
        versions = _versions(request.model_name, reader)
        number = request.model_version
        wanted = reader.find(request.model_name, number) if number is not None else None
        candidates = versions if number is None else (wanted,) if wanted else ()
        same = _identical(request, storage, store, limits, candidates)
        if same is not None:
            return Plan.IDENTICAL, f"Version {same} holds the same bytes.", ""
        other = _under_way(request, run_id, candidates)
        if other is not None:
            return Plan.UNDER_WAY, f"Version {other.model_version} is being imported from there by {other.run}.", ""
        if wanted is not None:
            run_id = _held_by(wanted)
            if not imported_the_same(run_id, entry.form) or wanted.status not in (Status.FAILED, Status.IMPORTING):
                return Plan.INVALID, _exists(wanted), ""
        broken = _broken(request, storage, catalogue, schema, limits)
    except RequestRejected as error:
        return Plan.INVALID, _reasons(error), ""
    except PermanentError as error:
        return Plan.INVALID, str(error), ""
    if broken:
        return Plan.INVALID, broken, ""
    return (Plan.NEW_VERSION if versions else Plan.NEW), "", run_id


def _under_way(request: ImportRequest, run_id: str, versions: Sequence[VersionRow]) -> VersionRow | None:
    """The version that another run imports from the same place, if one does."""
    return next(
        (
            row
            for row in versions
            if row.status is Status.IMPORTING and row.source == str(request.source) and _held_by(row) != run_id
        ),
        None,
    )


def _held_by(row: VersionRow) -> str:
    return row.run.partition("/")[2]


def _exists(row: VersionRow) -> str:
    said = f"{row.model_name} {row.model_version} exists already, {row.status.value}."
    if row.status is Status.FAILED:
        # A number is given once, and the run that holds it may have been given other fields.
        return f"{said} Give another number, or clear the run that holds it: {row.run}."
    return said


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
