"""What pickles do with allowed names alone: calls and states that no writer gives are refused, and writers' are not."""

from __future__ import annotations

import argparse
import collections
import datetime
import decimal
import fractions
import pickle
import struct
import uuid
from typing import Any

import numpy
import pandas
import pytest

from airlock.domain.model_files.names import allowed_names
from airlock.domain.model_files.pickle_calls import REFERRED, RULES
from airlock.domain.model_files.pickle_keys import ACTED_ON, INTERFACES
from airlock.domain.model_files.pickle_policy import CHECKED
from airlock.domain.model_files.pickle_values import Global
from tests.unit.given import archive
from tests.unit.test_hostile_pickles import called, codes, text


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def numbered(value: int) -> bytes:
    return f"L{value}L\n".encode()


OBJECT = name("argparse", "Namespace") + b")R"
MEMORY = (
    b"}" + text("data") + numbered(0x4141414141) + b"\x89\x86s" + text("typestr") + text("<u8") + b"s"
    + text("shape") + b")s" + text("version") + b"K\x03s"
)  # fmt: skip
FAKE_ARRAY = OBJECT + b"}" + text("__array_interface__") + MEMORY + b"sb"
CACHE = name("sklearn.externals.joblib.memory", "Memory")
#: The text `__array_interface__`, which the pickle does not spell out.
COMPUTED = (
    name("numpy.core.multiarray", "scalar") + name("numpy", "dtype") + text("U19") + b"\x89\x88\x87R"
    + b"(K\x03" + text("<") + b"NNNK\x4cK\x04K\x08tb"
    + b"C\x4c" + "__array_interface__".encode("utf-32-le") + b"\x86R"
)  # fmt: skip
LAYER = name("torch.nn.modules.normalization", "LayerNorm")
PARTIAL = name("functools", "partial")
EPS = text("eps") + b"G\x3e\xb0\xc6\xf7\xa0\xb5\xed\x8d"


def kept(state: bytes, made: bytes = PARTIAL + LAYER + b"\x85R") -> bytes:
    """A partial that is given a state of four parts."""
    return b"\x80\x02" + made + b"(" + state + b"tb."


FIELDS = b"}" + text("a") + name("numpy", "dtype") + text("O8") + b"\x89\x88\x87RK\x00\x86s"


