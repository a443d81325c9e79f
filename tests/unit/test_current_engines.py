"""ONNX, LightGBM, CatBoost and Transformers: what each needs in a package, and what its pickles may hold."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import pytest

from airlock.domain.engines import ENGINES, MODEL_TYPES
from airlock.domain.model_files.reading import check_model_file
from tests.unit.given import PICKLE, ROOT, changed, iris_files
from tests.unit.line import Line

RUNTIMES = {
    "ONNX": "onnxruntime1.32-python3.11-cpu",
    "LightGBM": "lightgbm4.7-python3.11-cpu",
    "CatBoost": "catboost1.2-python3.11-cpu",
    "Transformers": "transformers5.23-python3.11-cpu",
}
NO_TENSORS = b"\x02\0\0\0\0\0\0\0{}"
SAVED = {
    "model/bert/config.json": b'{"architectures": ["BertModel"], "model_type": "bert"}',
    "model/bert/model.safetensors": NO_TENSORS,
}


def written(path: str) -> bytes:
    return (Path(ROOT) / "tests" / "packages" / "written_by" / path).read_bytes()


def service(base: str) -> bytes:
    module, name = base.split(":")
    return f"from model_service.{module} import {name}\n\n\nclass Service({name}):\n    pass\n".encode()


def stored(*classes: tuple[str, str]) -> bytes:
    """A pickle of one object of each class, protocol 0."""
    one = "ccopyreg\n_reconstructor\n(c{}\n{}\nc__builtin__\nobject\nNtR0"
    return "".join(one.format(*each) for each in classes).encode() + b"N."


TRANSFORMERS_CODE = service("transformers_model_service:TransformersServingBaseService")


def noticed(engine: str, files: dict[str, bytes]) -> tuple[str, list[str]]:
    """The engine that is detected, and the codes of what validation notices."""
    package = iris_files(changed(model_type=engine, runtime=RUNTIMES[engine]))
    del package["model/iris.m"]
    line = Line({**package, **files})
    accepted = line.accept()
    fetched = line.fetch(accepted)
    validated = line.validate(accepted, fetched)
    return line.detect(accepted, fetched, validated).engine, [item.code for item in validated.findings]


def test_the_engines_are_values_of_model_type() -> None:
    assert set(RUNTIMES) <= set(MODEL_TYPES)


@pytest.mark.parametrize(
    "engine,json_only", [("ONNX", False), ("LightGBM", True), ("CatBoost", True), ("Transformers", False)]
)
def test_boosting_engines_are_machine_learning_engines_and_none_needs_code(engine: str, json_only: bool) -> None:
    assert (ENGINES[engine].json_only, ENGINES[engine].code_required) == (json_only, False)


@pytest.mark.parametrize(
    "engine,files",
    [
        ("ONNX", {"model/net.onnx": written("onnx-1.23.2/net.onnx")}),
        ("ONNX", {f"model/{name}": written(f"onnx-1.23.2/{name}") for name in ("external.onnx", "net.bin")}),
        ("LightGBM", {"model/net.lgb": written("lightgbm-4.7.0/model.txt")}),
        ("LightGBM", {"model/net.m": written("lightgbm-4.7.0/pickled.m")}),
        ("LightGBM", {"model/net.m": written("lightgbm-4.7.0/model.txt")}),
        ("CatBoost", {"model/net.m": stored(("catboost.core", "CatBoostClassifier"))}),
        ("CatBoost", {"model/net.cbm": written("catboost-1.2.10/model.cbm")}),
        ("Transformers", SAVED),
        ("Transformers", {**SAVED, "model/bert/model-00002-of-00002.safetensors": NO_TENSORS}),
    ],
)
def test_the_files_that_an_engine_writes_are_accepted_without_code(engine: str, files: dict[str, bytes]) -> None:
    assert noticed(engine, files) == (engine, [])


@pytest.mark.parametrize(
    "files,codes",
    [
        ({"model/bert/weights.safetensors": NO_TENSORS}, ["PKG004"]),
        ({**SAVED, "model/other/config.json": SAVED["model/bert/config.json"]}, ["PKG005"]),
    ],
)
def test_code_of_a_transformers_package_may_load_other_files(files: dict[str, bytes], codes: list[str]) -> None:
    _, found = noticed("Transformers", {**files, "model/customize_service.py": TRANSFORMERS_CODE})
    assert found == codes


BOOSTING = [
    ("lightgbm.basic", "Booster"),
    ("lightgbm.sklearn", "LGBMClassifier"),
    ("lightgbm.sklearn", "LGBMRegressor"),
    ("lightgbm.sklearn", "LGBMRanker"),
    ("lightgbm.sklearn", "LGBMModel"),
    ("catboost.core", "CatBoost"),
    ("catboost.core", "CatBoostClassifier"),
    ("catboost.core", "CatBoostRegressor"),
    ("catboost.core", "CatBoostRanker"),
    ("sklearn.pipeline", "Pipeline"),
]


def codes(data: bytes, engine: str) -> list[str]:
    return [item.code for item in check_model_file("model/net.m", len(data), io.BytesIO(data), engine)]


@pytest.mark.parametrize("engine", ["LightGBM", "CatBoost", "Scikit_Learn"])
def test_boosted_models_and_pipelines_of_them_are_on_the_list(engine: str) -> None:
    assert codes(stored(*BOOSTING), engine) == []
    assert codes(PICKLE, engine) == []


@pytest.mark.parametrize(
    "name",
    [
        ("lightgbm.basic", "Dataset"),
        ("lightgbm.engine", "CVBooster"),
        ("lightgbm.dask", "DaskLGBMClassifier"),
        ("catboost.core", "Pool"),
        ("catboost.utils", "get_gpu_device_count"),
        ("torch", "Tensor"),
    ],
)
@pytest.mark.parametrize("engine", ["LightGBM", "CatBoost"])
def test_what_no_service_predicts_with_is_not_on_the_list(engine: str, name: tuple[str, str]) -> None:
    assert codes(stored(name), engine) == ["MDL001"]


def test_a_function_of_the_authors_own_is_code() -> None:
    assert codes(pickle.dumps(test_a_function_of_the_authors_own_is_code, 2), "LightGBM") == ["MDL001"]
