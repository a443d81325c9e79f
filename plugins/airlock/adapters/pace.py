"""How many requests of a copy are under way: more while they wait for the storage, and while more of them help.

A storage next door answers before the next request is made, so that a few threads keep a processor busy, and more would
only wait for each other. One that is tens of milliseconds away gives a thread so many small objects a second and no
more, however idle the processor is.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

#: Requests at a time, to begin with.
FEWEST = 4
MOST = 48
#: From so much of one processor on, what a copy waits for is this process itself.
_BUSY = 0.6
#: From so much of a thread's time on, what it waits for is the disk.
_WRITING = 0.3
#: What more requests must bring to be worth still more.
_GAIN = 1.1
#: So many looks in a row must show it: a moment's pause, as at the start, is none of the storage.
_LOOKS = 3
#: An object costs about as much as so many bytes, however short it is.
_OBJECT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a copy is.

    Attributes:
        bytes: Bytes that came.
        objects: Objects that are whole.
        wall_s: When that was, in seconds of any clock.
        cpu_s: Seconds of a processor that this process had used.
        writing_s: Seconds that its threads had spent in writing, all together.
    """

    bytes: int
    objects: int
    wall_s: float
    cpu_s: float
    writing_s: float

    @classmethod
    def now(cls, bytes_come: int, objects: int, writing_s: float) -> Reached:
        """How far it is now."""
        return cls(
            bytes=bytes_come,
            objects=objects,
            wall_s=time.perf_counter(),
            cpu_s=time.process_time(),
            writing_s=writing_s,
        )


class Pace:
    """Says how many requests a copy should have under way.

    Args:
        began: Where it begins.
        fewest: Requests at a time, to begin with.
        most: Never more.
    """

    def __init__(self, began: Reached, *, fewest: int = FEWEST, most: int = MOST) -> None:
        self._last = began
        self._most = most
        self._rate = 0.0
        self._idle_looks = 0
        self.at_a_time = min(fewest, most)

    def look(self, reached: Reached) -> bool:
        """Whether there should be more from now on; `at_a_time` says how many.

        Args:
            reached: How far the copy is.
        """
        before, self._last = self._last, reached
        elapsed = reached.wall_s - before.wall_s
        if elapsed <= 0 or self.at_a_time >= self._most:
            return False
        come = reached.bytes - before.bytes + _OBJECT_BYTES * (reached.objects - before.objects)
        rate = come / elapsed
        busy = (reached.cpu_s - before.cpu_s) / elapsed >= _BUSY
        writing = (reached.writing_s - before.writing_s) / elapsed / self.at_a_time >= _WRITING
        if busy or writing or rate < self._rate * _GAIN:
            self._idle_looks = 0
            return False
        self._idle_looks += 1
        if self._idle_looks < _LOOKS:
            return False
        self._idle_looks = 0
        self._rate = rate
        self.at_a_time = min(2 * self.at_a_time, self._most)
        return True