#: Each would keep something else to call, or arguments that its caller could not see.
PARTIALS = {
    "another function in its state": kept(name("numpy", "array") + b")}" + EPS + b"sN"),
    "another class in its state": kept(name("torch.nn.modules.linear", "Linear") + b")}" + EPS + b"sN"),
    "another function": kept(LAYER + b")}" + EPS + b"sN", PARTIAL + name("numpy", "array") + b"\x85R"),
    "a function of another library": kept(
        name("sklearn.metrics._regression", "max_error") + b")NN",
        PARTIAL + name("sklearn.metrics._regression", "max_error") + b"\x85R",
    ),
    "itself": kept(LAYER + b")NN", PARTIAL + PARTIAL + b"\x85R"),
    "another partial": kept(LAYER + b")NN", PARTIAL + PARTIAL + LAYER + b"\x85R\x85R"),
    "something made": kept(LAYER + b")NN", PARTIAL + OBJECT + b"\x85R"),
    "a function from memory": kept(OBJECT + b"q\x000h\x00)NN"),
    "arguments at once": b"\x80\x02" + PARTIAL + LAYER + b"K\x05\x86R.",
    "arguments by name at once": b"\x80\x04" + PARTIAL + LAYER + b"\x85}" + text("device") + b"Ns\x92.",
    "arguments": kept(LAYER + b"K\x05\x85}" + EPS + b"sN"),
    "arguments that are not spelled out": kept(LAYER + b"]" + b"}" + EPS + b"sN"),
    "an argument of another name": kept(LAYER + b")}" + text("normalized_shape") + b"K\x05sN"),
    "one more argument": kept(LAYER + b")}(" + EPS + text("normalized_shape") + b"K\x05uN"),
    "a name that is computed": kept(LAYER + b")}" + COMPUTED + b"K\x05sN"),
    "a value that was made": kept(LAYER + b")}" + text("eps") + OBJECT + b"sN"),
    "a value that was imported": kept(LAYER + b")}" + text("eps") + LAYER + b"sN"),
    "a value from memory": kept(LAYER + b")}" + text("eps") + OBJECT + b"q\x000h\x00sN"),
    "a text as value": kept(LAYER + b")}" + text("eps") + text("a") + b"sN"),
    "names from before": kept(LAYER + b")h\x05N", b"}q\x05" + EPS + b"s0" + PARTIAL + LAYER + b"\x85R"),
    "a dictionary from before": b"\x80\x02}" + EPS + b"s" + PARTIAL + LAYER + b"\x85R(" + LAYER + b")g\x00tb.",
    "a dictionary that was made": kept(LAYER + b")" + name("collections", "OrderedDict") + b")RN"),
    "attributes": kept(LAYER + b")}" + EPS + b"s}" + text("a") + b"Ns"),
    "empty attributes, which may be filled": kept(LAYER + b")}" + EPS + b"s}q\x05"),
    "too few parts": b"\x80\x02" + PARTIAL + LAYER + b"\x85R" + LAYER + b")}\x87b.",
    "a pair": b"\x80\x02" + PARTIAL + LAYER + b"\x85RN}\x86b.",
    "more names afterwards": (
        kept(LAYER + b")}q\x05" + EPS + b"sN")[:-1] + b"h\x05" + text("normalized_shape") + b"K\x05s."
    ),
    "more names through a copy": (kept(LAYER + b")}2" + text("normalized_shape") + b"K\x05s0" + EPS + b"sN")),
    "a state afterwards": kept(LAYER + b")NN", PARTIAL + LAYER + b"\x85Rq\x05h\x05"),
    "handed on to be called": b"\x80\x02" + name("collections", "defaultdict") + PARTIAL + LAYER + b"\x85R\x85R.",
    "called": kept(LAYER + b")}" + EPS + b"sN")[:-1] + b"K\x05\x85R.",
    "without anything": b"\x80\x02" + PARTIAL + b")R.",
    "handed on": b"\x80\x02" + name("collections", "defaultdict") + PARTIAL + b"\x85R.",
}


def data_type(kind: str, *, fields: bytes = b"N", names: bytes = b"N", size: bytes = b"K\x08", flags: int) -> bytes:
    """A NumPy data type and its state."""
    made = name("numpy", "dtype") + text(kind) + b"\x89\x88\x87R"
    return made + b"(K\x03" + text("|") + b"N" + names + fields + size + b"K\x01" + bytes([0x4B, flags]) + b"tb"


def array_of(kind: bytes, data: bytes) -> bytes:
    empty = name("numpy.core.multiarray", "_reconstruct") + name("numpy", "ndarray") + b"K\x00\x85C\x01b\x87R"
    return b"\x80\x03" + empty + b"(K\x01K\x01\x85" + kind + b"\x89" + data + b"tb."


