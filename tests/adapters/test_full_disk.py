"""A disk that is full, for real: a small file system in memory. The error is clear, and nothing is left behind."""

from __future__ import annotations

import io
import os
import subprocess
import zipfile
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from airlock.adapters.clock import SystemClock
from airlock.adapters.package_store import PackageFolderStore
from airlock.adapters.store_verifier import StoreVerifier
from airlock.domain.archives import ArchiveForm
from airlock.errors import StoreFull
from airlock.ports.package_store import IncomingFile
from tests.fakes.package_store import FakeUse

DISK_BYTES = 24_000_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "airlock-test", str(place)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def arriving(data: bytes) -> IncomingFile:
    def read(start: int, stop: int) -> Generator[bytes, None, None]:
        for position in range(start, stop, 100_000):
            yield data[position : min(position + 100_000, stop)]

    return IncomingFile(size_bytes=len(data), read=read)


def problems(root: Path) -> list[str]:
    found = StoreVerifier(root, FakeUse(), SystemClock()).verify(repair=False, tell=str)
    return [problem.message for problem in found.problems]


def left(root: Path) -> list[str]:
    return sorted(path.name for path in root.rglob("*") if path.is_file() and path.name != "lock")


def test_a_package_that_does_not_fit_is_told_and_leaves_nothing_and_a_smaller_one_fits_afterwards(disk: Path) -> None:
    store = PackageFolderStore(disk / "store", SystemClock())
    large = {"model/long.bin": arriving(os.urandom(20_000_000)), "model/more.bin": arriving(os.urandom(8_000_000))}
    with pytest.raises(StoreFull, match=rf"STO004.*{disk / 'store'} is full.*Make room"):
        store.stage("a" * 64, large, lambda line: None)
    assert left(store.root) == []
    assert problems(store.root) == []
    files = {"model/long.bin": arriving(os.urandom(20_000_000))}
    assert store.stage("b" * 64, files, lambda line: None).bytes_read == 20_000_000
    assert problems(store.root) == []


def test_long_files_that_cannot_fit_are_told_before_a_byte_of_them_is_asked_for(disk: Path) -> None:
    asked: list[int] = []

    def read(start: int, stop: int) -> Generator[bytes, None, None]:
        asked.append(start)
        yield bytes(stop - start)

    store = PackageFolderStore(disk / "store", SystemClock())
    # Each of them would fit.
    files = {f"model/{name}.bin": IncomingFile(size_bytes=17_000_000, read=read) for name in "ab"}
    with pytest.raises(StoreFull, match="STO004"):
        store.stage("a" * 64, files, lambda line: None)
    assert asked == []
    assert left(store.root) == []
    assert store.stage("b" * 64, {"model/a.bin": files["model/a.bin"]}, lambda line: None).bytes_read == 17_000_000


def test_an_archive_that_fits_and_whose_files_do_not_leaves_nothing(disk: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/config.json", b"{}")
        archive.writestr("model/zeros.bin", bytes(40_000_000))
    store = PackageFolderStore(disk / "store", SystemClock())
    with pytest.raises(StoreFull, match="STO004"):
        store.stage_archive(
            "a" * 64,
            ArchiveForm.ZIP,
            arriving(made.getvalue()),
            lambda members: {member.name: member.name for member in members},
            lambda line: None,
        )
    assert left(store.root) == []


def test_wherever_the_last_byte_is_taken_the_store_stays_whole(disk: Path) -> None:
    store = PackageFolderStore(disk / "store", SystemClock())
    store.folders.make()
    ballast = disk / "ballast"
    outcomes = []
    for pages in range(40):
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        size = ballast.stat().st_size
        os.truncate(ballast, size // 4096 * 4096 - pages * 4096)
        listing = f"{pages:064d}"
        files = {f"model/{number}": arriving(b"%d %d" % (pages, number)) for number in range(3)}
        try:
            staged = store.stage(listing, files, lambda line: None)
        except StoreFull:
            outcomes.append(False)
            assert store.known(listing) is None
            assert list(store.folders.incoming.iterdir()) == []
        else:
            outcomes.append(True)
            assert store.known(listing) == staged.manifest.digest()
        ballast.unlink()
        assert [each for each in problems(store.root) if "was killed" not in each] == []
    assert {True, False} == set(outcomes)
