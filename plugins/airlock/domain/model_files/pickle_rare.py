"""The instructions of a pickle that are rare: imports, protocol 0, frames, long texts, and what no writer uses."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from airlock.domain.model_files.pickle_keys import is_plain
from airlock.domain.model_files.pickle_limits import (
    MAX_KEPT_TEXT,
    MAX_LINE_BYTES,
    MAX_NAME_BYTES,
    MAX_NUMBER_BYTES,
)
from airlock.domain.model_files.pickle_machine import Machine
from airlock.domain.model_files.pickle_values import (
    COMPUTED,
    OPAQUE,
    OPAQUE_TUPLE,
    PLAIN_DICT,
    RECALLED,
    UNKEPT,
    ArrayWrapper,
    is_field,
    kept_tuple,
)
from airlock.domain.model_files.streams import Unreadable

Handler = Callable[[Machine], None]
#: By instruction; the owner of a machine adds those that concern it.
HANDLERS: Final[dict[int, Handler]] = {}
_PLAIN_NUMBER = re.compile(rb"(?:0|-?[1-9][0-9]{0,18})L?")
_MAX_PROTOCOL: Final = 5


def on(codes: bytes) -> Callable[[Handler], Handler]:
    """Declare what follows these instructions."""

    def declare(handler: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(codes, handler))
        return handler

    return declare


# ── names and calls ──────────────────────────────────────────────────────────────────────────────────────────────────


def import_name(machine: Machine, module: Any, name: Any) -> None:
    """Push an imported name."""
    policy, offset = machine.policy, machine.at
    if module.__class__ is not bytes or name.__class__ is not bytes:
        machine.stack.append(policy.imported_unknown(offset))
        return
    try:
        found = policy.imported(module.decode("utf-8"), name.decode("utf-8"), offset)
    except UnicodeDecodeError:
        raise Unreadable("a name is not text", offset) from None
    machine.stack.append(found)
    if found.__class__ is ArrayWrapper:
        policy.opened(found, offset)


@on(b"c")
def _global(machine: Machine) -> None:
    import_name(machine, machine.stream.line(MAX_NAME_BYTES), machine.stream.line(MAX_NAME_BYTES))


@on(b"\x93")
def _stack_global(machine: Machine) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    import_name(machine, module, name)


@on(b"i")
def _inst(machine: Machine) -> None:
    module, name = machine.stream.line(MAX_NAME_BYTES), machine.stream.line(MAX_NAME_BYTES)
    arguments = kept_tuple(_marked(machine))
    import_name(machine, module, name)
    machine.stack.append(machine.policy.called(machine.stack.pop(), arguments, machine.at))


@on(b"o")
def _obj(machine: Machine) -> None:
    items = _marked(machine)
    machine.stack.append(machine.policy.called(items[0], kept_tuple(items[1:]), machine.at))


@on(b"\x92")
def _newobj_ex(machine: Machine) -> None:
    arguments = machine.stack[-2]
    del machine.stack[-2:]
    # What is named is not followed: as good as arguments that are not known.
    if arguments.__class__ is tuple:
        arguments = OPAQUE_TUPLE
    machine.stack.append(machine.policy.called(machine.stack.pop(), arguments, machine.at))


@on(b"\x82\x83\x84")
def _extension(machine: Machine) -> None:
    raise Unreadable("it uses the extension registry, which no model writer does", machine.at)


# ── the stack and the memory ─────────────────────────────────────────────────────────────────────────────────────────


def _marked(machine: Machine) -> list[Any]:
    items, machine.stack = machine.stack, machine.below.pop()
    return items


@on(b"0")
def _pop(machine: Machine) -> None:
    if machine.stack:
        machine.stack.pop()
    else:
        _marked(machine)


@on(b"1")
def _pop_mark(machine: Machine) -> None:
    _marked(machine)


@on(b"2")
def _dup(machine: Machine) -> None:
    value = machine.stack[-1]
    if value.__class__ is ArrayWrapper:
        machine.policy.misused(value, machine.at)
    # Two are at hand from here on, and a change of one is not seen in the other.
    machine.stack.append(RECALLED if value.__class__ in UNKEPT else value)


@on(b"p")
def _put(machine: Machine) -> None:
    machine.memo.put(_decimal(machine), machine.stack[-1])


@on(b"g")
def _get(machine: Machine) -> None:
    value = machine.memo.get(_decimal(machine))
    machine.stack.append(value)
    if value.__class__ is ArrayWrapper:
        machine.policy.opened(value, machine.at)


def _decimal(machine: Machine) -> int:
    try:
        return int(machine.stream.line(MAX_NUMBER_BYTES))
    except ValueError:
        raise Unreadable("a number is not readable", machine.at) from None


# ── values ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@on(b"IL")
def _number_line(machine: Machine) -> None:
    data = machine.stream.line(MAX_NAME_BYTES)
    if data in (b"00", b"01"):
        machine.stack.append(data == b"01")
        return
    # Other spellings of a number mean different ones to different readers.
    machine.stack.append(int(data.rstrip(b"L")) if _PLAIN_NUMBER.fullmatch(data) else OPAQUE)


@on(b"F")
def _float_line(machine: Machine) -> None:
    machine.stream.line(1 << 12)
    machine.stack.append(OPAQUE)


@on(b"S")
def _quoted_line(machine: Machine) -> None:
    data = machine.stream.line(MAX_LINE_BYTES)
    if len(data) < 2 or data[:1] != data[-1:] or data[:1] not in (b"'", b'"'):
        raise Unreadable("a text has no quotes", machine.at)
    # With an escape in it, it is not followed; as the name of an import it would be refused.
    machine.stack.append(COMPUTED if b"\\" in data else data[1:-1] if len(data) <= MAX_KEPT_TEXT else OPAQUE)


@on(b"V")
def _unicode_line(machine: Machine) -> None:
    data = machine.stream.line(MAX_LINE_BYTES)
    if b"\\" in data:
        machine.stack.append(COMPUTED)
    else:
        # The line is Latin-1, and a name that is compared is UTF-8.
        machine.stack.append(data.decode("latin-1").encode() if len(data) <= MAX_KEPT_TEXT else OPAQUE)


def _text(size_bytes: int) -> Handler:
    def handle(machine: Machine) -> None:
        size = int.from_bytes(machine.stream.read(size_bytes), "little")
        if size <= MAX_KEPT_TEXT:
            machine.stack.append(machine.stream.read(size))
        else:
            machine.stream.skip(size)
            machine.stack.append(OPAQUE)

    return handle


on(b"U")(_text(1))
on(b"XT")(_text(4))
on(b"\x8d")(_text(8))


def _sized(size_bytes: int) -> Handler:
    def handle(machine: Machine) -> None:
        machine.stream.skip(int.from_bytes(machine.stream.read(size_bytes), "little"))
        machine.stack.append(OPAQUE)

    return handle


on(b"B")(_sized(4))
on(b"\x8e\x96")(_sized(8))


def _long(size_bytes: int) -> Handler:
    def handle(machine: Machine) -> None:
        size = int.from_bytes(machine.stream.read(size_bytes), "little")
        if size <= 16:
            machine.stack.append(int.from_bytes(machine.stream.read(size), "little", signed=True))
        else:
            machine.stream.skip(size)
            machine.stack.append(OPAQUE)

    return handle


on(b"\x8a")(_long(1))
on(b"\x8b")(_long(4))


@on(b"l\x91")
def _list(machine: Machine) -> None:
    _marked(machine)
    machine.stack.append(OPAQUE)


@on(b"\x8f")
def _empty_set(machine: Machine) -> None:
    machine.stack.append(OPAQUE)


@on(b"\x90")
def _add_items(machine: Machine) -> None:
    _marked(machine)
    machine.policy.changed(machine.stack[-1], machine.at)


@on(b"d")
def _dictionary(machine: Machine) -> None:
    items = _marked(machine)
    if len(items) % 2:
        raise Unreadable("a dictionary has a key without a value", machine.at)
    keys = items[::2]
    if not is_plain(keys):
        machine.stack.append(machine.policy.filled(keys, machine.at))
    elif items and items[1].__class__ is tuple and is_field(items[1]):
        machine.stack.append(machine.policy.fields(items))
    else:
        machine.stack.append(PLAIN_DICT)


# ── the form ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@on(b"\x80")
def _protocol(machine: Machine) -> None:
    if machine.stream.byte() > _MAX_PROTOCOL:
        raise Unreadable("its protocol is not known", machine.at)


@on(b"\x95")
def _frame(machine: Machine) -> None:
    size = int.from_bytes(machine.stream.read(8), "little")
    if machine.at < machine.frame_end:
        raise Unreadable("a frame begins inside another", machine.at)
    machine.frame_end = machine.stream.position + size


@on(b"\x97\x98")
def _out_of_band(machine: Machine) -> None:
    raise Unreadable("it refers to buffers outside of it", machine.at)
