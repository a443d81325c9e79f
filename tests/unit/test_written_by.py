"""Files that real engines wrote: each is told for what it is, with its version, and none is suspected."""

from __future__ import annotations

import io

import pytest

from airlock.domain.findings import Severity
from airlock.domain.model_files.facts import CERTAIN, STRONG, WEAK, Facts
from airlock.domain.model_files.forms import facts_of, is_model_file
from airlock.domain.model_files.reading import look_at
from tests.unit.model_bytes import WRITTEN, written
from tests.unit.test_hostile_pickles import called, text

#: File → its name in a package, its engine, what is said, the versions.
FILES = {
    "catboost-1.2.10/model.cbm": ("model.cbm", "CatBoost", "is a model of CatBoost", "CatBoost 1.2.10"),
    "lightgbm-4.7.0/model.txt": ("model.lgb", "LightGBM", "is a model of LightGBM as text", "LightGBM model form 4"),
    "lightgbm-4.7.0/pickled.m": ("model.m", "LightGBM", "is a pickle of LightGBM", "LightGBM model form 4"),
    "mindspore-2.10.0/net.ckpt": ("net.ckpt", "MindSpore", "holds 2 parameters of MindSpore", ""),
    "mindspore-2.10.0/net.mindir": ("net.mindir", "MindSpore", "is a graph of MindSpore", "MindSpore 2.10.0"),
    "mxnet-1.2.1/net-0000.params": ("net-0000.params", "MXNet", "holds 2 arrays of MXNet", ""),
    "mxnet-1.2.1/net-symbol.json": ("net-symbol.json", "MXNet", "is a symbol of MXNet", "MXNet 1.2.1"),
    "mxnet-1.9.1/net-0000.params": ("net-0000.params", "MXNet", "holds 2 arrays of MXNet", ""),
    "mxnet-1.9.1/net-symbol.json": ("net-symbol.json", "MXNet", "is a symbol of MXNet", "MXNet 1.9.1"),
    "onnx-1.23.2/external.onnx": ("net.onnx", "ONNX", "is an ONNX model", "ONNX opset 17, ONNX IR 9"),
    "onnx-1.23.2/latest.onnx": ("net.onnx", "ONNX", "is an ONNX model", "ONNX opset 28, ONNX IR 14"),
    "onnx-1.23.2/net.onnx": ("net.onnx", "ONNX", "is an ONNX model", "ONNX opset 17, ONNX IR 9"),
    "safetensors-0.8.0/net.safetensors": (
        "net/model.safetensors", "Transformers", "holds 3 tensors in safetensors, written for PyTorch", "",
    ),
    "scikit-learn-0.18.1/iris.m": ("iris.m", "Scikit_Learn", "is a pickle of scikit-learn", "scikit-learn 0.18.1"),
    "scikit-learn-0.18.1/zlib.m": (
        "iris.m", "Scikit_Learn", "is a compressed joblib file of scikit-learn", "scikit-learn 0.18.1",
    ),
    "scikit-learn-1.9.1/iris.m": ("iris.m", "Scikit_Learn", "is a pickle of scikit-learn", "scikit-learn 1.9.1"),
    "scikit-learn-1.9.1/zlib.m": (
        "iris.m", "Scikit_Learn", "is a compressed joblib file of scikit-learn", "scikit-learn 1.9.1",
    ),
    "tensorflow-1.8.0/net.h5": ("net.h5", "TensorFlow", "is a Keras model in HDF5", "Keras 2.1.5"),
    "tensorflow-1.8.0/saved_model.pb": (
        "saved_model.pb", "TensorFlow", "is a SavedModel of TensorFlow", "TensorFlow 1.8.0",
    ),
    "tensorflow-2.1.0/net.h5": ("net.h5", "TensorFlow", "is a Keras model in HDF5", "Keras 2.2.4"),
    "tensorflow-2.1.0/saved_model.pb": (
        "saved_model.pb", "TensorFlow", "is a SavedModel of TensorFlow", "TensorFlow 2.1.0",
    ),
    "tensorflow-2.21.0/net.h5": ("net.h5", "TensorFlow", "is a Keras model in HDF5", "Keras 3.15.1"),
    "tensorflow-2.21.0/net.keras": ("net.keras", "TensorFlow", "is a Keras archive", "Keras 3.15.1"),
    "tensorflow-2.21.0/saved_model.pb": (
        "saved_model.pb", "TensorFlow", "is a SavedModel of TensorFlow", "TensorFlow 2.21.0",
    ),
    "torch-1.4.0/net.pth": ("net.pth", "PyTorch", "is a pickle as PyTorch before 1.6 wrote it", ""),
    "torch-1.4.0/script.pt": ("net.pt", "PyTorch", "is an archive of PyTorch, TorchScript", ""),
    "torch-2.13.0/net.pth": (
        "net.pth", "PyTorch", "is an archive of PyTorch", "PyTorch 2.1 or newer, PyTorch archive form 3",
    ),
    "torch-2.13.0/script.pt": (
        "net.pt", "PyTorch", "is an archive of PyTorch, TorchScript",
        "PyTorch 2.1 or newer, PyTorch archive form 3",
    ),
    "torch-2.13.0/whole.pth": (
        "net.pth", "PyTorch", "is an archive of PyTorch", "PyTorch 2.1 or newer, PyTorch archive form 3",
    ),
    **{
        f"transformers-{version}/training_args.bin": (
            "training_args.bin", "PyTorch", "is an archive of PyTorch",
            "PyTorch 2.1 or newer, PyTorch archive form 3",
        )
        for version in ("4.3.3", "4.30.2", "5.23.0")
    },
    "xgboost-0.80/booster.m": (
        "iris.m", "XGBoost", "is a booster of XGBoost in its old binary form", "XGBoost binary form 1",
    ),
    "xgboost-0.80/pickled.m": ("iris.m", "XGBoost", "is a pickle of XGBoost", "XGBoost binary form 1"),
    "xgboost-3.2.0/booster.json": ("iris.m", "XGBoost", "is a booster of XGBoost in JSON", "XGBoost 3.2.0"),
    "xgboost-3.2.0/booster.ubj": ("iris.m", "XGBoost", "is a booster of XGBoost in UBJSON", "XGBoost 3.2.0"),
    "xgboost-3.2.0/pickled.m": ("iris.m", "XGBoost", "is a pickle of XGBoost", "XGBoost 3.2.0"),
    **{
        path.relative_to(WRITTEN).as_posix(): (
            path.relative_to(WRITTEN / "spark-4.0.2").as_posix(), "Spark_MLlib", "is the metadata of a Spark model",
            "Spark 4.0.2",
        )
        for path in sorted(WRITTEN.glob("spark-4.0.2/**/part-00000"))
    },
}  # fmt: skip
#: Written by real engines in forms that none of their services loads: the name, the engine, what is said, the versions.
OTHER_FORMS = {
    "catboost-1.2.10/model.json": ("model.json", "CatBoost", "is a model of CatBoost in JSON", "CatBoost 1.2.10"),
    "tensorflow-2.21.0/net.tflite": ("net.tflite", "TensorFlow", "is a model of TensorFlow Lite", ""),
}
#: Arrays of NumPy speak for no engine: what is said, and what else is told.
ARRAYS = {
    f"numpy-{version}/{name}": (says, details)
    for version in ("1.16.6", "2.4.6")
    for name, says, details in (
        ("numbers.npy", "is an array of NumPy", {"type": "<f4", "shape": "2 × 3"}),
        (
            "fields.npy",
            "is an array of NumPy",
            {"type": "[('a', '<i4'), ('b', '<f8'), ('c', '<U3')]", "shape": "1"},
        ),
        ("objects.npy", "is an array of Python objects", {"type": "|O", "shape": "4"}),
        ("arrays.npz", "is an archive of 2 arrays of NumPy", {"arrays": "numbers, objects"}),
        ("packed.npz", "is an archive of 2 arrays of NumPy", {"arrays": "numbers, objects"}),
    )
}
#: Written by real engines too, and what each would run or ask for.
SUSPECT = {
    "h5py-3.14.0/behind.h5": ("net.h5", "TensorFlow", "MDL002"),
    "h5py-3.14.0/dense.h5": ("net.h5", "TensorFlow", "MDL003"),
    "h5py-3.14.0/fixed.h5": ("net.h5", "TensorFlow", "MDL001"),
    "h5py-3.14.0/latest.h5": ("net.h5", "TensorFlow", "MDL001"),
    "h5py-3.14.0/many.h5": ("net.h5", "TensorFlow", "MDL001"),
    "onnx-1.23.2/custom.onnx": ("net.onnx", "ONNX", "MDL007"),
    "tensorflow-1.8.0/lambda.h5": ("net.h5", "TensorFlow", "MDL001"),
    "tensorflow-2.1.0/lambda.h5": ("net.h5", "TensorFlow", "MDL001"),
    "tensorflow-2.1.0/lambda.pb": ("saved_model.pb", "TensorFlow", "MDL001"),
    "tensorflow-2.1.0/py_function.pb": ("saved_model.pb", "TensorFlow", "MDL001"),
    "tensorflow-2.1.0/read_file.pb": ("saved_model.pb", "TensorFlow", "MDL001"),
    "tensorflow-2.21.0/lambda.h5": ("net.h5", "TensorFlow", "MDL001"),
    "tensorflow-2.21.0/lambda.keras": ("net.keras", "TensorFlow", "MDL001"),
    "tensorflow-2.21.0/py_function.pb": ("saved_model.pb", "TensorFlow", "MDL001"),
    "tensorflow-2.21.0/read_file.pb": ("saved_model.pb", "TensorFlow", "MDL001"),
}
#: Not looked at by themselves.
BESIDE = ("README.md", "write.py", "net.bin", "variables.index", "data.h5")


