"""Archives on their way into the store: from a real server, through faults, in bounded memory, leaving nothing."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airlock.adapters.clock import SystemClock
from airlock.adapters.package_store import PackageFolderStore
from airlock.adapters.s3 import S3Storage
from airlock.domain.package import FetchLimits, Package
from airlock.domain.source import SourceLocation
from airlock.errors import PackageRejected, StorageUnavailable
from airlock.ports.package_store import IncomingFile
from airlock.steps.fetch import stage
from tests.adapters.fault_proxy import FaultProxy
from tests.conftest import Bucket
from tests.unit.given import iris_files

FILES = {
    **iris_files(),
    "model/weights.bin": random.Random(7).randbytes(3_000_000),
    "model/空.bin": b"",
    "README": b"x",
}
LIMITS = FetchLimits(max_package_bytes=20_000_000, max_objects=1000)


def zipped() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)
    return made.getvalue()


def tarred() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, data in FILES.items():
            entry = tarfile.TarInfo(f"./{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return made.getvalue()


@pytest.fixture
def staged(
    object_server: Any, proxy: FaultProxy, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Package]:
    """Stages what a key or folder of the bucket names, into one store."""
    connection = json.loads(object_server.airflow_connection_json())
    connection["extra"]["endpoint_url"] = proxy.url
    monkeypatch.setenv("AIRFLOW_CONN_ARCHIVES_S3", json.dumps(connection))
    store = PackageFolderStore(tmp_path / "store", SystemClock())

    def go(name: str) -> Package:
        location = SourceLocation.parse(f"s3://{bucket.name}/{name}")
        assert location is not None
        storage = S3Storage("archives_s3")
        return stage(location, storage=storage, store=store, limits=LIMITS, scope="run", log=lambda line: None)

    return go


def test_a_folder_and_its_archives_are_one_package_and_a_known_archive_is_not_read(
    staged: Callable[[str], Package], proxy: FaultProxy, bucket: Bucket
) -> None:
    for path, data in FILES.items():
        bucket.put(f"folder/{path}", data)
    archives = {"a/iris.zip": zipped(), "a/iris.tar": tarred(), "b/iris.tgz": gzip.compress(tarred(), 1)}
    for key, data in archives.items():
        bucket.put(key, data)
    digest = staged("folder/").digest
    for key, data in archives.items():
        first = staged(key)
        assert (first.digest, first.bytes_copied) == (digest, len(data))
        proxy.asked.clear()
        again = staged(key)
        assert (again.digest, again.bytes_copied, proxy.asked) == (digest, 0, [])


def everything(store: Path) -> list[str]:
    return sorted(path.name for path in store.rglob("*") if path.is_file() and path.name != "lock")


def test_a_refused_archive_leaves_nothing_in_the_store(
    staged: Callable[[str], Package], bucket: Bucket, tmp_path: Path
) -> None:
    damaged = zipped()
    bucket.put("one.zip", damaged[:2_000_000] + b"?" + damaged[2_000_001:])
    bucket.put("two.tar.gz", gzip.compress(tarred())[:-30])
    for key in ("one.zip", "two.tar.gz"):
        with pytest.raises(PackageRejected, match="PKG012"):
            staged(key)
        assert everything(tmp_path / "store") == []


def test_a_copy_of_an_archive_that_broke_off_goes_on_where_it_stopped(tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("model/config.json", b"{}")
        archive.writestr("model/weights.bin", os.urandom(50_000_000))
    data = made.getvalue()
    asked: list[int] = []

    def read(start: int, stop: int, until: int) -> Any:
        asked.append(start)
        if start >= until:
            # What other threads have begun is whole by then.
            time.sleep(0.5)
            raise StorageUnavailable("SRC004", "It broke off.", "")
        for position in range(start, stop, 1 << 20):
            yield data[position : min(position + (1 << 20), stop)]

    def archive_until(until: int) -> IncomingFile:
        return IncomingFile(size_bytes=len(data), read=lambda start, stop: read(start, stop, until))

    store = PackageFolderStore(tmp_path, SystemClock())
    arguments = ("a" * 64, SourceLocation.parse("s3://bucket/a.zip").archive)  # type: ignore[union-attr]
    chosen = {name: name for name in ("model/config.json", "model/weights.bin")}

    def choose(members: Any) -> dict[str, str]:
        assert {member.name for member in members} == set(chosen)
        return chosen

    with pytest.raises(StorageUnavailable):
        store.stage_archive(*arguments, archive_until(20_000_000), choose, lambda line: None)  # type: ignore[arg-type]
    asked.clear()
    staged = store.stage_archive(*arguments, archive_until(len(data)), choose, lambda line: None)  # type: ignore[arg-type]
    assert min(asked) > 0
    assert staged.bytes_read < len(data)
    assert staged.manifest.model_paths()["weights.bin"].size_bytes == 50_000_000
    assert list(store.folders.incoming.iterdir()) == []
