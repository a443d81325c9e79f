"""LightGBM and CatBoost, in the versions of their runtimes: every form of model file, served without code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from real_engines import EngineInterpreter, prepare_engine
from served import Server, fails_to_start, serve

from airlock.domain.model_files.reading import check_model_file

ROWS = [{"a": 0.1, "b": 0.2}, {"a": 0.9, "b": 0.8}]
WRITE = """
import os
import joblib
import numpy as np
rows = np.random.RandomState(0).rand(80, 2)
kinds = (rows.sum(axis=1) > 1).astype(int)
names = np.array(["low", "high"])[kinds]

def into(folder, name="net.m"):
    os.makedirs(os.path.join(folder, "model"))
    return os.path.join(folder, "model", name)
"""
#: Each form of file once: one folder per package. Importing an engine takes longer than training a small model.
LIGHTGBM = (
    WRITE
    + """
import lightgbm
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
quiet = dict(min_child_samples=5, verbose=-1, n_jobs=1)
settings = dict(objective="binary", min_data_in_leaf=5, verbose=-1, num_threads=1)
lightgbm.train(settings, lightgbm.Dataset(rows, kinds), 20).save_model(into("booster", "net.lgb"))
joblib.dump(lightgbm.LGBMClassifier(**quiet).fit(rows, names), into("estimator"))
pipeline = make_pipeline(StandardScaler(), lightgbm.LGBMClassifier(**quiet)).fit(rows, kinds)
joblib.dump(pipeline, into("pipeline"), compress=3)
lightgbm.LGBMRegressor(**quiet).fit(rows, kinds * 10).booster_.save_model(into("text called m"))
open(into("broken", "net.lgb"), "w").write("tree\\nversion=v4\\n")
"""
)
CATBOOST = (
    WRITE
    + """
import catboost
quiet = dict(iterations=20, depth=2, verbose=0, allow_writing_files=False, thread_count=1, random_seed=0)
two = catboost.CatBoostClassifier(**quiet).fit(rows, names)
two.save_model(into("two classes", "net.cbm"))
joblib.dump(two, into("joblib"))
three = catboost.CatBoostClassifier(loss_function="MultiClass", **quiet).fit(rows, kinds + (rows.sum(axis=1) > 1.5))
three.save_model(into("three classes", "net.cbm"))
counts = catboost.CatBoostRegressor(loss_function="Poisson", **{**quiet, "iterations": 300}).fit(rows, 1 + kinds * 9)
counts.save_model(into("counts", "net.cbm"))
colours = catboost.CatBoostClassifier(cat_features=[0], **quiet)
colours.fit([["red", 0.5], ["blue", 0.5]] * 40, ["warm", "cold"] * 40).save_model(into("categories", "net.cbm"))
"""
)
#: One case of each engine in every run.
slow = pytest.mark.runtimes


@pytest.fixture(scope="session")
def lightgbm() -> EngineInterpreter:
    """A Python with LightGBM."""
    return prepare_engine("LightGBM")


@pytest.fixture(scope="session")
def lightgbm_packages(lightgbm: EngineInterpreter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of packages without inference code."""
    return packages(tmp_path_factory.mktemp("lightgbm"), lightgbm, "LightGBM", LIGHTGBM)


@pytest.fixture(scope="session")
def catboost() -> EngineInterpreter:
    """A Python with CatBoost."""
    return prepare_engine("CatBoost")


@pytest.fixture(scope="session")
def catboost_packages(catboost: EngineInterpreter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of packages without inference code."""
    return packages(tmp_path_factory.mktemp("catboost"), catboost, "CatBoost", CATBOOST)


def packages(folder: Path, interpreter: EngineInterpreter, engine: str, code: str) -> Path:
    interpreter.run(code, folder)
    for model in folder.glob("*/model"):
        (model / "config.json").write_text(json.dumps({"model_type": engine}), encoding="utf-8")
    return folder


def results(server: Server, rows: Sequence[dict[str, Any]] = ROWS) -> list[Any]:
    """The predictions for some rows."""
    answer = server.post({"data": {"req_data": rows}})
    assert answer.status == 200, server.log
    return [row["predictresult"] for row in answer.json["data"]["resp_data"]]


def findings(folder: Path, engine: str) -> dict[str, list[str]]:
    """What the reading of model files says of each package's one."""
    found = {}
    for path in sorted(folder.glob("*/model/net.m")):
        with path.open("rb") as file:
            noticed = check_model_file("model/net.m", path.stat().st_size, file, engine)
        found[path.parent.parent.name] = [item.code for item in noticed]
    return found


def test_files_that_lightgbm_wrote_are_read_without_a_finding(lightgbm_packages: Path) -> None:
    found = findings(lightgbm_packages, "LightGBM")
    assert found == {"estimator": [], "pipeline": [], "text called m": []}


@slow
def test_files_that_catboost_wrote_are_read_without_a_finding(catboost_packages: Path) -> None:
    assert findings(catboost_packages, "CatBoost") == {"joblib": []}


def test_a_lightgbm_booster_answers_its_own_values(lightgbm: EngineInterpreter, lightgbm_packages: Path) -> None:
    with serve(lightgbm, lightgbm_packages / "booster") as server:
        low, high = results(server)
        assert 0 < low < 0.5 < high < 1
        assert len(results(server, [{"a": None, "b": 0.8}])) == 1, "a null is a missing value"
        answer = server.post({"data": {"req_data": [{"a": 1}]}})
        assert (answer.status, answer.json["error_code"]) == (500, "PY.0105")
        assert server.post(b"no json").json["error_code"] == "PY.0101"


@pytest.mark.parametrize(
    "name,expected",
    [
        ("estimator", ["low", "high"]),
        pytest.param("pipeline", [0, 1], marks=slow),
        pytest.param("text called m", [pytest.approx(0, abs=1), pytest.approx(10, abs=1)], marks=slow),
    ],
)
def test_a_lightgbm_file_called_m_is_read_by_what_it_holds(
    lightgbm: EngineInterpreter, lightgbm_packages: Path, name: str, expected: list[Any]
) -> None:
    with serve(lightgbm, lightgbm_packages / name) as server:
        assert results(server) == expected


@slow
def test_a_lightgbm_file_that_cannot_be_read_fails_the_start(
    lightgbm: EngineInterpreter, lightgbm_packages: Path
) -> None:
    line, _ = fails_to_start(lightgbm, lightgbm_packages / "broken")
    assert (line["stage"], line["type"]) == ("construct", "LightGBMError")


@pytest.mark.parametrize(
    "name,expected",
    [
        ("two classes", ["low", "high"]),
        pytest.param("three classes", [0, 2], marks=slow),
        pytest.param("counts", [pytest.approx(1, abs=1), pytest.approx(10, abs=1)], marks=slow),
        pytest.param("joblib", ["low", "high"], marks=slow),
    ],
)
def test_a_catboost_model_answers_classes_or_values(
    catboost: EngineInterpreter, catboost_packages: Path, name: str, expected: list[Any]
) -> None:
    with serve(catboost, catboost_packages / name, OMP_NUM_THREADS="1") as server:
        assert results(server) == expected


@slow
def test_a_catboost_model_takes_categories_as_text(catboost: EngineInterpreter, catboost_packages: Path) -> None:
    with serve(catboost, catboost_packages / "categories") as server:
        assert results(server, [{"colour": "blue", "size": 0.5}, {"colour": "red", "size": 1}]) == ["cold", "warm"]
