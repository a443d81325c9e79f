"""What a pickle may do: which names it may import, what it may call with what, and what it may change.

The names are compared with an exact list. Calls are only let through where the callable is an imported name itself;
what a pickle calls after computing it is refused, whatever it is.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from airlock.domain.model_files.names import parse_names
from airlock.domain.model_files.pickle_calls import (
    PARTIAL,
    REFERRED,
    RULES,
    is_bare,
    is_free,
    is_partial_state,
    is_torchscript,
    is_usual,
    result,
)
from airlock.domain.model_files.pickle_keys import interface, is_plain
from airlock.domain.model_files.pickle_limits import MAX_DATA_TYPES, MAX_NAMES, MAX_SUSPICIONS
from airlock.domain.model_files.pickle_values import (
    COMPUTED,
    FORGOTTEN,
    OPAQUE,
    OPAQUE_TUPLE,
    PLAIN_DICT,
    RECALLED,
    ArrayWrapper,
    DataType,
    Global,
    Imported,
    Keywords,
    Made,
    data_type,
    fill,
)
from airlock.domain.model_files.streams import OverLimit, Unreadable

#: joblib's stand-in for an array whose bytes follow in the file.
WRAPPERS: Final = frozenset(
    Global(module, "NumpyArrayWrapper") for module in ("joblib.numpy_pickle", "sklearn.externals.joblib.numpy_pickle")
)
_DATA_TYPES: Final = frozenset({Global("numpy", "dtype")})
#: Names that are only called, and never handed on to something that could call them with other arguments.
CALLED_ONLY: Final = parse_names("""\
__builtin__: getattr type
_codecs: encode
accelerate.state: PartialState
builtins: getattr type
functools: partial
numpy._core: _ufunc_reconstruct
numpy.core: _ufunc_reconstruct
sklearn.externals.joblib.memory: Memory
torch._tensor: _rebuild_from_type_v2
transformers.trainer_pt_utils: AcceleratorConfig
transformers.training_args: TrainingArguments
transformers.training_args_seq2seq: Seq2SeqTrainingArguments
""")
#: Names whose arguments are looked at.
CHECKED: Final = CALLED_ONLY | _DATA_TYPES | REFERRED | frozenset(RULES)
_SCRIPT_OBJECT: Final = Global("torch", "ScriptObject")
_PACKED: Final = frozenset(
    (f"__torch__.torch.classes.{name}".encode(),)
    for name in (
        "quantized.Conv2dPackedParamsBase",
        "quantized.Conv3dPackedParamsBase",
        "quantized.EmbeddingPackedParamsBase",
        "quantized.LinearPackedParamsBase",
        "rnn.CellParamsBase",
    )
)
# States, and halves of states, that set no more than they spell out.
_HARMLESS: Final = (PLAIN_DICT, OPAQUE)
_PLAIN_TYPES: Final = (bytes, int, bool, type(None))
_BUNCHES: Final = parse_names("sklearn.utils: Bunch\nsklearn.utils._bunch: Bunch")
# They read their state themselves, and it is a pair or another object.
_STATED: Final = parse_names("""\
numpy.random._pickle: __bit_generator_ctor
pandas._libs.arrays: __pyx_unpickle_NDArrayBacked
""")


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
        partial: Whether a `functools.partial` waits for its state.
    """

    def __init__(self, allowed: Collection[Global], reading: Reading) -> None:
        self.allowed = allowed
        self.reading = reading
        self.wrapper: ArrayWrapper | None = None
        self.partial = False
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
            ArrayWrapper(found)
            if found in WRAPPERS
            else Imported(
                found,
                # What may not be imported is refused already.
                free=found not in self.allowed or is_free(found),
                bare=found not in self.allowed or (found not in _DATA_TYPES and is_bare(found)),
                called_only=found in CALLED_ONLY,
                made=Made(found),
            )
        )
        return self._known[found]

    def imported_unknown(self, offset: int) -> Imported:
        """What an import of a name gives that the pickle does not spell out."""
        self.suspect("imports a name that it computes", "", offset)
        unknown = Global("?", "?")
        return Imported(unknown, free=True, bare=True, called_only=False, made=Made(unknown))

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
            return OPAQUE
        if name in _DATA_TYPES:
            self._data_types += 1
            if self._data_types > MAX_DATA_TYPES:
                raise OverLimit(f"it makes more than {MAX_DATA_TYPES:,} data types", offset)
            kind = data_type(arguments)
            if not kind.kind:
                self.suspect("calls a name with arguments that its writer never gives", str(name), offset)
            return kind
        if not target.free and not is_usual(name, arguments):
            what = (
                "that its writer only refers to" if name in REFERRED else "with arguments that its writer never gives"
            )
            self.suspect(f"calls a name {what}", str(name), offset)
        if name == PARTIAL:
            self.partial = True
        return result(name, arguments) or target.made

    def changed(self, target: Any, offset: int, items: list[Any] | None = None) -> None:
        """Something is set on a value, or added to it.

        Args:
            target: The value.
            offset: Where it stands.
            items: What is set, as key, value, key, value.
        """
        if target.__class__ is Imported or (target.__class__ is ArrayWrapper and not target.made):
            self.suspect("changes what it imported", str(target.name), offset)
        elif target.__class__ is dict and items is not None:
            fill(target, items)
        elif target.__class__ is Keywords and items is not None:
            target.add(items)
        if items and not is_plain(items[::2]):
            self.filled(items[::2], offset)
            # In a bunch of scikit-learn's an item is an attribute.
            if target.__class__ is Made and target.name in _BUNCHES:
                self.suspect("gives an attribute that its writer never gives", "", offset)
        if items and target in (RECALLED, FORGOTTEN):
            # It may be a state, or the fields of a data type, that is at hand under another name.
            self.suspect("changes what it remembered", "", offset)

    def filled(self, keys: list[Any], offset: int) -> Any:
        """What becomes of a dictionary with keys that are no plain ones: words in it, and no attributes.

        Args:
            keys: What is set in it.
            offset: Where it stands.
        """
        if found := interface(keys):
            self.suspect("makes an array of memory that is not its own", found, offset)
        return COMPUTED

    def fields(self, items: list[Any]) -> Any:
        """The fields of a data type, given as key, value, key, value: what they weigh is looked at."""
        made: dict[Any, Any] = {}
        fill(made, items)
        return made

    def given_state(self, target: Any, state: Any, offset: int) -> None:
        """A value is given a state.

        Raises:
            Unreadable: A stand-in for an array waits for its own.
        """
        self.changed(target, offset)
        if target.__class__ is DataType or target.__class__ is ArrayWrapper:
            pass
        elif not self._is_state(target, state):
            self.suspect("gives a state that its writer never gives", str(getattr(target, "name", "")), offset)
        if not self.wrapper or target.__class__ is DataType:
            return
        if target is not self.wrapper or state is not self._state:
            self.misused(self.wrapper, offset)

    def _is_state(self, target: Any, state: Any) -> bool:
        """Whether a state sets no attribute but those that it spells out, or is read by the class itself."""
        if target in (RECALLED, FORGOTTEN):
            # No writer comes back to a value.
            return False
        if target.__class__ is Made and target.name == PARTIAL:
            self.partial = False
            return is_partial_state(state)
        if state in _HARMLESS or state.__class__ in _PLAIN_TYPES:
            # What is no dictionary sets nothing.
            return True
        if target.__class__ is Made and (target.name in _STATED or is_torchscript(target.name)):
            return True
        if target.__class__ is Made and target.name == _SCRIPT_OBJECT:
            # It makes a class of PyTorch's own in C++, by its name.
            return state.__class__ is tuple and state[1:] in _PACKED
        # Of a pair both are dictionaries, where the class does not read it itself.
        return state.__class__ is tuple and (
            len(state) != 2 or all(each in _HARMLESS or each.__class__ in _PLAIN_TYPES for each in state)
        )

    def new_dict(self) -> Any:
        """A dictionary that begins while a stand-in for an array, or a partial, waits for its state."""
        if not self.wrapper:
            return Keywords(set())
        made: dict[Any, Any] = {}
        if self.wrapper.made and self._state is None:
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
