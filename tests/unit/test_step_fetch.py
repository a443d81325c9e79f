"""fetch on fakes: what is copied, what is refused, and nothing half done."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest

from airlock.domain.package import FetchLimits, ListedObject
from airlock.errors import PackageRejected, SourceChanged, SourceRefused, StorageUnavailable
from airlock.steps.fetch import listing_identity
from tests.unit.given import archive, iris_files
from tests.unit.line import Line


def refused(line: Line, **conf: str) -> PackageRejected:
    with pytest.raises(PackageRejected) as caught:
        line.fetch(line.accept(**conf))
    assert line.store.packages == {}
    assert line.storage.copied == []
    return caught.value


def codes(error: PackageRejected) -> list[str]:
    return [item.code for item in error.findings]


def test_the_package_is_named_by_its_content() -> None:
    line = Line()
    package = line.fetch(line.accept())
    assert package.file_count == 2
    assert package.bytes_copied == package.size_bytes == sum(map(len, iris_files().values()))
    assert line.store.packages[package.digest] == iris_files()
    assert package.findings == ()


def test_the_same_bytes_elsewhere_are_the_same_package() -> None:
    line = Line()
    line.storage.buckets["models"].update({f"copy/{path}": data for path, data in iris_files().items()})
    here = line.fetch(line.accept())
    there = line.fetch(
        dataclasses.replace(line.accept(), request=line.accept(source_location="s3://models/copy").request)
    )
    assert here.digest == there.digest


def test_a_listing_seen_before_copies_nothing() -> None:
    line = Line()
    accepted = line.accept()
    first = line.fetch(accepted)
    line.storage.copied.clear()
    second = line.fetch(accepted)
    assert line.storage.copied == []
    assert (second.digest, second.bytes_copied) == (first.digest, 0)


@pytest.mark.parametrize("change", ["content", "new file", "gone file"])
def test_any_change_of_the_listing_is_copied_again(change: str) -> None:
    line = Line({**iris_files(), "model/labels.txt": b"a"})
    accepted = line.accept()
    first = line.fetch(accepted)
    keys = line.storage.buckets["models"]
    if change == "content":
        keys["iris/model/labels.txt"] = b"b"
    elif change == "new file":
        keys["iris/model/more.txt"] = b"a"
    else:
        del keys["iris/model/labels.txt"]
    second = line.fetch(accepted)
    assert second.digest != first.digest
    assert second.bytes_copied == second.size_bytes


def test_a_package_that_the_store_lost_is_copied_again() -> None:
    line = Line()
    accepted = line.accept()
    package = line.fetch(accepted)
    del line.store.packages[package.digest]
    assert line.fetch(accepted).bytes_copied > 0


def test_empty_files_are_kept_and_folder_markers_are_not() -> None:
    line = Line({**iris_files(), "model/": b"", "model/sub/": b"", "model/empty.om": b""})
    package = line.fetch(line.accept())
    assert set(line.store.packages[package.digest]) == {*iris_files(), "model/empty.om"}


def test_pointing_at_the_model_folder_itself_means_its_parent_and_is_told() -> None:
    line = Line()
    package = line.fetch(line.accept(source_location="s3://models/iris/model/"))
    assert [item.code for item in package.findings] == ["PKG011"]
    assert package.source == "s3://models/iris/"


def test_what_lies_outside_model_is_left_out_and_told() -> None:
    line = Line({**iris_files(), "README.md": b"hello", "models/x": b"y", "notes/": b""})
    package = line.fetch(line.accept())
    assert package.file_count == 2
    assert [(item.code, item.message) for item in package.findings] == [
        ("PKG010", "2 objects outside `model/` are not part of the package.")
    ]


def test_the_bucket_itself_may_be_the_folder() -> None:
    line = Line()
    line.storage.buckets["whole"] = iris_files()
    assert line.fetch(line.accept(source_location="s3://whole")).file_count == 2


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_folder_without_model_is_refused_and_says_what_it_holds() -> None:
    error = refused(Line({"config.json": b"{}", "iris.m": b"x"}))
    assert codes(error) == ["PKG001"]
    assert "config.json, iris.m" in str(error)


@pytest.mark.parametrize("files", [{}, {"model/": b""}, {"Model/config.json": b"{}"}, {"model": b"a file"}])
def test_a_folder_with_no_files_in_model_is_refused(files: dict[str, bytes]) -> None:
    assert codes(refused(Line(files))) == ["PKG001"]


def test_names_that_are_shown_are_escaped() -> None:
    error = refused(Line({"\x1b[31mevil\n": b""}))
    assert all(line.isprintable() for line in str(error).splitlines())
    assert len(str(error).splitlines()) == 2


@pytest.mark.parametrize(
    "path",
    [
        "model/../x",
        "model//x",
        "model/a\\b",
        "model/a\x00b",
        "model/\u202eb",
        "model/./x",
        "model/" + "a" * 300,
        "model/dir/",
    ],
)
def test_unsafe_names_are_refused_before_a_byte_is_copied(path: str) -> None:
    assert codes(refused(Line({**iris_files(), path: b"x"}))) == ["PKG006"]


@pytest.mark.parametrize("path", ["model/CONFIG.json", "model/iris.m/x", "model/\uff29ris.m"])
def test_colliding_names_are_refused(path: str) -> None:
    assert "PKG007" in codes(refused(Line({**iris_files(), path: b"x"})))


def test_a_package_of_exactly_the_limit_is_taken_and_a_byte_more_is_not() -> None:
    line = Line()
    size = sum(map(len, iris_files().values()))
    line.limits = FetchLimits(max_package_bytes=size - 1, max_objects=50)
    error = refused(line)
    assert codes(error) == ["PKG008"]
    assert "the largest file is model/config.json" in str(error)
    line.limits = FetchLimits(max_package_bytes=size, max_objects=50)
    line.fetch(line.accept())


def test_more_objects_than_the_limit_are_refused_without_listing_them_all() -> None:
    line = Line({**iris_files(), **{f"model/{number}": b"" for number in range(100)}})
    line.limits = FetchLimits(max_package_bytes=10**6, max_objects=102)
    line.fetch(line.accept())
    line = Line({**iris_files(), **{f"model/{number}": b"" for number in range(100)}})
    assert "PKG009" in codes(refused(line))


def test_every_broken_rule_is_told_at_once() -> None:
    line = Line({**iris_files(), "model/a\\b": b"x", "model/IRIS.m": b"x" * 1000})
    line.limits = FetchLimits(max_package_bytes=100, max_objects=50)
    assert set(codes(refused(line))) == {"PKG006", "PKG007", "PKG008"}


@pytest.mark.parametrize("when", ["replaced", "deleted", "truncated"])
def test_an_object_that_changes_while_it_is_copied_stops_the_copy_and_leaves_nothing(when: str) -> None:
    line = Line()
    keys = line.storage.buckets["models"]

    def change(key: str) -> None:
        if key.endswith("iris.m"):
            if when == "deleted":
                keys.pop(key)
            else:
                keys[key] = b"other" if when == "replaced" else keys[key][:-1]

    line.storage.before_copy = change
    with pytest.raises(SourceChanged):
        line.fetch(line.accept())
    assert line.store.packages == {}
    assert line.store.listings == {}


def test_a_missing_bucket_is_refused() -> None:
    line = Line()
    with pytest.raises(SourceRefused, match="nowhere"):
        line.fetch(line.accept(source_location="s3://nowhere/iris"))


def test_wrong_credentials_are_refused() -> None:
    line = Line()
    line.storage.forbidden.add("models")
    with pytest.raises(SourceRefused, match="permission"):
        line.fetch(line.accept())


def test_a_storage_that_is_away_may_come_back() -> None:
    line = Line()
    line.storage.away = True
    accepted = line.accept()
    with pytest.raises(StorageUnavailable):
        line.fetch(accepted)
    line.storage.away = False
    assert line.fetch(accepted).file_count == 2


def test_a_training_job_s_folder_is_refused_with_its_newest_version() -> None:
    files = {f"{version}/{path}": data for version in ("V001", "V002") for path, data in iris_files().items()}
    assert "Name one of the training job's versions: s3://models/iris/V002/." in str(refused(Line(files)))


# ── archives ─────────────────────────────────────────────────────────────────────────────────────────────────────────

ARCHIVE = "s3://models/iris/iris.zip"


def archived(**more: bytes) -> Line:
    return Line({"iris.zip": archive(*{**iris_files(), **more}.items())})


def test_an_archive_gives_the_same_package_as_its_files_in_a_folder() -> None:
    line = archived()
    package = line.fetch(line.accept(source_location=ARCHIVE))
    other = Line()
    assert package.digest == other.fetch(other.accept()).digest
    assert package.source == ARCHIVE
    assert package.bytes_copied == len(line.storage.buckets["models"]["iris/iris.zip"])


def test_an_archive_seen_before_is_not_read_again() -> None:
    line = archived()
    accepted = line.accept(source_location=ARCHIVE)
    first = line.fetch(accepted)
    line.storage.copied.clear()
    second = line.fetch(accepted)
    assert line.storage.copied == []
    assert (second.digest, second.bytes_copied) == (first.digest, 0)


def test_an_archive_that_was_taken_under_other_limits_is_refused() -> None:
    line = archived()
    accepted = line.accept(source_location=ARCHIVE)
    line.fetch(accepted)
    line.limits = FetchLimits(max_package_bytes=10**6, max_objects=1)
    with pytest.raises(PackageRejected, match="2 files of"):
        line.fetch(accepted)


@pytest.mark.parametrize("keys", [{}, {"iris.zip.old": b""}, {"iris.zip/model/config.json": b""}])
def test_an_archive_that_is_not_there_is_named(keys: dict[str, bytes]) -> None:
    line = Line(keys)
    with pytest.raises(SourceRefused, match=r"SRC008.*s3://models/iris/iris\.zip.*a folder's name ends with `/`"):
        line.fetch(line.accept(source_location=ARCHIVE))


def test_an_archive_larger_than_any_package_is_refused_before_it_is_copied() -> None:
    line = Line({"iris.zip": bytes(300_000)})
    line.limits = FetchLimits(max_package_bytes=1000, max_objects=10)
    assert codes(refused(line, source_location=ARCHIVE)) == ["PKG008"]


def test_a_refused_archive_leaves_nothing() -> None:
    line = archived(**{"model/../../evil": b"x", "model/IRIS.M": b"x"})
    with pytest.raises(PackageRejected) as caught:
        line.fetch(line.accept(source_location=ARCHIVE))
    assert set(codes(caught.value)) == {"PKG006", "PKG007"}
    assert line.store.packages == {}
    line = Line({"iris.zip": b"PK no archive at all" * 10})
    with pytest.raises(PackageRejected, match=r"PKG012.*end record"):
        line.fetch(line.accept(source_location=ARCHIVE))
    assert line.store.packages == {}


# ── identity of a listing ────────────────────────────────────────────────────────────────────────────────────────────

ITEM = ListedObject(key="iris/model/a", size_bytes=1, etag="e")


@pytest.mark.parametrize(
    "storage,path,item",
    [
        ("two", "model/a", ITEM),
        ("one", "model/b", ITEM),
        ("one", "model/a", dataclasses.replace(ITEM, size_bytes=2)),
        ("one", "model/a", dataclasses.replace(ITEM, etag="f")),
    ],
    ids=["storage", "path", "size", "tag"],
)
def test_storage_path_size_and_tag_each_make_another_listing(storage: str, path: str, item: ListedObject) -> None:
    assert listing_identity(storage, {path: item}) != listing_identity("one", {"model/a": ITEM})


@pytest.mark.parametrize("tags_are_digests,copied", [(True, False), (False, True)])
def test_tags_that_are_no_digests_mean_nothing_in_another_folder(tags_are_digests: bool, copied: bool) -> None:
    line = Line()
    line.storage.tag = (lambda data: hashlib.md5(data).hexdigest()) if tags_are_digests else (lambda data: "67-1b")
    line.storage.buckets["other"] = {f"copy/{path}": data for path, data in iris_files().items()}
    first = line.fetch(line.accept())
    line.storage.copied.clear()
    second = line.fetch(
        dataclasses.replace(line.accept(), request=line.accept(source_location="s3://other/copy").request)
    )
    assert first.digest == second.digest
    assert bool(line.storage.copied) is copied


def test_the_folder_and_the_order_say_nothing() -> None:
    elsewhere = dataclasses.replace(ITEM, key="copy/model/a")
    one = listing_identity("one", {"model/a": ITEM, "model/b": ITEM})
    assert one == listing_identity("one", {"model/b": ITEM, "model/a": elsewhere})
