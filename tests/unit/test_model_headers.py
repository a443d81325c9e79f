"""Hostile and damaged headers of model files: each is refused or survived, in bounded time, memory and reading."""

from __future__ import annotations

import contextlib
import io
import json
import struct
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airlock.domain.model_files import keras_config, protobuf
from airlock.domain.model_files.facts import Facts, numbered
from airlock.domain.model_files.forms import facts_of, is_model_file
from airlock.domain.model_files.ranges import Ranges, parsed
from airlock.domain.model_files.reading import check_model_file, look_at
from airlock.domain.model_files.references import check_references
from airlock.domain.model_files.streams import OverLimit, Unreadable
from tests.unit.given import archive
from tests.unit.model_bytes import (
    PROTOTXT,
    PYTHON_LAYER,
    caffemodel,
    field,
    onnx_model,
    safetensors,
    saved_model,
    varint,
    written,
)
from tests.unit.test_written_by import FILES, SUSPECT


def facts(name: str, data: bytes) -> Facts:
    found = facts_of(name, len(data), io.BytesIO(data))
    assert found is not None
    return found


def codes(name: str, data: bytes, engine: str = "TensorFlow") -> list[str]:
    return sorted({item.code for item in check_model_file(f"model/{name}", len(data), io.BytesIO(data), engine)})


def values(name: str, data: bytes, engine: str = "TensorFlow") -> list[str]:
    return [item.value for item in check_model_file(f"model/{name}", len(data), io.BytesIO(data), engine)]


# ── ranges ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_outside_of_a_file_is_read() -> None:
    ranges = Ranges(io.BytesIO(b"abcdef"), 6)
    assert ranges.at(2, 3) == b"cde"
    assert ranges.up_to(4, 100) == b"ef"
    assert ranges.tail(2) == b"ef"
    assert ranges.tail(100) == ranges.whole(6) == b"abcdef"
    for start, length in ((5, 2), (-1, 2), (0, -1), (1 << 70, 1)):
        with pytest.raises(Unreadable):
            ranges.at(start, length)
    with pytest.raises(OverLimit):
        ranges.whole(5)


def test_reading_has_a_budget() -> None:
    ranges = Ranges(io.BytesIO(b"x" * 100), 100, budget=60)
    ranges.at(0, 50)
    with pytest.raises(OverLimit):
        ranges.at(0, 50)


def test_json_is_read_in_one_way_only() -> None:
    assert parsed(b'{"a": [1]}') == {"a": [1]}
    for data in (b"{", b"", b"\xff", b"[" * 100_000, b'{"a": 1, "a": 2}'):
        with pytest.raises(Unreadable):
            parsed(data)


@pytest.mark.parametrize(
    "text,numbers",
    [("2.2.4-tf", "2.2.4"), ("1.9.1", "1.9.1"), ("1.0.0rc1", "1.0.0"), ("v2", ""), ("", ""), (None, ""),
     ("1." * 30, ""), ("01.2", "1.2"), ("9999999.1", ""), ("1.2.3.4.5", "1.2.3.4"), ("2..1", "2")],
)  # fmt: skip
def test_a_version_is_its_first_numbers(text: object, numbers: str) -> None:
    assert numbered(text) == numbers


# ── protocol buffers ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "data",
    [
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # a length beyond everything
        b"\x0a\x05ab",  # a length beyond the end
        b"\x80" * 20,  # a number that does not end
        b"\x00\x01",  # field 0
        b"\x0b\x0c",  # a group
        b"\x0f",  # an unknown wire type
        b"\x09\x01",  # eight bytes that are not there
        b"\x0d\x01",  # four
        b"\x08",  # a number that is not there
    ],
)
def test_what_is_no_message_is_unreadable(data: bytes) -> None:
    wire = protobuf.Wire(Ranges(io.BytesIO(data), len(data)))
    with pytest.raises(Unreadable):
        list(wire.fields(0, len(data)))


def test_large_values_are_passed_over_unread() -> None:
    class Counting(io.BytesIO):
        count = 0

        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(size)
            self.count += len(data)
            return data

    tensor = field(5, field(1, 1 << 22), field(2, 1), field(9, b"\x00" * (4 << 20)))
    data = field(1, 9) + field(7, field(1, field(4, "Add")), *[tensor] * 8) + field(8, field(2, 17))
    file = Counting(data)
    assert facts_of("net.onnx", len(data), file) is not None
    assert file.count < 100_000 < len(data)


