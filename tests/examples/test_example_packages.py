"""The example packages, made for real: an environment by uv, a training run, the files that are uploaded."""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from examples import environments

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
MAKE_PACKAGE = EXAMPLES / "make_package.py"
ENGINE_FOLDERS = [path.parent.name for path in EXAMPLES.glob("*/example.json")]


def run(*arguments, environ=None):
    return subprocess.run(
        [sys.executable, str(MAKE_PACKAGE), *map(str, arguments)],
        env=environ or dict(os.environ),
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def make(engine, out, *more):
    result = run("--engine", engine, "--out", out, *more)
    assert result.returncode == 0, result.stderr
    return Path(result.stdout.splitlines()[-1])


def bytes_below(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def configured(package):
    return json.loads((package / "model" / "config.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def a_current_python():
    pythons = [runtime.python for runtime in environments.load_runtimes("Scikit_Learn") if runtime.status == "current"]
    if not any(environments.find_interpreter(python) for python in pythons):
        pytest.skip(f"this machine has no Python {' or '.join(pythons)}")


@pytest.fixture(scope="module")
def packages(a_current_python, tmp_path_factory):
    out = tmp_path_factory.mktemp("packages")
    return {engine: make(engine, out) for engine in ("Scikit_Learn", "XGBoost")}


@pytest.fixture(params=["Scikit_Learn", "XGBoost"])
def package(request, packages):
    return packages[request.param]


@pytest.fixture
def iris_package(packages, tmp_path):
    """A copy that a test may change, with the record beside it."""
    original = packages["Scikit_Learn"]
    shutil.copytree(original.parent, tmp_path / "packages")
    return tmp_path / "packages" / original.name


def test_the_list_names_one_example_per_engine_with_a_runtime_of_the_catalogue(a_current_python):
    result = run("--list")
    examples = [json.loads(line) for line in result.stdout.splitlines()]
    assert sorted(each["engine"].lower() for each in examples) == sorted(ENGINE_FOLDERS)
    assert [each["name"] for each in examples if each["default"]] == ["iris-scikit-learn", "iris-xgboost"]
    assert [each["default"] for each in examples] == sorted((each["default"] for each in examples), reverse=True)
    for each in examples:
        if each["runtime"]:
            assert each["runtime"] in [runtime.name for runtime in environments.load_runtimes(each["engine"])]


def test_a_package_holds_what_a_data_scientist_uploads_and_nothing_else(package):
    assert sorted(bytes_below(package)) == [
        "model/config.json",
        "model/customize_service.py",
        "model/iris.m",
        "model/samples/one-flower.json",
        "model/samples/one-flower.response.json",
        "model/samples/three-flowers.json",
        "model/samples/three-flowers.response.json",
    ]


def test_a_configuration_names_a_current_runtime_and_measured_figures(package):
    config = configured(package)
    runtimes = {runtime.name: runtime for runtime in environments.load_runtimes(config["model_type"])}
    assert runtimes[config["runtime"]].status == "current"
    assert set(config["metrics"]) == {"f1", "recall", "precision", "accuracy"}
    assert all(0.85 < figure <= 1 for figure in config["metrics"].values())


def test_the_samples_and_their_responses_follow_the_declared_interface(package):
    (api,) = configured(package)["apis"]
    samples = package / "model" / "samples"
    requests = [path for path in samples.glob("*.json") if not path.name.endswith(".response.json")]
    assert len(requests) == 2
    for path in requests:
        response = path.with_name(path.name.replace(".json", ".response.json"))
        jsonschema.validate(json.loads(path.read_text(encoding="utf-8")), api["request"]["data"])
        jsonschema.validate(json.loads(response.read_text(encoding="utf-8")), api["response"]["data"])


def test_training_twice_gives_the_same_bytes(package, tmp_path):
    again = make(configured(package)["model_type"], tmp_path)
    assert again != package
    assert bytes_below(again) == bytes_below(package)


def test_a_complete_package_is_left_as_it_is(iris_package):
    model = iris_package / "model" / "iris.m"
    written = model.stat().st_mtime_ns
    assert make("Scikit_Learn", iris_package.parent) == iris_package
    assert model.stat().st_mtime_ns == written


def test_a_package_that_was_changed_is_made_again(iris_package):
    before = bytes_below(iris_package)
    (iris_package / "model" / "config.json").write_text("{}", encoding="utf-8")
    make("Scikit_Learn", iris_package.parent)
    assert bytes_below(iris_package) == before


def test_a_model_that_was_trained_elsewhere_is_packed_for_the_runtime_that_is_asked_for(iris_package, tmp_path):
    trained = tmp_path / "trained"
    trained.mkdir()
    shutil.copy(iris_package / "model" / "iris.m", trained / "iris.m")
    report = {"metrics": {"accuracy": 0.5}, "responses": {"one-flower": {"data": {"resp_data": []}}}}
    (trained / "training.json").write_text(json.dumps(report), encoding="utf-8")
    package = make("Scikit_Learn", tmp_path / "other", "--runtime", "python3.6", "--trained", trained)
    config = configured(package)
    assert (config["runtime"], config["metrics"]) == ("python3.6", {"accuracy": 0.5})
    assert (package / "model" / "iris.m").read_bytes() == (iris_package / "model" / "iris.m").read_bytes()
    assert not (package / "model" / "training.json").exists()


def test_the_tables_are_the_data_that_scikit_learn_ships(iris_package, tmp_path):
    runtime = environments.choose_runtime("Scikit_Learn", None)
    shutil.copy(EXAMPLES / "data" / "write_data.py", tmp_path)
    subprocess.run([str(environments.prepare(runtime)), str(tmp_path / "write_data.py")], check=True, timeout=120)
    for name in ("iris.csv", "digits.csv"):
        assert (tmp_path / name).read_bytes() == (EXAMPLES / "data" / name).read_bytes()


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--engine", "Paddle"], "there is no example for Paddle; there is one for Scikit_Learn, XGBoost"),
        (["--engine", "XGBoost", "--package", "x"], "iris-xgboost has no further package x; it has none"),
        (["--engine", "XGBoost", "--runtime", "python2.7"], "XGBoost has no runtime python2.7; it has xgboost3.2"),
        (["--engine", "XGBoost", "--runtime", "python3.6", "--trained", "."], "has no training.json"),
    ],
)
def test_a_request_that_cannot_be_met_ends_with_its_reason_and_leaves_nothing(arguments, said, tmp_path):
    result = run(*arguments, "--out", tmp_path / "packages")
    assert result.returncode == 1
    assert said in result.stderr
    assert bytes_below(tmp_path) == {}


@pytest.mark.parametrize(
    "path",
    [EXAMPLES / "training.py", *(path for path in sorted(EXAMPLES.glob("*/**/*.py")) if path.parent.name != "data")],
    ids=lambda path: path.relative_to(EXAMPLES).as_posix(),
)
def test_what_runs_inside_the_runtimes_is_python_3_6(path):
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 6))
