from __future__ import annotations

import gc
import json
import os
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from airlock.adapters.s3 import S3Storage
from airlock.domain.package import ListedObject
from airlock.domain.source import SourceLocation
from airlock.errors import SourceChanged, SourceRefused, StorageUnavailable
from tests.conftest import Bucket


def connect(name: str, connection: dict[str, Any]) -> None:
    os.environ[f"AIRFLOW_CONN_{name.upper()}"] = json.dumps(connection)


@pytest.fixture
def connection(object_server: Any) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(object_server.airflow_connection_json())
    if isinstance(value.get("extra"), str):
        value["extra"] = json.loads(value["extra"])
    # A dead server is noticed sooner than a user would want it to be.
    value["extra"]["config_kwargs"] = {
        **value["extra"].get("config_kwargs", {}),
        "retries": {"max_attempts": 1},
        "connect_timeout": 2,
        "read_timeout": 5,
    }
    return value


@pytest.fixture
def storage(connection: dict[str, Any]) -> Iterator[S3Storage]:
    connect("real_s3", connection)
    yield S3Storage("real_s3")
    os.environ.pop("AIRFLOW_CONN_REAL_S3")


def folder(bucket: Bucket, prefix: str = "") -> SourceLocation:
    return SourceLocation(bucket=bucket.name, prefix=prefix)


def whole(storage: S3Storage, bucket: Bucket, item: ListedObject) -> bytes:
    return b"".join(storage.read(folder(bucket), item, 0, item.size_bytes))


def test_a_folder_is_listed_whole_over_many_pages(storage: S3Storage, bucket: Bucket) -> None:
    storage.page_size = 10
    for number in range(25):
        bucket.put(f"many/model/{number:04d}", b"")
    bucket.put("manyother/model/x", b"x")
    keys = [item.key for item in storage.list(folder(bucket, "many/"))]
    assert keys == [f"many/model/{number:04d}" for number in range(25)]


@pytest.mark.parametrize("body", [b"", b"x", os.urandom(1_000_003)])
def test_an_object_is_read_byte_for_byte(storage: S3Storage, bucket: Bucket, body: bytes) -> None:
    bucket.put("p/model/文件 1.bin", body)
    (item,) = storage.list(folder(bucket, "p/"))
    assert whole(storage, bucket, item) == body
    assert item.size_bytes == len(body)


@pytest.mark.parametrize("start,stop", [(0, 1), (7, 300_000), (999_999, 1_000_003), (0, 1_000_003)])
def test_any_range_of_an_object_is_read(storage: S3Storage, bucket: Bucket, start: int, stop: int) -> None:
    body = os.urandom(1_000_003)
    bucket.put("p/model/a+b %7E&c=~!'()文.bin", body)
    (item,) = storage.list(folder(bucket, "p/"))
    assert b"".join(storage.read(folder(bucket), item, start, stop)) == body[start:stop]


def test_an_object_replaced_after_the_listing_is_an_error(storage: S3Storage, bucket: Bucket) -> None:
    bucket.put("p/model/a", b"first")
    (item,) = storage.list(folder(bucket, "p/"))
    bucket.put("p/model/a", b"other")
    with pytest.raises(SourceChanged, match=r"SRC006.*p/model/a"):
        whole(storage, bucket, item)


def test_an_object_deleted_after_the_listing_is_an_error(storage: S3Storage, bucket: Bucket) -> None:
    bucket.put("p/model/a", b"first")
    (item,) = storage.list(folder(bucket, "p/"))
    bucket.delete("p/model/a")
    with pytest.raises(SourceChanged, match="SRC006"):
        whole(storage, bucket, item)


def test_a_missing_bucket_is_named(storage: S3Storage) -> None:
    with pytest.raises(SourceRefused, match=r"SRC001.*s3://no-such-bucket-at-all/p/.*does not exist"):
        list(storage.list(SourceLocation(bucket="no-such-bucket-at-all", prefix="p/")))


def test_a_wrong_secret_is_refused_without_showing_it(connection: dict[str, Any], bucket: Bucket) -> None:
    connect("wrong_s3", {**connection, "password": "not-the-secret"})
    with pytest.raises(SourceRefused, match=r"SRC003.*wrong_s3") as caught:
        list(S3Storage("wrong_s3").list(folder(bucket)))
    assert "not-the-secret" not in str(caught.value)


def test_an_unknown_access_key_is_refused(connection: dict[str, Any], bucket: Bucket) -> None:
    connect("unknown_s3", {**connection, "login": "nobody:nobody"})
    with pytest.raises(SourceRefused, match=r"SRC00[23]"):
        list(S3Storage("unknown_s3").list(folder(bucket)))


def test_a_missing_connection_is_named() -> None:
    with pytest.raises(SourceRefused, match=r"SRC005.*'there_is_none'"):
        list(S3Storage("there_is_none").list(SourceLocation(bucket="bucket", prefix="")))


def test_a_server_that_is_away_is_a_transient_error_with_its_address(connection: dict[str, Any]) -> None:
    extra = {**connection["extra"], "endpoint_url": "http://127.0.0.1:1"}
    connect("away_s3", {**connection, "extra": extra})
    with pytest.raises(StorageUnavailable, match=r"SRC004.*127\.0\.0\.1:1"):
        list(S3Storage("away_s3").list(SourceLocation(bucket="bucket", prefix="")))


def test_a_client_that_is_no_longer_needed_is_gone_with_its_connections(
    connection: dict[str, Any], bucket: Bucket
) -> None:
    bucket.put("a.txt", b"text")
    connect("passing_s3", connection)
    passing = S3Storage("passing_s3")
    (item,) = passing.list(folder(bucket))
    assert whole(passing, bucket, item) == b"text"
    gone = weakref.ref(passing)
    del passing
    gc.collect()
    assert gone() is None
