"""Packages of many, empty and oddly named files, whole and byte for byte."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from airlock.adapters.clock import SystemClock
from airlock.adapters.folder_storage import FolderStorage
from airlock.adapters.package_store import PackageFolderStore
from airlock.adapters.s3 import S3Storage
from airlock.domain.package import FetchLimits
from airlock.domain.source import SourceLocation
from airlock.ports.object_storage import ObjectStorage
from airlock.steps.fetch import stage
from tests.conftest import Bucket
from tests.unit.given import manifest_of

MANY = {f"model/{number % 100:02d}/{number:05d}.bin": b"%d" % number * (number % 50) for number in range(10_000)}
#: Names that clients and servers escape in different ways, one folder deeper than another, and nothing in some of them.
ODD = {
    "model/config.json": b"{}",
    "model/empty": b"",
    "model/a+b %7E&c=~!'().bin": b"1",
    "model/模型/权重 1.bin": b"2",
    "model/é/ü.txt": b"",
    "model/🚀.om": b"3",
    "model/" + "d/" * 60 + "deep": b"4",
    "model/" + "n" * 255: b"5",
    "model/#hash?query;semi,comma@at:colon": b"6",
}


@pytest.fixture
def storage(object_server: Any, monkeypatch: pytest.MonkeyPatch) -> S3Storage:
    monkeypatch.setenv("AIRFLOW_CONN_MANY_S3", object_server.airflow_connection_json())
    return S3Storage("many_s3")


def staged(place: str, storage: ObjectStorage, root: Path) -> dict[str, bytes]:
    """Path → bytes of the package that a place gives."""
    location = SourceLocation.parse(place)
    assert location is not None
    store = PackageFolderStore(root, SystemClock())
    limits = FetchLimits(max_package_bytes=10**9, max_objects=20_000)
    told: list[str] = []
    package = stage(location, storage=storage, store=store, limits=limits, scope="run", log=told.append)
    folder = Path(store.folder(package.digest))
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert package.digest == manifest_of(found).digest()
    assert (package.file_count, package.bytes_copied) == (len(found), sum(map(len, found.values())))
    return found


def put(bucket: Bucket, files: Mapping[str, bytes]) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda item: bucket.put(f"p/{item[0]}", item[1]), files.items()))


def test_odd_names_and_empty_files_come_as_they_are_and_markers_of_folders_do_not(
    storage: S3Storage, bucket: Bucket, tmp_path: Path
) -> None:
    put(bucket, {**ODD, "model/": b"", "model/nothing/": b"", "model/模型/": b""})
    assert staged(f"s3://{bucket.name}/p/", storage, tmp_path) == ODD


def test_ten_thousand_small_files_of_a_folder(tmp_path: Path) -> None:
    for path, data in MANY.items():
        target = tmp_path / "source" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    storage = FolderStorage([tmp_path / "source"], SystemClock())
    assert staged(f"file://{tmp_path}/source", storage, tmp_path / "store") == MANY


@pytest.mark.many
def test_ten_thousand_small_objects(storage: S3Storage, bucket: Bucket, tmp_path: Path) -> None:
    put(bucket, MANY)
    assert staged(f"s3://{bucket.name}/p/", storage, tmp_path) == MANY
