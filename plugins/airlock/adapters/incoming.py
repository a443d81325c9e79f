"""The copy of a package that is under way: several files at once, each in ranges, hashed while it is written.

    <folder>/package/model/…   the files, some not whole yet
    <folder>/journal           what is whole, a JSON line each: what a killed copy leaves for the next one

A file of one range is hashed by whoever writes it. A longer one is written by several threads, and one thread follows
them and hashes what they wrote while the system still has it in memory: hashing costs no second pass over the disk, and
the digest of everything up to the end of a range comes out on the way. That is what the journal keeps, so the next copy
can tell exactly how far the bytes on the disk are right.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from airlock.domain.package import FileEntry
from airlock.domain.progress import Progress
from airlock.errors import SourceChanged
from airlock.ports import Clock, IncomingFile

#: What one request brings. Small enough that whoever hashes stays close to whoever writes.
RANGE_BYTES = 16 * 1024 * 1024
#: Reads of this size stay in the processor's cache while they are hashed.
READ_BYTES = 256 * 1024
THREADS = 8
#: Ranges of one long file that are read at a time: two already fill the wire, and more only scatter the writes.
RANGES_AT_A_TIME = 3
TELL_EVERY_S = 5.0
#: From so many short files on they are synced together.
MANY_FILES = 32
#: How long the threads may take to notice that the copy was given up.
END_S = 10.0
_LOOK_S = 0.25
_JOURNAL_FORM = 1


@dataclass(frozen=True, slots=True)
class _Range:
    path: str
    index: int
    start: int
    stop: int


class _LongFile:
    """A file of several ranges while it is written."""

    def __init__(self, path: str, target: Path, incoming: IncomingFile, range_bytes: int) -> None:
        self.path = path
        self.target = target
        self.incoming = incoming
        self.range_bytes = range_bytes
        self.ranges = -(-incoming.size_bytes // range_bytes)
        self.hash = hashlib.sha256()
        self.hashed = 0
        self.written: set[int] = set()
        self.descriptor = -1

    def range(self, index: int) -> _Range:
        start = index * self.range_bytes
        return _Range(self.path, index, start, min(start + self.range_bytes, self.incoming.size_bytes))


class IncomingPackage:
    """Copies files into a folder and says what they are.

    Args:
        folder: The copy's own folder; what an earlier copy left in it is verified and used.
        files: Path relative to the package → where its bytes come from.
        clock: Time.
        tell: Takes a line of progress, at most every five seconds.
        range_bytes: What one request brings at most.
        threads: How many requests at a time.
    """

    def __init__(
        self,
        folder: Path,
        files: Mapping[str, IncomingFile],
        *,
        clock: Clock,
        tell: Callable[[str], None],
        range_bytes: int = RANGE_BYTES,
        threads: int = THREADS,
    ) -> None:
        self._folder = folder
        self._package = folder / "package"
        self._files = files
        self._clock = clock
        self._tell = tell
        self._range_bytes = range_bytes
        self._threads = threads
        self._entries: dict[str, FileEntry] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._errors: list[BaseException] = []
        self._done = 0
        self._sync_at_end = False
        self.bytes_read = 0

    # ── the whole ────────────────────────────────────────────────────────────────────────────────────────────────────

    def copy(self) -> list[FileEntry]:
        """Copy what is missing.

        Returns:
            The files, each with its size and digest, on the disk for good.

        Raises:
            Exception: Whatever a source raised; the first one, when several did.
        """
        self._package.mkdir(parents=True, exist_ok=True)
        whole, reached = self._read_journal()
        # What an earlier copy wrote stays readable while it is verified: this one may be killed too.
        with (self._folder / "journal").open("a", encoding="utf-8") as journal:
            self._journal = journal
            self._note({"form": _JOURNAL_FORM, "range_bytes": self._range_bytes})
            short, long = self._take_up(whole, reached)
            # Each sync is a round of the disk's own journal: one for all of them takes as long as one of thousands.
            self._sync_at_end = len(short) > MANY_FILES
            self._run(short, long)
        if self._sync_at_end:
            _sync_file_system(self._folder)
        return list(self._entries.values())

    def _run(self, short: deque[str], long: deque[_LongFile]) -> None:
        progress = Progress(
            bytes_total=sum(file.size_bytes for file in self._files.values()),
            objects_total=len(self._files),
            bytes_before=self._done,
            began=self._clock.monotonic(),
        )
        written: queue.Queue[tuple[_LongFile, int]] = queue.Queue()
        jobs = _Jobs(short, long)
        workers = [
            threading.Thread(target=self._guarded, args=(self._work, jobs, written), name=f"copy-{number}", daemon=True)
            for number in range(min(self._threads, jobs.most_at_a_time()))
        ]
        follower = threading.Thread(
            target=self._guarded, args=(self._follow, jobs, written), name="copy-hash", daemon=True
        )
        started = [*workers, *([follower] if long else [])]
        try:
            for thread in started:
                thread.start()
            told = self._clock.monotonic()
            for thread in started:
                while thread.is_alive():
                    thread.join(_LOOK_S)
                    now = self._clock.monotonic()
                    if now - told >= TELL_EVERY_S:
                        self._tell(progress.line(self._done, len(self._entries), now))
                        told = now
        finally:
            self._stop.set()
            deadline = self._clock.monotonic() + END_S
            for thread in started:
                thread.join(max(0.0, deadline - self._clock.monotonic()))
            # A thread that still waits for its source would write to whatever got the number of a closed descriptor.
            if not any(thread.is_alive() for thread in started):
                for file in jobs.long_files:
                    os.close(file.descriptor)
        if self._errors:
            raise self._errors[0]

    def _guarded(self, run: Callable[..., None], *arguments: object) -> None:
        try:
            run(*arguments)
        except BaseException as error:
            with self._lock:
                self._errors.append(error)
            self._stop.set()

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _work(self, jobs: _Jobs, written: queue.Queue[tuple[_LongFile, int]]) -> None:
        while not self._stop.is_set():
            job = jobs.next()
            if job is None:
                return
            if isinstance(job, str):
                self._copy_short(job)
                continue
            file, index = job
            try:
                self._copy_range(file, file.range(index))
            finally:
                jobs.release(file)
            written.put((file, index))

    def _copy_short(self, path: str) -> None:
        source = self._files[path]
        digest = hashlib.sha256()
        # Exclusive: on a file system that folds names, a second name for the same file is an error, not a mix.
        with (self._package / path).open("xb", buffering=0) as file:
            for chunk in self._chunks(source, 0, source.size_bytes):
                digest.update(chunk)
                _write_all(file.fileno(), chunk, None)
            os.fchmod(file.fileno(), 0o444)
            if not self._sync_at_end:
                os.fsync(file.fileno())
        self._finish(path, source.size_bytes, digest.hexdigest())

    def _copy_range(self, file: _LongFile, wanted: _Range) -> None:
        position = wanted.start
        for chunk in self._chunks(file.incoming, wanted.start, wanted.stop):
            _write_all(file.descriptor, chunk, position)
            position += len(chunk)

    def _chunks(self, source: IncomingFile, start: int, stop: int) -> Iterator[bytes]:
        if start == stop:
            return
        received = 0
        with contextlib.closing(source.read(start, stop)) as chunks:
            for chunk in chunks:
                received += len(chunk)
                if self._stop.is_set():
                    raise _GivenUp
                if received > stop - start:
                    break
                yield chunk
                with self._lock:
                    self._done += len(chunk)
                    self.bytes_read += len(chunk)
        if received != stop - start:
            raise SourceChanged("SRC006", f"{received:,} bytes came instead of {stop - start:,}.", "")

    # ── hashing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _follow(self, jobs: _Jobs, written: queue.Queue[tuple[_LongFile, int]]) -> None:
        left = len(jobs.long_files)
        for file in jobs.long_files:
            left -= self._hash_what_is_there(file)
        while left:
            # What is written when the copy is given up is still hashed: the next one has it then.
            given_up = self._stop.is_set()
            try:
                file, index = written.get(timeout=0 if given_up else _LOOK_S)
            except queue.Empty:
                if given_up:
                    return
                continue
            file.written.add(index)
            left -= self._hash_what_is_there(file)

    def _hash_what_is_there(self, file: _LongFile) -> bool:
        """Hash the ranges that follow each other; whether that was all of the file."""
        while file.hashed in file.written:
            wanted = file.range(file.hashed)
            for block in _blocks(file.descriptor, wanted.start, wanted.stop):
                file.hash.update(block)
            file.hashed += 1
            self._note({"path": file.path, "ranges": file.hashed, "sha256": file.hash.copy().hexdigest()})
        if file.hashed < file.ranges or file.path in self._entries:
            return False
        _make_final(file.descriptor)
        self._finish(file.path, file.incoming.size_bytes, file.hash.hexdigest())
        return True

    def _finish(self, path: str, size_bytes: int, sha256: str) -> None:
        with self._lock:
            self._entries[path] = FileEntry(path=path, size_bytes=size_bytes, sha256=sha256)
        self._note({"path": path, "sha256": sha256})

    # ── the journal ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _note(self, row: dict[str, Any]) -> None:
        # A line of its own even after one that a killed writer did not end.
        text = "\n" + json.dumps(row, ensure_ascii=False) + "\n"
        with self._lock:
            self._journal.write(text)
            # Out of this process, so that it is there when this process is killed.
            self._journal.flush()

    def _read_journal(self) -> tuple[dict[str, str], dict[str, dict[int, str]]]:
        """What an earlier copy says it wrote: whole files, and how far others got. Nothing of it is believed yet."""
        whole: dict[str, str] = {}
        reached: dict[str, dict[int, str]] = {}
        try:
            lines = (self._folder / "journal").read_text(encoding="utf-8", errors="replace").split("\n")
        except FileNotFoundError:
            return {}, {}
        ours = False
        for line in lines:
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if not isinstance(row, dict):
                continue
            if "form" in row:
                ours = row == {"form": _JOURNAL_FORM, "range_bytes": self._range_bytes}
                if not ours:
                    whole, reached = {}, {}
            elif not ours:
                continue
            elif "ranges" in row:
                reached.setdefault(row["path"], {})[row["ranges"]] = row["sha256"]
            else:
                whole[row["path"]] = row["sha256"]
        return whole, reached

    def _take_up(
        self, whole: Mapping[str, str], reached: Mapping[str, Mapping[int, str]]
    ) -> tuple[deque[str], deque[_LongFile]]:
        """Verify what is on the disk and find what is missing: short files, and long ones from where they are right."""
        short: deque[str] = deque()
        long: deque[_LongFile] = deque()
        kept = 0
        for path, incoming in self._files.items():
            target = self._package / path
            target.parent.mkdir(parents=True, exist_ok=True)
            file = _LongFile(path, target, incoming, self._range_bytes)
            there = target.is_file() and not target.is_symlink()
            if incoming.size_bytes <= self._range_bytes:
                if there and path in whole and _sha256(target, incoming.size_bytes) == whole[path]:
                    kept += incoming.size_bytes
                    self._finish(path, incoming.size_bytes, whole[path])
                    continue
                target.unlink(missing_ok=True)
                short.append(path)
                continue
            if there and reached.get(path):
                kept += _verify(file, reached[path])
            else:
                target.unlink(missing_ok=True)
            long.append(file)
        self._done = kept
        if kept:
            self._tell(f"{kept:,} bytes of an earlier copy of the same objects are there and verified.")
        return short, long


class _GivenUp(Exception):
    """Another thread failed; that one's error is the one to tell."""


