"""MindSpore's checkpoint and graph: protocol buffers of its own.

Source: MindSpore, mindspore/ccsrc/utils/checkpoint.proto and mindspore/core/proto/mind_ir.proto.
"""

from __future__ import annotations

from airlock.domain.model_files.facts import CERTAIN, Facts, Problem, WrittenBy, claims, listed, numbered
from airlock.domain.model_files.protobuf import BYTES, Wire
from airlock.domain.model_files.ranges import Ranges
from airlock.domain.model_files.streams import Unreadable

MAX_OPERATORS = 10_000


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
    wire, texts, operators = Wire(ranges), {1: "", 2: "", 5: ""}, set()
    for number, kind, start, end in wire.fields(0, ranges.size):
        if number in texts and kind == BYTES:
            texts[number] = wire.text(start, end)
        elif number in (7, 8) and kind == BYTES:
            operators |= _operators(wire, start, end)
    if texts[2] != "MindSpore":
        raise Unreadable("it is no graph of MindSpore")
    version = numbered(texts[5])
    return Facts(
        says="is a graph of MindSpore",
        claims=claims(CERTAIN, "MindSpore"),
        written_by=(WrittenBy(library="MindSpore", version=version),) if version else (),
        details=(("form", f"MindIR {texts[1][:20]}"), ("operators", listed(sorted(operators)))),
        problems=tuple(
            Problem(code="MDL001", message="The graph calls a function of a library or of source text.", value=name)
            for name in sorted(operators)
            if name.rpartition("::")[2] == "Custom"
        ),
    )


def _operators(wire: Wire, start: int, end: int) -> set[str]:
    found: set[str] = set()
    for number, kind, at, until in wire.fields(start, end):
        if number == 1 and kind == BYTES:
            for inner, inner_kind, begin, stop in wire.fields(at, until):
                if inner == 4 and inner_kind == BYTES and len(found) < MAX_OPERATORS:
                    found.add(wire.text(begin, stop))
    return found


def _type(wire: Wire, start: int, end: int) -> str:
    for number, kind, at, until in wire.fields(start, end):
        if number == 2 and kind == BYTES:
            return wire.text(at, until)[:40]
    return ""
