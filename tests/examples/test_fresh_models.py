"""No false alarms: models of every kind that the examples' environments can train are read without a finding."""

import subprocess
from pathlib import Path

import pytest

from airlock.domain.model_files.reading import check_model_file
from examples import environments
from scripts.uv_tool import find_uv, run_uv

TRAIN = Path(__file__).with_name("train_models.py")
#: Engine → the library whose models it trains, and how many files at least.
LIBRARIES = {"Scikit_Learn": ("sklearn", 200), "XGBoost": ("xgboost", 10), "PyTorch": ("torch", 180)}


def trained(interpreter, folder, *more):
    """The files that the libraries of an interpreter have written."""
    result = subprocess.run(
        [str(interpreter), str(TRAIN), str(folder), *more], capture_output=True, text=True, timeout=500, check=False
    )
    assert result.returncode == 0, result.stderr
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def told(path, engine):
    with path.open("rb") as file:
        findings = check_model_file(f"model/{path.name}", path.stat().st_size, file, engine)
    return [f"{path.name}: {finding.line()}" for finding in findings]


@pytest.mark.parametrize("engine", LIBRARIES)
def test_models_that_an_engine_has_just_written_give_no_findings(engine, tmp_path):
    library, at_least = LIBRARIES[engine]
    try:
        interpreter = environments.prepare(environments.choose_runtime(engine, None))
    except environments.ExampleError as error:
        pytest.skip(str(error))
    files = trained(interpreter, tmp_path, "--only", library)
    assert len(files) >= at_least
    assert [line for path in files for line in told(path, engine)] == []


@pytest.mark.runtimes
def test_models_of_every_library_saved_in_every_way_give_no_findings(tmp_path):
    python = environments.choose_runtime("Scikit_Learn", None).python
    uv = find_uv(print)
    run_uv(uv, ["venv", "--quiet", "--python", str(environments.find_interpreter(python)), str(tmp_path / "env")])
    interpreter = tmp_path / "env" / "bin" / "python"
    wanted = ["scikit-learn", "xgboost-cpu", "lightgbm", "catboost", "pandas", "joblib"]
    run_uv(uv, ["pip", "install", "--quiet", "--python", str(interpreter), "--only-binary", ":all:", *wanted])
    files = trained(interpreter, tmp_path / "files", "--broad")
    assert len(files) > 1500
    engines = {"sklearn": "Scikit_Learn", "xgboost": "XGBoost", "lightgbm": "LightGBM", "catboost": "CatBoost"}
    assert [line for path in files for line in told(path, engines[path.parent.name])] == []
