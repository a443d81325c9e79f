"""A StatsD receiver on the loopback interface: it keeps what arrives, as it arrives."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass
from types import TracebackType


@dataclass(frozen=True)
class Measured:
    """One measurement.

    Attributes:
        name: Its name, prefix included.
        tags: Its tags, in the form of InfluxDB.
        value: Its value: how many more, or milliseconds.
        kind: `c` for a counter, `ms` for a timer, `g` for a gauge.
    """

    name: str
    tags: dict[str, str]
    value: float
    kind: str


class StatsdListener:
    """Receives until it is closed.

    Attributes:
        port: Its UDP port on 127.0.0.1.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.2)
        self.port = int(self._socket.getsockname()[1])
        self._lines: list[str] = []
        self._closing = False
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    def __enter__(self) -> StatsdListener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        self._thread.join()
        self._socket.close()

    def settings(self) -> dict[str, str]:
        """The variables that make Airflow send here, with tags."""
        return {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(self.port),
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        }

    def found(self, name: str) -> list[Measured]:
        """What has arrived under a name."""
        return [each for each in map(_parsed, list(self._lines)) if each.name == name]

    def wait_for(self, name: str, timeout_s: float = 5.0) -> list[Measured]:
        """What has arrived under a name, once something has."""
        deadline = time.monotonic() + timeout_s
        while not (measured := self.found(name)):
            assert time.monotonic() < deadline, sorted(set(self._lines))
            time.sleep(0.01)
        return measured

    def _receive(self) -> None:
        while not self._closing:
            try:
                self._lines += self._socket.recv(65536).decode().splitlines()
            except TimeoutError:
                continue


def _parsed(line: str) -> Measured:
    said, _, kind = line.partition("|")
    named, _, value = said.rpartition(":")
    name, *tags = named.split(",")
    return Measured(name, dict(tag.split("=", 1) for tag in tags), float(value), kind.split("|")[0])
