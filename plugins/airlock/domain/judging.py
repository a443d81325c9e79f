"""How the answers of a smoke test are judged: status, form, declared schema, the author's expected answer."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jsonschema
from referencing import Registry

from airlock.domain.apis import FILE_MARK, Api
from airlock.domain.findings import shown
from airlock.domain.smoke import HttpResponse

MAX_SHOWN_ANSWER_CHARACTERS = 300
MAX_LOOKED_AT_ERRORS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is wrong with an answer.

    Attributes:
        code: `SMK003` for the status, `SMK004` for the form, `SMK005` for the schema, `SMK006` for the expected answer.
        message: What was expected and what came.
    """

    code: str
    message: str


def judge(response: HttpResponse, api: Api | None, *, wrapped: bool, expected: Any = None) -> Judgement | None:
    """Check an answer.

    Args:
        response: What came back.
        api: The declared interface.
        wrapped: Whether the engine wraps answers as `{"data": {"resp_data": …}}`. Some packages declare the inner, some
            the outer form; an answer that fits either is right.
        expected: The author's expected answer; numbers are compared with a relative tolerance of 1e-3.

    Returns:
        What is wrong, or None.
    """
    if response.status != 200:
        text = shown(response.body[:1000].decode("utf-8", "replace"), MAX_SHOWN_ANSWER_CHARACTERS)
        return Judgement(code="SMK003", message=f"The service answered with status {response.status}: {text}")
    try:
        value = json.loads(response.body, parse_constant=_refuse_constant, parse_float=_finite)
        return _judge_value(value, api, wrapped=wrapped, expected=expected)
    except (ValueError, RecursionError) as error:
        return Judgement(code="SMK004", message=f"The answer is not usable JSON ({error}): {response.body[:200]!r}")


def judge_undeclared(response: HttpResponse, api: Api | None, expected: Any = None) -> Judgement | None:
    """Check an answer of an image of the user's own, of which nothing is asked but what it declares.

    Any status of success will do, and a body without a declared schema need not be JSON unless it says that it is.

    Args:
        response: What came back.
        api: The declared interface.
        expected: The author's expected answer.
    """
    if not 200 <= response.status < 300:
        return judge(response, api, wrapped=False)
    declared = expected is not None or (api is not None and api.response.schema is not None)
    if not declared and (not response.body or "json" not in response.content_type.lower()):
        return None
    return judge(replace(response, status=200), api, wrapped=False, expected=expected)


def _judge_value(value: Any, api: Api | None, *, wrapped: bool, expected: Any) -> Judgement | None:
    forms = [value]
    if wrapped and isinstance(value, dict) and isinstance(value.get("data"), dict) and "resp_data" in value["data"]:
        forms.append(value["data"]["resp_data"])
    if expected is not None and not any(same(form, expected) for form in forms):
        return Judgement(code="SMK006", message=f"The answer differs from the author's sample: {_short(value)}")
    schema = api.response.schema if api else None
    if schema is None:
        return None
    broken = [first_error(form, schema) for form in forms]
    if None in broken:
        return None
    message = f"The answer breaks the declared response schema {broken[0]}; it was {_short(value)}"
    return Judgement(code="SMK005", message=message)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("a number is larger than any that can be held")
    return number


def _short(value: Any) -> str:
    return shown(json.dumps(value, ensure_ascii=False), MAX_SHOWN_ANSWER_CHARACTERS)


def first_error(value: Any, schema: Mapping[str, Any]) -> str | None:
    """What breaks a normalised schema first, as place and sentence; None where the value fits."""
    marked = _without_marks(schema)
    validator = jsonschema.Draft7Validator(marked, registry=Registry())
    if _fits(validator, value, marked):
        return None
    # A long answer may break the schema at every item; the first ones tell enough.
    error = jsonschema.exceptions.best_match(itertools.islice(validator.iter_errors(value), MAX_LOOKED_AT_ERRORS))
    if error is None:
        return None
    path = "".join(f"/{part}" for part in error.absolute_path) or "at its top"
    return f"{shown(path, 200)}: {shown(error.message, 200)}"


def _fits(validator: Any, value: Any, schema: Any) -> bool:
    """Whether a value fits a schema, by the library's own keywords.

    The library prepares an error's path at every item and property, which is most of its time. A right answer has no
    errors: a megabyte of numbers takes a fourth of it here. A wrong one is looked at once more, by the library itself.
    """
    if not isinstance(schema, Mapping):
        return not any(validator.descend(value, schema))
    for keyword, wanted in schema.items():
        if keyword == "items" and isinstance(wanted, Mapping) and isinstance(value, list):
            right = all(_fits(validator, item, wanted) for item in value)
        elif keyword == "properties" and isinstance(value, dict):
            right = all(_fits(validator, value[name], each) for name, each in wanted.items() if name in value)
        else:
            check = validator.VALIDATORS.get(keyword)
            right = check is None or not any(True for _ in check(validator, wanted, value, schema))
        if not right:
            return False
    return True


def _without_marks(schema: Any) -> Any:
    if isinstance(schema, Mapping):
        return {key: _without_marks(value) for key, value in schema.items() if key != FILE_MARK}
    return [_without_marks(item) for item in schema] if isinstance(schema, list) else schema


def same_body(one: bytes, two: bytes) -> bool:
    """Whether two answers to one request say the same: the same bytes, or the same JSON up to noise of arithmetic."""
    if one == two:
        return True
    try:
        return same(json.loads(one), json.loads(two), relative=1e-6)
    except (ValueError, RecursionError):
        return False


def same(value: Any, other: Any, relative: float = 1e-3) -> bool:
    """Whether two JSON values agree, numbers within a relative tolerance (and 1e-6 absolutely)."""
    if isinstance(value, bool) or isinstance(other, bool):
        return value is other
    if isinstance(value, (int, float)) and isinstance(other, (int, float)):
        return math.isclose(value, other, rel_tol=relative, abs_tol=1e-6)
    if isinstance(value, dict) and isinstance(other, dict):
        return value.keys() == other.keys() and all(same(value[key], other[key], relative) for key in value)
    if isinstance(value, list) and isinstance(other, list):
        return len(value) == len(other) and all(same(one, two, relative) for one, two in zip(value, other, strict=True))
    return bool(value == other)
