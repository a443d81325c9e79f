"""Spark, MindSpore, MXNet, Caffe, boosters, and what lies beside a model of transformers."""

from __future__ import annotations

import io
import json

import pytest

from airlock.domain.model_files.forms import facts_of, is_model_file
from airlock.domain.model_files.reading import check_model_file
from tests.unit.model_bytes import PROTOTXT, PYTHON_LAYER, caffemodel, field, written
from tests.unit.model_headers.header_findings import codes, facts


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
