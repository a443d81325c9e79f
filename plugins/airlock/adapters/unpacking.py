"""An archive's files written out: hashed while they are written, in bounded memory, below one new folder.

What is written where was decided before, from a first walk over the whole archive. The second walk reads the same file
of ours; the bytes of each file are counted against what the archive says of it all the same.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from airlock.adapters.disk import sync_file_system, write_all
from airlock.adapters.incoming import TELL_EVERY_S
from airlock.domain.archives import ArchiveForm, ArchiveMember, walk
from airlock.domain.model_files.streams import Unreadable
from airlock.domain.package import FileEntry
from airlock.domain.progress import Progress
from airlock.ports.clock import Clock


def members(form: ArchiveForm, archive: BinaryIO) -> Iterator[ArchiveMember]:
    """What an archive says it holds.

    Raises:
        Unreadable: While it is walked.
    """
    size_bytes = os.fstat(archive.fileno()).st_size
    for member, _ in walk(form, archive, size_bytes):
        yield member


def unpack(
    form: ArchiveForm,
    archive: BinaryIO,
    wanted: Mapping[str, str],
    target: Path,
    *,
    bytes_total: int,
    clock: Clock,
    tell: Callable[[str], None],
) -> list[FileEntry]:
    """Write files of an archive.

    Args:
        form: How the archive is written.
        archive: The archive.
        wanted: Name in the archive → path below the target.
        target: A new folder.
        bytes_total: Sum of those files, as the archive says.
        clock: Time.
        tell: Takes a line of progress, at most every five seconds.

    Returns:
        The files, on the disk for good.

    Raises:
        Unreadable: A file is damaged or has another length than the archive says.
    """
    entries: list[FileEntry] = []
    size_bytes = os.fstat(archive.fileno()).st_size
    began = told = clock.monotonic()
    done = 0
    progress = Progress(bytes_total=bytes_total, objects_total=len(wanted), bytes_before=0, began=began)
    for member, pieces in walk(form, archive, size_bytes):
        path = wanted.get(member.name)
        if path is None:
            continue
        file_path = target / path
        file_path.parent.mkdir(parents=True, exist_ok=True)
        digest, size = hashlib.sha256(), 0
        # Exclusive: on a file system that folds names, a second name for the same file is an error, not a mix.
        with file_path.open("xb", buffering=0) as file:
            for piece in pieces:
                size += len(piece)
                if size > member.size_bytes:
                    raise Unreadable(f"{path} of the archive has more bytes than it says")
                digest.update(piece)
                write_all(file.fileno(), piece, None)
                now = clock.monotonic()
                if now - told >= TELL_EVERY_S:
                    tell(f"unpacking: {progress.line(done + size, len(entries), now)}")
                    told = now
            os.fchmod(file.fileno(), 0o444)
        if size != member.size_bytes:
            raise Unreadable(f"{path} of the archive has {size:,} bytes and should have {member.size_bytes:,}")
        done += size
        entries.append(FileEntry(path=path, size_bytes=size, sha256=digest.hexdigest()))
    # Each sync is a round of the disk's own journal: one for all of them takes as long as one of thousands.
    sync_file_system(target)
    return entries
