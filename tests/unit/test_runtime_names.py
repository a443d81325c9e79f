"""Runtime names of the unified form: what they say, which row they find, and which they do not."""

from __future__ import annotations

import dataclasses
import re

import pytest

from airlock.adapters.catalogue_files import load_catalogue
from airlock.domain.catalogue import Catalogue, Variant
from airlock.domain.device import Device
from airlock.domain.runtime_names import UNIFIED_ENGINES, UnifiedName, parse_unified_name, version_distance
from tests.unit.given import ROOT, runtime

WHOLE = load_catalogue(ROOT / "include")
#: Engine → distributions that are the engine itself.
OWN = {
    "Caffe": (),
    "CatBoost": ("catboost",),
    "LightGBM": ("lightgbm",),
    "MXNet": ("mxnet",),
    "MindSpore": ("mindspore", "mindspore-ascend"),
    "ONNX": ("onnxruntime", "onnxruntime-gpu"),
    "PyTorch": ("torch",),
    "Scikit_Learn": ("scikit-learn",),
    "Spark_MLlib": ("pyspark",),
    "TensorFlow": ("tensorflow", "tensorflow-cpu", "tensorflow-gpu"),
    "Transformers": ("transformers",),
    "XGBoost": ("xgboost", "xgboost-cpu"),
}
BOTH = (Device.CPU, Device.GPU)
ROWS = Catalogue.of([
    runtime("PyTorch", "python3.6", engine_version="1.0", python="3.6", devices=BOTH, default=True),
    runtime("PyTorch", "pytorch1.4-python3.7", engine_version="1.4", python="3.7", devices=BOTH),
    runtime("PyTorch", "torch2.13-python3.11-cpu", engine_version="2.13.0", constraints="torch==2.13.0+cpu\n"),
    runtime("PyTorch", "torch2.13-python3.11-gpu", engine_version="2.13.0", devices=(Device.GPU,)),
    runtime(
        "TensorFlow",
        "tf1.13-python3.7-cpu",
        engine_version="1.13",
        python="3.7",
        constraints="tensorboard==1.13.2\ntensorflow==1.13.1\ntensorflow-estimator==1.13.0\n",
    ),
    runtime(
        "MindSpore",
        "ms1.1-python3.7-c76",
        engine_version="1.1.1",
        python="3.7",
        devices=(Device.ASCEND,),
        architectures=("aarch64",),
        default=True,
    ),
])


def test_a_name_for_cuda_says_everything():
    assert parse_unified_name("pytorch_1.8.0-cuda_10.2-py_3.7-ubuntu_18.04-x86_64") == UnifiedName(
        engine="PyTorch",
        version="1.8.0",
        accelerator=Device.GPU,
        accelerator_version="10.2",
        python="3.7",
        os="ubuntu_18.04",
        architecture="x86_64",
    )


def test_a_name_for_the_cpu_has_no_accelerator_version():
    name = parse_unified_name("mindspore_1.7.0-cpu-py_3.7-ubuntu_18.04-x86_64")
    assert name is not None
    assert (name.accelerator, name.accelerator_version) == (Device.CPU, "")


@pytest.mark.parametrize("chip", ["", "-snt9b"])
def test_a_name_for_cann_is_one_of_an_ascend_device_whatever_its_chip(chip):
    name = parse_unified_name(f"mindspore_1.7.0-cann_5.1.0-py_3.7-euler_2.8.3-aarch64{chip}")
    assert name is not None
    assert (name.accelerator, name.accelerator_version) == (Device.ASCEND, "5.1.0")
    assert (name.os, name.architecture) == ("euler_2.8.3", "aarch64")


