"""What a pickle may do: which names it may import, what it may call with what, and what it may change.

The names are compared with an exact list. Calls are only let through where the callable is an imported name itself;
what a pickle calls after computing it is refused, whatever it is.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from airlock.domain.model_files.pickle_limits import MAX_DATA_TYPES, MAX_NAMES, MAX_SUSPICIONS
from airlock.domain.model_files.pickle_values import (
    OPAQUE,
    OPAQUE_TUPLE,
    ArrayWrapper,
    DataType,
    Global,
    Imported,
    data_type,
    fill,
)
from airlock.domain.model_files.streams import OverLimit, Unreadable

#: joblib's stand-in for an array whose bytes follow in the file.
WRAPPERS: Final = frozenset(
    Global(module, "NumpyArrayWrapper") for module in ("joblib.numpy_pickle", "sklearn.externals.joblib.numpy_pickle")
)
_DATA_TYPES: Final = frozenset({Global("numpy", "dtype")})
_ENCODE: Final = Global("_codecs", "encode")
# It imports any module; NumPy gives it its own.
_UFUNCS: Final = frozenset({Global("numpy.core", "_ufunc_reconstruct"), Global("numpy._core", "_ufunc_reconstruct")})
# scikit-learn 0.18 keeps one in every FeatureAgglomeration: without a folder it does nothing.
_MEMORY: Final = Global("sklearn.externals.joblib.memory", "Memory")
# It calls what it is given: PyTorch gives it one of its own.
_REBUILD_TYPED: Final = Global("torch._tensor", "_rebuild_from_type_v2")
_REBUILDERS: Final = "torch._utils"
_PYTHON: Final = ("builtins", "__builtin__")
# The types of None, NotImplemented and Ellipsis have no name to import.
_TYPES: Final = frozenset(Global(module, "type") for module in _PYTHON)
_NAMELESS: Final = frozenset(Global(module, name) for module in _PYTHON for name in ("NotImplemented", "Ellipsis"))
# Layers of PyTorch that wait for their sizes keep methods of their own.
_GETATTRS: Final = frozenset(Global(module, "getattr") for module in _PYTHON)
_LAZY_METHODS: Final = frozenset({b"_infer_parameters", b"_lazy_load_hook"})
# It calls a method of what it is given; models keep it, and no writer calls it.
_NEVER_CALLED: Final = frozenset(
    Global(module, "_passthrough_scorer") for module in ("sklearn.metrics.scorer", "sklearn.metrics._scorer")
)
# The Trainer's settings: made with arguments they look for devices and other processes.
_SETTINGS: Final = frozenset({
    Global("accelerate.state", "PartialState"),
    Global("transformers.trainer_pt_utils", "AcceleratorConfig"),
    Global("transformers.training_args", "TrainingArguments"),
    Global("transformers.training_args_seq2seq", "Seq2SeqTrainingArguments"),
})
#: Names that are only called, with arguments of one form, and never handed on to something that could call them.
CALLED_ONLY: Final = _UFUNCS | _TYPES | _GETATTRS | _SETTINGS | {_ENCODE, _MEMORY, _REBUILD_TYPED}
#: Names whose arguments are looked at.
CHECKED: Final = CALLED_ONLY | _DATA_TYPES | _NEVER_CALLED


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
        instructions: How many were followed, in batches.
        ended: Whether the end was reached.
    """

    suspicions: list[Suspicion]
    names: set[Global]
    instructions: int = 0
    ended: bool = False


