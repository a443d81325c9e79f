"""Models as users look at them and change them, on both databases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from airlock.adapters.registry import SqlRegistry
from airlock.adapters.registry_edits import SqlRegistryEditor
from airlock.adapters.registry_reads import SqlRegistryReader
from airlock.codec import encode
from airlock.domain.device import Device
from airlock.domain.record import ModelVersion
from airlock.domain.registered import HealthPoint, Page, VersionFilter
from airlock.domain.request import Changes, Document
from airlock.domain.revalidation import Seen
from airlock.domain.version import RunRef, Stage, Status
from airlock.errors import NoSuchVersion, VersionBusy, VersionChanged, VersionExists, VersionGone

Imported = Callable[..., ModelVersion]


def names(reader: SqlRegistryReader, **chosen: Any) -> list[str]:
    found = reader.versions(VersionFilter(**chosen), Page())
    assert found.exact
    assert found.total == len(found.items)
    return [f"{row.model_name} {row.model_version}" for row in found.items]


def test_a_version_says_what_its_request_and_its_import_say(reader: SqlRegistryReader, imported: Imported) -> None:
    card = Document(name="Card", url="https://example.com/card")
    version = imported(
        description="Flowers", labels=("team-a", "Blüten"), documents=(card,), install_type=("batch", "real-time")
    )
    row = reader.find("iris", "0.0.1")
    assert row is not None
    assert (row.status, row.created_by, row.description, row.labels) == (
        Status.NORMAL, "ada", "Flowers", ("Blüten", "team-a"),
    )  # fmt: skip
    assert (row.documents, row.install_type) == ((card,), ("batch", "real-time"))
    assert (row.engine, row.runtime, row.size_bytes) == (
        version.detection.engine, version.detection.runtime, version.package.size_bytes,
    )  # fmt: skip
    assert row.devices == version.device_results()
    assert (row.stage, row.aliases, row.rebuild) == (Stage.NONE, (), "")
    assert row.details["package"]["digest"] == version.package.digest
    (entry,) = reader.audit(Page(), "iris").items
    assert (entry.actor, entry.action, entry.changes) == ("ada", "import", {"run": "import_model/run-1"})


def test_what_is_not_known_yet_is_empty_while_a_version_is_imported(
    registry: SqlRegistry, reader: SqlRegistryReader, a_version: ModelVersion
) -> None:
    registry.reserve(replace(a_version.accepted.request, labels=("early",)), RunRef(dag_id="d", run_id="r"))
    row = reader.find("iris", "0.0.1")
    assert row is not None
    assert (row.status, row.engine, row.size_bytes, row.devices, row.summary, row.details) == (
        Status.IMPORTING, "", None, {}, {}, {},
    )  # fmt: skip
    assert names(reader, label="early") == ["iris 0.0.1"]


def test_versions_are_found_by_every_filter_and_by_all_together(
    registry: SqlRegistry, reader: SqlRegistryReader, editor: SqlRegistryEditor, imported: Imported
) -> None:
    imported("Iris-flowers", labels=("garden", "team-a"), description="Leaves measured")
    imported("sums", labels=("team-a",), install_type=("batch",))
    held = registry.reserve(
        replace(imported("digits").accepted.request, labels=("team-a",)), RunRef(dag_id="d", run_id="x")
    )
    registry.fail(held, "build", "BLD002", "No.")
    editor.set_stage("sums", "0.0.1", Stage.STAGING, "bob")
    assert names(reader) == ["digits 0.0.2", "digits 0.0.1", "sums 0.0.1", "Iris-flowers 0.0.1"]
    assert names(reader, name="FLOW") == ["Iris-flowers 0.0.1"]
    assert names(reader, text="measured") == ["Iris-flowers 0.0.1"]
    assert names(reader, text="GARDEN") == ["Iris-flowers 0.0.1"]
    # Each word somewhere, in any order; the number as well.
    assert names(reader, text="  garden MEASURED ") == ["Iris-flowers 0.0.1"]
    assert names(reader, text="garden nowhere") == []
    assert names(reader, text="digits 0.0.2") == ["digits 0.0.2"]
    assert names(reader, text="0.0.1 scikit") == ["digits 0.0.1", "sums 0.0.1", "Iris-flowers 0.0.1"]
    assert names(reader, text="%") == names(reader, name="_") == []
    assert names(reader, label="team-a") == ["digits 0.0.2", "sums 0.0.1", "Iris-flowers 0.0.1"]
    assert names(reader, label="team") == []
    assert names(reader, status=Status.FAILED) == ["digits 0.0.2"]
    assert names(reader, device=Device.CPU) == ["digits 0.0.1", "sums 0.0.1", "Iris-flowers 0.0.1"]
    assert names(reader, device=Device.GPU) == []
    assert names(reader, engine="Scikit_Learn") == ["digits 0.0.1", "sums 0.0.1", "Iris-flowers 0.0.1"]
    assert names(reader, engine="PyTorch") == []
    assert names(reader, install_type="batch") == ["sums 0.0.1"]
    assert names(reader, stage=Stage.STAGING) == ["sums 0.0.1"]
    assert names(reader, model_name="digits") == ["digits 0.0.2", "digits 0.0.1"]
    every = {
        "name": "sum", "text": "sums", "engine": "Scikit_Learn", "status": Status.NORMAL, "label": "team-a",
        "device": Device.CPU, "install_type": "batch", "stage": Stage.STAGING, "model_name": "sums",
    }  # fmt: skip
    assert names(reader, **every) == ["sums 0.0.1"]
    for field in every:
        other = {"status": Status.FAILED, "device": Device.ASCEND, "stage": Stage.NONE}.get(field, "nothing")
        assert names(reader, **{**every, field: other}) == [], field


def test_a_page_holds_what_was_asked_and_the_total_of_all(reader: SqlRegistryReader, imported: Imported) -> None:
    for _ in range(5):
        imported()
    page = reader.versions(VersionFilter(), Page(limit=2, offset=2))
    assert ([row.model_version for row in page.items], page.total, page.exact) == (["0.0.3", "0.0.2"], 5, True)
    assert reader.versions(VersionFilter(), Page(limit=2, offset=10)).items == ()
    for limit, offset in ((0, 0), (201, 0), (1, -1)):
        with pytest.raises(ValueError, match="no page"):
            Page(limit=limit, offset=offset)


def test_models_come_with_their_versions_folded(
    registry: SqlRegistry, reader: SqlRegistryReader, editor: SqlRegistryEditor, imported: Imported
) -> None:
    for _ in range(3):
        imported("iris")
    imported("sums", labels=("odd",))
    imported("iris")
    editor.delete("iris", "0.0.1", "bob")
    editor.set_alias("iris", "champion", "0.0.3", "ada")
    listed = reader.models(VersionFilter(), Page(), versions_each=2)
    assert (listed.total, [model.model_name for model in listed.items]) == (2, ["iris", "sums"])
    iris = listed.items[0]
    assert (iris.version_count, iris.matching, iris.statuses) == (3, 3, {Status.NORMAL: 3, Status.DELETED: 1})
    assert [row.model_version for row in iris.versions] == ["0.0.4", "0.0.3"]
    assert [(alias.alias, alias.model_version, alias.set_by) for alias in iris.aliases] == [
        ("champion", "0.0.3", "ada")
    ]
    assert [row.aliases for row in iris.versions] == [(), ("champion",)]
    (odd,) = reader.models(VersionFilter(label="odd"), Page()).items
    assert (odd.model_name, odd.matching) == ("sums", 1)
    assert [m.model_name for m in reader.models(VersionFilter(text="i"), Page(limit=1, offset=1)).items] == ["sums"]
    one = reader.model("iris")
    assert one is not None
    assert [row.model_version for row in one.versions] == ["0.0.4", "0.0.3", "0.0.2"]
    assert reader.model("nobody") is None


def test_what_there_is_to_filter_by_is_counted(
    reader: SqlRegistryReader, editor: SqlRegistryEditor, imported: Imported
) -> None:
    imported(labels=("a", "b"))
    imported(labels=("a",))
    imported(labels=("c",))
    editor.delete("iris", "0.0.3", "bob")
    facets = reader.facets()
    assert (facets.engines, facets.labels) == ({"Scikit_Learn": 2}, {"a": 2, "b": 1})
    assert facets.statuses == {Status.NORMAL: 2, Status.DELETED: 1}
    editor.edit("iris", "0.0.1", Changes(labels=("b", "d")), "bob")
    assert reader.facets().labels == {"a": 1, "b": 1, "d": 1}


def test_labels_are_counted_right_while_many_change_them_at_once(
    reader: SqlRegistryReader, editor: SqlRegistryEditor, imported: Imported
) -> None:
    labels = ("a", "b", "c", "d", "e")
    for _ in range(8):
        imported(labels=labels[:2])

    def change(number: int) -> None:
        for step in range(4):
            version = f"0.0.{number + 1}"
            editor.edit("iris", version, Changes(labels=labels[step:] if number % 2 else labels[:step]), "bob")
        if number < 2:
            editor.delete("iris", version, "bob")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(change, range(8)))
    borne = Counter(label for row in reader.versions(VersionFilter(), Page()).items for label in row.labels)
    assert reader.facets().labels == dict(borne) == {"a": 3, "b": 3, "c": 3, "d": 3, "e": 3}


def test_description_and_labels_are_edited_with_a_trace(
    reader: SqlRegistryReader, editor: SqlRegistryEditor, imported: Imported
) -> None:
    imported(description="Old words", labels=("a", "b"))
    row = editor.edit("iris", "0.0.1", Changes(description="New words", labels=("c", "a")), "bob")
    assert (row.description, row.labels, row.summary["labels"]) == ("New words", ("a", "c"), ["a", "c"])
    assert (row.events[-1].text, row.events[-1].actor) == ("Description and labels updated by bob.", "bob")
    entry = reader.audit(Page(), "iris", "0.0.1").items[0]
    assert (entry.actor, entry.action) == ("bob", "edit")
    assert entry.changes == {
        "description": {"from": "Old words", "to": "New words"},
        "labels": {"from": ["a", "b"], "to": ["a", "c"]},
    }
    assert names(reader, text="old") == names(reader, label="b") == []
    assert names(reader, text="new") == names(reader, label="c") == ["iris 0.0.1"]
    before = len(row.events)
    row = editor.edit("iris", "0.0.1", Changes(description="New words"), "bob")
    assert len(row.events) == before, "what changes nothing leaves no trace"
    assert editor.edit("iris", "0.0.1", Changes(labels=()), "bob").labels == ()


def test_a_deleted_version_is_gone_for_good_and_its_number_with_it(
    registry: SqlRegistry, reader: SqlRegistryReader, editor: SqlRegistryEditor, imported: Imported
) -> None:
    version = imported(description="Flowers", labels=("a",))
    editor.set_alias("iris", "champion", "0.0.1", "ada")
    editor.delete("iris", "0.0.1", "bob")
    row = reader.find("iris", "0.0.1")
    assert row is not None
    assert (row.status, row.description, row.labels, row.details, row.summary) == (Status.DELETED, "", (), {}, {})
    assert [event.text for event in row.events][-1] == "Deleted by bob."
    assert names(reader) == names(reader, label="a") == names(reader, text="flowers") == []
    assert names(reader, status=Status.DELETED) == ["iris 0.0.1"]
    assert reader.models(VersionFilter(), Page()).total == 0
    assert reader.alias("iris", "champion") is None
    assert reader.packages_in_use() == frozenset()
    entry = reader.audit(Page()).items[0]
    assert (entry.actor, entry.action, entry.changes["package_digest"]["from"]) == (
        "bob", "delete", f"sha256:{version.package.digest}",
    )  # fmt: skip
    request = version.accepted.request
    with pytest.raises(VersionExists, match=r"REG004.*Deleted"):
        registry.reserve(replace(request, model_version="0.0.1"), RunRef(dag_id="d", run_id="again"))
    assert registry.reserve(request, RunRef(dag_id="d", run_id="next")).model_version == "0.0.2"
    for act in (
        lambda: editor.delete("iris", "0.0.1", "bob"),
        lambda: editor.edit("iris", "0.0.1", Changes(description="x"), "bob"),
        lambda: editor.set_stage("iris", "0.0.1", Stage.STAGING, "bob"),
        lambda: editor.set_alias("iris", "x", "0.0.1", "bob"),
        lambda: editor.delete("iris", "7.7.7", "bob"),
    ):
        with pytest.raises(NoSuchVersion, match="REG008"):
            act()


def test_a_version_that_is_deleted_while_it_is_imported_cannot_be_completed(
    registry: SqlRegistry, editor: SqlRegistryEditor, a_version: ModelVersion
) -> None:
    held = registry.reserve(a_version.accepted.request, RunRef(dag_id="d", run_id="r"))
    editor.delete("iris", "0.0.1", "bob")
    version = replace(a_version, accepted=replace(a_version.accepted, reservation=held))
    with pytest.raises(VersionGone, match="REG006"):
        registry.complete(version, encode(version))


def test_packages_are_in_use_while_a_version_that_is_not_deleted_names_them(
    reader: SqlRegistryReader, editor: SqlRegistryEditor, imported: Imported
) -> None:
    digest = imported().package.digest
    imported()
    assert reader.packages_in_use() == {digest}
    editor.delete("iris", "0.0.1", "bob")
    assert reader.packages_in_use() == {digest}
    editor.delete("iris", "0.0.2", "bob")
    assert reader.packages_in_use() == frozenset()


def test_an_alias_points_to_one_version_and_moves_with_a_trace(
    reader: SqlRegistryReader, editor: SqlRegistryEditor, imported: Imported
) -> None:
    imported()
    imported()
    editor.set_alias("iris", "champion", "0.0.1", "ada")
    first = reader.alias("iris", "champion")
    assert first is not None
    assert (first.model_version, first.set_by) == ("0.0.1", "ada")
    assert editor.set_alias("iris", "champion", "0.0.1", "bob") == first, "pointing it where it points changes nothing"
    editor.set_alias("iris", "champion", "0.0.2", "bob")
    moved = reader.alias("iris", "champion")
    assert moved is not None
    assert (moved.model_version, moved.set_by) == ("0.0.2", "bob")
    assert reader.events("iris", "0.0.1")[-1].text == "Alias champion moved to 0.0.2 by bob."
    assert reader.events("iris", "0.0.2")[-1].text == "Alias champion set by bob, it was 0.0.1's."
    assert reader.audit(Page()).items[0].changes == {"alias": "champion", "version": {"from": "0.0.1", "to": "0.0.2"}}
    editor.remove_alias("iris", "champion", "ada")
    assert reader.alias("iris", "champion") is None
    with pytest.raises(NoSuchVersion, match="REG011"):
        editor.remove_alias("iris", "champion", "ada")


def test_only_a_normal_version_gets_an_alias_or_comes_into_production(
    registry: SqlRegistry, editor: SqlRegistryEditor, a_version: ModelVersion
) -> None:
    registry.reserve(a_version.accepted.request, RunRef(dag_id="d", run_id="r"))
    with pytest.raises(VersionBusy, match=r"REG009.*Importing"):
        editor.set_alias("iris", "champion", "0.0.1", "ada")
    with pytest.raises(VersionBusy, match=r"REG009.*Importing"):
        editor.set_stage("iris", "0.0.1", Stage.PRODUCTION, "ada")


def test_a_stage_says_who_set_it(reader: SqlRegistryReader, editor: SqlRegistryEditor, imported: Imported) -> None:
    imported()
    row = editor.set_stage("iris", "0.0.1", Stage.PRODUCTION, "ada")
    assert (row.stage, row.events[-1].text) == (Stage.PRODUCTION, "Stage Production set by ada, it was None.")
    entry = reader.audit(Page()).items[0]
    assert (entry.actor, entry.action, entry.changes) == (
        "ada",
        "stage",
        {"stage": {"from": "None", "to": "Production"}},
    )


def test_the_history_is_read_from_where_one_has_seen_it(
    registry: SqlRegistry, reader: SqlRegistryReader, imported: Imported, editor: SqlRegistryEditor
) -> None:
    imported()
    imported("other")
    seen = reader.events("iris", "0.0.1")
    assert [event.text for event in seen] == ["Model imported."]
    editor.edit("iris", "0.0.1", Changes(description="x"), "bob")
    assert [event.text for event in reader.events("iris", "0.0.1", after=seen[-1].id)] == [
        "Description updated by bob."
    ]
    assert reader.events("iris", "9.9.9") == []


def test_health_begins_with_the_import_and_grows_with_every_later_test(
    registry: SqlRegistry, reader: SqlRegistryReader, imported: Imported
) -> None:
    version = imported()
    (first,) = reader.health("iris", "0.0.1")
    (report,) = [report for report in version.reports if report.latency]
    assert report.latency is not None
    assert (first.device, first.verdict, first.p50_ms, first.run) == (
        Device.CPU, "passed", report.latency.p50, "import_model/run-1",
    )  # fmt: skip
    sweep = RunRef(dag_id="revalidate_models", run_id="night-1")
    later = HealthPoint(
        at=first.at + 86_400, device=Device.CPU, verdict="failed", p50_ms=None, p99_ms=None, ready_s=None,
        peak_memory_bytes=None, run=str(sweep),
    )  # fmt: skip
    assert registry.judge("iris", "0.0.1", sweep, [later], "[SMK010] It ended.")
    row = reader.find("iris", "0.0.1")
    assert row is not None
    assert (row.status, row.reason, row.events[-1].text) == (
        Status.ABNORMAL, "[SMK010] It ended.", "Found unfit: [SMK010] It ended.",
    )  # fmt: skip
    assert not registry.judge("iris", "0.0.1", sweep, [], "[SMK010] It ended."), "nothing new"
    assert not registry.judge("iris", "0.0.1", sweep, [later], "[SMK011] It is slow."), "another try of the same run"
    row = reader.find("iris", "0.0.1")
    assert row is not None
    assert (row.reason, row.events[-1].text) == ("[SMK011] It is slow.", "Still unfit: [SMK011] It is slow.")
    fit = replace(later, verdict="passed", run="revalidate_models/night-2")
    sweep = RunRef(dag_id="revalidate_models", run_id="night-2")
    for _ in range(2):
        registry.judge("iris", "0.0.1", sweep, [fit], "", ["Tested again."])
    row = reader.find("iris", "0.0.1")
    assert row is not None
    assert [event.text for event in row.events[-2:]] == ["Tested again.", "Found fit again."]
    row = reader.find("iris", "0.0.1")
    assert row is not None
    assert (row.status, row.reason, row.events[-1].text) == (Status.NORMAL, "", "Found fit again.")
    assert [point.verdict for point in reader.health("iris", "0.0.1")] == ["passed", "failed", "passed"]
    assert [point.verdict for point in reader.health("iris", "0.0.1", limit=1)] == ["passed"]
    with pytest.raises(NoSuchVersion, match="REG008"):
        registry.judge("iris", "9.9.9", sweep, [], "")


def test_a_version_is_judged_as_it_was_seen_or_not_at_all(
    registry: SqlRegistry, reader: SqlRegistryReader, imported: Imported
) -> None:
    def stands() -> tuple[Status, str, int]:
        row = reader.find("iris", "0.0.1")
        assert row is not None
        return row.status, row.reason, len(row.events)

    fit = Seen(status=Status.NORMAL, reason="", image_digest=str(imported().summary()["image_digest"]))
    ended = "[SMK010] It ended."
    one, other = (RunRef(dag_id="revalidate_models", run_id=f"night-{number}") for number in range(2))
    assert registry.judge("iris", "0.0.1", one, [], ended, seen=fit)
    before = stands()
    assert before[:2] == (Status.ABNORMAL, ended)
    assert not registry.judge("iris", "0.0.1", one, [], ended, seen=fit), "another try of the same task"
    for reason, seen in (
        ("", fit),
        ("[SMK011] It is slow.", fit),
        ("", replace(fit, status=Status.ABNORMAL, reason="[SMK011] It is slow.")),
        ("", replace(fit, status=Status.ABNORMAL, reason=ended, image_digest="sha256:another")),
    ):
        with pytest.raises(VersionChanged, match="REG013"):
            registry.judge("iris", "0.0.1", other, [], reason, ["Tested again."], seen)
    assert stands() == before
    assert registry.judge("iris", "0.0.1", other, [], "", (), replace(fit, status=Status.ABNORMAL, reason=ended))


def test_a_rebuild_keeps_the_version_until_it_is_done(
    registry: SqlRegistry, reader: SqlRegistryReader, imported: Imported
) -> None:
    version = imported(description="Flowers")
    run = RunRef(dag_id="import_model", run_id="rebuild-1")
    begun = registry.begin_rebuild("iris", "0.0.1", run, "bob")
    assert (begun.request, begun.package_digest) == (version.accepted.request, version.package.digest)
    assert registry.reservation_of(run) == begun.reservation
    row = reader.find("iris", "0.0.1")
    assert row is not None
    assert (row.status, row.rebuild) == (Status.NORMAL, "import_model/rebuild-1")
    registry.resume(begun.reservation, {"build"})
    made = replace(
        version,
        accepted=replace(version.accepted, reservation=begun.reservation),
        image=replace(version.image, digest="sha256:" + "f" * 64),
    )
    registry.complete(made, encode(made))
    row = reader.find("iris", "0.0.1")
    assert row is not None
    assert (row.status, row.rebuild, row.run, row.image_digest, row.description) == (
        Status.NORMAL, "", "import_model/rebuild-1", made.image.digest, "Flowers",
    )  # fmt: skip
    assert row.events[-1].text == "Runtime dependencies updated, image made again."
    assert len(reader.health("iris", "0.0.1")) == 2
    assert reader.audit(Page()).items[0].action == "rebuild"


def test_a_rebuild_that_fails_leaves_the_version_as_it_was(
    registry: SqlRegistry, reader: SqlRegistryReader, imported: Imported
) -> None:
    imported()
    run = RunRef(dag_id="import_model", run_id="rebuild-1")
    begun = registry.begin_rebuild("iris", "0.0.1", run)
    before = reader.find("iris", "0.0.1")
    assert registry.fail(begun.reservation, "build", "BLD002", "No such package.")
    after = reader.find("iris", "0.0.1")
    assert before is not None
    assert after is not None
    assert (after.status, after.rebuild, after.details) == (Status.NORMAL, "", before.details)
    assert after.events[-1].text == (
        "Runtime dependencies not updated, the version stays as it was: [BLD002] No such package."
    )
    assert registry.reservation_of(run) is None


def test_the_last_rebuild_that_was_asked_for_wins(
    registry: SqlRegistry, imported: Imported, a_version: ModelVersion
) -> None:
    imported()
    first = registry.begin_rebuild("iris", "0.0.1", RunRef(dag_id="d", run_id="one"))
    second = registry.begin_rebuild("iris", "0.0.1", RunRef(dag_id="d", run_id="two"))
    late = replace(a_version, accepted=replace(a_version.accepted, reservation=first.reservation))
    with pytest.raises(VersionGone, match="REG007"):
        registry.complete(late, encode(late))
    done = replace(a_version, accepted=replace(a_version.accepted, reservation=second.reservation))
    registry.complete(done, encode(done))


def test_only_what_was_imported_can_be_rebuilt(
    registry: SqlRegistry, editor: SqlRegistryEditor, a_version: ModelVersion
) -> None:
    run = RunRef(dag_id="d", run_id="r")
    registry.reserve(a_version.accepted.request, run)
    with pytest.raises(VersionBusy, match=r"REG009.*Importing"):
        registry.begin_rebuild("iris", "0.0.1", replace(run, run_id="s"))
    editor.delete("iris", "0.0.1", "bob")
    for version in ("0.0.1", "5.5.5"):
        with pytest.raises(NoSuchVersion, match="REG008"):
            registry.begin_rebuild("iris", version, replace(run, run_id="s"))
