from __future__ import annotations

import collections
import errno
import hashlib
import itertools
import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from airlock.adapters import incoming_files
from airlock.adapters.clock import SystemClock
from airlock.adapters.incoming import RANGE_BYTES, IncomingPackage
from airlock.adapters.incoming_files import MOST_RANGES_AT_A_TIME, RANGES_AT_A_TIME
from airlock.adapters.pace import FEWEST
from airlock.adapters.package_store import PackageFolderStore
from airlock.errors import SourceChanged, StorageUnavailable, StoreAway, StoreDamaged, StoreFull
from airlock.ports.object_storage import Chunk
from airlock.ports.package_store import IncomingFile
from tests.fakes.clock import FakeClock

FILES = {"model/config.json": b"{}", "model/sub/weights.bin": bytes(range(256)) * 100, "model/empty": b""}
LISTING = "a" * 64
CLOCK = SystemClock()
Bytes = Generator[bytes, None, None]


def quiet(line: str) -> None:
    """Takes progress and drops it."""


def arriving(data: bytes, asked: list[tuple[int, int]] | None = None) -> IncomingFile:
    def read(start: int, stop: int) -> Bytes:
        if asked is not None:
            asked.append((start, stop))
        for position in range(start, stop, 10_000):
            yield data[position : min(position + 10_000, stop)]

    return IncomingFile(size_bytes=len(data), read=read)


def breaking(data: bytes, after: int, error: Exception) -> IncomingFile:
    """Gives so many bytes of the whole file, and then fails for good."""

    def read(start: int, stop: int) -> Bytes:
        if start < after:
            yield data[start : min(stop, after)]
        if stop > after:
            # What other threads have begun is whole by then.
            time.sleep(0.5)
            raise error

    return IncomingFile(size_bytes=len(data), read=read)


def stage(store: PackageFolderStore, listing: str = LISTING, files: dict[str, bytes] = FILES) -> str:
    return store.stage(listing, {path: arriving(data) for path, data in files.items()}, quiet).manifest.digest()


@pytest.fixture
def store(tmp_path: Path) -> PackageFolderStore:
    return PackageFolderStore(tmp_path, CLOCK)


def everything(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and path.name != "lock")


def test_a_staged_package_is_read_back_byte_for_byte(store: PackageFolderStore) -> None:
    digest = stage(store)
    manifest = store.manifest(digest)
    assert {entry.path: store.read(digest, entry, 1 << 20) for entry in manifest.files} == FILES
    assert manifest.digest() == digest
    assert (Path(store.folder(digest)) / "model/empty").read_bytes() == b""
    assert list(store.folders.incoming.iterdir()) == []


def test_the_digest_depends_on_the_bytes_and_not_on_the_order_or_the_listing(store: PackageFolderStore) -> None:
    assert stage(store) == stage(store, "b" * 64, dict(reversed(FILES.items())))
    assert stage(store) != stage(store, "c" * 64, {**FILES, "model/empty": b"x"})


def test_files_can_be_read_by_another_user_and_written_by_nobody(store: PackageFolderStore) -> None:
    before = os.umask(0o077)
    try:
        folder = Path(store.folder(stage(store)))
    finally:
        os.umask(before)
    assert (folder / "model/sub/weights.bin").stat().st_mode & 0o777 == 0o444
    assert (folder / "model/sub").stat().st_mode & 0o777 == 0o755


def test_a_listing_is_known_after_its_package_was_staged_and_unknown_when_the_package_is_gone(
    store: PackageFolderStore,
) -> None:
    assert store.known(LISTING) is None
    digest = stage(store)
    assert store.known(LISTING) == digest
    (store.folders.packages / f"{digest}.json").unlink()
    assert store.known(LISTING) is None


def test_staging_the_same_bytes_twice_keeps_one_package(store: PackageFolderStore) -> None:
    digest = stage(store)
    inode = (Path(store.folder(digest)) / "model/config.json").stat().st_ino
    assert stage(store, "b" * 64) == digest
    assert (Path(store.folder(digest)) / "model/config.json").stat().st_ino == inode
    assert list(store.folders.incoming.iterdir()) == []


