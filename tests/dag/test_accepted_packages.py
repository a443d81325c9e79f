"""Packages below tests/packages/accept that need an engine, by the whole DAG, in containers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, Bucket
from tests.dag.conftest import Installation, Outcome

FOLDER = ROOT / "tests" / "packages" / "accept"
CASES = sorted(
    path.parent
    for path in FOLDER.glob("*/expected.json")
    if json.loads(path.read_text(encoding="utf-8")).get("served") == "by an import"
)


def _parameter(case: Path) -> object:
    # A layer of the package's own takes half a minute to build; tests/backends has a small one in every run.
    marks = [pytest.mark.runtimes] if "dependencies" in (case / "package/model/config.json").read_text() else []
    return pytest.param(case, id=case.name, marks=marks)


@pytest.mark.parametrize("case", [_parameter(case) for case in CASES])
def test_the_package_is_imported_and_answers_as_its_sample_says(
    case: Path, docker: Installation, bucket: Bucket, run_import: Callable[..., Outcome]
) -> None:
    bucket.put_folder("accepted/", case / "package")
    outcome = run_import(model_name=case.name, source_location=f"s3://{bucket.name}/accepted/")
    assert outcome.state == "success"
    assert outcome.record is not None
    assert outcome.record["devices"]["cpu"] == "passed"
    assert outcome.record["backend"] == "docker"