class _Jobs:
    """What is to be copied: long files first, their ranges in order, so that whoever hashes them can follow."""

    def __init__(self, short: deque[str], long: deque[_LongFile]) -> None:
        self.long_files = list(long)
        self._short = short
        self._lock = threading.Lock()
        self._next = {file.path: file.hashed for file in long}
        self._busy = dict.fromkeys(self._next, 0)
        self._waiting = [file for file in long if file.hashed < file.ranges]
        for file in long:
            file.written.update(range(file.hashed))
            # A file that is whole already is still made final.
            file.descriptor = os.open(file.target, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)

    def most_at_a_time(self) -> int:
        """How many threads can have something to do."""
        return len(self._short) + RANGES_AT_A_TIME * len(self._waiting)

    def next(self) -> str | tuple[_LongFile, int] | None:
        """A short file's path, or a range of a long one; None when there is nothing more to begin."""
        with self._lock:
            for file in self._waiting:
                if self._busy[file.path] < RANGES_AT_A_TIME:
                    index = self._next[file.path]
                    self._next[file.path] += 1
                    self._busy[file.path] += 1
                    if index + 1 == file.ranges:
                        self._waiting.remove(file)
                    return file, index
            return self._short.popleft() if self._short else None

    def release(self, file: _LongFile) -> None:
        """One range less of this file is under way."""
        with self._lock:
            self._busy[file.path] -= 1


