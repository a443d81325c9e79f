"""A package of `model_type` Image through the whole DAG: a real registry that wants a password, a real engine."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Callable, Iterator

import pytest

from tests.backends import user_images as images
from tests.backends.image_registry import ACCOUNT, PASSWORD, ImageRegistry, installed
from tests.conftest import Bucket
from tests.dag.conftest import Installation, Outcome


@pytest.fixture
def pushed(docker: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The reference of an image that lies in a guarded registry, and not on this engine."""
    import docker as sdk

    shell = images.static_shell()
    if not installed() or shell is None:
        pytest.skip("docker-registry or busybox-static is not installed")
    client = sdk.from_env()
    registry = ImageRegistry(tmp_path_factory.mktemp("registry") / "guarded", guarded=True)
    reference = f"{registry.host}/team/sums-{uuid.uuid4().hex[:8]}:1"
    images.shell_image(client, reference, shell)
    client.images.push(reference, auth_config={"username": ACCOUNT, "password": PASSWORD})
    client.images.remove(reference)
    yield reference
    for image in client.images.list(reference.rpartition(":")[0], all=True):
        with contextlib.suppress(sdk.errors.APIError):
            client.images.remove(image.id, force=True)
    client.close()
    registry.close()


def test_an_image_is_pulled_with_a_connection_tested_and_registered_by_its_digest(
    docker: Installation,
    bucket: Bucket,
    pushed: str,
    run_import: Callable[..., Outcome],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host = pushed.partition("/")[0]
    account = {"conn_type": "docker", "host": host, "login": ACCOUNT, "password": PASSWORD}
    config = json.dumps(images.a_shell_config(pushed)).encode()
    bucket.put("sums/model/config.json", config)
    bucket.put("sums/model/samples/three.json", b'{"numbers": [1, 2, 3]}')
    bucket.put("sums/model/samples/three.response.json", b'{"sum": 6}')
    monkeypatch.setenv("AIRFLOW_CONN_IMAGES", json.dumps(account))
    monkeypatch.setenv("AIRFLOW__AIRLOCK__IMAGE_CONNECTIONS", "images")
    outcome = run_import(model_name="sums", source_location=f"s3://{bucket.name}/sums/", install_type=["batch"])
    assert outcome.state == "success"
    record = outcome.record
    assert record is not None
    assert (record["engine"], record["runtime"], record["isolation"]) == ("Image", "", "container")
    assert record["image"] == f"{pushed.rpartition(':')[0]}@{record['image_digest']}"
    assert record["devices"] == {"cpu": "passed", "gpu": "not served", "ascend": "not served"}
    assert record["install_type"] == ["batch"]
    assert outcome.xcom["smoke_cpu"]["checked"] == ["three.json"]
    assert outcome.xcom["smoke_cpu"]["user"] == "65534:65534"
    assert PASSWORD not in json.dumps(outcome.xcom)
    found = docker.wiring().registry_reader.find("sums", "0.0.1")
    assert found is not None
    assert found.summary == record
    assert found.details["image"]["own"]["ports"] == [8080]
