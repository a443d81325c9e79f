"""MXNet's two files: the symbol as JSON and the parameters as a list of arrays.

Source: MXNet, src/nnvm/legacy_json_util.cc; src/ndarray/ndarray.cc.
"""

from __future__ import annotations

from typing import Any

from airlock.domain.model_files.facts import CERTAIN, STRONG, Facts, Problem, WrittenBy, claims, listed
from airlock.domain.model_files.ranges import MAX_JSON_BYTES, Ranges, parsed
from airlock.domain.model_files.streams import Unreadable

PARAMETERS_MAGIC = (0x112).to_bytes(8, "little") + bytes(8)
_CUSTOM = ("Custom", "_Native", "_NDArray", "_CustomFunction")


def read_symbol(ranges: Ranges) -> Facts:
    """A `*-symbol.json`.

    Raises:
        Unreadable: It is none.
    """
    value: Any = parsed(ranges.whole(MAX_JSON_BYTES))
    nodes = value.get("nodes") if isinstance(value, dict) else None
    if not isinstance(nodes, list) or not all(
        isinstance(node, dict) and isinstance(node.get("op"), str) for node in nodes
    ):
        raise Unreadable("it holds no nodes with operators")
    operators = [node["op"] for node in nodes if node["op"] != "null"]
    version = _version(value.get("attrs"))
    problems = []
    own = sorted({_name(node) for node in nodes if node["op"] in _CUSTOM})
    if own:
        message = f"It uses operators that only inference code can register: {listed(own)}."
        problems.append(Problem(code="MDL007", message=message))
    return Facts(
        says="is a symbol of MXNet",
        claims=claims(CERTAIN if version else STRONG, "MXNet"),
        written_by=(WrittenBy(library="MXNet", version=version),) if version else (),
        details=(
            ("inputs", listed(str(node.get("name"))[:80] for node in nodes if node["op"] == "null")),
            ("operators", listed(sorted(operators))),
        ),
        problems=tuple(problems),
    )


def read_parameters(ranges: Ranges) -> Facts:
    """A `*.params`, by its mark alone.

    Raises:
        Unreadable: It is none.
    """
    if ranges.up_to(0, 16) != PARAMETERS_MAGIC:
        raise Unreadable("it does not begin as a list of MXNet's arrays")
    count = int.from_bytes(ranges.at(16, 8), "little")
    return Facts(says=f"holds {count:,} arrays of MXNet", claims=claims(CERTAIN, "MXNet"))


def _version(attributes: Any) -> str:
    """The version, which is written as 10901 for 1.9.1."""
    pair = attributes.get("mxnet_version") if isinstance(attributes, dict) else None
    number = pair[1] if isinstance(pair, list) and len(pair) == 2 else None
    if type(number) is not int or not 0 < number < 1_000_000:
        return ""
    return f"{number // 10_000}.{number // 100 % 100}.{number % 100}"


def _name(node: dict[str, Any]) -> str:
    for key in ("attrs", "attr", "param"):
        inner = node.get(key)
        if isinstance(inner, dict) and isinstance(inner.get("op_type"), str):
            return str(inner["op_type"])[:80]
    return str(node["op"])
