"""An ONNX model: its operator sets, who wrote it, the files that hold its weights, and operators of nobody's standard.

Source: ONNX, onnx/onnx.proto; docs/ExternalData.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from airlock.domain.model_files.facts import CERTAIN, STRONG, Facts, Problem, WrittenBy, claims, listed
from airlock.domain.model_files.protobuf import BYTES, VARINT, Wire, entry, signed
from airlock.domain.model_files.ranges import Ranges
from airlock.domain.model_files.streams import OverLimit, Unreadable

#: Domains whose operators ONNX Runtime knows by itself.
STANDARD_DOMAINS = frozenset({
    "", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training", "com.microsoft",
    "com.microsoft.nchwc", "com.microsoft.experimental", "com.microsoft.dml", "com.ms.internal.nhwc",
})  # fmt: skip
MAX_DEPTH = 16
MAX_LOCATIONS = 10_000
_EXTERNAL = 1
#: Attributes' fields that hold graphs (one, several) and tensors (one, several, sparse ones).
_GRAPHS, _TENSORS, _SPARSE = (6, 11), (5, 10), (22, 23)


@dataclass(slots=True)
class _Seen:
    ir: int = 0
    producer: str = ""
    producer_version: str = ""
    opsets: dict[str, int] = field(default_factory=dict)
    functions: set[str] = field(default_factory=set)
    operators: dict[str, None] = field(default_factory=dict)
    foreign: dict[str, None] = field(default_factory=dict)
    locations: dict[str, None] = field(default_factory=dict)
    sides: dict[int, list[str]] = field(default_factory=lambda: {11: [], 12: []})
    graphs: int = 0


def read_onnx(ranges: Ranges) -> Facts:
    """An ONNX file.

    Raises:
        Unreadable: It is none.
    """
    wire, seen = Wire(ranges), _Seen()
    for number, kind, start, end in wire.fields(0, ranges.size):
        if number == 1 and kind == VARINT:
            seen.ir = start
        elif kind == BYTES and number in (2, 3):
            text = wire.text(start, end)
            seen.producer, seen.producer_version = (
                (text, seen.producer_version) if number == 2 else (seen.producer, text)
            )
        elif kind == BYTES and number == 7:
            seen.graphs += 1
            _graph(wire, start, end, seen, 0)
        elif kind == BYTES and number == 20:
            for inner, inner_kind, at, until in wire.fields(start, end):
                if inner in (1, 2) and inner_kind == BYTES:
                    _graph(wire, at, until, seen, 1)
        elif kind == BYTES and number == 8:
            domain, version = _opset(wire, start, end)
            seen.opsets[domain] = max(version, seen.opsets.get(domain, 0))
        elif kind == BYTES and number == 25:
            _function(wire, start, end, seen)
    if not seen.graphs or not seen.ir:
        raise Unreadable("it holds no graph of ONNX")
    standard = max((seen.opsets[name] for name in ("", "ai.onnx") if name in seen.opsets), default=0)
    levels = [WrittenBy(library="ONNX IR", version=str(seen.ir))]
    if standard:
        levels.insert(0, WrittenBy(library="ONNX opset", version=str(standard)))
    by = f"{seen.producer} {seen.producer_version}".strip()
    details = [("operator sets", listed(f"{name or 'ai.onnx'} {seen.opsets[name]}" for name in sorted(seen.opsets)))]
    details += [("written by", by[:80])] if by else []
    details.append(("interface", f"{listed(seen.sides[11])} → {listed(seen.sides[12])}"))
    details.append(("operators", listed(sorted(seen.operators))))
    return Facts(
        says="is an ONNX model",
        claims=claims(CERTAIN if standard else STRONG, "ONNX"),
        written_by=tuple(levels),
        details=tuple(details),
        problems=tuple(_problems(seen)),
        refers_to=tuple(seen.locations),
    )


def _problems(seen: _Seen) -> list[Problem]:
    unknown = sorted(name for name in seen.foreign if name not in seen.functions)
    if not unknown:
        return []
    message = f"It uses operators that ONNX Runtime does not know by itself: {listed(unknown)}."
    return [Problem(code="MDL007", message=message)]


def _graph(wire: Wire, start: int, end: int, seen: _Seen, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise OverLimit("its graphs stand inside each other too deeply", start)
    for number, kind, at, until in wire.fields(start, end):
        if kind != BYTES:
            continue
        if number == 1:
            _node(wire, at, until, seen, depth)
        elif number == 5:
            _tensor(wire, at, until, seen)
        elif number == 15:
            _sparse(wire, at, until, seen)
        elif number in seen.sides and depth == 0 and len(seen.sides[number]) < 20:
            for inner, inner_kind, begin, stop in wire.fields(at, until):
                if inner == 1 and inner_kind == BYTES:
                    seen.sides[number].append(wire.text(begin, stop))


def _node(wire: Wire, start: int, end: int, seen: _Seen, depth: int) -> None:
    operator = domain = ""
    for number, kind, at, until in wire.fields(start, end):
        if kind != BYTES:
            continue
        if number == 4:
            operator = wire.text(at, until)
        elif number == 7:
            domain = wire.text(at, until)
        elif number == 5:
            _attribute(wire, at, until, seen, depth)
    if domain not in STANDARD_DOMAINS:
        if len(seen.foreign) < MAX_LOCATIONS:
            seen.foreign[f"{domain}.{operator}"] = None
    elif len(seen.operators) < MAX_LOCATIONS:
        seen.operators[operator] = None


def _attribute(wire: Wire, start: int, end: int, seen: _Seen, depth: int) -> None:
    for number, kind, at, until in wire.fields(start, end):
        if kind != BYTES:
            continue
        if number in _GRAPHS:
            _graph(wire, at, until, seen, depth + 1)
        elif number in _TENSORS:
            _tensor(wire, at, until, seen)
        elif number in _SPARSE:
            _sparse(wire, at, until, seen)


def _sparse(wire: Wire, start: int, end: int, seen: _Seen) -> None:
    for number, kind, at, until in wire.fields(start, end):
        if number in (1, 2) and kind == BYTES:
            _tensor(wire, at, until, seen)


def _tensor(wire: Wire, start: int, end: int, seen: _Seen) -> None:
    external, location, named = False, "", False
    for number, kind, at, until in wire.fields(start, end):
        if number == 14 and kind == VARINT:
            external = at == _EXTERNAL
        elif number == 13 and kind == BYTES:
            key, place = entry(wire, at, until)
            if key == "location":
                location, named = wire.text(*place), True
    if external and not named:
        raise Unreadable("weights of it lie outside, and it does not say where", start)
    # Some readers take the place for meant wherever it is named.
    if named:
        seen.locations[location] = None
        if len(seen.locations) > MAX_LOCATIONS:
            raise OverLimit(f"its weights lie in more than {MAX_LOCATIONS:,} files")


def _function(wire: Wire, start: int, end: int, seen: _Seen) -> None:
    name = domain = ""
    for number, kind, at, until in wire.fields(start, end):
        if kind != BYTES:
            continue
        if number == 1:
            name = wire.text(at, until)
        elif number == 10:
            domain = wire.text(at, until)
        elif number == 7:
            _node(wire, at, until, seen, 1)
    seen.functions.add(f"{domain}.{name}")


def _opset(wire: Wire, start: int, end: int) -> tuple[str, int]:
    domain, version = "", 0
    for number, kind, at, until in wire.fields(start, end):
        if number == 1 and kind == BYTES:
            domain = wire.text(at, until)
        elif number == 2 and kind == VARINT:
            version = signed(at)
    return domain, version
