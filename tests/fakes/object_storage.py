"""Buckets in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator, Mapping

from airlock.domain.package import ListedObject
from airlock.domain.source import SourceLocation
from airlock.errors import SourceChanged, SourceRefused, StorageUnavailable


class FakeStorage:
    """Buckets in memory.

    Attributes:
        buckets: Bucket → key → bytes.
        forbidden: Buckets that refuse every request.
        away: Whether nothing answers.
        copied: Keys whose bytes were read, in order.
        before_copy: Called with the key before its bytes are read: where a test changes the bucket midway.
        tag: Gives the tag of an object's bytes.
    """

    identity = "memory"

    def __init__(self, buckets: Mapping[str, Mapping[str, bytes]] | None = None) -> None:
        self.buckets: dict[str, dict[str, bytes]] = {name: dict(keys) for name, keys in (buckets or {}).items()}
        self.forbidden: set[str] = set()
        self.away = False
        self.modified = ""
        self.copied: list[str] = []
        self.before_copy: Callable[[str], None] = lambda key: None
        self.tag: Callable[[bytes], str] = lambda data: hashlib.sha256(data).hexdigest()[:32]

    def list(self, location: SourceLocation) -> Iterator[ListedObject]:
        for key, data in sorted(self._bucket(location).items()):
            if key.startswith(location.prefix):
                yield ListedObject(key=key, size_bytes=len(data), etag=self.tag(data), modified=self.modified)

    def read(self, location: SourceLocation, item: ListedObject, start: int, stop: int) -> Generator[bytes, None, None]:
        self.before_copy(item.key)
        data = self._bucket(location).get(item.key)
        if data is None:
            raise SourceChanged("SRC003", f"{item.key} was deleted while it was copied.", "Try again.")
        if self.tag(data) != item.etag or len(data) != item.size_bytes:
            raise SourceChanged("SRC003", f"{item.key} was replaced while it was copied.", "Try again.")
        self.copied.append(item.key)
        yield data[start:stop]

    def _bucket(self, location: SourceLocation) -> dict[str, bytes]:
        if self.away:
            raise StorageUnavailable("SRC006", "The object storage does not answer.", "Try again later.")
        if location.bucket in self.forbidden:
            raise SourceRefused("SRC002", f"No permission for bucket {location.bucket}.", "Correct the Connection.")
        if location.bucket not in self.buckets:
            raise SourceRefused("SRC001", f"There is no bucket {location.bucket}.", "Correct `source_location`.")
        return self.buckets[location.bucket]
