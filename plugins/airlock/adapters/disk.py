"""Writing to a disk so that it is there after a crash."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path


def write_all(descriptor: int, data: bytes, position: int | None) -> None:
    """Write all of the bytes, at a position or behind what was written last."""
    view = memoryview(data)
    while view:
        count = os.write(descriptor, view) if position is None else os.pwrite(descriptor, view, position)
        view = view[count:]
        position = None if position is None else position + count


def sync_file_system(folder: Path) -> None:
    """Wait until everything that was written to the folder's file system is on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if not hasattr(library, "syncfs"):
            os.sync()
        elif library.syncfs(descriptor):
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