def test_a_manifest_that_does_not_match_its_name_is_refused(store: PackageFolderStore) -> None:
    digest = stage(store)
    path = store.folders.packages / f"{digest}.json"
    path.write_bytes(path.read_bytes().replace(b"config", b"konfig"))
    with pytest.raises(StoreDamaged, match="STO002"):
        store.manifest(digest)


def test_a_truncated_file_is_noticed_when_it_is_read(store: PackageFolderStore) -> None:
    digest = stage(store)
    path = Path(store.folder(digest)) / "model/sub/weights.bin"
    path.chmod(0o644)
    path.write_bytes(b"short")
    with pytest.raises(StoreDamaged, match=r"STO003.*25,600 bytes and has 5"):
        store.read(digest, store.manifest(digest).model_paths()["sub/weights.bin"], 10)


def test_a_package_that_the_store_does_not_have_is_named(store: PackageFolderStore) -> None:
    with pytest.raises(StoreAway, match=r"STO010"):
        store.manifest("deadbeef")
    # A store that is there says something about what it does not have; one that is not mounted does not.
    stage(store)
    with pytest.raises(StoreDamaged, match=r"STO001.*deadbeef"):
        store.manifest("deadbeef")


def test_a_store_that_may_not_be_written_is_told_as_such(
    store: PackageFolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage(store)

    def refused(*arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "utime", refused)
    with pytest.raises(StoreDamaged, match=r"STO005.*cannot be written"):
        store.known(LISTING)


# ── many files, long files ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("length", [0, 1, 999, 1000, 1001, 123_457])
def test_a_file_of_any_number_of_ranges_is_written_and_hashed_right(tmp_path: Path, length: int) -> None:
    data = os.urandom(length)
    asked: list[tuple[int, int]] = []
    copy = IncomingPackage(
        tmp_path, {"model/a": arriving(data, asked)}, clock=CLOCK, tell=quiet, range_bytes=1000, threads=5
    )
    (entry,) = copy.copy()
    assert (entry.size_bytes, entry.sha256) == (length, hashlib.sha256(data).hexdigest())
    assert (tmp_path / "package/model/a").read_bytes() == data
    assert len(asked) == -(-length // 1000)
    assert copy.bytes_read == length


def test_short_and_long_files_are_copied_side_by_side(tmp_path: Path) -> None:
    files = {f"model/{number:03d}": os.urandom(number * 37) for number in range(120)}
    copy = IncomingPackage(
        tmp_path, {path: arriving(data) for path, data in files.items()}, clock=CLOCK, tell=quiet, range_bytes=1000
    )
    assert {entry.path: entry.sha256 for entry in copy.copy()} == {
        path: hashlib.sha256(data).hexdigest() for path, data in files.items()
    }


@pytest.mark.parametrize("slow_s", [0.0, 0.02])
def test_small_files_are_written_by_one_thread_and_where_the_disk_is_slow_by_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow_s: float
) -> None:
    real, writers = incoming_files.write_all, collections.Counter[str]()

    def write(descriptor: int, data: Chunk, position: int | None) -> None:
        writers[threading.current_thread().name] += 1
        time.sleep(slow_s)
        real(descriptor, data, position)

    def coming(data: bytes) -> IncomingFile:
        def read(start: int, stop: int) -> Bytes:
            time.sleep(0.005)
            yield data[start:stop]

        return IncomingFile(size_bytes=len(data), read=read)

    monkeypatch.setattr(incoming_files, "write_all", write)
    files = {f"model/{number:03d}": os.urandom(1000 + number) for number in range(200)}
    arrivals = {path: coming(data) for path, data in files.items()}
    entries = IncomingPackage(tmp_path, arrivals, clock=CLOCK, tell=quiet, threads=FEWEST).copy()
    assert {entry.path: entry.sha256 for entry in entries} == {
        path: hashlib.sha256(data).hexdigest() for path, data in files.items()
    }
    assert {path: (tmp_path / "package" / path).read_bytes() for path in files} == files
    if slow_s:
        assert len(writers) == FEWEST + 1
    else:
        # Nearly all of them; but the disk of a busy machine may be slow by itself.
        assert (
            writers["copy-write"]
            > max((count for name, count in writers.items() if name != "copy-write"), default=0) / 2
        )


def test_a_disk_that_gets_full_under_small_files_ends_the_copy_and_its_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, written = incoming_files.write_all, itertools.count()

    def write(descriptor: int, data: Chunk, position: int | None) -> None:
        if next(written) == 50:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor, data, position)

    monkeypatch.setattr(incoming_files, "write_all", write)
    files = {f"model/{number:03d}": arriving(b"%d" % number) for number in range(200)}
    with pytest.raises(OSError, match="No space left"):
        IncomingPackage(tmp_path, files, clock=CLOCK, tell=quiet).copy()
    assert next(written) < 100
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("copy-")] == []


