"""The machine that a pickle is a program for, without its effects: no name is imported, nothing is called.

Every instruction is followed, one after another: each one's length depends on it alone, and a reader that guesses is
led past what it should have seen. What an instruction means for safety is decided by `pickle_policy`; here stands only
what it takes and leaves.

Why not the unpickler of the standard library in C, with stand-ins for all names: it is three times as fast, but makes
every value, which is ten bytes of memory for each byte of small objects; it takes a memory index of four bytes at its
word, so that a file of ten bytes asks for 16 GB; and it hashes keys of the file's choice. Why not regular expressions
over runs of instructions: only runs of plain numbers are regular, and matching and counting them takes 110 ns each
against 150 to 300 here. Runs of numbers of one width, the only small things that grow to gigabytes, are passed over by
a strided slice at 10 ns each.

So the loop below is one function on purpose: its variables are local, the frequent instructions stand first, and it
looks at limits once in a batch. The rare instructions are in `pickle_rare`.

Source: the instructions' own descriptions in CPython's Lib/pickletools.py, protocols 0 to 5.
"""

from __future__ import annotations

import struct
from typing import Any, Final

from airlock.domain.model_files.pickle_keys import ACTED_ON, is_plain
from airlock.domain.model_files.pickle_limits import (
    KEPT_AT_THE_TOP,
    MAX_INSTRUCTIONS,
    MAX_KEPT_TEXT,
    MAX_MARKS,
    MAX_NUMBER_BYTES,
    MAX_OPEN,
    MAX_OPEN_IN_DETAIL,
)
from airlock.domain.model_files.pickle_memo import FORGETTABLE, Memo
from airlock.domain.model_files.pickle_policy import Policy
from airlock.domain.model_files.pickle_values import (
    COMPUTED,
    FORGOTTEN,
    OPAQUE,
    OPAQUE_TUPLE,
    PLAIN,
    PLAIN_DICT,
    UNKEPT,
    ArrayWrapper,
    Imported,
    Made,
    is_field,
    kept_tuple,
)
from airlock.domain.model_files.streams import OverLimit, Stream, Unreadable

_BATCH: Final = range(4096)
# The longest instruction that is read without asking whether the buffer holds it: a short text.
_AHEAD: Final = 2 + 255 + 16
_PADDING: Final = b"\xff" * _AHEAD
_BYTES_4 = struct.Struct("<I").unpack_from
_SIGNED_4 = struct.Struct("<i").unpack_from
#: Numbers in a row that are looked at first, and so many that are no shape of an array.
_SHORT_RUN: Final = 64
_LONG_SHAPE: Final = 16
#: What becomes of a value deep below.
_COARSE: Final[dict[type, Any]] = {bytes: COMPUTED, tuple: OPAQUE_TUPLE, int: OPAQUE}


