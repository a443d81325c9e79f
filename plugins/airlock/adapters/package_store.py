"""The package store: a folder of immutable packages, each named by the digest of its manifest.

A package appears by one rename, so it is there whole or not at all, whoever is killed and whenever. Two importers of
one listing: the second waits and finds what the first made. Two listings of the same bytes are both copied; the second
copy to be ready is dropped. `store_folders.py` says where everything lies,
`store_collector.py` removes and `store_verifier.py` verifies.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from airlock.adapters.disk import sync_folder
from airlock.adapters.incoming import IncomingPackage
from airlock.adapters.shared_files import is_shared, share
from airlock.adapters.store_folders import (
    OLD_COPY_S,
    StoreFolders,
    is_still,
    last_change,
    lock_now,
    unused_copy,
    write_whole,
)
from airlock.adapters.unpacking import members, unpack
from airlock.domain.archives import ArchiveForm, ArchiveMember
from airlock.domain.package import FileEntry, Manifest
from airlock.errors import StorageUnavailable, StoreDamaged, StoreFull
from airlock.ports.clock import Clock
from airlock.ports.package_store import IncomingFile, Staged

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
        self.folders = StoreFolders(root)
        self._clock = clock

    def known(self, listing: str) -> str | None:
        """The digest of the package that this listing gave before, if the store still has it."""
        digest = self._known(listing)
        if digest is not None:
            self._clear_copy(listing)
        return digest

    def _known(self, listing: str) -> str | None:
        if not self.folders.listings.is_dir():
            return None
        # From here on it is in use: what takes packages away looks at the time under the other side of the lock.
        with self._disk_errors(), self.folders.shared():
            digest = self.folders.digest_of(self.folders.listings / f"{listing}.json")
            if not self.folders.has(digest):
                return None
            now = self._clock.now()
            os.utime(self.folders.manifest_path(digest), (now, now))
            return digest

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
            self.folders.make()
            self._sweep(OLD_COPY_S)
            with self._copy_of(listing, tell) as folder:
                digest = self._known(listing)
                if digest is not None:
                    return Staged(manifest=self.manifest(digest), bytes_read=0)
                written = write(folder)
                manifest = Manifest.of(written.entries)
                self._publish(listing, written.folder, manifest)
        return Staged(manifest=manifest, bytes_read=written.bytes_read)

    def manifest(self, digest: str) -> Manifest:
        """The files of a package, checked against its name."""
        return self.folders.manifest(digest)

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
                file = stack.enter_context((self.folders.packages / digest / entry.path).open("rb"))
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
        return str(self.folders.packages / digest)

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def _copy_of(self, listing: str, tell: Callable[[str], None]) -> Iterator[Path]:
        """The folder of a listing's copy, for this importer alone.

        It goes when the copy is done, and when trying again would not help. It stays for the next try when the source
        broke off or this process is ended.
        """
        folder = self.folders.incoming / listing
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
        path = self.folders.incoming / f"{listing}.lock"
        told = False
        while True:
            with path.open("wb") as lock:
                # The lock dies with its holder, so a killed copy can be told from one that is under way.
                while not lock_now(lock):
                    if not told:
                        tell("Waiting for another import that copies the same objects.")
                        told = True
                    self._clock.sleep(LOCK_LOOK_S)
                # Its last holder may have removed the file between our opening and our locking it.
                if not is_still(path, lock):
                    continue
                try:
                    yield
                finally:
                    # While it is held: a file that is removed after that could be another one's lock.
                    path.unlink(missing_ok=True)
                return

    def _clear_copy(self, listing: str) -> None:
        """Remove what an importer left that was killed after its package had its name, and before it had cleared up."""
        folder = self.folders.incoming / listing
        if not folder.exists() and not folder.with_name(f"{listing}.lock").exists():
            return
        # Whatever stands in the way now: the store's own sweep finds it again.
        with suppress(OSError), unused_copy(folder) as unused:
            if unused:
                shutil.rmtree(folder, ignore_errors=True)

    def _publish(self, listing: str, folder: Path, manifest: Manifest) -> None:
        digest = manifest.digest()
        for entry in () if self.folders.has(digest) else filter(is_shared, manifest.files):
            share(folder / entry.path, entry, self.folders.pooled(entry.sha256), folder.with_name("spare"))
        for parent, _, _ in os.walk(folder):
            # Whatever the umask: services run as another user.
            os.chmod(parent, 0o755)  # noqa: S103
            sync_folder(Path(parent))
        with self.folders.shared():
            try:
                folder.rename(self.folders.packages / digest)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
            sync_folder(self.folders.packages)
            self.folders.write_manifest(manifest, folder.parent)
            known = json.dumps({"digest": digest}, separators=(",", ":")).encode()
            write_whole(self.folders.listings / f"{listing}.json", known, folder.parent)

    def _sweep(self, age_s: float) -> int:
        """Remove copies whose importers are gone and that nobody took up for this long.

        Returns:
            How many there were.
        """
        count = 0
        for folder in [path for path in self.folders.incoming.iterdir() if path.is_dir()]:
            with suppress(FileNotFoundError):
                if self._clock.now() - last_change(folder) < age_s:
                    continue
                with unused_copy(folder) as unused:
                    if unused:
                        shutil.rmtree(folder, ignore_errors=True)
                        count += 1
        return count

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
