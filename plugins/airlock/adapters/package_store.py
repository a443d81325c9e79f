"""The package store: a folder of immutable packages, each named by the digest of its manifest.

    <root>/sha256/<hex>/model/…      a package's files, read-only
    <root>/sha256/<hex>.json         its manifest, written last: what has none is not there
    <root>/listings/<hex>.json       which package a listing gave
    <root>/incoming/<hex>/           the copy of a listing that is under way, or that a killed importer left
    <root>/incoming/<hex>.lock       held by the importer that makes it

A package appears by one rename, so it is there whole or not at all, whoever is killed and whenever. Two importers of
one listing: the second waits and finds what the first made. Two listings of the same bytes are both copied; the second
copy to be ready is dropped.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

from airlock.adapters.disk import sync_folder
from airlock.adapters.incoming import IncomingPackage
from airlock.adapters.unpacking import members, unpack
from airlock.domain.archives import ArchiveForm, ArchiveMember
from airlock.domain.package import FileEntry, Manifest
from airlock.errors import StorageUnavailable, StoreDamaged, StoreFull
from airlock.ports import Clock, IncomingFile, Staged

#: How long a copy that broke off is kept for the next try of the same import.
OLD_COPY_S = 86_400.0
LOCK_LOOK_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """A package that has no name yet: its files, where they lie, and what was read for them."""

    entries: Sequence[FileEntry]
    folder: Path
    bytes_read: int


class PackageFolderStore:
    """A store in a folder.

    Args:
        root: The folder; made when missing.
        clock: Time.
    """

    def __init__(self, root: Path, clock: Clock) -> None:
        self.root = root
        self._clock = clock
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

    def stage(self, listing: str, files: Mapping[str, IncomingFile], tell: Callable[[str], None]) -> Staged:
        """Write a package and give it its name, in one move."""

        def copied(folder: Path) -> _Written:
            copy = IncomingPackage(folder, files, clock=self._clock, tell=tell)
            return _Written(entries=copy.copy(), folder=folder / "package", bytes_read=copy.bytes_read)

        return self._stage(listing, copied, tell)

    def stage_archive(
        self,
        listing: str,
        form: ArchiveForm,
        archive: IncomingFile,
        choose: Callable[[Iterator[ArchiveMember]], Mapping[str, str]],
        tell: Callable[[str], None],
    ) -> Staged:
        """Write the package that an archive holds; the archive itself is copied first, and gone afterwards."""

        def unpacked(folder: Path) -> _Written:
            copy = IncomingPackage(folder, {"archive": archive}, clock=self._clock, tell=tell)
            copy.copy()
            target = folder / "unpacked"
            # What a killed one has unpacked is not whole, and nothing says how far it is right.
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir()
            sizes: dict[str, int] = {}
            with (folder / "package" / "archive").open("rb") as file:
                wanted = choose(_noted(members(form, file), sizes))
                entries = unpack(
                    form,
                    file,
                    wanted,
                    target,
                    bytes_total=sum(sizes[name] for name in wanted),
                    clock=self._clock,
                    tell=tell,
                )
            return _Written(entries=entries, folder=target, bytes_read=copy.bytes_read)

        return self._stage(listing, unpacked, tell)

    def _stage(self, listing: str, write: Callable[[Path], _Written], tell: Callable[[str], None]) -> Staged:
        with self._disk_errors():
            for folder in (self.packages, self.listings, self.incoming):
                folder.mkdir(parents=True, exist_ok=True)
            self._sweep(OLD_COPY_S)
            with self._copy_of(listing, tell) as folder:
                digest = self.known(listing)
                if digest is not None:
                    return Staged(manifest=self.manifest(digest), bytes_read=0)
                written = write(folder)
                manifest = Manifest.of(written.entries)
                self._publish(written.folder, manifest)
                self._write_json(self.listings / f"{listing}.json", {"digest": manifest.digest()})
        return Staged(manifest=manifest, bytes_read=written.bytes_read)

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
    def _copy_of(self, listing: str, tell: Callable[[str], None]) -> Iterator[Path]:
        """The folder of a listing's copy, for this importer alone.

        It goes when the copy is done, and when trying again would not help. It stays for the next try when the source
        broke off or this process is ended.
        """
        folder = self.incoming / listing
        with self._lock_of(listing, tell):
            try:
                yield folder
            except StorageUnavailable:
                raise
            except Exception:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            # Whoever waits for the lock makes the folder anew, and looks first whether it is needed.
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _lock_of(self, listing: str, tell: Callable[[str], None]) -> Iterator[None]:
        path = self.incoming / f"{listing}.lock"
        told = False
        while True:
            with path.open("wb") as lock:
                # The lock dies with its holder, so a killed copy can be told from one that is under way.
                while not _lock_now(lock):
                    if not told:
                        tell("Waiting for another import that copies the same objects.")
                        told = True
                    self._clock.sleep(LOCK_LOOK_S)
                # Its last holder may have removed the file between our opening and our locking it.
                if not _is_still(path, lock):
                    continue
                try:
                    yield
                finally:
                    # While it is held: a file that is removed after that could be another one's lock.
                    path.unlink(missing_ok=True)
                return

    def _publish(self, folder: Path, manifest: Manifest) -> None:
        digest = manifest.digest()
        final = self.packages / digest
        for parent, _, _ in os.walk(folder):
            # Whatever the umask: services run as another user.
            os.chmod(parent, 0o755)  # noqa: S103
            sync_folder(Path(parent))
        try:
            folder.rename(final)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        sync_folder(self.packages)
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
        sync_folder(path.parent)

    def _sweep(self, age_s: float) -> int:
        """Remove copies whose importers are gone and that nobody took up for this long.

        Returns:
            How many there were.
        """
        count = 0
        for folder in [path for path in self.incoming.iterdir() if path.is_dir()]:
            with suppress(FileNotFoundError):
                if self._clock.now() - _last_change(folder) < age_s:
                    continue
                path = self.incoming / f"{folder.name}.lock"
                with path.open("wb") as lock:
                    if _lock_now(lock) and _is_still(path, lock):
                        shutil.rmtree(folder, ignore_errors=True)
                        path.unlink(missing_ok=True)
                        count += 1
        return count

    def _manifest_path(self, digest: str) -> Path:
        return self.packages / f"{digest}.json"

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                removed = self._sweep(0)
                also = f" {removed} unfinished copies of other imports were removed." if removed else ""
                raise StoreFull(
                    "STO004", f"The disk of the package store {self.root} is full.{also}", "Make room and try again."
                ) from None
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise StoreDamaged(
                    "STO005", f"The package store {self.root} cannot be written: {error}.", "Correct `[airlock] store`."
                ) from None
            raise


def _noted(found: Iterator[ArchiveMember], sizes: dict[str, int]) -> Iterator[ArchiveMember]:
    """The same entries, and their lengths written down."""
    for member in found:
        sizes[member.name] = member.size_bytes
        yield member


def _lock_now(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(path: Path, file: IO[bytes]) -> bool:
    """Whether the path still leads to the open file."""
    try:
        return path.stat().st_ino == os.fstat(file.fileno()).st_ino
    except FileNotFoundError:
        return False


def _last_change(folder: Path) -> float:
    """When something was last written down in a copy's folder, seconds since 1970."""
    journal = folder / "journal"
    return (journal if journal.exists() else folder).stat().st_mtime
