"""The few values that an inert reading of a pickle keeps, and what NumPy arrays of joblib weigh.

Everything else is `OPAQUE`: it exists, and nothing depends on what it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from airlock.domain.model_files.streams import Unreadable

MAX_KEPT_ITEMS = 64
#: Below the number of every instruction: a length byte can never be one.
MAX_ALIGNMENT = 32


class _Opaque:
    def __repr__(self) -> str:
        return "OPAQUE"


OPAQUE: Final = _Opaque()


@dataclass(frozen=True, slots=True)
class Global:
    """A name that a pickle imports."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(slots=True, eq=False)
class Mapping:
    """A dictionary of a few text keys; `items` is None once it is anything else."""

    items: dict[str, Any] | None = field(default_factory=dict)

    def put(self, key: Any, value: Any) -> None:
        """Set one item."""
        if self.items is None:
            return
        if type(key) is not str or len(self.items) >= MAX_KEPT_ITEMS:
            self.items = None
            return
        self.items[key] = value if _is_flat(value) else OPAQUE


def kept_tuple(items: list[Any]) -> Any:
    """A tuple that is small and not deep, or `OPAQUE`: what is kept must not grow with the file."""
    if len(items) > MAX_KEPT_ITEMS:
        return OPAQUE
    return tuple(item if type(item) is not tuple or _is_flat(item) else OPAQUE for item in items)


def _is_flat(value: Any) -> bool:
    if type(value) is not tuple:
        return not isinstance(value, Mapping)
    return not any(
        isinstance(item, Mapping) or (type(item) is tuple and not all(type(each) is int for each in item))
        for item in value
    )


@dataclass(slots=True, eq=False)
class DataType:
    """A NumPy data type.

    Attributes:
        kind: Its letter.
        item_bytes: Bytes of one item; None where they are not known.
        objects: Whether items are Python objects, which are pickled by themselves.
        built: Whether its state was given.
    """

    kind: str
    item_bytes: int | None
    objects: bool
    built: bool = False


@dataclass(slots=True, eq=False)
class ArrayWrapper:
    """joblib's stand-in for an array whose bytes follow in the file."""

    built: bool = False


_SIMPLE_TYPE = re.compile(r"([?bBhHiIlLqQefdgFDGO]|[biufcmMOSUVa])(\d{0,9})")
_LETTER_BYTES = {"?": 1, "b": 1, "B": 1, "h": 2, "H": 2, "e": 2, "i": 4, "I": 4, "f": 4, "d": 8, "q": 8, "Q": 8}


def data_type(arguments: Any) -> DataType:
    """The type that `numpy.dtype(…)` gives."""
    text = arguments[0] if isinstance(arguments, tuple) and arguments else None
    match = _SIMPLE_TYPE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return DataType("", None, False)
    kind, digits = match[1], match[2]
    if kind == "O":
        return DataType(kind, 8, True)
    if not digits:
        return DataType(kind, _LETTER_BYTES.get(kind), False)
    size = int(digits)
    return DataType(kind, size * 4 if kind == "U" else size, False)


def build_data_type(kind: DataType, state: Any) -> None:
    """Apply the state of a pickled data type.

    Raises:
        Unreadable: The state contradicts the type: what it weighs cannot be told.
    """
    if kind.built or not isinstance(state, tuple) or not 8 <= len(state) <= 9:
        raise Unreadable("a data type has a state of another form")
    kind.built = True
    if not kind.kind:
        # Of unknown size already; an array of it cannot be passed over.
        return
    subtype, fields, item_bytes, flags = state[2], state[4], state[5], state[7]
    if type(flags) is not int or type(item_bytes) is not int:
        raise Unreadable("a data type has a state of another form")
    objects = bool(flags & 1)
    if kind.kind == "V":
        inner = _field_types(subtype, fields)
        if inner is None or any(each.objects for each in inner) != objects:
            raise Unreadable("a data type contradicts its fields")
        kind.objects = objects
    elif objects != kind.objects or fields is not None:
        raise Unreadable("a data type contradicts its flags")
    if item_bytes not in (-1, kind.item_bytes) and kind.kind in "SUVa":
        raise Unreadable("a data type contradicts its size")


def _field_types(subtype: Any, fields: Any) -> list[DataType] | None:
    found: list[Any] = []
    if isinstance(subtype, tuple) and subtype:
        found.append(subtype[0])
    elif subtype is not None:
        return None
    if isinstance(fields, Mapping):
        if fields.items is None:
            return None
        found += [each[0] if isinstance(each, tuple) and each else None for each in fields.items.values()]
    elif fields is not None:
        return None
    return found if all(isinstance(each, DataType) for each in found) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredArray:
    """What follows a wrapper in the file.

    Attributes:
        objects: Whether the items are a pickle of their own.
        size_bytes: Bytes of the items otherwise.
        padded: The alignment: a length byte and at most so many bytes come first; 0 where nothing does.
    """

    objects: bool
    size_bytes: int
    padded: int


_WRAPPER_KEYS = {"subclass", "shape", "order", "dtype", "allow_mmap"}
_ALIGNMENT = "numpy_array_alignment_bytes"


def stored_array(wrapper: ArrayWrapper, state: Any) -> StoredArray:
    """What the state of a wrapper says of the bytes behind it.

    Raises:
        Unreadable: It does not say so beyond doubt; a reader that guesses could be led past an instruction.
    """
    items = state.items if isinstance(state, Mapping) else None
    if wrapper.built or items is None or not _WRAPPER_KEYS <= set(items) <= {*_WRAPPER_KEYS, _ALIGNMENT}:
        raise Unreadable("an array of joblib has a state of another form")
    wrapper.built = True
    shape, kind, alignment = items["shape"], items["dtype"], items.get(_ALIGNMENT)
    if not isinstance(shape, tuple) or not all(type(length) is int and length >= 0 for length in shape):
        raise Unreadable("an array of joblib has no readable shape")
    if not isinstance(kind, DataType) or not (
        alignment is None or (type(alignment) is int and 0 < alignment <= MAX_ALIGNMENT)
    ):
        raise Unreadable("an array of joblib has no readable type")
    if not isinstance(items["subclass"], Global):
        raise Unreadable("an array of joblib has no readable class")
    if kind.objects:
        return StoredArray(objects=True, size_bytes=0, padded=0)
    if kind.item_bytes is None:
        raise Unreadable("an array of joblib has a type of unknown size")
    size = kind.item_bytes
    for length in shape:
        size *= length
    return StoredArray(objects=False, size_bytes=size, padded=alignment or 0)
