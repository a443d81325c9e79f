"""Caffe's two files: the network as text and the weights as a protocol buffer. A Python layer imports any module.

Source: BVLC/caffe, src/caffe/proto/caffe.proto; Protocol Buffers documentation, Text Format.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from airlock.domain.model_files.facts import CERTAIN, STRONG, Facts, Problem, claims, listed
from airlock.domain.model_files.protobuf import BYTES, VARINT, Wire
from airlock.domain.model_files.ranges import MAX_JSON_BYTES, Ranges
from airlock.domain.model_files.streams import OverLimit, Unreadable

MAX_DEPTH = 32
#: Types of layers that do more than compute, as both spellings of types are written without marks.
_REACHING = {"python": "imports Python", "hdf5output": "writes a file that it names itself"}
_OLD_HDF5_OUTPUT = "kind 10"
_TOKEN = re.compile(
    r"""\s+|\#[^\n]*|(?P<word>[A-Za-z_][\w.]*)|(?P<mark>[{}<>:\[\];,])|(?P<number>[-+]?[.\d][\w.+-]*)"""
    r"""|(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|(?P<minus>-)"""
)


@dataclass(slots=True)
class _Layer:
    name: str = ""
    kind: str = ""
    module: str = ""
    function: str = ""


@dataclass(slots=True)
class _Net:
    layers: list[_Layer] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)


def read_prototxt(ranges: Ranges) -> Facts:
    """A `*.prototxt`.

    Raises:
        Unreadable: It is none.
    """
    try:
        text = ranges.whole(MAX_JSON_BYTES).decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable("it is no text") from None
    net = _Net()
    _message(_tokens(text), net, ("",), None)
    if not net.layers:
        return Facts(says="is text of Caffe without layers", claims=claims(STRONG, "Caffe"))
    details = [("layers", listed(layer.kind for layer in net.layers))]
    details += [("inputs", listed(net.inputs))] if net.inputs else []
    return Facts(
        says=f"is a network of Caffe with {len(net.layers):,} layers",
        claims=claims(CERTAIN, "Caffe"),
        details=tuple(details),
        problems=tuple(_problems(net)),
    )


def read_caffemodel(ranges: Ranges) -> Facts:
    """A `*.caffemodel`.

    Raises:
        Unreadable: It is none.
    """
    wire, net = Wire(ranges), _Net()
    for number, kind, start, end in wire.fields(0, ranges.size):
        if kind == BYTES and number in (2, 100):
            net.layers.append(_weights(wire, start, end, old=number == 2))
    if not net.layers:
        raise Unreadable("it holds no layers of Caffe")
    return Facts(
        says=f"holds the weights of {len(net.layers):,} layers of Caffe",
        claims=claims(CERTAIN, "Caffe"),
        details=(("layers", listed(layer.kind for layer in net.layers)),),
        problems=tuple(_problems(net)),
    )


def _problems(net: _Net) -> list[Problem]:
    return [
        Problem(
            code="MDL001",
            message=f"Loading it runs code: the layer {layer.name[:80]!r} {reaches}.",
            value=f"{layer.module}.{layer.function}"[:160] if layer.module or layer.function else layer.kind,
        )
        for layer in net.layers
        if (reaches := _reaches(layer))
    ][:20]


def _reaches(layer: _Layer) -> str:
    if layer.module or layer.function:
        return _REACHING["python"]
    kind = "hdf5output" if layer.kind == _OLD_HDF5_OUTPUT else layer.kind.replace("_", "").lower()
    return _REACHING.get(kind, "")


def _weights(wire: Wire, start: int, end: int, *, old: bool) -> _Layer:
    layer = _Layer()
    for number, kind, at, until in wire.fields(start, end):
        if kind == BYTES and number == (4 if old else 1):
            layer.name = wire.text(at, until)
        elif old and number == 5 and kind == VARINT:
            layer.kind = f"kind {at}"
        elif not old and number == 2 and kind == BYTES:
            layer.kind = wire.text(at, until)
        elif not old and number == 130 and kind == BYTES:
            for inner, inner_kind, begin, stop in wire.fields(at, until):
                if inner_kind == BYTES and inner in (1, 2):
                    text = wire.text(begin, stop)
                    layer.module, layer.function = (text, layer.function) if inner == 1 else (layer.module, text)
    if not layer.kind:
        raise Unreadable("a layer of it has no type", start)
    return layer


def _tokens(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise Unreadable("it is no text of a protocol buffer", at)
        at = match.end()
        if match.lastgroup:
            yield match[0]


def _message(tokens: Iterator[str], net: _Net, path: tuple[str, ...], layer: _Layer | None) -> None:
    """Read fields up to the end of the message that `path` names."""
    if len(path) > MAX_DEPTH:
        raise OverLimit("its messages stand inside each other too deeply")
    closing = {"": "", "{": "}", "<": ">"}[path[0]]
    while True:
        name = next(tokens, "")
        if name in (";", ","):
            continue
        if name == closing:
            return
        if not (name[:1].isalpha() or name[:1] == "_"):
            raise Unreadable("its braces do not match" if name in ("", "}", ">") else "a field of it has no name")
        mark = next(tokens, "")
        if mark == ":":
            mark = next(tokens, "")
        if mark in ("{", "<"):
            inner = layer
            if name in ("layer", "layers") and len(path) == 1:
                inner = _Layer()
                net.layers.append(inner)
            _message(tokens, net, (mark, *path[1:], name), inner)
        elif mark == "[":
            while (item := next(tokens, "")) != "]":
                if not item:
                    raise Unreadable("its brackets do not match")
        elif not mark or mark in "}>]:":
            raise Unreadable(f"the field {name[:40]} of it has no value")
        else:
            if mark == "-":
                next(tokens, "")
            _note(net, path[1:], layer, name, mark)


def _note(net: _Net, path: tuple[str, ...], layer: _Layer | None, name: str, value: str) -> None:
    text = value[1:-1] if value[:1] in "\"'" else value
    if layer is None:
        if name == "input" and not path and len(net.inputs) < 20:
            net.inputs.append(text[:80])
    elif len(path) == 1 and name in ("type", "name"):
        layer.kind, layer.name = (text[:80], layer.name) if name == "type" else (layer.kind, text[:80])
    elif path[-1] == "python_param" and name in ("module", "layer"):
        layer.module, layer.function = (text, layer.function) if name == "module" else (layer.module, text)