def test_more_fields_than_are_looked_at_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protobuf, "MAX_FIELDS", 100)
    assert codes("saved_model.pb", saved_model(*["Add"] * 100)) == ["MDL003"]


# ── TensorFlow and Keras ─────────────────────────────────────────────────────────────────────────────────────────────


def test_operators_that_reach_out_are_found_in_graphs_and_functions() -> None:
    assert values("saved_model.pb", saved_model("Add", "WriteFile", "PyFunc")) == ["PyFunc", "WriteFile"]
    function = field(2, field(1, field(3, field(1, "f"), field(2, "ReadFile"))))
    inside = field(2, field(1, field(5, "2.1.0")) + field(2, field(1, field(2, "Add")) + function))
    assert values("saved_model.pb", inside) == ["ReadFile"]
    assert values("frozen.pb", field(1, field(1, "x"), field(2, "EagerPyFunc"))) == ["EagerPyFunc"]


def test_a_print_is_harmless_until_it_writes_a_file() -> None:
    def printing(stream: str) -> bytes:
        attribute = field(5, field(1, "output_stream"), field(2, field(2, stream)))
        return field(2, field(2, field(1, field(1, "p"), field(2, "PrintV2"), attribute)))

    assert values("saved_model.pb", printing("stderr")) == []
    assert values("saved_model.pb", printing("file:///etc/cron.d/x")) == ["PrintV2"]


@pytest.mark.parametrize("data", [b"x", field(1, 1), field(2, field(2, field(1, field(1, "no operator"))))])
def test_a_saved_model_without_a_graph_is_unreadable(data: bytes) -> None:
    assert codes("saved_model.pb", data) == ["MDL002"]


def test_another_protocol_buffer_with_the_same_ending_is_no_finding() -> None:
    assert codes("labels.pb", b"\x08\x01") == []


def test_keras_metadata_beside_a_saved_model_are_read() -> None:
    layer = json.dumps({"class_name": "Lambda", "config": {"name": "twice"}, "keras_version": "2.9.0"})
    data = field(1, field(3, "root"), field(4, "_tf_keras_layer"), field(5, layer))
    assert values("keras_metadata.pb", data) == ["twice"]
    assert codes("keras_metadata.pb", field(1, field(5, "{"))) == ["MDL002"]


def keras(config: object, *more: tuple[str, bytes]) -> bytes:
    return archive(("metadata.json", b'{"keras_version": "3.1"}'), ("config.json", json.dumps(config).encode()), *more)


@pytest.mark.parametrize(
    "value,found",
    [
        ({"class_name": "Dense", "module": "keras.layers", "config": {"name": "d"}}, []),
        ({"class_name": "Lambda", "config": {"name": "l"}}, ["l"]),
        ({"class_name": "layers.Lambda", "module": "keras", "config": {"name": "l"}}, ["l"]),
        ({"class_name": "layers.core.lambda_layer.Lambda", "module": "keras.src", "config": {"name": "l"}}, ["l"]),
        ({"class_name": "utils.get_file", "module": "keras", "config": {}}, ["keras.utils.get_file"]),
        ({"class_name": "layers.Dense", "module": "keras", "config": {"name": "d"}}, []),
        ({"a": [{"b": {"class_name": "__lambda__", "config": {"code": "4wE"}}}]}, [""]),
        ({"class_name": "system", "module": "os", "config": {}}, ["os.system"]),
        ({"class_name": "Popen", "module": "keras_evil.x", "config": {}}, ["keras_evil.x.Popen"]),
        ({"class_name": "get_file", "module": "keras.utils", "config": {}}, ["keras.utils.get_file"]),
        ({"class_name": "function", "module": "builtins", "config": "relu"}, []),
        ({"class_name": "enable_unsafe_x", "module": "keras.config"}, ["keras.config.enable_unsafe_x"]),
        ({"class_name": "TFOpLambda", "config": {"function": "io.write_file"}}, ["tensorflow.io.write_file"]),
        ({"class_name": "TFOpLambda", "config": {"function": "math.multiply"}}, []),
    ],
)  # fmt: skip
def test_what_a_keras_configuration_would_run_is_named(value: object, found: list[str]) -> None:
    assert values("net.keras", keras(value)) == found


