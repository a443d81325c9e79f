"""Graphs of TensorFlow, archives of Keras, and HDF5."""

from __future__ import annotations

import io
import json

import pytest

from airlock.domain.model_files import keras_config
from airlock.domain.model_files.reading import check_model_file
from airlock.domain.model_files.streams import OverLimit
from tests.unit.given import archive
from tests.unit.model_bytes import field, saved_model, written
from tests.unit.model_headers.header_findings import codes, values


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
