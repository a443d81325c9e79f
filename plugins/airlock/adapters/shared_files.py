"""Larger files are kept once, however many packages have them: as hard links of one file.

A new version of a model often brings the same weights with another configuration.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from airlock.adapters.incoming_files import sha256_of
from airlock.domain.package import FileEntry

#: Smaller files are not worth a second name.
MIN_SHARED_BYTES = 1 << 20
#: What file systems without hard links answer, or those on which a file has enough of them.
_NO_LINKS = {errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EXDEV, errno.ENOSYS, errno.EACCES}


def is_shared(entry: FileEntry) -> bool:
    """Whether a file is long enough to be kept once for all packages that have it."""
    return entry.size_bytes >= MIN_SHARED_BYTES


def share(path: Path, entry: FileEntry, pooled: Path, spare: Path) -> bool:
    """Take the file of an earlier package in place of a copy of it, or offer the copy to later ones.

    Args:
        path: The copy, whose bytes are known to be right.
        entry: Its length and digest.
        pooled: The name under which files of this digest are shared.
        spare: A free name on the same file system.

    Returns:
        Whether an earlier file took the copy's place.
    """
    pooled.parent.mkdir(parents=True, exist_ok=True)
    try:
        if not _offer(path, pooled):
            # Never bytes that nobody has looked at since: a disk may have changed them.
            if not pooled.samefile(path) and sha256_of(pooled, entry.size_bytes) == entry.sha256:
                spare.unlink(missing_ok=True)
                os.link(pooled, spare)
                os.replace(spare, path)
                return True
            if not pooled.samefile(path):
                pooled.unlink()
                _offer(path, pooled)
    except FileNotFoundError:
        # It was cleared away meanwhile; the copy stands on its own.
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
    return False


def _offer(path: Path, pooled: Path) -> bool:
    try:
        os.link(path, pooled)
    except FileExistsError:
        return False
    return True
