"""ONNX: where weights lie, whose operators there are, and how deep graphs go."""

from __future__ import annotations

import pytest

from airlock.domain.model_files.references import check_references
from tests.unit.model_bytes import field, onnx_model
from tests.unit.model_headers.header_findings import codes, facts


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
