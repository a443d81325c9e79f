"""Work of a module's tests that is done a few at a time, before the first of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


def ended(work: Callable[[Key], Value], keys: Iterable[Key], *, at_once: int) -> dict[Key, Future[Value]]:
    """Return key → what its work came to, all of it ended.

    pytest takes a variable out of the environment after each test. A process that another thread starts at that
    moment without an environment of its own may get EFAULT from execve(2), which counts the variables, then reads
    them; so no work goes on while tests follow one another.
    """
    with ThreadPoolExecutor(at_once) as pool:
        return {key: pool.submit(work, key) for key in keys}