def facts(file: str, name: str) -> Facts:
    data = written(file)
    assert is_model_file(name)
    found = facts_of(name, len(data), io.BytesIO(data))
    assert found is not None
    return found


@pytest.mark.parametrize("file", FILES)
def test_a_file_says_what_it_is_and_which_version_wrote_it(file: str) -> None:
    name, engine, says, versions = FILES[file]
    found = facts(file, name)
    assert (found.says, ", ".join(map(str, found.written_by))) == (says, versions)
    surest = found.claims[0]
    assert surest.engine == engine
    assert surest.confidence >= STRONG
    assert all(claim.confidence in (CERTAIN, STRONG, WEAK) for claim in found.claims)


@pytest.mark.parametrize("file", FILES)
def test_a_model_that_its_engine_wrote_gives_no_finding(file: str) -> None:
    name, engine, _, _ = FILES[file]
    data = written(file)
    assert look_at(f"model/{name}", len(data), io.BytesIO(data), engine).findings == ()


@pytest.mark.parametrize("version", ["4.3.3", "4.30.2", "5.23.0"])
def test_what_the_trainer_puts_beside_a_model_may_stay_and_code_in_its_place_may_not(version: str) -> None:
    path = "model/bert/training_args.bin"
    data = written(f"transformers-{version}/training_args.bin")
    assert look_at(path, len(data), io.BytesIO(data), "Transformers").findings == ()
    hostile = called("os", "system", text("true"))
    (found,) = look_at(path, len(hostile), io.BytesIO(hostile), "Transformers").findings
    assert (found.code, found.is_error) == ("MDL001", True)
    assert found.fix.startswith("Leave the file out: ")


