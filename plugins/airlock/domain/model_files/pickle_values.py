"""The few values that an inert reading of a pickle keeps, and what NumPy arrays of joblib weigh.

Everything else is `OPAQUE`: it exists, and nothing depends on what it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Final

from airlock.domain.model_files.streams import Unreadable

MAX_KEPT_ITEMS = 64
#: Below the number of every instruction: a length byte can never be one.
MAX_ALIGNMENT = 32


class _Opaque:
    def __repr__(self) -> str:
        return "OPAQUE"


#: Something that is no import, no data type and no stand-in for an array.
OPAQUE: Final = _Opaque()
#: A tuple of which nothing else is known.
OPAQUE_TUPLE: Final = _Opaque()


@dataclass(frozen=True, slots=True)
class Global:
    """A name that a pickle imports."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(slots=True, eq=False)
class Imported:
    """What an import leaves on the stack.

    Attributes:
        name: The name.
        free: Whether it may be called with any arguments.
        called_only: Whether nothing may get hold of it, because its arguments could then not be looked at.
    """

    name: Global
    free: bool
    called_only: bool


#: Keys of the state of a stand-in for an array.
_REQUIRED_KEYS = frozenset({b"subclass", b"shape", b"order", b"dtype", b"allow_mmap"})
_ALIGNMENT = b"numpy_array_alignment_bytes"
WRAPPER_KEYS: Final = _REQUIRED_KEYS | {_ALIGNMENT}


def fill(mapping: dict[Any, Any], items: list[Any]) -> None:
    """Set items of a dictionary, given as key, value, key, value.

    Only the state of a stand-in for an array is followed, and the fields of a data type in it; a dictionary with
    anything else in it holds the key None from then on, and is neither of them.
    """
    if None in mapping:
        return
    if len(items) <= 2 * MAX_KEPT_ITEMS:
        for index in range(0, len(items), 2):
            key, value = items[index], items[index + 1]
            field = value.__class__ is tuple and value and value[0].__class__ is DataType
            if key.__class__ is not bytes or not (field or key in WRAPPER_KEYS) or len(mapping) >= MAX_KEPT_ITEMS:
                break
            mapping[key] = value if _is_flat(value) else OPAQUE
        else:
            return
    mapping.clear()
    mapping[None] = None


def copied(value: Any) -> Any:
    """A value that can be changed without changing this one."""
    if value.__class__ is dict:
        return dict(value)
    return replace(value) if value.__class__ is DataType else value


#: Classes of values that a tuple can hold without a look at what is in them.
PLAIN: Final = frozenset({bytes, int, bool, type(None), _Opaque})


def kept_tuple(items: list[Any]) -> Any:
    """A tuple that is small and not deep, or `OPAQUE_TUPLE`: what is kept must not grow with the file.

    One that would hand a name on that may only be called is `OPAQUE`: nothing can be called with it.
    """
    if any(item.__class__ is Imported and item.called_only for item in items):
        return OPAQUE
    if len(items) > MAX_KEPT_ITEMS:
        return OPAQUE_TUPLE
    return tuple(item if item.__class__ is not tuple or _is_flat(item) else OPAQUE_TUPLE for item in items)


def _is_flat(value: Any) -> bool:
    if value.__class__ is not tuple:
        return value.__class__ is not dict
    return not any(
        item.__class__ is dict or (item.__class__ is tuple and not all(type(each) is int for each in item))
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
    """joblib's stand-in for an array whose bytes follow in the file, or the class of such.

    Attributes:
        name: The name of the class.
        made: Whether it is an instance.
    """

    name: Global
    made: bool = False


_SIMPLE_TYPE = re.compile(rb"([?bBhHiIlLqQefdgFDGO]|[biufcmMOSUVa])(\d{0,9})")
_LETTER_BYTES = {"?": 1, "b": 1, "B": 1, "h": 2, "H": 2, "e": 2, "i": 4, "I": 4, "f": 4, "d": 8, "q": 8, "Q": 8}


def data_type(arguments: Any) -> DataType:
    """The type that `numpy.dtype(…)` gives."""
    text = arguments[0] if isinstance(arguments, tuple) and arguments else None
    match = _SIMPLE_TYPE.fullmatch(text) if isinstance(text, bytes) else None
    if match is None:
        return DataType("", None, False)
    kind, digits = match[1].decode("ascii"), match[2]
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
    version, subtype, fields, item_bytes, flags = state[0], state[2], state[4], state[5], state[7]
    if version not in (3, 4):
        # Up to version 2 NumPy computes the flags from the fields instead of reading them.
        raise Unreadable("a data type has a state of another version")
    if type(flags) is not int or type(item_bytes) is not int:
        raise Unreadable("a data type has a state of another form")
    objects = bool(flags & 1)
    if kind.kind == "V":
        inner = _field_types(subtype, fields)
        if inner is not None and any(each.objects for each in inner) != objects:
            raise Unreadable("a data type contradicts its fields")
        # Like NumPy, which reads whether there are objects from the flags alone.
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
    if isinstance(fields, dict):
        found += [each[0] if isinstance(each, tuple) and each else None for each in fields.values()]
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


def stored_array(state: Any) -> StoredArray:
    """What the state of a wrapper says of the bytes behind it.

    Raises:
        Unreadable: It does not say so beyond doubt; a reader that guesses could be led past an instruction.
    """
    if not isinstance(state, dict) or not _REQUIRED_KEYS <= set(state) <= WRAPPER_KEYS:
        raise Unreadable("an array of joblib has a state of another form")
    shape, kind, alignment = state[b"shape"], state[b"dtype"], state.get(_ALIGNMENT)
    if not isinstance(shape, tuple) or not all(type(length) is int and length >= 0 for length in shape):
        raise Unreadable("an array of joblib has no readable shape")
    if not isinstance(kind, DataType) or not (
        alignment is None or (type(alignment) is int and 0 < alignment <= MAX_ALIGNMENT)
    ):
        raise Unreadable("an array of joblib has no readable type")
    if not isinstance(state[b"subclass"], Imported):
        raise Unreadable("an array of joblib has no readable class")
    if kind.objects:
        return StoredArray(objects=True, size_bytes=0, padded=0)
    if kind.item_bytes is None:
        raise Unreadable("an array of joblib has a type of unknown size")
    size = kind.item_bytes
    for length in shape:
        size *= length
    return StoredArray(objects=False, size_bytes=size, padded=alignment or 0)
