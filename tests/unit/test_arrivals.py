"""What the watcher of arrivals tells of, look by look, and what a batch takes from its events."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from airlock.adapters.settings import load_settings
from airlock.adapters.wiring import Wiring
from airlock.errors import SettingInvalid, StorageUnavailable
from airlock.operators import arrivals as module
from airlock.operators.arrivals import MAX_TOLD, ArrivalTrigger, arrivals, arrived
from tests.fakes.object_storage import FakeStorage

Look = set[tuple[str, str]] | StorageUnavailable


def told(monkeypatch: pytest.MonkeyPatch, *looks: Look) -> list[list[str]]:
    """What is told of after these looks."""
    left = list(looks)

    def look(self: ArrivalTrigger) -> set[tuple[str, str]]:
        if not left:
            raise asyncio.CancelledError
        found = left.pop(0)
        if isinstance(found, StorageUnavailable):
            raise found
        return found

    monkeypatch.setattr(ArrivalTrigger, "_markers", look)
    events: list[list[str]] = []

    async def watch() -> None:
        async for event in ArrivalTrigger("s3://box/in/", "_READY", "airlock_s3", 0).run():
            events.append(event.payload["packages"])

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(watch())
    return events


def test_each_marker_is_told_of_once_and_again_when_it_was_written_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, anew = ("s3://box/in/a/", "1"), ("s3://box/in/b/", "1"), ("s3://box/in/a/", "2")
    looks = [set(), {second, first}, {second, first}, {second, anew}]
    assert told(monkeypatch, *looks) == [["s3://box/in/a/", "s3://box/in/b/"], ["s3://box/in/a/"]]


def test_a_marker_that_was_removed_and_written_again_is_news(monkeypatch: pytest.MonkeyPatch) -> None:
    one = {("s3://box/in/a/", "1")}
    assert told(monkeypatch, one, set(), one) == [["s3://box/in/a/"]] * 2


def test_many_markers_are_told_of_over_several_looks_and_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {(f"s3://box/in/{number}/", "1") for number in range(2 * MAX_TOLD + 1)}
    events = told(monkeypatch, *[there] * 5)
    assert [len(event) for event in events] == [MAX_TOLD, MAX_TOLD, 1]
    assert sorted(source for event in events for source in event) == sorted(source for source, _ in there)


def test_two_empty_markers_differ_by_when_they_were_written(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = FakeStorage({"box": {"in/a/_READY": b"", "in/a/model/_READY": b"", "in/_READY": b""}})
    monkeypatch.setattr(module, "from_airflow", lambda: load_settings(lambda key: ""))
    monkeypatch.setattr(Wiring, "storage", lambda self, scheme, connection_id: storage)
    trigger = ArrivalTrigger("s3://box/in/", "_READY", "airlock_s3", 0)
    first = trigger._markers()
    assert [source for source, _ in first] == ["s3://box/in/a/"]
    storage.modified = "later"
    assert not first & trigger._markers()


def test_a_storage_that_is_away_for_a_while_makes_nothing_new(monkeypatch: pytest.MonkeyPatch) -> None:
    away = StorageUnavailable("SRC004", "It is away.")
    there = {("s3://box/in/a/", "1")}
    assert told(monkeypatch, there, away, there) == [["s3://box/in/a/"]]


def test_nothing_is_watched_by_default_and_the_prefix_of_the_setting_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    def given(**settings: str) -> None:
        monkeypatch.setattr(module, "from_airflow", lambda: load_settings(lambda key: settings.get(key, "")))

    given()
    assert arrivals() is None
    given(arrivals="s3://box/in/*/", arrivals_poll_s="5")
    (asset,) = arrivals() or []
    (watcher,) = asset.watchers
    path, arguments = watcher.trigger.serialize()
    assert path == "airlock.operators.arrivals.ArrivalTrigger"
    assert arguments == {
        "prefix": "s3://box/in/", "marker": "_READY", "connection_id": "airlock_s3", "poll_s": 5.0,
    }  # fmt: skip


def test_a_prefix_that_cannot_be_watched_is_said() -> None:
    with pytest.raises(SettingInvalid, match="arrivals"):
        load_settings(lambda key: "s3://box/in/" if key == "arrivals" else "")


def event(extra: dict[str, Any]) -> SimpleNamespace:
    return SimpleNamespace(extra=extra)


def test_a_batch_takes_each_package_of_its_events_once() -> None:
    watched = event({"from_trigger": True, "payload": {"packages": ["s3://b/a/", "s3://b/b/"]}})
    sent = event({"from_rest_api": True, "packages": ["s3://b/b/", "s3://b/c/"]})
    assert arrived({"asset": [watched, sent]}) == ("s3://b/a/", "s3://b/b/", "s3://b/c/")
    assert arrived({}) == arrived(None) == arrived({"asset": [event({})]}) == ()
