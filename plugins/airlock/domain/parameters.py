"""A model's parameter configuration: what it takes and what it gives, read off the declared interface.

Each value that a request or an answer may hold is one parameter, with its place, its type and its limits.

Source: Importing a meta model from OBS, table 2 (parameter configuration).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from airlock.domain.apis import FILE_MARK, Api

#: Parameters of one direction that are told; a body of more is no interface that anybody reads.
MAX_PARAMETERS = 1000
#: Values of an enumeration, and characters of a description, that are told.
MAX_VALUES = 50
MAX_DESCRIPTION_CHARACTERS = 500
ANY = "any"
FILE = "file"
_LIMITS = (
    "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "minItems",
    "maxItems", "minProperties", "maxProperties", "format",
)  # fmt: skip
_PLAIN_NAME = re.compile(r"[\w-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One value of a body.

    Attributes:
        path: Its place: `data.req_data[].sepal_length`; `*` is any other name; empty for the whole body.
        type: JSON types joined by ` or `, `file` for an uploaded file, `any` where nothing is declared.
        required: Whether it is there whenever what it stands in is there.
        limits: JSON Schema keyword → value: `minimum`, `maximum`, `enum`, `minLength`, …
        description: The author's own words, shortened.
    """

    path: str
    type: str
    required: bool
    limits: dict[str, Any]
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiParameters:
    """The parameters of one API.

    Attributes:
        method: Its method.
        url: Its path.
        inputs: What a request holds, in the order declared.
        outputs: What an answer holds, likewise.
    """

    method: str
    url: str
    inputs: tuple[Parameter, ...]
    outputs: tuple[Parameter, ...]


def parameters_of(apis: Sequence[Api]) -> tuple[ApiParameters, ...]:
    """The parameter configuration of a model.

    Args:
        apis: Its declared interface.
    """
    return tuple(
        ApiParameters(
            method=api.method,
            url=api.url,
            inputs=body_parameters(api.request.schema),
            outputs=body_parameters(api.response.schema),
        )
        for api in apis
    )


def body_parameters(schema: Mapping[str, Any] | None) -> tuple[Parameter, ...]:
    """The values of one body.

    Args:
        schema: Normalised JSON Schema (Draft 7) of the body; None where none is declared.

    Returns:
        Each place once. Objects and lists of declared parts are told only where they have limits or a description of
        their own.
    """
    found: dict[str, Parameter] = {}
    for each in _walk(schema, "", True, sure=True) if schema else ():
        known = found.get(each.path)
        if known is None and len(found) >= MAX_PARAMETERS:
            break
        found[each.path] = each if known is None else _both(known, each)
    return tuple(found.values())


def _walk(schema: Any, path: str, required: bool, *, sure: bool) -> Iterator[Parameter]:
    """Every value that a schema describes; `sure` says that the schema holds, and is no mere alternative."""
    if not isinstance(schema, Mapping):
        return
    parts = list(_parts(schema, path))
    alternatives = [(each, False) for key in ("anyOf", "oneOf") for each in schema.get(key, ())]
    alternatives += [(each, sure) for each in schema.get("allOf", ())]
    told = _told(schema, path, required)
    if told.limits or told.description or not (parts or alternatives):
        yield told
    for inner, place, needed in parts:
        yield from _walk(inner, place, needed and sure, sure=sure)
    for inner, holds in alternatives:
        yield from _walk(inner, path, required, sure=holds)


def _parts(schema: Mapping[str, Any], path: str) -> Iterator[tuple[Any, str, bool]]:
    """What a value is made of: the schema of each part, its place, and whether it must be there."""
    needed = frozenset(schema.get("required", ()))
    for name, inner in schema.get("properties", {}).items():
        yield inner, _inside(path, name), name in needed
    if isinstance(schema.get("additionalProperties"), Mapping):
        yield schema["additionalProperties"], f"{path}.*".lstrip("."), False
    items = schema.get("items")
    if isinstance(items, list):
        for number, inner in enumerate(items):
            yield inner, f"{path}[{number}]", number < schema.get("minItems", 0)
    elif items is not None:
        yield items, f"{path}[]", schema.get("minItems", 0) > 0


def _told(schema: Mapping[str, Any], path: str, required: bool) -> Parameter:
    limits = {key: schema[key] for key in _LIMITS if key in schema}
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if values:
        limits["enum"] = values[:MAX_VALUES]
    description = str(schema.get("description") or schema.get("title") or "")
    return Parameter(
        path=path,
        type=_type(schema),
        required=required,
        limits=limits,
        description=description[:MAX_DESCRIPTION_CHARACTERS],
    )


def _type(schema: Mapping[str, Any]) -> str:
    if schema.get(FILE_MARK):
        return FILE
    types = schema.get("type")
    if types is None:
        types = "object" if "properties" in schema else "array" if "items" in schema else ANY
    return types if isinstance(types, str) else " or ".join(types)


def _both(one: Parameter, other: Parameter) -> Parameter:
    """Two descriptions of one place: alternatives, or parts of one demand."""
    if ANY in (one.type, other.type):
        kind = one.type if other.type == ANY else other.type
    else:
        kind = " or ".join(dict.fromkeys([*one.type.split(" or "), *other.type.split(" or ")]))
    limits = {**other.limits, **one.limits}
    return replace(
        one,
        type=kind,
        required=one.required or other.required,
        # Alternatives with two limits have none in common.
        limits={key: value for key, value in limits.items() if other.limits.get(key, value) == value},
        description=one.description or other.description,
    )


def _inside(path: str, name: str) -> str:
    if not _PLAIN_NAME.fullmatch(name):
        # A name with a dot or a bracket of its own must not look like a path.
        return f"{path}[{json.dumps(name, ensure_ascii=False)}]"
    return f"{path}.{name}" if path else name