class Machine:
    """The state of one pickle, and the loop that follows it.

    Args:
        stream: Where it stands.
        policy: What judges it.
        memo: Its memory.

    Attributes:
        stack: Values of the innermost open mark.
        below: Those of the marks around it, outermost first.
        at: Offset of the instruction, in bytes of the stream.
        frame_end: Where the last frame ends.
    """

    def __init__(self, stream: Stream, policy: Policy, memo: Memo) -> None:
        self.stream = stream
        self.policy = policy
        self.memo = memo
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.at = 0
        self.frame_end = 0
        self._detailed = 0

    def rare(self, code: int) -> None:
        """Follow an instruction that the loop does not; its operands are next in the stream."""
        raise NotImplementedError

    def follow(self) -> None:
        """Read up to the pickle's end.

        Raises:
            Unreadable: The pickle is broken there, or leads to a limit.
        """
        stream, policy, memo = self.stream, self.policy, self.memo
        words, reading = memo.words, policy.reading
        stack, below = self.stack, self.below
        first, until, full, dense, counted = memo.state()
        kept, remembered, missing = memo.kept, memo.kept.get, memo.missing
        source, buffer, base, at, begin, safe, width = b"", b"", stream.position, 0, 0, -1, 0
        try:
            while True:
                for _ in _BATCH:
                    if at >= safe:
                        if safe >= 0:
                            stream.taken(at)
                        source, at = stream.window(_AHEAD)
                        base, size = stream.position - at, len(source)
                        # A short rest is all that is left of the file.
                        buffer, safe = (source, size - _AHEAD) if size - at >= _AHEAD else (source + _PADDING, size)
                        if at >= size:
                            raise Unreadable("the file ends too early", base + at)
                    begin = at
                    code = buffer[at]
                    at += 1
                    if code >= 0x80:
                        if code == 0x94:  # MEMOIZE
                            value = stack[-1]
                            if not counted:
                                memo.until = until
                                memo.put(len(memo), value)
                                first, until, full, dense, counted = memo.state()
                                continue
                            if value.__class__ not in UNKEPT and not (
                                full
                                and value.__class__ in FORGETTABLE
                                and (value.__class__ is not bytes or value not in words)
                            ):
                                kept[until] = value
                            until += 1
                            continue
                        if code == 0x8C:  # SHORT_BINUNICODE
                            end = at + 1 + buffer[at]
                            value = buffer[at + 1 : end]
                            at = end
                            stack.append(value)
                            if buffer[at] == 0x94 and counted and at < safe:
                                at += 1
                                if not full or value in words:
                                    kept[until] = value
                                until += 1
                            continue
                        if code == 0x86:  # TUPLE2
                            value = stack.pop()
                            key = stack[-1]
                            if key.__class__ in PLAIN and value.__class__ in PLAIN:
                                stack[-1] = (key, value)
                            else:
                                stack[-1] = kept_tuple([key, value])
                            if full and buffer[at] == 0x94 and counted and at < safe:
                                at += 1
                                until += 1
                            continue
                        if code == 0x85:  # TUPLE1
                            value = stack[-1]
                            stack[-1] = (value,) if value.__class__ in PLAIN else kept_tuple([value])
                            continue
                        if code == 0x87:  # TUPLE3
                            value, key = stack.pop(), stack.pop()
                            stack[-1] = kept_tuple([stack[-1], key, value])
                            continue
                        if code == 0x81:  # NEWOBJ
                            value = stack.pop()
                            key = stack[-1]
                            if (
                                key.__class__ is Imported
                                and value.__class__ is tuple
                                and (key.free or (key.bare and not value))
                                and not policy.wrapper
                            ):
                                stack[-1] = key.made
                            else:
                                stack[-1] = policy.called(key, value, base + begin)
                            continue
                        if code == 0x88:  # NEWTRUE
                            stack.append(True)
                            continue
                        if code == 0x89:  # NEWFALSE
                            stack.append(False)
                            continue
                    elif code >= 0x60:
                        if code == 0x68 or code == 0x6A:  # BINGET, LONG_BINGET
                            if code == 0x68:
                                key = buffer[at]
                                at += 1
                            else:
                                key = _BYTES_4(buffer, at)[0]
                                at += 4
                            if first <= key < until:
                                value = remembered(key, missing)
                            else:
                                memo.until = until
                                value = memo.get(key)
                            stack.append(value)
                            if value.__class__ is ArrayWrapper:
                                policy.opened(value, base + begin)
                            continue
                        if code == 0x71 or code == 0x72:  # BINPUT, LONG_BINPUT
                            if code == 0x71:
                                key = buffer[at]
                                at += 1
                            else:
                                key = _BYTES_4(buffer, at)[0]
                                at += 4
                            value = stack[-1]
                            if key == until and until and dense:
                                if value.__class__ not in UNKEPT and not (
                                    full
                                    and value.__class__ in FORGETTABLE
                                    and (value.__class__ is not bytes or value not in words)
                                ):
                                    kept[key] = value
                                until += 1
                            else:
                                memo.until = until
                                memo.put(key, value)
                                first, until, full, dense, counted = memo.state()
                            continue
                        if code == 0x75:  # SETITEMS
                            items, stack = stack, below.pop()
                            if len(items) & 1:
                                raise Unreadable("a dictionary has a key without a value", base + begin)
                            if stack[-1] is not PLAIN_DICT:
                                policy.changed(stack[-1], base + begin, items)
                            elif not is_plain(items[::2]):
                                stack[-1] = policy.filled(items[::2], base + begin)
                            elif items and items[1].__class__ is tuple and is_field(items[1]):
                                stack[-1] = policy.fields(items)
                            continue
                        if code == 0x65:  # APPENDS
                            stack = below.pop()
                            if stack[-1] is not OPAQUE:
                                policy.changed(stack[-1], base + begin)
                            continue
                        if code == 0x74:  # TUPLE
                            items, stack = stack, below.pop()
                            stack.append(kept_tuple(items))
                            continue
                        if code == 0x7D:  # EMPTY_DICT
                            if policy.wrapper or policy.partial:
                                stack.append(policy.new_dict())
                                continue
                            stack.append(PLAIN_DICT)
                            if buffer[at] == 0x94 and counted and at < safe:
                                at += 1
                                until += 1
                            continue
                        if code == 0x73:  # SETITEM
                            value, key = stack.pop(), stack.pop()
                            if stack[-1] is not PLAIN_DICT:
                                policy.changed(stack[-1], base + begin, [key, value])
                            elif key is COMPUTED or key is FORGOTTEN or (key.__class__ is bytes and key in ACTED_ON):
                                stack[-1] = policy.filled([key], base + begin)
                            elif value.__class__ is tuple and is_field(value):
                                stack[-1] = policy.fields([key, value])
                            continue
                        if code == 0x61:  # APPEND
                            stack.pop()
                            if stack[-1] is not OPAQUE:
                                policy.changed(stack[-1], base + begin)
                            continue
                        if (  # BUILD
                            code == 0x62
                            and stack[-1] is PLAIN_DICT
                            and len(stack) > 1
                            and stack[-2].__class__ is Made
                            and not policy.wrapper
                        ):
                            stack.pop()
                            continue
                    elif code == 0x4B:  # BININT1
                        if buffer[at + 1] != 0x4B or buffer[at + 29] != 0x4B or buffer[at + 27] != 0x4B:
                            stack.append(buffer[at])
                            at += 1
                            continue
                        width = 2
                    elif code == 0x28:  # MARK
                        below.append(stack)
                        stack = []
                        continue
                    elif code == 0x4D:  # BININT2
                        if buffer[at + 2] != 0x4D or buffer[at + 44] != 0x4D or buffer[at + 41] != 0x4D:
                            stack.append(buffer[at] | buffer[at + 1] << 8)
                            at += 2
                            continue
                        width = 3
                    elif code == 0x47:  # BINFLOAT
                        if buffer[at + 8] != 0x47 or buffer[at + 134] != 0x47:
                            stack.append(OPAQUE)
                            at += 8
                            continue
                        width = 9
                    elif code == 0x4A:  # BININT
                        if buffer[at + 4] != 0x4A or buffer[at + 74] != 0x4A or buffer[at + 69] != 0x4A:
                            stack.append(_SIGNED_4(buffer, at)[0])
                            at += 4
                            continue
                        width = 5
                    elif code == 0x58:  # BINUNICODE
                        size = _BYTES_4(buffer, at)[0]
                        end = at + 4 + size
                        if end <= safe:
                            stack.append(buffer[at + 4 : end] if size <= MAX_KEPT_TEXT else OPAQUE)
                            at = end
                            continue
                    elif code == 0x5D:  # EMPTY_LIST
                        stack.append(OPAQUE)
                        if buffer[at] == 0x94 and counted and at < safe:
                            at += 1
                            until += 1
                        continue
                    elif code == 0x29:  # EMPTY_TUPLE
                        stack.append(())
                        continue
                    elif code == 0x4E:  # NONE
                        stack.append(None)
                        continue
                    elif code == 0x43:  # SHORT_BINBYTES
                        at += 1 + buffer[at]
                        stack.append(OPAQUE)
                        continue
                    elif code == 0x52:  # REDUCE
                        value = stack.pop()
                        key = stack[-1]
                        if (
                            key.__class__ is Imported
                            and value.__class__ is tuple
                            and (key.free or (key.bare and not value))
                            and not policy.wrapper
                        ):
                            stack[-1] = key.made
                        else:
                            stack[-1] = policy.called(key, value, base + begin)
                        continue
                    elif code == 0x2E:  # STOP
                        stream.taken(at)
                        stack.pop()
                        self.at = base + begin
                        # Making a machine costs as much as some hundred instructions.
                        reading.instructions += 256
                        return
                    if width:
                        # At the same distance the same instruction: whatever stands between is an operand. So many are
                        # no shape of an array, and nobody looks at their values.
                        limit, count = _SHORT_RUN, 0
                        while True:
                            heads = buffer[begin : max(begin + 1, min(safe, begin + limit * width)) : width]
                            count = len(heads) - len(heads.lstrip(heads[:1]))
                            if count < limit:
                                break
                            limit *= 16
                        if count < _LONG_SHAPE:
                            stack.extend(_numbers(buffer, begin, width, count))
                        else:
                            reading.instructions += count >> 3
                            stack.extend([OPAQUE] * count)
                        at = begin + count * width
                        width = 0
                        if len(stack) > MAX_OPEN:
                            break
                        continue
                    if code in _LINES:
                        # Protocol 0: numbers and the memory as a line of text.
                        end = buffer.find(b"\n", at, at + MAX_NUMBER_BYTES) + 1
                        if 0 < end <= safe:
                            line = buffer[at : end - 1]
                            if code == 0x46:  # FLOAT
                                stack.append(OPAQUE)
                                at = end
                                continue
                            if line.isdigit() and (line[0] != 0x30 or len(line) == 1):
                                key = int(line)
                                if code == 0x49:  # INT
                                    stack.append(key)
                                    at = end
                                    continue
                                if code == 0x70 and key == until and until and dense:  # PUT
                                    value = stack[-1]
                                    if value.__class__ not in UNKEPT and not (
                                        full
                                        and value.__class__ in FORGETTABLE
                                        and (value.__class__ is not bytes or value not in words)
                                    ):
                                        kept[key] = value
                                    until += 1
                                    at = end
                                    continue
                                if code == 0x67 and first <= key < until:  # GET
                                    value = remembered(key, missing)
                                    if value.__class__ is not ArrayWrapper:
                                        stack.append(value)
                                        at = end
                                        continue
                    # Everything else reads from the stream itself.
                    stream.taken(begin + 1)
                    self.stack, self.at, memo.until = stack, base + begin, until
                    self.rare(code)
                    stack = self.stack
                    first, until, full, dense, counted = memo.state()
                    window, at = stream.window(1)
                    if window is source:
                        continue
                    safe = -1
                self._check(stack)
                full, words, missing = memo.full, memo.words, memo.missing
        except IndexError:
            raise Unreadable("an instruction finds no value or no mark", base + begin) from None
        except Unreadable as error:
            if error.offset is None:
                error.offset = base + begin
            raise

    def _check(self, stack: list[Any]) -> None:
        """Look at the limits."""
        reading = self.policy.reading
        reading.instructions += len(_BATCH)
        if reading.instructions > MAX_INSTRUCTIONS:
            raise OverLimit(f"it has more than {MAX_INSTRUCTIONS:,} instructions")
        self.memo.check()
        if len(self.below) > MAX_MARKS:
            raise OverLimit(f"more than {MAX_MARKS:,} marks are open at once")
        count = len(stack) + sum(map(len, self.below))
        if count > MAX_OPEN:
            raise OverLimit(f"more than {MAX_OPEN:,} values are open at once")
        self._detailed = min(self._detailed, count)
        if count - self._detailed > MAX_OPEN_IN_DETAIL:
            self._detailed = count
            for values in (stack, *self.below):
                deep = values[:-KEPT_AT_THE_TOP]
                values[: len(deep)] = [_COARSE.get(each.__class__, each) for each in deep]


def _numbers(buffer: bytes, begin: int, width: int, count: int) -> list[Any]:
    """The values of a few numbers of one width in a row."""
    if width == 9:
        return [OPAQUE] * count
    starts = range(begin + 1, begin + count * width, width)
    return [int.from_bytes(buffer[at : at + width - 1], "little", signed=width == 5) for at in starts]


#: PUT, GET, INT and FLOAT of protocol 0.
_LINES: Final = frozenset(b"pgIF")