@pytest.mark.parametrize(
    "layer",
    [
        {"class_name": "TFSMLayer", "config": {"filepath": "/models/other"}},
        {"class_name": "layers.TFSMLayer", "module": "keras", "config": {"filepath": "/models/other"}},
        {"class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}},
    ],
)
def test_a_layer_that_loads_a_file_by_its_path_is_refused(layer: dict[str, object]) -> None:
    assert codes("net.keras", keras(layer)) == ["MDL008"]
    assert codes("net.keras", keras({"class_name": "StringLookup", "config": {"vocabulary": ["a", "b"]}})) == []


def test_an_archive_that_two_libraries_would_load_is_not_taken_for_one_of_keras_alone() -> None:
    pickled = b"cposix\nsystem\n(S'id'\ntR."
    both = archive(("net/data.pkl", pickled), ("metadata.json", b"{}"), ("config.json", b"{}"))
    assert codes("net.pth", both, "PyTorch") == ["MDL004"]


def test_an_archive_of_keras_behind_other_bytes_is_unreadable() -> None:
    assert codes("net.keras", b"x" + written("tensorflow-2.21.0/lambda.keras")) == ["MDL002"]


def test_a_class_that_only_code_can_register_is_a_warning() -> None:
    config = {"class_name": "Mine", "module": None, "registered_name": "pack>Mine", "config": {"name": "m"}}
    data = keras(config)
    (item,) = check_model_file("model/n.keras", len(data), io.BytesIO(data), "TensorFlow")
    assert (item.code, item.is_error) == ("MDL007", False)
    assert "pack>Mine" in item.message


def test_a_deep_or_large_configuration_takes_no_stack_and_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    deep: list[object] = []
    for _ in range(50_000):
        deep = [deep]
    keras_config.Layers().read(deep)
    monkeypatch.setattr(keras_config, "MAX_VALUES", 100)
    with pytest.raises(OverLimit):
        keras_config.Layers().read([[]] * 200)


def test_an_archive_of_keras_that_is_damaged_is_refused() -> None:
    good = written("tensorflow-2.21.0/net.keras")
    assert codes("net.keras", good) == []
    assert codes("net.keras", good[:-10]) == ["MDL004"]
    assert codes("net.keras", good.replace(b'"Dense"', b'"Dance"', 1)) == ["MDL004"]
    assert codes("net.keras", archive(("config.json", b"{}"))) == ["MDL004"]
    assert codes("net.keras", keras({}, ("../x", b""))) == ["MDL004"]


def test_an_archive_of_keras_is_one_under_any_name() -> None:
    assert codes("net.pth", written("tensorflow-2.21.0/lambda.keras"), "PyTorch") == ["MDL001"]


# ── HDF5 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_header_that_runs_in_a_circle_ends() -> None:
    data = bytearray(written("h5py-3.14.0/many.h5"))
    root = int.from_bytes(data[64:72], "little")
    length = int.from_bytes(data[root + 8 : root + 12], "little")
    at = root + 16
    while int.from_bytes(data[at : at + 2], "little") != 0x10 and at < root + 16 + length:
        at += 8 + int.from_bytes(data[at + 2 : at + 4], "little")
    data[at + 8 : at + 16] = (root + 16).to_bytes(8, "little")
    data[at + 16 : at + 24] = length.to_bytes(8, "little")
    assert codes("net.h5", bytes(data)) == ["MDL002"]


@pytest.mark.parametrize("file", ["tensorflow-2.21.0/net.h5", "h5py-3.14.0/latest.h5", "h5py-3.14.0/many.h5"])
def test_every_change_of_a_byte_in_a_header_is_survived(file: str) -> None:
    data = written(file)
    for place in range(0, 900):
        for value in (0, 255, data[place] ^ 1):
            codes("net.h5", data[:place] + bytes([value]) + data[place + 1 :])


# ── ONNX ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("location", ["../w.bin", "/etc/passwd", "a\\b", "C:w", "a//b", "", ".", "a/../b", "a\nb"])
def test_weights_outside_of_the_package_are_refused(location: str) -> None:
    data = onnx_model(location=location)
    found = facts("net.onnx", data)
    assert found.refers_to == (location,)
    assert [item.code for item in check_references("net.onnx", found.refers_to, {"net.onnx", "w.bin"})] == ["MDL008"]


def test_weights_beside_the_model_are_taken_and_missing_ones_told() -> None:
    for location in ("w.bin", "./w.bin", "data/w.bin"):
        paths = {"sub/net.onnx", f"sub/{location.removeprefix('./')}"}
        assert check_references("sub/net.onnx", facts("net.onnx", onnx_model(location=location)).refers_to, paths) == []
    (item,) = check_references("net.onnx", ["w.bin"], {"net.onnx"})
    assert (item.code, item.value) == ("MDL008", "w.bin")
    assert "not there" in item.message


def test_a_place_is_seen_in_attributes_graphs_inside_and_where_it_is_not_said_to_count() -> None:
    tensor = field(13, field(1, "location"), field(2, "../x")), field(14, 1)
    nodes = (
        field(4, "Constant") + field(5, field(1, "value"), field(5, *tensor)),
        field(4, "If") + field(5, field(6, field(5, *tensor))),
        field(4, "If") + field(5, field(11, field(1, field(4, "C"), field(5, field(10, *tensor))))),
        field(4, "C") + field(5, field(22, field(1, *tensor))),
    )
    for node in nodes:
        assert facts("net.onnx", onnx_model(node)).refers_to == ("../x",)
    training = field(20, field(1, field(5, *tensor)))
    assert facts("net.onnx", onnx_model() + training).refers_to == ("../x",)
    assert facts("net.onnx", onnx_model(location="../x", external=False)).refers_to == ("../x",)


def test_operators_of_nobodys_standard_are_told_unless_the_model_brings_them() -> None:
    own = field(4, "Mystery") + field(7, "com.example")
    assert codes("net.onnx", onnx_model(own), "ONNX") == ["MDL007"]
    function = field(25, field(1, "Mystery"), field(10, "com.example"), field(7, field(4, "Add")))
    assert codes("net.onnx", onnx_model(own) + function, "ONNX") == []
    assert codes("net.onnx", onnx_model(field(4, "Gelu") + field(7, "com.microsoft")), "ONNX") == []


def test_graphs_inside_each_other_have_a_limit() -> None:
    node = field(4, "If")
    for _ in range(40):
        node = field(4, "If") + field(5, field(6, field(1, node)))
    assert codes("net.onnx", onnx_model(node), "ONNX") == ["MDL003"]


@pytest.mark.parametrize("data", [b"x", field(1, 9), field(7, field(1, field(4, "Add"))), b"\x00" * 50])
def test_what_is_no_onnx_is_unreadable(data: bytes) -> None:
    assert codes("net.onnx", data, "ONNX") == ["MDL002"]


# ── safetensors ──────────────────────────────────────────────────────────────────────────────────────────────────────

ONE = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def rogue_headers() -> Iterator[tuple[str, bytes]]:
    data = b"\x00" * 8
    yield "too short", b"\x01"
    yield "a huge length", safetensors({"a": ONE}, data, length=1 << 62)
    yield "no object", safetensors(b"[]", b"")
    yield "a space first", safetensors(b" {}", b"")
    yield "a key twice", safetensors(b'{"a":%b,"a":%b}' % ((json.dumps(ONE).encode(),) * 2), data)
    yield "an overlap", safetensors({"a": ONE, "b": {**ONE, "shape": [1], "data_offsets": [4, 8]}}, data)
    yield "a gap", safetensors({"a": {**ONE, "data_offsets": [8, 16]}}, data * 2)
    yield "backwards", safetensors({"a": {**ONE, "data_offsets": [8, 0]}}, data)
    yield "negative", safetensors({"a": {**ONE, "data_offsets": [-8, 0]}}, b"")
    yield "another size", safetensors({"a": {**ONE, "shape": [3]}}, data)
    yield "a huge shape", safetensors({"a": {**ONE, "shape": [1 << 60] * 50}}, data)
    yield "no shape", safetensors({"a": {"dtype": "F32", "data_offsets": [0, 8]}}, data)
    yield "no type", safetensors({"a": {"shape": [2], "data_offsets": [0, 8]}}, data)
    yield "true for a number", safetensors({"a": {**ONE, "data_offsets": [False, 8]}}, data)
    yield "bytes behind", safetensors({"a": ONE}, data + b"x")
    yield "metadata that are no text", safetensors({"__metadata__": {"a": 1}, "a": ONE}, data)
    yield "deep", safetensors(b'{"a":' * 5000 + b"1" + b"}" * 5000, b"")


def test_a_header_of_safetensors_that_lies_is_refused() -> None:
    for name, data in rogue_headers():
        assert codes("net.safetensors", data, "PyTorch") == ["MDL006"], name
    assert codes("net.safetensors", safetensors({"a": ONE}, b"\x00" * 8), "PyTorch") == []


def test_a_header_beyond_the_limit_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airlock.domain.model_files.safetensors_file.MAX_HEADER_BYTES", 10)
    assert codes("net.safetensors", safetensors({"a": ONE}, b"\x00" * 8), "PyTorch") == ["MDL003"]


# ── the others ───────────────────────────────────────────────────────────────────────────────────────────────────────


def metadata(**fields: object) -> bytes:
    value = {"class": "org.apache.spark.ml.PipelineModel", "sparkVersion": "2.3.2", "paramMap": {}, **fields}
    return json.dumps(value).encode() + b"\n"


@pytest.mark.parametrize("name", ["os.system", "org.apache.spark.mlx.A", "org.apache.spark.ml.a b", "", "sh"])
def test_spark_creates_only_its_own_classes(name: str) -> None:
    assert codes("spark_model/metadata/part-00000", metadata(**{"class": name}), "Spark_MLlib") == ["MDL001"]
    assert codes("spark_model/metadata/part-00000", metadata(), "Spark_MLlib") == []


@pytest.mark.parametrize("data", [b"[]", b"{}", metadata() * 2, b'{"class": 1}'])
def test_metadata_of_spark_are_one_line_with_a_class(data: bytes) -> None:
    assert codes("spark_model/metadata/part-00000", data, "Spark_MLlib") == ["MDL002"]


def test_any_file_among_the_metadata_may_be_the_one_that_spark_reads() -> None:
    data = metadata(**{"class": "os.system"})
    for name in ("a.txt", "part-00001", "part-00000.txt"):
        assert is_model_file(f"spark_model/stages/0_x/metadata/{name}")
        assert codes(f"spark_model/stages/0_x/metadata/{name}", data, "Spark_MLlib") == ["MDL001"]
    for name in ("_SUCCESS", ".part-00000.crc"):
        assert not is_model_file(f"spark_model/metadata/{name}")
    away = metadata(paramMap={"stageUids": ["x/../../elsewhere"]})
    assert codes("spark_model/metadata/part-00000", away, "Spark_MLlib") == ["MDL002"]


def test_a_function_of_a_library_in_a_graph_of_mindspore_is_found() -> None:
    graph = field(7, field(1, field(3, "n"), field(4, "REF::Custom")))
    data = field(1, "1.1") + field(2, "MindSpore") + field(5, "2.10.0") + graph
    assert codes("net.mindir", data, "MindSpore") == ["MDL001"]


def test_an_operator_of_mxnet_that_only_code_registers_is_a_warning() -> None:
    nodes = [{"op": "null", "name": "data"}, {"op": "Custom", "name": "c", "attrs": {"op_type": "mine"}}]
    data = json.dumps({"nodes": nodes, "attrs": {"mxnet_version": ["int", 10901]}}).encode()
    (item,) = check_model_file("model/net-symbol.json", len(data), io.BytesIO(data), "MXNet")
    assert (item.code, item.is_error) == ("MDL007", False)
    assert "mine" in item.message


@pytest.mark.parametrize("data", [b"{}", b"[]", b'{"nodes": [1]}', b"{", b'{"nodes": [{"op": 1}]}'])
def test_a_symbol_without_nodes_is_unreadable(data: bytes) -> None:
    assert codes("net-symbol.json", data, "MXNet") == ["MDL002"]


def test_parameters_without_their_mark_are_a_warning_where_mxnet_needs_them() -> None:
    assert codes("net-0000.params", b"something", "MXNet") == ["MDL005"]
    assert codes("other.params", b"something", "MXNet") == []


def test_a_network_of_caffe_is_told_by_its_layers() -> None:
    found = facts("deploy.prototxt", PROTOTXT.encode())
    assert (found.says, dict(found.details)) == (
        "is a network of Caffe with 2 layers",
        {"layers": "InnerProduct, Softmax", "inputs": "data"},
    )
    assert facts("solver.prototxt", b'net: "train.prototxt"\nbase_lr: -1e-3').problems == ()
    assert dict(facts("n.caffemodel", caffemodel(("a", "14"), old=True)).details) == {"layers": "kind 14"}


@pytest.mark.parametrize(
    "more",
    [
        PYTHON_LAYER,
        PYTHON_LAYER.replace('type: "Python"', "type: 'Python'"),
        PYTHON_LAYER.replace("{", "<").replace("}", ">"),
        PYTHON_LAYER.replace(" python_param {", " python_param: {"),
        PYTHON_LAYER.replace('type: "Python" ', ""),
        'layer { type: "Python" }',
        'layer { type: "HDF5Output" hdf5_output_param { file_name: "/etc/x" } }',
        "layers { type: HDF5_OUTPUT }",
        'layers { type: PYTHON python_param { module: "os" layer: "system" } }',
    ],
)
def test_a_layer_in_python_is_found_however_it_is_written(more: str) -> None:
    assert codes("deploy.prototxt", (PROTOTXT + more).encode(), "Caffe") == ["MDL001"]


@pytest.mark.parametrize("text", ["layer {", "layer }", "a", "a: }", "{", "layer { type: \x00 }", 'a: "b', "a: ["])
def test_text_that_is_no_network_is_unreadable(text: str) -> None:
    assert codes("deploy.prototxt", text.encode(), "Caffe") == ["MDL002"]


def test_messages_inside_each_other_have_a_limit() -> None:
    assert codes("deploy.prototxt", b"a {" * 5000, "Caffe") == ["MDL003"]


@pytest.mark.parametrize("data", [b"x", field(1, "net"), field(100, field(1, "no type"))])
def test_weights_without_layers_are_unreadable(data: bytes) -> None:
    assert codes("net.caffemodel", data, "Caffe") == ["MDL002"]


def test_boosters_that_break_off_are_unreadable() -> None:
    assert codes("m.cbm", written("catboost-1.2.10/model.cbm")[:-900], "CatBoost") == ["MDL002"]
    assert codes("m.cbm", b"CBM1\xff\xff\xff\xff", "CatBoost") == ["MDL002"]
    assert codes("m.lgb", written("lightgbm-4.7.0/model.txt")[:900], "LightGBM") == ["MDL002"]
    assert codes("m.lgb", b"\x80\x04N.", "LightGBM") == ["MDL002"]
    assert codes("m.ubj", b"{L\x00\x00\x00\x00\x00\x00\x00\x01xi\x01}", "XGBoost") == ["MDL002"]


def test_a_checkpoint_of_another_library_is_no_finding_and_of_mindspore_a_warning() -> None:
    assert codes("net.ckpt", b"\xff\xfe\xfd", "TensorFlow") == []
    assert codes("net.ckpt", b"\xff\xfe\xfd", "MindSpore") == ["MDL005"]
    assert codes("net.mindir", field(2, "Other"), "MindSpore") == ["MDL002"]


def test_a_model_of_transformers_says_its_version_and_the_code_it_wants() -> None:
    value = {"transformers_version": "5.23.0", "architectures": ["BertModel"], "model_type": "bert"}
    found = facts("bert/config.json", json.dumps(value).encode())
    assert [str(by) for by in found.written_by] == ["Transformers 5.23.0"]
    assert dict(found.details) == {"architectures": "BertModel", "kind": "bert"}
    own = json.dumps({**value, "auto_map": {"AutoModel": "modeling.Mine"}}).encode()
    assert codes("bert/config.json", own, "Transformers") == ["MDL007"]
    assert codes("tokenizer/config.json", b"not even JSON", "Scikit_Learn") == []


@pytest.mark.parametrize(
    "name,data",
    [
        ("labels.json", b'{"version": 1, "labels": []}'),
        ("labels.txt", b"binford\ncat\n"),
        ("labels.txt", b"tree\nflower\n"),
        ("index.json", b"[]"),
        ("words/metadata/part-00000", b"not of Spark"),
        ("weights.bin", b"\x01\x02\x03"),
        ("labels.pb", b"\x00"),
        ("notes.params", b"a = 1"),
        ("archive.model", b"PK\x03\x04"),
    ],
)
def test_a_file_beside_the_model_is_taken_for_nothing(name: str, data: bytes) -> None:
    assert codes(name, data, "PyTorch") == []
    assert facts_of(name, len(data), io.BytesIO(data)) is None


def test_only_files_that_may_be_models_are_looked_at() -> None:
    for path in (
        "saved_model.pb",
        "a/b.onnx",
        "labels.txt",
        "spark_model/metadata/part-00000",
        "x.PTH",
        "b/config.json",
    ):
        assert is_model_file(path)
    for path in ("config.json", "service.py", "sub/labels.txt", "data/part-00000", "variables/variables.index"):
        assert not is_model_file(path)


# ── all of them ──────────────────────────────────────────────────────────────────────────────────────────────────────

ALL = {file: entry[0] for file, entry in {**FILES, **SUSPECT}.items()}
#: What a reader may say of any bytes: nothing else ever leaves it.
CODES = {"MDL001", "MDL002", "MDL003", "MDL004", "MDL005", "MDL006", "MDL007", "MDL011"}


@pytest.mark.parametrize("file", ALL)
def test_a_file_that_breaks_off_is_survived_wherever_it_does(file: str) -> None:
    data = written(file)
    step = max(1, len(data) // 150)
    for length in range(0, len(data), step):
        assert set(codes(ALL[file], data[:length])) <= CODES


@settings(max_examples=120, deadline=2000, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    file=st.sampled_from(sorted(ALL)),
    changes=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=9)), min_size=1, max_size=4),
    cut=st.floats(0.1, 1),
)
def test_no_change_of_a_file_crashes_a_reader(file: str, changes: list[tuple[float, bytes]], cut: float) -> None:
    data = bytearray(written(file))
    for place, other in changes:
        at = int(place * len(data))
        data[at : at + len(other)] = other
    whole = bytes(data[: int(cut * len(data))])
    assert set(codes(ALL[file], whole)) <= CODES
    # What detection reads is the same file without a judgement.
    with contextlib.suppress(Unreadable):
        facts_of(ALL[file], len(whole), io.BytesIO(whole))


