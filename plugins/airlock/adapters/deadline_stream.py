"""Items of a blocking source, taken until a point in time and not a moment longer."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from airlock.ports.clock import Clock

Item = TypeVar("Item")

#: How many items may wait: a source that is faster than its reader is slowed down instead of filling the memory.
_WAITING_ITEMS = 1000
_LOOK_S = 0.5


class TimeOver(Exception):
    """The time is over and the source has not ended."""


@dataclass(frozen=True, slots=True)
class _Got(Generic[Item]):
    item: Item


@dataclass(frozen=True, slots=True)
class _Ended:
    error: BaseException | None


def until(
    source: Iterable[Item], deadline: float, clock: Clock, ended: threading.Event | None = None
) -> Iterator[Item]:
    """The source's items.

    The source is read in a thread of its own, which is left behind when the time is over or the caller stops early:
    whoever gives a source sees to it that it ends, by closing or killing what it comes from.

    Args:
        source: What blocks.
        deadline: When to stop, on the clock's monotonic scale.
        clock: Time.
        ended: Set when the source has ended. With it a source that is left behind is read to its end instead of being
            closed: for a source whose end says that what it tells of is over.

    Raises:
        TimeOver: The deadline came before the source's end.
        BaseException: Whatever the source raised.
    """
    waiting: queue.Queue[_Got[Item] | _Ended] = queue.Queue(_WAITING_ITEMS)
    left = threading.Event()

    def put(value: _Got[Item] | _Ended) -> None:
        while not left.is_set():
            try:
                waiting.put(value, timeout=_LOOK_S)
            except queue.Full:
                continue
            return

    def read() -> None:
        try:
            for item in source:
                put(_Got(item))
                if left.is_set() and ended is None:
                    return
        except BaseException as error:
            put(_Ended(error))
        else:
            put(_Ended(None))
        finally:
            # A generator that nobody takes from any more lets go of the connection behind it.
            if isinstance(source, Generator):
                source.close()
            if ended is not None:
                ended.set()

    threading.Thread(target=read, name="deadline-stream", daemon=True).start()
    try:
        while True:
            remaining = deadline - clock.monotonic()
            if remaining <= 0:
                raise TimeOver
            try:
                value = waiting.get(timeout=min(_LOOK_S, remaining))
            except queue.Empty:
                continue
            if isinstance(value, _Ended):
                if value.error is not None:
                    raise value.error
                return
            yield value.item
    finally:
        left.set()
