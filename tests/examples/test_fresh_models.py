"""No false alarms: models of every kind that the examples' environments can train are read without a finding."""

import subprocess
from pathlib import Path

import pytest

from airlock.domain.model_files.reading import check_model_file
from examples import environments

TRAIN = Path(__file__).with_name("train_models.py")
#: Engine → the library whose models it trains, and how many files at least.
LIBRARIES = {"Scikit_Learn": ("sklearn", 200), "XGBoost": ("xgboost", 10), "PyTorch": ("torch", 180)}


@pytest.mark.parametrize("engine", LIBRARIES)
def test_models_that_an_engine_has_just_written_give_no_findings(engine, tmp_path):
    library, at_least = LIBRARIES[engine]
    try:
        interpreter = environments.prepare(environments.choose_runtime(engine, None))
    except environments.ExampleError as error:
        pytest.skip(str(error))
    result = subprocess.run(
        [str(interpreter), str(TRAIN), str(tmp_path), "--only", library],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    files = [path for path in sorted(tmp_path.rglob("*")) if path.is_file()]
    assert len(files) >= at_least, result.stderr
    told = []
    for path in files:
        with path.open("rb") as file:
            findings = check_model_file(f"model/{path.name}", path.stat().st_size, file, engine)
        told += [f"{path.name}: {finding.line()}" for finding in findings]
    assert told == []
