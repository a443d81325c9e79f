"""More versions than a listing counts: what is found is right, and what is not counted is said.

How long that takes is measured by `make bench-registry`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airlock.adapters.clock import SystemClock
from airlock.adapters.registry_reads import SqlRegistryReader
from airlock.adapters.registry_schema import open_engine, upgrade
from airlock.domain.device import Device
from airlock.domain.registered import MAX_COUNTED, MAX_PAGE, Page, VersionFilter
from airlock.domain.version import Status
from scripts.registry_filler import ENGINES, RARE_LABEL, RARE_WORD, STATUSES, fill

COUNT = 12_000
OF_EACH = 20


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlRegistryReader]:
    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('many') / 'registry.db'}")
    upgrade(engine)
    fill(engine, COUNT, OF_EACH, record_characters=10)
    yield SqlRegistryReader(engine, SystemClock())
    engine.dispose()


def status_of(number: int) -> str:
    return next((status for every, status in STATUSES.items() if number % every == every - 1), "Normal")


LIVE = [number for number in range(COUNT) if status_of(number) != "Deleted"]


def test_what_is_more_than_is_counted_is_said(reader: SqlRegistryReader) -> None:
    listing = reader.versions(VersionFilter(), Page(limit=10))
    assert (listing.total, listing.exact) == (MAX_COUNTED + MAX_PAGE, False)
    last = reader.versions(VersionFilter(), Page(limit=10, offset=len(LIVE) - 5))
    assert (len(last.items), last.total, last.exact) == (5, len(LIVE), True)
    assert reader.versions(VersionFilter(), Page(limit=10, offset=len(LIVE) + 50)).items == ()


def test_every_version_is_on_one_page_only(reader: SqlRegistryReader) -> None:
    seen = [
        (row.model_name, row.model_version)
        for offset in range(MAX_COUNTED - 400, MAX_COUNTED + 400, MAX_PAGE)
        for row in reader.versions(VersionFilter(), Page(limit=MAX_PAGE, offset=offset)).items
    ]
    assert len(set(seen)) == len(seen) == 800


@pytest.mark.parametrize(
    "chosen,expected",
    [
        (VersionFilter(status=Status.FAILED), [n for n in range(COUNT) if status_of(n) == "Failed"]),
        (VersionFilter(status=Status.DELETED), [n for n in range(COUNT) if status_of(n) == "Deleted"]),
        (VersionFilter(engine="PyTorch"), [n for n in LIVE if ENGINES[n // OF_EACH % len(ENGINES)] == "PyTorch"]),
        (VersionFilter(name="MODEL-00012"), [n for n in LIVE if n // OF_EACH // 10 == 12]),
        (VersionFilter(text=RARE_WORD), [n for n in LIVE if n % 10_000 == 0]),
        (VersionFilter(label=RARE_LABEL, engine="Scikit_Learn"), [n for n in LIVE if n % 10_000 == 0]),
        (VersionFilter(device=Device.GPU, text="99 NUMBER"), None),
        (VersionFilter(text="model-000042 0.0.7"), [42 * OF_EACH + 6]),
    ],
)  # fmt: skip
def test_the_newest_that_match_are_found_and_counted(
    reader: SqlRegistryReader, chosen: VersionFilter, expected: list[int] | None
) -> None:
    listing = reader.versions(chosen, Page(limit=50))
    if expected is None:
        expected = [n for n in LIVE if n % 5 == 0 and ("99" in str(n) or "99" in str(n // OF_EACH))]
    assert (listing.total, listing.exact) == (len(expected), True)
    found = [int(row.run.rpartition("-")[2]) for row in listing.items]
    assert found == sorted(expected, reverse=True)[:50]


def test_models_that_match_are_counted_beyond_one_window(reader: SqlRegistryReader) -> None:
    whole = reader.models(VersionFilter(), Page(limit=5))
    assert (whole.total, whole.exact) == (COUNT // OF_EACH, True)
    listing = reader.models(VersionFilter(text="predicts"), Page(limit=5, offset=COUNT // OF_EACH - 3))
    assert [model.model_name for model in listing.items] == ["model-000002", "model-000001", "model-000000"]
    assert (listing.total, listing.exact) == (COUNT // OF_EACH, True)
    assert all(0 < model.matching <= OF_EACH and len(model.versions) == 5 for model in listing.items)
