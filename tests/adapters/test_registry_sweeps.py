"""The registry as sweeps see it, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from airlock.adapters.clock import SystemClock
from airlock.adapters.registry import SqlRegistry
from airlock.adapters.registry_edits import SqlRegistryEditor
from airlock.adapters.registry_sweeps import SqlSweeps
from airlock.domain.device import Device
from airlock.domain.record import ModelVersion
from airlock.domain.registered import HealthPoint
from airlock.domain.request_form import parse_request
from airlock.domain.sweeping import Note, SweepState
from airlock.domain.version import RunRef, Status
from airlock.errors import NoSuchVersion, VersionBusy
from scripts.registry_filler import fill
from tests.fakes.clock import FakeClock

Imported = Callable[..., ModelVersion]
RUN = RunRef(dag_id="revalidate_models", run_id="night-1")
STATE = SweepState(
    checked_at=1.0,
    tested_at=2.0,
    rules="r",
    runtime="t",
    next_file=3,
    credit_bytes=5_000_000_000,
    notes=(Note(code="RVL004", text="Änderung"),),
)


@pytest.fixture
def sweeps(engine: Engine) -> SqlSweeps:
    return SqlSweeps(engine, SystemClock())


def test_every_version_that_can_be_used_stands_there_with_its_last_measurement(
    sweeps: SqlSweeps, registry: SqlRegistry, editor: SqlRegistryEditor, imported: Imported
) -> None:
    version = imported()
    imported()
    imported("rose")
    imported("gone")
    editor.delete("gone", "0.0.1", "ada")
    registry.reserve(parse_request({"model_name": "new", "source_location": "s3://bucket/x/"}), RUN)
    point = HealthPoint(
        at=version.registered_at + 86_400, device=Device.CPU, verdict="passed", p50_ms=7.5, p99_ms=9.0, ready_s=1.0,
        peak_memory_bytes=1, run=str(RUN),
    )  # fmt: skip
    unmeasured = replace(point, at=point.at + 1, p50_ms=None, ready_s=None, device=Device.GPU)
    registry.judge("rose", "0.0.1", RUN, [point, unmeasured], "[SMK010] It ended.")

    found = {(each.model_name, each.model_version): each for each in sweeps.standings()}

    assert sorted(found) == [("iris", "0.0.1"), ("iris", "0.0.2"), ("rose", "0.0.1")]
    iris, rose = found["iris", "0.0.1"], found["rose", "0.0.1"]
    summary = version.summary()
    assert (iris.status, iris.engine, iris.runtime, iris.build) == (
        Status.NORMAL, summary["engine"], summary["runtime"], summary["build"],
    )  # fmt: skip
    assert (iris.package_digest, iris.image_digest) == (summary["package_digest"], summary["image_digest"])
    assert (iris.measured_at, iris.p50_ms, iris.state) == (version.registered_at, summary["latency_ms"], None)
    assert (rose.status, rose.reason, rose.measured_at, rose.p50_ms) == (
        Status.ABNORMAL, "[SMK010] It ended.", point.at, 7.5,
    )  # fmt: skip
    assert [each.model_version for each in sweeps.standings(["iris"])] == ["0.0.1", "0.0.2"]
    assert [each.model_version for each in sweeps.standings(["iris"], "0.0.2")] == ["0.0.2"]
    assert sweeps.standings(["nobody"]) == []
    assert sweeps.standings(["iris", "nobody"]) == sweeps.standings(["iris"])
    asked = [("iris", "0.0.2"), ("rose", "0.0.1"), ("rose", "0.0.2"), ("gone", "0.0.1"), ("nobody", "0.0.1")]
    assert sweeps.standings_of(asked) == [iris_again := found["iris", "0.0.2"], rose]
    assert sweeps.standings_of([("iris", "0.0.2")] * 2) == [iris_again]
    assert sweeps.standings_of([]) == []


def test_what_is_remembered_is_there_at_the_next_look_and_goes_with_its_version(
    sweeps: SqlSweeps, editor: SqlRegistryEditor, imported: Imported, engine: Engine
) -> None:
    imported()
    imported("rose")
    both = {("iris", "0.0.1"): STATE, ("rose", "0.0.1"): SweepState(checked_at=9.0)}
    sweeps.remember(RUN, {**both, ("nobody", "0.0.1"): STATE})
    sweeps.remember(RUN, {})
    assert {(each.model_name, each.model_version): each.state for each in sweeps.standings()} == both
    later = replace(STATE, checked_at=10.0, notes=())
    sweeps.remember(RUN, {("iris", "0.0.1"): later})
    assert [each.state for each in sweeps.standings(["iris"])] == [later]
    editor.delete("iris", "0.0.1", "ada")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM sweep_states")).scalar() == 1
    # Whoever was at it when it was deleted remembers nothing of it.
    sweeps.remember(RUN, {("iris", "0.0.1"): later})
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM sweep_states")).scalar() == 1


def test_that_a_version_was_tried_stands_beside_what_is_remembered_of_it(
    engine: Engine, imported: Imported, editor: SqlRegistryEditor
) -> None:
    def stands() -> dict[str, tuple[float, SweepState | None]]:
        return {each.model_name: (each.tried_at, each.state) for each in sweeps.standings()}

    clock = FakeClock()
    sweeps = SqlSweeps(engine, clock)
    imported()
    imported("rose")
    sweeps.remember(RUN, {("iris", "0.0.1"): STATE})
    assert stands() == {"iris": (0.0, STATE), "rose": (0.0, None)}
    first = clock.now()
    sweeps.tried([("iris", "0.0.1"), ("rose", "0.0.1"), ("nobody", "0.0.1")])
    assert stands() == {"iris": (first, STATE), "rose": (first, None)}
    clock.sleep(5)
    sweeps.tried([("rose", "0.0.1")])
    later = replace(STATE, checked_at=10.0)
    sweeps.remember(RUN, {("iris", "0.0.1"): later, ("rose", "0.0.1"): replace(STATE, checked_at=0.0)})
    assert stands() == {"iris": (first, later), "rose": (clock.now(), replace(STATE, checked_at=0.0))}
    editor.delete("iris", "0.0.1", "ada")
    sweeps.tried([("iris", "0.0.1")])
    assert list(stands()) == ["rose"]


def test_a_batch_is_looked_up_by_indexes_however_many_versions_its_models_have(engine: Engine) -> None:
    fill(engine, 200, of_each=100, record_characters=10)
    sweeps = SqlSweeps(engine, SystemClock())
    asked: list[tuple[Any, ...]] = []

    @event.listens_for(engine, "before_cursor_execute")
    def keep(connection: Any, cursor: Any, statement: str, parameters: Any, *more: Any) -> None:
        if "FROM model_versions" in statement:
            asked.append((statement, parameters))

    found = sweeps.standings_of([("model-000001", "0.0.2"), ("model-000000", "0.0.1")])
    assert [each.model_name for each in found] == ["model-000000", "model-000001"]
    if engine.dialect.name == "sqlite":
        (statement, parameters), *_ = asked
        with engine.connect() as connection:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
        tables = ("model_versions", "health_points", "version_records", "sweep_states", "point")
        assert [row[3] for row in plan if row[3].startswith(tuple(f"SCAN {name}" for name in tables))] == []


def test_a_record_is_read_whole_and_one_that_cannot_be_is_named(
    sweeps: SqlSweeps, imported: Imported, engine: Engine
) -> None:
    assert sweeps.record("iris", imported().accepted.reservation.model_version) == sweeps.record("iris", "0.0.1")
    with pytest.raises(NoSuchVersion, match="REG008"):
        sweeps.record("iris", "9.9.9")
    with engine.begin() as connection:
        connection.execute(text('UPDATE version_records SET details = \'{"of": "another release"}\''))
    with pytest.raises(VersionBusy, match="REG010"):
        sweeps.record("iris", "0.0.1")
