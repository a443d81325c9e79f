"""Any part of a file by its place, within a budget: a file's header may point anywhere, and may lie."""

from __future__ import annotations

import json
from typing import Any

from airlock.domain.model_files.streams import Binary, OverLimit, Unreadable

#: Bytes that are read of one file's headers in all.
MAX_READ_BYTES = 256 << 20
#: As values of Python it may be twenty times as much.
MAX_JSON_BYTES = 8 << 20


class Ranges:
    """Random access to a file.

    Args:
        file: The file.
        size: Its length in bytes.
        budget: Bytes that may be read in all.

    Attributes:
        size: Its length in bytes.
    """

    def __init__(self, file: Binary, size: int, budget: int = MAX_READ_BYTES) -> None:
        self._file = file
        self._left = budget
        self.size = size

    def at(self, start: int, length: int) -> bytes:
        """Exactly these bytes.

        Raises:
            Unreadable: They do not lie in the file.
            OverLimit: The budget is spent.
        """
        if start < 0 or length < 0 or start + length > self.size:
            raise Unreadable("it points outside of itself", max(start, 0))
        self._spend(length)
        self._file.seek(start)
        data = self._file.read(length)
        if len(data) != length:
            raise Unreadable("the file ends too early", start + len(data))
        return data

    def up_to(self, start: int, length: int) -> bytes:
        """These bytes, or as many of them as there are."""
        start = min(start, self.size)
        return self.at(start, min(length, self.size - start))

    def tail(self, length: int) -> bytes:
        """The last bytes, or all of a shorter file."""
        start = max(0, self.size - length)
        return self.at(start, self.size - start)

    def whole(self, limit: int) -> bytes:
        """The whole file.

        Raises:
            OverLimit: It is longer than the limit.
        """
        if self.size > limit:
            raise OverLimit(f"it has {self.size:,} bytes, at most {limit:,} are looked at")
        return self.at(0, self.size)

    def _spend(self, length: int) -> None:
        self._left -= length
        if self._left < 0:
            raise OverLimit("its headers are larger than is looked at")


def parsed(data: bytes, what: str = "it") -> Any:
    """JSON as other readers of the form take it, without a number or a key that two of them read differently.

    Raises:
        Unreadable: It is none.
    """
    try:
        return json.loads(data, object_pairs_hook=_once)
    except _Twice as error:
        raise Unreadable(f"{what} has the key {error} twice") from None
    except (ValueError, RecursionError):
        raise Unreadable(f"{what} is not JSON") from None


class _Twice(Exception):
    pass


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, item in pairs:
        if key in value:
            raise _Twice(repr(key[:80]))
        value[key] = item
    return value
