"""Shows what runs and for how long: on a terminal with lines that move, elsewhere one plain line per finished step."""

from __future__ import annotations

import os
import shutil
import threading
import time
from typing import NamedTuple, TextIO


class _Running(NamedTuple):
    subject: str
    step: str
    since: float


class Progress:
    """Steps of several subjects, some of them at the same time. Safe to use from threads."""

    def __init__(self, stream: TextIO, *, subject_width: int = 18, elapsed_s: float = 0.0) -> None:
        """Starts the clock that every line shows.

        Args:
            stream: Where to write; lines move only when it is a terminal.
            subject_width: Characters for the subject's name.
            elapsed_s: What the clock shows at first.
        """
        self._stream = stream
        self._live = stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._width = subject_width
        self._began = time.monotonic() - elapsed_s
        self._running: dict[tuple[str, str], _Running] = {}
        self._shown = 0
        self._lock = threading.RLock()

    def elapsed_s(self) -> float:
        """Returns the seconds since the start."""
        return time.monotonic() - self._began

    def begin(self, subject: str, step: str) -> None:
        """A step has begun; a second call for it changes nothing."""
        with self._lock:
            self._running.setdefault((subject, step), _Running(subject, step, time.monotonic()))
            self.refresh()

    def end(self, subject: str, step: str, outcome: str, seconds: float | None = None) -> None:
        """A step has ended.

        Args:
            subject: Whose step.
            step: Which.
            outcome: How, in a word or a few.
            seconds: How long it took; measured since begin() when None and begin() was called.
        """
        with self._lock:
            running = self._running.pop((subject, step), None)
            if seconds is None and running is not None:
                seconds = time.monotonic() - running.since
            took = f"{seconds:7.1f} s" if seconds is not None else " " * 9
            self._print(f"{subject:<{self._width}} {step:<14} {took}  {outcome}")

    def note(self, text: str) -> None:
        """Prints something that is no step; each of its lines gets the clock."""
        with self._lock:
            for line in text.splitlines() or [""]:
                self._print(line)

    def refresh(self) -> None:
        """Moves the clocks of what is running; call it a few times a second."""
        with self._lock:
            if self._live:
                self._erase()
                self._draw()

    def close(self) -> None:
        """Takes the moving lines away."""
        with self._lock:
            self._running.clear()
            self.refresh()

    def _print(self, line: str) -> None:
        self._erase()
        self._stream.write(f"{self.elapsed_s():6.1f} s  {line}\n")
        self._draw()
        self._stream.flush()

    def _erase(self) -> None:
        if self._live and self._shown:
            # Up to the first moving line, then clear from there to the end of the screen.
            self._stream.write(f"\x1b[{self._shown}F\x1b[0J")
            self._shown = 0

    def _draw(self) -> None:
        if not self._live:
            return
        size = shutil.get_terminal_size()
        now = time.monotonic()
        # A line that wraps, or one more than the screen holds, could not be erased again.
        for running in list(self._running.values())[: max(1, size.lines - 2)]:
            text = f"{'':8}  {running.subject:<{self._width}} {running.step:<14} {now - running.since:7.1f} s  …"
            self._stream.write(text[: size.columns - 1] + "\n")
            self._shown += 1
        self._stream.flush()
