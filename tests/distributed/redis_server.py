"""A real Redis on the loopback interface that keeps its queues over a restart, as the compose stack's does."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from scripts.local_state import free_ports

PROGRAM = "redis-server"
TIMEOUT_S = 30.0


def installed() -> bool:
    """Whether Redis is there (Debian: redis-server)."""
    return shutil.which(PROGRAM) is not None


class RedisServer:
    """One Redis.

    Attributes:
        url: Where Celery finds it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True)
        (self._port,) = free_ports(1)
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it with what it kept."""
        options = ["--port", self._port, "--bind", "127.0.0.1", "--dir", self._folder, "--appendonly", "yes"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM, *map(str, [*options, "--save", ""])], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self._port), timeout=1):
                    return
            except OSError:
                assert self._process.poll() is None, (self._folder / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def interrupt(self) -> None:
        """End it at once."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """End it."""
        self._end(signal.SIGTERM)

    def _end(self, by: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(by)
            self._process.wait(TIMEOUT_S)
            self._process = None