#: Each runs code, reads or overwrites memory, opens a file or fills the memory, in at least one version of a library.
ATTACKS = {
    "memory at an address of its choice": b"\x80\x02" + FAKE_ARRAY + b".",
    "a function of NumPy": called("numpy", "asarray", OBJECT),
    "a function of NumPy that overwrites": called("numpy", "add", b"K\x01", b"K\x01", OBJECT),
    "a type of NumPy": called("numpy", "float64", OBJECT),
    "a function without arguments": called("numpy", "mean"),
    "a score": called("sklearn.metrics._regression", "max_error", OBJECT, OBJECT),
    "a function of PyTorch": called("torch.nn.functional", "relu", OBJECT),
    "the text of an object": called("builtins", "str", OBJECT),
    "the bytes of an object": called("builtins", "bytes", OBJECT),
    "a number from a text": called("builtins", "int", text("ff"), b"K\x10"),
    "bytes without end": called("builtins", "bytearray", numbered(1 << 40)),
    "a set of something made": called("builtins", "set", called("builtins", "range", numbered(1 << 40))[2:-1]),
    "a number without end": called("fractions", "Fraction", text("1e999999999")),
    "a factory that is a function": called("collections", "defaultdict", name("numpy", "array")),
    "an estimator with arguments": called("sklearn.linear_model._base", "LinearRegression", OBJECT),
    "a sparse matrix of an object": called("scipy.sparse._csr", "csr_matrix", OBJECT),
    "a frame of an object": called("pandas.core.frame", "DataFrame", OBJECT),
    "an index of an object": called("pandas.core.indexes.base", "Index", OBJECT),
    "a masked array of an object": called("numpy.ma.core", "MaskedArray", OBJECT),
    "a storage from a file": called("torch", "FloatStorage", text("/etc/passwd")),
    "an array of any length": called(
        "numpy.core.multiarray", "_reconstruct", name("numpy", "ndarray"), numbered(1 << 40) + b"\x85", text("b")
    ),
    "an array of another class": called(
        "numpy.core.multiarray", "_reconstruct", name("argparse", "Namespace"), b"K\x00\x85", text("b")
    ),
    "a scalar of objects": called(
        "numpy.core.multiarray", "scalar", name("numpy", "dtype") + text("O8") + b"\x89\x88\x87R", OBJECT
    ),
    "a data type of objects by its class": called("numpy", "dtype", name("builtins", "object")),
    "a basic type of its own": called(
        "copyreg", "_reconstructor", name("numpy", "float64"), name("builtins", "float"), OBJECT
    ),
    "a text as basic type": called(
        "copyreg", "_reconstructor", name("argparse", "Namespace"), name("builtins", "str"), text("a")
    ),
    "a generator that calls": called(
        "numpy.random._pickle", "__generator_ctor", text("a"), name("collections", "OrderedDict")
    ),
    "an index that calls another class": called(
        "pandas.core.indexes.base", "_new_Index", name("argparse", "Namespace"), b"}"
    ),
    "a time zone from a file": called(
        "pandas._libs.tslibs.timestamps", "_unpickle_timestamp", b"K\x01", b"N", text("dateutil//etc/passwd")
    ),
    "another class": b"\x80\x02" + OBJECT + b"}" + text("__class__") + name("numpy", "poly1d") + b"sb.",
    "its own dictionary": b"\x80\x02" + OBJECT + b"}" + text("__dict__") + b"}sb.",
    "many keys at once": b"\x80\x02" + OBJECT + b"}(" + text("a") + b"N" + text("__reduce__") + b"Nub.",
    "slots of a state": b"\x80\x02" + OBJECT + b"N}" + text("__class__") + b"Ns\x86b.",
    "a dictionary of protocol 0": b"(" + text("__array__") + b"NdK\x01.",
    "an escaped key": b"\x80\x02" + OBJECT + b"}V\\u005f_array_interface__\nNsb.",
    "a computed key": b"\x80\x03" + OBJECT + b"}" + COMPUTED + MEMORY + b"sb.",
    "a computed key, from memory": b"\x80\x03" + COMPUTED + b"q\x000" + OBJECT + b"}h\x00" + MEMORY + b"sb.",
    "a computed key, set on a second name": (
        b"\x80\x03" + OBJECT + b"}q\x00h\x00" + COMPUTED + MEMORY + b"s0b."
    ),
    "a key set on a second name": (
        b"\x80\x03" + OBJECT + b"}q\x00h\x00" + text("__class__") + name("numpy", "poly1d") + b"s0b."
    ),
    "a key set on a copy": b"\x80\x03" + OBJECT + b"}2" + text("__class__") + name("numpy", "poly1d") + b"s0b.",
    "a key that was forgotten": (
        b"\x80\x03"
        + b"".join(text(f"w{index}") + b"r" + struct.pack("<I", index) + b"0" for index in range(30_000))
        + text("__class__") + b"r" + struct.pack("<I", 30_000) + b"0"
        + OBJECT + b"}j" + struct.pack("<I", 30_000) + b"Nsb."
    ),
    "a key deep below": b"\x80\x03" + OBJECT + b"}" + text("__class__") + b"]" * 110_000 + b"0" * 109_999 + b"sb.",
    "a state that was made": (
        b"\x80\x03" + OBJECT + name("collections", "OrderedDict") + b"]](" + text("__class__") + b"Neaa\x85Rb."
    ),
    "a state from memory": b"\x80\x03}q\x00" + text("a") + b"Ns0" + OBJECT + b"h\x00b.",
    "attributes of a bunch": (
        b"\x80\x03" + name("sklearn.utils", "Bunch") + b")\x81" + COMPUTED + MEMORY + b"s."
    ),
    "buffers of a module": (
        b"\x80\x02" + name("torch.nn.modules.linear", "Linear") + b")\x81}" + text("_buffers") + b"}"
        + text("__array_interface__") + MEMORY + b"ssb."
    ),
    "a state of a tensor": called(
        "torch._utils", "_rebuild_parameter_with_state", b"N", b"\x88", b"N", b"}" + text("__class__") + b"Ns"
    ),
    "objects that are read from bytes": array_of(data_type("O8", size=b"J\xff\xff\xff\xff", flags=1), b"C\x08AAAAAAAA"),
    "fields of objects that are read from bytes": array_of(
        data_type("V8", names=text("a") + b"\x85", fields=FIELDS, flags=1), b"C\x08AAAAAAAA"
    ),
    "fields of objects that are none": array_of(
        data_type("V8", names=text("a") + b"\x85", fields=FIELDS, flags=0), b"C\x08AAAAAAAA"
    ),
    "fields that change under another name": (
        b"\x80\x03" + name("numpy", "dtype") + text("V8") + b"\x89\x88\x87R(K\x03" + text("|") + b"N"
        + text("a") + b"\x85}q\x05"
        + text("a") + name("numpy", "dtype") + text("f8") + b"\x89\x88\x87RK\x00\x86s"
        + b"h\x05" + text("a") + name("numpy", "dtype") + text("O8") + b"\x89\x88\x87RK\x00\x86s0K\x08K\x01K\x00tb."
    ),
    "a folder of further pickles": (
        b"\x80\x02" + CACHE + b"N\x85R}" + text("cachedir") + text("/x") + b"sb."
    ),
    "a folder of further pickles, from memory": (
        b"\x80\x02" + CACHE + b"N\x85Rq\x00h\x00}" + text("cachedir") + text("/x")
        + b"sb."
    ),
    "fields from memory": b"\x80\x03" + FIELDS + b"q\x000" + array_of(
        data_type("V8", names=text("a") + b"\x85", fields=b"h\x00", flags=0), b"C\x08AAAAAAAA"
    )[2:],
    "a field outside of its type": array_of(
        data_type(
            "V8", names=text("a") + b"\x85", flags=0,
            fields=b"}" + text("a") + name("numpy", "dtype") + text("f8") + b"\x89\x88\x87RM\x00\x10\x86s",
        ),
        b"C\x08AAAAAAAA",
    ),
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_allowed_names_are_called_as_their_writers_do_or_the_file_is_refused(attack: str) -> None:
    for engine, path in (("Scikit_Learn", "model/iris.m"), ("TensorFlow", "model/net.m")):
        found = codes(ATTACKS[attack], path, engine)
        assert found
        assert set(found) <= {"MDL001", "MDL002"}


def test_what_the_keys_are_named_after_is_complete() -> None:
    for kind in (object, type, int, str, dict, list, tuple, set, float, complex, bytes, type(ATTACKS.get), type(codes)):
        own = {each.encode() for each in dir(kind) if each.startswith("__") and each.endswith("__")}
        assert own <= ACTED_ON, own - ACTED_ON
    own = {each.encode() for each in dir(numpy.ndarray) if each.startswith("__")}
    assert own <= ACTED_ON
    assert {each for each in own if each.startswith((b"__array", b"__dlpack"))} <= INTERFACES


def test_words_of_source_code_are_keys_like_any_others() -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        words = {each.decode(): index for index, each in enumerate(sorted(ACTED_ON - INTERFACES))}
        assert codes(pickle.dumps([words, {"a": words}], protocol)) == []


def test_every_name_that_is_only_referred_to_is_never_called() -> None:
    listed = allowed_names("TensorFlow")
    assert listed >= REFERRED
    assert not REFERRED & set(RULES)
    assert REFERRED | set(RULES) <= CHECKED
    for each in sorted(REFERRED, key=str):
        for arguments in ((), (b"N",), (OBJECT, OBJECT)):
            assert codes(called(each.module, each.name, *arguments), "model/net.m", "TensorFlow") == ["MDL001"]
        assert codes(b"\x80\x02" + name(each.module, each.name) + b".", "model/net.m", "TensorFlow") == []


def test_no_name_outside_of_python_and_pytorch_may_be_called_with_anything() -> None:
    free = {
        each
        for each in allowed_names("TensorFlow") - CHECKED
        if codes(called(each.module, each.name, OBJECT, OBJECT, OBJECT), "model/net.m", "TensorFlow") == []
    }
    assert {each.module.split(".")[0] for each in free} <= {
        "builtins", "__builtin__", "datetime", "decimal", "pandas", "sklearn", "torch",
    }  # fmt: skip
    assert Global("sklearn.linear_model._base", "LinearRegression") not in free
    assert not {each for each in free if each.module.startswith("numpy")}


# ── what writers give ────────────────────────────────────────────────────────────────────────────────────────────────


def values() -> list[Any]:
    record = numpy.dtype([("x", "i4"), ("y", "f8", (2,)), ("z", "U3")])
    objects = numpy.zeros(2, [("a", "f8"), ("b", "O")])
    return [
        *(numpy.zeros(2, kind) for kind in ("f8", "i4", "?", "U3", "S2", "M8[ns]", "m8[s]", "c16", "O", ">f4", "f2")),
        numpy.zeros(3, record),
        numpy.zeros(3, record)[0],
        objects,
        numpy.dtype({"names": ["a"], "formats": ["f8"], "offsets": [8], "itemsize": 32}),
        numpy.float64(1.5), numpy.str_("a"), numpy.bytes_(b"a"), numpy.bool_(1), numpy.datetime64("2020-01-01"),
        {numpy.str_("a"): 1, numpy.float64(2): 2, 1.5: 3, None: 4, (1, 2): 5},
        numpy.matrix([[1, 2]]), numpy.poly1d([1, 2]), numpy.ma.array([1, 2], mask=[0, 1]),
        numpy.rec.array([(1, 2.0)], dtype=[("x", "i4"), ("y", "f8")]),
        numpy.add, numpy.log1p, numpy.float32, numpy.mean,
        numpy.random.RandomState(0), numpy.random.default_rng(0), numpy.random.MT19937(1), numpy.random.SeedSequence(3),
        numpy.random.Generator(numpy.random.Philox(1)),
        argparse.Namespace(lr=0.1, name="x", layers=[1, 2]),
        collections.Counter("abca"), collections.OrderedDict(a=1), collections.defaultdict(list, {"a": [1]}),
        collections.defaultdict(None), collections.deque([1], 3), collections.deque(),
        bytearray(b"abc"), bytearray(), bytearray(range(256)), b"", b"\xff" * 300, {1}, frozenset([1]), slice(1, 2),
        range(3), 1j, object(), NotImplemented, ..., type(None), int,
        datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC), datetime.date(2020, 1, 1), datetime.timedelta(1),
        decimal.Decimal("1.5"), fractions.Fraction(-1, 3), uuid.UUID(int=5),
        "back\\slash\n", {"б": 1, "a\\": 2},
    ]  # fmt: skip


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_what_python_and_numpy_write_is_accepted(protocol: int) -> None:
    for value in values():
        assert codes(pickle.dumps([value, value], protocol)) == [], value


