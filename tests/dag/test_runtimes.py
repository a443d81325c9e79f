"""The catalogue for real, each row as far as a machine without accelerators can take it.

The cases are the catalogue's own rows, so that none can be forgotten. `make test` runs a few of them, `make
test-runtimes` all; `pytest tests/dag/test_runtimes.py --runtimes -k TensorFlow-python3.6` runs one.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from airlock.domain.catalogue import Runtime
from airlock.domain.device import Device
from tests.conftest import Bucket
from tests.dag.conftest import ROOT, Installation, Outcome, Upload
from tests.dag.runtime_matrix import (
    CATALOGUE,
    CUDA_ARGUMENT,
    EVERY_RUN,
    MACHINE,
    MAX_IMAGE_BYTES,
    OTHER_MACHINE,
    RUNS,
    WITH_GPU_BUILD,
    WITHOUT_DEVICE,
    Workshop,
    cases,
    further_packages,
    plan_of,
    sibling,
)

#: Before the tags of base images without NVIDIA's libraries, so that nobody takes them for the real ones.
TEST_PREFIX = "airlock-tests/"
Run = Callable[..., Outcome]
# Building the largest takes minutes, and more where the machine is shared.
pytestmark = pytest.mark.timeout(2400)


def send(bucket: Bucket, package: Path) -> str:
    """Upload a package; its source location."""
    bucket.put_folder(f"{package.name}/", package)
    return f"s3://{bucket.name}/{package.name}/"


def model_name(row: Runtime, suffix: str = "") -> str:
    return f"{row.engine}-{row.name}{suffix and '-' + suffix}".replace(".", "-")


def test_every_row_of_the_catalogue_is_a_case_of_exactly_one_test() -> None:
    unavailable = [row for row in CATALOGUE.runtimes if not row.available]
    covered = [*RUNS, *WITHOUT_DEVICE, *OTHER_MACHINE, *unavailable]
    assert sorted(map(str, covered)) == sorted(map(str, CATALOGUE.runtimes))
    assert {(row.engine, row.name) for row in RUNS} >= EVERY_RUN


@pytest.mark.parametrize("row", cases(RUNS))
def test_a_model_is_trained_imported_and_answers_in_its_own_runtime(
    row: Runtime, workshop: Workshop, bucket: Bucket, run_import: Run
) -> None:
    image = workshop.build(row)
    assert image.size_bytes < MAX_IMAGE_BYTES.get(row.engine, math.inf)
    started = time.monotonic()
    trained = workshop.train(row, image)
    latencies = []
    for further in ["", *further_packages(row.engine)]:
        source = send(bucket, workshop.pack(row, trained, further))
        outcome = run_import(model_name=model_name(row, further), source_location=source)
        assert outcome.state == "success", outcome.tasks
        record = outcome.record
        assert record is not None
        workshop.removes(outcome.xcom["build"]["layers"])
        assert (record["runtime"], record["devices"]["cpu"]) == (row.name, "passed")
        assert len(outcome.xcom["smoke_cpu"]["checked"]) >= 2
        assert outcome.xcom["build"]["layers"][0]["reused"], "the image that the model was trained in serves it"
        if Device.GPU in row.devices and Device.GPU not in workshop.installation.wiring().backend.devices():
            assert record["devices"]["gpu"] == "not run: no device"
        latencies.append(record["latency_ms"])
    workshop.record(row, {"test_s": round(time.monotonic() - started), "latency_ms": latencies[0]})


@pytest.mark.parametrize("row", cases(WITHOUT_DEVICE))
def test_a_runtime_whose_device_is_not_here_is_built_and_says_that_nothing_was_tested(
    row: Runtime, workshop: Workshop, bucket: Bucket, run_import: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (device,) = row.devices
    if device in workshop.installation.wiring().backend.devices():
        pytest.skip(f"this machine has a {device.value}")
    trained = workshop.model_of(sibling(row))
    # Two images of gigabytes at a time are too many.
    workshop.clear()
    prefix = ""
    if CUDA_ARGUMENT in row.base_recipe:
        prefix = TEST_PREFIX
        monkeypatch.setenv("AIRFLOW__AIRLOCK__BASE_IMAGE_PREFIX", prefix)
        workshop.make_base(row, prefix)
    workshop.build(row, prefix)
    name = model_name(row)
    outcome = run_import(model_name=name, source_location=send(bucket, workshop.pack(row, trained)))
    workshop.removes(outcome.xcom["build"]["layers"])
    assert (outcome.tasks["build"], outcome.tasks["register"], outcome.state) == ("success", "failed", "failed")
    version = workshop.installation.wiring().registry_reader.find(name, "0.0.1")
    assert version is not None
    assert f"Not tested on {device.value}: no device." in [event.text for event in version.events]
    assert "[SMK021]" in version.reason
    assert "nothing was tested" in version.reason


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=f"{row.engine}-{row.name}") for row in (*WITHOUT_DEVICE, *OTHER_MACHINE)]
)
def test_a_runtime_that_cannot_run_here_is_rendered_with_its_base_and_its_exact_pins(row: Runtime) -> None:
    base, serving = plan_of(row, serving_digest="0" * 64).layers
    assert f"FROM {row.base_image}\n" in base.dockerfile
    assert base.requirements == row.constraints
    assert f'AIRLOCK_BASE_CLASS="{row.service.base_class}"' in serving.dockerfile


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=f"{row.engine}-{row.name}", marks=pytest.mark.runtimes) for row in WITH_GPU_BUILD]
)
def test_the_build_for_gpus_of_a_row_for_both_can_be_made(row: Runtime, workshop: Workshop) -> None:
    build = row.as_variant("gpu")
    workshop.make_base(build, TEST_PREFIX)
    assert workshop.build(build, TEST_PREFIX, of_a_variant=True).size_bytes > 0


def package_for(row: Runtime, upload: Upload) -> str:
    """A small package that the row's engine takes, as far as anybody looks who does not run it."""
    config = json.loads(upload.files["model/config.json"])
    upload.files["model/config.json"] = json.dumps({**config, "model_type": row.engine, "runtime": row.name}).encode()
    del upload.files["model/model.m"]
    upload.files["model/model.ckpt"] = b""
    return upload.go()


