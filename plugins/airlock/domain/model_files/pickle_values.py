"""The few values that an inert reading of a pickle keeps, and what NumPy arrays of joblib weigh.

Everything else is `OPAQUE`: it exists, and nothing depends on what it is.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Any, Final

from airlock.domain.model_files.streams import Unreadable

MAX_KEPT_ITEMS = 64
#: Below the number of every instruction: a length byte can never be one.
MAX_ALIGNMENT = 32


class _Opaque:
    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


class _Unkept(_Opaque):
    pass


#: Something that is no import, no data type and no stand-in for an array.
OPAQUE: Final = _Unkept("OPAQUE")
#: The same, fetched from the memory: it may be a dictionary that is at hand under another name, too.
RECALLED: Final = _Unkept("RECALLED")
#: The same in a file with too many values of interest: it may be a text that was not spelled out, too.
FORGOTTEN: Final = _Unkept("FORGOTTEN")
#: A dictionary that the pickle writes out, and none of whose keys so far is an attribute that libraries act on.
PLAIN_DICT: Final = _Unkept("PLAIN_DICT")
#: A tuple of which nothing else is known.
OPAQUE_TUPLE: Final = _Opaque("OPAQUE_TUPLE")
#: A text that the pickle does not spell out, or a dictionary with such keys.
COMPUTED: Final = _Opaque("COMPUTED")


@dataclass(frozen=True, slots=True)
class Global:
    """A name that a pickle imports."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(frozen=True, slots=True)
class Made:
    """What a call of an imported name gives.

    Attributes:
        name: The name.
    """

    name: Global


@dataclass(slots=True, eq=False)
class Imported:
    """What an import leaves on the stack.

    Attributes:
        name: The name.
        free: Whether it may be called with any arguments.
        bare: Whether it may be called without any.
        called_only: Whether nothing may get hold of it, because its arguments could then not be looked at.
        made: What a call gives.
    """

    name: Global
    free: bool
    bare: bool
    called_only: bool
    made: Made


@dataclass(slots=True, eq=False)
class Keywords:
    """The dictionary of arguments by name that a `functools.partial` keeps, while the pickle writes it out.

    Once it lies in a state nothing adds to it unseen: the memory and a copy give `RECALLED`.

    Attributes:
        names: What it names so far.
        simple: Whether every key is spelled out, and every value is a number or no more than `OPAQUE`.
    """

    names: set[bytes]
    simple: bool = True

    def add(self, items: list[Any]) -> None:
        """Set items, given as key, value, key, value."""
        for key, value in zip(items[::2], items[1::2], strict=True):
            if key.__class__ is not bytes or not (value.__class__ is int or value is OPAQUE):
                self.simple = False
            elif len(self.names) < MAX_KEPT_ITEMS:
                self.names.add(key)


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
            field = value.__class__ is tuple and is_field(value)
            if field and key.__class__ is not bytes:
                # A name that was forgotten.
                key = (len(mapping),)
            elif key.__class__ is not bytes or not (field or key in WRAPPER_KEYS):
                break
            if len(mapping) >= MAX_KEPT_ITEMS:
                break
            mapping[key] = value if _is_flat(value) else OPAQUE
        else:
            return
    mapping.clear()
    mapping[None] = None


def is_field(value: tuple[Any, ...]) -> bool:
    """Whether a tuple is a field of a data type."""
    return bool(value) and value[0].__class__ is DataType


def copied(value: Any) -> Any:
    """A value that can be changed without changing this one."""
    if value.__class__ is dict:
        return dict(value)
    return replace(value) if value.__class__ is DataType else value


#: Classes of values that a tuple can hold without a look at what is in them.
PLAIN: Final = frozenset({bytes, int, bool, type(None), _Opaque, _Unkept, Made})
#: Classes of values that the memory does not keep: what comes back is `RECALLED`.
UNKEPT: Final = frozenset({_Unkept, Made, Keywords})


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


#: Bits of a data type's flags: its items are objects, and NumPy reads them from a list.
_HAS_OBJECTS, _FROM_A_LIST = 1, 2
#: Data types that are made from a class; their states say the rest.
_RECORDS: Final = frozenset({Global("numpy", "record"), Global("numpy", "void")})
_SIMPLE_TYPE = re.compile(rb"([?bBhHiIlLqQefdgFDGO]|[biufcmMOSUVa])(\d{0,9})")
_LETTER_BYTES = {"?": 1, "b": 1, "B": 1, "h": 2, "H": 2, "e": 2, "i": 4, "I": 4, "f": 4, "d": 8, "q": 8, "Q": 8}


def data_type(arguments: Any) -> DataType:
    """The type that `numpy.dtype(…)` gives; its kind is empty where that is not known."""
    text = arguments[0] if isinstance(arguments, tuple) and arguments else None
    if isinstance(text, Imported) and text.name in _RECORDS:
        return DataType("V", None, False)
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
    version, subtype, fields, item_bytes, flags = state[0], state[2], state[4], state[5], state[7]
    if version not in (3, 4):
        # Up to version 2 NumPy computes the flags from the fields instead of reading them.
        raise Unreadable("a data type has a state of another version")
    if type(flags) is not int or type(item_bytes) is not int:
        raise Unreadable("a data type has a state of another form")
    objects = bool(flags & _HAS_OBJECTS)
    if objects and not flags & _FROM_A_LIST:
        # NumPy would take the bytes of the file for the addresses of objects.
        raise Unreadable("a data type has objects that are read from bytes")
    if kind.kind == "V":
        inner = _field_types(subtype, fields, item_bytes)
        if any(each.objects for each in inner) != objects:
            raise Unreadable("a data type contradicts its fields")
        # Like NumPy, which reads whether there are objects from the flags alone.
        kind.objects = objects
    elif objects != kind.objects or fields is not None:
        raise Unreadable("a data type contradicts its flags")
    if kind.item_bytes is not None and item_bytes not in (-1, kind.item_bytes) and kind.kind in "SUVa":
        raise Unreadable("a data type contradicts its size")


def _field_types(subtype: Any, fields: Any, item_bytes: int) -> list[DataType]:
    """The types of its parts, which must lie inside of it."""
    parts: list[tuple[Any, int, int]] = []
    if isinstance(subtype, tuple) and len(subtype) == 2:
        parts.append((subtype[0], 0, _count(subtype[1])))
    elif subtype is not None:
        raise Unreadable("a data type has a part of another form")
    if isinstance(fields, dict):
        parts += [
            (each[0], each[1], 1) if isinstance(each, tuple) and len(each) > 1 else (None, 0, 0)
            for each in fields.values()
        ]
    elif fields is not None:
        raise Unreadable("a data type has fields that are not written out with it")
    for part, offset, count in parts:
        if not isinstance(part, DataType) or type(offset) is not int:
            raise Unreadable("a data type has a part of another form")
        if offset < 0 or count < 0 or offset + count * (part.item_bytes or 0) > item_bytes:
            # NumPy does not look, and would read what lies behind the array.
            raise Unreadable("a data type has a part that lies outside of it")
    return [part for part, _, _ in parts]


def _count(shape: Any) -> int:
    """Items of a part that is an array; below zero where that is not known."""
    lengths = shape if isinstance(shape, tuple) else (shape,)
    if not all(type(length) is int and length >= 0 for length in lengths):
        return -1
    return math.prod(lengths)


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