def test_texts_that_rules_ask_for_are_found_in_the_largest_files() -> None:
    # The words fill the memory before the name of the codec comes again.
    large = [b"\xff", "x", {f"word{index}": index for index in range(60_000)}, b"\xfe", numpy.float64(1)]
    assert codes(pickle.dumps(large, 2)) == []
    # The names of fields are written twice, and forgotten in between.
    large.append(numpy.zeros(3, [("x", "i4"), ("y", "f8")]))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert codes(pickle.dumps(large, protocol)) == []


def test_own_classes_of_torchscript_read_their_states_themselves() -> None:
    weights = b"c__torch__.torch.classes.quantized\nLinearPackedParamsBase\n)\x81" + OBJECT + OBJECT + b"\x86b"
    members = (("net/data.pkl", b"\x80\x02" + weights + b"."), ("net/constants.pkl", b"\x80\x02)."))
    assert codes(archive(*members), "model/net.pt", "PyTorch") == []
    assert codes(archive(*members[:1]), "model/net.pt", "PyTorch") == ["MDL001"]


SPLITS = {
    "sklearn.model_selection._split": (
        "GroupKFold GroupShuffleSplit KFold LeaveOneGroupOut LeaveOneOut LeavePGroupsOut LeavePOut PredefinedSplit "
        "RepeatedKFold RepeatedStratifiedKFold ShuffleSplit StratifiedGroupKFold StratifiedKFold "
        "StratifiedShuffleSplit TimeSeriesSplit"
    ),
    "sklearn.cross_validation": "KFold LeaveOneOut ShuffleSplit StratifiedKFold StratifiedShuffleSplit",
}
LAYERS = {
    "torch.optim.lr_scheduler": "CosineAnnealingLR CyclicLR MultiStepLR OneCycleLR ReduceLROnPlateau StepLR",
    "torch.ao.nn.quantized.modules.conv": "Conv2d",
    "torch.ao.nn.quantized.dynamic.modules.linear": "Linear",
    "torch.nn.quantized.modules.linear": "Linear LinearPackedParams",
    "torchvision.models.convnext": "CNBlock ConvNeXt LayerNorm2d",
    "torchvision.models.mnasnet": "MNASNet _InvertedResidual",
    "torchvision.models.regnet": "AnyStage RegNet ResBottleneckBlock",
    "torchvision.models.shufflenetv2": "InvertedResidual ShuffleNetV2",
    "torchvision.models.swin_transformer": "PatchMerging SwinTransformer SwinTransformerBlock",
}


