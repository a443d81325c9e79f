"""Children that never outlive their parent, and the environments and services of the process backend."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from backend_bench import ROOT, Bench, ask, processes_with, until_ready

from airlock.adapters import interpreters, process_environment
from airlock.adapters.child_process import Child, run_child
from airlock.adapters.clock import SystemClock
from airlock.adapters.deadline_stream import TimeOver
from airlock.adapters.process_keeper import descendants
from airlock.adapters.run_folders import RunFolders
from airlock.domain.version import RunRef
from airlock.errors import RuntimeUnavailable

CLOCK = SystemClock()
ENV = {"PATH": os.defpath, "MARK": "airlock-child-test"}
# Detaches a grandchild in a session of its own, says so, and waits, deaf to SIGTERM.
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
if os.fork() == 0:
    if os.fork() == 0:
        os.setsid()
        time.sleep(600)
    os._exit(0)
print("started", flush=True)
time.sleep(600)
"""


def _marked() -> list[int]:
    return processes_with(b"MARK=airlock-child-test")


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    assert _marked() == []
    yield
    assert _marked() == []


def child(code: str, tmp_path: Path, **options: object) -> Child:
    return Child([sys.executable, "-c", code], env=ENV, cwd=tmp_path, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "code, status",
    [
        ("pass", 0),
        ("import sys; sys.exit(3)", 3),
        ("import os; os.abort()", 134),
        ("import os; os.kill(os.getpid(), 9)", 137),
    ],
)
def test_a_childs_status_is_told_as_a_shell_does(tmp_path: Path, code: str, status: int) -> None:
    made = child(code, tmp_path)
    try:
        assert made.wait(20) == status
    finally:
        made.close()


def test_a_program_that_is_not_there_ends_with_127_and_says_so(tmp_path: Path) -> None:
    done = run_child(
        ["/no/such/program"], env=ENV, cwd=tmp_path, deadline=time.monotonic() + 20, clock=CLOCK, log=lambda line: None
    )
    assert done.status == 127
    assert "/no/such/program could not be started" in done.lines[-1]


def test_whatever_a_child_detached_ends_with_it(tmp_path: Path) -> None:
    made = child(STUBBORN, tmp_path, grace_s=0.3)
    try:
        assert made.output.readline() == b"started\n"
        assert len(descendants(made.keeper_pid)) >= 3
    finally:
        before = time.monotonic()
        made.close()
        assert time.monotonic() - before < 5
    assert made.status() == 137


def test_what_a_child_leaves_behind_when_it_ends_by_itself_ends_too(tmp_path: Path) -> None:
    code = "import subprocess; subprocess.Popen(['sleep', '600'], start_new_session=True)"
    made = child(code, tmp_path)
    try:
        assert made.wait(20) == 0
        assert _marked() == []
    finally:
        made.close()


def test_a_killed_parent_takes_its_children_along(tmp_path: Path) -> None:
    script = textwrap.dedent(
        f"""
        import sys
        from pathlib import Path
        sys.path.insert(0, {str(ROOT / "plugins")!r})
        from airlock.adapters.child_process import Child
        child = Child([sys.executable, "-c", {STUBBORN!r}], env={ENV!r}, cwd=Path({str(tmp_path)!r}), grace_s=0.2)
        child.output.readline()
        print("started", flush=True)
        child.wait(600)
        """
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "started\n"
        assert len(_marked()) >= 3
        os.kill(parent.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while _marked() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _marked() == []


def test_lines_come_as_they_are_written_and_the_last_are_kept(tmp_path: Path) -> None:
    lines: list[str] = []
    done = run_child(
        [sys.executable, "-c", "for n in range(50): print('line', n)"],
        env=ENV,
        cwd=tmp_path,
        deadline=time.monotonic() + 20,
        clock=CLOCK,
        log=lines.append,
        kept_lines=3,
    )
    assert done.status == 0
    assert done.lines == ("line 47", "line 48", "line 49")
    assert len(lines) == 50


def test_a_child_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(TimeOver):
        run_child(
            [sys.executable, "-c", "import time; time.sleep(600)"],
            env=ENV,
            cwd=tmp_path,
            deadline=time.monotonic() + 0.5,
            clock=CLOCK,
            log=lambda line: None,
        )


def test_limits_hold(tmp_path: Path) -> None:
    code = "import resource as r; print(r.getrlimit(r.RLIMIT_NOFILE), r.getrlimit(r.RLIMIT_CORE))"
    made = child(code, tmp_path, limits={"NOFILE": 77})
    try:
        assert made.output.readline() == b"(77, 77) (0, 0)\n"
    finally:
        made.close()


# ── leases ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_lease_of_a_process_id_that_is_somebody_elses_by_now_kills_nobody(process_bench: Bench) -> None:
    run = RunRef(dag_id=f"test-{process_bench.token}", run_id="reused")
    with subprocess.Popen(["sleep", "60"]) as innocent:
        try:
            folder = RunFolders(process_bench.settings.work_dir).make(run, "smoke")
            (folder / "lease.json").write_text(json.dumps({"token": "t" * 32, "pid": innocent.pid, "started": "1"}))
            assert process_bench.backend().sweep(run) == 1
            assert innocent.poll() is None
        finally:
            innocent.kill()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"token": 1}', '{"token": "t", "pid": "x", "started": null}'])
def test_a_broken_lease_is_removed_with_its_folder(process_bench: Bench, text: str) -> None:
    run = RunRef(dag_id=f"test-{process_bench.token}", run_id="broken")
    folder = RunFolders(process_bench.settings.work_dir).make(run, "smoke")
    (folder / "lease.json").write_text(text)
    assert process_bench.backend().sweep(run) == 1
    assert not folder.exists()


def test_even_a_killed_keeper_leaves_nothing_behind_after_the_sweep(process_bench: Bench) -> None:
    with process_bench.serve("leaves-a-process", run="keeper") as service:
        until_ready(service)
        (folder,) = (process_bench.folder / "work" / "runs").glob("*/*")
        os.kill(json.loads((folder / "lease.json").read_text())["pid"], signal.SIGKILL)
        assert process_bench.backend().sweep(RunRef(dag_id=f"test-{process_bench.token}", run_id="keeper")) == 1
        assert process_bench.leftovers() == []


# ── environments ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_unfinished_environment_is_made_anew(process_bench: Bench) -> None:
    runtime = replace(process_bench.runtime, name="unfinished")
    plan = process_bench.plan(runtime=runtime)
    folders = [process_bench.settings.runtimes_dir / layer.tag.rpartition(":")[2] for layer in plan.layers]
    folder = folders[0]
    folders[1].mkdir(parents=True)
    (folders[1] / "half.py").write_text("half")
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / "half").write_text("half")
    image = process_bench.backend().build(plan, lambda line: None)
    assert not image.layers[0].reused
    assert not (folder / "lib" / "half").exists()
    assert not (folders[1] / "half.py").exists()
    assert (folders[1] / "model_service" / "server.py").is_file()


