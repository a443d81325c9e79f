"""The declared interface: `apis`, normalised from the loose dialect of real files to JSON Schema (Draft 7).

Source: Specifications for compiling the model configuration file, `apis`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airlock.domain.findings import Findings, Place
from airlock.domain.jsontext import MAX_NUMBER_CHARACTERS, pointer_token
from airlock.domain.key_spelling import meant_keys

JSON_TYPE = "application/json"
MULTIPART_TYPE = "multipart/form-data"
#: Marks a property that is an uploaded file in a normalised schema.
FILE_MARK = "x-airlock-file"

_TYPE_SPELLINGS = {
    "list": "array", "tuple": "array", "float": "number", "double": "number", "int": "integer", "long": "integer",
    "json": "object", "dict": "object", "map": "object", "str": "string", "text": "string", "bool": "boolean",
}  # fmt: skip
_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_KEY_SPELLINGS = {"item": "items", "roperties": "properties", "propertys": "properties", "property": "properties"}
#: Keywords that are applied. Everything else of an author's schema is left out: nothing of it is followed or run.
#: Interfaces of one service that are taken.
MAX_APIS = 200
_KEYWORDS = frozenset(
    {
        "type", "properties", "required", "items", "additionalProperties", "enum", "const", "minimum", "maximum",
        "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "minItems", "maxItems",
        "minProperties", "maxProperties", "anyOf", "oneOf", "allOf", "not", "title", "description", "default",
        "examples", "format",
    }
)  # fmt: skip
#: Keywords that a reader might count on: a package learns that they are not applied. `$ref` reaches out, a pattern can
#: run for ever, and unique objects are compared each with each.
_NEVER_APPLIED = frozenset(
    {
        "$ref", "pattern", "patternProperties", "uniqueItems", "$id", "$schema", "definitions", "$defs", "if", "then",
        "else",
    }
)  # fmt: skip
#: Words of other dialects that are close to a keyword and mean something else, or nothing that constrains.
_OTHER_WORDS = frozenset({"example", "multiple"})
_KNOWN = tuple(sorted({*_KEYWORDS, *_NEVER_APPLIED}))
_TEXTS = frozenset({"title", "description", "format"})
_WHOLE = frozenset({"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"})
_NUMBERS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})
#: Flags of Draft 4 → the bound that they belong to.
_FLAGS = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}
_NUMBER_TEXT = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """One direction of an API.

    Attributes:
        content_type: `application/json` or `multipart/form-data`.
        schema: Normalised JSON Schema (Draft 7) of the body; None where none is declared.
    """

    content_type: str
    schema: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """One interface of the service.

    Attributes:
        protocol: `http` or `https`.
        url: Path, `/` by default.
        method: Upper case.
        request: What it takes.
        response: What it gives.
        port: Where an image of the user's own serves it; None where the file says nothing.
    """

    protocol: str
    url: str
    method: str
    request: Body
    response: Body
    port: int | None = None


@dataclass(slots=True)
class SchemaReader:
    """Normalises one body schema, collecting findings.

    Attributes:
        locate: Gives the place of a pointer relative to the schema.
        findings: What was noticed.
    """

    locate: Callable[[str], Place]
    findings: Findings

    def read(self, raw: Any, at: str = "") -> dict[str, Any]:
        """The schema that `raw` means; `{}` (anything) where it cannot be read, with an error finding."""
        if isinstance(raw, bool):
            return {} if raw else {"not": {}}
        if not isinstance(raw, Mapping):
            self._add("API003", at, "A schema is an object.", raw)
            return {}
        schema: dict[str, Any] = {}
        keys = meant_keys(
            {key: value for key, value in raw.items() if not _is_foreign(key)}, _KNOWN, _fits, _KEY_SPELLINGS
        )
        for key, fix in keys.unknown.items():
            # What is close to no keyword is no misspelt one.
            if fix:
                self._add(
                    "CFG011", f"{at}/{pointer_token(key)}", "The keyword is not known and is read over.", key, fix
                )
        for meant, key in keys.named.items():
            place = f"{at}/{pointer_token(key)}"
            if meant != key:
                self._add("CFG012", place, f"`{meant}` is meant.", key)
            if meant in _NEVER_APPLIED:
                self._add("API005", place, f"`{meant}` is not applied.")
            else:
                self._keyword(schema, meant, raw[key], place)
        for flag, bound in _FLAGS.items():
            # In Draft 4 it says of the bound beside it that it is no value itself, and nothing where there is none.
            if schema.get(flag) is True:
                del schema[flag]
                if bound in schema:
                    schema[flag] = schema.pop(bound)
        return schema

    def _keyword(self, schema: dict[str, Any], key: str, value: Any, place: str) -> None:
        if key == "type":
            self._type(schema, value, place)
        elif key == "properties":
            self._properties(schema, value, place)
        elif key == "items":
            self._items(schema, value, place)
        elif key == "required":
            self._required(schema, value, place)
        elif key in ("anyOf", "oneOf", "allOf"):
            if isinstance(value, list) and value:
                schema[key] = [self.read(item, f"{place}/{index}") for index, item in enumerate(value)]
            else:
                self._add("API003", place, f"`{key}` is a list of schemas.", value)
        elif key in ("not", "additionalProperties"):
            schema[key] = value if isinstance(value, bool) else self.read(value, place)
        elif key in _NUMBERS or key in _WHOLE:
            self._bound(schema, key, value, place)
        elif key == "enum" and not (isinstance(value, list) and value):
            self._add("API003", place, "`enum` is a list of values.", value)
        elif (key == "examples" and not (isinstance(value, list) and value)) or (
            key in _TEXTS and not isinstance(value, str)
        ):
            # It constrains nothing, so that nothing is lost without it.
            return
        else:
            schema[key] = value

    def _type(self, schema: dict[str, Any], value: Any, place: str) -> None:
        names = value if isinstance(value, list) and value else [value]
        types: list[str] = []
        for name in names:
            if not isinstance(name, str):
                self._add("API003", place, "A type is a name.", value)
                return
            meant = name.strip().lower()
            if meant == "file":
                schema[FILE_MARK] = True
                meant = "string"
            elif meant in _TYPE_SPELLINGS:
                meant = _TYPE_SPELLINGS[meant]
            if meant == "":
                continue
            if meant not in _TYPES:
                self._add("API003", place, f"No JSON type has this name; known: {', '.join(sorted(_TYPES))}.", name)
                return
            if meant != name and not schema.get(FILE_MARK):
                self._add("CFG012", place, f"`{meant}` is meant.", name)
            if meant not in types:
                types.append(meant)
        if types:
            schema["type"] = types[0] if len(types) == 1 else types

    def _properties(self, schema: dict[str, Any], value: Any, place: str) -> None:
        if not isinstance(value, Mapping):
            self._add("API003", place, "`properties` is an object of schemas.", value)
            return
        schema["properties"] = {name: self.read(item, f"{place}/{pointer_token(name)}") for name, item in value.items()}
        # Draft 3 wrote it as a flag of the property; the parent's list is where it belongs today.
        flagged = [name for name, item in value.items() if isinstance(item, Mapping) and item.get("required") is True]
        if flagged:
            schema["required"] = list(dict.fromkeys([*schema.get("required", ()), *flagged]))

    def _items(self, schema: dict[str, Any], value: Any, place: str) -> None:
        if not isinstance(value, list):
            schema["items"] = self.read(value, place)
        elif len(value) == 1:
            self._add("CFG012", place, "`items` is one schema, not a list of one.")
            schema["items"] = self.read(value[0], f"{place}/0")
        elif value:
            schema["items"] = [self.read(item, f"{place}/{index}") for index, item in enumerate(value)]

    def _required(self, schema: dict[str, Any], value: Any, place: str) -> None:
        if isinstance(value, bool):
            self._add("CFG012", place, "`required` is a list of names beside `properties`.", value)
        elif isinstance(value, list) and all(isinstance(name, str) for name in value):
            if value:
                schema["required"] = list(dict.fromkeys([*value, *schema.get("required", ())]))
        else:
            self._add("API003", place, "`required` is a list of names.", value)

    def _bound(self, schema: dict[str, Any], key: str, value: Any, place: str) -> None:
        if value == "":
            return
        if isinstance(value, bool) and key in _FLAGS:
            self._add("CFG012", place, f"`{key}` holds the bound itself; the flag of Draft 4 is read as that.", value)
            if value:
                schema[key] = value
            return
        number = _number(value)
        if number is None or (key in _WHOLE and (number < 0 or number != int(number))):
            self._add("API003", place, f"`{key}` is a {'whole ' if key in _WHOLE else ''}number.", value)
        elif key == "multipleOf" and number <= 0:
            self._add("API003", place, "`multipleOf` is a number above 0.", value)
        else:
            if isinstance(value, str):
                self._add("CFG012", place, "A number is meant, not text.", value)
            schema[key] = number

    def _add(self, code: str, at: str, message: str, value: Any = None, fix: str = "") -> None:
        self.findings.note(code, message, place=lambda: self.locate(at), value=value, fix=fix)


def _number(value: Any) -> int | float | None:
    """A finite number, also one that is written as text; None for everything else."""
    if isinstance(value, str):
        text = value.strip()
        if len(text) > MAX_NUMBER_CHARACTERS or not _NUMBER_TEXT.fullmatch(text):
            return None
        value = int(text) if text.lstrip("+-").isdecimal() else float(text)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if isinstance(value, int) or math.isfinite(value) else None


def _is_foreign(key: str) -> bool:
    """Whether a key is another dialect's word, however close to a keyword it is."""
    return key in _OTHER_WORDS or (key.startswith(("$", "x-")) and key not in _NEVER_APPLIED)


def _fits(keyword: str, value: Any) -> bool:
    """Whether a value is of the kind that a keyword takes, so that a key close to it means nothing else."""
    if keyword == "type":
        # `dtype` is close to it, and names types of another world.
        return isinstance(value, str) and value.strip().lower() in {*_TYPES, *_TYPE_SPELLINGS, "file"}
    if keyword in _NUMBERS or keyword in _WHOLE:
        return _number(value) is not None or (isinstance(value, bool) and keyword in _FLAGS)
    if keyword in ("required", "enum", "anyOf", "oneOf", "allOf"):
        return isinstance(value, list)
    if keyword == "properties":
        return isinstance(value, Mapping)
    if keyword in ("items", "not", "additionalProperties"):
        return isinstance(value, (Mapping, list, bool))
    return True


def file_fields(schema: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Names of the top-level properties that are uploaded files."""
    properties = (schema or {}).get("properties", {})
    return tuple(name for name, value in properties.items() if isinstance(value, Mapping) and value.get(FILE_MARK))
