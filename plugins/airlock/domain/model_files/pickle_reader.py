"""A pickle read without running it: every instruction is followed, no name is imported, nothing is called.

The names that a pickle imports are compared with an exact list. Calls are only followed where the callable is such a
name itself; what a pickle calls after computing it is refused, whatever it is.

Source: the instructions' own descriptions in CPython's Lib/pickletools.py, protocols 0 to 5.
"""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

from airlock.domain.model_files.pickle_values import (
    MAX_KEPT_ITEMS,
    OPAQUE,
    ArrayWrapper,
    DataType,
    Global,
    Mapping,
    build_data_type,
    data_type,
    kept_tuple,
    stored_array,
)
from airlock.domain.model_files.streams import OverLimit, Stream, Unreadable, of_bytes

MAX_INSTRUCTIONS = 60_000_000
MAX_STACK = 1_000_000
MAX_KEPT_TEXT = 512
MAX_KEPT_MEMO = 300_000
MAX_SCATTERED_MEMO = 1_000_000
MAX_SUSPICIONS = 20
MAX_NESTED = 3

WRAPPERS: Final = frozenset(
    Global(module, "NumpyArrayWrapper") for module in ("joblib.numpy_pickle", "sklearn.externals.joblib.numpy_pickle")
)
_DATA_TYPES: Final = frozenset({Global("numpy", "dtype")})
_ENCODE: Final = Global("_codecs", "encode")
# It imports any module; NumPy gives it its own.
_UFUNCS: Final = frozenset({Global("numpy.core", "_ufunc_reconstruct"), Global("numpy._core", "_ufunc_reconstruct")})
# scikit-learn 0.18 keeps one in every FeatureAgglomeration: without a folder it does nothing.
_MEMORY: Final = Global("sklearn.externals.joblib.memory", "Memory")
_REBUILD_TYPED: Final = Global("torch._tensor", "_rebuild_from_type_v2")