def test_python_that_uv_does_not_serve_gets_its_last_pip(process_bench: Bench) -> None:
    if interpreters.find_interpreter("3.7") is None:
        pytest.skip("no Python 3.7 on this machine")
    runtime = replace(process_bench.runtime, name="old", python="3.7", constraints="six==1.16.0\n")
    lines: list[str] = []
    image = process_bench.backend().build(process_bench.plan(runtime=runtime), lines.append)
    python = process_bench.settings.runtimes_dir / image.layers[0].tag.rpartition(":")[2] / "bin" / "python"
    answer = subprocess.run(
        [str(python), "-c", "import pip, six, sys; print(sys.version_info[:2], pip.__version__, six.__version__)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout == "(3, 7) 24.0 1.16.0\n"


@pytest.mark.parametrize("python", ["2.7", "3.5"])
def test_a_python_that_is_not_here_is_named_with_what_to_install(process_bench: Bench, python: str) -> None:
    runtime = replace(process_bench.runtime, name="absent", python=python, base_image=f"python:{python}-slim")
    with pytest.raises(RuntimeUnavailable) as caught:
        process_bench.backend().build(process_bench.plan(runtime=runtime), lambda line: None)
    assert caught.value.code == "BLD006"
    assert f"Python {python}" in caught.value.remedy
    assert f"python:{python}-slim" in caught.value.remedy


def test_a_machine_without_uv_is_told_to_install_it(process_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_environment, "find_uv", lambda: None)
    runtime = replace(process_bench.runtime, name="no-uv")
    with pytest.raises(RuntimeUnavailable, match="uv"):
        process_bench.backend().build(process_bench.plan(runtime=runtime), lambda line: None)


def test_isolation_none_is_said_loudly(process_bench: Bench) -> None:
    lines: list[str] = []
    process_bench.backend().build(process_bench.plan(), lines.append)
    assert any("Isolation: none" in line for line in lines)


def test_a_service_of_a_row_with_a_stand_in_can_import_it_and_no_other_can(process_bench: Bench) -> None:
    row = replace(process_bench.runtime, engine="Caffe", stand_in="Something that is not Caffe.")
    plan = process_bench.plan(runtime=row)
    image = process_bench.backend().build(plan, process_bench.lines.append)
    assert image.build == "stand-in"
    launch = replace(process_bench.launch("finds-caffe", image=image), runtime=row)
    with process_bench.backend().serve(launch) as service:
        until_ready(service)
        assert ask(service) is True
    with process_bench.serve("finds-caffe") as service:
        until_ready(service)
        assert ask(service) is False


def test_an_environment_stands_for_no_variant(process_bench: Bench) -> None:
    assert process_bench.backend().base_at_hand(process_bench.plan())
    variant = replace(process_bench.runtime, variant="gpu")
    assert not process_bench.backend().base_at_hand(process_bench.plan(runtime=variant))
