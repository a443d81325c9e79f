from __future__ import annotations

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine

from airlock.adapters.clock import SystemClock
from airlock.adapters.registry import SqlRegistry
from airlock.adapters.registry_reads import SqlRegistryReader
from airlock.adapters.registry_schema import open_engine
from airlock.domain.record import VersionRow
from airlock.domain.registered import Page, VersionFilter
from airlock.domain.request import ImportRequest
from airlock.domain.request_form import parse_request
from airlock.domain.version import EventKind, RunRef, Status
from airlock.errors import RegistryUnavailable, SettingInvalid, VersionExists, VersionGone
from tests.fakes.clock import FakeClock


def a_request(**changes: Any) -> ImportRequest:
    return replace(parse_request({"model_name": "iris", "source_location": "s3://bucket/iris/"}), **changes)


def a_run(number: int = 1) -> RunRef:
    return RunRef(dag_id="import_model", run_id=f"manual__{number}")


def all_versions(reader: SqlRegistryReader) -> tuple[VersionRow, ...]:
    return reader.versions(VersionFilter(), Page(limit=200)).items


def test_the_first_version_is_0_0_1_and_the_next_import_gets_the_next_patch(registry: SqlRegistry) -> None:
    assert registry.reserve(a_request(), a_run(1)).model_version == "0.0.1"
    assert registry.reserve(a_request(), a_run(2)).model_version == "0.0.2"
    assert registry.reserve(a_request(model_version="3.0.9"), a_run(3)).model_version == "3.0.9"
    assert registry.reserve(a_request(), a_run(4)).model_version == "3.0.10"
    assert registry.reserve(a_request(model_name="other"), a_run(5)).model_version == "0.0.1"


def test_a_second_try_of_the_same_run_holds_the_same_version(registry: SqlRegistry, reader: SqlRegistryReader) -> None:
    first = registry.reserve(a_request(), a_run())
    assert registry.reserve(a_request(), a_run()) == first
    assert registry.reservation_of(a_run()) == first
    assert registry.reservation_of(a_run(2)) is None
    assert len(all_versions(reader)) == 1


def test_a_version_that_exists_is_refused_with_the_next_free_one(
    registry: SqlRegistry, reader: SqlRegistryReader
) -> None:
    registry.reserve(a_request(model_version="1.0.0"), a_run(1))
    with pytest.raises(VersionExists, match=r"REG004.*iris 1\.0\.0 exists already.*Importing.*1\.0\.1"):
        registry.reserve(a_request(model_version="1.0.0"), a_run(2))
    assert len(all_versions(reader)) == 1


def test_whether_a_version_is_free_is_told_without_taking_it(registry: SqlRegistry, reader: SqlRegistryReader) -> None:
    assert registry.free_version(a_request()) == "0.0.1"
    assert all_versions(reader) == ()
    registry.reserve(a_request(), a_run(1))
    assert registry.free_version(a_request()) == "0.0.2"
    assert registry.free_version(a_request(model_version="1.0.0")) == "1.0.0"
    with pytest.raises(VersionExists, match=r"REG004.*iris 0\.0\.1 exists already.*0\.0\.2"):
        registry.free_version(a_request(model_version="0.0.1"))


def test_after_99_99_99_there_is_no_next_version(registry: SqlRegistry) -> None:
    registry.reserve(a_request(model_version="99.99.99"), a_run(1))
    with pytest.raises(VersionExists, match="REG005"):
        registry.reserve(a_request(), a_run(2))


def test_events_are_kept_in_order_with_time_kind_and_run(registry: SqlRegistry, reader: SqlRegistryReader) -> None:
    held = registry.reserve(a_request(), a_run())
    registry.add_event(held, EventKind.NORMAL, "one")
    registry.add_event(held, EventKind.ABNORMAL, "two")
    row = reader.find("iris", "0.0.1")
    assert row is not None
    assert [(item.kind, item.text, item.run) for item in row.events] == [
        (EventKind.NORMAL, "one", "import_model/manual__1"),
        (EventKind.ABNORMAL, "two", "import_model/manual__1"),
    ]
    assert row.events[0].at <= row.events[1].at