def test_searches_keep_how_they_split_and_modules_their_layers_and_schedules() -> None:
    for path, engine, listed in (("model/iris.m", "Scikit_Learn", SPLITS), ("model/net.pth", "PyTorch", LAYERS)):
        for module, names in listed.items():
            for each in names.split():
                made = name(module, each) + b")\x81}" + text("n_splits") + b"K\x03sb."
                old = (
                    name("copy_reg", "_reconstructor") + name(module, each) + name("__builtin__", "object") + b"N\x87R"
                )
                if engine == "Scikit_Learn":
                    assert codes(b"\x80\x02" + made, path, engine) == []
                    assert codes(b"\x80\x02" + old + b"}b.", path, engine) == []
                else:
                    assert codes(archive(("net/data.pkl", b"\x80\x02" + made)), path, engine) == []
                assert codes(called(module, each, OBJECT), path, engine) == ["MDL001"]


def test_a_schedule_keeps_methods_of_its_own_alone() -> None:
    made = name("torch.optim.lr_scheduler", "CyclicLR") + b")\x81"
    for of in (made, name("torch.optim.lr_scheduler", "OneCycleLR")):
        for method, expected in (("_annealing_cos", []), ("__init__", ["MDL001"]), ("step", ["MDL001"])):
            found = codes(called("__builtin__", "getattr", of, text(method)), "model/net.pth", "PyTorch")
            assert found == expected
    other = called("__builtin__", "getattr", name("torch.nn.modules.linear", "Linear"), text("_annealing_cos"))
    assert codes(other, "model/net.pth", "PyTorch") == ["MDL001"]


