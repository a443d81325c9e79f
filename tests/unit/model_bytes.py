"""Small model files made by hand, where a real engine writes none of that kind."""

from __future__ import annotations

import json
import struct
from typing import Any

from tests.unit.given import ROOT

WRITTEN = ROOT / "tests/packages/written_by"


def written(name: str) -> bytes:
    """A file that a real engine wrote."""
    return (WRITTEN / name).read_bytes()


def varint(value: int) -> bytes:
    """A number as protocol buffers write it."""
    value &= (1 << 64) - 1
    data = bytearray()
    while value > 0x7F:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*data, value])


def field(number: int, *parts: bytes | str | int) -> bytes:
    """A field with a number, or with the bytes of its parts."""
    if len(parts) == 1 and isinstance(parts[0], int):
        return varint(number << 3) + varint(parts[0])
    data = b"".join(part.encode() if isinstance(part, str) else bytes(part) for part in parts)
    return varint(number << 3 | 2) + varint(len(data)) + data


def saved_model(*operators: str, version: str = "1.8.0", assets: tuple[str, ...] = (), objects: bytes = b"") -> bytes:
    """A SavedModel with these operators and nothing else."""
    nodes = b"".join(field(1, field(1, f"n{index}"), field(2, name)) for index, name in enumerate(operators))
    named = b"".join(field(6, field(2, name)) for name in assets)
    graph = field(1, field(5, version)) + field(2, nodes) + named + (field(7, objects) if objects else b"")
    return field(1, 1) + field(2, graph)


def onnx_model(
    *nodes: bytes, opset: int = 17, ir: int = 9, location: str | None = None, domain: str = "", external: bool = True
) -> bytes:
    """An ONNX model with these nodes, or one addition; with weights in a file where a location is named."""
    weights = b""
    if location is not None:
        weights = field(5, field(1, 4), field(13, field(1, "location"), field(2, location)), field(14, int(external)))
    graph = b"".join(field(1, node) for node in nodes or (field(4, "Add"),)) + weights
    return field(1, ir) + field(7, graph) + field(8, field(1, domain), field(2, opset))


def safetensors(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file with this header."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def caffemodel(*layers: tuple[str, str], old: bool = False) -> bytes:
    """The weights of a network with layers of these names and types."""
    if old:
        return field(1, "net") + b"".join(field(2, field(4, name), field(5, int(kind))) for name, kind in layers)
    return field(1, "net") + b"".join(field(100, field(1, name), field(2, kind)) for name, kind in layers)


PROTOTXT = """
name: "net"  # a comment
input: "data"
input_shape { dim: 1 dim: 4 }
layer {
  name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 2 weight_filler < type: 'xavier' > bias_term: true }
}
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" propagate_down: [true, false] }
"""
PYTHON_LAYER = """
layer { name: "run" type: "Python" python_param { module: "os" layer: "system" param_str: "touch x" } }
"""
