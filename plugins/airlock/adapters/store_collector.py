"""Removes from the package store what no version names; safe beside imports.

Who takes a name away holds the store's lock alone for that moment, and looks again under it. A package that was given
or used since the oldest import that is still under way began is left alone: that import may be about to name it.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from airlock.adapters.store_folders import (
    DAMAGED,
    OLD_COPY_S,
    Inode,
    StoreFolders,
    files_below,
    inode_of,
    last_change,
    remove,
    unused_copy,
)
from airlock.ports.clock import Clock
from airlock.ports.package_store import PackageUse

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """Something that no version needs.

    Attributes:
        what: `package`, `copy`, `file`, `listing` or `remainder`.
        name: Its name in the store.
        size_bytes: Bytes that the disk gets back.
        idle_s: Seconds since it was used last.
    """

    what: str
    name: str
    size_bytes: int
    idle_s: float


class StoreCollector:
    """Removes.

    Args:
        root: The folder of the store.
        use: Says which packages are in use.
        clock: Time.
    """

    def __init__(self, root: Path, use: PackageUse, clock: Clock) -> None:
        self.folders = StoreFolders(root)
        self._use = use
        self._clock = clock

    def collect(self, older_than_s: float, *, dry_run: bool) -> Iterator[Removal]:
        """Remove what nobody needs.

        Args:
            older_than_s: Only what was not used for so many seconds.
            dry_run: Only tell.

        Yields:
            What was removed, or would be.
        """
        if not self.folders.packages.is_dir():
            return
        if not dry_run:
            self.folders.make()
        began = self._clock.now()
        # In this order: an import that ends between the two is among the named, and one that begins later uses what it
        # names after this line.
        importing_since = self._use.importing_since()
        named = self._use.packages_in_use()
        until = min(began - older_than_s, began if importing_since is None else importing_since)
        taken: Counter[Inode] = Counter()
        for digest in self.folders.digests():
            if digest not in named and _DIGEST.fullmatch(digest):
                yield from self._collect_package(digest, until, taken, dry_run)
        yield from self._collect_listings(dry_run)
        yield from self._collect_files(taken, dry_run)
        yield from self._collect_copies(dry_run)
        yield from self._collect_remainders(began - older_than_s, dry_run)

    def _last_use(self, digest: str) -> float:
        path = self.folders.manifest_path(digest)
        return (path if path.exists() else self.folders.packages / digest).stat().st_mtime

    def _collect_package(self, digest: str, until: float, taken: Counter[Inode], dry_run: bool) -> Iterator[Removal]:
        try:
            used = self._last_use(digest)
        except FileNotFoundError:
            return
        if used >= until:
            return
        removal = Removal(
            what="package",
            name=digest,
            size_bytes=_freed(self.folders.packages / digest, taken if dry_run else None),
            idle_s=self._clock.now() - used,
        )
        taken.update(inode_of(status) for _, status in files_below(self.folders.packages / digest))
        if not dry_run:
            with self.folders.alone():
                if self._last_use(digest) >= until:
                    return
                away = self.folders.take_away(digest, self._clock.now())
            shutil.rmtree(away, ignore_errors=True)
        yield removal

    def _collect_listings(self, dry_run: bool) -> Iterator[Removal]:
        for path in sorted(self.folders.listings.glob("*.json")):
            if self.folders.has(self.folders.digest_of(path)):
                continue
            if not dry_run and not self._drop_listing(path):
                continue
            yield Removal(what="listing", name=path.stem, size_bytes=0, idle_s=0)

    def _drop_listing(self, path: Path) -> bool:
        with self.folders.alone():
            if self.folders.has(self.folders.digest_of(path)):
                return False
            path.unlink(missing_ok=True)
            return True

    def _collect_files(self, taken: Counter[Inode], dry_run: bool) -> Iterator[Removal]:
        for path in sorted(self.folders.files.glob("*/*")):
            with suppress(FileNotFoundError):
                status = path.stat()
                # The last name of a file. Whoever takes it for a package at this moment has a name of its own.
                if status.st_nlink == 1:
                    if not dry_run:
                        path.unlink()
                    # Those of the packages that just went were told with them.
                    if inode_of(status) not in taken:
                        yield Removal(
                            what="file",
                            name=path.name,
                            size_bytes=status.st_blocks * 512,
                            idle_s=self._clock.now() - status.st_ctime,
                        )

    def _collect_copies(self, dry_run: bool) -> Iterator[Removal]:
        for folder in sorted(path for path in self.folders.incoming.glob("*") if path.is_dir()):
            with suppress(FileNotFoundError):
                idle_s = self._clock.now() - last_change(folder)
                if idle_s < OLD_COPY_S:
                    continue
                removal = Removal(what="copy", name=folder.name, size_bytes=_freed(folder), idle_s=idle_s)
                with unused_copy(folder) as unused:
                    if unused:
                        if not dry_run:
                            shutil.rmtree(folder, ignore_errors=True)
                        yield removal

    def _collect_remainders(self, until: float, dry_run: bool) -> Iterator[Removal]:
        """What another run took away and did not finish with; damaged packages only when they are old."""
        for path in self._remainders(dry_run):
            with suppress(FileNotFoundError):
                changed = path.stat().st_mtime
                if path.name.startswith(DAMAGED) and changed >= until:
                    continue
                removal = Removal(
                    what="remainder", name=path.name, size_bytes=_freed(path), idle_s=self._clock.now() - changed
                )
                if not dry_run:
                    remove(path)
                yield removal

    def _remainders(self, dry_run: bool) -> list[Path]:
        if dry_run:
            return sorted(self.folders.removed.glob("*"))
        # Whoever takes a package away has done so by then, and only removes its files.
        with self.folders.alone():
            return sorted(self.folders.removed.glob("*"))


def _freed(path: Path, taken: Counter[Inode] | None = None) -> int:
    """Bytes that the disk gets back: files that another package has, too, stay.

    Args:
        path: What goes.
        taken: Names of each file that would have gone before.
    """
    if not path.is_dir():
        return path.lstat().st_blocks * 512
    freed = 0
    for _, status in files_below(path):
        # One more name is that among the shared files.
        if status.st_nlink - (taken[inode_of(status)] if taken else 0) <= 2:
            freed += status.st_blocks * 512
    return freed
