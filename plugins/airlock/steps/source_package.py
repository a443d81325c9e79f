"""A package where its author put it: listed, and read range by range, only as far as a check asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airlock.domain.findings import Findings, Place, finding
from airlock.domain.model_files.streams import Binary, NotRead
from airlock.domain.package import MODEL_FOLDER, FetchLimits, FileEntry, ListedObject, Manifest
from airlock.domain.source import SourceLocation
from airlock.errors import StoreDamaged

if TYPE_CHECKING:
    from airlock.ports.object_storage import ObjectStorage

#: What the one package of a source is called; it has no digest before it is imported.
DIGEST = "source"
#: Bytes of the first range behind a place that was jumped to; the next ones are twice as long each, up to the most.
FIRST_READ_BYTES = 4 * 1024
MAX_READ_AHEAD_BYTES = 4 * 1024 * 1024
#: Files that are kept once they are read: the larger ones are read again where they are asked for again.
MAX_KEPT_FILE_BYTES = 64 * 1024
MAX_KEPT_BYTES = 16 * 1024 * 1024


class SourcePackage:
    """The files of a package in object storage.

    Args:
        asked: The folder that contains `model/`, or `model/` itself.
        storage: Where it lies.
        limits: How much it may hold; the listing ends there.
        max_read_bytes: Bytes of model files that are fetched in all; 0 for any number.

    Attributes:
        location: The folder that contains `model/`.
        noticed: What was seen while its objects were listed.
        bytes_read: Bytes fetched so far.
    """

    def __init__(
        self, asked: SourceLocation, *, storage: ObjectStorage, limits: FetchLimits, max_read_bytes: int = 0
    ) -> None:
        self.location = asked.above_model()
        self.noticed = Findings(by_file=False)
        self.bytes_read = 0
        self._storage = storage
        self._left = max_read_bytes or None
        self._kept: dict[str, bytes] = {}
        self._kept_bytes = 0
        if self.location != asked:
            self.noticed.append(finding("PKG011", "The folder above it is taken."))
        self._objects = dict(self._listed(limits))

    def _listed(self, limits: FetchLimits) -> Iterator[tuple[str, ListedObject]]:
        """Path in the package → object."""
        inside, outside = f"{self.location.prefix}{MODEL_FOLDER}/", 0
        for count, item in enumerate(self._storage.list(self.location)):
            if count >= limits.max_objects:
                message = f"{self.location} holds more than {limits.max_objects:,} objects."
                self.noticed.append(finding("PKG009", message))
                return
            if item.key.endswith("/") and item.size_bytes == 0:
                # Tools write such objects to mark a folder.
                continue
            if item.key.startswith(inside):
                path = item.key[len(self.location.prefix) :]
                if item.not_a_file:
                    self.noticed.append(finding("PKG013", f"It is {item.not_a_file}.", place=Place(file=path)))
                else:
                    yield path, item
            else:
                outside += 1
        if outside:
            self.noticed.append(finding("PKG010", f"{outside} objects outside `model/` are not part of the package."))

    def manifest(self, digest: str) -> Manifest:
        """The files of the package, without digests."""
        return Manifest.of(
            FileEntry(path=path, size_bytes=item.size_bytes, sha256="") for path, item in self._objects.items()
        )

    def read(self, digest: str, entry: FileEntry, limit: int) -> bytes:
        """The first `limit` bytes of a file: always fetched, for they are few.

        Raises:
            SourceChanged: The object is no longer the listed one.
        """
        size = min(limit, entry.size_bytes)
        return self._whole(entry.path)[:size] if self._is_kept(entry) else self._fetched(entry.path, 0, size)

    @contextmanager
    def open(self, digest: str, entry: FileEntry) -> Iterator[Binary]:
        """A file for reading any part of it; reading raises `NotRead` where no more may be fetched."""
        yield _RangedFile(self, entry)

    def fetch(self, entry: FileEntry, start: int, stop: int) -> bytes:
        """A range of a file, as long as there is something left to spend.

        Raises:
            NotRead: There is not.
        """
        if self._is_kept(entry) and entry.path in self._kept:
            return self._kept[entry.path][start:stop]
        if self._left is not None:
            if stop - start > self._left:
                raise NotRead
            self._left -= stop - start
        return self._whole(entry.path)[start:stop] if self._is_kept(entry) else self._fetched(entry.path, start, stop)

    def _is_kept(self, entry: FileEntry) -> bool:
        return entry.size_bytes <= MAX_KEPT_FILE_BYTES

    def _whole(self, path: str) -> bytes:
        data = self._kept.get(path)
        if data is None:
            data = self._fetched(path, 0, self._objects[path].size_bytes)
            if self._kept_bytes + len(data) <= MAX_KEPT_BYTES:
                self._kept[path] = data
                self._kept_bytes += len(data)
        return data

    def _fetched(self, path: str, start: int, stop: int) -> bytes:
        item = self._objects.get(path)
        if item is None:
            raise StoreDamaged("STO003", f"{path} was not listed.", "Start the check again.")
        data = b"".join(self._storage.read(self.location, item, start, stop)) if stop > start else b""
        self.bytes_read += len(data)
        return data


class _RangedFile:
    """A file that is fetched piece by piece: small pieces where it is jumped in, longer ones where it is read on."""

    def __init__(self, package: SourcePackage, entry: FileEntry) -> None:
        self._package = package
        self._entry = entry
        self._at = 0
        self._buffer = b""
        self._buffered_from = 0
        self._next_bytes = FIRST_READ_BYTES

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, none at the end."""
        stop = self._entry.size_bytes if size < 0 else min(self._at + size, self._entry.size_bytes)
        parts = []
        while self._at < stop:
            offset = self._at - self._buffered_from
            if not 0 <= offset < len(self._buffer):
                self._fetch(stop)
                offset = 0
            part = self._buffer[offset : offset + stop - self._at]
            self._at += len(part)
            parts.append(part)
        return b"".join(parts)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place."""
        start = (0, self._at, self._entry.size_bytes)[whence]
        self._at = max(0, start + offset)
        return self._at

    def _fetch(self, stop: int) -> None:
        follows = self._buffer and self._at == self._buffered_from + len(self._buffer)
        self._next_bytes = min(2 * self._next_bytes, MAX_READ_AHEAD_BYTES) if follows else FIRST_READ_BYTES
        wanted = min(max(self._next_bytes, stop - self._at), MAX_READ_AHEAD_BYTES)
        end = min(self._at + wanted, self._entry.size_bytes)
        self._buffer = self._package.fetch(self._entry, self._at, end)
        self._buffered_from = self._at
