"""What a check finds without a test: bytes that rot, sources that change, images that are gone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airlock.domain.package import FileEntry
from airlock.domain.revalidation import Outcome
from airlock.domain.sweeping import SweepState, next_sample
from airlock.domain.version import Status
from airlock.errors import StorageUnavailable
from tests.unit.sweeps.sweep_line import SweepLine


def test_a_file_that_is_missing_or_has_another_length_is_found_at_the_next_check_sample_or_not(line: SweepLine) -> None:
    line.import_as("iris", "rose")
    del line.store.packages[line.digest("iris")]["model/iris.m"]
    line.store.packages[line.digest("rose")]["model/iris.m"] += b"?"
    line.sweep(sample_mb=0)
    for name in ("iris", "rose"):
        assert line.standing(name)[1].startswith("[STO003] model/iris.m of package")


def test_a_package_that_is_gone_is_named(line: SweepLine) -> None:
    line.import_as("iris")
    del line.store.packages[line.digest()]
    line.sweep()
    assert line.standing()[1].startswith("[STO001] The store has no package")
    assert line.reader.health("iris", "0.0.1")[-1].verdict == "not run: STO001"


def test_samples_read_every_byte_in_turn_and_save_up_for_what_is_larger_than_one() -> None:
    files = tuple(
        FileEntry(path=f"model/{name}", size_bytes=size, sha256="0" * 64)
        for name, size in (("a", 4), ("b", 25), ("c", 3), ("d", 10))
    )
    state, read = SweepState(), []
    for _ in range(8):
        chosen, next_file, credit = next_sample(files, state, 10)
        state = replace(state, next_file=next_file, credit_bytes=credit)
        read.append("".join(entry.path[-1] for entry in chosen))
    assert read == ["a", "", "b", "c", "da", "", "", "bc"]
    assert next_sample(files, SweepState(), 1000) == (files, 0, 0)
    assert next_sample((), SweepState(), 10) == ((), 0, 0)


def test_a_source_that_changed_or_went_is_told_once_and_fails_nothing(line: SweepLine) -> None:
    line.import_as("iris", "rose")
    line.storage.buckets["models"]["iris/model/iris.m"] = b"other"
    for key in [key for key in line.storage.buckets["models"] if key.startswith("rose/")]:
        del line.storage.buckets["models"][key]
    for _ in range(3):
        line.after(1)
        report = line.sweep()
        assert {row.model_name: [note.code for note in row.notes] for row in report.rows} == {
            "iris": ["RVL004"], "rose": ["RVL003"],
        }  # fmt: skip
    assert [text for text in line.said("iris") if "RVL" in text] == [
        "[RVL004] The source s3://models/iris/ is no longer what was imported; the store has the package as it was."
    ]
    assert line.standing("iris") == line.standing("rose") == (Status.NORMAL, "")
    assert line.notified == []


def test_a_storage_that_does_not_answer_is_asked_once_in_a_batch_and_changes_nothing(
    line: SweepLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.import_as("iris", "rose")
    asked = []

    def away(location: Any) -> Any:
        asked.append(location)
        raise StorageUnavailable("SRC004", "The storage does not answer.", "")

    monkeypatch.setattr(line.storage, "list", away)
    assert line.sweep().counts == {Outcome.FIT: 2}
    assert len(asked) == 1


def test_an_image_that_a_registry_still_has_is_no_fault(line: SweepLine) -> None:
    line.import_as("iris")
    line.backend.registry |= line.backend.tags
    line.backend.tags.clear()
    assert line.sweep().counts == {Outcome.FIT: 1}
    line.backend.registry.clear()
    line.after(1)
    assert line.sweep().counts == {Outcome.UNFIT: 1}
    assert line.standing()[1].startswith("[RVL002] The image airlock/serving:")