@pytest.mark.parametrize("file", OTHER_FORMS)
def test_a_form_that_no_service_loads_is_told_for_what_it_is_and_what_would_do(file: str) -> None:
    name, engine, says, versions = OTHER_FORMS[file]
    found = facts(file, name)
    assert (found.says, ", ".join(map(str, found.written_by))) == (says, versions)
    assert [claim.engine for claim in found.claims] == [engine]
    data = written(file)
    (told,) = look_at(f"model/{name}", len(data), io.BytesIO(data), engine).findings
    assert (told.code, told.severity) == ("MDL010", Severity.INFO)
    assert told.message.startswith(f"It {says}; ")


@pytest.mark.parametrize("file", ARRAYS)
def test_arrays_of_numpy_say_what_they_hold_and_speak_for_no_engine(file: str) -> None:
    says, details = ARRAYS[file]
    name = file.rpartition("/")[2]
    found = facts(file, name)
    assert (found.says, dict(found.details), found.claims) == (says, details, ())
    data = written(file)
    assert look_at(f"model/data/{name}", len(data), io.BytesIO(data), "PyTorch").findings == ()


@pytest.mark.parametrize("file", SUSPECT)
def test_code_in_a_file_of_a_real_engine_is_found(file: str) -> None:
    name, engine, code = SUSPECT[file]
    data = written(file)
    found = look_at(f"model/{name}", len(data), io.BytesIO(data), engine).findings
    assert [item.code for item in found] == [code]
    trusted = look_at(f"model/{name}", len(data), io.BytesIO(data), engine, trusted=True).findings
    assert [(item.code, item.is_error) for item in trusted] == [(code, code == "MDL002")]