def test_an_engine_of_two_words_is_known():
    name = parse_unified_name("scikit_learn_0.24.1-cpu-py_3.8-ubuntu_18.04-x86_64")
    assert name is not None
    assert (name.engine, name.version) == ("Scikit_Learn", "0.24.1")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "python3.6",
        "pytorch1.4-python3.7",
        "PyTorch_1.8.0-cuda_10.2-py_3.7-ubuntu_18.04-x86_64",
        "chainer_7.0-cuda_10.2-py_3.7-ubuntu_18.04-x86_64",
        "pytorch_1.8.0-cuda-py_3.7-ubuntu_18.04-x86_64",
        "pytorch_1.8.0-rocm_5.0-py_3.7-ubuntu_18.04-x86_64",
        "pytorch_1.8.0-cuda_10.2-py_3-ubuntu_18.04-x86_64",
        "pytorch_1.8.0-cuda_10.2-py_3.7-x86_64",
        "pytorch_1.8.0-cuda_10.2-py_3.7-ubuntu_18.04-riscv64",
        "pytorch_1.8.0-cuda_10.2-py_3.7-ubuntu_18.04-x86_64\n",
        "pytorch_١.8.0-cuda_10.2-py_3.7-ubuntu_18.04-x86_64",
        "pytorch_1.8.0-cuda_10.2-py_3.7-ubuntu_18.04-x86_64-" + "9" * 200,
    ],
)
def test_a_name_of_another_form_says_nothing(name):
    assert parse_unified_name(name) is None


@pytest.mark.parametrize(
    "one, other, distance",
    [("1.0", "1.0.0", (0, 0, 0, 0)), ("1.4", "1.8.2", (0, 4, 2, 0)), ("2", "1.15.0", (1, 15, 0, 0))],
)
def test_versions_are_apart_by_their_numbers(one, other, distance):
    assert version_distance(one, other) == version_distance(other, one) == distance


@pytest.mark.parametrize(
    "engine, name, found",
    [
        ("PyTorch", "pytorch_1.4.0-cuda_10.1-py_3.7-ubuntu_18.04-x86_64", "pytorch1.4-python3.7"),
        ("PyTorch", "pytorch_1.4.0-cpu-py_3.7-ubuntu_18.04-x86_64", "pytorch1.4-python3.7"),
        ("PyTorch", "pytorch_2.13.0-cpu-py_3.11-ubuntu_22.04-x86_64", "torch2.13-python3.11-cpu"),
        ("PyTorch", "pytorch_2.13.0-cuda_13.0-py_3.11-ubuntu_22.04-x86_64", "torch2.13-python3.11-gpu"),
        ("TensorFlow", "tensorflow_1.13.1-cpu-py_3.7-ubuntu_18.04-x86_64", "tf1.13-python3.7-cpu"),
        ("TensorFlow", "tensorflow_1.13-cpu-py_3.7-ubuntu_18.04-x86_64", "tf1.13-python3.7-cpu"),
        ("MindSpore", "mindspore_1.1.1-cann_20.1-py_3.7-euler_2.8-aarch64", "ms1.1-python3.7-c76"),
    ],
)
def test_a_unified_name_finds_the_row_that_it_fits(engine, name, found):
    row = ROWS.find(engine, name)
    assert row is not None
    assert row.name == found


@pytest.mark.parametrize(
    "engine, name",
    [
        ("PyTorch", "pytorch_1.4.1-cuda_10.1-py_3.7-ubuntu_18.04-x86_64"),
        ("PyTorch", "pytorch_1.4.0-cuda_10.1-py_3.8-ubuntu_18.04-x86_64"),
        ("PyTorch", "pytorch_1.4.0-cuda_10.1-py_3.7-ubuntu_18.04-aarch64"),
        ("PyTorch", "pytorch_1.4.0-cann_5.1-py_3.7-ubuntu_18.04-x86_64"),
        ("TensorFlow", "tensorflow_1.13.0-cpu-py_3.7-ubuntu_18.04-x86_64"),
        ("TensorFlow", "tensorflow_1.13.2-cpu-py_3.7-ubuntu_18.04-x86_64"),
        ("TensorFlow", "pytorch_1.4.0-cpu-py_3.7-ubuntu_18.04-x86_64"),
    ],
)
def test_a_unified_name_that_fits_no_row_finds_none(engine, name):
    assert ROWS.find(engine, name) is None


