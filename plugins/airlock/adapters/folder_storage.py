"""Folders of the worker's own disk as a storage: `file:///path/`.

Only what lies below the folders that the installation allows is read, and no link is followed on the way there: whoever
may write below such a folder could point one at any file that the worker can read.
"""

from __future__ import annotations

import errno
import os
import platform
import stat
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from airlock.domain.findings import shown
from airlock.domain.package import ListedObject
from airlock.domain.source import SourceLocation
from airlock.errors import SourceChanged, SourceRefused, StorageUnavailable
from airlock.ports.clock import Clock

READ_BYTES = 256 * 1024
#: A file that changed so lately may change again without its times telling: file systems count time in ticks.
UNSURE_S = 2.0
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


class FolderStorage:
    """Folders of this machine.

    Args:
        allowed: The folders below which a package may lie; none means that nothing may be read.
        clock: Time.
    """

    def __init__(self, allowed: Sequence[Path], clock: Clock) -> None:
        self._allowed = allowed
        self._clock = clock
        self._tags: dict[str, str] = {}

    @property
    def identity(self) -> str:
        """The machine: its files' tags mean nothing elsewhere."""
        return f"file://{platform.node()}"

    def list(self, location: SourceLocation) -> Iterator[ListedObject]:
        """Every file below the folder, or the one file; and what is there that is no file."""
        with self._told(location), self._opened(location, location.prefix) as descriptor:
            status = os.fstat(descriptor)
            is_folder, wanted = stat.S_ISDIR(status.st_mode), location.prefix.endswith("/")
            if is_folder != wanted:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            if not is_folder:
                yield self._listed(location.prefix, status)
                return
            for parent, folders, names, opened in os.fwalk(".", dir_fd=descriptor, onerror=_raise):
                folders.sort()
                inside = "" if parent == "." else f"{parent.removeprefix('./')}/"
                # A link to a folder stands among the folders, and is not followed.
                for name in sorted([*names, *folders]):
                    status = os.stat(name, dir_fd=opened, follow_symlinks=False)
                    if not stat.S_ISDIR(status.st_mode):
                        yield self._listed(f"{location.prefix}{inside}{name}", status)

    def read(self, location: SourceLocation, item: ListedObject, start: int, stop: int) -> Generator[bytes, None, None]:
        """A file's bytes from `start` up to but without `stop`."""
        with self._told(location, item.key), self._opened(location, item.key) as descriptor:
            self._check(item, os.fstat(descriptor))
            position = start
            while position < stop:
                data = os.pread(descriptor, min(READ_BYTES, stop - position), position)
                if not data:
                    break
                position += len(data)
                yield data
            # What was changed meanwhile may have been read half before and half after.
            self._check(item, os.fstat(descriptor))

    def _check(self, item: ListedObject, status: os.stat_result) -> None:
        if _tag(status) != self._tags.get(item.key):
            raise SourceChanged("SRC006", f"file:///{item.key} was changed while the package was copied.", "")

    def _listed(self, key: str, status: os.stat_result) -> ListedObject:
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "")
        self._tags[key] = _tag(status)
        sure = self._clock.now() - max(status.st_mtime, status.st_ctime) > UNSURE_S
        return ListedObject(
            key=key,
            size_bytes=0 if kind else status.st_size,
            etag=self._tags[key] if sure else "",
            not_a_file=kind,
            modified=str(status.st_mtime_ns),
        )

    @contextmanager
    def _opened(self, location: SourceLocation, key: str) -> Iterator[int]:
        """A file or folder below an allowed one, reached without following a link."""
        root, parts = self._place(location, key)
        descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in parts:
                mode = os.stat(part, dir_fd=descriptor, follow_symlinks=False).st_mode
                if stat.S_IFMT(mode) in _KINDS:
                    # Opening a device may do something already, and opening a pipe waits for its writer.
                    raise SourceRefused(
                        "SRC007",
                        f"{location} may not be read: {shown(part)} in its path is {_KINDS[stat.S_IFMT(mode)]}.",
                        "Name the folder or the file itself.",
                    )
                inner = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)

    def _place(self, location: SourceLocation, key: str) -> tuple[Path, tuple[str, ...]]:
        path = Path("/", key)
        for root in self._allowed:
            if path.is_relative_to(root):
                return root, path.relative_to(root).parts
        where = f"below {', '.join(map(str, self._allowed))}" if self._allowed else "nowhere"
        raise SourceRefused(
            "SRC007",
            f"{location} may not be read: packages on a disk are taken {where}.",
            "Upload the package to object storage, or ask for its folder in `[airlock] file_source_dirs`.",
        )

    @contextmanager
    def _told(self, location: SourceLocation, key: str = "") -> Iterator[None]:
        """The system's errors as ours; with a key those of a file that was there when it was listed."""
        try:
            yield
        except (FileNotFoundError, NotADirectoryError):
            if key:
                raise SourceChanged("SRC006", f"file:///{key} was deleted while the package was copied.", "") from None
            raise SourceRefused("SRC008", f"There is no {location} on this worker.", "Correct it.") from None
        except PermissionError as error:
            raise SourceRefused(
                "SRC002", f"{location}: the worker may not read {shown(error.filename or key)}.", "Give it permission."
            ) from None
        except OSError as error:
            raise StorageUnavailable("SRC004", f"{location} cannot be read: {error}.", "") from None


def _raise(error: OSError) -> None:
    raise error


def _tag(status: os.stat_result) -> str:
    """Changes with every change of a file."""
    return f"{status.st_dev:x}-{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_ctime_ns:x}"
