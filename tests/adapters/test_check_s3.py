"""`python -m airlock check s3://…` on a real server: its verdict, whose credentials it uses, how little it reads."""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from airlock.__main__ import main
from airlock.adapters.s3_direct import DirectStorage, connection_from_environment
from airlock.domain.model_files.reading import look_at
from airlock.domain.model_files.zip_archive import Members
from airlock.errors import SourceRefused
from tests.adapters.large_objects import ZEROS, LargeObjects
from tests.conftest import Bucket
from tests.unit.given import ROOT, SERVICE, changed, iris_files
from tests.unit.model_bytes import written

REJECTED = ROOT / "tests/packages/reject"
MB, GB = 1_000_000, 1_000_000_000


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the machine's own AWS configuration."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def keys(object_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", object_server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", object_server.secret_key)
    monkeypatch.setenv("AWS_ENDPOINT_URL", object_server.endpoint_url)


@pytest.fixture
def iris(bucket: Bucket) -> str:
    for path, data in iris_files(model__iris_dot_m=written("scikit-learn-1.9.1/iris.m")).items():
        bucket.put(f"models/iris/{path}", data)
    return f"s3://{bucket.name}/models/iris"


def output(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["check", *arguments])
    said = capsys.readouterr()
    return status, said.out, said.err


