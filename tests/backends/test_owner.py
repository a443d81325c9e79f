"""Whether whoever started something still lives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from airlock.adapters.owner import LONGEST_TEST_S, is_gone, this_process
from airlock.adapters.run_folders import OWNER_FILE, RunFolders
from airlock.domain.version import RunRef

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
RUN = RunRef(dag_id="d", run_id="r")
#: Of another boot of a machine, with process ids of its own.
ELSEWHERE = "6a1f/pid:[1]/1/1"


def test_a_process_lives_until_it_is_killed() -> None:
    program = "from airlock.adapters.owner import this_process; import time; print(this_process(), flush=True)"
    with subprocess.Popen(
        [sys.executable, "-c", f"{program}; time.sleep(600)"],
        env={**os.environ, "PYTHONPATH": str(PLUGINS)},
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        owner = other.stdout.readline().strip()
        assert is_gone(owner) is False
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert is_gone(owner) is True
    assert is_gone(this_process()) is False


def test_another_process_that_got_the_same_id_is_not_taken_for_it() -> None:
    assert is_gone(this_process().rpartition("/")[0] + "/1") is True


@pytest.mark.parametrize("owner", [ELSEWHERE, "", "x", "a/b/c/d"])
def test_what_is_of_elsewhere_cannot_be_told(owner: str) -> None:
    assert is_gone(owner) is None


def test_a_folder_is_abandoned_when_its_process_is_gone_or_it_is_too_old(short_folder: Path) -> None:
    folders = RunFolders(short_folder / "owners")
    now = time.time()
    mine, killed, foreign = (folders.make(RUN, task) for task in ("mine", "killed", "foreign"))
    (killed / OWNER_FILE).write_text(this_process().rpartition("/")[0] + "/1")
    (foreign / OWNER_FILE).write_text(ELSEWHERE)
    assert folders.abandoned(now) == (killed,)
    assert set(folders.abandoned(now + LONGEST_TEST_S + 60)) == {killed, foreign}
    (foreign / OWNER_FILE).unlink()
    assert mine not in folders.abandoned(now)
