"""The lists of names that pickles may import: exact, and nothing in them runs what it is given."""

from __future__ import annotations

import builtins
import contextlib
import functools
import importlib
import io
import itertools
import operator
import os
import pickle
import re
import subprocess
import sys
import types
import warnings
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from typing import Any

import pytest

from airlock.domain.model_files import names_boosting, names_common, names_learning, names_torch, names_transformers
from airlock.domain.model_files.names import allowed_names, parse_names
from airlock.domain.model_files.pickle_policy import CALLED_ONLY, CHECKED, WRAPPERS
from airlock.domain.model_files.pickle_values import Global
from tests.unit.test_hostile_pickles import HOSTILE, called, codes, looked_at, text

ENGINES = ("Scikit_Learn", "XGBoost", "LightGBM", "CatBoost", "PyTorch", "Transformers", "TensorFlow")
LISTED = frozenset(name for engine in ENGINES for name in allowed_names(engine))
LISTS = tuple(
    text
    for module in (names_common, names_learning, names_boosting, names_torch, names_transformers)
    for text in (module.NAMES, getattr(module, "FREE", ""), getattr(module, "REFERRED", ""))
)

#: Modules that hand out processes, files, sockets, code, attributes or calls: none of their names is listed.
FORBIDDEN_MODULES = frozenset(
    """
    _ctypes _io _operator _pickle _posixsubprocess _thread ast asyncio atexit bdb cffi cloudpickle code codecs codeop
    commands concurrent ctypes dill distutils doctest ensurepip functools gc glob http imp importlib inspect io
    itertools linecache logging marshal mmap multiprocessing new nt operator os pathlib pdb pickle pip pkgutil
    platform popen2 posix posixpath profile pty pydoc requests runpy select setuptools shelve shutil signal site
    smtplib socket sqlite3 ssl string subprocess sys sysconfig tarfile tempfile test threading timeit trace
    traceback types typing unittest urllib urllib2 venv warnings weakref webbrowser xmlrpc yaml zipfile zipimport
    """.split()  # noqa: SIM905  # ninety names are read better so
)

#: Of the built-in names: plain types, constants, and what `pickle_policy` looks at.
PYTHON_NAMES = frozenset(
    """
    Ellipsis FutureWarning NotImplemented bool bytearray bytes complex dict float frozenset getattr int list long
    object range set slice str tuple type unicode xrange
    """.split()  # noqa: SIM905
)


def resolved(name: Global) -> Any:
    """The object, where the library is here."""
    with warnings.catch_warnings(), contextlib.suppress(ImportError):
        warnings.simplefilter("ignore")
        return getattr(importlib.import_module(name.module), name.name, None)
    return None


def test_names_are_exact_and_without_a_dot() -> None:
    for listed in LISTS:
        for name in parse_names(listed):
            assert name.name.isidentifier()
            assert all(part.isidentifier() for part in name.module.split("."))


def test_lists_hold_each_name_once_and_in_order() -> None:
    for listed in LISTS:
        modules = [line.partition(":")[0] for line in listed.splitlines() if not line.startswith(" ")]
        assert modules == sorted(set(modules)), listed[:200]
    # None stands in two of them: whether it may be called would depend on the order.
    assert sum(len(parse_names(listed)) for listed in LISTS) == len(frozenset().union(*map(parse_names, LISTS)))


def test_what_python_3_makes_of_an_old_name_is_on_the_list_too() -> None:
    for name in LISTED:
        new = NAME_MAPPING.get((name.module, name.name), (IMPORT_MAPPING.get(name.module, name.module), name.name))
        assert Global(*new) in LISTED, (name, new)


def test_no_module_that_hands_out_the_machine_is_listed() -> None:
    found = {str(name) for name in LISTED if name.module.split(".")[0] in FORBIDDEN_MODULES}
    # Looked at by `pickle_policy`.
    assert found == {"functools.partial"}
    # A library's own imports of such modules are names in it, too.
    assert {str(name) for name in LISTED if name.name in FORBIDDEN_MODULES} == set()


def test_of_pythons_own_names_only_types_and_constants_are_free() -> None:
    listed = {name.name for name in LISTED if name.module in ("builtins", "__builtin__")}
    assert listed == PYTHON_NAMES
    for name in listed - {"getattr", "type"}:
        found = getattr(builtins, name, None)
        # What is None is Python 2's: long, unicode and xrange.
        assert found is None or isinstance(found, type) or found in (Ellipsis, NotImplemented)
    for name in ("getattr", "type"):
        assert {Global("builtins", name), Global("__builtin__", name)} <= CALLED_ONLY


def test_no_listed_name_is_one_that_is_known_for_attacks() -> None:
    assert {name for name in HOSTILE if Global(*name.rpartition(".")[::2]) in LISTED - CHECKED} == set()


def test_no_listed_name_runs_what_it_is_given() -> None:
    words = (
        "exec", "eval", "import", "load", "open", "system", "partial", "memory", "memmap", "getattr", "setattr", "jit",
        "compile", "callback", "apply", "vectorize", "fromfile", "from_file", "caller", "thread", "process", "command",
        "shell", "script", "socket", "file", "path", "url", "lambda", "hook", "trace",
    )  # fmt: skip
    harmless = re.compile("gaussianprocess|vectorizer|evaluationstrategy")
    found = {str(name) for name in LISTED if any(word in harmless.sub("", name.name.lower()) for word in words)}
    assert found == {
        # Looked at by `pickle_policy`.
        "__builtin__.getattr",
        "builtins.getattr",
        "functools.partial",
        "accelerate.state.PartialState",
        "sklearn.externals.joblib.memory.Memory",
        "torch.ScriptObject",
        # Keep settings or numbers, and call nothing when they are made.
        "torch.nn.modules.module._WrappedHook",
        "torch.nn.utils.spectral_norm.SpectralNormLoadStateDictPreHook",
        "torch.nn.utils.spectral_norm.SpectralNormStateDictHook",
    }


