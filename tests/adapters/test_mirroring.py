"""Registered versions in a mirror: what it is told, when it is told again, and that nothing fails by it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, delete

from airlock.__main__ import main
from airlock.adapters.clock import SystemClock
from airlock.adapters.mirroring import Mirroring, MirroringEditor, MirroringRegistry
from airlock.adapters.registry import SqlRegistry
from airlock.adapters.registry_edits import SqlRegistryEditor
from airlock.adapters.registry_mirror_states import SqlMirrorStates
from airlock.adapters.registry_reads import SqlRegistryReader
from airlock.adapters.registry_tables import mirror_states
from airlock.adapters.settings import load_settings
from airlock.adapters.wiring import Wiring
from airlock.domain.mirror import MirroredVersion, mirrored
from airlock.domain.request import Changes
from airlock.domain.version import RunRef, Stage, Status
from airlock.errors import MirrorRefused, MirrorUnavailable

RUN = RunRef(dag_id="revalidate_models", run_id="r")


class FakeMirror:
    """A mirror in memory that can be down."""

    def __init__(self) -> None:
        self.shown: dict[tuple[str, str], MirroredVersion] = {}
        self.aliases: dict[tuple[str, str], str] = {}
        self.error: Exception | None = None
        self.asked = 0
        self.numbers = itertools.count(1)

    def keep(self, version: MirroredVersion, number: str, dropped: Collection[str]) -> str:
        self._answer()
        number = number or str(next(self.numbers))
        self.shown[version.model_name, number] = version
        for alias in version.aliases:
            self.aliases[version.model_name, alias] = number
        for alias in dropped:
            if self.aliases.get((version.model_name, alias)) == number:
                del self.aliases[version.model_name, alias]
        return number

    def drop(self, model_name: str, number: str) -> None:
        self._answer()
        self.shown.pop((model_name, number), None)

    def _answer(self) -> None:
        self.asked += 1
        if self.error:
            raise self.error


@pytest.fixture
def mirror() -> FakeMirror:
    return FakeMirror()


@pytest.fixture
def mirroring(engine: Engine, mirror: FakeMirror, reader: SqlRegistryReader) -> Mirroring:
    return Mirroring(mirror, SqlMirrorStates(engine, SystemClock()), reader)


@pytest.fixture
def registry(engine: Engine, mirroring: Mirroring) -> Any:
    return MirroringRegistry(SqlRegistry(engine, SystemClock()), mirroring)


@pytest.fixture
def changes(engine: Engine, mirroring: Mirroring, reader: SqlRegistryReader) -> MirroringEditor:
    return MirroringEditor(SqlRegistryEditor(engine, SystemClock()), mirroring, reader)


def texts(reader: SqlRegistryReader, version: str = "0.0.1") -> list[str]:
    return [event.text for event in reader.events("iris", version)]


def test_a_registered_version_and_what_becomes_of_it_are_mirrored(
    registry: Any, changes: MirroringEditor, mirror: FakeMirror, reader: SqlRegistryReader, imported: Callable[..., Any]
) -> None:
    imported(labels=("a", "b"))
    shown = mirror.shown["iris", "1"]
    assert (shown.tags["airlock.version"], shown.tags["airlock.status"]) == ("0.0.1", "Normal")
    assert (shown.tags["airlock.labels"], shown.tags["airlock.device.cpu"]) == ("a, b", "passed")
    assert texts(reader)[-1] == "Mirrored as version 1 of MLflow's model."
    registry.judge("iris", "0.0.1", RUN, [], "[SMK001] No answer.")
    assert mirror.shown["iris", "1"].tags["airlock.status"] == "Abnormal"
    registry.judge("iris", "0.0.1", RUN, [], "")
    changes.edit("iris", "0.0.1", Changes(description="New", labels=()), "ada")
    changes.set_stage("iris", "0.0.1", Stage.STAGING, "ada")
    shown = mirror.shown["iris", "1"]
    assert (shown.description, shown.tags["airlock.labels"], shown.tags["airlock.stage"]) == ("New", "", "Staging")
    imported()
    changes.set_alias("iris", "champion", "0.0.1", "ada")
    changes.set_alias("iris", "champion", "0.0.2", "ada")
    assert mirror.aliases == {("iris", "champion"): "2"}
    changes.remove_alias("iris", "champion", "ada")
    assert mirror.aliases == {}
    changes.delete("iris", "0.0.1", "ada")
    assert list(mirror.shown) == [("iris", "2")]
    assert [text for text in texts(reader) if "irrored" in text] == ["Mirrored as version 1 of MLflow's model."]


def test_a_mirror_that_is_down_fails_nothing_and_is_told_with_the_next_change(
    registry: Any, changes: MirroringEditor, mirror: FakeMirror, reader: SqlRegistryReader, imported: Callable[..., Any]
) -> None:
    mirror.error = MirrorUnavailable("MIR002", "MLflow does not answer.")
    imported()
    changes.set_alias("iris", "champion", "0.0.1", "ada")
    row = reader.find("iris", "0.0.1")
    assert row is not None
    assert (row.status, row.aliases) == (Status.NORMAL, ("champion",))
    told = [text for text in texts(reader) if "irrored" in text]
    assert told == ["Not mirrored, the next change tries again: [MIR002] MLflow does not answer."]
    mirror.error = None
    imported()
    assert {version.model_version for version in mirror.shown.values()} == {"0.0.1", "0.0.2"}
    assert mirror.aliases == {("iris", "champion"): "2"}
    assert texts(reader)[-1] == "Mirrored as version 2 of MLflow's model."
    asked = mirror.asked
    changes.set_stage("iris", "0.0.2", Stage.STAGING, "ada")
    assert mirror.asked == asked + 1, "what was told is not told again"


def test_a_version_that_is_deleted_while_the_mirror_is_down_goes_there_with_the_next_change(
    registry: Any, changes: MirroringEditor, mirror: FakeMirror, imported: Callable[..., Any]
) -> None:
    imported()
    mirror.error = MirrorUnavailable("MIR002", "MLflow does not answer.")
    changes.delete("iris", "0.0.1", "ada")
    assert len(mirror.shown) == 1
    mirror.error = None
    imported("other")
    assert [name for name, _ in mirror.shown] == ["other"]


def test_where_one_is_not_answered_the_others_are_not_asked(
    registry: Any, mirror: FakeMirror, imported: Callable[..., Any]
) -> None:
    mirror.error = MirrorUnavailable("MIR002", "MLflow does not answer.")
    for _ in range(4):
        imported()
    assert mirror.asked == 4, "a mirror that is down is waited for once by each change"


def test_what_a_mirror_refuses_keeps_no_other_from_it(
    registry: Any, mirror: FakeMirror, reader: SqlRegistryReader, imported: Callable[..., Any]
) -> None:
    mirror.error = MirrorRefused("MIR003", "MLflow answers with HTTP 403.")
    imported()
    imported()
    assert "[MIR003]" in texts(reader, "0.0.2")[-1]
    mirror.error = None
    imported()
    assert len(mirror.shown) == 3


def test_an_import_that_failed_and_its_changes_are_not_mirrored(
    registry: Any, changes: MirroringEditor, mirror: FakeMirror, a_version: Any
) -> None:
    held = registry.reserve(a_version.accepted.request, RUN)
    registry.fail(held, "build", "BLD001", "No.")
    changes.edit(held.model_name, held.model_version, Changes(description="x"), "ada")
    changes.delete(held.model_name, held.model_version, "ada")
    assert mirror.asked == 0


def test_a_mirror_gets_no_folder_of_a_worker_and_no_alias_that_means_something_else_there(
    imported: Callable[..., Any], reader: SqlRegistryReader
) -> None:
    imported()
    row = reader.find("iris", "0.0.1")
    assert row is not None
    assert mirrored(row).source == row.source
    moved = mirrored(replace(row, source="file:///srv/models/iris/", aliases=("champion", "Latest", "v3", "v3b")))
    assert moved.source == f"airlock:/{row.package_digest}"
    assert moved.aliases == ("champion", "v3b")


def test_a_registry_that_was_there_before_its_mirror_catches_up(
    registry: Any, changes: MirroringEditor, mirroring: Mirroring, mirror: FakeMirror, imported: Callable[..., Any],
    engine: Engine,
) -> None:  # fmt: skip
    for name in ("iris", "iris", "other"):
        imported(name)
    changes.set_alias("iris", "champion", "0.0.1", "ada")
    registry.judge("other", "0.0.1", RUN, [], "[SMK001] No answer.")
    mirror.error = MirrorUnavailable("MIR002", "MLflow does not answer.")
    changes.delete("iris", "0.0.2", "ada")
    with pytest.raises(MirrorUnavailable):
        mirroring.catch_up()
    mirror.error = None
    with engine.begin() as connection:
        connection.execute(delete(mirror_states).where(mirror_states.c.version_id != 2))
    mirror.shown = {key: each for key, each in mirror.shown.items() if each.model_version == "0.0.2"}
    mirror.aliases.clear()
    assert mirroring.catch_up() == 3
    assert {(name, each.model_version) for (name, _), each in mirror.shown.items()} == {
        ("iris", "0.0.1"), ("other", "0.0.1"),
    }  # fmt: skip
    assert list(mirror.aliases) == [("iris", "champion")]


def test_the_command_says_where_no_mirror_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW__AIRLOCK__REGISTRY_URL", f"sqlite:///{tmp_path / 'registry.db'}")
    assert main(["registry", "mirror"]) == 1
    assert "[SET015]" in capsys.readouterr().err
    monkeypatch.setenv("AIRFLOW__AIRLOCK__MLFLOW_CONNECTION", "mlflow")
    assert main(["registry", "upgrade"]) == 0
    assert main(["registry", "mirror"]) == 0
    assert capsys.readouterr().out.endswith("0 versions are mirrored\n")


def test_the_setting_puts_the_mirror_behind_both_doors_of_the_registry(tmp_path: Path) -> None:
    given = {"registry_url": f"sqlite:///{tmp_path / 'registry.db'}"}
    doors = []
    for connection in ("", "mlflow"):
        given["mlflow_connection"] = connection
        wiring = Wiring(load_settings(lambda key: given.get(key, "")))
        # Whoever waits for a status is told last, by the registry around it.
        doors.append((type(vars(wiring.registry)["_registry"]), type(wiring.registry_editor)))
    assert doors == [(SqlRegistry, SqlRegistryEditor), (MirroringRegistry, MirroringEditor)]
