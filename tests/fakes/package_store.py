"""The store of packages in memory, and what says which of them are in use."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from airlock.domain.archives import ArchiveForm, ArchiveMember, walk
from airlock.domain.package import FileEntry, Manifest
from airlock.errors import StoreDamaged
from airlock.ports.package_store import IncomingFile, Staged


class FakeStore:
    """Packages in memory; `folder` writes one out below `root`.

    Attributes:
        packages: Digest → path → bytes. A test damages a package by changing these.
        listings: Listing → digest.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root
        self.packages: dict[str, dict[str, bytes]] = {}
        self.manifests: dict[str, Manifest] = {}
        self.listings: dict[str, str] = {}

    def known(self, listing: str) -> str | None:
        digest = self.listings.get(listing)
        return digest if digest in self.packages else None

    def stage(self, listing: str, files: Mapping[str, IncomingFile], tell: Callable[[str], None]) -> Staged:
        arrived = {path: b"".join(file.read(0, file.size_bytes)) for path, file in files.items()}
        return self._keep(listing, arrived, sum(map(len, arrived.values())))

    def stage_archive(
        self,
        listing: str,
        form: ArchiveForm,
        archive: IncomingFile,
        choose: Callable[[Iterator[ArchiveMember]], Mapping[str, str]],
        tell: Callable[[str], None],
    ) -> Staged:
        data = b"".join(archive.read(0, archive.size_bytes))
        wanted = choose(member for member, _ in walk(form, io.BytesIO(data), len(data)))
        arrived = {
            wanted[member.name]: b"".join(pieces)
            for member, pieces in walk(form, io.BytesIO(data), len(data))
            if member.name in wanted
        }
        return self._keep(listing, arrived, len(data))

    def _keep(self, listing: str, arrived: dict[str, bytes], bytes_read: int) -> Staged:
        entries = [
            FileEntry(path=path, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
            for path, data in arrived.items()
        ]
        # Nothing is kept before everything has arrived.
        manifest = Manifest.of(entries)
        digest = manifest.digest()
        self.packages[digest] = arrived
        self.manifests[digest] = manifest
        self.listings[listing] = digest
        return Staged(manifest=manifest, bytes_read=bytes_read)

    def manifest(self, digest: str) -> Manifest:
        manifest = self.manifests.get(digest)
        if manifest is None or digest not in self.packages:
            raise StoreDamaged("STO001", f"The store has no package {digest}.", "Import the package again.")
        if manifest.digest() != digest:
            raise StoreDamaged(
                "STO002", f"The manifest of package {digest} does not match its name.", "Import it again."
            )
        return manifest

    def read(self, digest: str, entry: FileEntry, limit: int) -> bytes:
        data = self.packages.get(digest, {}).get(entry.path)
        if data is None or len(data) != entry.size_bytes:
            raise StoreDamaged("STO003", f"{entry.path} of package {digest} has another size.", "Import it again.")
        return data[:limit]

    def open(self, digest: str, entry: FileEntry) -> io.BytesIO:
        return io.BytesIO(self.read(digest, entry, entry.size_bytes))

    def folder(self, digest: str) -> str:
        if self.root is None:
            raise StoreDamaged("STO001", "This store has no folder.", "")
        for path, data in self.packages[digest].items():
            target = self.root / digest / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        return str(self.root / digest)


class FakeUse:
    """Says which packages are in use.

    Attributes:
        named: Their digests.
        since: When the oldest import that is under way began.
    """

    def __init__(self, *named: str, since: float | None = None) -> None:
        self.named = named
        self.since = since

    def packages_in_use(self) -> frozenset[str]:
        return frozenset(self.named)

    def importing_since(self) -> float | None:
        return self.since
