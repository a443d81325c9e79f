"""ONNX Runtime in the version of its runtime: sessions, inputs by name and type, images, weights beside the model."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_engines import EngineInterpreter, prepare_engine
from served import Server, serve

#: A graph of nodes that give on what they get, or sums; written with the engine's own environment.
WRITE = """
import sys
import numpy as np
import onnx
from onnx import helper, numpy_helper
T = onnx.TensorProto

def save(nodes, inputs, outputs, tensors=(), **options):
    values = [[helper.make_tensor_value_info(*each) for each in some] for some in (inputs, outputs)]
    graph = helper.make_graph(nodes, "g", values[0], values[1], list(tensors))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.save_model(model, "net.onnx", **options)
"""
TYPES = (
    WRITE
    + """
kinds = {"ratio": T.FLOAT, "exact": T.DOUBLE, "count": T.INT64, "small": T.UINT8, "flag": T.BOOL, "word": T.STRING}
save(
    [helper.make_node("Identity", [name], [name + "_again"]) for name in kinds],
    [(name, kind, ["n"]) for name, kind in kinds.items()],
    [(name + "_again", kind, ["n"]) for name, kind in kinds.items()],
)
"""
)
IMAGES = (
    WRITE
    + """
save(
    [
        helper.make_node("ReduceMean", ["photo"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("Identity", ["grey"], ["same"]),
    ],
    [("photo", T.FLOAT, ["n", 3, 4, 6]), ("grey", T.UINT8, [1, "height", "width", 1])],
    [("means", T.FLOAT, ["n", 3]), ("same", T.UINT8, [1, "height", "width", 1])],
)
"""
)
WEIGHTS = (
    WRITE
    + """
weights = numpy_helper.from_array(np.ones((1000, 300), "float32"), "weights")
save(
    [helper.make_node("MatMul", ["x", "weights"], ["y"])],
    [("x", T.FLOAT, ["n", 1000])], [("y", T.FLOAT, ["n", 300])], [weights],
    save_as_external_data=True, location="net.weights", size_threshold=0,
)
"""
)


@pytest.fixture(scope="session")
def onnx() -> EngineInterpreter:
    """A Python with ONNX Runtime."""
    return prepare_engine("ONNX")


def package(folder: Path, interpreter: EngineInterpreter, code: str) -> Path:
    """A package without inference code whose model a script writes."""
    model = folder / "model"
    model.mkdir(parents=True)
    interpreter.run(code, model)
    (model / "config.json").write_text('{"model_type": "ONNX"}', encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def types(onnx: EngineInterpreter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A model with an input of every type."""
    with serve(onnx, package(tmp_path_factory.mktemp("types"), onnx, TYPES), OMP_NUM_THREADS="1") as server:
        yield server


GOOD = {
    "ratio": [1, 2.5],
    "exact": [0.1, 2],
    "count": [1, -2],
    "small": [0, 255],
    "flag": [True, False],
    "word": ["a", "语"],
}


def test_inputs_are_fed_by_name_with_the_types_that_the_model_declares(types: Server) -> None:
    answer = types.post(dict(reversed(GOOD.items())))
    assert answer.json == {f"{name}_again": value for name, value in GOOD.items()}


def test_fields_of_a_form_are_json_or_text(types: Server) -> None:
    fields = [(name, None, json.dumps(value).encode()) for name, value in GOOD.items() if name != "word"]
    answer = types.post_form(*fields, ("word", None, b"one"))
    assert answer.status == 400
    assert "word has the shape []" in answer.json["error_msg"]


@pytest.mark.parametrize(
    "change,says",
    [
        ({"count": [1.5, 2]}, "input count takes tensor(int64), the request has float64"),
        ({"small": [256, 0]}, "input small takes tensor(uint8), the request has int64"),
        ({"ratio": ["1", "2"]}, "input ratio takes tensor(float)"),
        ({"ratio": [[1, 2]]}, "input ratio has the shape [1, 2], the model takes ['n']"),
        ({"ratio": [[1], [1, 2]]}, "input ratio: the lists are not of one length"),
        ({"flag": [1, 0]}, "input flag takes tensor(bool)"),
        ({"word": [1, 2]}, "input word takes tensor(string)"),
        ({"word": {"a": 1}}, "input word takes tensor(string)"),
    ],
)
def test_a_value_that_does_not_fit_its_input_is_the_clients_error(
    types: Server, change: dict[str, object], says: str
) -> None:
    answer = types.post({**GOOD, **change})
    assert (answer.status, answer.json["error_code"]) == (400, "MR.0105")
    assert says in answer.json["error_msg"]


def test_a_missing_input_and_a_request_that_is_no_object_name_what_the_model_takes(types: Server) -> None:
    for document in ({"ratio": [1]}, [1, 2]):
        answer = types.post(document)
        assert answer.status == 400
        assert "ratio tensor(float) ['n']" in answer.json["error_msg"]


def picture(width: int, height: int, colour: tuple[int, int, int]) -> bytes:
    """A PNG of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\0" + bytes(colour) * width) * height
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_uploaded_images_become_arrays_of_the_models_size_and_type(onnx: EngineInterpreter, tmp_path: Path) -> None:
    with serve(onnx, package(tmp_path, onnx, IMAGES)) as server:
        red, blue = picture(60, 40, (255, 0, 0)), picture(3, 3, (0, 0, 51))
        answer = server.post_form(("photo", "r.png", red), ("photo", "b.png", blue), ("grey", "g", blue))
        assert answer.status == 200, server.log
        assert answer.json["means"] == [pytest.approx([1, 0, 0]), pytest.approx([0, 0, 0.2])]
        assert [len(row) for row in answer.json["same"][0]] == [3, 3, 3]
        assert all(isinstance(value, int) for row in answer.json["same"][0] for (value,) in row)
        answer = server.post_form(("photo", "r.png", b"no image"), ("grey", "g", blue))
        assert answer.status == 400
        assert "r.png is no image" in answer.json["error_msg"]
        answer = server.post_form(("photo", "r.png", red), ("grey", "a", red), ("grey", "b", blue))
        assert "different sizes" in answer.json["error_msg"]


def test_weights_in_a_file_beside_the_model_are_found_whatever_is_copied(
    onnx: EngineInterpreter, tmp_path: Path
) -> None:
    made = package(tmp_path, onnx, WEIGHTS)
    sizes = {path.name: path.stat().st_size for path in (made / "model").iterdir()}
    assert sizes["net.onnx"] < 1 << 20 < sizes["net.weights"], "one of the two would be copied, the other linked"
    with serve(onnx, made) as server:
        assert server.post({"x": [[0.5] * 1000]}).json["y"] == [[500.0] * 300]


def test_a_customized_service_has_the_session_and_the_steps_it_does_not_override(
    onnx: EngineInterpreter, tmp_path: Path
) -> None:
    made = package(tmp_path, onnx, TYPES)
    (made / "model" / "customize_service.py").write_text(
        "from model_service.onnx_model_service import OnnxServingBaseService\n\n\n"
        "class Service(OnnxServingBaseService):\n"
        "    def __init__(self, model_name, model_path):\n"
        "        self.names = [entry.name for entry in self.session.get_inputs()]\n\n"
        "    def _postprocess(self, data):\n"
        "        return {'names': self.names, 'ratio': data['ratio_again']}\n",
        encoding="utf-8",
    )
    with serve(onnx, made) as server:
        assert server.post(GOOD).json == {"names": list(GOOD), "ratio": [1, 2.5]}
