"""Which names a pickle may call, and with what: no more than their writers do.

A name that has no rule here is a class, and is called without arguments: its state comes afterwards. Names of functions
that writers only refer to are never called (`REFERRED` in the lists). Found in pickles of every kind, and in what the
libraries return from `__reduce__`. Arguments that are not spelled out may be anything at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from airlock.domain.model_files import names_common, names_learning, names_torch
from airlock.domain.model_files.names import parse_names
from airlock.domain.model_files.pickle_keys import ACTED_ON
from airlock.domain.model_files.pickle_values import (
    COMPUTED,
    FORGOTTEN,
    OPAQUE,
    PLAIN_DICT,
    RECALLED,
    DataType,
    Global,
    Imported,
    Keywords,
    Made,
)

Rule = Callable[[tuple[Any, ...]], bool]

_PYTHON: Final = ("builtins", "__builtin__")
_REBUILDERS: Final = "torch._utils"
_ENCODE: Final = Global("_codecs", "encode")
_SCALARS: Final = parse_names("numpy.core.multiarray: scalar\nnumpy._core.multiarray: scalar")
# With a state it would have a folder, which holds further pickles.
_CACHE: Final = Global("sklearn.externals.joblib.memory", "Memory")
# They give back their first argument.
_SAME: Final = parse_names(
    "torch.jit._pickle: build_boollist build_doublelist build_intlist build_tensorlist restore_type_tag"
)
# The types of None, NotImplemented and Ellipsis have no name to import.
_NAMELESS: Final = frozenset(Global(module, name) for module in _PYTHON for name in ("NotImplemented", "Ellipsis"))
# Layers of PyTorch that wait for their sizes keep methods of their own, and so do schedules.
_OWN_METHODS: Final = frozenset({
    b"_annealing_cos",
    b"_annealing_linear",
    b"_exp_range_scale_fn",
    b"_infer_parameters",
    b"_lazy_load_hook",
    b"_triangular2_scale_fn",
    b"_triangular_scale_fn",
})
_LATIN: Final = frozenset({b"latin1", b"latin-1"})
_UFUNC_MODULES: Final = frozenset({b"numpy", b"numpy.core.umath", b"numpy.core._multiarray_umath"})
#: Keeps a class to make, and arguments for it.
PARTIAL: Final = Global("functools", "partial")
# What it may keep, and the arguments that it may name. A constructor stands here if all that it does with these is to
# keep them, as a state could set them: whoever calls it gets no more than a value that was made and given such a state.
_KEPT: Final[dict[Global, frozenset[bytes]]] = {
    Global("torch.nn.modules.normalization", "LayerNorm"): frozenset({b"eps"}),
}
#: Texts that rules ask for.
SPELLED: Final = _OWN_METHODS | _LATIN | _UFUNC_MODULES | frozenset().union(*_KEPT.values())
_ARRAYS: Final = parse_names("""\
numpy: matrix ndarray recarray
numpy.ma: MaskedArray
numpy.ma.core: MaskedArray
numpy.rec: recarray
""")
_BIT_GENERATORS: Final = parse_names("numpy.random._pickle: __bit_generator_ctor")
_SCHEDULES: Final = parse_names("torch.optim.lr_scheduler: CyclicLR OneCycleLR")
#: Kinds of NumPy's numbers and times.
_NUMBERS: Final = frozenset("?bBhHiIlLqQefdgFDGucmM")
_RATIO: Final = re.compile(rb"-?[0-9]+(?:/[0-9]+)?")

#: Never called: functions, and what only stands for a class.
REFERRED: Final = frozenset().union(
    *(parse_names(each.REFERRED) for each in (names_common, names_learning, names_torch))
)
#: Types in C that take nothing but numbers, texts and their own kind, and look no further into an argument.
_FREE: Final = parse_names(names_common.FREE) | parse_names(names_learning.FREE) | parse_names(names_torch.FREE)


def is_free(name: Global) -> bool:
    """Whether a name may be called with any arguments."""
    return name in _FREE or is_torchscript(name)


def is_torchscript(name: Global) -> bool:
    """Whether a name is a class of TorchScript's own, which is no Python."""
    return name.module.partition(".")[0] == "__torch__"


