"""Compares the package store with its own names and with the registry; safe beside imports."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from airlock.adapters.incoming_files import READ_BYTES
from airlock.adapters.store_folders import DAMAGED, Inode, StoreFolders, files_below, inode_of, remove
from airlock.domain.package import FileEntry, Manifest
from airlock.errors import StoreDamaged
from airlock.ports.clock import Clock
from airlock.ports.package_store import PackageUse


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that is not as it should be.

    Attributes:
        code: Stable code, STO…
        path: Where, relative to the store.
        message: What, as a sentence.
        repaired: What was done about it, as a sentence; empty where nothing was.
        harmless: Whether it is what a killed importer leaves: the next import or removal deals with it.
    """

    code: str
    path: str
    message: str
    repaired: str = ""
    harmless: bool = False


@dataclass(slots=True)
class Verified:
    """What a verification saw.

    Attributes:
        packages: Packages that were looked at.
        files: Files of those.
        bytes: Their bytes, files that several packages share counted once.
        problems: What was found.
    """

    packages: int = 0
    files: int = 0
    bytes: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether nothing is left to be done."""
        return all(problem.repaired or problem.harmless for problem in self.problems)


class StoreVerifier:
    """Verifies.

    Args:
        root: The folder of the store.
        use: Says which packages are in use.
        clock: Time.
    """

    def __init__(self, root: Path, use: PackageUse, clock: Clock) -> None:
        self.folders = StoreFolders(root)
        self._use = use
        self._clock = clock

    def verify(self, *, repair: bool, tell: Callable[[str], None]) -> Verified:
        """Compare every file of the store with what its names say.

        Args:
            repair: Whether what is wrong is put right, or out of the way where it cannot be: then importing it again
                brings it back.
            tell: Takes a line of progress for each package.
        """
        found = Verified()
        if not self.folders.packages.is_dir():
            self._compare_with_registry(found)
            return found
        if repair:
            self.folders.make()
        hashes: dict[Inode, str] = {}
        for digest in self.folders.digests():
            tell(f"package {digest}")
            self._verify_package(digest, hashes, found, repair)
        self._verify_files(hashes, found, repair)
        self._verify_listings(found, repair)
        self._verify_strays(found)
        self._compare_with_registry(found)
        return found

    def _verify_package(self, digest: str, hashes: dict[Inode, str], found: Verified, repair: bool) -> None:
        folder, manifest_path = self.folders.packages / digest, self.folders.manifest_path(digest)
        if not manifest_path.exists():
            self._verify_nameless(digest, hashes, found, repair)
            return
        found.packages += 1
        problems: list[Problem] = []
        try:
            manifest = self.folders.manifest(digest)
        except StoreDamaged as error:
            if not manifest_path.exists():
                return
            problems.append(Problem(code=error.code, path=self._name(manifest_path), message=error.message))
        else:
            problems += self._compare(folder, manifest, hashes, found)
        # Somebody may have taken the package away while it was looked at.
        if not problems or not manifest_path.exists():
            return
        done = ""
        if repair:
            with self.folders.alone():
                away = self.folders.take_away(digest, self._clock.now(), DAMAGED)
            done = f"The package was moved to {self._name(away)}; importing it again brings it back."
        found.problems += [
            Problem(code=problem.code, path=problem.path, message=problem.message, repaired=done)
            for problem in problems
        ]

    def _compare(
        self, folder: Path, manifest: Manifest, hashes: dict[Inode, str], found: Verified
    ) -> Iterator[Problem]:
        wanted = {entry.path: entry for entry in manifest.files}
        there = dict(files_below(folder))
        for path, entry in wanted.items():
            found.files += 1
            name = self._name(folder / path)
            status = there.get(path)
            if status is None:
                yield Problem(code="STO003", path=name, message="The file is missing.")
            elif not stat.S_ISREG(status.st_mode):
                yield Problem(code="STO003", path=name, message="It is no file.")
            elif status.st_size != entry.size_bytes:
                message = f"It should have {entry.size_bytes:,} bytes and has {status.st_size:,}."
                yield Problem(code="STO003", path=name, message=message)
            elif self._hash_of(folder / path, status, hashes, found) != entry.sha256:
                yield Problem(code="STO006", path=name, message="Its bytes are not those that were imported.")
        for path in sorted(there.keys() - wanted.keys()):
            yield Problem(code="STO007", path=self._name(folder / path), message="It does not belong to the package.")

    def _hash_of(self, path: Path, status: os.stat_result, hashes: dict[Inode, str], found: Verified) -> str:
        key = inode_of(status)
        if key not in hashes:
            digest = hashlib.sha256()
            try:
                with path.open("rb") as file:
                    while block := file.read(READ_BYTES):
                        digest.update(block)
            except FileNotFoundError:
                return ""
            hashes[key] = digest.hexdigest()
            found.bytes += status.st_size
        return hashes[key]

    def _verify_nameless(self, digest: str, hashes: dict[Inode, str], found: Verified, repair: bool) -> None:
        """A folder without a manifest: an importer was killed between the two, or somebody removed it."""
        folder = self.folders.packages / digest
        with self.folders.alone():
            # Whoever was about to write it has done so by now.
            if self.folders.manifest_path(digest).exists() or not folder.exists():
                return
        done = ""
        if repair:
            manifest = Manifest.of(
                FileEntry(
                    path=path, size_bytes=status.st_size, sha256=self._hash_of(folder / path, status, hashes, found)
                )
                for path, status in files_below(folder)
                if stat.S_ISREG(status.st_mode)
            )
            with self.folders.alone():
                if manifest.digest() == digest:
                    self.folders.write_manifest(manifest, self.folders.removed)
                    done = "Its files are those of its name; the manifest was written again."
                else:
                    away = self.folders.take_away(digest, self._clock.now(), DAMAGED)
                    done = f"It was moved to {self._name(away)}."
        found.problems.append(
            Problem(
                code="STO008",
                path=self._name(folder),
                message="The package has no manifest: its importer was killed.",
                repaired=done,
                harmless=True,
            )
        )

    def _verify_files(self, hashes: dict[Inode, str], found: Verified, repair: bool) -> None:
        for path in sorted(self.folders.files.glob("*/*")):
            with suppress(FileNotFoundError):
                status = path.lstat()
                right = stat.S_ISREG(status.st_mode) and self._hash_of(path, status, hashes, found) == path.name
                if right and path.parent.name == path.name[:2]:
                    continue
                if repair:
                    remove(path)
                found.problems.append(
                    Problem(
                        code="STO006",
                        path=self._name(path),
                        message="The bytes of a shared file do not match its name.",
                        repaired="The name was removed." if repair else "",
                    )
                )

    def _verify_listings(self, found: Verified, repair: bool) -> None:
        for path in sorted(self.folders.listings.glob("*")):
            digest = self.folders.digest_of(path)
            if path.suffix == ".json" and self.folders.has(digest):
                continue
            with self.folders.alone():
                if not path.exists() or self.folders.has(self.folders.digest_of(path)):
                    continue
                if repair:
                    remove(path)
            message = f"The listing names the package {digest}, which is not there." if digest else "It is no listing."
            found.problems.append(
                Problem(
                    code="STO009",
                    path=self._name(path),
                    message=message,
                    repaired="It was removed." if repair else "",
                )
            )

    def _verify_strays(self, found: Verified) -> None:
        own = vars(self.folders).values()
        found.problems += [
            Problem(code="STO007", path=path.name, message="It is no part of the store; remove it by hand.")
            for path in sorted(self.folders.root.iterdir())
            if path not in own
        ]

    def _compare_with_registry(self, found: Verified) -> None:
        for digest in sorted(self._use.packages_in_use()):
            if not self.folders.has(digest):
                found.problems.append(
                    Problem(
                        code="STO001",
                        path=f"sha256/{digest}",
                        message="A version names this package, and the store does not have it; import it again.",
                    )
                )

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folders.root).as_posix()