class Distant:
    """A storage whose answers take 50 ms."""

    def __init__(self) -> None:
        self.most = 0
        self._under_way = 0
        self._lock = threading.Lock()

    def file(self, size_bytes: int) -> IncomingFile:
        return IncomingFile(size_bytes=size_bytes, read=self._read)

    def _read(self, start: int, stop: int) -> Bytes:
        with self._lock:
            self._under_way += 1
            self.most = max(self.most, self._under_way)
        time.sleep(0.05)
        with self._lock:
            self._under_way -= 1
        yield bytes(stop - start)


def test_many_objects_of_a_distant_storage_are_asked_for_together(tmp_path: Path) -> None:
    distant = Distant()
    files = {f"model/{number:04d}": distant.file(100) for number in range(1000)}
    entries = IncomingPackage(tmp_path, files, clock=CLOCK, tell=quiet).copy()

    assert len(entries) == 1000
    assert distant.most > FEWEST


def test_a_long_object_of_a_distant_storage_is_asked_for_in_more_ranges_at_a_time(tmp_path: Path) -> None:
    distant = Distant()
    files = {"model/a": distant.file(100_000)}
    (entry,) = IncomingPackage(tmp_path, files, clock=CLOCK, tell=quiet, range_bytes=1000).copy()

    assert entry.sha256 == hashlib.sha256(bytes(100_000)).hexdigest()
    assert RANGES_AT_A_TIME < distant.most <= MOST_RANGES_AT_A_TIME


def test_progress_is_told_every_five_seconds_and_not_more_often(tmp_path: Path) -> None:
    clock = FakeClock()
    released = threading.Event()

    def slow(start: int, stop: int) -> Bytes:
        yield b"x" * 500_000
        released.wait(30)
        yield b"x" * 500_000

    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        released.set()

    def later() -> None:
        time.sleep(0.3)
        clock.passed = 10.0

    threading.Thread(target=later).start()
    files = {"model/a": IncomingFile(size_bytes=1_000_000, read=slow)}
    IncomingPackage(tmp_path, files, clock=clock, tell=tell).copy()
    assert lines == ["500,000 of 1,000,000 bytes, 0 of 1 objects, 0.1 MB/s, about 10 s left"]


# ── what breaks off ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_copy_that_cannot_go_on_leaves_nothing_behind(store: PackageFolderStore, tmp_path: Path) -> None:
    changed = breaking(b"abcdef", 3, SourceChanged("SRC006", "It was replaced.", ""))
    with pytest.raises(SourceChanged, match="replaced"):
        store.stage(LISTING, {"model/a": arriving(b"a"), "model/b": changed}, quiet)
    assert everything(tmp_path) == []


@pytest.mark.parametrize("length", [3, 7])
def test_a_source_that_gives_too_few_or_too_many_bytes_is_not_believed(store: PackageFolderStore, length: int) -> None:
    def read(start: int, stop: int) -> Bytes:
        yield b"x" * length

    with pytest.raises(SourceChanged, match=f"{length} bytes came instead of 5"):
        store.stage(LISTING, {"model/a": IncomingFile(size_bytes=5, read=read)}, quiet)


