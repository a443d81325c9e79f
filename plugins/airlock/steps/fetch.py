"""fetch: the package's objects become an immutable, content-addressed copy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence

from airlock.domain.findings import Finding, Severity, by_weight, finding, has_errors, shown
from airlock.domain.package import MODEL_FOLDER, FetchLimits, ListedObject, Package, check_names
from airlock.domain.record import Accepted
from airlock.domain.source import SourceLocation
from airlock.domain.version import EventKind
from airlock.errors import PackageRejected
from airlock.ports import IncomingFile, ObjectStorage, PackageStore, Registry

MAX_SHOWN_NAMES = 5


def fetch(
    accepted: Accepted,
    *,
    storage: ObjectStorage,
    store: PackageStore,
    registry: Registry,
    limits: FetchLimits,
    log: Callable[[str], None],
) -> Package:
    """Stage the package of a request, and tell the version's history.

    Args:
        accepted: The request.
        storage: Where the package lies.
        store: Where it is kept.
        registry: For the version's history.
        limits: How much it may hold.
        log: Takes a line of progress now and then.

    Raises:
        PackageRejected: No `model/`, unsafe or colliding names, too many objects or bytes.
        SourceRefused: No bucket or no permission.
        SourceChanged: An object changed while it was copied.
        StorageUnavailable: The storage did not answer.
        StoreDamaged: The store cannot take it.
    """
    package = stage(
        accepted.request.source,
        storage=storage,
        store=store,
        limits=limits,
        scope=str(accepted.reservation.run),
        log=log,
    )
    copied = package.bytes_copied
    how = f"{copied:,} bytes copied" if copied else "already in the store, nothing copied"
    registry.add_event(
        accepted.reservation,
        EventKind.NORMAL,
        f"Model files imported from {package.source}: {package.file_count} files, {package.size_bytes:,} bytes, {how}.",
    )
    return package


def stage(
    asked: SourceLocation,
    *,
    storage: ObjectStorage,
    store: PackageStore,
    limits: FetchLimits,
    scope: str,
    log: Callable[[str], None],
) -> Package:
    """Stage the package of a folder.

    Objects that the store has from an earlier import of the same listing are not read again.

    Args:
        asked: The folder.
        storage: Where it lies.
        store: Where it is kept.
        limits: How much it may hold.
        scope: Names the run: where the storage gives no tags, a listing means nothing beyond it.
        log: Takes a line of progress now and then.

    Raises:
        AirlockError: As `fetch` says.
    """
    location = asked.above_model()
    objects, findings = _list(storage, location, limits)
    if location != asked:
        findings.append(
            finding("PKG011", f"{asked} is the `model` folder itself; {location} is read.", severity=Severity.INFO)
        )
    inside = {
        item.key[len(location.prefix) :]: item
        for item in objects
        if item.key.startswith(f"{location.prefix}{MODEL_FOLDER}/") and not _is_marker(item)
    }
    findings += _check(location, objects, inside, limits)
    if has_errors(findings):
        raise PackageRejected(f"the package {asked}", by_weight(findings))

    # Without tags the same sizes say nothing about another day's bytes.
    listing = listing_identity(storage.identity, inside, "" if all(item.etag for item in inside.values()) else scope)
    digest = store.known(listing)
    if digest is not None:
        manifest, copied = store.manifest(digest), 0
    else:
        staged = store.stage(listing, {path: _file(storage, location, item) for path, item in inside.items()}, log)
        manifest, copied = staged.manifest, staged.bytes_read
    return Package(
        digest=manifest.digest(),
        source=str(location),
        file_count=len(manifest.files),
        size_bytes=manifest.size_bytes,
        bytes_copied=copied,
        findings=by_weight(findings),
    )


def listing_identity(storage: str, objects: dict[str, ListedObject], scope: str = "") -> str:
    """Names a listing: the same storage, paths, sizes and tags give the same name.

    Args:
        storage: The storage's identity. A tag means nothing beyond the storage that gave it.
        objects: Path → object.
        scope: Names the run where the listing means nothing beyond it, else empty.

    Returns:
        SHA-256, hexadecimal.
    """
    rows = [[path, item.size_bytes, item.etag] for path, item in sorted(objects.items())]
    return hashlib.sha256(
        json.dumps([storage, rows, *([scope] if scope else [])], separators=(",", ":")).encode()
    ).hexdigest()


def _is_marker(item: ListedObject) -> bool:
    return item.key.endswith("/") and item.size_bytes == 0


def _list(
    storage: ObjectStorage, location: SourceLocation, limits: FetchLimits
) -> tuple[list[ListedObject], list[Finding]]:
    objects: list[ListedObject] = []
    for item in storage.list(location):
        objects.append(item)
        if len(objects) > limits.max_objects:
            message = f"{location} holds more than {limits.max_objects:,} objects."
            return objects, [finding("PKG009", message)]
    return objects, []


def _check(
    location: SourceLocation,
    objects: Sequence[ListedObject],
    inside: dict[str, ListedObject],
    limits: FetchLimits,
) -> list[Finding]:
    findings = list(check_names(inside))
    if not inside:
        names = [shown(item.key[len(location.prefix) :]) for item in objects[:MAX_SHOWN_NAMES]]
        holds = (
            f"it holds {', '.join(names)}" + ("…" if len(objects) > MAX_SHOWN_NAMES else "") if names else "it is empty"
        )
        findings.append(finding("PKG001", f"{location} has no folder `model` with files in it: {holds}."))
    size_bytes = sum(item.size_bytes for item in inside.values())
    if size_bytes > limits.max_package_bytes:
        largest = max(inside.items(), key=lambda pair: pair[1].size_bytes)
        message = (
            f"`model/` has {size_bytes:,} bytes, at most {limits.max_package_bytes:,} are taken; "
            f"the largest file is {shown(largest[0])} with {largest[1].size_bytes:,}."
        )
        findings.append(finding("PKG008", message))
    outside = sum(
        not item.key.startswith(f"{location.prefix}{MODEL_FOLDER}/") and not _is_marker(item) for item in objects
    )
    if inside and outside:
        findings.append(finding("PKG010", f"{outside} objects outside `model/` are not part of the package."))
    return findings


def _file(storage: ObjectStorage, location: SourceLocation, item: ListedObject) -> IncomingFile:
    return IncomingFile(size_bytes=item.size_bytes, read=lambda start, stop: storage.read(location, item, start, stop))
