"""fetch: the package's objects, or the archive that holds them, become an immutable, content-addressed copy."""

from __future__ import annotations

import enum
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from airlock.domain.archives import MEMBER_OVERHEAD_BYTES, ArchiveForm, ArchiveMember, choose
from airlock.domain.findings import Finding, Place, Severity, by_weight, finding, has_errors, shown
from airlock.domain.model_files.streams import Unreadable
from airlock.domain.package import MODEL_FOLDER, FetchLimits, ListedObject, Manifest, Package, check_names
from airlock.domain.record import Accepted
from airlock.domain.source import SourceLocation
from airlock.domain.version import EventKind
from airlock.errors import PackageRejected, SourceRefused
from airlock.ports.object_storage import ObjectStorage
from airlock.ports.package_store import IncomingFile, PackageStore
from airlock.ports.registry import Registry

MAX_SHOWN_NAMES = 5
#: A digest of an object, or of the digests of its parts and their number.
_DIGEST_TAG = re.compile(r"[0-9a-f]{32,128}(-[0-9]{1,5})?")
#: A version of a training job, which holds a `model/` of its own.
_JOB_VERSION = re.compile(r"(V[0-9]{3,})/model/")


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
        PackageRejected: No `model/`, unsafe or colliding names, too many objects or bytes, an archive that cannot be
            unpacked.
        SourceRefused: No bucket, no such archive, no permission, or a folder of the worker that is not allowed.
        SourceChanged: An object changed while it was copied.
        StorageUnavailable: The storage did not answer.
        StoreDamaged: The store cannot take it.
    """
    if accepted.package_digest:
        return _from_store(accepted, store, registry)
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


def _from_store(accepted: Accepted, store: PackageStore, registry: Registry) -> Package:
    """The package that a version has already, whatever became of its source."""
    manifest = store.manifest(accepted.package_digest)
    package = _package(accepted.request.source, manifest, 0)
    registry.add_event(
        accepted.reservation,
        EventKind.NORMAL,
        f"Model files taken from the store: {package.file_count} files, {package.size_bytes:,} bytes.",
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
    """Stage the package of a folder or of an archive.

    Objects that the store has from an earlier import of the same listing are not read again.

    Args:
        asked: The folder or the archive.
        storage: Where it lies.
        store: Where it is kept.
        limits: How much it may hold.
        scope: Names the run: where the storage gives no tags, a listing means nothing beyond it.
        log: Takes a line of progress now and then.

    Raises:
        AirlockError: As `fetch` says.
    """
    form = asked.archive
    if form is not None:
        return stage_archive(asked, form, storage=storage, store=store, limits=limits, scope=scope, log=log)
    location = asked.above_model()
    objects, findings = _list(storage, location, limits)
    if location != asked:
        findings.append(
            finding("PKG011", f"{asked} is the `model` folder itself; {location} is read.", severity=Severity.INFO)
        )
    inside = _inside(location, objects)
    findings += _check(location, objects, inside, limits)
    if has_errors(findings):
        raise PackageRejected(f"the package {asked}", by_weight(findings))

    listing = listing_identity(_identity(storage, location, inside), inside, _scope(inside.values(), scope))
    digest = store.known(listing)
    if digest is not None:
        manifest, copied = store.manifest(digest), 0
    else:
        staged = store.stage(listing, {path: _file(storage, location, item) for path, item in inside.items()}, log)
        manifest, copied = staged.manifest, staged.bytes_read
    return _package(location, manifest, copied, findings)


def stage_archive(
    location: SourceLocation,
    form: ArchiveForm,
    *,
    storage: ObjectStorage,
    store: PackageStore,
    limits: FetchLimits,
    scope: str,
    log: Callable[[str], None],
) -> Package:
    """Stage the package that an archive holds; arguments and failures are those of `stage`."""
    item = next(iter(storage.list(location)), None)
    if item is None or item.key != location.prefix:
        raise SourceRefused("SRC008", f"There is no object {location}.", "Correct it; a folder's name ends with `/`.")
    subject = f"the package {location}"
    if item.not_a_file:
        raise PackageRejected(subject, (finding("PKG013", f"{location} is {item.not_a_file}."),))
    # Members may be stored as they are, with a header each.
    if item.size_bytes > limits.max_package_bytes + MEMBER_OVERHEAD_BYTES * limits.max_objects:
        raise PackageRejected(subject, (finding("PKG008", f"The archive has {item.size_bytes:,} bytes."),))
    noticed: list[Finding] = []

    def chosen(members: Iterator[ArchiveMember]) -> Mapping[str, str]:
        found = choose(members, limits)
        if has_errors(found.findings):
            raise PackageRejected(subject, by_weight(found.findings))
        noticed.extend(found.findings)
        return found.paths

    objects = {f"{form.value} archive": item}
    listing = listing_identity(_identity(storage, location, objects), objects, _scope([item], scope))
    digest = store.known(listing)
    if digest is None:
        try:
            staged = store.stage_archive(listing, form, _file(storage, location, item), chosen, log)
        except Unreadable as error:
            message = f"{location}: {shown(error.message, 300)}."
            raise PackageRejected(subject, (finding("PKG012", message),)) from None
        return _package(location, staged.manifest, staged.bytes_read, noticed)
    manifest = store.manifest(digest)
    if manifest.size_bytes > limits.max_package_bytes or len(manifest.files) > limits.max_objects:
        # It was taken under other limits.
        message = f"The archive holds {len(manifest.files):,} files of {manifest.size_bytes:,} bytes."
        raise PackageRejected(subject, (finding("PKG008", message),))
    return _package(location, manifest, 0)


def known_digest(
    asked: SourceLocation, *, storage: ObjectStorage, store: PackageStore, limits: FetchLimits
) -> str | None:
    """The digest that staging would give, where the store has the package of this very listing; nothing is read.

    Args:
        asked: The folder or the archive.
        storage: Where it lies.
        store: Where packages are kept.
        limits: How much it may hold.

    Raises:
        SourceRefused: No bucket or no permission.
        StorageUnavailable: The storage did not answer.
    """
    location = asked.above_model() if asked.archive is None else asked
    objects = _objects(asked, location, storage, limits)
    if not objects or not all(item.etag for item in objects.values()):
        return None
    return store.known(listing_identity(_identity(storage, location, objects), objects))


class SourceLook(enum.Enum):
    """What became of a package where it was imported from."""

    SAME = "the same listing"
    CHANGED = "another listing"
    GONE = "nothing there"
    UNTOLD = "no tags to tell by"


def look_at_source(
    asked: SourceLocation, digest: str, *, storage: ObjectStorage, store: PackageStore, limits: FetchLimits
) -> SourceLook:
    """Look whether a package is still where it was imported from, by its listing alone.

    Args:
        asked: The folder or the archive.
        digest: The package that came from there.
        storage: Where it lies.
        store: Where packages are kept.
        limits: How much it may hold.

    Raises:
        SourceRefused: No permission.
        StorageUnavailable: The storage did not answer.
    """
    location = asked.above_model() if asked.archive is None else asked
    try:
        objects = _objects(asked, location, storage, limits)
    except SourceRefused as error:
        if error.code == "SRC001":
            return SourceLook.GONE
        raise
    if not objects:
        return SourceLook.GONE
    if not all(item.etag for item in objects.values()):
        return SourceLook.UNTOLD
    known = store.known(listing_identity(_identity(storage, location, objects), objects))
    return SourceLook.SAME if known == digest else SourceLook.CHANGED


def _objects(
    asked: SourceLocation, location: SourceLocation, storage: ObjectStorage, limits: FetchLimits
) -> dict[str, ListedObject]:
    """What a listing's identity is made of; nothing where there is no package or too much of it."""
    if asked.archive is None:
        listed, findings = _list(storage, location, limits)
        return _inside(location, listed) if not findings else {}
    item = next(iter(storage.list(location)), None)
    return {f"{asked.archive.value} archive": item} if item and item.key == location.prefix else {}


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


