from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from airlock.adapters.package_store import PackageFolderStore
from airlock.errors import StoreDamaged

FILES = {"model/config.json": b"{}", "model/sub/weights.bin": bytes(range(256)) * 100, "model/empty": b""}


def writer(data: bytes) -> Callable[[BinaryIO], str]:
    def write(target: BinaryIO) -> str:
        target.write(data)
        return hashlib.sha256(data).hexdigest()

    return write


def stage(store: PackageFolderStore, listing: str = "a" * 64, files: dict[str, bytes] = FILES) -> str:
    return store.stage(listing, {path: writer(data) for path, data in files.items()}).digest()


def everything(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_a_staged_package_is_read_back_byte_for_byte(tmp_path: Path) -> None:
    store = PackageFolderStore(tmp_path)
    digest = stage(store)
    manifest = store.manifest(digest)
    assert {entry.path: store.read(digest, entry, 1 << 20) for entry in manifest.files} == FILES
    assert manifest.digest() == digest
    assert (Path(store.folder(digest)) / "model/empty").read_bytes() == b""


def test_the_digest_depends_on_the_bytes_and_not_on_the_order_or_the_listing(tmp_path: Path) -> None:
    store = PackageFolderStore(tmp_path)
    assert stage(store) == stage(store, "b" * 64, dict(reversed(FILES.items())))
    assert stage(store) != stage(store, "c" * 64, {**FILES, "model/empty": b"x"})


def test_files_can_be_read_by_another_user_and_written_by_nobody(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        store = PackageFolderStore(tmp_path)
        folder = Path(store.folder(stage(store)))
    finally:
        os.umask(before)
    assert (folder / "model/sub/weights.bin").stat().st_mode & 0o777 == 0o444
    assert (folder / "model/sub").stat().st_mode & 0o777 == 0o755


def test_a_listing_is_known_after_its_package_was_staged_and_unknown_when_the_package_is_gone(tmp_path: Path) -> None:
    store = PackageFolderStore(tmp_path)
    assert store.known("a" * 64) is None
    digest = stage(store)
    assert store.known("a" * 64) == digest
    (store.packages / f"{digest}.json").unlink()
    assert store.known("a" * 64) is None


def test_a_copy_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    store = PackageFolderStore(tmp_path)

    def broken(target: BinaryIO) -> str:
        target.write(b"half")
        raise ConnectionError("reset")

    with pytest.raises(ConnectionError):
        store.stage("a" * 64, {"model/a": writer(b"a"), "model/b": broken})
    assert everything(tmp_path) == []


def test_staging_the_same_bytes_twice_keeps_one_package(tmp_path: Path) -> None:
    store = PackageFolderStore(tmp_path)
    digest = stage(store)
    inode = (Path(store.folder(digest)) / "model/config.json").stat().st_ino
    assert stage(store, "b" * 64) == digest
    assert (Path(store.folder(digest)) / "model/config.json").stat().st_ino == inode
    assert list(store.incoming.iterdir()) == []


def test_a_manifest_that_does_not_match_its_name_is_refused(tmp_path: Path) -> None:
    store = PackageFolderStore(tmp_path)
    digest = stage(store)
    path = store.packages / f"{digest}.json"
    path.write_bytes(path.read_bytes().replace(b"config", b"konfig"))
    with pytest.raises(StoreDamaged, match="STO002"):
        store.manifest(digest)


def test_a_truncated_file_is_noticed_when_it_is_read(tmp_path: Path) -> None:
    store = PackageFolderStore(tmp_path)
    digest = stage(store)
    path = Path(store.folder(digest)) / "model/sub/weights.bin"
    path.chmod(0o644)
    path.write_bytes(b"short")
    with pytest.raises(StoreDamaged, match=r"STO003.*25,600 bytes and has 5"):
        store.read(digest, store.manifest(digest).model_paths()["sub/weights.bin"], 10)


def test_a_package_that_the_store_does_not_have_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreDamaged, match=r"STO001.*deadbeef"):
        PackageFolderStore(tmp_path).manifest("deadbeef")


def _stage_slowly(root: Path, started: str) -> None:
    def slow(target: BinaryIO) -> str:
        target.write(b"x" * 1000)
        target.flush()
        Path(started).touch()
        time.sleep(60)
        return ""

    PackageFolderStore(root).stage("d" * 64, {"model/config.json": slow})


def test_what_a_killed_copy_left_is_swept_by_the_next_one_and_a_copy_under_way_is_not(tmp_path: Path) -> None:
    root = tmp_path / "store"
    context = multiprocessing.get_context("spawn")
    workers = []
    for number in range(2):
        started = tmp_path / f"started-{number}"
        worker = context.Process(target=_stage_slowly, args=(root, str(started)))
        worker.start()
        workers.append(worker)
        deadline = time.monotonic() + 30
        while not started.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert started.exists()
    store = PackageFolderStore(root)
    assert len(list(store.incoming.iterdir())) == 2
    try:
        os.kill(workers[0].pid or 0, signal.SIGKILL)
        workers[0].join()
        stage(store)
        assert len(list(store.incoming.iterdir())) == 1
    finally:
        workers[1].kill()
        workers[1].join()
    stage(store, "e" * 64)
    assert list(store.incoming.iterdir()) == []


def _stage_in_a_process(root: Path, number: int) -> None:
    stage(PackageFolderStore(root), f"{number:064d}")


def test_four_importers_of_the_same_bytes_end_with_one_whole_package(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_stage_in_a_process, args=(tmp_path, number)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    store = PackageFolderStore(tmp_path)
    digests = {store.known(f"{number:064d}") for number in range(4)}
    assert len(digests) == 1
    assert len(list(store.packages.iterdir())) == 2
    assert list(store.incoming.iterdir()) == []


def test_a_full_disk_is_a_transient_error_and_leaves_a_clean_store(tmp_path: Path) -> None:
    # /dev/full answers every write with "no space left", as a full disk does.
    store = PackageFolderStore(tmp_path)

    def full(target: BinaryIO) -> str:
        with open("/dev/full", "wb", buffering=0) as disk:
            disk.write(b"x")
        return ""

    from airlock.errors import StoreFull

    with pytest.raises(StoreFull, match="STO004"):
        store.stage("a" * 64, {"model/a": full})
    assert everything(tmp_path) == []
