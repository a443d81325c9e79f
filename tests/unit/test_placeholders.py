"""What lies in a model file's place: told as what it is, and never taken for a pickle."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import zlib
from typing import Any

import pytest

from airlock.domain.findings import Severity
from airlock.domain.model_files.facts import Facts
from airlock.domain.model_files.forms import facts_of
from airlock.domain.model_files.pickle_facts import LOOKED_AT_BYTES
from airlock.domain.model_files.placeholders import placeholder_of
from airlock.domain.model_files.reading import check_presence, look_at
from airlock.errors import EngineNotDetected, PackageRejected
from tests.unit.given import changed, iris_files
from tests.unit.line import Line
from tests.unit.model_bytes import onnx_model, safetensors, written
from tests.unit.test_detection import detected, evidence_of

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 123456\n"
PAGE = b"\xef\xbb\xbf\r\n<!DOCTYPE html>\n<html><body>404 Not Found</body></html>\n"
ERROR = b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code></Error>'
TENSORS = safetensors({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, bytes(8))

#: Model files of an engine, at least one for each reader.
OWN = [
    ("Scikit_Learn", "iris.m"),
    ("XGBoost", "iris.m"),
    ("LightGBM", "model.lgb"),
    ("CatBoost", "model.cbm"),
    ("PyTorch", "net.pth"),
    ("PyTorch", "net.pt"),
    ("MindSpore", "net.ckpt"),
    ("TensorFlow", "saved_model.pb"),
    ("TensorFlow", "variables/variables.index"),
    ("TensorFlow", "variables/variables.data-00000-of-00001"),
    ("MXNet", "net-symbol.json"),
    ("MXNet", "net-0000.params"),
    ("Caffe", "net.caffemodel"),
    ("Caffe", "deploy.prototxt"),
    ("ONNX", "net.onnx"),
    ("Transformers", "bert/model.safetensors"),
    ("Spark_MLlib", "spark_model/metadata/part-00000"),
]


def told(engine: str, path: str, data: bytes, *, has_code: bool = False) -> list[tuple[str, Severity]]:
    looked = look_at(f"model/{path}", len(data), io.BytesIO(data), engine, has_code=has_code)
    return [(item.code, item.severity) for item in looked.findings]


@pytest.mark.parametrize("data", [b"", POINTER, PAGE, ERROR], ids=["empty", "pointer", "page", "error"])
@pytest.mark.parametrize("engine,path", OWN)
def test_what_lies_in_the_place_of_an_engines_file_is_an_error(engine: str, path: str, data: bytes) -> None:
    assert told(engine, path, data) == [("MDL011", Severity.ERROR)]


@pytest.mark.parametrize(
    "data,says,fix",
    [
        (b"", "The file is empty.", "Upload the file again"),
        (POINTER, "The file is a Git LFS pointer and not the file that it points to.", "`git lfs pull`"),
        (PAGE, "The file is an HTML page, as a failed download leaves one.", "download the file again"),
        (ERROR, "The file is the error of an object storage", "download the file again"),
    ],
)
def test_it_is_told_with_its_file_and_what_to_do(data: bytes, says: str, fix: str) -> None:
    (found,) = check_presence("model/net.pth", len(data), io.BytesIO(data), "PyTorch")
    assert found.line().startswith(f"MDL011 model/net.pth: {says}")
    assert fix in found.fix


@pytest.mark.parametrize("engine,path", [("Scikit_Learn", "iris.m"), ("PyTorch", "net.pth"), ("MindSpore", "net.ckpt")])
def test_inference_code_may_do_without_a_file_of_no_bytes_and_not_with_a_pointer(engine: str, path: str) -> None:
    assert told(engine, path, b"", has_code=True) == [("MDL011", Severity.WARNING)]
    assert told(engine, path, POINTER, has_code=True) == [("MDL011", Severity.ERROR)]


@pytest.mark.parametrize("path", ["net.h5", "weights/net.onnx", "net.keras", "net.safetensors"])
@pytest.mark.parametrize("data", [b"", POINTER, PAGE], ids=["empty", "pointer", "page"])
def test_a_name_of_one_form_stays_an_error_whoever_loads_it(path: str, data: bytes) -> None:
    assert told("TensorFlow", path, data, has_code=True) == [("MDL011", Severity.ERROR)]


@pytest.mark.parametrize("path", ["weights.pkl", "net.pb", "old/net.params", "old/iris.m"])
def test_beside_the_engines_own_files_it_is_a_warning(path: str) -> None:
    for data in (POINTER, PAGE):
        assert told("Scikit_Learn", path, data) == [("MDL011", Severity.WARNING)]
    assert "MDL011" not in [code for code, _ in told("Scikit_Learn", path, b"")]


def test_a_page_under_the_name_of_a_text_is_a_text_and_a_pointer_is_not() -> None:
    assert told("Scikit_Learn", "notes.txt", PAGE) == told("Scikit_Learn", "notes.txt", b"") == []
    assert told("Scikit_Learn", "notes.txt", POINTER) == [("MDL011", Severity.WARNING)]


@pytest.mark.parametrize(
    "path", ["net.om", "spark_model/metadata/_SUCCESS", "variables/variables.data-00000-of-00002", "keras_metadata.pb"]
)
def test_what_may_be_empty_is_no_error(path: str) -> None:
    for engine in ("MindSpore", "Spark_MLlib", "TensorFlow"):
        found = check_presence(f"model/{path}", 0, io.BytesIO(b""), engine)
        assert not any(item.is_error for item in found)


@pytest.mark.parametrize(
    "data",
    [
        b"version https://git-lfs.github.com/spec/v1\n" + bytes(2000),
        b"version 2",
        b"<mxfile",
        b"<?xml version='1.0'?><PMML/>",
        b"\x80\x04N.",
    ],
)
def test_what_only_resembles_it_is_left_to_the_readers(data: bytes) -> None:
    assert placeholder_of(data[:512], len(data)) is None


def refused(files: dict[str, bytes]) -> str:
    line = Line(files)
    accepted = line.accept()
    with pytest.raises(PackageRejected) as caught:
        line.validate(accepted, line.fetch(accepted))
    return str(caught.value)


def test_the_step_refuses_a_pointer_by_its_file_and_its_remedy() -> None:
    text = refused(iris_files() | {"model/iris.m": POINTER})
    assert "MDL011 model/iris.m: " in text
    assert "`git lfs pull`" in text


def test_a_pointer_is_seen_where_nobody_reads_the_file_itself() -> None:
    config = iris_files(changed(model_type="TensorFlow", runtime=None))["model/config.json"]
    path = "model/variables/variables.data-00000-of-00001"
    assert f"MDL011 {path}: " in refused({"model/config.json": config, path: POINTER})


# ── the form of what has a pickle's name ─────────────────────────────────────────────────────────────────────────────


def facts(path: str, data: bytes) -> Facts | None:
    return facts_of(path, len(data), io.BytesIO(data))


@pytest.mark.parametrize("name", ["iris_dot_m", "net_dot_pth", "net_dot_pt", "net_dot_ckpt"])
def test_a_form_of_its_own_under_a_pickles_name_speaks_for_its_own_engines(name: str) -> None:
    (item,) = evidence_of(**{name: onnx_model()}).values()
    assert (item.says, item.engines) == ("is an ONNX model", ("ONNX",))
    (item,) = evidence_of(**{name: TENSORS}).values()
    assert (item.says, item.engines) == ("holds 1 tensors in safetensors", ("Transformers", "PyTorch"))


@pytest.mark.parametrize(
    "engine,path,data,other",
    [
        ("Scikit_Learn", "a.m", onnx_model(), "ONNX"),
        ("PyTorch", "a.pth", onnx_model(), "ONNX"),
        ("XGBoost", "a.m", TENSORS, "Transformers"),
    ],
)
def test_it_contradicts_an_engine_that_does_not_read_it(engine: str, path: str, data: bytes, other: str) -> None:
    with pytest.raises(EngineNotDetected, match=other) as caught:
        detected(engine, {path: data, "customize_service.py": b""})
    assert caught.value.code == "DET001"


def test_tensors_for_pytorch_may_be_loaded_by_code_and_are_told() -> None:
    assert detected("PyTorch", {"net.pth": TENSORS, "customize_service.py": b""}).findings == ()
    assert told("PyTorch", "net.pth", TENSORS, has_code=True) == [("MDL010", Severity.INFO)]
    # The length of this header is 0x280, and a pickle of protocol 2 begins with the same two bytes.
    header = {"__metadata__": {"x": ""}, "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    longer = 0x280 - (len(safetensors(header)) - 8)
    header["__metadata__"] = {"x": "y" * longer}
    data = safetensors(header, bytes(8))
    assert data.startswith(b"\x80\x02")
    assert told("PyTorch", "net.pth", data) == [("MDL010", Severity.INFO)]


def dumped(value: Any, protocol: int) -> bytes:
    return pickle.dumps(value, protocol=protocol)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "pack",
    [bytes, zlib.compress, gzip.compress, bz2.compress, lzma.compress],
    ids=["plain", "zlib", "gzip", "bz2", "xz"],
)
def test_every_pickle_stays_one(protocol: int, pack: Any) -> None:
    for value in (None, 7, {"a": [1, 2.5]}, list(range(1000)), "text"):
        for path in ("iris.m", "net.pth"):
            found = facts(path, pack(dumped(value, protocol)))
            assert found is not None
            assert "pickle" in found.says or "joblib" in found.says


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_a_pickle_that_is_longer_than_what_is_looked_at_stays_one(protocol: int) -> None:
    data = dumped([float(number) for number in range(200_000)], protocol)
    assert len(data) > LOOKED_AT_BYTES
    for path in ("iris.m", "parts/iris.m"):
        found = facts(path, data)
        assert found is not None
        assert found.says == "is a pickle"


def test_a_pickle_that_breaks_off_is_one_that_breaks_off() -> None:
    data = written("scikit-learn-0.18.1/iris.m")
    found = facts("iris.m", data[: len(data) // 2])
    assert found is not None
    assert found.says == "is a pickle of scikit-learn"


def test_an_unknown_form_warns_and_refuses_nothing() -> None:
    for engine in ("Scikit_Learn", "XGBoost"):
        assert told(engine, "iris.m", b"\x00\x01 nothing that is known") == [("MDL005", Severity.WARNING)]
    (item,) = [each for each in detected("Scikit_Learn", {"iris.m": b"?"}).evidence if each.file == "model/iris.m"]
    assert item.says == "has no known form"