def test_no_listed_name_of_a_library_at_hand_is_a_door_to_another_one() -> None:
    doors = {
        id(each)
        for module in (os, subprocess, importlib, functools, operator, itertools, io, pickle, sys, types)
        for each in vars(module).values()
        if callable(each)
    } - {id(each) for each in vars(builtins).values() if each is not builtins.open}
    doors |= {
        id(getattr(builtins, name)) for name in ("eval", "exec", "compile", "open", "__import__", "setattr", "map")
    }
    seen = 0
    for name in LISTED - CALLED_ONLY:
        found = resolved(name)
        if found is None:
            continue
        seen += 1
        assert not isinstance(found, types.ModuleType), name
        assert id(found) not in doors, name
    assert seen > 150


# ── names that are only called, with arguments of one form ───────────────────────────────────────────────────────────

OBJECT = b"ccollections\nOrderedDict\n)R"


def test_every_name_with_a_rule_of_its_own_is_listed() -> None:
    assert CHECKED | WRAPPERS <= LISTED


@pytest.mark.parametrize("name", sorted(map(str, CALLED_ONLY)))
def test_a_name_that_is_only_called_is_handed_to_nothing(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    code = f"c{module}\n{attribute}\n".encode()
    for arguments in (code + b"\x85", b"N" + code + b"\x86", b"NN" + code + b"\x87", b"(" + code + b"NNNNt"):
        found = looked_at(b"\x80\x02ccollections\ndefaultdict\n" + arguments + b"R.", "model/net.pt", "TensorFlow")
        assert [item.code for item in found] == ["MDL001"], found
    nested = b"\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n" + code + b"NNN(tR."
    assert codes(nested, "model/net.pt", "TensorFlow") != []
    assert codes(called(module, attribute, text("posix"), text("system")), "model/net.pt", "TensorFlow") == ["MDL001"]


def torch_codes(data: bytes) -> list[str]:
    return codes(data, "model/net.pth", "PyTorch")


@pytest.mark.parametrize("module", ["builtins", "__builtin__"])
def test_a_layer_may_keep_the_two_methods_that_give_it_its_sizes(module: str) -> None:
    for method in ("_infer_parameters", "_lazy_load_hook"):
        assert torch_codes(called(module, "getattr", OBJECT, text(method))) == []
    for arguments in (
        (OBJECT, text("__class__")),
        (OBJECT, text("dump")),
        (b"ctorch.nn.modules.linear\nLinear\n", text("_infer_parameters")),
        (OBJECT, text("_infer_parameters"), b"N"),
        (OBJECT,),
    ):
        assert torch_codes(called(module, "getattr", *arguments)) == ["MDL001"]
    # What comes back is never called by the pickle itself.
    method = called(module, "getattr", OBJECT, text("_infer_parameters"))[:-1]
    assert torch_codes(method + b")R.") == ["MDL001"]
    assert "MDL001" in codes(called(module, "getattr", OBJECT, text("_infer_parameters")))


@pytest.mark.parametrize(
    "name",
    [
        "accelerate.state.PartialState",
        "transformers.trainer_pt_utils.AcceleratorConfig",
        "transformers.training_args.TrainingArguments",
        "transformers.training_args_seq2seq.Seq2SeqTrainingArguments",
    ],
)
def test_the_trainers_settings_are_made_without_arguments_alone(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    imported = f"c{module}\n{attribute}\n".encode()
    for engine in ("Transformers", "PyTorch"):
        # NEWOBJ and a state, as the library's own files have it.
        made = b"\x80\x02" + imported + b")\x81}X\x01\x00\x00\x00aK\x01sb."
        assert codes(made, "model/bert/training_args.bin", engine) == []
        for argument in (text("out"), b"K\x01", b"}"):
            found = codes(called(module, attribute, argument), "model/bert/training_args.bin", engine)
            assert found == ["MDL001"]


@pytest.mark.parametrize("module", ["builtins", "__builtin__"])
def test_the_types_without_a_name_are_let_through(module: str) -> None:
    for argument in (b"N", f"c{module}\nEllipsis\n".encode(), f"c{module}\nNotImplemented\n".encode()):
        assert codes(called(module, "type", argument)) == []
    for arguments in (
        (text("a"), b")", b"}"),
        (text("a"),),
        (b"cnumpy\nndarray\n",),
        (b"N", b"N"),
        (OBJECT,),
    ):
        assert codes(called(module, "type", *arguments)) == ["MDL001"]
    assert codes(called(module, "type", b"N")[:-1] + b")R.") == ["MDL001"]


def test_what_rebuilds_a_tensor_is_pytorchs_own() -> None:
    for target, expected in (("torch._utils\n_rebuild_tensor_v2", []), ("numpy\nmax", ["MDL001"])):
        arguments = (f"c{target}\n".encode(), b"ctorch.nn.parameter\nParameter\n", b")", b"}")
        assert torch_codes(called("torch._tensor", "_rebuild_from_type_v2", *arguments)) == expected


def test_what_calls_a_method_of_its_argument_is_kept_and_never_called() -> None:
    for module in ("sklearn.metrics.scorer", "sklearn.metrics._scorer"):
        assert codes(b"\x80\x02c" + module.encode() + b"\n_passthrough_scorer\n.") == []
        assert codes(called(module, "_passthrough_scorer", OBJECT)) == ["MDL001"]
