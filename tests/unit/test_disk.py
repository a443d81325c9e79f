"""Room that is taken for a file before it is written."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import create_autospec

import pytest

from airlock.adapters import disk

SIZE = 3_000_000


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


class Library:
    """The system's library, whose answers are given."""

    def __init__(self, *numbers: int) -> None:
        self.left = list(numbers)

    def fallocate(self, descriptor: int, mode: int, start: object, length: object) -> int:
        number = self.left.pop(0)
        ctypes.set_errno(number)
        return -1 if number else 0


def test_room_is_taken_and_the_file_is_as_long_as_before(descriptor: int) -> None:
    disk.reserve(descriptor, SIZE)
    found = os.fstat(descriptor)
    assert (found.st_size, found.st_blocks * 512 >= SIZE) == (0, True)
    disk.write_all(descriptor, b"abc", 1)
    assert os.pread(descriptor, 10, 0) == b"\0abc"


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
def test_a_file_system_that_cannot_is_written_without(
    descriptor: int, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(disk, "_LIBRARY", Library(number))
    disk.reserve(descriptor, SIZE)


def test_a_signal_in_between_is_no_error(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library(errno.EINTR, errno.EINTR, 0)
    monkeypatch.setattr(disk, "_LIBRARY", library)
    disk.reserve(descriptor, SIZE)
    assert library.left == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_what_the_disk_refuses_is_raised(descriptor: int, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(disk, "_LIBRARY", Library(number))
    with pytest.raises(OSError, match=os.strerror(number)) as raised:
        disk.reserve(descriptor, SIZE)
    assert raised.value.errno == number


def test_other_systems_do_without(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "_LIBRARY", create_autospec(object, instance=True))
    disk.reserve(descriptor, SIZE)
    assert os.fstat(descriptor).st_blocks == 0
