"""The specification's own runtimes, for real: built, trained in, imported, and asked for predictions."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Bucket
from tests.dag.conftest import ROOT, Installation, Outcome

log = logging.getLogger(__name__)

#: One per engine in every run; `make test-runtimes` takes all.
EVERY_RUN = [("Scikit_Learn", "python3.6"), ("XGBoost", "python3.6"), ("PyTorch", "python3.7")]
OTHERS = [("PyTorch", "python3.6"), ("PyTorch", "pytorch1.4-python3.7")]


def build_and_train(installation: Installation, engine: str, name: str, folder: Path) -> None:
    """Train the engine's example with the very runtime that will serve it."""
    import docker

    from airlock.domain.image import plan_build

    wiring = installation.wiring()
    row = wiring.catalogue.find(engine, name)
    assert row is not None
    plan = plan_build(
        row,
        (),
        serving_digest=wiring.backend.serving_digest(),
        base_image_prefix="",
        package_digest="",
        bundled_digests={},
    )
    wiring.backend.build(plan, lambda line: log.info("%s", line))
    client = docker.from_env()
    try:
        client.containers.run(
            plan.layers[0].tag,
            ["python", f"/examples/{engine.lower()}/train.py", "--out", "/out"],
            mounts=[
                docker.types.Mount("/examples", str(ROOT / "examples"), type="bind", read_only=True),
                docker.types.Mount("/out", str(folder), type="bind"),
            ],
            environment={"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"},
            network_mode="none",
            remove=True,
        )
    finally:
        client.close()


@pytest.mark.parametrize(
    "engine,name", [*EVERY_RUN, *(pytest.param(*row, marks=pytest.mark.runtimes) for row in OTHERS)]
)
def test_a_model_of_its_time_is_trained_imported_and_answers_in_its_own_runtime(
    engine: str, name: str, docker: Installation, bucket: Bucket, tmp_path: Path, run_import: Callable[..., Outcome]
) -> None:
    trained = tmp_path / "trained"
    trained.mkdir()
    build_and_train(docker, engine, name, trained)
    made = subprocess.run(
        [
            *(sys.executable, str(ROOT / "examples" / "make_package.py"), "--engine", engine, "--runtime", name),
            *("--trained", str(trained), "--out", str(tmp_path / "packages")),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    bucket.put_folder("seed/", Path(made.stdout.strip().splitlines()[-1]))
    outcome = run_import(
        model_name=f"seed-{engine}-{name}".replace(".", "-"), source_location=f"s3://{bucket.name}/seed/"
    )
    assert outcome.state == "success"
    assert outcome.record is not None
    assert (outcome.record["runtime"], outcome.record["devices"]["cpu"]) == (name, "passed")
    assert len(outcome.xcom["smoke_cpu"]["checked"]) >= 2
