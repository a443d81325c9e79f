"""What a pickle remembers, and how much that is.

Numbers without a gap cost nothing, values of interest little. What is forgotten is `RECALLED` when it is used again:
whatever needs more than that is then refused, not trusted.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Hashable, Mapping
from typing import Any, Final

from airlock.domain.model_files.pickle_calls import SPELLED
from airlock.domain.model_files.pickle_keys import ACTED_ON
from airlock.domain.model_files.pickle_limits import MAX_REMEMBERED, MAX_REMEMBERED_ALWAYS, MAX_SCATTERED
from airlock.domain.model_files.pickle_values import COMPUTED, FORGOTTEN, RECALLED, UNKEPT, WRAPPER_KEYS, Global, copied
from airlock.domain.model_files.streams import OverLimit, Unreadable

#: Classes of values that may be forgotten; an import or an array never is.
FORGETTABLE: Final = frozenset({bytes, tuple, int, bool, type(None)})


def vocabulary(allowed: Collection[Global]) -> frozenset[bytes]:
    """The texts that a reading may need later: they are remembered however many others there are.

    Args:
        allowed: The names that may be imported.
    """
    return _vocabulary(allowed) if isinstance(allowed, Hashable) else _vocabulary(frozenset(allowed))


@functools.lru_cache(maxsize=8)
def _vocabulary(allowed: Any) -> frozenset[bytes]:
    texts = {part.encode() for name in allowed for part in (name.module, name.name)}
    return frozenset(texts | WRAPPER_KEYS | ACTED_ON | SPELLED)


class Memo:
    """The memory of one pickle.

    The machine keeps `until` in a variable of its own while it runs, and writes it back before it calls anything.

    Args:
        words: The texts that are always remembered.

    Attributes:
        kept: What is more than `RECALLED`.
        missing: What all others are.
        first: The lowest number in use; Python 2 counts from one.
        until: All numbers from `first` up to here are in use.
        scattered: Numbers in use beyond that.
        full: Whether only what is always remembered is taken; looked at by `check`.
    """

    def __init__(self, words: frozenset[bytes]) -> None:
        self.words = words
        self.kept: dict[int, Any] = {}
        self.missing: Any = RECALLED
        self.first = 0
        self.until = 0
        self.scattered: set[int] = set()
        self.full = False

    def __len__(self) -> int:
        return self.until - self.first + len(self.scattered)

    def state(self) -> tuple[int, int, bool, bool, bool]:
        """`first`, `until`, `full`, whether there is no gap, and whether MEMOIZE takes the number `until`."""
        dense = not self.scattered
        return self.first, self.until, self.full, dense, dense and not self.first

    def shadow(self) -> Memo:
        """A memory on top of this one, which stays as it is."""
        above = Memo(self.words)
        above.kept = _Above(self.kept)
        above.missing = self.missing
        above.first, above.until, above.scattered = self.first, self.until, set(self.scattered)
        return above

    def keep(self, key: int, value: Any) -> None:
        """Remember more of a value than that it is there; forget it where there are too many."""
        forgettable = value.__class__ in FORGETTABLE
        if self.full and forgettable and (value.__class__ is not bytes or value not in self.words):
            return
        self.kept[key] = value

    def check(self) -> None:
        """Look at the limits, once in a while.

        Raises:
            OverLimit: There are too many values that must not be forgotten.
        """
        count = len(self.kept)
        if count > MAX_REMEMBERED:
            self.full = True
        if count > MAX_REMEMBERED_ALWAYS:
            self.words = frozenset()
            # From here on a text may be one that it did not spell out, or that libraries act on.
            self.missing = FORGOTTEN
            for key in [key for key, value in self.kept.items() if value is COMPUTED]:
                del self.kept[key]
            count = len(self.kept)
        if count > MAX_REMEMBERED_ALWAYS + MAX_REMEMBERED:
            raise OverLimit(f"it remembers more than {MAX_REMEMBERED_ALWAYS:,} values of interest")

    def put(self, key: int, value: Any) -> None:
        """Remember a value under any number.

        Raises:
            OverLimit: There are too many.
            Unreadable: The number is negative.
        """
        if key < 0:
            raise Unreadable("it remembers under a negative number")
        if key == 1 and not len(self):
            self.first = self.until = 1
        if key == self.until:
            self.until += 1
            while self.scattered and self.until in self.scattered:
                self.scattered.discard(self.until)
                self.until += 1
        elif not self.first <= key < self.until:
            self.scattered.add(key)
            if len(self.scattered) > MAX_SCATTERED:
                raise OverLimit(f"it remembers more than {MAX_SCATTERED:,} values without order")
        if key in self.kept:
            self.kept[key] = self.missing
        if value.__class__ not in UNKEPT:
            self.keep(key, value)

    def get(self, key: int) -> Any:
        """What was remembered.

        Raises:
            Unreadable: Nothing was.
        """
        if not (self.first <= key < self.until or key in self.scattered):
            raise Unreadable("it uses a value that it did not remember")
        return self.kept.get(key, self.missing)


class _Above(dict[int, Any]):
    """What one more reading remembers, on top of what another one does; it gets copies of what can be changed."""

    def __init__(self, below: Mapping[int, Any]) -> None:
        super().__init__()
        self._below = below

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or key in self._below

    def get(self, key: int, default: Any = None) -> Any:
        if super().__contains__(key):
            return self[key]
        return copied(self._below.get(key, default))
