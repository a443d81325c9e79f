"""Time, as everything reads it that waits or measures."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Time."""

    def now(self) -> float:
        """Seconds since 1970."""

    def monotonic(self) -> float:
        """Seconds that only grow."""

    def sleep(self, seconds: float) -> None:
        """Wait."""
