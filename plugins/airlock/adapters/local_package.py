"""A package in a folder of this machine, read where it lies: nothing is copied and nothing is hashed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from airlock.domain.engines import CONFIG_FILE
from airlock.domain.findings import Findings, Place, shown
from airlock.domain.package import MODEL_FOLDER, FileEntry, Manifest
from airlock.errors import StoreDamaged

#: What the one package of a folder is called; it has no digest before it is imported.
DIGEST = "local"


class LocalPackage:
    """The files of one package.

    Args:
        folder: The folder that contains `model/`, or `model/` itself.

    Attributes:
        noticed: What was seen while the files were listed.
    """

    def __init__(self, folder: Path) -> None:
        self.noticed = Findings(by_file=False)
        folder = folder.resolve()
        if folder.name == MODEL_FOLDER and _is_model(folder):
            self.noticed.note("PKG011", "The folder above it is taken.")
            folder = folder.parent
        self.root = folder
        self._manifest = Manifest.of(self._files())

    def _files(self) -> Iterator[FileEntry]:
        # Texts, not paths: of thousands of files those alone would take longer than everything else.
        above = len(os.path.join(self.root, ""))
        model = os.path.join(self.root, MODEL_FOLDER)
        if os.path.islink(model):
            # An import follows no link either.
            self._not_a_file(MODEL_FOLDER)
            return
        # What cannot be listed is part of the package all the same: nobody can say whether it would be taken.
        for parent, folders, names in os.walk(model, onerror=self._unlisted):
            folders.sort()
            for name in [*names, *(each for each in folders if os.path.islink(os.path.join(parent, each)))]:
                path = os.path.join(parent, name)
                relative = path[above:]
                try:
                    status = os.lstat(path)
                except OSError as error:
                    raise _unreadable(relative, error) from None
                if stat.S_ISREG(status.st_mode):
                    yield FileEntry(path=relative, size_bytes=status.st_size, sha256="")
                else:
                    self._not_a_file(relative)

    def _not_a_file(self, path: str) -> None:
        self.noticed.note("PKG013", "It is a link or a device, not a file.", place=Place(file=path))

    def _unlisted(self, error: OSError) -> None:
        path = os.path.relpath(os.fsdecode(error.filename), self.root)
        if path == MODEL_FOLDER and isinstance(error, (FileNotFoundError, NotADirectoryError)):
            # There is none, which a rule is about.
            return
        raise _unreadable(path, error)

    def manifest(self, digest: str) -> Manifest:
        """The files of the package, without digests."""
        return self._manifest

    def read(self, digest: str, entry: FileEntry, limit: int) -> bytes:
        """The first `limit` bytes of a file."""
        with self.open(digest, entry) as file:
            return file.read(limit)

    @contextmanager
    def open(self, digest: str, entry: FileEntry) -> Iterator[BinaryIO]:
        """A file for reading any part of it."""
        try:
            file = (self.root / entry.path).open("rb")
        except OSError as error:
            raise _unreadable(entry.path, error) from None
        with file:
            yield file


def _is_model(folder: Path) -> bool:
    """Whether a folder called `model` is the package's own: it may have one of that name inside, as a package may."""
    return os.path.lexists(folder / CONFIG_FILE) or not os.path.isdir(folder / MODEL_FOLDER)


def _unreadable(path: str, error: OSError) -> StoreDamaged:
    return StoreDamaged("STO003", f"{shown(path)} cannot be read: {error.strerror}.", "Check the folder.")
