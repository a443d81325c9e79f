"""The folders of the package store, and the locks that its importers and its care share.

<root>/sha256/<hex>/model/…      a package's files, read-only
<root>/sha256/<hex>.json         its manifest, written last: what has none is not there; its time is the last use
<root>/files/<xx>/<sha256>       larger files once more, as hard links: what the next package with the same file takes
<root>/listings/<hex>.json       which package a listing gave
<root>/incoming/<hex>/           the copy of a listing that is under way, or that a killed importer left
<root>/incoming/<hex>.lock       held by the importer that makes it
<root>/removed/                  what is taken out of the store, until it is gone
<root>/lock                      shared by whoever gives or uses a name, held alone by whoever takes one away
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from airlock.adapters.disk import sync_folder
from airlock.domain.package import FileEntry, Manifest
from airlock.errors import StoreAway, StoreDamaged

#: Beginning of the names of packages that were taken out because they are damaged.
DAMAGED = "damaged-"
#: How long the copy of an import that broke off is kept for its next try.
OLD_COPY_S = 86_400.0
#: Device and number of a file, whatever names it has.
Inode = tuple[int, int]


class StoreFolders:
    """The folders below a root.

    Args:
        root: The folder of the store.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.packages = root / "sha256"
        self.files = root / "files"
        self.listings = root / "listings"
        self.incoming = root / "incoming"
        self.removed = root / "removed"
        self.lock = root / "lock"

    def make(self) -> None:
        """Make what is missing."""
        for folder in (self.packages, self.files, self.listings, self.incoming, self.removed):
            folder.mkdir(parents=True, exist_ok=True)

    def manifest_path(self, digest: str) -> Path:
        """Where a package's manifest lies."""
        return self.packages / f"{digest}.json"

    def pooled(self, sha256: str) -> Path:
        """Where a file lies for whoever else has it."""
        return self.files / sha256[:2] / sha256

    def manifest(self, digest: str) -> Manifest:
        """The files of a package, checked against its name.

        Raises:
            StoreDamaged: There is none, or it is another's.
        """
        try:
            rows = json.loads(self.manifest_path(digest).read_bytes())
            manifest = Manifest.of(FileEntry(path=path, size_bytes=size, sha256=sha) for path, size, sha in rows)
        except FileNotFoundError:
            if not self.packages.is_dir():
                # A folder that is not mounted says nothing about any package.
                raise StoreAway(
                    "STO010",
                    f"The package store {self.root} is not there, or empty.",
                    "Mount it on this worker, or correct `[airlock] store`.",
                ) from None
            raise StoreDamaged(
                "STO001", f"The store {self.root} has no package {digest}.", "Import the package again."
            ) from None
        except (ValueError, TypeError) as error:
            raise StoreDamaged(
                "STO002", f"The manifest of package {digest} cannot be read: {error}.", "Import it again."
            ) from None
        if manifest.digest() != digest:
            raise StoreDamaged(
                "STO002", f"The manifest of package {digest} does not match its name.", "Import it again."
            )
        return manifest

    def write_manifest(self, manifest: Manifest, spare: Path) -> None:
        """Make a package's folder a package.

        Args:
            manifest: Its files.
            spare: A folder for the file while it is not whole.
        """
        write_whole(self.manifest_path(manifest.digest()), manifest.canonical(), spare)

    def digest_of(self, listing: Path) -> str:
        """The package that a listing's file names; empty where it cannot be read."""
        try:
            return str(json.loads(listing.read_bytes())["digest"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return ""

    def has(self, digest: str) -> bool:
        """Whether a package is there, by its names alone."""
        return bool(digest) and self.manifest_path(digest).is_file() and (self.packages / digest).is_dir()

    def digests(self) -> list[str]:
        """Every name in the folder of packages, with its manifest, its files or both."""
        return sorted({path.name.removesuffix(".json") for path in self.packages.iterdir()})

    def take_away(self, digest: str, now: float, prefix: str = "") -> Path:
        """Take a package's names away, under the lock; its files lie in the folder that is returned."""
        away = self.removed / f"{prefix}{digest}-{os.getpid()}-{now:.6f}"
        away.mkdir()
        # The manifest first: what has none is not there.
        for path in (self.manifest_path(digest), self.packages / digest):
            with suppress(FileNotFoundError):
                path.rename(away / path.name)
        return away

    @contextmanager
    def shared(self) -> Iterator[None]:
        """While names are given or used: nobody takes one away."""
        with _locked(self.lock, os.O_RDONLY, fcntl.LOCK_SH):
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While names are taken away: nobody gives or uses one. Held for moments only."""
        with _locked(self.lock, os.O_RDWR, fcntl.LOCK_EX):
            yield


@contextmanager
def _locked(path: Path, mode: int, kind: int) -> Iterator[None]:
    descriptor = os.open(path, mode | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, kind)
        yield
    finally:
        os.close(descriptor)


def lock_now(file: IO[bytes]) -> bool:
    """Take the lock of an open file, or say that another has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_still(path: Path, file: IO[bytes]) -> bool:
    """Whether the path still leads to the open file."""
    try:
        return path.stat().st_ino == os.fstat(file.fileno()).st_ino
    except FileNotFoundError:
        return False


@contextmanager
def unused_copy(folder: Path) -> Iterator[bool]:
    """Hold the lock of a copy that nobody works on; False where somebody does, or it is gone."""
    path = folder.with_name(f"{folder.name}.lock")
    with path.open("wb") as lock:
        held = lock_now(lock) and is_still(path, lock)
        try:
            yield held
        finally:
            if held:
                path.unlink(missing_ok=True)


def last_change(folder: Path) -> float:
    """When something was last written down in a copy's folder, seconds since 1970."""
    journal = folder / "journal"
    return (journal if journal.exists() else folder).stat().st_mtime


def write_whole(path: Path, data: bytes, spare: Path) -> None:
    """Write a file whole or not at all.

    Args:
        path: Where it belongs.
        data: What it holds.
        spare: A folder of the same file system, where it lies until it is whole.
    """
    with tempfile.NamedTemporaryFile("wb", dir=spare, delete=False) as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, path)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(file.name)
            raise
    sync_folder(path.parent)


def files_below(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Everything below a folder that is no folder: path → status."""
    for parent, folders, names in os.walk(folder):
        for name in [*names, *(each for each in folders if (Path(parent) / each).is_symlink())]:
            path = Path(parent) / name
            # Somebody may take the package away meanwhile.
            with suppress(FileNotFoundError):
                yield path.relative_to(folder).as_posix(), path.lstat()


def inode_of(status: os.stat_result) -> Inode:
    """Which file it is, whatever its name."""
    return status.st_dev, status.st_ino


def remove(path: Path) -> None:
    """Remove a file, a link or a whole folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