def test_weights_of_quantized_layers_are_packed_by_pytorchs_own_classes() -> None:
    made = b"\x80\x02" + name("torch", "ScriptObject") + b")\x81"
    for kind, expected in (("quantized.LinearPackedParamsBase", []), ("dist_c10d.FileStore", ["MDL001"])):
        state = OBJECT + text(f"__torch__.torch.classes.{kind}") + b"\x86b."
        assert codes(made + state, "model/net.pth", "PyTorch") == expected


# ── layers that are kept to be made ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("attack", PARTIALS)
def test_a_partial_keeps_nothing_but_a_layer_and_its_settings(attack: str) -> None:
    for path, engine in (("model/net.pth", "PyTorch"), ("model/net.m", "TensorFlow")):
        found = codes(PARTIALS[attack], path, engine)
        assert found
        assert set(found) <= {"MDL001", "MDL002"}


def test_a_vision_transformer_keeps_the_layer_that_it_was_made_with() -> None:
    # As torch.save(torchvision.models.vit_b_16()) writes it, the end of its state cut down.
    partial = kept(LAYER + b"q\x02)}q\x03" + EPS + b"sN")[2:-1]
    model = name("torchvision.models.vision_transformer", "VisionTransformer") + b")\x81}"
    for filled in (partial, kept(LAYER + b")NN")[2:-1], kept(LAYER + b")}(" + EPS + b"uN")[2:-1]):
        data = b"\x80\x02" + model + text("norm_layer") + filled + b"s" + text("training") + b"\x88sb."
        assert codes(archive(("net/data.pkl", data)), "model/vit.pth", "PyTorch") == []
        # Such a class is of PyTorch alone.
        assert codes(data, "model/iris.m", "Scikit_Learn") == ["MDL001"]
    # Behind it a dictionary is one like any other.
    assert (
        codes(b"\x80\x02(" + partial + b"}" + text("a") + b"Ns" + OBJECT + b"}b" + b"l.", "model/n.m", "TensorFlow")
        == []
    )


