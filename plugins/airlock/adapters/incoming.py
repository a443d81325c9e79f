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
import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from airlock.adapters.disk import begin_writing, sync_file_system
from airlock.adapters.incoming_files import Jobs, LongFile, Range, Tally, hash_range, sha256_of
from airlock.adapters.incoming_journal import Journal, Written, read_journal
from airlock.adapters.pace import MOST, Pace, Reached
from airlock.adapters.short_files import ShortFiles
from airlock.domain.package import FileEntry
from airlock.domain.progress import Progress
from airlock.errors import SourceChanged
from airlock.ports.clock import Clock
from airlock.ports.object_storage import Chunk
from airlock.ports.package_store import IncomingFile

#: What one request brings. Small enough that whoever hashes stays close to whoever writes.
RANGE_BYTES = 16 * 1024 * 1024
TELL_EVERY_S = 5.0
#: From so many short files on they are synced together.
MANY_FILES = 32
#: How long the threads may take to notice that the copy was given up.
END_S = 10.0
_LOOK_S = 0.1


class IncomingPackage:
    """Copies files into a folder and says what they are.

    Args:
        folder: The copy's own folder; what an earlier copy left in it is verified and used.
        files: Path relative to the package → where its bytes come from.
        clock: Time.
        tell: Takes a line of progress, at most every five seconds.
        range_bytes: What one request brings at most.
        threads: How many requests at a time at most.
    """

    def __init__(
        self,
        folder: Path,
        files: Mapping[str, IncomingFile],
        *,
        clock: Clock,
        tell: Callable[[str], None],
        range_bytes: int = RANGE_BYTES,
        threads: int = MOST,
    ) -> None:
        self._folder = folder
        self._package = folder / "package"
        self._files = files
        self._clock = clock
        self._tell = tell
        self._range_bytes = range_bytes
        self._threads = threads
        self._entries: dict[str, FileEntry] = {}
        self._stop = threading.Event()
        self._errors: list[BaseException] = []
        self._kept = 0
        self._tallies: list[Tally] = []
        self._sync_at_end = False

    @property
    def bytes_read(self) -> int:
        """Bytes that came from the source so far."""
        return sum(tally.bytes_read for tally in self._tallies)

    # ── the whole ────────────────────────────────────────────────────────────────────────────────────────────────────

    def copy(self) -> list[FileEntry]:
        """Copy what is missing.

        Returns:
            The files, each with its size and digest, on the disk for good.

        Raises:
            Exception: Whatever a source raised; the first one, when several did.
        """
        self._package.mkdir(parents=True, exist_ok=True)
        path = self._folder / "journal"
        before = read_journal(path, self._range_bytes)
        with path.open("a", encoding="utf-8") as file:
            # Each sync is a round of the disk's own journal: one for all of them takes as long as one of thousands.
            self._sync_at_end = sum(each.size_bytes <= self._range_bytes for each in self._files.values()) > MANY_FILES
            self._journal = Journal(file, self._range_bytes, held=MANY_FILES if self._sync_at_end else 0)
            self._short_files = ShortFiles(self._package, self._finish, many=self._sync_at_end)
            try:
                short, long = self._take_up(before)
                self._run(short, long)
            finally:
                self._journal.flush()
        if self._sync_at_end:
            sync_file_system(self._folder)
        return list(self._entries.values())

    def _run(self, short: deque[str], long: deque[LongFile]) -> None:
        progress = Progress(
            bytes_total=sum(file.size_bytes for file in self._files.values()),
            objects_total=len(self._files),
            bytes_before=self._kept,
            began=self._clock.monotonic(),
        )
        written: queue.Queue[tuple[LongFile, int]] = queue.Queue()
        jobs = Jobs(short, long)
        pace = Pace(Reached.now(0, 0, 0.0), most=self._threads)
        started: list[threading.Thread] = []

        def start(run: Callable[..., None], name: str) -> None:
            started.append(threading.Thread(target=self._guarded, args=(run, jobs, written), name=name, daemon=True))
            started[-1].start()

        def start_workers(count: int) -> None:
            for _ in range(min(count, jobs.most_at_a_time())):
                start(self._work, f"copy-{len(started)}")

        writer = threading.Thread(target=self._guarded, args=(self._write_handed_on,), name="copy-write", daemon=True)
        writer.start()
        try:
            if long:
                start(self._follow, "copy-hash")
            start_workers(pace.at_a_time)
            told = self._clock.monotonic()
            while alive := [thread for thread in started if thread.is_alive()]:
                alive[-1].join(_LOOK_S)
                before = pace.at_a_time
                if not self._stop.is_set() and pace.look(
                    Reached.now(self.bytes_read, len(self._entries), sum(tally.writing_s for tally in self._tallies))
                ):
                    jobs.more_at_a_time()
                    start_workers(pace.at_a_time - before)
                now = self._clock.monotonic()
                if now - told >= TELL_EVERY_S:
                    self._tell(progress.line(self._kept + self.bytes_read, len(self._entries), now))
                    told = now
            # What was handed on is still written; a copy that is given up leaves it.
            self._short_files.end()
            writer.join()
        finally:
            self._stop.set()
            self._short_files.end()
            deadline = self._clock.monotonic() + END_S
            for thread in (*started, writer):
                thread.join(max(0.0, deadline - self._clock.monotonic()))
            # A thread that still waits for its source would write to whatever got the number of a closed descriptor.
            if not any(thread.is_alive() for thread in started):
                jobs.close()
        if self._errors:
            raise self._errors[0]

    def _guarded(self, run: Callable[..., None], *arguments: object) -> None:
        try:
            run(*arguments)
        except BaseException as error:
            self._errors.append(error)
            self._stop.set()

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _work(self, jobs: Jobs, written: queue.Queue[tuple[LongFile, int]]) -> None:
        tally = self._tally()
        while not self._stop.is_set():
            job = jobs.next()
            if job is None:
                return
            if isinstance(job, str):
                self._copy_short(job, tally)
                continue
            file, index = job
            try:
                self._copy_range(file, file.range(index), tally)
            finally:
                jobs.release(file)
            written.put((file, index))

    def _copy_short(self, path: str, tally: Tally) -> None:
        source = self._files[path]
        self._short_files.take(path, source.size_bytes, self._chunks(source, 0, source.size_bytes, tally), tally)

    def _write_handed_on(self) -> None:
        self._short_files.write_handed_on(self._tally(), self._stop)

    def _tally(self) -> Tally:
        tally = Tally()
        self._tallies.append(tally)
        return tally

    def _copy_range(self, file: LongFile, wanted: Range, tally: Tally) -> None:
        position = wanted.start
        for chunk in self._chunks(file.incoming, wanted.start, wanted.stop, tally):
            tally.write(file.descriptor, chunk, position)
            position += len(chunk)
        begin_writing(file.descriptor, wanted.start, wanted.stop)

    def _chunks(self, source: IncomingFile, start: int, stop: int, tally: Tally) -> Iterator[Chunk]:
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
                tally.bytes_read += len(chunk)
        if received != stop - start:
            raise SourceChanged("SRC006", f"{received:,} bytes came instead of {stop - start:,}.", "")

    # ── hashing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _follow(self, jobs: Jobs, written: queue.Queue[tuple[LongFile, int]]) -> None:
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

    def _hash_what_is_there(self, file: LongFile) -> bool:
        """Hash the ranges that follow each other; whether that was all of the file."""
        while file.hashed in file.written:
            wanted = file.range(file.hashed)
            hash_range(file.hash, file.descriptor, wanted)
            file.hashed += 1
            self._journal.reached(file.path, file.hashed, file.hash.hexdigest())
        if file.hashed < file.ranges or file.path in self._entries:
            return False
        _make_final(file.descriptor)
        self._finish(file.path, file.incoming.size_bytes, file.hash.hexdigest())
        return True

    def _finish(self, path: str, size_bytes: int, sha256: str) -> None:
        self._entries[path] = FileEntry(path=path, size_bytes=size_bytes, sha256=sha256)
        self._journal.whole(path, sha256)

    # ── what is there ────────────────────────────────────────────────────────────────────────────────────────────────

    def _take_up(self, before: Written) -> tuple[deque[str], deque[LongFile]]:
        """Verify what is on the disk and find what is missing: short files, and long ones from where they are right."""
        short: deque[str] = deque()
        long: deque[LongFile] = deque()
        kept = 0
        # Most copies are the first of their listing; thousands of files are looked for only where some may be.
        used = any(self._package.iterdir())
        for folder in {os.path.dirname(path) for path in self._files}:
            (self._package / folder).mkdir(parents=True, exist_ok=True)
        for path, incoming in self._files.items():
            if not used and incoming.size_bytes <= self._range_bytes:
                short.append(path)
                continue
            target = self._package / path
            there = used and target.is_file() and not target.is_symlink()
            if incoming.size_bytes <= self._range_bytes:
                if there and path in before.whole and sha256_of(target, incoming.size_bytes) == before.whole[path]:
                    kept += incoming.size_bytes
                    self._finish(path, incoming.size_bytes, before.whole[path])
                    continue
                target.unlink(missing_ok=True)
                short.append(path)
                continue
            file = LongFile(path, target, incoming, self._range_bytes)
            if there and before.reached.get(path):
                kept += file.verify(before.reached[path])
            else:
                target.unlink(missing_ok=True)
            long.append(file)
        self._kept = kept
        if kept:
            self._tell(f"{kept:,} bytes of an earlier copy of the same objects are there and verified.")
        return short, long


class _GivenUp(Exception):
    """Another thread failed; that one's error is the one to tell."""


def _make_final(descriptor: int) -> None:
    os.fsync(descriptor)
    os.fchmod(descriptor, 0o444)
