"""Images with the model inside: their plan, and the line of an import and of the later command on fakes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airlock.codec import encode
from airlock.domain.baking import BakePlan, archive_members, plan_bake
from airlock.domain.device import Device
from airlock.domain.image import BackendKind, BuiltLayer, Image, Isolation
from airlock.domain.package import FileEntry, Manifest
from airlock.domain.record import ModelVersion
from airlock.errors import BuildFailed, DeviceRequired, ImageRefused, SmokeFailed
from airlock.steps.bake_version import bake_version
from tests.fakes.running_service import Behaviour
from tests.unit.given import iris_files, runtime
from tests.unit.line import Line
from tests.unit.test_step_image import a_line

RUNTIME_TAG = "airlock/serving:scikit-learn-sklearn1.9-python3.11-0123456789abcdef0123"
IMAGE = Image(
    backend=BackendKind.DOCKER,
    isolation=Isolation.CONTAINER,
    reference=RUNTIME_TAG,
    digest="sha256:" + "ab" * 32,
    size_bytes=100,
    layers=(BuiltLayer(name="serving", tag=RUNTIME_TAG, reused=True, seconds=0.0),),
    log="",
)


def plan(**changes: Any) -> BakePlan:
    values = {
        "package_digest": "cd" * 32, "source": "s3://models/iris/", "model_name": "iris", "model_version": "0.0.1",
    }  # fmt: skip
    return plan_bake(runtime(), changes.pop("image", IMAGE), **{**values, **changes})


# ── the plan ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_versions_of_the_same_bytes_share_the_packages_layer_and_nothing_else_does() -> None:
    for changes in ({"model_version": "0.0.2"}, {"model_name": "other"}, {"source": "s3://elsewhere/"}):
        assert plan(**changes).content_tag == plan().content_tag, changes
        assert plan(**changes).model.tag != plan().model.tag, changes
    other_runtime = replace(IMAGE, layers=(replace(IMAGE.layers[0], tag=RUNTIME_TAG[:-1] + "4"),))
    for changes in ({"package_digest": "ce" * 32}, {"image": other_runtime}):
        assert plan(**changes).content_tag != plan().content_tag, changes
        assert plan(**changes).model.tag != plan().model.tag, changes
    assert plan().content_tag.startswith("airlock/package:scikit-learn-sklearn1.9-python3.11-")


def test_the_models_image_says_what_it_holds_and_from_where() -> None:
    text = plan(model_name='a "b" $HOME').model.dockerfile
    assert text.startswith(f"FROM {plan().content_tag}\nLABEL io.airlock.layer=airlock/model:")
    for line in (
        'org.opencontainers.image.source="s3://models/iris/"',
        'org.opencontainers.image.version="0.0.1"',
        f'io.airlock.package="sha256:{"cd" * 32}"',
        'org.opencontainers.image.title="a \\"b\\" \\$HOME"',
        'ENV AIRLOCK_MODEL_NAME="a \\"b\\" \\$HOME"',
    ):
        assert line in text, text


def test_every_folder_comes_once_and_before_what_is_in_it() -> None:
    paths = ["model/a/b/c.bin", "model/a/d.bin", "model/config.json", "model/ž.txt"]
    manifest = Manifest.of(FileEntry(path=path, size_bytes=1, sha256="00") for path in reversed(paths))
    assert [(member.path, member.entry is None) for member in archive_members(manifest)] == [
        ("opt", True),
        ("opt/airlock", True),
        ("opt/airlock/package", True),
        ("opt/airlock/package/model", True),
        ("opt/airlock/package/model/a", True),
        ("opt/airlock/package/model/a/b", True),
        ("opt/airlock/package/model/a/b/c.bin", False),
        ("opt/airlock/package/model/a/d.bin", False),
        ("opt/airlock/package/model/config.json", False),
        ("opt/airlock/package/model/ž.txt", False),
    ]


# ── with the import ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_image_with_the_model_inside_is_what_is_tested_and_recorded() -> None:
    line = Line()
    version = line.import_model(bake_model=True)
    assert [launch.image for launch in line.backend.launches] == [version.image]
    assert version.image.baked
    summary = version.summary()
    assert (summary["baked"], summary["image"]) == (True, version.image.reference)
    assert summary["image"].startswith("airlock/model:")
    assert [layer.name for layer in version.image.layers] == ["base", "serving", "package", "model"]
    told = [event for event in line.events() if "with the model inside" in event]
    assert len(told) == 1
    assert f"{version.image.reference}, {version.image.digest}; package layer made of " in told[0]


def test_without_the_wish_the_package_is_mounted() -> None:
    version = Line().import_model()
    assert not version.image.baked
    assert version.summary()["baked"] is False


def test_an_image_of_the_users_own_is_not_baked() -> None:
    with pytest.raises(ImageRefused) as caught:
        a_line().until_built(bake_model=True)
    assert caught.value.code == "IMG013"
    assert "swr.example.com/org/sums:1.0" in caught.value.message


# ── for a version that is there already ──────────────────────────────────────────────────────────────────────────────


def baked(line: Line, version: ModelVersion) -> ModelVersion:
    return bake_version(
        version,
        store=line.store,
        backend=line.backend,
        registry=line.registry,
        catalogue=line.catalogue,
        clock=line.clock,
        base_image_prefix="",
        expectations=line.expectations,
        details_of=encode,
        log=line.build_log.append,
    )


def test_a_registered_version_gets_its_image_tested_and_recorded() -> None:
    line = Line()
    version = line.import_model()
    made = baked(line, version)
    assert made.image.baked
    assert line.backend.launches[-1].image == made.image
    row = line.row()
    assert row.summary["image"] == made.image.reference
    assert row.summary["images"]["cpu"]["image_digest"] == made.image.digest
    assert row.details["image"]["baked"] is True
    assert line.events()[-1] == f"The version's image holds the model now: {made.image.reference}."
    assert baked(line, made) is made, "once is enough"


def test_an_image_that_does_not_answer_leaves_the_record_as_it_was() -> None:
    line = Line()
    version = line.import_model()
    before = line.row().summary
    line.backend.behaviour = Behaviour(answer=b'{"other": 1}')
    with pytest.raises(SmokeFailed):
        baked(line, version)
    assert line.row().summary == before


def test_a_worker_without_the_versions_devices_does_not_bake_what_it_cannot_test() -> None:
    line = Line()
    version = line.import_model()
    line.backend.on = frozenset({Device.GPU})
    with pytest.raises(DeviceRequired, match="tested on no device that this worker has"):
        baked(line, version)


def test_a_runtime_that_is_gone_is_said_to_be_gone() -> None:
    line = Line(iris_files())
    version = line.import_model()
    line.backend.tags.clear()
    with pytest.raises(BuildFailed, match="gone"):
        baked(line, version)