# ── the verdict ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("scheme", ["s3", "obs"])
def test_a_package_without_fault_is_taken(iris: str, scheme: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, text, _ = output(capsys, iris.replace("s3:", f"{scheme}:"))
    assert status == 0
    assert f"{iris} would be taken: 0 errors" in text
    assert "Scikit_Learn sklearn1.9-python3.11 (confidence 0.97)" in text
    assert "bytes read." in text


@pytest.mark.usefixtures("keys")
def test_a_finding_has_the_address_of_its_file_in_every_form(
    bucket: Bucket, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket.put_folder("two/", REJECTED / "two-apis/package")
    folder = f"s3://{bucket.name}/two"
    status, text, _ = output(capsys, folder)
    assert status == 1
    assert f"{folder}/model/config.json:5:11: error API001: " in text
    _, text, _ = output(capsys, "--format", "sarif", folder)
    (result,) = json.loads(text)["runs"][0]["results"]
    location = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert location == f"{folder}/model/config.json"
    _, text, _ = output(capsys, "--format", "json", folder)
    assert json.loads(text)["bytes_read"] > 0


@pytest.mark.usefixtures("keys")
def test_a_check_leaves_the_bucket_as_it_was(iris: str, bucket: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
    def listing() -> Any:
        found = bucket.client.list_objects_v2(Bucket=bucket.name)["Contents"]
        return [(item["Key"], item["ETag"], item["LastModified"]) for item in found]

    before = listing()
    assert output(capsys, iris)[0] == 0
    assert listing() == before


# ── whose credentials ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_profile_and_an_address_on_the_command_line(
    iris: str, object_server: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "credentials").write_text(
        f"[work]\naws_access_key_id = {object_server.access_key}\naws_secret_access_key = {object_server.secret_key}\n"
    )
    monkeypatch.setenv("AWS_PROFILE", "work")
    assert output(capsys, "--endpoint-url", object_server.endpoint_url, iris)[0] == 0


def test_the_variable_of_a_connection(
    iris: str, object_server: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_LAB_S3", object_server.airflow_connection_json())
    assert output(capsys, "--connection", "lab_s3", iris)[0] == 0
    address = (
        f"aws://{quote(object_server.access_key, safe='')}:{quote(object_server.secret_key, safe='')}@/"
        f"?endpoint_url={quote(object_server.endpoint_url, safe='')}&region_name={object_server.region}"
    )
    monkeypatch.setenv("AIRFLOW_CONN_LAB_S3", address)
    assert output(capsys, "--connection", "lab_s3", iris)[0] == 0


@pytest.mark.parametrize(
    "value,reason",
    [
        ("", "AIRFLOW_CONN_LAB_S3 is not set"),
        ('{"conn_type": "aws", "password": "hidden"', "is no Connection"),
        ('{"conn_type": "aws", "extra": [1]}', "is no Connection"),
        ('{"conn_type": "http", "login": "a", "password": "hidden"}', "is of type 'http'"),
        ('{"conn_type": "aws", "extra": {"role_arn": "arn:x"}}', "has role_arn, which only Airflow can use"),
        ('{"conn_type": "aws", "extra": {"config_kwargs": {"colour": 1}}}', "cannot be used"),
        ('{"conn_type": "aws", "extra": {"profile_name": "none"}}', "cannot be used"),
    ],
)
def test_a_connection_that_cannot_be_used_is_named_without_its_secret(
    value: str, reason: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_LAB_S3", value)
    status, _, said = output(capsys, "--connection", "lab_s3", "s3://bucket/x")
    assert status == 2
    assert "[SRC005]" in said
    assert reason in said
    assert "hidden" not in said


def test_a_connection_may_name_the_service_of_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"service_config": {"s3": {"endpoint_url": "https://obs.example.com"}}, "verify": False, "region_name": ""}
    monkeypatch.setenv(
        "AIRFLOW_CONN_LAB", json.dumps({"conn_type": "aws", "login": "a", "password": "b", "extra": extra})
    )
    assert connection_from_environment("lab") == {
        "endpoint_url": "https://obs.example.com",
        "verify": False,
        "aws_access_key_id": "a",
        "aws_secret_access_key": "b",
    }


def test_without_credentials_the_error_says_so(object_server: Any, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, said = output(capsys, "--endpoint-url", object_server.endpoint_url, "s3://bucket/x")
    assert status == 2
    assert "[SRC003] No access key and secret key come from the environment." in said
    with pytest.raises(SourceRefused, match="SRC003"):
        DirectStorage(endpoint_url=object_server.endpoint_url)._credentials()


@pytest.mark.usefixtures("keys")
def test_what_cannot_be_checked_ends_with_a_status_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    status, _, said = output(capsys, "s3://no-such-bucket-at-all/x")
    assert (status, "[SRC001]" in said) == (2, True)
    status, _, said = output(capsys, "s3://bucket/../x")
    assert (status, "is no folder in object storage" in said) == (2, True)
    status, _, said = output(capsys, "--max-read", "5", str(ROOT))
    assert (status, "go with s3:// or obs:// only" in said) == (2, True)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    status, _, said = output(capsys, "s3://bucket/x")
    assert (status, "[SRC003]" in said) == (2, True)


def test_nothing_of_airflow_is_imported_for_it(iris: str, object_server: Any) -> None:
    code = (
        "import sys; from airlock.__main__ import main; status = main(['check', sys.argv[1]]);"
        "heavy = {'airflow', 'docker', 'sqlalchemy', 'pydantic'} & set(sys.modules);"
        "sys.exit(f'{heavy}' if heavy else status)"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "plugins"),
        "AWS_ACCESS_KEY_ID": object_server.access_key,
        "AWS_SECRET_ACCESS_KEY": object_server.secret_key,
        "AWS_ENDPOINT_URL_S3": object_server.endpoint_url,
    }
    done = subprocess.run(
        [sys.executable, "-c", code, iris], env=environment, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")


# ── a hundred gigabytes ──────────────────────────────────────────────────────────────────────────────────────────────


def torch_pieces(storages: int, size: int, pickled: bytes = b"\x80\x02}.") -> list[bytes | int]:
    """An archive as PyTorch writes it, with storages of so many zeros: bytes, or a number of zeros."""
    small = {"net/data.pkl": pickled, "net/version": b"3\n"}
    # The checksums of the storages are wrong, and nobody would notice: they are not compared from afar.
    members = [*small.items(), *((f"net/data/{n}", size) for n in range(storages))]
    pieces: list[bytes | int] = []
    directory, at = b"", 0
    for name, data in members:
        length = data if isinstance(data, int) else len(data)
        crc = 0 if isinstance(data, int) else zlib.crc32(data)
        fields = (0, 0, 0, 0, crc, length, length, len(name))
        header = struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", 45, *fields, 0) + name.encode()
        extra = struct.pack("<HHQ", 1, 8, at)
        directory += (
            struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\x01\x02", 45, 45, *fields, len(extra), 0, 0, 0, 0, 0xFFFFFFFF)
            + name.encode()
            + extra
        )
        pieces += [header, data]
        at += len(header) + length
    count = len(members)
    end = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, len(directory), at)
    end += struct.pack("<4sIQI", b"PK\x06\x07", 0, at + len(directory), 1)
    end += struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, count, count, len(directory), 0xFFFFFFFF, 0)
    return [*pieces, directory + end]


def safetensors_pieces(tensors: int, size: int) -> list[bytes | int]:
    header = json.dumps({
        f"layer.{number}": {"dtype": "U8", "shape": [size], "data_offsets": [number * size, (number + 1) * size]}
        for number in range(tensors)
    }).encode()
    return [struct.pack("<Q", len(header)) + header, tensors * size]


def test_the_archive_of_this_test_is_one_as_pytorch_writes_it() -> None:
    pieces = torch_pieces(2, 3)
    data = b"".join(piece if isinstance(piece, bytes) else bytes(piece) for piece in pieces)
    assert [member.name for member in Members.of(io.BytesIO(data), len(data)).entries] == [
        "net/data.pkl", "net/version", "net/data/0", "net/data/1",
    ]  # fmt: skip
    (one,) = look_at("model/net.pth", len(data), io.BytesIO(data), "PyTorch").findings
    assert (one.code, "checksum" in one.message) == ("MDL004", True)
    assert look_at("model/net.pth", len(data), io.BytesIO(data), "PyTorch", summed_bytes=2).findings == ()


@pytest.fixture
def huge(object_server: Any, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> tuple[str, LargeObjects]:
    """A package of 100 GB on a server that holds 100 MB."""
    monkeypatch.setenv("AIRFLOW__AIRLOCK__MAX_PACKAGE_BYTES", str(200 * GB))
    large = LargeObjects(object_server, bucket)
    config = json.dumps(changed(model_type="PyTorch", runtime="pytorch2.13-python3.11-cpu", dependencies=None))
    service = SERVICE.replace(b"python_model_service", b"pytorch_model_service").replace(b"XgSkl", b"PT")
    bucket.put("huge/model/config.json", config.encode())
    bucket.put("huge/model/customize_service.py", service)
    large.put("huge/model/net.pth", torch_pieces(10, 4 * GB))
    large.put("huge/model/more/extra.safetensors", safetensors_pieces(60, GB))
    return f"s3://{bucket.name}/huge", large


@pytest.mark.usefixtures("keys")
def test_a_package_of_100_gb_gives_its_verdict_from_a_megabyte(
    huge: tuple[str, LargeObjects], capsys: pytest.CaptureFixture[str]
) -> None:
    address, large = huge
    status, text, said = output(capsys, "--format", "json", address)
    assert said == ""
    report = json.loads(text)
    assert report["bytes"] > 100 * GB
    assert [item["code"] for item in report["findings"] if item["severity"] != "info"] == []
    assert (status, report["complete"], report["engine"]) == (0, True, "PyTorch")
    assert report["bytes_read"] < MB

    large.put("huge/model/net.pth", torch_pieces(10, 4 * GB, pickled=b"cposix\nsystem\n(S'id'\ntR."))
    large.put("huge/model/more/extra.safetensors", [*safetensors_pieces(59, GB), ZEROS])
    status, text, _ = output(capsys, "--format", "json", address)
    report = json.loads(text)
    found = {(item["code"], item["file"]) for item in report["findings"] if item["severity"] == "error"}
    assert found == {("MDL001", "model/net.pth"), ("MDL006", "model/more/extra.safetensors")}
    assert (status, report["bytes_read"] < MB) == (1, True)