def is_bare(name: Global) -> bool:
    """Whether a name may be called without arguments, whatever else it may be called with."""
    return name not in REFERRED and RULES.get(name, _bare)(())


def is_usual(name: Global, arguments: Any) -> bool:
    """Whether a name's writers call it like this.

    Args:
        name: The name.
        arguments: A tuple, or what is not known of it.
    """
    return name not in REFERRED and arguments.__class__ is tuple and RULES.get(name, _bare)(arguments)


def result(name: Global, arguments: Any) -> Any:
    """What a call gives, where it is more than a new value."""
    known = arguments if arguments.__class__ is tuple else ()
    if name in _SCALARS:
        # Python 2 has a text for bytes, too.
        return OPAQUE if known and known[0].__class__ is DataType and known[0].kind in _NUMBERS else COMPUTED
    if name == _ENCODE:
        return COMPUTED if not known or known[0] in (COMPUTED, FORGOTTEN) or known[0] in ACTED_ON else OPAQUE
    if name in _SAME or name == _CACHE:
        # It takes no state from here on.
        return RECALLED
    return None


def is_partial_state(state: Any) -> bool:
    """Whether a `functools.partial` is given a class that it may keep, and no arguments but harmless ones by name.

    A dictionary as state it refuses itself.

    Source: `partial.__reduce__` of CPython, 2.7 to 3.14: function, arguments, arguments by name, its own attributes.
    """
    if state.__class__ is not tuple or len(state) != 4 or not _kept(state[0]):
        return False
    _, arguments, keywords, attributes = state
    if arguments != () or attributes is not None:
        return False
    return keywords is None or (
        keywords.__class__ is Keywords and keywords.simple and keywords.names <= _KEPT[state[0].name]
    )


# ── rules ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _bare(arguments: tuple[Any, ...]) -> bool:
    return arguments == ()


def _class(value: Any) -> bool:
    """Whether a value is an imported class that may be made without arguments."""
    return value.__class__ is Imported and value.bare


def _class_of(library: str, value: Any) -> bool:
    return _class(value) and value.name.module.partition(".")[0] == library


def _imported(value: Any, names: frozenset[Global]) -> bool:
    return value.__class__ is Imported and value.name in names


def _kept(value: Any) -> bool:
    return value.__class__ is Imported and value.name in _KEPT


def _small(value: Any) -> bool:
    return value is None or value.__class__ in (int, bool)


def _encode(arguments: tuple[Any, ...]) -> bool:
    return len(arguments) == 2 and arguments[1] in _LATIN


def _memory(arguments: tuple[Any, ...]) -> bool:
    return arguments[:1] == (None,)


def _type(arguments: tuple[Any, ...]) -> bool:
    return arguments == (None,) or (len(arguments) == 1 and _imported(arguments[0], _NAMELESS))


def _getattr(arguments: tuple[Any, ...]) -> bool:
    # Of a value that was made, never of a name that was imported but for two of a schedule's, which need no value.
    if len(arguments) == 2 and _imported(arguments[0], _SCHEDULES):
        return arguments[1] in _OWN_METHODS
    return len(arguments) == 2 and _is_value(arguments[0]) and arguments[1] in _OWN_METHODS


def _is_value(value: Any) -> bool:
    return value.__class__ is Made or value in (OPAQUE, RECALLED)


def _ufunc(arguments: tuple[Any, ...]) -> bool:
    if len(arguments) != 2 or not all(each.__class__ is bytes for each in arguments):
        return False
    return (
        arguments[0] in _UFUNC_MODULES
        and arguments[1].isascii()
        and Global("numpy", arguments[1].decode("ascii")) in REFERRED
    )


def _rebuilt_from_type(arguments: tuple[Any, ...]) -> bool:
    # It calls the first one, and sets attributes from the last one.
    return (
        len(arguments) == 4
        and arguments[0].__class__ is Imported
        and arguments[0].name.module == _REBUILDERS
        and arguments[1].__class__ is Imported
        and _is_state(arguments[3])
    )


def _rebuilt_with_state(arguments: tuple[Any, ...]) -> bool:
    return len(arguments) == 4 and _is_state(arguments[3])


def _is_state(value: Any) -> bool:
    if value.__class__ is tuple:
        return all(each in (None, PLAIN_DICT) for each in value)
    return value is None or value is PLAIN_DICT


