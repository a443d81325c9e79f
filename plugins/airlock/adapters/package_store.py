"""The package store: a folder of immutable packages, each named by the digest of its manifest.

    <root>/sha256/<hex>/model/…      a package's files, read-only
    <root>/sha256/<hex>.json         its manifest, written last: what has none is not there
    <root>/listings/<hex>.json       which package a listing gave
    <root>/incoming/<random>/        copies that are under way, each with a lock that its writer holds

A package appears by one rename, so it is there whole or not at all, whoever is killed and whenever. Two importers of
the same bytes may both copy; the second one to finish drops its copy.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from airlock.domain.package import FileEntry, Manifest
from airlock.errors import StoreDamaged, StoreFull

_INCOMING_LOCK = ".lock"
# A copy that has no lock after this long was killed before it could take one.
_LOCKLESS_AGE_S = 3600


class PackageFolderStore:
    """A store in a folder.

    Args:
        root: The folder; made when missing.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.packages = root / "sha256"
        self.listings = root / "listings"
        self.incoming = root / "incoming"

    def known(self, listing: str) -> str | None:
        """The digest of the package that this listing gave before, if the store still has it."""
        try:
            digest = str(json.loads((self.listings / f"{listing}.json").read_bytes())["digest"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        return digest if self._manifest_path(digest).is_file() and (self.packages / digest).is_dir() else None

    def stage(self, listing: str, paths: Mapping[str, Callable[[BinaryIO], str]]) -> Manifest:
        """Write a package and give it its name, in one move."""
        with self._disk_errors():
            for folder in (self.packages, self.listings, self.incoming):
                folder.mkdir(parents=True, exist_ok=True)
            self._sweep()
            with self._copy_under_way() as folder:
                entries = [self._write(folder, path, copy) for path, copy in paths.items()]
                manifest = Manifest.of(entries)
                self._publish(folder, manifest)
            self._write_json(self.listings / f"{listing}.json", {"digest": manifest.digest()})
        return manifest

    def manifest(self, digest: str) -> Manifest:
        """The files of a package, checked against its name."""
        try:
            rows = json.loads(self._manifest_path(digest).read_bytes())
            manifest = Manifest.of(FileEntry(path=path, size_bytes=size, sha256=sha) for path, size, sha in rows)
        except FileNotFoundError:
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

    def read(self, digest: str, entry: FileEntry, limit: int) -> bytes:
        """The first `limit` bytes of a file."""
        with self.open(digest, entry) as file:
            return file.read(limit)

    @contextmanager
    def open(self, digest: str, entry: FileEntry) -> Iterator[BinaryIO]:
        """A file for reading any part of it."""
        with ExitStack() as stack:
            size = -1
            with suppress(FileNotFoundError):
                file = stack.enter_context((self.packages / digest / entry.path).open("rb"))
                size = os.fstat(file.fileno()).st_size
            if size != entry.size_bytes:
                raise StoreDamaged(
                    "STO003",
                    f"{entry.path} of package {digest} should have {entry.size_bytes:,} bytes and has "
                    f"{max(size, 0):,}.",
                    "Import the package again.",
                )
            yield file

    def folder(self, digest: str) -> str:
        """The package's folder, which contains `model/`."""
        return str(self.packages / digest)

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def _copy_under_way(self) -> Iterator[Path]:
        folder = Path(tempfile.mkdtemp(dir=self.incoming))
        try:
            with (folder / f"{_INCOMING_LOCK}.new").open("wb") as lock:
                # The lock dies with its holder, so a killed copy can be told from one that is under way. It gets its
                # name when it is held: nobody can find it free and take the copy for a killed one.
                fcntl.flock(lock, fcntl.LOCK_EX)
                (folder / f"{_INCOMING_LOCK}.new").rename(folder / _INCOMING_LOCK)
                yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _write(self, folder: Path, path: str, copy: Callable[[BinaryIO], str]) -> FileEntry:
        target = folder / "package" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        # Exclusive: on a file system that folds names, a second name for the same file is an error, not a mix.
        with target.open("xb") as file:
            sha256 = copy(file)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), 0o444)
            size = os.fstat(file.fileno()).st_size
        return FileEntry(path=path, size_bytes=size, sha256=sha256)

    def _publish(self, folder: Path, manifest: Manifest) -> None:
        digest = manifest.digest()
        final = self.packages / digest
        for parent, _, _ in os.walk(folder / "package"):
            # Whatever the umask: services run as another user.
            os.chmod(parent, 0o755)  # noqa: S103
            _sync_folder(Path(parent))
        try:
            (folder / "package").rename(final)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        _sync_folder(self.packages)
        rows = [[entry.path, entry.size_bytes, entry.sha256] for entry in manifest.files]
        self._write_json(self._manifest_path(digest), rows)

    def _write_json(self, path: Path, value: Any) -> None:
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".", delete=False, encoding="utf-8") as file:
            try:
                json.dump(value, file, ensure_ascii=False, separators=(",", ":"))
                file.flush()
                os.fsync(file.fileno())
                os.replace(file.name, path)
            except BaseException:
                os.unlink(file.name)
                raise
        _sync_folder(path.parent)

    def _sweep(self) -> None:
        """Remove copies whose writers are gone."""
        for folder in self.incoming.iterdir():
            try:
                with (folder / _INCOMING_LOCK).open("rb") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
            except FileNotFoundError:
                with suppress(FileNotFoundError):
                    if time.time() - folder.stat().st_mtime > _LOCKLESS_AGE_S:
                        shutil.rmtree(folder, ignore_errors=True)
            except (BlockingIOError, NotADirectoryError):
                continue

    def _manifest_path(self, digest: str) -> Path:
        return self.packages / f"{digest}.json"

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StoreFull(
                    "STO004", f"The disk of the package store {self.root} is full.", "Make room and try again."
                ) from None
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise StoreDamaged(
                    "STO005", f"The package store {self.root} cannot be written: {error}.", "Correct `[airlock] store`."
                ) from None
            raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
