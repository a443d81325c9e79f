"""Children never outlive their parent, whichever way it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts.children import ChildFailed, Keeper
from scripts.local_state import ROOT
from tests.platform.processes import processes_of, wait_until

# Ignores the polite request, and has a child in a session of its own that ignores it, too.
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) < 3:
    subprocess.Popen([sys.executable, "-c", open(sys.argv[1]).read(), sys.argv[1], "child"], start_new_session=True)
open(sys.argv[1] + ".ready", "a").write("x")
time.sleep(300)
"""
PARENT = """
import os, sys, time
from pathlib import Path
from scripts.children import Keeper
keeper = Keeper(grace_s=1)
keeper.start("child", [sys.executable, "-c", open(sys.argv[1]).read(), sys.argv[1]], env=dict(os.environ),
             log=Path(sys.argv[1] + ".log"))
time.sleep(300)
"""


@pytest.fixture
def stubborn(tmp_path: Path) -> Path:
    program = tmp_path / "stubborn.py"
    program.write_text(STUBBORN, encoding="utf-8")
    return program


def _both_run(program: Path) -> bool:
    ready = Path(f"{program}.ready")
    return ready.exists() and ready.read_text(encoding="utf-8") == "xx"


def test_stop_ends_a_child_that_ignores_it_and_the_grandchild_that_left_the_group(stubborn: Path) -> None:
    keeper = Keeper(grace_s=0.5)
    keeper.start(
        "child", [sys.executable, stubborn, stubborn], env=dict(os.environ), log=stubborn.with_name("child.log")
    )
    assert wait_until(lambda: _both_run(stubborn), 20)

    keeper.stop()

    assert processes_of(stubborn.parent) == set()


def test_a_killed_parent_takes_everything_along(stubborn: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(stubborn)], cwd=ROOT)
    assert wait_until(lambda: _both_run(stubborn), 20)

    parent.send_signal(signal.SIGKILL)
    parent.wait()

    assert wait_until(lambda: processes_of(stubborn.parent) == set(), 20)


def test_the_end_of_a_child_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    with Keeper() as keeper:
        program = "import sys; print('the reason'); sys.exit(7)"
        keeper.start("child", [sys.executable, "-c", program], env=dict(os.environ), log=tmp_path / "child.log")

        with pytest.raises(ChildFailed) as failure:
            keeper.wait_any(["child"], 20)

    assert "child ended with exit code 7" in str(failure.value)
    assert "the reason" in str(failure.value)


def test_a_program_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    with Keeper() as keeper, pytest.raises(ChildFailed, match="could not be started"):
        keeper.start("child", ["/no/such/program"], env={}, log=tmp_path / "child.log")


def test_nothing_starts_after_a_stop(tmp_path: Path) -> None:
    keeper = Keeper()
    keeper.stop()

    with pytest.raises(ChildFailed, match="was not started"):
        keeper.start("child", [sys.executable, "-c", ""], env={}, log=tmp_path / "child.log")


def test_a_stop_with_nothing_to_wait_for_is_quick(tmp_path: Path) -> None:
    keeper = Keeper(grace_s=30)
    keeper.start("child", [sys.executable, "-c", "import time; time.sleep(300)"], env={}, log=tmp_path / "child.log")
    began = time.monotonic()

    keeper.stop()

    assert time.monotonic() - began < 5