@pytest.mark.parametrize("row", WHOLE.runtimes, ids=str)
def test_the_version_that_a_row_has_finds_it_and_the_versions_of_what_the_engine_brings_do_not(row):
    name = next(each for each, engine in UNIFIED_ENGINES.items() if engine == row.engine)
    device = {Device.CPU: "cpu", Device.GPU: "cuda_11.0", Device.ASCEND: "cann_5.1"}[row.devices[-1]]

    def found(version):
        unified = parse_unified_name(f"{name}_{version}-{device}-py_{row.python}-ubuntu_18.04-{row.architectures[0]}")
        return unified is not None and row.fits(unified)

    pins = re.findall(r"^([\w.-]+)==([0-9]+(?:\.[0-9]+){1,3})(?:\+\S*)?$", row.constraints, re.MULTILINE)
    own = [pin for distribution, pin in pins if distribution in OWN[row.engine]] or [row.engine_version]
    assert all(found(version) for version in (row.engine_version, *own))
    others = {pin for _, pin in pins if all(any(version_distance(pin, each)) for each in own)}
    assert [version for version in sorted(others - {row.engine_version}) if found(version)] == []


def test_a_version_is_not_taken_from_what_tensorflow_brings_along():
    for version in ("1.13.0", "1.13.2"):
        assert WHOLE.find("TensorFlow", f"tensorflow_{version}-cpu-py_3.7-ubuntu_18.04-x86_64") is None
    assert WHOLE.find("TensorFlow", "tensorflow_2.1.1-cpu-py_3.7-ubuntu_18.04-x86_64") is None
    for version, row in (("1.13.1", "tf1.13-python3.7-cpu"), ("2.1.0", "tf2.1-python3.7"), ("2.1", "tf2.1-python3.7")):
        found = WHOLE.find("TensorFlow", f"tensorflow_{version}-cpu-py_3.7-ubuntu_18.04-x86_64")
        assert found is not None
        assert found.name == row


def test_the_suggestion_for_a_unified_name_is_the_nearest_row_with_its_facts():
    text = ROWS.suggestion("PyTorch", "pytorch_1.8.0-cuda_10.2-py_3.7-ubuntu_18.04-x86_64")
    nearest = "The nearest is 'pytorch1.4-python3.7': version 1.4, Python 3.7, cpu and gpu, x86_64. "
    assert text.startswith(nearest)
    assert text.endswith("Its default is 'python3.6'.")


def test_the_device_weighs_more_than_the_version():
    name = "pytorch_1.8.0-cann_5.1-py_3.7-ubuntu_18.04-x86_64"
    rows = Catalogue.of([*ROWS.runtimes, runtime("PyTorch", "torch2-ascend", devices=(Device.ASCEND,))])
    assert rows.suggestion("PyTorch", name).startswith("The nearest is 'torch2-ascend'")


def test_a_unified_name_of_another_engine_is_told_as_such():
    text = ROWS.suggestion("TensorFlow", "pytorch_1.4.0-cpu-py_3.7-ubuntu_18.04-x86_64")
    assert text.startswith("The name says PyTorch, not TensorFlow. ")


def test_a_unified_name_of_an_engine_without_rows_has_no_nearest():
    assert ROWS.suggestion("Caffe", "caffe_1.0.0-cpu-py_3.7-ubuntu_18.04-x86_64") == "Runtimes of Caffe: none."


def test_a_variant_is_the_same_row_in_another_build():
    gpu = Variant(
        name="gpu",
        devices=(Device.GPU,),
        base_image="python:3.6-cuda",
        base_recipe="FROM python:3.6-slim",
        system_packages=(),
        environment=(("A", "b"),),
        constraints="mxnet-cu90==1.2.1\n",
    )
    row = runtime("MXNet", "python3.6", devices=BOTH, variants=(gpu,), stand_in="")
    built = row.as_variant("gpu")
    assert (built.engine, built.name, built.devices) == ("MXNet", "python3.6", (Device.GPU,))
    assert (built.base_image, built.constraints) == ("python:3.6-cuda", "mxnet-cu90==1.2.1\n")
    with pytest.raises(ValueError, match=r"MXNet python3\.6 has no variant 'genuine'"):
        row.as_variant("genuine")


def test_the_genuine_variant_is_no_stand_in_any_more():
    genuine = Variant(
        name="genuine",
        devices=(Device.CPU,),
        base_image="airlock-base/caffe:1.0",
        base_recipe="",
        system_packages=(),
        environment=(),
        constraints="",
    )
    row = runtime("Caffe", "python3.6", stand_in="OpenCV", variants=(genuine,))
    assert row.as_variant("genuine").stand_in == ""
    assert dataclasses.replace(row, variants=()).stand_in == "OpenCV"