def _reconstructor(arguments: tuple[Any, ...]) -> bool:
    # Of protocols 0 and 1: the class, its basic type, and the basic type's own value.
    if len(arguments) != 3 or not _class(arguments[0]) or arguments[1].__class__ is not Imported:
        return False
    base, value = arguments[1].name, arguments[2]
    if base.module not in _PYTHON:
        return False
    return {
        "object": value is None,
        "dict": value is PLAIN_DICT,
        "list": value is OPAQUE,
        "tuple": value.__class__ is tuple,
    }.get(base.name, False)


def _array(arguments: tuple[Any, ...]) -> bool:
    # NumPy makes an empty array of bytes, and gives it its state.
    return len(arguments) == 3 and _imported(arguments[0], _ARRAYS) and arguments[1] == (0,)


def _masked_array(arguments: tuple[Any, ...]) -> bool:
    return (
        len(arguments) == 4
        and _imported(arguments[0], _ARRAYS)
        and _imported(arguments[1], _ARRAYS)
        and arguments[2] == (0,)
    )


def _scalar(arguments: tuple[Any, ...]) -> bool:
    # Of objects it gives back what it is given.
    return 0 < len(arguments) <= 2 and arguments[0].__class__ is DataType and not arguments[0].objects


def _buffer(arguments: tuple[Any, ...]) -> bool:
    return len(arguments) == 4 and arguments[1].__class__ is DataType and not arguments[1].objects


def _bit_generator(arguments: tuple[Any, ...]) -> bool:
    return not arguments or (
        len(arguments) == 1 and (arguments[0].__class__ is bytes or _class_of("numpy", arguments[0]))
    )


def _random_state(arguments: tuple[Any, ...]) -> bool:
    # Both call the second one with the first one, where that is no generator yet.
    if len(arguments) == 2 and not _imported(arguments[1], _BIT_GENERATORS):
        return False
    return len(arguments) <= 2 and all(each.__class__ in (bytes, Made) or each is RECALLED for each in arguments[:1])


def _bytes_of(arguments: tuple[Any, ...]) -> bool:
    # A number would be a length.
    if len(arguments) == 2:
        return _is_text(arguments[0]) and arguments[1] in _LATIN
    return not arguments or (len(arguments) == 1 and _is_text(arguments[0]))


def _is_text(value: Any) -> bool:
    return value.__class__ is bytes or value in (OPAQUE, RECALLED, COMPUTED, FORGOTTEN)


def _items(arguments: tuple[Any, ...]) -> bool:
    return not arguments or (len(arguments) == 1 and arguments[0] in (OPAQUE, RECALLED))


def _counter(arguments: tuple[Any, ...]) -> bool:
    return not arguments or (len(arguments) == 1 and arguments[0] in (PLAIN_DICT, COMPUTED))


def _factory(arguments: tuple[Any, ...]) -> bool:
    return not arguments or (len(arguments) == 1 and (arguments[0] is None or _class(arguments[0])))


def _deque(arguments: tuple[Any, ...]) -> bool:
    return len(arguments) <= 2 and arguments[:1] in ((), ((),), (OPAQUE,)) and all(map(_small, arguments[1:]))


def _fraction(arguments: tuple[Any, ...]) -> bool:
    # An exponent would make a number of any length.
    if len(arguments) == 1:
        return arguments[0].__class__ is bytes and _RATIO.fullmatch(arguments[0]) is not None
    return len(arguments) == 2


def _new_of(arguments: tuple[Any, ...]) -> bool:
    return len(arguments) == 1 and _class(arguments[0])


def _unpickled(arguments: tuple[Any, ...]) -> bool:
    return len(arguments) == 3 and _class(arguments[0]) and arguments[1].__class__ is int


def _index(arguments: tuple[Any, ...]) -> bool:
    # It calls the class with what the dictionary holds, by name.
    return len(arguments) == 2 and _class_of("pandas", arguments[0]) and arguments[1] is PLAIN_DICT


def _step(arguments: tuple[Any, ...]) -> bool:
    # How many hours or days, and whether midnight counts.
    return len(arguments) <= 2 and all(map(_small, arguments))


