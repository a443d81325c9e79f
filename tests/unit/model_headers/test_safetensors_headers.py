"""Safetensors: headers that lie or go beyond the limit."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.unit.model_bytes import safetensors
from tests.unit.model_headers.header_findings import codes

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