@pytest.mark.parametrize("row", [pytest.param(row, id=f"{row.engine}-{row.name}") for row in OTHER_MACHINE])
def test_a_runtime_for_another_architecture_is_refused_here_with_the_reason(
    row: Runtime, docker: Installation, upload: Upload, run_import: Run
) -> None:
    name = model_name(row)
    outcome = run_import(model_name=name, source_location=package_for(row, upload))
    assert outcome.tasks["build"] == "failed", outcome.tasks
    version = docker.wiring().registry_reader.find(name, "0.0.1")
    assert version is not None
    assert "[BLD008]" in version.reason
    assert f"{row} is made for {', '.join(row.architectures)}; this worker builds for {MACHINE}." in version.reason
    nearest = CATALOGUE.nearest_on(MACHINE, row)
    assert nearest is not None
    assert f"Use the runtime {nearest.name!r} ({row.engine} {nearest.engine_version})" in version.reason


def test_a_runtime_that_cannot_be_had_is_refused_with_the_nearest(
    process: Installation, upload: Upload, run_import: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    include = tmp_path / "include"
    shutil.copytree(ROOT / "include", include)
    path = include / "runtimes" / "catalogue" / "Scikit_Learn" / "python3.6.yaml"
    entry = yaml.safe_load(path.read_text(encoding="utf-8"))
    entry |= {"available": False, "unavailable_reason": "Its wheels are gone.", "nearest": "sklearn1.9-python3.11"}
    path.write_text(yaml.safe_dump(entry), encoding="utf-8")
    monkeypatch.setenv("AIRFLOW__AIRLOCK__INCLUDE_DIR", str(include))
    config = json.loads(upload.files["model/config.json"])
    upload.files["model/config.json"] = json.dumps({**config, "runtime": "python3.6"}).encode()
    outcome = run_import(model_name="gone", source_location=upload.go())
    assert outcome.tasks["detect"] == "failed", outcome.tasks
    version = process.wiring().registry_reader.find("gone", "0.0.1")
    assert version is not None
    for part in ("[DET003]", "Its wheels are gone.", "Use 'sklearn1.9-python3.11' instead."):
        assert part in version.reason
