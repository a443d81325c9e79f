"""Every folder below tests/packages/hostile is an attack: contained, told with a code, and gone within its time.

`expected.json`: `codes` (one of them), `says` (part of what is told), `on` (where it is run), and fields of the import
form. Each goes through the real smoke step, in a real container and in what the process backend has.
"""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from backend_bench import ROOT, Bench, processes_with

from airlock.adapters.clock import SystemClock
from airlock.adapters.run_folders import RunFolders
from airlock.domain.catalogue import Catalogue
from airlock.domain.image import Isolation
from airlock.domain.version import RunRef
from airlock.errors import SmokeFailed
from tests.at_once import ended
from tests.fakes.package_store import FakeStore
from tests.unit.given import PICKLE
from tests.unit.line import Line

FOLDER = ROOT / "tests/packages/hostile"
CASES = sorted(path.name for path in FOLDER.iterdir())
SECRET = "HOSTILE_TEST_SECRET"
#: What a test may take beyond the time that the service has to be ready in: starting, ending, and a loaded machine.
BEYOND_S = 45.0
AT_ONCE = 3


def expected(case: str) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((FOLDER / case / "expected.json").read_text())
    return facts


def cases_on(where: str) -> list[str]:
    return [case for case in CASES if where in expected(case)["on"]]


@dataclass
class Outcome:
    """What came of an attack."""

    error: SmokeFailed
    seconds: float
    left: list[str]


def attack(case: str, bench: Bench, where: str) -> Outcome:
    """Test a hostile package."""
    facts = expected(case)
    conf = {name: facts[name] for name in facts.keys() - {"codes", "says", "on"}}
    package = FOLDER / case / "package"
    files = {path.relative_to(package).as_posix(): path.read_bytes() for path in package.rglob("*") if path.is_file()}
    line = Line({**files, "model/model.m": PICKLE}, catalogue=Catalogue.of([bench.runtime]))
    line.store = FakeStore(bench.folder / "hostile" / case)
    run = RunRef(dag_id=f"test-{bench.token}", run_id=f"{where}-{case}")
    built = (*line.until_built(run=run, **{"min_memory_mb": 300, **conf})[:4], bench.image())
    backend = bench.backend(package_folder=line.store.folder)
    # Some of them would end every process that an ordinary process of this user can reach.
    assert (backend.isolation is Isolation.NONE) == (where == "none")
    line.backend, line.clock = backend, SystemClock()  # type: ignore[assignment]
    began = time.monotonic()
    with pytest.raises(SmokeFailed) as caught:
        line.smoke(built)
    seconds = time.monotonic() - began
    folders = RunFolders(bench.settings.work_dir).found(run)
    left = [*map(str, folders), *(bench.containers(run.run_id) if bench.kind == "docker" else ())]
    return Outcome(error=caught.value, seconds=seconds, left=left)


def check(case: str, outcome: Outcome) -> None:
    facts = expected(case)
    error = outcome.error
    assert error.code in facts["codes"], str(error)
    assert error.report is not None
    told = f"{error.message} {error.remedy} {error.report.cause} {error.report.log}"
    assert facts["says"] in told, told
    assert len(error.report.log) <= 30_000
    assert outcome.seconds < facts["startup_timeout_s"] + BEYOND_S
    assert outcome.left == []


Attacks = dict[str, Future[Outcome]]


def attacks(bench: Bench, where: str) -> Attacks:
    """All of one place, a few at a time: most of their time is waiting."""
    bench.image()
    os.environ[SECRET] = "x"
    try:
        return ended(lambda case: attack(case, bench, where), cases_on(where), at_once=AT_ONCE)
    finally:
        os.environ.pop(SECRET)


@pytest.fixture(scope="module")
def in_containers(docker_bench: Bench) -> Attacks:
    return attacks(docker_bench, "docker")


@pytest.fixture(scope="module")
def in_rooms(bubblewrap_bench: Bench) -> Attacks:
    return attacks(bubblewrap_bench, "bubblewrap")


@pytest.fixture(scope="module")
def in_processes(process_bench: Bench) -> Attacks:
    return attacks(process_bench, "none")


@pytest.mark.parametrize("case", cases_on("docker"))
def test_an_attack_from_a_container_is_contained(case: str, in_containers: Attacks) -> None:
    check(case, in_containers[case].result())


@pytest.mark.parametrize("case", cases_on("bubblewrap"))
def test_an_attack_from_a_room_is_contained(case: str, in_rooms: Attacks) -> None:
    check(case, in_rooms[case].result())


@pytest.mark.parametrize("case", cases_on("none"))
def test_what_an_ordinary_process_can_use_up_is_limited(case: str, in_processes: Attacks) -> None:
    check(case, in_processes[case].result())


def test_no_process_of_theirs_is_left(
    process_bench: Bench, bubblewrap_bench: Bench, in_rooms: Attacks, in_processes: Attacks
) -> None:
    for future in (*in_rooms.values(), *in_processes.values()):
        future.result()
    for bench in (process_bench, bubblewrap_bench):
        assert processes_with(b"AIRLOCK_TEST_TOKEN=" + bench.token.encode()) == []


def test_there_are_attacks_of_every_kind() -> None:
    assert len(cases_on("docker")) >= 12
    assert len(cases_on("bubblewrap")) >= 12


def test_nothing_was_written_outside() -> None:
    found = [folder for folder in ("/etc", "/usr/lib", "/var/tmp", "/root") if _has_left(folder)]
    assert found == []


def _has_left(folder: str) -> bool:
    return Path(folder, "left-by-a-hostile-package").exists()
