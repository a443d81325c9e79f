"""A check of a package where it lies in object storage: the same verdict, from few bytes."""

from __future__ import annotations

import io
import json
import os
import pickle
from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airlock.adapters.local_package import DIGEST as LOCAL
from airlock.adapters.local_package import LocalPackage
from airlock.domain.model_files.streams import NotRead
from airlock.domain.package import FetchLimits, FileEntry, ListedObject
from airlock.domain.source import SourceLocation
from airlock.errors import SourceChanged, SourceRefused
from airlock.steps.check import CheckReport, check, check_source
from airlock.steps.source_package import MAX_KEPT_FILE_BYTES, SourcePackage
from tests.fakes.object_storage import FakeStorage
from tests.unit.given import CATALOGUE, PICKLE, archive, changed, config_schema, iris_files
from tests.unit.model_bytes import written
from tests.unit.test_rejected_packages import CASES as REJECTED
from tests.unit.test_rejected_packages import package_of

FOLDER = SourceLocation(bucket="models", prefix="iris/")
LIMITS = FetchLimits(max_package_bytes=100_000_000, max_objects=50)
#: What is refused for its request, or for names that no file of this machine can have, is no folder.
CASES = [case for case in REJECTED if (case / "package").is_dir() and not (case / "request.json").exists()]
HOSTILE = b"cposix\nsystem\n(S'id'\ntR."


