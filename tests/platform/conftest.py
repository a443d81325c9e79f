"""A state folder, and commands that run in it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.platform.processes import Command, processes_of, wait_until


@pytest.fixture
def command(state: Path) -> Iterator[Callable[..., Command]]:
    """Starts commands in the module's state folder; nothing of them outlives the test, passed or failed."""
    started: list[Command] = []

    def start(*arguments: str) -> Command:
        started.append(Command(state, *arguments))
        return started[-1]

    yield start
    for one in started:
        one.processes()
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
            # Its keeper ends the rest; killed together with it, it could not.
            wait_until(one.is_gone, 40)
        for process in one.seen | processes_of(state):
            if process.is_alive():
                os.kill(process.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder that the tests of one module share, so that the databases are made once."""
    return tmp_path_factory.mktemp("state")