@settings(max_examples=150, deadline=2000, derandomize=True)
@given(name=st.sampled_from(sorted(set(ALL.values()))), data=st.binary(max_size=600))
def test_no_bytes_at_all_crash_a_reader(name: str, data: bytes) -> None:
    assert set(codes(name, data)) <= CODES


def test_no_length_of_a_file_of_a_hundred_gigabytes_is_taken_for_its_bytes() -> None:
    class Sparse:
        """A file that is as large as it says, and of zeros behind its head."""

        def __init__(self, head: bytes, size: int) -> None:
            self.head, self.size, self.at, self.count = head, size, 0, 0

        def seek(self, offset: int, whence: int = 0, /) -> int:
            self.at = offset + (self.at if whence == 1 else 0)
            return self.at

        def read(self, size: int = -1, /) -> bytes:
            size = min(size, self.size - self.at)
            data = self.head[self.at : self.at + size].ljust(size, b"\x00")
            self.at += size
            self.count += size
            return data

    size = 100 << 30
    header = {"a": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}
    raw = json.dumps(header).encode()
    tensor = varint(5 << 3 | 2)
    inner = field(1, 1) + varint(9 << 3 | 2) + varint(size)
    graph = field(1, field(4, "Add")) + tensor + varint(len(inner) + size) + inner
    for name, engine, head, total in (
        ("net.safetensors", "PyTorch", struct.pack("<Q", len(raw)) + raw, 8 + len(raw) + size),
        ("net.onnx", "ONNX", field(1, 9) + varint(7 << 3 | 2) + varint(len(graph) + size) + graph, 0),
        ("net.h5", "TensorFlow", written("tensorflow-2.21.0/net.h5"), size),
    ):
        file = Sparse(head, total or len(head) + size)
        began = time.perf_counter()
        found = look_at(f"model/{name}", file.size, file, engine).findings
        assert [item.code for item in found] == []
        assert file.count < 1_000_000
        assert time.perf_counter() - began < 1