def _scope(items: Iterable[ListedObject], scope: str) -> str:
    # Without tags the same sizes say nothing about another day's bytes.
    return "" if all(item.etag for item in items) else scope


def _identity(storage: ObjectStorage, location: SourceLocation, objects: Mapping[str, ListedObject]) -> str:
    """What the tags of these objects are unique in.

    A tag that is a digest means the same bytes in every bucket of the storage. Others are made of times and lengths, or
    counted: two folders may well have the same ones for different bytes.
    """
    if all(_DIGEST_TAG.fullmatch(item.etag) for item in objects.values()):
        return storage.identity
    return f"{storage.identity} {location}"


def _package(
    location: SourceLocation, manifest: Manifest, bytes_copied: int, findings: Iterable[Finding] = ()
) -> Package:
    return Package(
        digest=manifest.digest(),
        source=str(location),
        file_count=len(manifest.files),
        size_bytes=manifest.size_bytes,
        bytes_copied=bytes_copied,
        findings=by_weight(findings),
    )


def _inside(location: SourceLocation, objects: Iterable[ListedObject]) -> dict[str, ListedObject]:
    """Path in the package → object."""
    return {
        item.key[len(location.prefix) :]: item
        for item in objects
        if item.key.startswith(f"{location.prefix}{MODEL_FOLDER}/") and not _is_marker(item)
    }


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
        versions = sorted({
            match[1] for item in objects if (match := _JOB_VERSION.match(item.key[len(location.prefix) :]))
        })
        fix = f"Name one of the training job's versions: {location}{versions[-1]}/." if versions else ""
        findings.append(finding("PKG001", f"{location} has no folder `model` with files in it: {holds}.", fix=fix))
    findings += [
        finding("PKG013", f"It is {item.not_a_file}.", place=Place(file=path))
        for path, item in inside.items()
        if item.not_a_file
    ]
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