def _write_all(descriptor: int, data: bytes, position: int | None) -> None:
    view = memoryview(data)
    while view:
        count = os.write(descriptor, view) if position is None else os.pwrite(descriptor, view, position)
        view = view[count:]
        position = None if position is None else position + count


def _sync_file_system(folder: Path) -> None:
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


def _make_final(descriptor: int) -> None:
    os.fsync(descriptor)
    os.fchmod(descriptor, 0o444)


def _blocks(descriptor: int, start: int, stop: int) -> Iterator[bytes]:
    while start < stop:
        block = os.pread(descriptor, min(READ_BYTES, stop - start), start)
        if not block:
            raise OSError(f"a file of a copy under way ends at byte {start}")
        start += len(block)
        yield block


def _sha256(path: Path, size_bytes: int) -> str:
    """Digest of a file; empty where it has another size."""
    with path.open("rb") as file:
        return "" if os.fstat(file.fileno()).st_size != size_bytes else _digest(file)


def _digest(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := file.read(READ_BYTES):
        digest.update(block)
    return digest.hexdigest()


def _verify(file: _LongFile, reached: Mapping[int, str]) -> int:
    """Find how far a file on the disk is what the journal says, and go on hashing from there.

    Returns:
        How many bytes are right.
    """
    right = 0
    state = file.hash.copy()
    descriptor = os.open(file.target, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for index in range(min(max(reached), file.ranges)):
            wanted = file.range(index)
            try:
                for block in _blocks(descriptor, wanted.start, wanted.stop):
                    state.update(block)
            except OSError:
                break
            if reached.get(index + 1) == state.hexdigest():
                right = index + 1
                file.hash = state.copy()
    finally:
        os.close(descriptor)
    file.hashed = right
    return file.range(right - 1).stop if right else 0
