"""Images with the model inside, on a real engine: they serve by themselves, are the same twice, and leave nothing."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest
from backend_bench import Bench, another_process, ask, plan_baked, until_ready

from airlock.adapters import docker_bake
from airlock.domain.baking import BakePlan
from airlock.domain.image import Image
from airlock.errors import BackendUnavailable, BuildFailed, StoreDamaged


@pytest.fixture(autouse=True)
def nothing_is_left(docker_bench: Bench) -> Iterator[None]:
    yield
    assert docker_bench.leftovers() == []


def bake(bench: Bench, package: str = "adds", **changes: Any) -> tuple[BakePlan, Image]:
    plan, manifest = plan_baked(bench, package, **changes)
    return plan, bench.backend().bake(plan, manifest, bench.lines.append)


def forget(client: Any, plan: BakePlan) -> None:
    for tag in (plan.model.tag, plan.content_tag):
        with contextlib.suppress(docker.errors.ImageNotFound):
            client.images.remove(tag)


def last_layer(client: Any, tag: str) -> str:
    layers: list[str] = client.images.get(tag).attrs["RootFS"]["Layers"]
    return layers[-1]


def litter(client: Any, plan: BakePlan) -> list[str]:
    label = {"label": f"io.airlock.layer={plan.content_tag}"}
    untagged = client.images.list(filters={**label, "dangling": True})
    return [*client.containers.list(all=True, filters=label, ignore_removed=True), *untagged]


def test_an_image_with_the_model_inside_serves_in_the_sandbox_without_the_package(
    docker_bench: Bench, tmp_path: Path
) -> None:
    plan, image = bake(docker_bench)
    assert (image.reference, image.baked) == (plan.model.tag, True)
    assert [layer.name for layer in image.layers][-2:] == ["package", "model"]
    assert f"Laying {len(plan_baked(docker_bench, 'adds')[1].files)} files" in Path(image.layers[-2].log).read_text()
    backend = docker_bench.backend(package_folder=lambda digest: str(tmp_path))
    with backend.serve(docker_bench.launch(image=image)) as service:
        until_ready(service)
        assert ask(service) == 6


def test_it_serves_by_itself_on_port_8080(docker_bench: Bench, client: Any) -> None:
    _, image = bake(docker_bench)
    container = client.containers.run(image.reference, detach=True)
    try:
        container.reload()
        address = container.attrs["NetworkSettings"]["IPAddress"]
        deadline = time.monotonic() + 60
        while True:
            connection = http.client.HTTPConnection(address, 8080, timeout=10)
            try:
                connection.request("POST", "/", '{"numbers": [4, 5]}', {"Content-Type": "application/json"})
                answer = connection.getresponse()
                body = answer.read()
                if answer.status == 200:
                    break
            except OSError:
                pass
            finally:
                connection.close()
            container.reload()
            assert container.status == "running", container.logs()
            assert time.monotonic() < deadline, container.logs()
            time.sleep(0.1)
        assert json.loads(body)["data"]["resp_data"] == 9
    finally:
        container.remove(force=True, v=True)


def test_it_is_the_runtimes_image_and_says_what_it_holds(docker_bench: Bench, client: Any) -> None:
    _, image = bake(docker_bench)
    runtime, made = (client.images.get(name).attrs for name in (docker_bench.image().reference, image.reference))
    assert made["RootFS"]["Layers"][:-1] == runtime["RootFS"]["Layers"], "one layer more"
    own, now = runtime["Config"], made["Config"]
    assert set(now["Env"]) - set(own["Env"]) == {"AIRLOCK_MODEL_NAME=tested"}
    for key in ("Cmd", "Entrypoint", "User", "WorkingDir", "ExposedPorts", "Volumes", "Healthcheck"):
        assert now.get(key) == own.get(key), key
    assert not now["Hostname"]
    added = {name: value for name, value in now["Labels"].items() if own["Labels"].get(name) != value}
    digest = plan_baked(docker_bench, "adds")[1].digest()
    assert {name: value for name, value in added.items() if name != "io.airlock.layer"} == {
        "org.opencontainers.image.title": "tested",
        "org.opencontainers.image.version": "0.0.1",
        "org.opencontainers.image.source": "s3://models/tested/",
        "org.opencontainers.image.base.name": docker_bench.image().reference,
        "io.airlock.package": f"sha256:{digest}",
    }
    assert own["Labels"]["io.airlock.engine"] == "Scikit_Learn"
    assert not any("package" in name for name in own["Labels"]), "all packages share it"


def test_equal_packages_give_the_same_layer_whenever_and_from_wherever_they_are_laid_in(
    docker_bench: Bench, client: Any, tmp_path: Path
) -> None:
    plan, image = bake(docker_bench)
    first = last_layer(client, image.reference)
    forget(client, plan)
    copy = tmp_path / "copy"
    shutil.copytree(docker_bench.package_folder("adds"), copy)
    for path in copy.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    _, manifest = plan_baked(docker_bench, "adds")
    again = docker_bench.backend(package_folder=lambda digest: str(copy)).bake(plan, manifest, lambda line: None)
    assert not again.layers[-2].reused
    assert last_layer(client, again.reference) == first
    other_plan, other = bake(docker_bench, "sleeps")
    assert last_layer(client, other.reference) != first
    forget(client, other_plan)


def test_an_engine_that_wants_every_layer_in_an_archive_gets_a_container_instead(
    docker_bench: Bench, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, loaded = bake(docker_bench)
    configured = client.images.get(loaded.reference).attrs["Config"]
    forget(client, plan)
    monkeypatch.setattr(docker_bake, "_keeps_images_elsewhere", lambda info: True)
    _, committed = bake(docker_bench)
    assert not committed.layers[-2].reused
    assert litter(client, plan) == []
    assert client.images.get(committed.reference).attrs["Config"]["Env"] == configured["Env"]
    with docker_bench.backend().serve(docker_bench.launch(image=committed)) as service:
        until_ready(service)
        assert ask(service) == 6
    forget(client, plan)


@pytest.mark.parametrize(
    "status, elsewhere",
    [
        ([["Backing Filesystem", "extfs"], ["Supports d_type", "true"]], False),
        ([["driver-type", "io.containerd.snapshotter.v1"]], True),
        (None, False),
    ],
)
def test_an_engine_says_where_its_images_are(status: Any, elsewhere: bool) -> None:
    assert docker_bake._keeps_images_elsewhere({"Driver": "overlay2", "DriverStatus": status}) is elsewhere


def test_the_image_tells_how_it_was_made(docker_bench: Bench, client: Any) -> None:
    plan, image = bake(docker_bench)
    below = client.api.history(docker_bench.image().reference)
    steps = client.api.history(plan.content_tag)
    assert steps[0]["Comment"] == f"package sha256:{plan.package_digest}"
    assert steps[0]["Size"] == plan_baked(docker_bench, "adds")[1].size_bytes
    assert [step["CreatedBy"] for step in steps[1:]] == [step["CreatedBy"] for step in below]
    assert image.baked


def test_it_is_found_again_and_another_version_shares_its_package(docker_bench: Bench) -> None:
    _, image = bake(docker_bench)
    _, again = bake(docker_bench)
    assert [layer.reused for layer in again.layers[-2:]] == [True, True]
    assert (again.reference, again.digest) == (image.reference, image.digest)
    _, other = bake(docker_bench, model_version="0.0.2")
    assert [layer.reused for layer in other.layers[-2:]] == [True, False]
    assert other.reference != image.reference


@pytest.mark.parametrize("spoil", ["shorter", "longer", "changed", "missing"])
def test_a_package_that_is_not_what_its_manifest_says_is_refused_and_nothing_stays(
    docker_bench: Bench, client: Any, tmp_path: Path, spoil: str
) -> None:
    plan, manifest = plan_baked(docker_bench, "crashes")
    copy = tmp_path / "copy"
    shutil.copytree(docker_bench.package_folder("crashes"), copy)
    file = copy / "model" / "model.m"
    content = file.read_bytes()
    file.write_bytes({"shorter": content[:-1], "longer": content + b"x", "changed": b"x" + content[1:]}.get(spoil, b""))
    if spoil == "missing":
        file.unlink()
    with pytest.raises(StoreDamaged) as caught:
        docker_bench.backend(package_folder=lambda digest: str(copy)).bake(plan, manifest, lambda line: None)
    assert caught.value.code == "STO003"
    assert "model/model.m" in caught.value.message
    assert litter(client, plan) == []
    assert not client.images.list(plan.content_tag)


def test_a_runtime_that_is_gone_is_said_to_be_gone(docker_bench: Bench) -> None:
    plan, manifest = plan_baked(docker_bench, "crashes")
    gone = replace(plan, image=replace(plan.image, reference="airlock/serving:gone", digest="sha256:" + "00" * 32))
    with pytest.raises(BuildFailed) as caught:
        docker_bench.backend().bake(gone, manifest, lambda line: None)
    assert caught.value.code == "BLD012"


def test_one_that_takes_too_long_is_ended_and_leaves_nothing(docker_bench: Bench, client: Any) -> None:
    big(docker_bench)
    plan, manifest = plan_baked(docker_bench, "big")
    with pytest.raises((BuildFailed, BackendUnavailable)):
        docker_bench.backend(build_timeout_s=0.01).bake(plan, manifest, lambda line: None)
    assert litter(client, plan) == []


def test_two_at_once_make_it_once(docker_bench: Bench, client: Any) -> None:
    docker_bench.image()
    start = another_process
    with start(docker_bench, "bake", "fails-to-start") as one, start(docker_bench, "bake", "fails-to-start") as other:
        answers = [json.loads(process.communicate(timeout=120)[0]) for process in (one, other)]
    made = [sum(not reused for reused in layer) for layer in zip(*answers, strict=True)]
    assert made[-2:] == [1, 1], "each is made by one of the two"
    forget(client, plan_baked(docker_bench, "fails-to-start")[0])


def test_what_a_killed_one_leaves_is_gone_after_the_next(docker_bench: Bench, client: Any) -> None:
    big(docker_bench)
    plan, _ = plan_baked(docker_bench, "big")
    with another_process(docker_bench, "bake", "big") as process:
        deadline = time.monotonic() + 60
        while not is_reading(process.pid, "model/weights.bin"):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.005)
        process.kill()
    assert litter(client, plan) == []
    assert not client.images.list(plan.content_tag)
    _, image = bake(docker_bench, "big")
    assert litter(client, plan) == []
    layer = client.images.get(image.reference).attrs["RootFS"]["Layers"][-1]
    assert layer.startswith("sha256:")
    forget(client, plan)


def is_reading(process: int, name: str) -> bool:
    """Whether a process has a file of this name open."""
    for each in Path(f"/proc/{process}/fd").glob("*"):
        with contextlib.suppress(OSError):
            if os.readlink(each).endswith(name):
                return True
    return False


def big(bench: Bench) -> None:
    """A package that is not laid in at once."""
    file = Path(bench.package_folder("big"), "model", "weights.bin")
    if not file.exists():
        block = hashlib.sha256(bench.token.encode()).digest() * 32_768
        with file.open("wb") as target:
            for _ in range(150):
                target.write(block)