def test_every_file_is_accounted_for_and_small() -> None:
    files = {path.relative_to(WRITTEN).as_posix(): path for path in WRITTEN.rglob("*") if path.is_file()}
    assert {name for name in files if not name.endswith(BESIDE)} == {*FILES, *OTHER_FORMS, *ARRAYS, *SUSPECT}
    assert max(path.stat().st_size for path in files.values()) < 50_000


def test_no_file_holds_a_path_of_the_machine_that_wrote_it() -> None:
    for path in WRITTEN.rglob("*"):
        if path.is_file() and path.suffix not in (".py", ".md"):
            data = path.read_bytes()
            assert not any(mark in data for mark in (b"/tmp/", b"/home/", b"/root/", b"site-packages")), path


def test_a_saved_model_tells_its_signature_and_operators() -> None:
    details = dict(facts("tensorflow-2.21.0/saved_model.pb", "saved_model.pb").details)
    assert details["signature"] == "serving_default: x float32[?, 4] → y float32[?, 2]"
    assert "MatMul" in details["operators"]


def test_numbers_in_hdf5_are_no_model_and_no_fault() -> None:
    found = facts("h5py-3.14.0/data.h5", "data.h5")
    assert (found.says, found.problems) == ("is an HDF5 file", ())


def test_layers_interfaces_and_classes_are_told() -> None:
    assert dict(facts("tensorflow-2.21.0/net.keras", "net.keras").details) == {
        "layers": "Sequential, InputLayer, Dense"
    }
    assert dict(facts("tensorflow-1.8.0/net.h5", "net.h5").details) == {"layers": "Dense"}
    assert dict(facts("onnx-1.23.2/net.onnx", "net.onnx").details)["interface"] == "x → y"
    assert facts("onnx-1.23.2/external.onnx", "net.onnx").refers_to == ("net.bin",)
    stage = next(name for name in FILES if "LogisticRegression" in name)
    assert dict(facts(stage, FILES[stage][0]).details)["class"].endswith("LogisticRegressionModel")
    script = dict(facts("torch-2.13.0/script.pt", "net.pt").details)
    assert (script["form"], script["format version"], script["storages"]) == ("TorchScript with its code", "3", "2")


def test_numbers_after_the_first_library_are_weaker() -> None:
    found = facts("scikit-learn-1.9.1/iris.m", "iris.m")
    assert [(claim.engine, claim.confidence) for claim in found.claims] == [
        ("Scikit_Learn", CERTAIN),
        ("XGBoost", WEAK),
        ("LightGBM", WEAK),
        ("CatBoost", WEAK),
    ]
