"""The store of packages: what puts them in, what reads them, and what says which of them must be kept."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from airlock.domain.archives import ArchiveForm, ArchiveMember
from airlock.domain.model_files.streams import Binary
from airlock.domain.package import FileEntry, Manifest
from airlock.ports.object_storage import Chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingFile:
    """A file on its way into the store.

    Attributes:
        size_bytes: Its length.
        read: Gives its bytes from a start up to but without a stop, in order; several threads call it.
    """

    size_bytes: int
    read: Callable[[int, int], Generator[Chunk, None, None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """A package that is in the store now.

    Attributes:
        manifest: Its files.
        bytes_read: Bytes that came from the source for it.
    """

    manifest: Manifest
    bytes_read: int


class PackageFiles(Protocol):
    """The files of packages, wherever they lie: all that checking one takes."""

    def manifest(self, digest: str) -> Manifest:
        """The files of a package.

        Raises:
            StoreDamaged: The store does not have it, or its manifest does not match its name.
        """

    def read(self, digest: str, entry: FileEntry, limit: int) -> bytes:
        """The first `limit` bytes of a file.

        Raises:
            StoreDamaged: The file is missing or has another size.
        """

    def open(self, digest: str, entry: FileEntry) -> AbstractContextManager[Binary]:
        """A file for reading any part of it; closed when the context is left.

        Raises:
            StoreDamaged: The file is missing or has another size.
        """


class PackageStore(PackageFiles, Protocol):
    """Immutable packages, named by their digest."""

    def known(self, listing: str) -> str | None:
        """The digest of the package that a listing of this identity gave before, if the store still has it."""

    def stage(self, listing: str, files: Mapping[str, IncomingFile], tell: Callable[[str], None]) -> Staged:
        """Write a package and give it its name, in one move.

        Two importers of one listing copy it once; what a killed one left is verified and used.

        Args:
            listing: Identity of the listing it comes from; remembered for `known`.
            files: Path relative to the package → where its bytes come from.
            tell: Takes a line of progress now and then.

        Raises:
            StoreDamaged: The disk cannot take it.
            StoreFull: The disk is full.
        """

    def stage_archive(
        self,
        listing: str,
        form: ArchiveForm,
        archive: IncomingFile,
        choose: Callable[[Iterator[ArchiveMember]], Mapping[str, str]],
        tell: Callable[[str], None],
    ) -> Staged:
        """Write the package that an archive holds, in the same way.

        Args:
            listing: Identity of the archive; remembered for `known`.
            form: How it is written.
            archive: Where its bytes come from.
            choose: Looks at its entries and gives name in the archive → path in the package. What it raises ends the
                copy, with nothing unpacked.
            tell: Takes a line of progress now and then.

        Raises:
            Unreadable: The archive is damaged, or two readers could see different files in it.
            StoreDamaged: The disk cannot take it.
            StoreFull: The disk is full.
        """

    def folder(self, digest: str) -> str:
        """The package's folder on this machine, which contains `model/`. Nothing in it may be changed."""


class PackageUse(Protocol):
    """Which packages must be kept."""

    def packages_in_use(self) -> frozenset[str]:
        """Digests (hexadecimal) of the packages that a version names."""

    def importing_since(self) -> float | None:
        """When the oldest version that is Importing was reserved, seconds since 1970; None where there is none."""