def test_a_copy_that_broke_off_goes_on_where_it_stopped(store: PackageFolderStore) -> None:
    big = os.urandom(4 * RANGE_BYTES + 5)
    away = StorageUnavailable("SRC004", "It broke off.", "")
    first = {"model/small": arriving(b"small"), "model/big": breaking(big, 2 * RANGE_BYTES + 100, away)}
    with pytest.raises(StorageUnavailable):
        store.stage(LISTING, first, quiet)
    assert store.known(LISTING) is None
    asked: list[tuple[int, int]] = []
    told: list[str] = []
    second = {"model/small": arriving(b"small", asked), "model/big": arriving(big, asked)}
    staged = store.stage(LISTING, second, told.append)
    assert staged.manifest.model_paths()["big"].sha256 == hashlib.sha256(big).hexdigest()
    assert min(asked) == (2 * RANGE_BYTES, 3 * RANGE_BYTES)
    assert staged.bytes_read == sum(stop - start for start, stop in asked) == len(big) - 2 * RANGE_BYTES
    assert "of an earlier copy of the same objects are there and verified" in told[0]
    assert list(store.folders.incoming.iterdir()) == []


def test_bytes_of_a_copy_that_broke_off_are_not_believed_when_they_changed(store: PackageFolderStore) -> None:
    big = os.urandom(3 * RANGE_BYTES)
    away = StorageUnavailable("SRC004", "It broke off.", "")
    files = {"model/small": arriving(b"small"), "model/big": breaking(big, 2 * RANGE_BYTES, away)}
    with pytest.raises(StorageUnavailable):
        store.stage(LISTING, files, quiet)
    package = store.folders.incoming / LISTING / "package" / "model"
    for path, position in ((package / "small", 0), (package / "big", RANGE_BYTES + 7)):
        if path.exists():
            path.chmod(0o644)
            with path.open("r+b") as file:
                file.seek(position)
                file.write(b"?")
    staged = store.stage(LISTING, {"model/small": arriving(b"small"), "model/big": arriving(big)}, quiet)
    assert {path: entry.sha256 for path, entry in staged.manifest.model_paths().items()} == {
        "small": hashlib.sha256(b"small").hexdigest(),
        "big": hashlib.sha256(big).hexdigest(),
    }


def test_a_journal_that_cannot_be_read_means_that_everything_is_copied_again(store: PackageFolderStore) -> None:
    folder = store.folders.incoming / LISTING
    (folder / "package/model").mkdir(parents=True)
    (folder / "package/model/config.json").write_bytes(b"[]")
    rows: list[object] = [{"form": 0}, {"path": "model/config.json", "sha256": hashlib.sha256(b"[]").hexdigest()}, 7]
    (folder / "journal").write_bytes("\n".join(json.dumps(row) for row in rows).encode() + b'\n{"path": "\xff')
    digest = stage(store)
    assert store.read(digest, store.manifest(digest).model_paths()["config.json"], 10) == b"{}"


