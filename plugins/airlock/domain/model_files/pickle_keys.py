"""Names of attributes that Python or a library acts on: a state that gives one makes a value what it is not.

With `__array_interface__` any value is an array at an address of the file's choice; with `__class__` it is of another
class. No writer of models gives one of them in the state of a value. As keys of other dictionaries most are words like
any others: models of source code know `__init__`.
"""

from __future__ import annotations

from typing import Any, Final

from airlock.domain.model_files.pickle_values import COMPUTED, FORGOTTEN


def _dunder(words: str) -> frozenset[bytes]:
    return frozenset(f"__{word}__".encode() for word in words.split())


#: Those that turn a value into memory: of no use as a word, and found through a value's own dictionaries, too.
INTERFACES: Final = _dunder("""
    array array_finalize array_function array_interface array_namespace array_prepare array_priority array_struct
    array_ufunc array_wrap arrow_array arrow_c_array arrow_c_schema arrow_c_stream buffer cuda_array_interface
    dataframe dlpack dlpack_device hip_array_interface release_buffer sycl_usm_array_interface torch_function
""")
#: All that no state may give.
ACTED_ON: Final = INTERFACES | _dunder("""
    abs abstractmethods add aenter aexit aiter all and anext annotations await base bases basicsize bool builtins bytes
    cached call ceil class class_getitem closure cmp code coerce complex contains context copy debug deepcopy defaults
    del delattr delete delitem delslice dict dictoffset dir div divmod doc enter eq exit file flags float floor floordiv
    format fspath func ge get getattr getattribute getformat getinitargs getitem getnewargs getnewargs_ex getslice
    getstate globals gt hash hex iadd iand idiv idivmod ifloordiv ilshift imatmul imod import imul index init
    init_subclass instancecheck int interface invert ior ipow irshift isub itemsize iter iterator itruediv ixor
    kwdefaults le len length_hint loader long lshift lt main matmul metaclass missing mod module mro mro_entries mul
    name ne neg new next nonzero objclass oct or orig_bases package path pos post_init pow prepare qualname radd rand
    rdiv rdivmod reduce reduce_ex repr reversed rfloordiv rlshift rmatmul rmod rmul root ror round rpow rrshift rshift
    rsub rtruediv rxor self set set_name setattr setformat setitem setslice setstate signature sizeof sklearn_clone
    sklearn_is_fitted sklearn_tags slots spec str sub subclasscheck subclasses subclasshook text_signature truediv trunc
    type_params unicode version weakref weakrefoffset wrapped xor
""")
_UNPLAIN: Final = ACTED_ON | {COMPUTED, FORGOTTEN}


def is_plain(keys: list[Any]) -> bool:
    """Whether keys are spelled out, where they are text, and none is an attribute that is acted on."""
    try:
        return _UNPLAIN.isdisjoint(keys)
    except TypeError:
        return not any(key in (COMPUTED, FORGOTTEN) or (key.__class__ is bytes and key in ACTED_ON) for key in keys)


def interface(keys: list[Any]) -> str:
    """The first key that turns a value into memory; empty where none does."""
    return next((key.decode() for key in keys if key.__class__ is bytes and key in INTERFACES), "")
