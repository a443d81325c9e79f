"""Names that may become files, the manifest that is a package's identity, and where packages come from."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlock.domain import package
from airlock.domain.findings import MAX_TOLD_IN_ALL
from airlock.domain.package import FileEntry, Manifest, check_names
from airlock.domain.source import Scheme, SourceLocation
from tests.unit.given import codes


def names(*paths: str) -> list[str]:
    return codes(tuple(check_names(paths)))


# ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "path",
    [
        "model/config.json",
        "model/模型.m",
        "model/a b.txt",
        "model/.hidden",
        "model/..a",
        "model/a..b/c",
        "model/CON",
        "model/é",
    ],
)
def test_ordinary_names_are_taken(path: str) -> None:
    assert names(path) == []


@pytest.mark.parametrize(
    "path,reason",
    [
        ("", "is empty"),
        ("/etc/passwd", "is absolute"),
        ("model\\config.json", "backslash"),
        ("model//a", "empty part"),
        ("model/a/", "empty part"),
        ("model/../a", "`.` or `..`"),
        ("..", "`.` or `..`"),
        ("model/./a", "`.` or `..`"),
        ("model/a/..", "`.` or `..`"),
        ("model/a\nb", "control"),
        ("model/a\x00b", "control"),
        ("model/a\x1b[31m", "control"),
        ("model/a\u202eb", "control"),
        ("model/a\u2066b", "control"),
        ("model/a\u200bb", "control"),
        ("model/a\ufeffb", "control"),
        ("model/a\u2028b", "control"),
        ("model/\ud800", "control"),
        ("model/a\u0378", "control"),
        ("model/ a", "space"),
        ("model/a ", "space"),
        ("model /a", "space"),
        ("model/" + "a/" * 600 + "a", "1,024 bytes"),
        ("model/" + "é" * 128, "255 bytes"),
    ],
)
def test_unsafe_names_are_refused_with_the_reason(path: str, reason: str) -> None:
    found = list(check_names([path]))
    assert codes(tuple(found)) == ["PKG006"]
    assert reason in found[0].message
    assert found[0].line().isprintable()


def test_a_name_of_255_bytes_is_taken() -> None:
    assert names("model/" + "a" * 255) == []


@pytest.mark.parametrize(
    "one,two",
    [
        ("model/a", "model/A"),
        ("model/é", "model/e\u0301"),
        ("model/straße", "model/STRASSE"),
        ("model/ﬁ", "model/fi"),
        ("model/a", "model/a/b"),
        ("model/a/b", "model/a"),
        ("model/A", "model/a/b"),
        ("model/sub/a", "model/Sub/b"),
        ("model/\u212a", "model/k"),
    ],
)
def test_two_names_that_are_one_file_somewhere_are_refused(one: str, two: str) -> None:
    assert set(names(one, two)) == {"PKG007"}


@given(st.text(alphabet="aZ0_.=+-/ \\\té", max_size=20) | st.from_regex(package._PLAIN, fullmatch=True))
def test_the_short_way_for_plain_paths_says_what_the_rules_say(path: str) -> None:
    assert package._unsafe(path) == next((reason for reason, applies in package._UNSAFE if applies(path)), "")


def test_names_in_one_folder_do_not_collide() -> None:
    assert names("model/a/b", "model/a/c", "model/ab", "model/a.b") == []


def test_every_bad_name_is_named() -> None:
    assert names("model/a", "model/../b", "model/A", "model/c\td") == ["PKG006", "PKG007", "PKG006"]


@given(st.lists(st.text(max_size=12), max_size=6))
def test_names_that_are_taken_are_files_below_one_folder_and_distinct_on_any_system(paths: list[str]) -> None:
    if names(*paths):
        return
    for path in paths:
        parts = path.split("/")
        assert path.isprintable()
        assert "\\" not in path
        assert not {"", ".", ".."} & set(parts)
    assert len({path.casefold() for path in paths}) == len(set(paths))


def test_of_many_bad_names_few_are_told_and_all_are_counted() -> None:
    told = check_names(f"model/{number} /x" for number in range(5_000))
    assert len(told) == MAX_TOLD_IN_ALL + 1
    assert sum(item.count for item in told) == 5_000


# ── manifest ─────────────────────────────────────────────────────────────────────────────────────────────────────────

entries = st.builds(
    FileEntry,
    path=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
    size_bytes=st.integers(0, 2**40),
    sha256=st.binary(min_size=4, max_size=4).map(lambda data: hashlib.sha256(data).hexdigest()),
)
files = st.lists(entries, max_size=6, unique_by=lambda entry: entry.path)


@given(files, st.randoms(use_true_random=False))
def test_the_digest_does_not_depend_on_the_order_of_files(listed: list[FileEntry], random: object) -> None:
    shuffled = list(listed)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert Manifest.of(shuffled).digest() == Manifest.of(listed).digest()


@given(files, files)
def test_two_manifests_have_one_digest_only_when_they_are_the_same(one: list[FileEntry], two: list[FileEntry]) -> None:
    first, second = Manifest.of(one), Manifest.of(two)
    assert (first.digest() == second.digest()) == (first == second)


@pytest.mark.parametrize(
    "change",
    [
        {"path": "model/b"},
        {"size_bytes": 2},
        {"sha256": "1" * 64},
    ],
    ids=["path", "size", "content"],
)
def test_path_size_and_content_each_change_the_digest(change: dict[str, object]) -> None:
    entry = {"path": "model/a", "size_bytes": 1, "sha256": "0" * 64}
    before, after = (Manifest.of([FileEntry(**item)]) for item in (entry, {**entry, **change}))
    assert before.digest() != after.digest()


def test_the_canonical_form_never_changes() -> None:
    manifest = Manifest.of([
        FileEntry(path="model/é", size_bytes=0, sha256="0" * 64),
        FileEntry(path="model/a", size_bytes=3, sha256="1" * 64),
    ])
    text = f'[["model/a",3,"{"1" * 64}"],["model/é",0,"{"0" * 64}"]]'.encode()
    assert manifest.canonical() == text
    assert manifest.digest() == hashlib.sha256(text).hexdigest()
    assert manifest.size_bytes == 3


def test_the_empty_manifest_has_a_digest() -> None:
    assert Manifest.of([]).canonical() == b"[]"


def test_a_manifest_with_a_path_twice_is_a_bug_of_the_caller() -> None:
    entry = FileEntry(path="model/a", size_bytes=1, sha256="0" * 64)
    with pytest.raises(ValueError, match="sorted and unique"):
        Manifest.of([entry, entry])


def test_model_paths_are_relative_to_the_model_folder() -> None:
    entry = FileEntry(path="model/sub/a", size_bytes=1, sha256="0" * 64)
    assert Manifest.of([entry]).model_paths() == {"sub/a": entry}


# ── source locations ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text,bucket,prefix",
    [
        ("s3://models/iris/", "models", "iris/"),
        ("s3://models/iris", "models", "iris/"),
        ("s3://models", "models", ""),
        ("s3://models/", "models", ""),
        ("obs://Models_1/a/b c/模型/", "Models_1", "a/b c/模型/"),
        ("/models/iris/", "models", "iris/"),
    ],
)
def test_the_ways_to_name_a_folder_are_read(text: str, bucket: str, prefix: str) -> None:
    assert SourceLocation.parse(text) == SourceLocation(bucket=bucket, prefix=prefix)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "models/iris",
        "https://models/iris",
        "file://",
        "file:///",
        "file://host/srv/models/",
        "file:///srv/../etc/",
        "file:///srv//x",
        "file:srv/models",
        "s3://",
        "s3://a/x",
        "s3:///iris",
        "s3://-models/x",
        "s3://mod els/x",
        "s3://models@host/x",
        "s3://models:80/x",
        "s3://models/../x",
        "s3://models/a//b",
        "s3://models//a",
        "s3://models/./a",
        "s3://models/a\nb",
        "s3://models/a\u202eb",
        "s3://models/\ud800",
        "s3://models/" + "a" * 1024,
        "s3://" + "b" * 64 + "/x",
    ],
)
def test_everything_else_is_no_location(text: str) -> None:
    assert SourceLocation.parse(text) is None


@pytest.mark.parametrize(
    "text,written",
    [
        ("s3://models/iris.zip", "s3://models/iris.zip"),
        ("/models/a/iris.tar.gz", "s3://models/a/iris.tar.gz"),
        ("file:///srv/models/iris.tgz", "file:///srv/models/iris.tgz"),
        ("s3://models/iris.zip/", None),
        ("s3://models.zip", None),
        ("file:///srv/models/iris", None),
    ],
)
def test_a_name_that_ends_like_an_archive_is_one_unless_a_slash_closes_it(text: str, written: str | None) -> None:
    location = SourceLocation.parse(text)
    assert location is not None
    assert (location.archive is not None) == (written is not None)
    assert str(location) == written or written is None
    assert location.prefix == "" or location.prefix.endswith("/") != (written is not None)


def test_a_folder_of_the_worker_is_named_by_its_path() -> None:
    location = SourceLocation.parse("file:///srv/mod els/iris/model")
    assert location == SourceLocation(scheme=Scheme.FILE, bucket="", prefix="srv/mod els/iris/model/")
    assert str(location.above_model()) == "file:///srv/mod els/iris/"


@pytest.mark.parametrize(
    "text,above",
    [
        ("s3://b1b/iris/model/", "s3://b1b/iris/"),
        ("s3://b1b/model/", "s3://b1b/"),
        ("s3://b1b/iris/", "s3://b1b/iris/"),
        ("s3://b1b/supermodel/", "s3://b1b/supermodel/"),
    ],
)
def test_the_model_folder_itself_means_the_folder_above(text: str, above: str) -> None:
    location = SourceLocation.parse(text)
    assert location is not None
    assert str(location.above_model()) == above
