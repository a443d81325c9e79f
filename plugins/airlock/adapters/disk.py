"""Writing to a disk so that it is there after a crash."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

_LIBRARY = ctypes.CDLL(None, use_errno=True)
_SYNC_FILE_RANGE_WRITE = 2
_FALLOC_FL_KEEP_SIZE = 1
#: What file systems answer that cannot reserve room, as most of those over a network.
_CANNOT_RESERVE = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENODEV, errno.ESPIPE}


def write_all(descriptor: int, data: bytes | memoryview, position: int | None) -> None:
    """Write all of the bytes, at a position or behind what was written last."""
    view = memoryview(data)
    while view:
        count = os.write(descriptor, view) if position is None else os.pwrite(descriptor, view, position)
        view = view[count:]
        position = None if position is None else position + count


def reserve(descriptor: int, size_bytes: int) -> None:
    """Take the room for a file that is about to be written, without making it longer.

    A full disk is told before anything is fetched, and the system has less to do for each write.

    Args:
        descriptor: The file.
        size_bytes: What its length will be.

    Raises:
        OSError: The disk has no room for it.
    """
    # Not `os.posix_fallocate`: where a file system cannot do it, that writes into every block.
    if not hasattr(_LIBRARY, "fallocate"):
        return
    while _LIBRARY.fallocate(descriptor, _FALLOC_FL_KEEP_SIZE, ctypes.c_int64(0), ctypes.c_int64(size_bytes)):
        number = ctypes.get_errno()
        if number in _CANNOT_RESERVE:
            return
        # A signal's own handler has run by now; if it raised, this is not reached.
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))


def begin_writing(descriptor: int, start: int, stop: int) -> None:
    """Ask the system to write a part of a file to the disk now, so that less is left for a sync; nobody waits."""
    if hasattr(_LIBRARY, "sync_file_range"):
        # It only hints; what fails here fails again, and louder, when the file is synced.
        _LIBRARY.sync_file_range(
            descriptor, ctypes.c_int64(start), ctypes.c_int64(stop - start), ctypes.c_uint(_SYNC_FILE_RANGE_WRITE)
        )


def sync_file_system(folder: Path) -> None:
    """Wait until everything that was written to the folder's file system is on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if not hasattr(_LIBRARY, "syncfs"):
            os.sync()
        elif _LIBRARY.syncfs(descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Wait until a folder's names are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
