"""Pickles that would run code when they are loaded: each is refused, by name where it has one, and none is run."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import struct
import zlib
from collections.abc import Iterator

import pytest

from airlock.domain.findings import Finding
from airlock.domain.model_files.reading import check_model_file
from tests.unit.given import archive

P = pickle


def looked_at(data: bytes, path: str = "model/iris.m", engine: str = "Scikit_Learn") -> list[Finding]:
    return check_model_file(path, len(data), io.BytesIO(data), engine)


def codes(data: bytes, path: str = "model/iris.m", engine: str = "Scikit_Learn") -> list[str]:
    return sorted({item.code for item in looked_at(data, path, engine)})


def called(module: str, name: str, *arguments: bytes) -> bytes:
    """A pickle of protocol 2 that calls a name with already written arguments."""
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + b"(" + b"".join(arguments) + b"tR."


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


COMMAND = text("touch /tmp/airlock-was-here")

#: Names that run code, open connections, load more code, or lead to such: none may ever be imported.
HOSTILE = [
    "os.system",
    "os.popen",
    "os.execv",
    "os.spawnl",
    "os.posix_spawn",
    "os.remove",
    "os.putenv",
    "posix.system",
    "nt.system",
    "subprocess.Popen",
    "subprocess.call",
    "subprocess.check_output",
    "subprocess.run",
    "subprocess.getoutput",
    "commands.getoutput",
    "builtins.eval",
    "builtins.exec",
    "builtins.compile",
    "builtins.__import__",
    "builtins.getattr",
    "builtins.setattr",
    "builtins.open",
    "builtins.globals",
    "builtins.vars",
    "builtins.map",
    "builtins.type",
    "builtins.super",
    "builtins.breakpoint",
    "builtins.input",
    "builtins.memoryview",
    "builtins.classmethod",
    "builtins.property",
    "builtins.iter",
    "builtins.delattr",
    "__builtin__.eval",
    "__builtin__.execfile",
    "__builtin__.file",
    "__builtin__.apply",
    "__builtin__.reduce",
    "__builtin__.getattr",
    "__builtin__.reload",
    "__builtin__.raw_input",
    "__builtin__.input",
    "importlib.import_module",
    "importlib.__import__",
    "importlib.reload",
    "importlib.machinery.SourceFileLoader",
    "runpy.run_path",
    "runpy.run_module",
    "runpy._run_code",
    "pkgutil.resolve_name",
    "imp.load_source",
    "imp.load_dynamic",
    "code.interact",
    "code.InteractiveInterpreter",
    "codeop.compile_command",
    "pdb.run",
    "pdb.Pdb",
    "bdb.Bdb",
    "trace.Trace",
    "profile.run",
    "cProfile.run",
    "timeit.timeit",
    "timeit.Timer",
    "doctest.debug_script",
    "test.support.script_helper.assert_python_ok",
    "pty.spawn",
    "platform.popen",
    "popen2.popen3",
    "asyncio.create_subprocess_exec",
    "asyncio.run",
    "webbrowser.open",
    "multiprocessing.connection.Client",
    "multiprocessing.connection.Listener",
    "multiprocessing.Process",
    "multiprocessing.managers.BaseManager",
    "multiprocessing.reduction.rebuild_connection",
    "multiprocessing.util.spawnv_passfds",
    "multiprocessing.pool.Pool",
    "concurrent.futures.process.ProcessPoolExecutor",
    "threading.Thread",
    "_thread.start_new_thread",
    "socket.socket",
    "socket.create_connection",
    "ssl.SSLSocket",
    "http.client.HTTPConnection",
    "urllib.request.urlopen",
    "urllib.urlopen",
    "urllib2.urlopen",
    "requests.get",
    "requests.api.get",
    "smtplib.SMTP",
    "ftplib.FTP",
    "telnetlib.Telnet",
    "xmlrpc.client.ServerProxy",
    "ctypes.CDLL",
    "ctypes.cdll.LoadLibrary",
    "ctypes.util.find_library",
    "ctypes.PyDLL",
    "ctypes.string_at",
    "_ctypes.dlopen",
    "cffi.FFI",
    "pickle.loads",
    "pickle.load",
    "pickle.Unpickler",
    "_pickle.loads",
    "cPickle.loads",
    "marshal.loads",
    "dill.loads",
    "dill._dill._create_function",
    "cloudpickle.cloudpickle._make_function",
    "cloudpickle.loads",
    "shelve.open",
    "copyreg.add_extension",
    "copyreg.__newobj__",
    "types.FunctionType",
    "types.CodeType",
    "types.MethodType",
    "new.function",
    "functools.partial",
    "functools.reduce",
    "operator.attrgetter",
    "operator.methodcaller",
    "operator.itemgetter",
    "operator.call",
    "itertools.starmap",
    "io.open",
    "io.FileIO",
    "codecs.open",
    "tempfile.mkstemp",
    "shutil.rmtree",
    "shutil.copy",
    "pathlib.Path",
    "pathlib.PosixPath",
    "zipimport.zipimporter",
    "sys.setprofile",
    "sys.settrace",
    "sys.modules",
    "sys.path",
    "atexit.register",
    "signal.signal",
    "gc.get_objects",
    "weakref.finalize",
    "inspect.getsource",
    "logging.config.dictConfig",
    "logging.config.listen",
    "site.main",
    "sysconfig.get_config_var",
    "venv.create",
    "ensurepip.bootstrap",
    "pip.main",
    "pip._internal.main",
    "setuptools.setup",
    "distutils.core.run_setup",
    "distutils.spawn.spawn",
    "pydoc.locate",
    "pydoc.pipepager",
    "numpy.load",
    "numpy.loads",
    "numpy.fromfile",
    "numpy.memmap",
    "numpy.save",
    "numpy.savetxt",
    "numpy.genfromtxt",
    "numpy.DataSource",
    "numpy.core.memmap.memmap",
    "numpy.f2py.compile",
    "numpy.ctypeslib.load_library",
    "numpy.vectorize",
    "numpy.apply_along_axis",
    "numpy.fromfunction",
    "numpy.frompyfunc",
    "numpy.piecewise",
    "numpy.testing._private.utils.runstring",
    "numpy.distutils.exec_command.exec_command",
    "numpy.lib.npyio.load",
    "numpy.lib.utils.safe_eval",
    "numpy.ma.core.fromfile",
    "numpy.rec.fromfile",
    "numpy.core.records.fromfile",
    "scipy.io.loadmat",
    "scipy.stats._distn_infrastructure.rv_continuous",
    "scipy.stats._distn_infrastructure.rv_frozen",
    "scipy.stats._continuous_distns.norm_gen",
    "scipy.LowLevelCallable",
    "scipy._lib._ccallback.LowLevelCallable",
    "scipy.optimize.minimize",
    "joblib.load",
    "joblib.numpy_pickle.load",
    "joblib.memory.Memory",
    "joblib.Memory",
    "joblib.parallel.Parallel",
    "joblib.Parallel",
    "joblib.numpy_pickle_compat.NDArrayWrapper",
    "joblib.numpy_pickle_compat.ZNDArrayWrapper",
    "joblib.numpy_pickle.NumpyUnpickler",
    "joblib.externals.loky.process_executor.ProcessPoolExecutor",
    "joblib.func_inspect.get_func_code",
    "sklearn.externals.joblib.load",
    "sklearn.externals.joblib.memory.Memory",
    "sklearn.externals.joblib.numpy_pickle.load",
    "sklearn.datasets.fetch_openml",
    "sklearn.datasets._base.load_files",
    "sklearn.utils.estimator_checks.check_estimator",
    "sklearn.utils._testing.assert_run_python_script",
    "sklearn.linear_model.os",
    "sklearn.os",
    "sklearn.tree.os.system",
    "pandas.read_pickle",
    "pandas.io.pickle.read_pickle",
    "pandas.eval",
    "pandas.core.computation.eval.eval",
    "pandas.read_csv",
    "xgboost.core.ctypes",
    "xgboost.core._load_lib",
    "xgboost.tracker.RabitTracker",
    "xgboost.dask.DaskDMatrix",
    "torch.load",
    "torch.serialization.load",
    "torch.storage._load_from_bytes",
    "torch.hub.load",
    "torch.hub.download_url_to_file",
    "torch.jit.load",
    "torch._C._jit_load",
    "torch.ops.load_library",
    "torch.classes.load_library",
    "torch.utils.cpp_extension.load",
    "torch.utils.cpp_extension.load_inline",
    "torch.fx.graph_module.reduce_graph_module",
    "torch.fx._symbolic_trace._assert_is_none",
    "torch.package.package_importer.PackageImporter",
    "torch.utils.data.datapipes.utils.decoder.basichandlers",
    "torch.distributed.rpc.init_rpc",
    "torch.multiprocessing.spawn",
    "torch._dynamo.guards.GuardBuilder",
    "torch.utils.collect_env.run",
    "torch.utils.bottleneck.__main__.run_prof",
    "torch._inductor.codecache.compile_file",
    "torch.FloatStorage.from_file",
    "torchvision.datasets.utils.download_url",
    "keras.models.load_model",
    "tensorflow.io.gfile.GFile",
    "tensorflow.py_function",
    "__main__.Model",
    "customize_service.Helper",
    "aiohttp.web.run_app",
    "yaml.unsafe_load",
    "yaml.load",
    "jinja2.Template",
    "mako.template.Template",
    "IPython.core.interactiveshell.InteractiveShell",
    "antigravity.webbrowser",
    "this.s",
    "lib2to3.main.main",
    "idlelib.pyshell.main",
]


@pytest.mark.parametrize("engine,path", [("Scikit_Learn", "model/iris.m"), ("PyTorch", "model/net.pth")])
@pytest.mark.parametrize("name", HOSTILE)
def test_no_hostile_name_is_imported(name: str, engine: str, path: str) -> None:
    module, _, attribute = name.rpartition(".")
    found = looked_at(called(module, attribute, COMMAND), path, engine)
    assert {(item.code, item.value, item.is_error) for item in found} == {("MDL001", name, True)}


def test_there_are_many_hostile_names() -> None:
    assert len(set(HOSTILE)) > 200


SYSTEM = b"cposix\nsystem\n"
_NESTED = b"\x80\x04\x8c\x08builtins\x8c\x0cint.__class__\x93."

#: Shapes of attack: what is called, or how the name comes about.
SHAPES = {
    "protocol 0": b"cposix\nsystem\n(S'id'\ntR.",
    "INST": b"(S'id'\niposix\nsystem\n.",
    "OBJ": b"(" + SYSTEM + b"S'id'\no.",
    "NEWOBJ": b"\x80\x02" + SYSTEM + b")\x81.",
    "NEWOBJ_EX": b"\x80\x04" + SYSTEM + b")}\x92.",
    "BUILD on a name": b"\x80\x02cnumpy\nndarray\n}U\x01xNsb.",
    "a class attribute set on a name": b"\x80\x02cnumpy\nndarray\nN}U\x01xNs\x86b.",
    "SETITEM on a name": b"\x80\x02ccollections\nOrderedDict\nU\x01xNs.",
    "APPEND on a name": b"\x80\x02c__builtin__\nlist\nNa.",
    "a dotted name": _NESTED,
    "a dotted name of an allowed module": b"\x80\x04\x8c\x05numpy\x8c\x0cndarray.dump\x93.",
    "STACK_GLOBAL from memory": b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x30\x30h\x00h\x01\x93\x8c\x02id\x85R.",
    "STACK_GLOBAL of computed text": b"\x80\x04\x8c\x05posixc__builtin__\nstr\n\x8c\x06system\x85R\x93.",
    "STACK_GLOBAL of a number": b"\x80\x04K\x01K\x02\x93.",
    "a name hidden behind frames": b"\x80\x04\x95\x0e\x00\x00\x00\x00\x00\x00\x00cposix\nsystem\n.",
    "a memory slot used twice": b"\x80\x02cnumpy\nndarray\nq\x00" + SYSTEM + b"q\x00h\x00U\x02id\x85R.",
    "calling what was computed": b"\x80\x02cnumpy\nndarray\n)RU\x02id\x85R.",
    "calling what persists": b"\x80\x02U\x01xQU\x02id\x85R.",
    "EXT1": b"\x80\x02\x82\x01U\x02id\x85R.",
    "EXT4": b"\x80\x02\x84\x01\x00\x00\x00U\x02id\x85R.",
    "a codec of its own choice": b"\x80\x02c_codecs\nencode\nU\x01xU\x05shell\x86R.",
    "a universal function that is none": b"\x80\x02cnumpy.core\n_ufunc_reconstruct\nU\x05posixU\x06system\x86R.",
    "a function of NumPy that is not listed": b"\x80\x02cnumpy.core\n_ufunc_reconstruct\nU\x05numpyU\x04load\x86R.",
    "a wrapper made with arguments": b"\x80\x02cjoblib.numpy_pickle\nNumpyArrayWrapper\nU\x01x\x85R.",
    "a second pickle behind the first": b"\x80\x02N." + b"cposix\nsystem\n(S'id'\ntR.",
    "hostile and then cut off": b"\x80\x02" + SYSTEM + b"U\x02id\x85R",
    "hostile and then nonsense": b"\x80\x02" + SYSTEM + b"U\x02id\x85R\xff",
    "a name in a dictionary key": b"\x80\x02}" + SYSTEM + b"Ns.",
    "a name that is only kept": b"\x80\x02}U\x01x" + SYSTEM + b"s.",
    "a mapped name of Python 2": b"\x80\x02ccommands\ngetoutput\nU\x02id\x85R.",
    "another case": b"\x80\x02cOS\nSystem\nU\x02id\x85R.",
    "a module with a space": b"\x80\x02cnumpy \nndarray\n.",
}


@pytest.mark.parametrize("name", SHAPES)
def test_no_shape_of_attack_gets_through(name: str) -> None:
    found = looked_at(SHAPES[name])
    assert any(item.is_error for item in found)
    assert {item.code for item in found} <= {"MDL001", "MDL002", "MDL003"}


@pytest.mark.parametrize(
    "pack",
    [zlib.compress, gzip.compress, bz2.compress, lzma.compress, lambda data: lzma.compress(data, lzma.FORMAT_ALONE)],
)
def test_compression_hides_nothing(pack) -> None:  # type: ignore[no-untyped-def]
    assert codes(pack(SHAPES["protocol 0"])) == ["MDL001"]
    assert codes(pack(b"\x80\x04N.")) == []
    assert codes(pack(b"\x80\x04N.")[:-6]) in (["MDL002"], [])
    assert codes(pack(b"\x80\x04N.") + pack(SHAPES["protocol 0"])) == ["MDL001"]


def test_a_small_file_that_grows_without_end_is_given_up() -> None:
    engine = zlib.compressobj(9)
    parts = [engine.compress(b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40))]
    parts += [engine.compress(bytes(1 << 20)) for _ in range(300)]
    (found,) = looked_at(b"".join(parts) + engine.flush())
    assert found.code == "MDL003"
    assert "more than 200 times its size" in found.message


def wrapped(shape: bytes, behind: bytes, alignment: bytes = b"", kind: bytes = b"U\x02f8", state: bytes = b"") -> bytes:
    """A joblib file with one array."""
    dtype = b"cnumpy\ndtype\n" + kind + b"\x89\x88\x87R" + state
    fields = [
        (b"U\x08subclass", b"cnumpy\nndarray\n"),
        (b"U\x05shape", shape),
        (b"U\x05order", b"U\x01C"),
        (b"U\x05dtype", dtype),
        (b"U\x0aallow_mmap", b"\x88"),
    ]
    if alignment:
        fields.append((b"U\x1bnumpy_array_alignment_bytes", alignment))
    items = b"".join(key + value for key, value in fields)
    return b"\x80\x02cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81}(" + items + b"ub" + behind


def test_the_bytes_of_an_array_are_passed_over() -> None:
    assert codes(wrapped(b"K\x02\x85", b"\x00" * 16 + b".")) == []
    assert codes(wrapped(b"K\x02\x85", b"\x03\xff\xff\xff" + b"\x01" * 16 + b".", alignment=b"K\x10")) == []
    assert codes(wrapped(b"K\x02\x85", b"\x00" * 15 + b".")) == ["MDL002"]


ROGUE_ARRAYS = {
    "instructions behind the array": wrapped(b"K\x01\x85", b"\x00" * 8 + SYSTEM + b"U\x02id\x85R."),
    "instructions in the array": wrapped(b"K\x08\x85", (SYSTEM + b"U\x02id\x85R.").ljust(64, b"\x00") + b"."),
    "instructions in the padding": wrapped(
        b"K\x01\x85", b"\x20" + SYSTEM + b"U\x02id\x85R." + b"\x00" * 40 + b".", alignment=b"K\x10"
    ),
    "a pickle in an array of objects": wrapped(b"K\x01\x85", SHAPES["protocol 0"] + b".", kind=b"U\x02O8"),
    "an item size that lies": wrapped(
        b"K\x01\x85", b"\x00" * 8 + b".", kind=b"U\x02V8", state=b"(K\x03U\x01|NNNJ\x63\x00\x00\x00K\x01K\x00tb"
    ),
    "flags that lie": wrapped(
        b"K\x01\x85", SHAPES["protocol 0"] + b".", state=b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x01tb"
    ),
    "a shape that is no shape": wrapped(b"U\x01x\x85", b"\x00" * 8 + b"."),
    "a shape that is computed": wrapped(b"c__builtin__\ntuple\n)R", b"\x00" * 8 + b"."),
    "a shape that is negative": wrapped(b"J\xff\xff\xff\xff\x85", b"."),
    "a shape beyond all bytes": wrapped(b"\x8a\x09" + b"\xff" * 8 + b"\x00\x85", b"."),
    "an array inside a frame": wrapped(b"K\x01\x85", b"\x00" * 8 + b".").replace(
        b"\x80\x02", b"\x80\x04\x95\xff\x00\x00\x00\x00\x00\x00\x00", 1
    ),
    "an array of old joblib in another file": b"\x80\x02cjoblib.numpy_pickle_compat\nNDArrayWrapper\n)\x81.",
}


@pytest.mark.parametrize("name", ROGUE_ARRAYS)
def test_an_array_never_leads_past_an_instruction(name: str) -> None:
    assert codes(ROGUE_ARRAYS[name]) in (["MDL001"], ["MDL002"], ["MDL001", "MDL002"])


def test_an_honest_array_of_objects_and_of_records_is_followed() -> None:
    assert codes(wrapped(b"K\x01\x85", b"\x80\x02]U\x01xa..", kind=b"U\x02O8")) == []
    record = b"(K\x03U\x01|NU\x01a\x85}U\x01acnumpy\ndtype\nU\x02f8\x89\x88\x87RK\x00\x86sK\x08K\x01K\x00tb"
    assert codes(wrapped(b"K\x02\x85", b"\x00" * 16 + b".", kind=b"U\x02V8", state=record)) == []


# ── what honest files look like ──────────────────────────────────────────────────────────────────────────────────────


def honest() -> Iterator[object]:
    yield None
    yield {"a": [1, 2.5, "x", b"y", (1, 2), {3}, None, True, 10**40, "long " * 300]}
    yield [{"key": index, "pair": (index, str(index))} for index in range(3000)]
    yield list(range(100_000))
    yield [float(index) for index in range(1000)]
    yield {f"word{index}": index for index in range(5000)}
    yield bytearray(b"x" * 100_000)
    yield ["twice", "twice"] * 10


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_are_accepted_in_every_protocol(protocol: int) -> None:
    for value in honest():
        assert codes(P.dumps(value, protocol)) == []


def test_a_pickle_that_breaks_off_is_unreadable_wherever_it_does() -> None:
    data = P.dumps({"a": [1, 2.5, "x", (1, "y")], "b": b"z" * 40}, 4)
    for length in range(2, len(data)):
        assert codes(data[:length]) == ["MDL002"]


def test_random_changes_never_crash_the_reader() -> None:
    data = bytearray(wrapped(b"K\x02\x85", b"\x00" * 16 + b".") + P.dumps({"a": [1, 2.5, "x"]}, 4))
    for place in range(len(data)):
        for value in (0, 40, 46, 98, 99, 255, data[place] ^ 1):
            looked_at(bytes(data[:place]) + bytes([value]) + bytes(data[place + 1 :]))


def test_a_deep_pickle_takes_no_stack_and_no_memory() -> None:
    assert codes(b"\x80\x02N" + b"\x85" * 200_000 + b".") == []
    assert codes(b"\x80\x02" + b"(" * 1_500_000) == ["MDL003"]


def test_text_of_another_form_is_a_warning() -> None:
    assert [(item.code, item.is_error) for item in looked_at(b"just some text")] == [("MDL005", False)]


def test_boosters_hold_no_code() -> None:
    assert codes(b'{"learner":{}}', engine="XGBoost") == []
    assert codes(b"binf\x00\x00", engine="XGBoost") == []


def test_an_old_booster_may_not_be_a_pickle_as_well() -> None:
    numbers = b"U\xf0".ljust(136, b"\x00")
    objective = struct.pack("<Q", 15) + b"binary:logistic"
    head = (numbers + objective).ljust(242, b"\x00")
    for engine in ("XGBoost", "Scikit_Learn"):
        assert codes(b"\x00" + head[1:] + bytes(500), engine=engine) == []
        assert codes(head + b"0" + SHAPES["protocol 0"] + bytes(500), engine=engine) == ["MDL001"]


@pytest.mark.parametrize("path", ["model/pytorch_model.bin", "model/net.ckpt"])
def test_an_old_pickle_is_followed_under_every_name(path: str) -> None:
    assert codes(SHAPES["protocol 0"], path, "PyTorch") == ["MDL001"]
    assert codes(b"cposix\nsystem\n", path, "PyTorch") == ["MDL001", "MDL002"]
    assert codes(b"\x0a\x05weight" + bytes(500), path, "PyTorch") == []


def test_lz4_is_not_followed() -> None:
    assert codes(b"\x04\x22M\x18" + b"x" * 50) == ["MDL003"]


def test_trusted_code_is_kept_as_a_warning_that_says_so() -> None:
    data = SHAPES["protocol 0"]
    found = check_model_file("model/iris.m", len(data), io.BytesIO(data), "Scikit_Learn", trusted=True)
    assert [(item.code, item.is_error) for item in found] == [("MDL001", False)]
    assert "Trusted by the request" in found[0].message
    assert found[0].value == "posix.system"


# ── PyTorch ──────────────────────────────────────────────────────────────────────────────────────────────────────────

TENSORS = (
    b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x01tQK\x00K\x01\x85"
    b"K\x01\x85\x89ccollections\nOrderedDict\n)RtR."
)


def torch_codes(data: bytes) -> list[str]:
    return codes(data, "model/net.pth", "PyTorch")


def test_an_archive_of_tensors_is_accepted() -> None:
    assert torch_codes(archive(("net/data.pkl", TENSORS), ("net/data/0", b"\x00" * 4), ("net/version", b"3\n"))) == []


def test_what_persists_is_pytorchs_alone() -> None:
    assert codes(TENSORS) == ["MDL001", "MDL002"]


def test_every_pickle_of_an_archive_is_followed() -> None:
    assert torch_codes(archive(("net/data.pkl", SHAPES["protocol 0"]))) == ["MDL001"]
    assert torch_codes(archive(("net/data.pkl", TENSORS), ("net/extra.pkl", SHAPES["protocol 0"]))) == ["MDL001"]


MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."


def test_every_pickle_of_the_old_form_is_followed() -> None:
    plain = b"\x80\x02N."
    assert torch_codes(MAGIC + plain * 2 + TENSORS + plain + b"\x01" + b"\x00" * 12) == []
    for place in range(4):
        parts = [plain] * 4
        parts[place] = SHAPES["protocol 0"]
        assert torch_codes(MAGIC + b"".join(parts)) == ["MDL001"]
    assert torch_codes(MAGIC + plain) == ["MDL002"]


def rogue_archives() -> Iterator[tuple[str, bytes]]:
    good = archive(("net/data.pkl", TENSORS), ("net/version", b"3\n"))
    yield "bytes before it", b"PK\x03\x04" + good
    yield "bytes behind it", good + b"x"
    yield "a comment", good[:-2] + b"\x01\x00x"
    yield "cut off", good[:-30]
    directory = good.index(b"PK\x01\x02")
    for bit in (0x1, 0x20, 0x40, 0x2000):
        flags = struct.pack("<H", bit)
        yield f"flag {bit:#x} in the directory", good[: directory + 8] + flags + good[directory + 10 :]
        yield f"flag {bit:#x} in a local header", good[:6] + flags + good[8:]
    yield "a version of nobody's", good[: directory + 6] + b"\xff\xff" + good[directory + 8 :]
    yield "a version of nobody's in a local header", good[:4] + b"\xff\xff" + good[6:]
    umlaut = archive(("net/data.pkl", TENSORS), ("net/ä", b""))
    yield "a name of unknown writing", umlaut.replace(b"\x00\x08\x00\x00", b"\x00\x00\x00\x00")
    yield "one name of unknown writing", umlaut.replace(b"\x00\x08\x00\x00", b"\x00\x00\x00\x00", 1)
    yield "no pickle", archive(("net/version", b"3\n"))
    yield "two folders", archive(("net/data.pkl", TENSORS), ("other/data.pkl", TENSORS))
    yield "a pickle at the top", archive(("data.pkl", TENSORS))
    yield "another name in the local header", good.replace(b"net/data.pkl", b"net/Data.pkl", 1)
    yield "another checksum", good.replace(b"3\n", b"4\n", 1)
    yield "another size", good.replace(struct.pack("<I", len(TENSORS)), struct.pack("<I", len(TENSORS) - 1), 1)
    yield "a second archive inside", good[:-22] + good
    yield "a backslash", archive(("net/data.pkl", TENSORS), ("net/a\\b", b""))
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = archive(("net/data.pkl", TENSORS), ("net/data.pkl", SHAPES["protocol 0"]))
    yield "a name twice", twice


def test_an_archive_that_two_readers_see_differently_is_refused() -> None:
    for name, data in rogue_archives():
        assert "MDL004" in torch_codes(data), name


# ── safetensors ──────────────────────────────────────────────────────────────────────────────────────────────────────


def tensors(header: bytes, data: bytes) -> list[str]:
    return codes(struct.pack("<Q", len(header)) + header + data, "model/net.safetensors", "PyTorch")


def test_a_safetensors_header_accounts_for_every_byte() -> None:
    one = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    assert tensors(one, b"\x00" * 4) == []
    for header, data in [(one, b""), (one, b"\x00" * 5), (b"{", b""), (b"[]", b""), (b'{"a":{}}', b"")]:
        assert tensors(header, data) == ["MDL006"]
    assert codes(b"\xff" * 8, "model/net.safetensors", "PyTorch") == ["MDL006"]