# ── tables of pandas ─────────────────────────────────────────────────────────────────────────────────────────────────


def indices() -> list[Any]:
    categories = pandas.CategoricalIndex(["a", "b", "a"], ordered=True, name="n")
    lengths = pandas.timedelta_range("1 days", periods=3)
    return [
        categories,
        pandas.CategoricalIndex(pandas.interval_range(0, 2)),
        pandas.CategoricalIndex(numpy.array([1, 2], "u8")),
        lengths,
        pandas.timedelta_range("1 hours", periods=3, freq="3h"),
        pandas.TimedeltaIndex(["1 days", None]),
        pandas.DataFrame({"a": [1, 2, 3]}, index=categories),
        pandas.DataFrame([[1, 2, 3]], columns=categories),
        pandas.DataFrame({"a": [1, 2, 3]}, index=lengths),
        pandas.MultiIndex.from_arrays([categories, lengths]),
        pandas.cut(pandas.Series([1, 5, 9]), 3).value_counts(),
    ]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_tables_with_categories_and_lengths_of_time_are_accepted(protocol: int) -> None:
    for value in indices():
        assert codes(pickle.dumps([value, value], protocol)) == [], value


def test_older_spellings_of_such_tables_are_accepted() -> None:
    step = b"}(" + text("n") + b"K\x01" + text("normalize") + b"\x89ub"
    spellings = {
        # pandas 0.25 to 1.0, 1.1 to 2, and 3.
        "pandas.tseries.offsets": b")\x81" + step,
        "pandas._libs.tslibs.offsets": b"K\x01\x89\x86R",
    }
    makers = {
        "pandas.core.indexes.base\n_new_Index": "pandas.core.indexes.timedeltas\nTimedeltaIndex",
        "pandas.core.indexes.timedeltas\n_new_TimedeltaIndex": "pandas\nTimedeltaIndex",
    }
    for offsets, made in spellings.items():
        for unit in ("Day", "Hour", "Micro", "Milli", "Minute", "Nano", "Second"):
            for maker, kind in makers.items():
                items = text("freq") + name(offsets, unit) + made + b"s" + text("name") + b"Ns"
                data = f"c{maker}\nc{kind}\n".encode() + b"}" + items + b"\x86R."
                assert codes(b"\x80\x02" + data) == [], (offsets, unit, maker)
    for kind in ("pandas.core.indexes.category\nCategoricalIndex", "pandas.core.indexes.numeric\nUInt64Index"):
        data = f"cpandas.core.indexes.base\n_new_Index\nc{kind}\n".encode() + b"}" + text("name") + b"Ns\x86R."
        assert codes(b"\x80\x02" + data) == []


def test_steps_of_time_are_made_of_numbers_and_indices_of_pandas_alone() -> None:
    for offsets in ("pandas.tseries.offsets", "pandas._libs.tslibs.offsets"):
        for arguments in ((OBJECT,), (text("1"),), (b"K\x01", OBJECT), (b"K\x01", b"\x89", b"N")):
            assert codes(called(offsets, "Day", *arguments)) == ["MDL001"]
    for kind in (name("argparse", "Namespace"), name("numpy", "array"), OBJECT):
        assert codes(called("pandas.core.indexes.timedeltas", "_new_TimedeltaIndex", kind, b"}")) == ["MDL001"]
    assert codes(called("pandas.core.indexes.category", "CategoricalIndex", OBJECT)) == ["MDL001"]
    assert codes(called("pandas.core.indexes.timedeltas", "TimedeltaIndex", OBJECT)) == ["MDL001"]