# Runs of plain values: most of a large pickle, and nothing to look at.
_RUN = re.compile(
    rb"(?:K.|M..|J.{4}|G.{8}|N|\x88|\x89|\x8a\x08.{8}|\x8a\x05.{5}){12,}", re.DOTALL
)  # fmt: skip
_RUN_STARTS = frozenset(b"KMJG")
_ITEM = re.compile(rb"K.|M..|J.{4}|G.{8}|N|\x88|\x89|\x8a\x08.{8}|\x8a\x05.{5}", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """Something in a pickle that would run code.

    Attributes:
        what: What it does, as the end of "it …".
        name: The imported name; empty where there is none.
        offset: Byte offset of the instruction in the (decompressed) stream.
    """

    what: str
    name: str
    offset: int


@dataclass(slots=True, kw_only=True)
class Reading:
    """What was seen.

    Attributes:
        suspicions: Each name once, in the order of the file.
        names: Every name that was imported.
        instructions: How many were followed.
        ended: Whether the end was reached.
    """

    suspicions: list[Suspicion]
    names: set[Global]
    instructions: int = 0
    ended: bool = False


class InertUnpickler:
    """Follows one pickle.

    Args:
        stream: Where it stands.
        allowed: The names that it may import.
        persistent: Whether it may refer to storages outside of it, as PyTorch's do.
        joblib: Whether the bytes of arrays follow their wrappers, as joblib writes them.
        reading: Where to note what is seen.
        depth: How many pickles stand around this one.
    """

    def __init__(
        self,
        stream: Stream,
        allowed: Collection[Global],
        *,
        persistent: bool = False,
        joblib: bool = False,
        reading: Reading | None = None,
        depth: int = 0,
    ) -> None:
        self.stream = stream
        self.allowed = allowed
        self.persistent = persistent
        self.joblib = joblib
        self.reading = reading or Reading(suspicions=[], names=set())
        self.depth = depth
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo = _Memo()
        self.at = 0
        self.frame_end = 0

    def run(self) -> Reading:
        """Read up to the pickle's end.

        Raises:
            Unreadable: The pickle is broken there; what was seen before stays in `reading`.
        """
        stream, reading = self.stream, self.reading
        while True:
            self.at = stream.position
            code = stream.byte()
            reading.instructions += 1
            if code == _STOP:
                self._pop()
                reading.ended = True
                return reading
            handler = _HANDLERS[code]
            if handler is None:
                raise Unreadable(f"{bytes([code])!r} is no instruction of a pickle", self.at)
            handler(self)
            if code in _RUN_STARTS and (run := stream.take(_RUN)):
                self._pass_over(run)
            if reading.instructions > MAX_INSTRUCTIONS:
                raise OverLimit(f"it has more than {MAX_INSTRUCTIONS:,} instructions", self.at)

    def _pass_over(self, run: bytes) -> None:
        count = len(_ITEM.findall(run))
        self.reading.instructions += count
        # Small numbers may be a shape; a run is only as long as it is where nobody looks at its values.
        self.stack.extend([OPAQUE] * count)
        self._check_stack()

    # ── stack ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _check_stack(self) -> None:
        if len(self.stack) > MAX_STACK:
            raise OverLimit(f"more than {MAX_STACK:,} values are open at once", self.at)

    def _push(self, value: Any) -> None:
        self.stack.append(value)
        if len(self.stack) > MAX_STACK:
            self._check_stack()

    def _pop(self) -> Any:
        if not self.stack or (self.marks and len(self.stack) <= self.marks[-1]):
            raise Unreadable("an instruction finds no value", self.at)
        return self.stack.pop()

    def _top(self) -> Any:
        if not self.stack or (self.marks and len(self.stack) <= self.marks[-1]):
            raise Unreadable("an instruction finds no value", self.at)
        return self.stack[-1]

    def _pop_mark(self) -> list[Any]:
        if not self.marks:
            raise Unreadable("an instruction finds no mark", self.at)
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    # ── names and calls ──────────────────────────────────────────────────────────────────────────────────────────────

    def _suspect(self, what: str, name: str = "") -> None:
        known = self.reading.suspicions
        if len(known) < MAX_SUSPICIONS and not any((each.what, each.name) == (what, name) for each in known):
            known.append(Suspicion(what=what, name=name, offset=self.at))

    def _import(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str:
            self._suspect("imports a name that it computes")
            self._push(Global("?", "?"))
            return
        found = Global(module, name)
        if found not in self.allowed:
            self._suspect("imports a name that is not on the list", str(found))
        if len(self.reading.names) < MAX_KEPT_MEMO:
            self.reading.names.add(found)
        self._push(found)

    def _call(self, target: Any, arguments: Any) -> Any:
        if not isinstance(target, Global):
            self._suspect("calls something that it computed itself")
            return OPAQUE
        if target in _DATA_TYPES:
            return data_type(arguments)
        if target in WRAPPERS:
            # joblib makes it without arguments; with them it would not be what it is taken for.
            if arguments != ():
                self._suspect("calls a name with arguments that its writer never gives", str(target))
            return ArrayWrapper()
        if target == _ENCODE and not (
            isinstance(arguments, tuple) and len(arguments) == 2 and arguments[1] in ("latin1", "latin-1")
        ):
            self._suspect("calls a name with arguments that its writer never gives", str(target))
        if target in _UFUNCS and not self._is_ufunc(arguments):
            self._suspect("calls a name with arguments that its writer never gives", str(target))
        if target == _MEMORY and not (isinstance(arguments, tuple) and arguments[:1] == (None,)):
            self._suspect("calls a name with arguments that its writer never gives", str(target))
        if target == _REBUILD_TYPED and not (
            isinstance(arguments, tuple) and arguments and isinstance(arguments[0], Global)
        ):
            self._suspect("calls a name with arguments that its writer never gives", str(target))
        return OPAQUE

    def _is_ufunc(self, arguments: Any) -> bool:
        if not isinstance(arguments, tuple) or len(arguments) != 2 or not all(type(each) is str for each in arguments):
            return False
        return (
            arguments[0] in ("numpy", "numpy.core.umath", "numpy.core._multiarray_umath")
            and Global("numpy", arguments[1]) in self.allowed
        )

    def _change(self, target: Any) -> None:
        if isinstance(target, Global):
            self._suspect("changes what it imported", str(target))

    def op_reduce(self) -> None:
        """REDUCE."""
        arguments = self._pop()
        self._push(self._call(self._pop(), arguments))

    def op_newobj(self) -> None:
        """NEWOBJ."""
        self.op_reduce()

    def op_newobj_ex(self) -> None:
        """NEWOBJ_EX."""
        keywords, arguments = self._pop(), self._pop()
        if not isinstance(keywords, Mapping) or keywords.items:
            arguments = OPAQUE
        self._push(self._call(self._pop(), arguments))

    def op_inst(self) -> None:
        """INST."""
        module, name = self._text(self.stream.line(), "ascii"), self._text(self.stream.line(), "ascii")
        arguments = tuple(self._pop_mark())
        self._import(module, name)
        self._push(self._call(self._pop(), arguments))

    def op_obj(self) -> None:
        """OBJ."""
        items = self._pop_mark()
        if not items:
            raise Unreadable("an instruction finds no value", self.at)
        self._push(self._call(items[0], tuple(items[1:])))

    def op_global(self) -> None:
        """GLOBAL."""
        self._import(self._text(self.stream.line(), "utf-8"), self._text(self.stream.line(), "utf-8"))

    def op_stack_global(self) -> None:
        """STACK_GLOBAL."""
        name, module = self._pop(), self._pop()
        self._import(module, name)

    def op_extension(self) -> None:
        """EXT1, EXT2 and EXT4."""
        raise Unreadable("it uses the extension registry, which no model writer does", self.at)

    def op_build(self) -> None:
        """BUILD."""
        state = self._pop()
        target = self._top()
        self._change(target)
        if isinstance(target, DataType):
            build_data_type(target, state)
        elif isinstance(target, ArrayWrapper) and self.joblib:
            self._read_array(target, state)
        elif isinstance(target, Mapping):
            raise Unreadable("a dictionary is given a state", self.at)

    def _read_array(self, wrapper: ArrayWrapper, state: Any) -> None:
        if self.stream.position < self.frame_end:
            # joblib reads the array behind the frame and goes on inside it.
            raise Unreadable("an array of joblib stands inside a frame", self.at)
        array = stored_array(wrapper, state)
        self.stack[-1] = OPAQUE
        if array.objects:
            if self.depth >= MAX_NESTED:
                raise OverLimit("pickles stand inside each other too deeply", self.at)
            ended = self.reading.ended
            InertUnpickler(self.stream, self.allowed, reading=self.reading, depth=self.depth + 1).run()
            self.reading.ended = ended
            return
        if array.padded:
            padding = self.stream.byte()
            if padding > array.padded:
                raise Unreadable("the bytes before an array are more than its alignment needs", self.at)
            self.stream.skip(padding)
        else:
            self._read_as_plain()
        self.stream.skip(array.size_bytes)

    def _read_as_plain(self) -> None:
        """The same bytes as `pickle.load` would take them, which knows nothing of arrays that follow."""
        plain = InertUnpickler(of_bytes(self.stream.peek()[:4096]), self.allowed, persistent=self.persistent)
        plain.stack, plain.marks = [*self.stack[-MAX_KEPT_ITEMS:]], []
        plain.memo = _Shadow(self.memo)
        with contextlib.suppress(Unreadable):
            plain.run()
        if any(_IMPORTABLE.fullmatch(each.name) for each in plain.reading.suspicions):
            self._suspect("hides instructions in the bytes of an array")

    def op_persid(self) -> None:
        """PERSID and BINPERSID."""
        self._push(OPAQUE)
        if not self.persistent:
            raise Unreadable("it refers to something outside of it", self.at)

    # ── values ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _text(self, data: bytes, encoding: str) -> str:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            raise Unreadable("a name is not text", self.at) from None

    def _push_text(self, size: int, encoding: str = "utf-8", errors: str = "surrogatepass") -> None:
        if size > MAX_KEPT_TEXT:
            self.stream.skip(size)
            self._push(OPAQUE)
            return
        try:
            self._push(self.stream.read(size).decode(encoding, errors))
        except UnicodeDecodeError:
            raise Unreadable("a text is not UTF-8", self.at) from None

    def _number(self, size: int) -> int:
        return int.from_bytes(self.stream.read(size), "little")

    def _skip_sized(self, size: int) -> None:
        self.stream.skip(self._number(size))
        self._push(OPAQUE)


class _Memo:
    """What a pickle remembers, and how much that is: numbers without a gap cost nothing, values of interest little."""

    def __init__(self) -> None:
        self.first = 0
        self.until = 0
        self.scattered: set[int] = set()
        self.kept: dict[int, Any] = {}

    def __len__(self) -> int:
        return self.until - self.first + len(self.scattered)

    def put(self, key: int, value: Any) -> None:
        if not len(self) and key == 1:
            # Python 2 counts from one.
            self.first = self.until = 1
        if key == self.until:
            self.until += 1
            while self.scattered and self.until in self.scattered:
                self.scattered.discard(self.until)
                self.until += 1
        elif not self.first <= key < self.until:
            self.scattered.add(key)
            if len(self.scattered) > MAX_SCATTERED_MEMO:
                raise OverLimit(f"it remembers more than {MAX_SCATTERED_MEMO:,} values without order")
        # Texts and tuples beyond the limit are forgotten: whatever needs them is then refused, not trusted.
        if value is OPAQUE or (type(value) in (str, tuple, Mapping) and len(self.kept) > MAX_KEPT_MEMO):
            self.kept.pop(key, None)
        else:
            if len(self.kept) > MAX_SCATTERED_MEMO:
                raise OverLimit(f"it remembers more than {MAX_SCATTERED_MEMO:,} values of interest")
            self.kept[key] = value

    def get(self, key: int) -> Any:
        if not (self.first <= key < self.until or key in self.scattered):
            raise Unreadable("it uses a value that it did not remember")
        return self.kept.get(key, OPAQUE)


class _Shadow(_Memo):
    """A memo on top of another one, which stays as it is."""

    def __init__(self, below: _Memo) -> None:
        super().__init__()
        self.below = below

    def __len__(self) -> int:
        return len(self.below) + super().__len__()

    def get(self, key: int) -> Any:
        return self.kept[key] if key in self.kept else self.below.get(key)


_IMPORTABLE = re.compile(r"(?:[A-Za-z_]\w*\.)+[A-Za-z_]\w*")
_PLAIN_NUMBER = re.compile(rb"(?:0|-?[1-9][0-9]{0,18})L?")
_STOP = 0x2E
Handler = Callable[[InertUnpickler], None]
_HANDLERS: list[Handler | None] = [None] * 256


def _on(codes: str | bytes, handler: Handler) -> None:
    for code in codes if isinstance(codes, bytes) else codes.encode("latin-1"):
        _HANDLERS[code] = handler


def _put(machine: InertUnpickler, key: int) -> None:
    if key < 0:
        raise Unreadable("it remembers under a negative number", machine.at)
    machine.memo.put(key, machine._top())


def _decimal(machine: InertUnpickler) -> int:
    try:
        return int(machine.stream.line(limit=40))
    except ValueError:
        raise Unreadable("a number is not readable", machine.at) from None


def _text_number(machine: InertUnpickler) -> None:
    data = machine.stream.line()
    if data in (b"00", b"01"):
        machine._push(data == b"01")
        return
    # Other spellings of a number mean different ones to different readers.
    machine._push(int(data.rstrip(b"L")) if _PLAIN_NUMBER.fullmatch(data) else OPAQUE)


def _quoted(machine: InertUnpickler) -> None:
    data = machine.stream.line(limit=1 << 26)
    if len(data) < 2 or data[:1] != data[-1:] or data[:1] not in (b"'", b'"'):
        raise Unreadable("a text has no quotes", machine.at)
    # With an escape in it, it is not followed; as the name of an import it would be refused.
    plain = len(data) <= MAX_KEPT_TEXT and b"\\" not in data
    machine._push(data[1:-1].decode("latin-1") if plain else OPAQUE)


def _unicode_line(machine: InertUnpickler) -> None:
    data = machine.stream.line(limit=1 << 26)
    plain = len(data) <= MAX_KEPT_TEXT and b"\\" not in data
    machine._push(data.decode("latin-1") if plain else OPAQUE)


def _binary_text(machine: InertUnpickler) -> None:
    machine._push_text(struct.unpack("<i", machine.stream.read(4))[0] & 0x7FFFFFFF, "latin-1")


def _frame(machine: InertUnpickler) -> None:
    size = machine._number(8)
    if machine.stream.position - 9 < machine.frame_end:
        raise Unreadable("a frame begins inside another", machine.at)
    machine.frame_end = machine.stream.position + size


def _protocol(machine: InertUnpickler) -> None:
    if machine.stream.read(1)[0] > 5:
        raise Unreadable("its protocol is not known", machine.at)


def _long(machine: InertUnpickler, size: int) -> None:
    if size <= 16:
        machine._push(int.from_bytes(machine.stream.read(size), "little", signed=True))
    else:
        machine.stream.skip(size)
        machine._push(OPAQUE)


def _tuple(machine: InertUnpickler, count: int) -> None:
    items = [machine._pop() for _ in range(count)]
    machine._push(kept_tuple(items[::-1]))


def _marked_tuple(machine: InertUnpickler) -> None:
    machine._push(kept_tuple(machine._pop_mark()))


def _drop_marked(machine: InertUnpickler) -> None:
    machine._pop_mark()


def _marked(machine: InertUnpickler) -> None:
    machine._pop_mark()
    machine._push(OPAQUE)


def _marked_mapping(machine: InertUnpickler) -> None:
    items = machine._pop_mark()
    machine._push(_filled(Mapping(), items, machine))


def _filled(mapping: Mapping, items: list[Any], machine: InertUnpickler) -> Mapping:
    if len(items) % 2:
        raise Unreadable("a dictionary has a key without a value", machine.at)
    for index in range(0, len(items), 2):
        mapping.put(items[index], items[index + 1])
        if mapping.items is None:
            break
    return mapping


def _setitems(machine: InertUnpickler) -> None:
    items = machine._pop_mark()
    target = machine._top()
    machine._change(target)
    if isinstance(target, Mapping):
        _filled(target, items, machine)


def _setitem(machine: InertUnpickler) -> None:
    value, key = machine._pop(), machine._pop()
    target = machine._top()
    machine._change(target)
    if isinstance(target, Mapping):
        target.put(key, value)


def _append(machine: InertUnpickler) -> None:
    machine._pop()
    machine._change(machine._top())


def _appends(machine: InertUnpickler) -> None:
    machine._pop_mark()
    machine._change(machine._top())


def _mark(machine: InertUnpickler) -> None:
    machine.marks.append(len(machine.stack))
    if len(machine.marks) > MAX_STACK:
        raise OverLimit("too many marks are open at once", machine.at)


def _pop_or_mark(machine: InertUnpickler) -> None:
    if machine.marks and machine.marks[-1] == len(machine.stack):
        machine.marks.pop()
    else:
        machine._pop()


def _persid_line(machine: InertUnpickler) -> None:
    machine.stream.line()
    machine.op_persid()


def _persid_binary(machine: InertUnpickler) -> None:
    reference = machine._pop()
    machine.op_persid()
    if isinstance(reference, tuple) and len(reference) > 1 and reference[0] == "module":
        # PyTorch before 1.6 writes a class with its source; what comes back is the class.
        machine.stack[-1] = reference[1]


def _float_line(machine: InertUnpickler) -> None:
    machine.stream.line(limit=1 << 12)
    machine._push(OPAQUE)


def _float(machine: InertUnpickler) -> None:
    machine.stream.read(8)
    machine._push(OPAQUE)


_on("c", InertUnpickler.op_global)
_on(b"\x93", InertUnpickler.op_stack_global)
_on("i", InertUnpickler.op_inst)
_on("o", InertUnpickler.op_obj)
_on("R", InertUnpickler.op_reduce)
_on(b"\x81", InertUnpickler.op_newobj)
_on(b"\x92", InertUnpickler.op_newobj_ex)
_on("b", InertUnpickler.op_build)
_on(b"\x82\x83\x84", InertUnpickler.op_extension)
_on("P", _persid_line)
_on("Q", _persid_binary)
_on(b"\x80", _protocol)
_on(b"\x95", _frame)
_on("(", _mark)
_on("0", _pop_or_mark)
_on("1", _drop_marked)
_on("2", lambda m: m._push(m._top()))
_on("N", lambda m: m._push(None))
_on(b"\x88", lambda m: m._push(True))
_on(b"\x89", lambda m: m._push(False))
_on("I", _text_number)
_on("L", _text_number)
_on("F", _float_line)
_on("G", _float)
_on("K", lambda m: m._push(m._number(1)))
_on("M", lambda m: m._push(m._number(2)))
_on("J", lambda m: m._push(int.from_bytes(m.stream.read(4), "little", signed=True)))
_on(b"\x8a", lambda m: _long(m, m._number(1)))
_on(b"\x8b", lambda m: _long(m, m._number(4)))
_on("S", _quoted)
_on("V", _unicode_line)
_on("T", _binary_text)
_on("U", lambda m: m._push_text(m._number(1), "latin-1"))
_on("X", lambda m: m._push_text(m._number(4)))
_on(b"\x8c", lambda m: m._push_text(m._number(1)))
_on(b"\x8d", lambda m: m._push_text(m._number(8)))
_on("B", lambda m: m._skip_sized(4))
_on("C", lambda m: m._skip_sized(1))
_on(b"\x8e\x96", lambda m: m._skip_sized(8))
_on("t", _marked_tuple)
_on(")", lambda m: m._push(()))
_on(b"\x85", lambda m: _tuple(m, 1))
_on(b"\x86", lambda m: _tuple(m, 2))
_on(b"\x87", lambda m: _tuple(m, 3))
_on("]", lambda m: m._push(OPAQUE))
_on("l", _marked)
_on("}", lambda m: m._push(Mapping()))
_on("d", _marked_mapping)
_on(b"\x8f", lambda m: m._push(OPAQUE))
_on(b"\x91", _marked)
_on("a", _append)
_on("e", _appends)
_on(b"\x90", _appends)
_on("s", _setitem)
_on("u", _setitems)
_on("p", lambda m: _put(m, _decimal(m)))
_on("q", lambda m: _put(m, m._number(1)))
_on("r", lambda m: _put(m, m._number(4)))
_on(b"\x94", lambda m: m.memo.put(len(m.memo), m._top()))
_on("g", lambda m: m._push(m.memo.get(_decimal(m))))
_on("h", lambda m: m._push(m.memo.get(m._number(1))))
_on("j", lambda m: m._push(m.memo.get(m._number(4))))
