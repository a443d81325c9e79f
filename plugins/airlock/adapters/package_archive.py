"""A package as an archive, read from the store, verified while it is read."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from airlock.domain.baking import Member
from airlock.domain.package import FileEntry
from airlock.errors import StoreDamaged

#: The client sends pieces of this size about as fast as the engine takes them; with smaller ones it waits for itself.
CHUNK_BYTES = 1_000_000
_BLOCK = tarfile.BLOCKSIZE


def archive(members: Iterable[Member], package: Path) -> Generator[bytes, None, None]:
    """A tar archive as pieces of a megabyte at most; the same members give the same bytes.

    Args:
        members: Its entries in order.
        package: The folder that contains `model/`.

    Raises:
        StoreDamaged: A file is not what its entry says. The archive ends there, unfinished.
    """
    waiting = bytearray()
    # Hashing one piece while the engine takes the one before costs no time of its own.
    with ThreadPoolExecutor(1, thread_name_prefix="bake-hash") as hasher:
        for member in members:
            waiting += _header(member)
            if member.entry is not None:
                for piece in _verified(member.entry, package, hasher):
                    if len(waiting) + len(piece) >= CHUNK_BYTES:
                        # A large piece is passed on as it is: putting it behind others would copy it twice.
                        if waiting:
                            yield bytes(waiting)
                            waiting.clear()
                        yield piece
                    else:
                        waiting += piece
                waiting += bytes(-member.entry.size_bytes % _BLOCK)
        waiting += bytes(2 * _BLOCK)
        yield bytes(waiting)


def archive_bytes(members: Iterable[Member]) -> int:
    """Length of the archive that `archive` makes of these members."""
    length = 2 * _BLOCK
    for member in members:
        length += len(_header(member))
        if member.entry is not None:
            length += member.entry.size_bytes + -member.entry.size_bytes % _BLOCK
    return length


def _header(member: Member) -> bytes:
    info = tarfile.TarInfo(member.path)
    if member.entry is None:
        info.type, info.mode = tarfile.DIRTYPE, 0o755
    else:
        info.size, info.mode = member.entry.size_bytes, 0o644
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _verified(entry: FileEntry, package: Path, hasher: ThreadPoolExecutor) -> Generator[bytes, None, None]:
    """A file's bytes, as many as its entry says; that they are the right ones is known when the last was given."""
    digest = hashlib.sha256()
    hashing: Future[None] | None = None
    left = entry.size_bytes
    try:
        with (package / entry.path).open("rb", buffering=0) as file:
            while left and (piece := file.read(min(CHUNK_BYTES, left))):
                left -= len(piece)
                if hashing is not None:
                    hashing.result()
                hashing = hasher.submit(digest.update, piece)
                yield piece
            longer = bool(file.read(1))
    except OSError as error:
        raise _damaged(entry, f"cannot be read: {error.strerror}") from error
    if hashing is not None:
        hashing.result()
    if left or longer or digest.hexdigest() != entry.sha256:
        raise _damaged(entry, "is not what the package's manifest says")


def _damaged(entry: FileEntry, what: str) -> StoreDamaged:
    return StoreDamaged("STO003", f"{entry.path} in the package store {what}.", "Import the package again.")
