"""The reader of pickles against Python's own: what a loader imports, the reader has seen or has refused to follow.

The loaders here are Python's, with every import noted and answered by something harmless; arrays are read as joblib
reads them. Whatever is called gives back what it was given, which is the worst that a harmless function can do.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
from typing import Any, ClassVar

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airlock.domain.model_files.names import allowed_names
from airlock.domain.model_files.pickle_reader import InertUnpickler, Reading
from airlock.domain.model_files.pickle_values import Global
from airlock.domain.model_files.streams import Stream, Unreadable, of_bytes

ALLOWED = allowed_names("Scikit_Learn")
WRAPPER = ("joblib.numpy_pickle", "NumpyArrayWrapper")
MAX_ARRAY_BYTES = 1 << 16


class Stand:
    """Answers every import: takes anything, and gives back its first argument."""

    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        return arguments[0] if arguments else super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        self.__dict__["state"] = state

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, value: Any) -> None:
        pass

    def extend(self, values: Any) -> None:
        pass

    def add(self, value: Any) -> None:
        pass


class Wrapper:
    """joblib's stand-in for an array."""


class Loader(pickle._Unpickler):  # type: ignore[name-defined,misc]  # it is there, and joblib's own derives from it
    """Loads as `pickle.load` does."""

    def __init__(self, data: bytes) -> None:
        self.file = io.BytesIO(data)
        super().__init__(self.file)
        self.imported: set[Global] = set()

    def find_class(self, module: str, name: str) -> Any:
        self.imported.add(Global(module, name))
        if (module, name) == WRAPPER:
            return Wrapper
        if (module, name) == ("numpy", "dtype"):
            return numpy.dtype
        return type("Import", (Stand,), {})


class ArrayLoader(Loader):
    """Loads as `joblib.load` does."""

    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)  # type: ignore[attr-defined]

    def load_build(self) -> None:
        super().load_build()
        if isinstance(self.stack[-1], Wrapper):
            self.stack[-1] = self.read_array(self.stack[-1])

    dispatch[pickle.BUILD[0]] = load_build

    def read_array(self, wrapper: Any) -> Any:
        if wrapper.dtype.hasobject:
            inner = Loader(self.file.read())
            try:
                return inner.load()
            finally:
                self.imported |= inner.imported
                self.file.seek(-len(inner.file.read()), io.SEEK_END)
        alignment = getattr(wrapper, "numpy_array_alignment_bytes", None)
        if alignment is not None:
            self.file.read(self.file.read(1)[0])
        size = math.prod(wrapper.shape) * wrapper.dtype.itemsize
        if size > MAX_ARRAY_BYTES or len(self.file.read(size)) < size:
            raise EOFError
        return []


def loaded(loader: Loader) -> set[Global]:
    """Everything that it imports until it ends or fails."""
    try:
        loader.load()
    except Exception:
        return loader.imported
    return loader.imported


def read(data: bytes, *, joblib: bool = True) -> tuple[Reading, bool, Stream]:
    """What the reader saw, and whether it followed the pickle to its end without a suspicion."""
    reading = Reading(suspicions=[], names=set())
    stream = of_bytes(data)
    try:
        InertUnpickler(stream, ALLOWED, joblib=joblib, reading=reading).run()
    except Unreadable:
        return reading, False, stream
    return reading, not reading.suspicions, stream


def holds(data: bytes) -> None:
    """What is accepted imports nothing unseen, whichever way it is loaded."""
    reading, accepted, _ = read(data)
    if accepted:
        assert loaded(ArrayLoader(data)) <= reading.names
        assert loaded(Loader(data)) <= ALLOWED
    reading, accepted, _ = read(data, joblib=False)
    if accepted:
        assert loaded(Loader(data)) <= reading.names


# ── honest pickles ───────────────────────────────────────────────────────────────────────────────────────────────────

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(0, 300),
    st.floats(),
    st.text(max_size=300),
    st.binary(max_size=300),
    st.sampled_from(["numpy", "dtype", "shape", "posix", "os", "system"]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=30),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.one_of(st.text(max_size=9), st.integers()), inner, max_size=9),
        st.frozensets(st.integers(), max_size=5),
        inner.map(lambda value: [value] * 2),
    ),
    max_leaves=60,
)


