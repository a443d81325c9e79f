"""The mirror as an installation has it: named by a setting, and told by the tasks of imports and sweeps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.mlflow_server import MlflowServer
from tests.conftest import mlflow_versions
from tests.dag.conftest import Installation, Outcome, Upload


@pytest.mark.mlflow
def test_an_import_and_what_a_later_sweep_finds_are_seen_in_mlflow(
    mlflow: MlflowServer,
    alone: Installation,
    upload: Upload,
    run_import: Callable[..., Outcome],
    run_sweep: Callable[..., Outcome],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__AIRLOCK__MLFLOW_CONNECTION", "mlflow")
    monkeypatch.setenv("AIRFLOW_CONN_MLFLOW", f'{{"conn_type": "http", "host": "{mlflow.url}"}}')
    name = f"mirrored-{upload.bucket.name}"
    assert run_import(model_name=name, source_location=upload.go(), description="Flowers").state == "success"
    row = alone.wiring().registry_reader.find(name, "0.0.1")
    assert row is not None
    (seen,) = mlflow_versions(mlflow, name).values()
    tags = seen["tags"]
    assert (seen["description"], seen["source"]) == ("Flowers", row.source)
    assert (tags["airlock.status"], tags["airlock.device.cpu"]) == ("Normal", "passed")
    assert (tags["airlock.package"], tags["airlock.image"]) == (row.package_digest, row.image_digest)

    digest = row.package_digest.partition(":")[2]
    (model,) = Path(alone.wiring().store.folder(digest)).glob("model/model.m")
    model.chmod(0o644)
    model.write_bytes(b"\x80\x02K.")
    run_sweep(model_name=name)
    (seen,) = mlflow_versions(mlflow, name).values()
    assert seen["tags"]["airlock.status"] == "Abnormal"
