"""How far a copy is, as a line of a log."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A copy as a whole.

    Attributes:
        bytes_total: Of all its objects.
        objects_total: How many there are.
        bytes_before: Bytes that were there when it began.
        began: When it began, on a clock that only grows, in seconds.
    """

    bytes_total: int
    objects_total: int
    bytes_before: int
    began: float

    def line(self, bytes_done: int, objects_done: int, now: float) -> str:
        """Bytes, objects, rate and time left.

        Args:
            bytes_done: Bytes that are there.
            objects_done: Objects that are whole.
            now: The present, on the same clock.
        """
        seconds = now - self.began
        rate = (bytes_done - self.bytes_before) / seconds if seconds > 0 else 0.0
        left = f"about {(self.bytes_total - bytes_done) / rate:.0f} s left" if rate > 0 else "nothing came yet"
        return (
            f"{bytes_done:,} of {self.bytes_total:,} bytes, {objects_done:,} of {self.objects_total:,} objects, "
            f"{rate / 1e6:.1f} MB/s, {left}"
        )