@settings(max_examples=150, deadline=None)
@given(VALUES, st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_what_python_writes_of_plain_values_is_followed_to_the_byte(value: Any, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    reading, accepted, stream = read(data + b"behind")
    assert accepted
    assert stream.position == len(data)
    assert reading.names <= ALLOWED


@pytest.mark.parametrize("width, value", [(2, 7), (3, 700), (5, 70_000), (9, 0.5)])
def test_runs_of_numbers_are_passed_over_exactly(width: int, value: float) -> None:
    for count in [*range(1, 80), 300, 100_000]:
        for numbers in ([value] * count, [None] + [value] * count + [None, value, "x"]):
            data = pickle.dumps(numbers, 4) + pickle.dumps("behind", 4)
            _, accepted, stream = read(data)
            assert accepted
            assert data[stream.position :] == pickle.dumps("behind", 4)


# ── pickles that nobody writes ───────────────────────────────────────────────────────────────────────────────────────


def text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


def state(shape: bytes, kind: bytes) -> bytes:
    fields = (
        text("subclass")
        + b"cnumpy\nndarray\n"
        + text("shape")
        + shape
        + text("order")
        + text("C")
        + text("dtype")
        + kind
    )
    return b"}(" + fields + text("allow_mmap") + b"\x88u"


BYTES = b"cnumpy\ndtype\n" + text("u1") + b"\x89\x88\x87R"
OBJECTS = b"cnumpy\ndtype\n" + text("O8") + b"\x89\x88\x87R"
MAKE = b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n"
EVIL = b"cposix\nsystem\n" + text("id") + b"\x85R"
NUMBER = st.integers(0, 6)
BLOCKS = st.one_of(
    st.sampled_from([
        b"N", b"\x88", b"K\x05", b"J\xff\xff\xff\xff", b"M\x01\x02", b"G\0\0\0\0\0\0\0\0", b"\x8a\x01\x07", b"I7\n",
        b"I01\n",         b"F1.5\n", b"S'x'\n", b"Vshape\n",
        b"U\x01x", b"T\x01\0\0\0x", b"X\x01\0\0\0x", b"C\x02ab", b"B\x02\0\0\0ab",
        b"(", b")", b"]", b"}", b"\x8f", b"t", b"l", b"d", b"e", b"u", b"a", b"s", b"\x85", b"\x86", b"\x87",
        b"\x90", b"\x91",
        b"R", b"\x81", b"\x92", b"o", b"b", b"0", b"1", b"2", b"\x93", b"\x94", b".", b"Qx"[:1],
        b"\x95\x05\0\0\0\0\0\0\0", b"cnumpy\nndarray\n", b"c__builtin__\nlist\n", b"(i__builtin__\nset\n",
        b"ccopy_reg\n_reconstructor\n", b"cnumpy\nmax\n", b"ccollections\nOrderedDict\n",
        text("numpy"), text("ndarray"), text("posix"), text("system"), text("shape"), text("dtype"), EVIL,
        MAKE, MAKE + b")\x81", BYTES, OBJECTS, state(b"K\x05\x85", BYTES), state(b"K\x02\x85", BYTES),
        state(b"K\x01\x85", OBJECTS), MAKE + b")\x81" + state(b"K\x05\x85", BYTES) + b"b",
        MAKE + b")\x81" + state(b"K\x01\x85", OBJECTS) + b"b", b"B" + struct.pack("<I", len(EVIL)) + EVIL,
        b"\x80\x04N.", b"aaaaa",
    ]),
    st.builds(lambda key: b"q" + bytes([key]), NUMBER),
    st.builds(lambda key: b"h" + bytes([key]), NUMBER),
    st.builds(lambda key: b"r" + struct.pack("<I", key), NUMBER),
    st.builds(lambda key: b"j" + struct.pack("<I", key), NUMBER),
    st.builds(lambda key: b"p%d\n" % key, NUMBER),
    st.builds(lambda key: b"g%d\n" % key, NUMBER),
    st.binary(max_size=3),
)  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(st.lists(BLOCKS, max_size=25))
def test_no_loader_imports_what_the_reader_has_not_seen(blocks: list[bytes]) -> None:
    holds(b"\x80\x04" + b"".join(blocks) + b".")


@settings(max_examples=300, deadline=None)
@given(VALUES, st.integers(0, pickle.HIGHEST_PROTOCOL), st.data())
def test_a_changed_byte_hides_nothing(value: Any, protocol: int, data: st.DataObject) -> None:
    changed = bytearray(pickle.dumps([value, Global], protocol) + b"b.")
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    holds(bytes(changed))


# ── arrays that are not what they look like ──────────────────────────────────────────────────────────────────────────

HIDDEN = b"B" + struct.pack("<I", len(EVIL) + 2) + EVIL + b"0." + b"."
FIVE = state(b"K\x05\x85", BYTES) + b"b"
MANY = b"".join(b"U\x01xr" + struct.pack("<I", key) + b"0" for key in range(40_000))
#: joblib takes the five bytes "B and a length" for an array and runs what follows; a reader that does not know that an
#: array stands there takes it for one text.
LED_ASTRAY = {
    "made by a function": b"ccopy_reg\n_reconstructor\n" + MAKE + b"c__builtin__\nobject\nN\x87R" + FIVE,
    "made with a list": b"ccopy_reg\n_reconstructor\n](" + MAKE + b"c__builtin__\nobject\nNeR" + FIVE,
    "made by a class method": b"cpandas.core.indexes.base\n_new_Index\n" + MAKE + b"}\x86R" + FIVE,
    "given back by a function": b"cnumpy\nmax\n" + MAKE + b")\x81\x85\x85R" + FIVE,
    "doubled": MAKE + b")\x812" + state(b"K\x00\x85", BYTES) + b"b0\x85cnumpy\nmax\n" + FIVE,
    "built twice": MAKE + b")\x81q\x00" + state(b"K\x00\x85", BYTES) + b"b0h\x00" + FIVE,
    "kept as a class": MAKE + b"q\x000ccopy_reg\n_reconstructor\nh\x00c__builtin__\nobject\nN\x87R" + FIVE,
    "of a state that changes unseen": (
        MANY + MAKE + b")\x81}r" + struct.pack("<I", 40_000) + state(b"K\x00\x85", BYTES)[1:] + b"j"
        + struct.pack("<I", 40_000) + text("shape") + b"K\x05\x85s0b"
    ),
    "of a state from before": (
        b"}q\x00" + state(b"K\x00\x85", BYTES)[1:] + b"0" + MAKE + b")\x81h\x00" + text("shape") + b"K\x05\x85sb"
    ),
    "of an old kind of data type": MAKE + b")\x81" + state(
        b"K\x00\x85", b"cnumpy\ndtype\n" + text("V8") + b"\x89\x88\x87R(K\x02" + text("|") + b"N" + text("a") + b"\x85}"
        + text("a") + OBJECTS + b"K\x00\x86sK\x08K\x01K\x00tb"
    ) + b"b",
    "left open": MAKE + b")\x810]" + MAKE + b")\x81a" + FIVE,
}  # fmt: skip


@pytest.mark.parametrize("name", LED_ASTRAY)
@pytest.mark.parametrize("protocol", [b"\x80\x02", b"\x80\x04"])
def test_a_stand_in_for_an_array_is_used_as_joblib_does_or_refused(name: str, protocol: bytes) -> None:
    _, accepted, _ = read(protocol + LED_ASTRAY[name] + HIDDEN)
    assert not accepted
    holds(protocol + LED_ASTRAY[name] + HIDDEN)


def test_the_loader_of_these_tests_is_led_astray_as_joblib_would_be() -> None:
    data = b"\x80\x02" + MAKE + b")\x81" + FIVE + b"aaaaa" + EVIL + b"."
    assert Global("posix", "system") in loaded(ArrayLoader(data))
    reading, accepted, _ = read(data)
    assert not accepted
    assert Global("posix", "system") in reading.names
