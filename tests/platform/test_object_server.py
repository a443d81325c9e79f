"""The object server is a real S3 server: it stores, lists, joins, keeps versions, and refuses whom it does not know."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from scripts.object_server import ObjectServer, ObjectServerError
from tests.platform.processes import is_closed, listening_sockets, processes_of

MIB = 1 << 20


def client_of(server: ObjectServer, secret_key: str | None = None) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint_url,
        region_name=server.region,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=secret_key or server.secret_key,
        config=Config(
            s3={"addressing_style": "path"},
            retries={"total_max_attempts": 1},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    with ObjectServer(tmp_path_factory.mktemp("objects")) as running:
        yield running


@pytest.fixture(scope="module")
def bucket(server: ObjectServer) -> str:
    client_of(server).create_bucket(Bucket="models")
    return "models"


def test_an_object_comes_back_as_it_was_put(server: ObjectServer, bucket: str) -> None:
    client = client_of(server)
    client.put_object(Bucket=bucket, Key="a/model/config.json", Body=b'{"model_type": "XGBoost"}')

    answer = client.get_object(Bucket=bucket, Key="a/model/config.json")

    assert answer["Body"].read() == b'{"model_type": "XGBoost"}'
    assert answer["ContentLength"] == 25


def test_a_listing_goes_on_over_pages(server: ObjectServer, bucket: str) -> None:
    client = client_of(server)
    keys = [f"many/{number:03}" for number in range(25)]
    for key in keys:
        client.put_object(Bucket=bucket, Key=key, Body=b"x")

    pages = list(
        client.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix="many/", PaginationConfig={"PageSize": 10}
        )
    )

    assert [len(page["Contents"]) for page in pages] == [10, 10, 5]
    assert [entry["Key"] for page in pages for entry in page["Contents"]] == keys


def test_parts_become_one_object(server: ObjectServer, bucket: str) -> None:
    client = client_of(server)
    parts = [b"a" * 5 * MIB, b"b" * 5 * MIB, b"c"]
    upload = client.create_multipart_upload(Bucket=bucket, Key="large")["UploadId"]
    etags = [
        client.upload_part(Bucket=bucket, Key="large", UploadId=upload, PartNumber=number, Body=body)["ETag"]
        for number, body in enumerate(parts, 1)
    ]
    client.complete_multipart_upload(
        Bucket=bucket,
        Key="large",
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]},
    )

    middle = client.get_object(Bucket=bucket, Key="large", Range=f"bytes={5 * MIB - 1}-{5 * MIB}")

    assert middle["Body"].read() == b"ab"
    assert client.head_object(Bucket=bucket, Key="large")["ContentLength"] == 10 * MIB + 1


def test_versions_are_kept_when_the_bucket_asks_for_it(server: ObjectServer) -> None:
    client = client_of(server)
    client.create_bucket(Bucket="kept")
    client.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    first = client.put_object(Bucket="kept", Key="k", Body=b"1")["VersionId"]
    client.put_object(Bucket="kept", Key="k", Body=b"2")

    assert client.get_object(Bucket="kept", Key="k", VersionId=first)["Body"].read() == b"1"
    assert client.get_object(Bucket="kept", Key="k")["Body"].read() == b"2"


def test_a_wrong_secret_is_refused(server: ObjectServer, bucket: str) -> None:
    with pytest.raises(ClientError) as refusal:
        client_of(server, secret_key="guessed").list_objects_v2(Bucket=bucket)

    assert refusal.value.response["Error"]["Code"] == "SignatureDoesNotMatch"


def test_a_missing_bucket_has_its_own_error(server: ObjectServer) -> None:
    with pytest.raises(ClientError) as refusal:
        client_of(server).list_objects_v2(Bucket="nowhere")

    assert refusal.value.response["Error"]["Code"] == "NoSuchBucket"


def test_all_four_servers_listen_on_the_loopback_interface_alone(server: ObjectServer) -> None:
    sockets = listening_sockets(processes_of(server.state_dir))

    assert len(sockets) == 4
    # 127.0.0.1 in the kernel's byte order.
    assert {address for address, _ in sockets} == {"0100007F"}


def test_only_the_owner_can_read_the_secret(server: ObjectServer) -> None:
    holders = [path for path in server.state_dir.rglob("*") if path.is_file() and server.secret_key in _text(path)]

    assert {path.name for path in holders} == {"credentials.json", "proxy.conf"}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in holders)


def test_the_file_of_the_keys_has_what_a_client_needs_and_stays_that_of_the_secrets(server: ObjectServer) -> None:
    kept = json.loads((server.state_dir / "credentials.json").read_text())

    assert (kept["endpoint"], kept["access_key"]) == (server.endpoint_url, server.access_key)
    client = boto3.client(
        "s3",
        endpoint_url=kept["endpoint"],
        aws_access_key_id=kept["access_key"],
        aws_secret_access_key=kept["secret_key"],
        region_name=server.region,
    )
    client.list_buckets()
    # The same account again at the next start.
    assert ObjectServer(server.state_dir).access_key == server.access_key


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace")


def test_two_servers_have_different_secrets(server: ObjectServer, tmp_path: Path) -> None:
    assert ObjectServer(tmp_path).secret_key != server.secret_key


def test_the_airflow_connection_carries_what_a_client_needs(server: ObjectServer) -> None:
    connection = json.loads(server.airflow_connection_json())

    assert (connection["conn_type"], connection["login"], connection["password"]) == (
        "aws",
        server.access_key,
        server.secret_key,
    )
    assert connection["extra"]["endpoint_url"] == server.endpoint_url


def test_a_second_server_in_the_same_folder_is_refused(server: ObjectServer) -> None:
    with pytest.raises(ObjectServerError, match="another object server runs from"):
        ObjectServer(server.state_dir).start()

    server.check()


def test_a_stopped_server_leaves_no_process_and_no_port_and_keeps_its_objects(tmp_path: Path) -> None:
    with ObjectServer(tmp_path) as first:
        client_of(first).create_bucket(Bucket="bucket")
        client_of(first).put_object(Bucket="bucket", Key="k", Body=b"kept")
        ports = {port for _, port in listening_sockets(processes_of(tmp_path))}

    assert len(ports) == 4
    assert processes_of(tmp_path) == set()
    assert all(is_closed(port) for port in ports)
    with ObjectServer(tmp_path) as second:
        assert second.endpoint_url == first.endpoint_url
        assert client_of(second).get_object(Bucket="bucket", Key="k")["Body"].read() == b"kept"
