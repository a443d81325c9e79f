"""Domain values to JSON and back, for XCom and the registry.

The values are plain dataclasses; pydantic reads their annotations, so no second description of them exists.
"""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

Value = TypeVar("Value")


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: Any) -> TypeAdapter[Any]:
    # Making one costs more than using it.
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def encode(value: Any) -> Any:
    """A domain value as JSON types."""
    return _adapter(type(value)).dump_python(value, mode="json")


def decode(kind: type[Value], data: Any) -> Value:
    """The domain value that `encode` was given.

    Raises:
        ValueError: The data is no such value: it was written by another release, or by hand.
    """
    try:
        value: Value = _adapter(kind).validate_python(data)
    except ValidationError as error:
        raise ValueError(f"no {kind.__name__}: {error}") from None
    return value
