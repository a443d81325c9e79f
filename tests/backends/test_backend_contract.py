"""What every backend does alike: the port's contract, on a tiny real runtime."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from backend_bench import (
    MEMORY_MB,
    Bench,
    another_process,
    ask,
    detached_processes,
    predict,
    until_detached,
    until_ended,
    until_ready,
)

from airlock.adapters.install_settings import InstallSettings
from airlock.domain.dependencies import Dependency, Restraint
from airlock.domain.device import Device
from airlock.domain.smoke import HttpResponse, NoResponse, Silence
from airlock.domain.version import RunRef
from airlock.errors import BuildFailed, RuntimeUnavailable, SettingInvalid
from airlock.ports.running_service import AtOnce, ServiceExit

SIX = Dependency(name="six", version="1.16.0", restraint=Restraint.EXACT)
WHEEL = Dependency(name="wheels/brought-1.0-py3-none-any.whl", bundled=True)


@pytest.fixture(autouse=True)
def nothing_is_left(bench: Bench) -> Iterator[None]:
    yield
    assert bench.leftovers() == []


# ── building ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_runtime_is_made_once_and_then_reused(bench: Bench) -> None:
    first = bench.image()
    again = bench.backend().build(bench.plan(), bench.lines.append)
    assert [(layer.name, layer.reused) for layer in first.layers] == [("base", False), ("serving", False)]
    assert [layer.reused for layer in again.layers] == [True, True]
    assert sum(layer.seconds for layer in again.layers) < 1
    assert (again.reference, again.digest, again.size_bytes) == (first.reference, first.digest, first.size_bytes)
    assert first.digest.startswith("sha256:")
    assert (again.log, "made in" in Path(first.log).read_text()) == ("", True)
    assert first.size_bytes > 100_000
    assert first.backend is bench.backend().kind
    assert first.isolation is bench.backend().isolation


def test_dependencies_are_a_layer_of_their_own_on_the_reused_base(bench: Bench) -> None:
    bench.image()
    image = bench.image(SIX, WHEEL)
    assert [(layer.name, layer.reused) for layer in image.layers] == [
        ("base", True),
        ("dependencies", False),
        ("serving", False),
    ]
    with bench.serve("uses-a-dependency", image=image) as service:
        until_ready(service)
        assert ask(service) == "1.16.0"
    with bench.serve("uses-a-bundled-wheel", image=image) as service:
        until_ready(service)
        assert ask(service) == 42


def test_two_builds_of_one_plan_at_once_build_once(bench: Bench) -> None:
    bench.image()
    with another_process(bench, "build", "iniconfig") as one, another_process(bench, "build", "iniconfig") as other:
        answers = [json.loads(build.communicate(timeout=120)[0]) for build in (one, other)]
    made = [sum(not reused for reused in layer) for layer in zip(*answers, strict=True)]
    assert made == [0, 1, 1], "each missing layer is made by one of the two"


def test_a_package_that_nobody_has_is_named_and_nothing_of_the_build_stays(bench: Bench) -> None:
    wanted = Dependency(name="airlock-no-such-package", version="9.9", restraint=Restraint.EXACT)
    plan = bench.plan(wanted)
    with pytest.raises(BuildFailed) as caught:
        bench.backend().build(plan, bench.lines.append)
    assert caught.value.code == "BLD002"
    assert "airlock-no-such-package" in caught.value.message
    assert "dependencies" in caught.value.remedy
    assert _litter(bench, plan.layers[1].tag) == []


def test_a_dependency_against_the_runtimes_pins_is_refused_with_both_sides(bench: Bench) -> None:
    wanted = Dependency(name="MarkupSafe", version="2.0.1", restraint=Restraint.EXACT)
    with pytest.raises(BuildFailed) as caught:
        bench.backend().build(bench.plan(wanted), bench.lines.append)
    assert caught.value.code == "BLD002"
    assert "2.0.1" in caught.value.message
    assert "3.0.4" in caught.value.message


@pytest.mark.parametrize("seconds", [0.05, 0.2])
def test_a_build_that_takes_too_long_is_ended_and_leaves_nothing(bench: Bench, seconds: float) -> None:
    runtime = replace(bench.runtime, name="slow")
    plan = bench.plan(runtime=runtime)
    with pytest.raises(BuildFailed) as caught:
        bench.backend(build_timeout_s=seconds).build(plan, bench.lines.append)
    assert caught.value.code == "BLD005"
    assert _litter(bench, plan.layers[0].tag) == []


def test_without_index_and_wheels_the_runtime_itself_cannot_be_had(bench: Bench) -> None:
    runtime = replace(bench.runtime, name="offline")
    backend = bench.backend(install=InstallSettings(no_index=True))
    with pytest.raises(RuntimeUnavailable) as caught:
        backend.build(bench.plan(runtime=runtime), bench.lines.append)
    assert caught.value.code == "BLD002"
    assert "pip_find_links" in caught.value.remedy


def test_a_runtime_for_another_machine_is_refused_at_once(bench: Bench) -> None:
    runtime = replace(bench.runtime, architectures=("riscv64",))
    with pytest.raises(RuntimeUnavailable, match="BLD008"):
        bench.backend().build(bench.plan(runtime=runtime), bench.lines.append)


def test_only_the_very_same_image_counts_as_present(bench: Bench) -> None:
    image = bench.image()
    assert bench.backend().image_present(image)
    assert not bench.backend().image_present(replace(image, digest="sha256:" + "0" * 64))
    # Without a registry of images there is none that could have it.
    assert not bench.backend().image_in_registry(image)


def _litter(bench: Bench, tag: str) -> list[str]:
    if bench.kind == "process":
        folder = bench.folder / "runtimes" / tag.rpartition(":")[2]
        return [str(folder)] if folder.exists() else []
    import docker

    client = docker.from_env()
    try:
        label = {"label": f"io.airlock.layer={tag}"}
        containers = [found.name for found in client.containers.list(all=True, filters=label, ignore_removed=True)]
        return containers + [str(found.id) for found in client.images.list(filters=label)]
    finally:
        client.close()


# ── serving ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_package_is_served_and_its_memory_measured(bench: Bench) -> None:
    with bench.serve() as service:
        until_ready(service)
        assert ask(service, {"numbers": [4, 5]}) == 9
        assert service.exit() is None
        time.sleep(0.3)
        peak = service.peak_memory_bytes()
        assert peak is not None
        assert 5_000_000 < peak < MEMORY_MB * 1_000_000
        assert "gunicorn" in service.log_tail()
        assert len(service.log_tail(1).splitlines()) <= 1


def test_the_service_gets_nothing_of_the_workers_environment(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql://airflow:secret@db/airflow")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@proxy:3128")
    with bench.serve("tells-its-environment") as service:
        until_ready(service)
        environment = ask(service)
    assert environment["AIRLOCK_MODEL_NAME"] == "tested"
    assert environment["AIRLOCK_TEST_TOKEN"] == bench.token
    assert "secret" not in json.dumps(environment)


def test_a_start_that_fails_ends_with_status_3_and_its_mark_in_the_log(bench: Bench) -> None:
    with bench.serve("fails-to-start") as service:
        assert until_ended(service) == ServiceExit(status=3, out_of_memory=False)
        (mark,) = [line for line in service.log_tail().splitlines() if line.startswith("AIRLOCK-STARTUP-ERROR ")]
    facts = json.loads(mark.partition(" ")[2])
    assert (facts["stage"], facts["type"], facts["message"]) == ("construct", "ValueError", "no such model")


def test_a_start_that_needs_too_much_memory_is_known_as_that(bench: Bench) -> None:
    with bench.serve("eats-memory-at-start") as service:
        assert until_ended(service).out_of_memory


def test_a_prediction_that_needs_too_much_memory_is_known_as_that(bench: Bench) -> None:
    with bench.serve("eats-memory") as service:
        until_ready(service)
        assert isinstance(service.send(predict(), 30, 1000), NoResponse)
        assert until_ended(service) == ServiceExit(status=137, out_of_memory=True)


def test_many_requests_at_once_are_all_answered(bench: Bench) -> None:
    with bench.serve() as service:
        until_ready(service)
        plan = AtOnce(concurrency=4, most=40, fewest=5, seconds=60)
        answers = service.send_at_once(predict({"numbers": [4, 5]}), plan, 30, 1000)
        assert len(answers) == 40
        bodies = {answer.body for answer in answers if isinstance(answer, HttpResponse)}
        assert [json.loads(body)["data"]["resp_data"] for body in bodies] == [9]
        short = AtOnce(concurrency=4, most=1000, fewest=5, seconds=0)
        assert 5 <= len(service.send_at_once(predict(), short, 30, 1000)) <= 9


def test_many_requests_at_once_end_with_the_first_that_gets_no_answer(bench: Bench) -> None:
    with bench.serve("crashes") as service:
        until_ready(service)
        answers = service.send_at_once(predict(), AtOnce(concurrency=4, most=1000, fewest=1000, seconds=60), 30, 1000)
        assert len(answers) <= 8
        assert any(isinstance(answer, NoResponse) for answer in answers)


def test_without_a_gpu_there_is_no_figure_of_its_memory(bench: Bench) -> None:
    with bench.serve() as service:
        until_ready(service)
        assert service.gpu_memory_bytes() is None


def test_an_answer_that_never_comes_is_given_up_in_time(bench: Bench) -> None:
    with bench.serve("sleeps") as service:
        until_ready(service)
        answer = service.send(predict(), 1.0, 1000)
        assert isinstance(answer, NoResponse)
        assert answer.silence is Silence.TIMED_OUT
        assert 0.9 < answer.seconds < 2.0
        assert service.exit() is None


def test_an_answer_that_is_too_large_is_not_taken(bench: Bench) -> None:
    with bench.serve("answers-hugely") as service:
        until_ready(service)
        answer = service.send(predict(), 30, 1_000_000)
        assert isinstance(answer, NoResponse)
        assert answer.silence is Silence.TOO_LARGE
        assert isinstance(service.send(predict(), 30, 10_000_000), HttpResponse)


def test_a_flood_of_output_is_cut_to_its_end(bench: Bench) -> None:
    with bench.serve("floods-its-log") as service:
        until_ready(service)
        assert ask(service) == 1
        time.sleep(0.5)
        tail = service.log_tail()
        assert "the end" in tail
        assert len(tail.encode()) <= 70_000


def test_a_crash_is_seen_as_a_broken_connection(bench: Bench) -> None:
    with bench.serve("crashes") as service:
        until_ready(service)
        answer = service.send(predict(), 30, 1000)
        assert isinstance(answer, NoResponse)
        assert answer.silence is Silence.BROKEN


def test_a_process_that_the_package_detached_is_gone_afterwards(bench: Bench) -> None:
    with bench.serve("leaves-a-process") as service:
        until_ready(service)
        assert ask(service) > 0
        until_detached(bench, 1)
    assert detached_processes(bench) == []


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_whatever_ends_the_test_ends_the_service(bench: Bench, error: type[BaseException]) -> None:
    with contextlib.suppress(error), bench.serve() as service:
        until_ready(service)
        raise error("the test itself broke")
    assert bench.leftovers() == []


def test_what_a_killed_worker_leaves_is_swept(bench: Bench) -> None:
    bench.image()
    with another_process(bench, "serve", "killed") as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline().startswith("ready ")
        until_detached(bench, 1)
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
    run = RunRef(dag_id=f"test-{bench.token}", run_id="killed")
    assert bench.backend().sweep(run) >= 1
    assert bench.leftovers("killed") == []
    assert detached_processes(bench) == []
    assert bench.backend().sweep(run) == 0


def test_what_a_killed_worker_of_another_run_leaves_is_gone_after_the_next_run(bench: Bench) -> None:
    bench.image()
    with another_process(bench, "serve", "never-tried-again") as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline().startswith("ready ")
        with bench.serve(task="meanwhile") as service:
            until_ready(service)
        assert len(bench.leftovers("never-tried-again")) > 1, "whoever still lives keeps what it has"
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
    with bench.serve(task="later") as service:
        until_ready(service)
    assert bench.leftovers("never-tried-again") == []
    assert detached_processes(bench) == []


def test_a_second_try_of_a_task_takes_the_place_of_the_first(bench: Bench) -> None:
    bench.image()
    with bench.serve() as first:
        until_ready(first)
        with bench.serve(task="another-task") as other:
            until_ready(other)
            with bench.serve() as second:
                until_ready(second)
                assert ask(second) == 6
                assert isinstance(first.send(predict(), 5, 1000), NoResponse)
                assert ask(other) == 6


def test_an_image_that_is_gone_is_said_to_be_gone(bench: Bench) -> None:
    gone = replace(bench.image(), digest="sha256:" + "0" * 64, reference="airlock/base:gone")
    with pytest.raises(BuildFailed, match="BLD012"), bench.serve(image=gone):
        pytest.fail("it was started")


def test_a_work_folder_too_long_for_a_socket_is_refused_with_the_setting(bench: Bench) -> None:
    backend = bench.backend(work_dir=bench.folder / ("long" * 25))
    with pytest.raises(SettingInvalid, match="work_dir"), backend.serve(bench.launch()):
        pytest.fail("it was started")


def test_the_cpu_is_always_there(bench: Bench) -> None:
    assert Device.CPU in bench.backend().devices()