def test_a_failed_version_says_why_and_the_same_run_may_take_it_up_again(
    registry: SqlRegistry, reader: SqlRegistryReader
) -> None:
    held = registry.reserve(a_request(), a_run())
    assert registry.fail(held, "build", "BLD002", "No such package.")
    assert not registry.fail(held, "build", "RUN001", "second word")
    row = reader.find("iris", "0.0.1")
    assert row is not None
    assert (row.status, row.reason) == (Status.FAILED, "[BLD002] No such package.")
    assert row.events[-1].text == "Import failed: [BLD002] No such package."
    registry.resume(held, {"smoke_gpu", "register"})
    row = reader.find("iris", "0.0.1")
    assert row is not None
    assert row.status is Status.FAILED, "a step beside the failed one does not take the failure back"
    registry.resume(held, {"fetch", "build", "register"})
    row = reader.find("iris", "0.0.1")
    assert row is not None
    assert (row.status, row.reason) == (Status.IMPORTING, "")


def test_another_run_can_neither_write_nor_fail_a_version_that_it_does_not_hold(registry: SqlRegistry) -> None:
    held = registry.reserve(a_request(), a_run(1))
    stranger = replace(held, run=a_run(2))
    for act in (
        lambda: registry.add_event(stranger, EventKind.NORMAL, "x"),
        lambda: registry.fail(stranger, "build", "X", "x"),
        lambda: registry.resume(stranger, {"build"}),
    ):
        with pytest.raises(VersionGone, match="REG007"):
            act()


def test_two_hundred_concurrent_reservations_of_one_version_have_one_winner(
    registry: SqlRegistry, reader: SqlRegistryReader
) -> None:
    def attempt(number: int) -> bool:
        try:
            registry.reserve(a_request(model_version="1.0.0"), a_run(number))
        except VersionExists:
            return False
        return True

    # The pool of connections is what a process of Airflow has; the rest of the two hundred wait for one of it.
    with ThreadPoolExecutor(200) as pool:
        outcomes = list(pool.map(attempt, range(200)))
    assert outcomes.count(True) == 1
    (winner,) = all_versions(reader)
    assert (winner.model_version, winner.run) == ("1.0.0", f"import_model/manual__{outcomes.index(True)}")


def _reserve_next(url: str, number: int) -> None:
    registry = SqlRegistry(open_engine(url), SystemClock())
    for step in range(5):
        registry.reserve(a_request(), a_run(number * 100 + step))


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_importers_in_other_processes_get_different_next_versions(url: str, reader: SqlRegistryReader) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_reserve_next, args=(url, number)) for number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0] * 3
    assert sorted(int(row.model_version.split(".")[2]) for row in all_versions(reader)) == list(range(1, 16))


def test_without_its_tables_the_registry_says_how_to_make_them(url: str) -> None:
    registry = SqlRegistry(open_engine(url), SystemClock())
    with pytest.raises(RegistryUnavailable, match=r"REG002.*schema none.*registry upgrade"):
        registry.reserve(a_request(), a_run())
    registry.engine.dispose()


def test_a_database_that_does_not_answer_is_told_without_its_password() -> None:
    registry = SqlRegistry(open_engine("postgresql+psycopg://airlock:secret@127.0.0.1:1/none"), SystemClock())
    with pytest.raises(RegistryUnavailable, match="REG001") as caught:
        registry.reserve(a_request(), a_run())
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("text", ["nonsense", "sqlite://", "mystery://host/x"])
def test_an_unusable_url_is_a_setting_to_correct(text: str) -> None:
    with pytest.raises(SettingInvalid, match="SET002"):
        open_engine(text)


def test_the_oldest_import_under_way_says_since_when_packages_may_be_about_to_be_named(engine: Engine) -> None:
    clock = FakeClock(1000.0)
    registry, reader = SqlRegistry(engine, clock), SqlRegistryReader(engine, clock)
    assert reader.importing_since() is None
    first = registry.reserve(a_request(), a_run(1))
    clock.sleep(10)
    registry.reserve(a_request(), a_run(2))
    assert reader.importing_since() == 1000.0
    registry.fail(first, "fetch", "SRC001", "gone")
    assert reader.importing_since() == 1010.0
