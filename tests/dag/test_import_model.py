from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Bucket
from tests.dag.conftest import Installation, Outcome, Upload, load_dag

TASKS = [
    "accept",
    "fetch",
    "validate",
    "detect",
    "build",
    "smoke_cpu",
    "smoke_gpu",
    "smoke_ascend",
    "approve",
    "register",
    "close",
]


def test_the_dag_is_one_straight_line_with_three_tests_beside_each_other(installation: Installation) -> None:
    dag = load_dag()
    assert [task.task_id for task in dag.topological_sort()][:5] == TASKS[:5]
    assert sorted(dag.task_ids) == sorted(TASKS)
    assert dag.get_task("register").upstream_task_ids == {"smoke_cpu", "smoke_gpu", "smoke_ascend"} | {
        "accept", "fetch", "validate", "detect", "build", "approve",
    }  # fmt: skip
    for device in ("cpu", "gpu", "ascend"):
        task = dag.get_task(f"smoke_{device}")
        assert (task.queue, task.pool) == (device, "default_pool")
    assert dag.get_task("close").is_teardown


def test_every_field_of_the_form_has_a_section_a_title_and_help(installation: Installation) -> None:
    from airlock.domain.request_form import FIELDS

    params = load_dag().params
    assert sorted(params) == sorted(FIELDS)
    for name in FIELDS:
        schema = params.get_param(name).schema
        assert schema["section"], name
        assert schema["title"], name
        assert params.get_param(name).description, name


@pytest.mark.parametrize("engine", ["Scikit_Learn", "XGBoost", "PyTorch"])
def test_a_real_package_goes_from_the_bucket_to_normal(
    engine: str,
    either: Installation,
    bucket: Bucket,
    examples: Callable[[str], Path],
    run_import: Callable[..., Outcome],
) -> None:
    folder = examples(engine)
    bucket.put_folder("models/one/", folder)
    name = f"{engine.replace('_', '-').lower()}-{either.backend}"
    outcome = run_import(model_name=name, source_location=f"s3://{bucket.name}/models/one/", labels=["test"])
    assert outcome.state == "success"
    assert {task: outcome.tasks[task] for task in ("smoke_cpu", "smoke_gpu", "smoke_ascend")} == {
        "smoke_cpu": "success",
        "smoke_gpu": "skipped",
        "smoke_ascend": "skipped",
    }
    record = outcome.record
    assert record is not None
    assert (record["model_name"], record["model_version"], record["status"]) == (name, "0.0.1", "Normal")
    assert (record["engine"], record["backend"]) == (engine, either.backend)
    # What an ordinary process gets depends on whether this machine's bubblewrap works; the record says which.
    at_hand = either.wiring().backend.isolation.value
    assert record["isolation"] == at_hand
    assert at_hand in {"docker": {"container"}, "process": {"bubblewrap", "none"}}[either.backend]
    assert record["devices"]["cpu"] == "passed"
    assert record["latency_ms"] > 0
    assert len(json.dumps(outcome.xcom)) < 48_000, "XCom values are small"
    row = either.wiring().registry_reader.find(name, "0.0.1")
    assert row is not None
    assert row.status.value == "Normal"
    assert row.events[-1].text == "Model imported."
    assert row.summary == record

    again = run_import(model_name=name, source_location=f"s3://{bucket.name}/models/one/model/")
    assert again.record is not None
    assert again.record["model_version"] == "0.0.2"
    assert again.record["bytes_copied"] == 0
    assert again.record["package_digest"] == record["package_digest"]
    assert all(layer["reused"] for layer in again.xcom["build"]["layers"])


def test_a_package_without_samples_is_tested_with_a_generated_request(
    process: Installation, upload: Upload, run_import: Callable[..., Outcome]
) -> None:
    outcome = run_import(model_name="generated", source_location=upload.go())
    assert outcome.state == "success"
    assert outcome.xcom["smoke_cpu"]["checked"] == ["generated"]
    assert json.loads(outcome.xcom["smoke_cpu"]["golden"][0]["body"]) == {"data": {"req_data": [{"a": 1, "b": 1}]}}


def test_a_dependency_is_installed_in_a_layer_of_its_own_and_reused(
    either: Installation, upload: Upload, run_import: Callable[..., Outcome]
) -> None:
    from tests.dag.conftest import a_config

    packages = [{"package_name": "six", "package_version": "1.16.0", "restraint": "EXACT"}]
    config = a_config(dependencies=[{"installer": "pip", "packages": packages}])
    upload.files["model/config.json"] = json.dumps(config).encode()
    upload.files["model/customize_service.py"] += b"\nimport six\nassert six.__version__ == '1.16.0'\n"
    source = upload.go()
    first = run_import(model_name=f"needs-six-{either.backend}", source_location=source)
    assert first.state == "success"
    assert [layer["name"] for layer in first.xcom["build"]["layers"]] == ["base", "dependencies", "serving"]
    second = run_import(model_name=f"needs-six-{either.backend}", source_location=source)
    assert [layer["reused"] for layer in second.xcom["build"]["layers"]] == [True, True, True]


def test_a_version_gets_an_image_with_the_model_inside_with_its_import_or_later(
    docker: Installation,
    upload: Upload,
    run_import: Callable[..., Outcome],
    capsys: pytest.CaptureFixture[str],
) -> None:
    from airlock.__main__ import main

    upload.files["model/token.txt"] = docker.home.as_posix().encode()
    source = upload.go()
    made: list[str] = []
    try:
        plain = run_import(model_name="later", source_location=source)
        assert plain.record is not None
        assert plain.record["baked"] is False
        capsys.readouterr()
        assert main(["bake", "later", "0.0.1"]) == 0
        made.append(capsys.readouterr().out.strip())
        row = docker.wiring().registry_reader.find("later", "0.0.1")
        assert row is not None
        assert (row.status.value, row.summary["baked"], row.summary["image"]) == ("Normal", True, made[0])
        assert row.summary["images"]["cpu"]["image"] == made[0], "it is what was tested"
        assert row.events[-1].text == f"The version's image holds the model now: {made[0]}."
        with_import = run_import(model_name="at-once", source_location=source, bake_model=True)
        assert with_import.record is not None
        made.append(with_import.record["image"])
        assert with_import.record["baked"] is True
        layers = {layer["name"]: layer for layer in with_import.xcom["build"]["layers"]}
        assert layers["package"]["reused"] is True, "versions of the same bytes share it"
        assert with_import.xcom["smoke_cpu"]["image"]["reference"] == made[1]
        assert main(["bake", "later", "9.9.9"]) == 1
        assert "[REG008] later 9.9.9 cannot be baked: there is no such version." in capsys.readouterr().err
        made.append(layers["package"]["tag"])
    finally:
        import docker as engine

        client = engine.from_env()
        for tag in made:
            client.images.remove(tag, force=True)
        client.close()


def test_the_process_backend_says_that_it_lays_no_model_into_an_image(
    process: Installation, upload: Upload, run_import: Callable[..., Outcome]
) -> None:
    outcome = run_import(model_name="inside-nothing", source_location=upload.go(), bake_model=True)
    assert outcome.state == "failed"
    row = process.wiring().registry_reader.find("inside-nothing", "0.0.1")
    assert row is not None
    assert row.reason.startswith("[BLD016] An image with the model inside needs Docker Engine")