class Policy:
    """Judges what one pickle does, and notes what must not be.

    Args:
        allowed: The names that it may import.
        reading: Where to note what is seen.

    Attributes:
        wrapper: A stand-in for an array that has not met its array yet.
    """

    def __init__(self, allowed: Collection[Global], reading: Reading) -> None:
        self.allowed = allowed
        self.reading = reading
        self.wrapper: ArrayWrapper | None = None
        self._state: dict[Any, Any] | None = None
        self._known: dict[Global, Imported | ArrayWrapper] = {}
        self._data_types = 0

    def suspect(self, what: str, name: str, offset: int) -> None:
        """Note something, once."""
        known = self.reading.suspicions
        if len(known) < MAX_SUSPICIONS and not any((each.what, each.name) == (what, name) for each in known):
            known.append(Suspicion(what=what, name=name, offset=offset))

    def imported(self, module: str, name: str, offset: int) -> Imported | ArrayWrapper:
        """What an import gives.

        Raises:
            OverLimit: There are too many.
        """
        found = Global(module, name)
        if found in self._known:
            return self._known[found]
        if found not in self.allowed:
            self.suspect("imports a name that is not on the list", str(found), offset)
        if len(self._known) >= MAX_NAMES:
            raise OverLimit(f"it imports more than {MAX_NAMES:,} names", offset)
        self.reading.names.add(found)
        self._known[found] = (
            ArrayWrapper(found) if found in WRAPPERS else Imported(found, found not in CHECKED, found in CALLED_ONLY)
        )
        return self._known[found]

    def imported_unknown(self, offset: int) -> Imported:
        """What an import of a name gives that the pickle does not spell out."""
        self.suspect("imports a name that it computes", "", offset)
        return Imported(Global("?", "?"), True, False)

    def called(self, target: Any, arguments: Any, offset: int) -> Any:
        """What a call gives.

        Args:
            target: What is called.
            arguments: A tuple, or what is not known of it.
            offset: Where it stands.

        Raises:
            Unreadable: Arrays and their stand-ins are mixed up.
        """
        if target.__class__ is ArrayWrapper:
            return self._made_wrapper(target, arguments, offset)
        if target.__class__ is not Imported:
            self.suspect("calls something that it computed itself", "", offset)
            return OPAQUE
        name = target.name
        if self.wrapper and name not in _DATA_TYPES:
            # Nothing may get hold of a stand-in: what comes back could be one that nobody knows of.
            self.misused(self.wrapper, offset)
        if arguments.__class__ is not tuple and arguments is not OPAQUE_TUPLE:
            # A loader in Python takes a list or a dictionary as well, and what is in one is not followed.
            self.suspect("calls a name with arguments that are no plain tuple", str(name), offset)
        if name in _DATA_TYPES:
            self._data_types += 1
            if self._data_types > MAX_DATA_TYPES:
                raise OverLimit(f"it makes more than {MAX_DATA_TYPES:,} data types", offset)
            return data_type(arguments)
        if not target.free and not self._is_usual(name, arguments):
            self.suspect("calls a name with arguments that its writer never gives", str(name), offset)
        return OPAQUE

    def changed(self, target: Any, offset: int, items: list[Any] | None = None) -> None:
        """Something is set on a value, or added to it.

        Args:
            target: The value.
            offset: Where it stands.
            items: What is set, as key, value, key, value.
        """
        if target.__class__ is dict and items is not None:
            fill(target, items)
        elif target.__class__ is Imported or (target.__class__ is ArrayWrapper and not target.made):
            self.suspect("changes what it imported", str(target.name), offset)

    def given_state(self, target: Any, state: Any, offset: int) -> None:
        """A value is given a state.

        Raises:
            Unreadable: A stand-in for an array waits for its own.
        """
        self.changed(target, offset)
        if not self.wrapper or target.__class__ is DataType:
            return
        if target is not self.wrapper or state is not self._state:
            self.misused(self.wrapper, offset)

    def new_dict(self) -> Any:
        """A dictionary that begins while a stand-in for an array waits for its state."""
        made: dict[Any, Any] = {}
        if self.wrapper and self.wrapper.made and self._state is None:
            # Only this one is its state: whatever was reachable before could be changed unseen.
            self._state = made
        return made

    def opened(self, wrapper: ArrayWrapper, offset: int) -> None:
        """The class of stand-ins comes onto the stack, from where it must be made at once.

        Raises:
            Unreadable: It is an instance, or another one is not done with.
        """
        if wrapper.made or self.wrapper:
            self.misused(wrapper, offset)
        self.wrapper, self._state = wrapper, None

    def misused(self, wrapper: ArrayWrapper, offset: int) -> None:
        """A stand-in is used as joblib never does; it could lead past instructions.

        Raises:
            Unreadable: Always.
        """
        self.suspect("uses the stand-in for an array as its writer never does", str(wrapper.name), offset)
        raise Unreadable("an array of joblib stands where none can be", offset)

    def _made_wrapper(self, target: ArrayWrapper, arguments: Any, offset: int) -> ArrayWrapper:
        if target.made or self.wrapper is not target:
            self.misused(target, offset)
        if arguments != ():
            self.suspect("calls a name with arguments that its writer never gives", str(target.name), offset)
        self.wrapper = ArrayWrapper(target.name, made=True)
        return self.wrapper

    def _is_usual(self, name: Global, arguments: Any) -> bool:
        known = arguments if arguments.__class__ is tuple else ()
        if name in _NEVER_CALLED:
            return False
        if name in _SETTINGS:
            return arguments.__class__ is tuple and not known
        if name == _ENCODE:
            return len(known) == 2 and known[1] in (b"latin1", b"latin-1")
        if name in _UFUNCS:
            return self._is_ufunc(known)
        if name == _MEMORY:
            return known[:1] == (None,)
        if name in _TYPES:
            return known == (None,) or (len(known) == 1 and self._is_import(known[0]) and known[0].name in _NAMELESS)
        if name in _GETATTRS:
            # Of a value that was made, never of a name that was imported.
            return len(known) == 2 and known[0] is OPAQUE and known[1] in _LAZY_METHODS
        return bool(known) and self._is_import(known[0]) and known[0].name.module == _REBUILDERS

    def _is_import(self, value: Any) -> bool:
        return value.__class__ is Imported

    def _is_ufunc(self, arguments: tuple[Any, ...]) -> bool:
        if len(arguments) != 2 or not all(each.__class__ is bytes for each in arguments):
            return False
        return (
            arguments[0] in (b"numpy", b"numpy.core.umath", b"numpy.core._multiarray_umath")
            and arguments[1].isascii()
            and Global("numpy", arguments[1].decode("ascii")) in self.allowed
        )
