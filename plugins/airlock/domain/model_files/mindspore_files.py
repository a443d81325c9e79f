"""MindSpore's checkpoint and graph: protocol buffers of its own.

Source: MindSpore, mindspore/ccsrc/utils/checkpoint.proto and mindspore/core/proto/mind_ir.proto.
"""

from __future__ import annotations

from airlock.domain.model_files.facts import CERTAIN, Facts, WrittenBy, claims, listed, numbered
from airlock.domain.model_files.protobuf import BYTES, Wire
from airlock.domain.model_files.ranges import Ranges
from airlock.domain.model_files.streams import Unreadable


def read_checkpoint(ranges: Ranges) -> Facts:
    """A `*.ckpt`.

    Raises:
        Unreadable: It is none.
    """
    wire, names, kinds = Wire(ranges), set(), set()
    for number, kind, start, end in wire.fields(0, ranges.size):
        if number != 1 or kind != BYTES:
            raise Unreadable("it is no checkpoint of MindSpore", start)
        for inner, inner_kind, at, until in wire.fields(start, end):
            if inner == 1 and inner_kind == BYTES:
                names.add(wire.text(at, until))
            elif inner in (2, 3) and inner_kind == BYTES:
                kinds.add(_type(wire, at, until))
    if not names:
        raise Unreadable("it holds no parameters of MindSpore")
    return Facts(
        says=f"holds {len(names):,} parameters of MindSpore",
        claims=claims(CERTAIN, "MindSpore"),
        details=(("types", listed(sorted(kind for kind in kinds if kind))), ("parameters", listed(sorted(names)))),
    )


def read_mindir(ranges: Ranges) -> Facts:
    """A `*.mindir`.

    Raises:
        Unreadable: It is none.
    """
    wire, texts = Wire(ranges), {1: "", 2: "", 5: ""}
    for number, kind, start, end in wire.fields(0, ranges.size):
        if number in texts and kind == BYTES:
            texts[number] = wire.text(start, end)
    if texts[2] != "MindSpore":
        raise Unreadable("it is no graph of MindSpore")
    version = numbered(texts[5])
    return Facts(
        says="is a graph of MindSpore",
        claims=claims(CERTAIN, "MindSpore"),
        written_by=(WrittenBy(library="MindSpore", version=version),) if version else (),
        details=(("form", f"MindIR {texts[1][:20]}"),),
    )


def _type(wire: Wire, start: int, end: int) -> str:
    for number, kind, at, until in wire.fields(start, end):
        if number == 2 and kind == BYTES:
            return wire.text(at, until)[:40]
    return ""