def test_a_full_disk_is_a_transient_error_and_leaves_a_clean_store(
    store: PackageFolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(start: int, stop: int) -> Bytes:
        # /dev/full answers every write with "no space left", as a full disk does.
        with open("/dev/full", "wb", buffering=0) as disk:
            disk.write(b"x")
        yield b""

    (store.folders.incoming / ("f" * 64) / "package").mkdir(parents=True)
    with pytest.raises(StoreFull, match=r"STO004.*1 unfinished copies of other imports were removed"):
        store.stage(LISTING, {"model/a": IncomingFile(size_bytes=1, read=full)}, quiet)
    assert everything(tmp_path) == []


# ── several importers ────────────────────────────────────────────────────────────────────────────────────────────────


def _stage_slowly(root: Path, listing: str, started: str) -> None:
    def slow(start: int, stop: int) -> Bytes:
        yield b"x" * 1000
        Path(started).touch()
        time.sleep(60)

    store = PackageFolderStore(root, CLOCK)
    files = {"model/a": arriving(b"first"), "model/config.json": IncomingFile(size_bytes=2000, read=slow)}
    store.stage(listing, files, quiet)


@pytest.fixture
def slow_importer(tmp_path: Path) -> Callable[[str], multiprocessing.process.BaseProcess]:
    """Starts a process that copies for a minute."""
    context = multiprocessing.get_context("spawn")

    def start(listing: str) -> multiprocessing.process.BaseProcess:
        started = tmp_path / f"started-{listing[:4]}"
        worker = context.Process(target=_stage_slowly, args=(tmp_path, listing, str(started)), daemon=True)
        worker.start()
        deadline = time.monotonic() + 30
        while not started.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert started.exists()
        return worker

    return start


def test_what_a_killed_copy_left_is_used_by_its_next_try_and_swept_a_day_later(
    tmp_path: Path, slow_importer: Callable[[str], multiprocessing.process.BaseProcess]
) -> None:
    clock = FakeClock(time.time())
    store = PackageFolderStore(tmp_path, clock)
    killed, abandoned, going_on = slow_importer(LISTING), slow_importer("b" * 64), slow_importer("c" * 64)
    try:
        for worker in (killed, abandoned):
            os.kill(worker.pid or 0, signal.SIGKILL)
            worker.join()
        asked: list[tuple[int, int]] = []
        store.stage(LISTING, {"model/a": arriving(b"first", asked), "model/config.json": arriving(b"{}")}, quiet)
        assert asked == [], "it was whole, and its digest was written down"
        assert {path.name for path in store.folders.incoming.iterdir() if path.is_dir()} == {"b" * 64, "c" * 64}
        clock.sleep(100_000)
        stage(store, "d" * 64)
        assert {path.name for path in store.folders.incoming.iterdir() if path.is_dir()} == {"c" * 64}
    finally:
        going_on.kill()
        going_on.join()


def test_a_second_importer_of_a_listing_waits_and_takes_over_when_the_first_is_killed(
    tmp_path: Path, slow_importer: Callable[[str], multiprocessing.process.BaseProcess]
) -> None:
    first = slow_importer(LISTING)
    told: list[str] = []
    threading.Timer(1.0, first.kill).start()
    staged = PackageFolderStore(tmp_path, CLOCK).stage(LISTING, {"model/a": arriving(b"first")}, told.append)
    first.join()
    assert told[0] == "Waiting for another import that copies the same objects."
    assert [entry.path for entry in staged.manifest.files] == ["model/a"]


def _stage_in_a_process(root: Path, listing: str, answers: multiprocessing.queues.Queue[int]) -> None:
    data = bytes(range(256)) * 4000
    staged = PackageFolderStore(root, CLOCK).stage(listing, {"model/a": arriving(data)}, quiet)
    answers.put(staged.bytes_read)


@pytest.mark.parametrize("one_listing", [True, False])
def test_four_importers_of_the_same_bytes_end_with_one_whole_package(tmp_path: Path, one_listing: bool) -> None:
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    listings = [LISTING if one_listing else f"{number:064d}" for number in range(4)]
    workers = [context.Process(target=_stage_in_a_process, args=(tmp_path, name, answers)) for name in listings]
    for worker in workers:
        worker.start()
    read = sorted(answers.get(timeout=60) for _ in workers)
    for worker in workers:
        worker.join(60)
    assert read == ([0, 0, 0, 1_024_000] if one_listing else [1_024_000] * 4)
    store = PackageFolderStore(tmp_path, CLOCK)
    assert len({store.known(name) for name in listings}) == 1
    assert len(list(store.folders.packages.iterdir())) == 2
    assert list(store.folders.incoming.iterdir()) == []


def test_short_files_that_the_journal_has_not_told_of_yet_are_copied_again(tmp_path: Path) -> None:
    """What a killed copy did not write down of many short files is not believed, and not in the way."""
    files = {f"model/{number:03d}": bytes([number]) * 100 for number in range(100)}
    sources = {path: arriving(data) for path, data in files.items()}
    IncomingPackage(tmp_path, sources, clock=CLOCK, tell=quiet).copy()
    journal = tmp_path / "journal"
    lines = [line for line in journal.read_text().splitlines() if line]
    assert len(lines) == 101, "the opening, and a line for each file at the end"
    journal.write_text("\n".join(lines[:60]))

    again = IncomingPackage(tmp_path, sources, clock=CLOCK, tell=quiet)
    entries = {entry.path: entry.sha256 for entry in again.copy()}

    assert entries == {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}
    assert again.bytes_read == 41 * 100


def test_what_was_left_after_a_package_had_its_name_goes_with_the_next_import(store: PackageFolderStore) -> None:
    digest = stage(store)
    left = store.folders.incoming / LISTING
    left.mkdir()
    (left / "journal").write_text("{}")
    (store.folders.incoming / f"{LISTING}.lock").touch()

    assert store.known(LISTING) == digest
    assert list(store.folders.incoming.iterdir()) == []
