"""Servers that are not AWS: how a bucket is addressed, what older ones do not know, and what is never sent to them."""

from __future__ import annotations

import json
import re
from typing import Any

import boto3
import pytest
from botocore.config import Config

from airlock.adapters.s3 import S3Storage
from airlock.adapters.s3_read import Access
from airlock.domain.package import ListedObject
from airlock.domain.source import SourceLocation
from airlock.errors import SourceRefused
from scripts.swift_config import STORAGE_DOMAIN
from tests.adapters.fault_proxy import Answer, FaultProxy
from tests.conftest import Bucket


def storage(
    monkeypatch: pytest.MonkeyPatch, object_server: Any, endpoint_url: str, config: dict[str, Any]
) -> S3Storage:
    connection = json.loads(object_server.airflow_connection_json())
    connection["extra"].update(endpoint_url=endpoint_url, config_kwargs=config)
    monkeypatch.setenv("AIRFLOW_CONN_OLDER_S3", json.dumps(connection))
    return S3Storage("older_s3")


def read(storage: S3Storage, bucket: Bucket) -> list[tuple[ListedObject, bytes]]:
    location = SourceLocation(bucket=bucket.name, prefix="p/")
    return [(item, b"".join(storage.read(location, item, 0, item.size_bytes))) for item in storage.list(location)]


@pytest.mark.parametrize("style", ["virtual", "path"])
def test_a_bucket_is_named_by_its_host_or_by_its_path(
    style: str, proxy: FaultProxy, object_server: Any, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("p/model/a b+c.bin", b"x" * 1000)
    config = {"s3": {"addressing_style": style}, "proxies": {"http": proxy.url}}
    monkeypatch.setenv("no_proxy", "")
    client = storage(monkeypatch, object_server, f"http://{STORAGE_DOMAIN}", config)
    ((item, data),) = read(client, bucket)
    assert (item.key, data) == ("p/model/a b+c.bin", b"x" * 1000)
    assert proxy.hosts == {f"{bucket.name}.{STORAGE_DOMAIN}" if style == "virtual" else STORAGE_DOMAIN}


@pytest.mark.parametrize(
    "style,endpoint,virtual",
    [
        ("path", "https://obs.eu-west-0.example.com", False),
        ("virtual", "https://my-bucket.obs.eu-west-0.example.com", True),
        ("auto", "https://obs.eu-west-0.example.com", False),
    ],
)
def test_the_reader_addresses_a_bucket_as_the_client_does(style: str, endpoint: str, virtual: bool) -> None:
    client = boto3.client(
        "s3",
        endpoint_url="https://obs.eu-west-0.example.com",
        region_name="eu-west-0",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=Config(s3={"addressing_style": style}),  # type: ignore[typeddict-item]
    )
    access = Access.of(client, "my-bucket", None)
    assert (access.endpoint, access.virtual_host, access.region) == (endpoint, virtual, "eu-west-0")


def test_no_checksum_is_sent_or_asked_for_even_where_the_connection_does_not_say_so(
    proxy: FaultProxy, object_server: Any, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("p/model/a", b"x")
    client = storage(monkeypatch, object_server, proxy.url, {"s3": {"addressing_style": "path"}})
    assert [data for _, data in read(client, bucket)] == [b"x"]
    assert {"authorization", "host"} <= proxy.headers
    assert [name for name in proxy.headers if "checksum" in name or "trailer" in name] == []


def test_a_server_that_knows_only_the_first_form_of_a_listing_is_listed_whole(
    proxy: FaultProxy, object_server: Any, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(25):
        bucket.put(f"p/model/{number:03d}", b"x")

    def first_form(answer: Answer) -> None:
        text = answer.body.decode()
        text = re.sub(r"<NextContinuationToken>.*?</NextContinuationToken>|<KeyCount>.*?</KeyCount>", "", text)
        answer.body = text.encode()

    proxy.listing_fault = first_form
    client = storage(monkeypatch, object_server, proxy.url, {"s3": {"addressing_style": "path"}})
    client.page_size = 10
    listed = client.list(SourceLocation(bucket=bucket.name, prefix="p/"))
    assert [item.key for item in listed] == [f"p/model/{number:03d}" for number in range(25)]


def test_signature_version_2_is_refused_by_its_name(
    proxy: FaultProxy, object_server: Any, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("p/model/a", b"x")
    config = {"s3": {"addressing_style": "path"}, "signature_version": "s3"}
    client = storage(monkeypatch, object_server, proxy.url, config)
    with pytest.raises(SourceRefused, match=r"SRC005.*signature_version.*version 4"):
        read(client, bucket)