def _partial(arguments: tuple[Any, ...]) -> bool:
    # Its state comes afterwards, and says all of it again.
    return len(arguments) == 1 and _kept(arguments[0])


def _timestamp(arguments: tuple[Any, ...]) -> bool:
    # A time zone that is a text would be read from a file.
    return (
        3 <= len(arguments) <= 4 and arguments[2].__class__ is not bytes and arguments[2] not in (COMPUTED, FORGOTTEN)
    )


def _one(arguments: tuple[Any, ...]) -> bool:
    return len(arguments) == 1


_RULES_OF: Final[dict[Rule, str]] = {
    _encode: "_codecs: encode",
    _memory: "sklearn.externals.joblib.memory: Memory",
    _type: "builtins: type\n__builtin__: type",
    _getattr: "builtins: getattr\n__builtin__: getattr",
    _ufunc: "numpy.core: _ufunc_reconstruct\nnumpy._core: _ufunc_reconstruct",
    _rebuilt_from_type: "torch._tensor: _rebuild_from_type_v2",
    _rebuilt_with_state: "torch._utils: _rebuild_parameter_with_state",
    _reconstructor: "copyreg: _reconstructor\ncopy_reg: _reconstructor",
    _array: "numpy.core.multiarray: _reconstruct\nnumpy._core.multiarray: _reconstruct",
    _masked_array: "numpy.ma.core: _mareconstruct",
    _scalar: "numpy.core.multiarray: scalar\nnumpy._core.multiarray: scalar",
    _buffer: "numpy.core.numeric: _frombuffer\nnumpy._core.numeric: _frombuffer",
    _bit_generator: "numpy.random._pickle: __bit_generator_ctor",
    _random_state: """\
numpy.random: __RandomState_ctor
numpy.random._pickle: __generator_ctor __randomstate_ctor
""",
    _bytes_of: "builtins: bytearray\n__builtin__: bytearray",
    _items: "builtins: frozenset set\n__builtin__: frozenset set\ncollections: OrderedDict",
    _counter: "collections: Counter",
    _factory: "collections: defaultdict",
    _deque: "collections: deque",
    _fraction: "fractions: Fraction",
    _new_of: """\
sklearn.metrics._dist_metrics: newObj
sklearn.neighbors._ball_tree: newObj
sklearn.neighbors._dist_metrics: newObj
sklearn.neighbors._kd_tree: newObj
sklearn.neighbors.ball_tree: newObj
sklearn.neighbors.dist_metrics: newObj
sklearn.neighbors.kd_tree: newObj
""",
    _unpickled: """\
numpy.random.bit_generator: __pyx_unpickle_SeedSequence
pandas._libs.arrays: __pyx_unpickle_NDArrayBacked
sklearn._loss._loss: __pyx_unpickle_CyAbsoluteError __pyx_unpickle_CyHalfBinomialLoss __pyx_unpickle_CyHalfGammaLoss
  __pyx_unpickle_CyHalfMultinomialLoss __pyx_unpickle_CyHalfPoissonLoss __pyx_unpickle_CyHalfSquaredError
  __pyx_unpickle_CyHalfTweedieLossIdentity __pyx_unpickle_CyPinballLoss
""",
    _index: """\
pandas.core.indexes.base: _new_Index
pandas.core.indexes.datetimes: _new_DatetimeIndex
pandas.core.indexes.interval: _new_IntervalIndex
pandas.core.indexes.timedeltas: _new_TimedeltaIndex
""",
    _step: """\
pandas._libs.tslibs.offsets: Day Hour Micro Milli Minute Nano Second
pandas.tseries.offsets: Day Hour Micro Milli Minute Nano Second
""",
    _partial: "functools: partial",
    _timestamp: "pandas._libs.tslibs.timestamps: _unpickle_timestamp",
    _one: """\
accelerate.utils.dataclasses: DistributedType
torch.serialization: _get_layout
transformers.debug_utils: DebugOption
transformers.trainer_utils: EvaluationStrategy FSDPOption HubStrategy IntervalStrategy SaveStrategy SchedulerType
  ShardedDDPOption
transformers.training_args: OptimizerNames
""",
}
RULES: Final[dict[Global, Rule]] = {name: rule for rule, text in _RULES_OF.items() for name in parse_names(text)}
