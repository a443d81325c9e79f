"""Where packages come from."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Protocol, TypeAlias

from airlock.domain.package import ListedObject
from airlock.domain.source import SourceLocation

#: A piece of an object: often the memory of whoever read it, which is good until the next piece is asked for.
Chunk: TypeAlias = bytes | memoryview


class ObjectStorage(Protocol):
    """What packages come from: an S3-compatible object storage behind one Connection, or folders of the worker."""

    @property
    def identity(self) -> str:
        """Names the storage: two storages never share one."""

    def list(self, location: SourceLocation) -> Iterator[ListedObject]:
        """Every object below the folder; of a location that names an archive, that object first.

        Raises:
            SourceRefused: No such bucket or folder, or no permission.
            StorageUnavailable: No answer, or the storage's own error.
        """

    def read(self, location: SourceLocation, item: ListedObject, start: int, stop: int) -> Generator[Chunk, None, None]:
        """The object's bytes from `start` up to but without `stop`, in order. May be called by several threads.

        Raises:
            SourceChanged: The object is no longer the one that was listed, or fewer or more bytes came.
            SourceRefused: No permission.
            StorageUnavailable: No answer, or the storage's own error, after several tries.
        """
