"""Time in memory."""

from __future__ import annotations


class FakeClock:
    """Time that passes only when somebody sleeps or a service takes its time."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.started = now
        self.passed = 0.0

    def now(self) -> float:
        return self.started + self.passed

    def monotonic(self) -> float:
        return self.passed

    def sleep(self, seconds: float) -> None:
        self.passed += seconds