class Counting(FakeStorage):
    """Counts what is read: (key, start, stop)."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__({"models": {f"iris/{path}": data for path, data in files.items()}})
        self.ranges: list[tuple[str, int, int]] = []

    def read(self, location: SourceLocation, item: ListedObject, start: int, stop: int) -> Generator[bytes, None, None]:
        self.ranges.append((item.key, start, stop))
        yield from super().read(location, item, start, stop)


def checked(storage: FakeStorage, asked: SourceLocation = FOLDER, **more: Any) -> CheckReport:
    return check_source(
        asked, storage=storage, **{"catalogue": CATALOGUE, "schema": config_schema(), "limits": LIMITS, **more}
    )


def codes(report: CheckReport) -> list[str]:
    return [item.code for item in report.findings]


def test_a_package_without_fault_is_taken_and_its_bytes_are_counted() -> None:
    files = iris_files(model__iris_dot_m=written("scikit-learn-1.9.1/iris.m"))
    report = checked(FakeStorage({"models": {f"iris/{path}": data for path, data in files.items()}}))
    assert (report.passed, report.complete, codes(report)) == (True, True, [])
    assert report.detection is not None
    assert report.file_count == len(files)
    assert report.bytes_read == sum(map(len, files.values())), "small files are fetched once"


@pytest.mark.parametrize(
    "files,expected",
    [
        ({"model/iris.m": HOSTILE}, ["MDL001"]),
        ({"model/config.json": b"{"}, ["CFG001"]),
        ({"model/a\\b.txt": b""}, ["PKG006"]),
        ({"model/IRIS.m": PICKLE}, ["PKG005", "PKG007"]),
        ({"readme.md": b"x"}, ["PKG010"]),
    ],
)
def test_the_rules_are_those_of_an_import(files: dict[str, bytes], expected: list[str]) -> None:
    assert codes(checked(Counting({**iris_files(), **files}))) == expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_verdict_is_that_of_the_same_files_on_a_disk(case: Path) -> None:
    local = LocalPackage(case / "package")
    shared: dict[str, Any] = {"catalogue": CATALOGUE, "schema": config_schema(), "limits": LIMITS}
    near = check(LOCAL, store=local, noticed=local.noticed, **shared)
    far = checked(Counting(package_of(case)), max_read_bytes=0)
    assert [item.line() for item in far.findings if item.code != "PKG010"] == [item.line() for item in near.findings]
    assert (far.passed, str(far.refusal)) == (near.passed, str(near.refusal))


def test_the_model_folder_itself_and_markers_of_folders_are_understood() -> None:
    storage = Counting({**iris_files(), "model/": b"", "model/empty/": b""})
    report = checked(storage, SourceLocation(bucket="models", prefix="iris/model/"))
    assert codes(report) == ["PKG011"]
    assert report.file_count == 2


def test_a_folder_without_a_model_is_refused_and_nothing_is_read() -> None:
    storage = Counting({"weights/iris.m": b"x"})
    assert codes(checked(storage)) == ["PKG001", "PKG010"]
    assert storage.ranges == []


def test_a_listing_ends_where_the_limit_of_objects_does() -> None:
    files = {**iris_files(), **{f"model/z{number:03d}.txt": b"" for number in range(60)}}
    assert "PKG009" in codes(checked(Counting(files)))


def test_a_package_that_is_too_large_is_refused_from_its_listing() -> None:
    limits = FetchLimits(max_package_bytes=10_000, max_objects=50)
    assert "PKG008" in codes(checked(Counting({**iris_files(), "model/x.bin": bytes(10_001)}), limits=limits))


def test_the_storage_of_an_archive_is_passed_over() -> None:
    numbers = os.urandom(5_000_000)
    net = archive(
        ("net/data.pkl", b"\x80\x02}."), ("net/version", b"3\n"), ("net/data/0", numbers), ("net/data/1", b"")
    )
    service = (
        b"from model_service.pytorch_model_service import PTServingBaseService\n\n\n"
        b"class Service(PTServingBaseService):\n    pass\n"
    )
    files = {
        "model/config.json": json.dumps(changed(model_type="PyTorch", runtime=None)).encode(),
        "model/net.pth": net,
        "model/customize_service.py": service,
    }
    storage = Counting(files)
    report = checked(storage)
    assert report.passed
    assert report.complete
    assert report.bytes_read is not None
    assert report.bytes_read < 100_000
    # The numbers' own bytes are never asked for.
    start = net.index(numbers[:64])
    inside = [
        each for each in storage.ranges if each[0].endswith(".pth") and start + 70_000 < each[1] < len(net) - 70_000
    ]
    assert inside == []


def test_an_archive_changed_in_its_small_parts_is_found_all_the_same() -> None:
    net = bytearray(archive(("net/data.pkl", b"\x80\x02}."), ("net/version", b"3\n"), ("net/data/0", bytes(3_000_000))))
    at = net.index(b"3\n")
    net[at : at + 2] = b"4\n"
    files = {
        "model/config.json": json.dumps(changed(model_type="PyTorch", runtime=None)).encode(),
        "model/net.pth": bytes(net),
    }
    assert "MDL004" in codes(checked(Counting(files)))


def test_what_is_not_read_is_said_and_refuses_nothing() -> None:
    model = pickle.dumps([{str(number): number} for number in range(40_000)])
    storage = Counting(iris_files(model__iris_dot_m=model))
    report = checked(storage, max_read_bytes=100_000)
    assert (report.passed, report.complete, codes(report)) == (True, False, ["MDL009"])
    assert report.bytes_read is not None
    assert report.bytes_read <= 100_000 + len(iris_files()["model/config.json"])
    assert checked(Counting(iris_files(model__iris_dot_m=model)), max_read_bytes=0).complete


def test_code_at_the_beginning_of_what_is_not_read_is_an_error() -> None:
    model = b"\x80\x02(cposix\nsystem\nX\x02\x00\x00\x00id\x85R" + b"N0" * 400_000 + b"l."
    report = checked(Counting(iris_files(model__iris_dot_m=model)), max_read_bytes=50_000)
    assert codes(report) == ["MDL001", "MDL009"]
    assert not report.passed


def test_an_object_that_changes_meanwhile_ends_the_check() -> None:
    storage = Counting(iris_files())

    def replaced(key: str) -> None:
        storage.buckets["models"][key] = b"other"

    storage.before_copy = replaced
    with pytest.raises(SourceChanged):
        checked(storage)


def test_a_bucket_that_is_not_there_is_an_error_of_its_own() -> None:
    with pytest.raises(SourceRefused):
        checked(Counting({}), SourceLocation(bucket="nowhere", prefix=""))


def test_what_is_no_file_is_named_and_not_read() -> None:
    class Disk(Counting):
        def list(self, location: SourceLocation) -> Iterator[ListedObject]:
            for item in super().list(location):
                yield replace(item, not_a_file="a symbolic link") if item.key.endswith(".txt") else item

    storage = Disk(iris_files(model__labels_dot_txt=b"x"))
    report = checked(storage)
    assert [(item.code, item.place.file) for item in report.findings] == [("PKG013", "model/labels.txt")]
    assert [key for key, _, _ in storage.ranges if key.endswith(".txt")] == []


# ── the files ────────────────────────────────────────────────────────────────────────────────────────────────────────


def one_file(data: bytes, **more: Any) -> tuple[SourcePackage, FileEntry, Counting]:
    storage = Counting({"model/x.bin": data})
    package = SourcePackage(FOLDER, storage=storage, limits=LIMITS, **more)
    (entry,) = package.manifest("").files
    return package, entry, storage


@pytest.mark.parametrize("size", [0, 1, 5_000, MAX_KEPT_FILE_BYTES, MAX_KEPT_FILE_BYTES + 1, 3_000_000])
def test_any_part_of_a_file_is_what_it_is_on_a_disk(size: int) -> None:
    data = os.urandom(size)
    package, entry, _ = one_file(data)
    real = io.BytesIO(data)
    with package.open("", entry) as file:
        for offset, whence, length in [
            (0, 0, 10), (5, 1, 100_000), (-7, 2, 20), (1_000_000, 0, 1), (0, 0, -1), (-20, 1, 5), (2_999_999, 0, 9),
        ]:  # fmt: skip
            if whence == 2:
                offset = max(offset, -size)
            if whence == 1:
                offset = max(offset, -real.tell())
            assert file.seek(offset, whence) == real.seek(offset, whence)
            assert file.read(length) == real.read(length)
    assert package.read("", entry, 100) == data[:100]


def test_reading_on_takes_longer_and_longer_pieces_and_jumping_takes_short_ones() -> None:
    package, entry, storage = one_file(bytes(20_000_000))
    with package.open("", entry) as file:
        for place in (0, 10_000_000, 19_000_000):
            file.seek(place)
            file.read(30)
        assert [stop - start for _, start, stop in storage.ranges] == [4096, 4096, 4096]
        file.seek(0)
        while file.read(1 << 18):
            pass
    lengths = [stop - start for _, start, stop in storage.ranges[3:]]
    assert len(lengths) < 30
    assert max(lengths) == 4 * 1024 * 1024
    assert sum(lengths) == 20_000_000


def test_no_more_is_fetched_than_is_allowed() -> None:
    package, entry, storage = one_file(bytes(1_000_000), max_read_bytes=100_000)
    with package.open("", entry) as file, pytest.raises(NotRead):
        file.read(200_000)
    with package.open("", entry) as file:
        assert len(file.read(50_000)) == 50_000
    assert sum(stop - start for _, start, stop in storage.ranges) <= 100_000


def test_an_archive_is_not_taken_for_a_folder() -> None:
    with pytest.raises(SourceRefused, match=r"SRC009.*s3://models/iris\.zip is an archive.*check the folder"):
        checked(FakeStorage({"models": {}}), SourceLocation(bucket="models", prefix="iris.zip"))
