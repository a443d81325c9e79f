"""Inference code is read without running it, and only what is certain is an error."""

from __future__ import annotations

import sys
import time
from typing import Any

import pytest

from airlock.domain.catalogue import ServiceSpec
from airlock.domain.dependencies import Dependency
from airlock.domain.findings import Finding, Severity
from airlock.domain.service_code.checking import MAX_CODE_BYTES, check_code
from airlock.domain.service_code.module_names import SERVING_MODULES, is_standard
from airlock.domain.service_code.outline import outline_of
from tests.unit.given import ROOT, SERVICE, iris_files, runtime
from tests.unit.test_step_validate import noticed, rejected

MAIN = "customize_service.py"
PYTORCH = "from model_service.pytorch_model_service import PTServingBaseService\n"
#: A service without fault, in which a test puts what it is about.
GOOD = PYTORCH + "class Service(PTServingBaseService):\n    pass\n"


def check(files: dict[str, str | bytes], **options: Any) -> list[Finding]:
    """The findings of these files, named by their paths under `model/`."""
    data = {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}
    spec = ServiceSpec(base_class="model_service.pytorch_model_service:PTServingBaseService", model_path="*.pth")
    dependencies = tuple(Dependency(name=name) for name in options.pop("dependencies", ()))
    own = options.pop("own", (3, 11))
    values = {"engine": "PyTorch", "service": spec, "python": "3.7", "constraints": "numpy==1.16.6\n", **options}
    return check_code(data.keys(), data.__getitem__, runtime(**values), dependencies, own)


def found(text: str | bytes, **options: Any) -> list[tuple[str, Severity, int, int]]:
    """Code, severity, line and column of the findings in customize_service.py."""
    return [(item.code, item.severity, item.place.line, item.place.column) for item in check({MAIN: text}, **options)]


def codes(text: str | bytes, **options: Any) -> list[str]:
    return [code for code, *_ in found(text, **options)]


# ── compiling ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\xef\xbb\xbfx = 1\n", "# -*- coding: gbk -*-\nx = '模型'\n".encode("gbk"), b"x = '\\d'\r\n",
        b"async def f():\n    await x\n", b"def f(a, *, b): pass\n", b"x: int = 1\n", b"x = f'{1}'\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize("python", ["3.6", "3.7", "3.11", "3.13"])
def test_code_that_compiles_is_accepted(data: bytes, python: str) -> None:
    assert codes(data + b"\n" + GOOD.encode(), python=python) == []


def test_code_that_does_not_compile_is_named_with_its_place() -> None:
    assert found("x = 1\nclass Service(:\n") == [("SVC002", Severity.ERROR, 2, 15)]
    assert found("print 'x'\n") == [("SVC002", Severity.ERROR, 1, 1)]


@pytest.mark.parametrize(
    "data",
    [b"x = '\xff'\n", b"x\x00y", b"(" * 5000, b"# coding: nothing\n", b" " * (MAX_CODE_BYTES + 1), b"# coding: zlib\n"],
)
@pytest.mark.parametrize("python", ["2.7", "3.6", "3.11"])
def test_unreadable_code_is_refused_and_survived(data: bytes, python: str) -> None:
    expected = ["SVC003"] if python == "2.7" and data[:1] == b"(" else ["SVC002"]
    assert [code for code in codes(data, python=python) if code != "SVC004"] == expected


@pytest.mark.parametrize("data", ["not " * 30_000 + "x", "lambda:" * 3_000, "x = 1\n" * 100_000, "print 'x'\n" * 3_000])
def test_code_that_is_hard_to_read_is_survived(data: str) -> None:
    assert set(codes(data, python="2.7")) <= {"SVC003", "SVC004"}
    assert set(codes(data, python="3.6")) <= {"SVC002", "SVC003", "SVC004"}


@pytest.mark.parametrize(
    "text",
    [
        "if (n := 1):\n    pass\n",
        "def f(a, /):\n    pass\n",
        "y = f'{x=}'\n",
        "match 1:\n    case 1:\n        pass\n",
    ],
)
def test_syntax_that_came_after_the_runtimes_python_is_refused(text: str) -> None:
    for python in ("3.6", "3.7"):
        ((code, severity, line, _),) = found(GOOD + text, python=python)
        assert (code, severity) == ("SVC002", Severity.ERROR)
        assert line > 3
    assert codes(GOOD + text, python="3.11") == []


def test_a_name_that_became_a_keyword_is_left_to_the_test_of_the_service() -> None:
    assert codes("async = 1\n" + GOOD, python="3.6") == ["SVC003"]
    assert codes("async = 1\n" + GOOD, python="3.7") == ["SVC002"]


def test_syntax_newer_than_the_checking_python_is_left_to_the_test_of_the_service() -> None:
    assert "SVC002" not in codes("type X = int\n" + GOOD, python="3.13", own=(3, 11))


@pytest.mark.parametrize(
    "text",
    [
        "print 'x'\nprint >>f, 1\n", "try:\n    pass\nexcept (A, B), e:\n    raise A, 'x'\n", "exec 'x' in {}\n",
        "x = `1`\n", "x = 0777 + 10L\n", "if 1 <> 2:\n    pass\n", "x = ur'a'\n", "f = lambda (a, b): a\n",
        "def f((a, b)):\n    pass\n", "print('x')\n", "from __future__ import print_function\nprint('x', end='')\n",
    ],
)  # fmt: skip
def test_python_2_code_is_not_compiled_here_and_its_classes_are_read(text: str) -> None:
    assert codes(text + GOOD, python="2.7") == ["SVC003"]
    assert codes(text + "class Other(object):\n    pass\n", python="2.7") == ["SVC003", "SVC004"]


@pytest.mark.parametrize(
    "text",
    [
        "x = f'{1}'\n", "x: int = 1\n", "def f(a: int):\n    pass\n", "def f() -> int:\n    pass\n",
        "def f(*, a):\n    pass\n", "def f():\n    nonlocal x\n", "def f():\n    yield from x\n", "raise A from B\n",
        "async def f():\n    pass\n", "x = '模型'\n",
    ],
)  # fmt: skip
def test_what_no_python_2_compiles_is_refused(text: str) -> None:
    assert codes(text + GOOD, python="2.7")[0] == "SVC002"


def test_a_coding_line_makes_characters_beyond_ascii_readable_in_python_2() -> None:
    assert codes(("# -*- coding: gbk -*-\nx = u'模型'\n" + GOOD).encode("gbk"), python="2.7") == ["SVC003"]


@pytest.mark.parametrize(
    "coding,encoding",
    [
        ("# -*- coding: utf-8 -*-", "utf-8"), ("# -*- coding: utf-8-unix -*-", "utf-8"), ("# coding=UTF8", "utf-8"),
        ("# vim: set fileencoding=gb18030 :", "gb18030"), ("#!/usr/bin/python\n# coding: cp936", "gbk"),
        ("\n# coding: gb2312", "gb2312"), ("\r# coding: gbk", "gbk"), ("# coding: big5", "big5"),
        ("#\r# coding: shift_jis", "shift_jis"), ("# coding: euc-jp", "euc_jp"),
        ("x = 1\n# coding: punycode", "utf-8"), ("#\n#\n# coding: punycode", "utf-8"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("python", ["2.7", "3.6", "3.12"])
def test_coding_lines_are_found_where_python_finds_them(coding: str, encoding: str, python: str) -> None:
    data = f"{coding}\nx = u'中文'\n{GOOD}".encode(encoding)
    # Without one that counts Python 2 reads ASCII.
    expected = [] if python != "2.7" else ["SVC002"] if "punycode" in coding else ["SVC003"]
    assert codes(data, python=python, own=(3, 12)) == expected


@pytest.mark.parametrize("name", ["latin-1-dos", "iso-8859-15", "windows-1252", "cp1252", "macroman"])
def test_western_encodings_are_read(name: str) -> None:
    encoding = name.removesuffix("-dos")
    assert codes(f"# coding: {name}\nx = u'é'\n{GOOD}".encode(encoding), python="3.7") == []


@pytest.mark.parametrize(
    "name", ["punycode", "utf-7", "utf-16", "idna", "rot13", "base64", "unicode_escape", "undefined", "x" * 5_000]
)
@pytest.mark.parametrize("python", ["2.7", "3.6"])
def test_an_encoding_that_no_source_is_written_in_is_refused_in_no_time(name: str, python: str) -> None:
    data = f"#!/usr/bin/python\r# coding: {name}\n{GOOD}#-".encode().ljust(MAX_CODE_BYTES, b"a")
    start = time.process_time()
    (told,) = (item for item in check({MAIN: data}, python=python) if item.code == "SVC002")
    assert time.process_time() - start < 1
    assert told.place.line == 2
    assert name[:20] in told.message
    assert len(told.message) < 250


def test_a_byte_order_mark_goes_with_utf_8_only() -> None:
    assert codes("\ufeff# coding: utf-8\n" + GOOD) == []
    assert codes("\ufeff# coding: gbk\n" + GOOD) == ["SVC002"]


def test_a_module_that_may_never_be_imported_is_a_warning() -> None:
    (finding,) = check({MAIN: GOOD, "old/train.py": "print 'x'\n"})
    assert (finding.code, finding.severity, str(finding.place)) == (
        "SVC002", Severity.WARNING, "model/old/train.py:1:1",
    )  # fmt: skip


def test_a_module_that_the_service_imports_must_compile() -> None:
    (finding,) = check({MAIN: "import net\n" + GOOD, "net.py": "import deep.er\n", "deep/er.py": "print 'x'\n"})
    assert (finding.severity, finding.place.file) == (Severity.ERROR, "model/deep/er.py")


def test_nothing_is_run(tmp_path: Any) -> None:
    check({MAIN: f"open({str(tmp_path / 'x')!r}, 'w')\n" + GOOD})
    assert list(tmp_path.iterdir()) == []


# ── the service class ────────────────────────────────────────────────────────────────────────────────────────────────

SERVICES = {
    "from a base class under another name": PYTORCH.replace("\n", " as Base\n") + "class S(Base): pass\n",
    "from a base class through its module": "import model_service.pytorch_model_service as m\n"
    "class S(m.PTServingBaseService): pass\n",
    "from a base class by its whole name": "import model_service.pytorch_model_service\n"
    "class S(model_service.pytorch_model_service.PTServingBaseService): pass\n",
    "from a module of the base classes' package": "from model_service import pytorch_model_service\n"
    "class S(pytorch_model_service.PTServingBaseService): pass\n",
    "from a class in the same file": GOOD + "class More(Service): pass\n",
    "with a second base": GOOD.replace("(PT", "(Mixin, PT").replace("class", "class Mixin(object): pass\nclass"),
    "with another class beside it": GOOD + "class Net(object):\n    pass\n",
    "defined in two ways": PYTORCH + "try:\n    import torch\nexcept ImportError:\n    class S(PTServingBaseService):\n"
    "        pass\nelse:\n    class T(PTServingBaseService):\n        pass\n",
    "redefined": GOOD + GOOD,
    "from itself under the same name": GOOD + "class Service(Service): pass\n",
    "from a class of which a second is deleted": GOOD + "class T(PTServingBaseService): pass\ndel T\n",
    "beside one that is given anew": GOOD + "class T(PTServingBaseService): pass\nT = None\n",
    "with a class for local runs": "try:\n    " + PYTORCH + "except ImportError:\n"
    "    class PTServingBaseService(object):\n        pass\nclass S(PTServingBaseService): pass\n",
    "with a name for local runs": "try:\n    " + PYTORCH + "except ImportError:\n    PTServingBaseService = object\n"
    "class S(PTServingBaseService): pass\n",
    "with another import for local runs": "try:\n    " + PYTORCH + "except ImportError:\n"
    "    from torch.nn import Module as PTServingBaseService\nclass S(PTServingBaseService): pass\n",
    "behind a start as a program": "if __name__ == '__main__':\n    pass\nelse:\n    "
    + GOOD.replace("\n", "\n    ")
    + "\n",
    "with a decorator": PYTORCH + "def d(c): return c\n@d\nclass S(PTServingBaseService): pass\n",
}


@pytest.mark.parametrize("text", SERVICES.values(), ids=SERVICES.keys())
def test_one_service_class_is_found(text: str) -> None:
    assert codes(text, constraints="torch==1.4.0\n") == []


def test_a_service_may_be_derived_from_a_class_in_a_sibling() -> None:
    files = {"base.py": GOOD, "core/__init__.py": "from .deep import Deep\n", "core/deep.py": "class Deep: pass\n"}
    assert check({MAIN: "from base import Service\nclass S(Service): pass\n", **files}) == []
    assert check({MAIN: "from .base import Service\nclass S(Service): pass\n", **files}) == []
    assert check({MAIN: "import base\nfrom core import Deep\nclass S(Deep, base.Service): pass\n", **files}) == []
    assert check({MAIN: "from model.base import Service\nclass S(Service): pass\n", **files}) == []


@pytest.mark.parametrize(
    "text,line",
    [
        ("x = 1\n", 1),
        ("import os\nclass Service(object):\n    pass\n", 2),
        ("class Service:\n    pass\n", 1),
        ("import torch\nclass Net(torch.nn.Module):\n    pass\n", 2),
        (PYTORCH + "def make():\n    class Inner(PTServingBaseService):\n        pass\n", 1),
        (PYTORCH, 1),
    ],
)
def test_no_service_class_is_an_error_that_says_what_to_derive_from(text: str, line: int) -> None:
    (finding,) = check({MAIN: text}, constraints="torch==1.4.0\n")
    assert (finding.code, finding.severity, finding.place.line) == ("SVC004", Severity.ERROR, line)
    assert "from model_service.pytorch_model_service import PTServingBaseService" in finding.fix


def test_a_class_for_local_runs_keeps_no_fault_from_being_told() -> None:
    text = "try:\n    " + PYTORCH + "except ImportError:\n    class PTServingBaseService(object): pass\n"
    text += "class S(PTServingBaseService):\n    def __init__(self): pass\n"
    assert [(code, severity) for code, severity, *_ in found(text)] == [("SVC006", Severity.ERROR)]


@pytest.mark.parametrize(
    "text",
    [
        "try:\n    import torch\n    " + PYTORCH + "except ImportError:\n    class PTServingBaseService(object): pass\n"
        "class S(PTServingBaseService): pass\n",
        "if x:\n    "
        + PYTORCH
        + "else:\n    class PTServingBaseService(object): pass\nclass S(PTServingBaseService): pass\n",
        "class Outer(object):\n    class Base(object): pass\nclass S(Outer.Base): pass\n",
        "from torch.nn import Module\nModule = wrap(Module)\nclass S(Module): pass\n",
        "import core\nclass S(core.part.Base): pass\n",
        "import sys\nsys.path.append('lib')\nfrom deep import Base\nclass S(Base): pass\n",
    ],
)
def test_a_base_class_of_which_only_running_would_tell_is_no_error(text: str) -> None:
    files = {
        "core/__init__.py": "import real as part\n",
        "real.py": "",
        "lib/deep.py": "def f():\n    global Base\n    Base = 1\n",
    }
    assert check({MAIN: text, **files}, constraints="torch==1.4.0\n") == []


def test_a_class_of_a_dependency_may_be_a_service() -> None:
    text = "from company import Base\nclass S(Base): pass\n"
    assert codes(text, dependencies=["company"]) == []


def test_a_copy_of_the_serving_code_in_the_package_is_not_what_is_imported() -> None:
    stub = {"model_service/__init__.py": "", "model_service/pytorch_model_service.py": "PTServingBaseService = 1\n"}
    assert check({MAIN: "from model_service import log\n" + GOOD, **stub}) == []


@pytest.mark.parametrize(
    "text",
    [
        PYTORCH + "S = type('S', (PTServingBaseService,), {})\n",
        PYTORCH + "def make():\n    class S(PTServingBaseService): pass\n    return S\nS = make()\n",
        PYTORCH + "def make():\n    class S(PTServingBaseService): pass\n    return S\nm = make\nS, T = m(), 1\n",
        PYTORCH + "def make():\n    global S\n    class S(PTServingBaseService): pass\nmake()\n",
        PYTORCH + "globals()['S'] = type('S', (PTServingBaseService,), {})\n",
        PYTORCH + "import sys\nsetattr(sys.modules[__name__], 'S', 1)\n",
        "exec('from base import *')\n",
        "import base\nS = base.make()\n",
        "from base import make\nfor S in [make()]:\n    pass\n",
        "import types\nfrom model_service import pytorch_model_service as m\n"
        "S = types.new_class('S', (m.PTServingBaseService,))\n",
        PYTORCH + "class Outer(object):\n    class S(PTServingBaseService): pass\nS = Outer.S\n",
        "from base import make\n@make\nclass S(object): pass\n",
        "from base import Meta\nclass S(object, metaclass=Meta): pass\n",
        PYTORCH + "S = (lambda: PTServingBaseService)()\n",
    ],
)
@pytest.mark.parametrize("python", ["2.7", "3.7"])
def test_a_class_that_may_be_made_while_the_code_runs_is_a_warning(text: str, python: str) -> None:
    findings = [item for item in check({MAIN: text, "base.py": ""}, python=python) if item.code != "SVC003"]
    assert [(item.code, item.severity) for item in findings] == [("SVC004", Severity.WARNING)]
    assert "only running the code tells" in findings[0].message


@pytest.mark.parametrize(
    "text",
    [
        "import os\nHERE = os.path.join(os.path.dirname(__file__), 'x')\nLABELS = open(HERE).read()\n",
        "import logging\nlogger = logging.getLogger(__name__)\n", "def load(): pass\nload()\n",
        "class Net(object): pass\nService = Net\n", PYTORCH + "Base = PTServingBaseService\n",
        "import log\nlogger = log.getLogger(__name__)\n",
        "from model_service import log\nlogger = log.getLogger(__name__)\n",
    ],
)  # fmt: skip
def test_values_from_outside_the_package_are_no_service_class(text: str) -> None:
    assert [(code, severity) for code, severity, *_ in found(text)] == [("SVC004", Severity.ERROR)]


def test_a_fault_of_a_class_that_may_not_be_the_service_is_a_warning() -> None:
    broken = method("def __init__(self): pass")
    for more in ("Base = Service\nclass S(Base): pass\n", "def d(c): return c\nS = d(Service)\n", "Service.x = 1\n",
                 "del Service\n", "def f():\n    return type('S', (Service,), {})\nS = f()\n"):  # fmt: skip
        assert [(code, severity) for code, severity, *_ in found(broken + more)] == [("SVC006", Severity.WARNING)]
    assert [severity for _, severity, *_ in found(broken + "X = len('x')\ndef f(): pass\nY = f()\n")] == [
        Severity.ERROR
    ]


def test_several_classes_of_which_one_may_be_derived_from_the_others_are_a_warning() -> None:
    two = GOOD + "class Second(PTServingBaseService):\n    pass\n"
    (finding,) = check({MAIN: two + "Both = (Service, Second)\nclass S(*Both): pass\n"})
    assert (finding.code, finding.severity) == ("SVC004", Severity.WARNING)
    (finding,) = check({MAIN: two + "def f(): pass\nX = f()\n"})
    assert (finding.code, finding.severity) == ("SVC004", Severity.ERROR)


def test_a_service_class_that_is_only_imported_is_none() -> None:
    assert [item.code for item in check({MAIN: "from base import Service\n", "base.py": GOOD})] == ["SVC004"]


def test_several_service_classes_are_named() -> None:
    (finding,) = check({MAIN: GOOD + "class Second(PTServingBaseService):\n    pass\n"})
    assert (finding.code, finding.place.line) == ("SVC004", 4)
    assert "Service, Second" in finding.message


@pytest.mark.parametrize(
    "text",
    [
        "from helpers import *\n",
        "class S(make_base()): pass\n",
        "Base = object\nclass S(Base): pass\n",
        "from compiled import Base\nclass S(Base): pass\n",
    ],
)
def test_what_only_running_would_tell_is_no_error(text: str) -> None:
    assert check({MAIN: text, "helpers.py": "", "compiled.so": b""}) == []


@pytest.mark.parametrize(
    "text",
    [
        "from model_service.model_service import SingleNodeService\nclass S(SingleNodeService):\n"
        "    def _inference(self, data): return data\n",
        "from model_service.caffe_model_service import CaffeBaseService as B\nclass S(B): pass\n",
    ],
)
def test_another_engines_base_class_is_told(text: str) -> None:
    assert [(code, severity) for code, severity, *_ in found(text)] == [("SVC005", Severity.INFO)]


# ── calls ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def method(text: str, base: str = "PTServingBaseService", module: str = "pytorch_model_service") -> str:
    lines = "".join(f"    {line}\n" for line in text.splitlines())
    return f"from model_service.{module} import {base}\nclass Service({base}):\n{lines}"


@pytest.mark.parametrize(
    "text",
    [
        "def __init__(self, model_name, model_path): pass", "def __init__(self, *args): pass",
        "def __init__(self, name, path, gpu=None): pass", "def __init__(self, name, *rest, **more): pass",
        "def _preprocess(self, data): pass", "@staticmethod\ndef _preprocess(data): pass",
        "@classmethod\ndef _inference(cls, data): pass", "def _postprocess(self, data, top=5): pass",
        "def inference(self, data): pass", "def health(self): return {}, 200", "def ping(self): pass",
        "@wrap\ndef _inference(a, b, c): pass", "def _preprocess(self, data, *, size=3): pass",
        "_inference = staticmethod(len)", "def signature(self, a, b): pass",
    ],
)  # fmt: skip
def test_methods_that_can_be_called_are_accepted(text: str) -> None:
    assert codes(method(text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "def __init__(self): pass", "def __init__(self, model_path): pass", "def __init__(self, a, b, c): pass",
        "def __init__(self, a, b, *, c): pass", "def _preprocess(self): pass", "def _preprocess(data): pass",
        "def _inference(self, data, size): pass", "@staticmethod\ndef _postprocess(self, data): pass",
        "def inference(self): pass", "def health(self, data): pass",
    ],
)  # fmt: skip
@pytest.mark.parametrize("python", ["2.7", "3.7"])
def test_methods_that_cannot_be_called_are_refused(text: str, python: str) -> None:
    if python == "2.7" and "*," in text:
        return
    findings = [item for item in found(method(text), python=python) if item[0] != "SVC003"]
    assert [(code, severity) for code, severity, *_ in findings] == [("SVC006", Severity.ERROR)]
    assert findings[0][2] == 3 + text.count("\n")


def test_the_constructors_arguments_are_those_of_the_base_class() -> None:
    mxnet = "from mms.model_service.mxnet_model_service import MXNetBaseService as B\nclass S(B):\n"
    assert codes(mxnet + "    def __init__(self, name, folder, manifest, gpu=None): pass\n") == ["SVC005"]
    assert codes(mxnet + "    def __init__(self, name, path): pass\n") == ["SVC006", "SVC005"]
    spark = method("def _inference(self, data): pass\ndef __init__(self, path): pass", "SparkServingBaseService",
                   "spark_model_service")  # fmt: skip
    assert codes(spark) == ["SVC005"]


def test_a_method_of_a_class_in_a_sibling_is_judged_too() -> None:
    base = method("def _preprocess(self): pass").replace("Service(", "Base(")
    (finding,) = check({MAIN: "from base import Base\nclass S(Base): pass\n", "base.py": base})
    assert (finding.code, finding.place.file, finding.place.line) == ("SVC006", f"model/{MAIN}", 2)
    assert "Base._preprocess" in finding.message


@pytest.mark.parametrize("name", ["preprocess", "_pre_process", "_postproces", "_Inference", "_infrence"])
def test_a_misspelt_method_is_told(name: str) -> None:
    assert [(code, severity) for code, severity, *_ in found(method(f"def {name}(self, data): pass"))] == [
        ("SVC007", Severity.WARNING)
    ]


def test_a_method_that_something_calls_is_not_misspelt() -> None:
    text = "def preprocess(self, data): pass\ndef _preprocess(self, data): return self.preprocess(data)"
    assert codes(method(text)) == []
    assert codes(method("def preprocess(self, data): pass\ndef _inference(self, d): return self.preprocess(d)")) == []


@pytest.mark.parametrize("base,module", [("SingleNodeService", "model_service")])
def test_a_base_class_without_inference_needs_one(base: str, module: str) -> None:
    spec = ServiceSpec(base_class=f"model_service.{module}:{base}", model_path="folder")
    assert codes(method("x = 1", base, module), service=spec) == ["SVC010"]
    for text in ("def _inference(self, data): pass", "def inference(self, data): pass", "_inference = f"):
        assert codes(method(text, base, module), service=spec) == []
    assert codes("import torch\n" + method("x = 1", base, module).replace("(S", "(torch.nn.Module, S"), service=spec,
                 constraints="torch==1.4.0\n") == []  # fmt: skip


# ── imports ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text",
    [
        "import os, json, collections.abc", "import numpy as np", "from numpy import array", "import log",
        "import model_service.log as log", "from model_service import log", "from mms.log import get_logger",
        "from mms.utils.mxnet import image, ndarray", "from metric.metrics_manager import MetricsManager",
        "try:\n    import nowhere\nexcept ImportError:\n    nowhere = None", "if False:\n    import nowhere",
        "def f():\n    import nowhere", "import pkg_resources", "import _socket", "from __future__ import division",
        "import utils", "from utils import x", "import core.deep", "from core import deep", "from . import utils",
        "from .utils import x", "from .core.deep import x", "from model.utils import x", "import model",
        "from model import utils", "import native", "from core import *", "from .core import anything",
    ],
)  # fmt: skip
def test_imports_that_find_something_are_accepted(text: str) -> None:
    files = {"utils.py": "", "core/__init__.py": "", "core/deep.py": "", "native.cpython-37m-x86_64-linux-gnu.so": ""}
    assert check({MAIN: text + "\n" + GOOD, **files}) == []


@pytest.mark.parametrize(
    "text",
    [
        "import nowhere", "import json, nowhere", "from nowhere import x", "import torch", "from .nowhere import x",
        "from . import nowhere", "from .. import utils", "import utils.nowhere", "import core.nowhere",
        "from model_service.pytorch_service import x", "from model_service.model_service import PTServingBaseService",
        "import cPickle", "import tomllib", "with x:\n    import nowhere",
    ],
)  # fmt: skip
def test_imports_that_find_nothing_are_refused(text: str) -> None:
    (finding,) = check({MAIN: GOOD + text + "\n", "utils.py": "", "core/__init__.py": "", "core/deep.py": ""})
    assert (finding.code, finding.severity, finding.place.line) == ("SVC008", Severity.ERROR, 4 + text.count("\n"))
    assert finding.fix


def test_a_dependency_brings_modules_and_may_bring_others() -> None:
    assert codes("import PIL, yaml\n" + GOOD, dependencies=["Pillow", "PyYAML"]) == []
    findings = found("import dateutil\n" + GOOD, dependencies=["pandas"])
    assert [(code, severity) for code, severity, *_ in findings] == [("SVC008", Severity.WARNING)]


def test_python_2_has_modules_of_its_own_and_looks_beside_the_importer() -> None:
    assert codes("import cPickle, StringIO, urllib2\n" + GOOD, python="2.7") == ["SVC003"]
    files = {MAIN: "import core.a\n" + GOOD, "core/__init__.py": "", "core/a.py": "import b\n", "core/b.py": ""}
    assert [item.code for item in check(files, python="2.7")] == ["SVC003"]
    assert [item.place.file for item in check(files)] == ["model/core/a.py"]


def test_imports_of_a_module_that_the_service_imports_are_judged_too() -> None:
    (finding,) = check({MAIN: "from net import Net\n" + GOOD, "net.py": "import torch\n", "other.py": "import x\n"})
    assert str(finding.place) == "model/net.py:1:1"


def test_a_misspelt_base_class_is_named_with_the_one_that_is_meant() -> None:
    (finding,) = check({MAIN: GOOD.replace("PTServing", "PtServing")})
    assert finding.code == "SVC008"
    assert "from model_service.pytorch_model_service import PTServingBaseService" in finding.fix


def test_a_caffe_image_has_caffe() -> None:
    assert "SVC008" not in codes("import caffe\n" + GOOD, engine="Caffe")
    assert "SVC008" in codes("import caffe\n" + GOOD)


def test_the_standard_library_is_known_by_version() -> None:
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    skipped = ("antigravity", "this", "nt", "xx", "win", "msi", "msvcrt", "nturl2path", "turtle")
    names = {name for name in sys.stdlib_module_names if not name.startswith(skipped)}
    assert [name for name in sorted(names) if not is_standard(name, own)] == []
    assert is_standard("distutils", "3.11")
    assert not is_standard("distutils", "3.12")
    assert not is_standard("dataclasses", "3.6")
    assert not is_standard("pathlib", "2.7")


def test_the_modules_of_the_serving_code_are_those_that_are_there() -> None:
    folder = ROOT / "include/runtimes/serving"
    modules = {path.relative_to(folder).with_suffix("").as_posix().replace("/", ".") for path in folder.rglob("*.py")}
    modules = {name.removesuffix(".__init__") for name in modules}
    assert set(SERVING_MODULES) <= modules
    for module, classes in SERVING_MODULES.items():
        path = folder / (module.replace(".", "/") + ".py")
        assert all(f"class {name}(" in path.read_text(encoding="utf-8") for name in classes)
    bases = {name for name in modules if name.endswith("_model_service") or name == "model_service.model_service"}
    assert {name for name, classes in SERVING_MODULES.items() if classes} == bases


# ── modules in other folders ─────────────────────────────────────────────────────────────────────────────────────────

#: Ways to have modules looked for in `lib`.
EXTENSIONS = [
    "import os, sys\nsys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'lib'))",
    "import sys\nsys.path.append('/home/mind/model/lib')", "import sys\nsys.path.insert(0, './model/lib')",
    "import os, sys\nsys.path.extend([os.path.join(os.getcwd(), 'model', 'lib')])", "import sys\nsys.path += ['lib']",
    "import sys\nsys.path = ['lib'] + sys.path", "import sys\nsys.path[0:0] = ['lib']",
    "import sys as s\ns.path.append('lib')", "from sys import path\npath.append('lib')",
    "from sys import path as p, argv\np.append('lib')", "from sys import *\npath.append('lib')",
    "import site\nsite.addsitedir('lib')", "from site import addsitedir as add\nadd('lib')",
    "import sys\np = sys.path\np.append('lib')", "import sys\ns = sys\ns.path.append('lib')",
    "import sys\ngetattr(sys, 'path').append('lib')", "import os\nos.sys.path.append('lib')",
    "__import__('sys').path.append('lib')", "import sys\nif 'lib' not in sys.path:\n    sys.path.append('lib')",
    "import sys\ndef add():\n    sys.path.append('lib')\nadd()", "exec('import sys; sys.path.append(\"lib\")')",
    "import paths", "from .paths import x", "import paths as p\np.add()",
    "try:\n    import paths\nexcept ImportError:\n    pass", "import importlib\nimportlib.import_module('paths')",
    "def f():\n    import paths\nf()",
    "if __name__ == '__main__':\n    pass\nelse:\n    import sys\n    sys.path.append('lib')",
]  # fmt: skip
PATHS = "import sys\nx = 1\nsys.path.append('lib')\n"


@pytest.mark.parametrize("text", EXTENSIONS)
@pytest.mark.parametrize("python", ["2.7", "3.7"])
def test_a_module_in_a_folder_that_the_code_may_add_is_found(text: str, python: str) -> None:
    files = {"paths.py": PATHS, "lib/helper.py": "import beside\n", "lib/beside.py": "", "lib/parts/one.py": ""}
    main = text + "\nimport helper\nfrom helper import x\nimport parts.one\n" + GOOD
    assert {item.code for item in check({MAIN: main, **files}, python=python)} <= {"SVC003"}


@pytest.mark.parametrize("text", EXTENSIONS)
def test_a_module_that_no_folder_of_the_package_has_may_lie_elsewhere(text: str) -> None:
    main = text + "\nimport nowhere\n" + GOOD
    (finding,) = check({MAIN: main, "paths.py": PATHS, "lib/helper.py": ""})
    assert (finding.code, finding.severity) == ("SVC008", Severity.WARNING)
    assert "may find one there" in finding.message


@pytest.mark.parametrize(
    "text",
    [
        "import os\nos.path.join('a')", "import sys\nsys.argv.append('lib')", "# sys.path.append('lib')",
        "import sys\nif __name__ == '__main__':\n    sys.path.append('lib')", "import sys\nhasattr(sys, 'frozen')",
        "import sys\nreload = len\nreload(sys)", "import sys\nx = sys.modules[__name__]", "x = 'sys.path'",
        "from sys import argv, version_info", "import sys as s\ns.exit",
    ],
)  # fmt: skip
def test_a_module_in_a_folder_that_nothing_adds_is_named_with_the_import_that_finds_it(text: str) -> None:
    files = {"lib/helper.py": "", "train.py": PATHS}
    (finding,) = check({MAIN: text + "\nimport helper\n" + GOOD, **files})
    assert (finding.code, finding.severity) == ("SVC008", Severity.ERROR)
    assert "model/lib/helper.py" in finding.message
    assert "`from lib import helper`" in finding.fix
    assert "sys.path" in finding.fix


@pytest.mark.parametrize(
    "text,files,fix",
    [
        ("from helper import x", ["lib/helper.py"], "`from lib.helper import x`"),
        ("from helper import x, y", ["lib/helper/__init__.py"], "`from lib.helper import x, …`"),
        ("import helper.part", ["lib/helper/part.py"], "`import lib.helper.part`"),
        ("import helper", ["my-lib/helper.py"], "Add its folder to `sys.path`"),
        ("import helper", ["json/helper.py"], "Add its folder to `sys.path`"),
        ("import helper", ["a/b/helper.py", "z/helper.py"], "`from z import helper`"),
    ],
)
def test_the_remedy_fits_what_the_import_asks_for(text: str, files: list[str], fix: str) -> None:
    (finding,) = check({MAIN: text + "\n" + GOOD, **dict.fromkeys(files, "")})
    assert fix in finding.fix


def test_python_2_finds_a_module_in_a_folder_only_where_that_is_a_package() -> None:
    files: dict[str, str | bytes] = {MAIN: "import helper\n" + GOOD, "lib/helper.py": ""}
    assert "from lib" not in next(item for item in check(files, python="2.7") if item.code == "SVC008").fix
    files["lib/__init__.py"] = ""
    assert "from lib" in next(item for item in check(files, python="2.7") if item.code == "SVC008").fix


def test_a_module_that_is_found_this_way_is_judged_as_one_beside_the_service() -> None:
    main = PATHS + "import helper\n" + GOOD
    (finding,) = check({MAIN: main, "lib/helper.py": "print 'x'\n"})
    assert (finding.code, finding.severity, finding.place.file) == ("SVC002", Severity.ERROR, "model/lib/helper.py")
    effects = check({MAIN: main, "lib/helper.py": "import os\nos.system('x')\nimport nowhere\n"})
    assert sorted(item.code for item in effects) == ["SVC008", "SVC009"]


@pytest.mark.parametrize("options", [{"dependencies": ["other"]}, {}])
def test_one_of_several_modules_of_a_name_may_never_run(options: dict[str, Any]) -> None:
    files = {"lib/helper.py": "print 'x'\n"} | ({} if options else {"old/helper.py": ""})
    (finding,) = check({MAIN: PATHS + "import helper\n" + GOOD, **files}, **options)
    assert (finding.code, finding.severity) == ("SVC002", Severity.WARNING)


def test_a_module_of_the_runtime_is_not_looked_for_in_the_package() -> None:
    files = {"lib/numpy/__init__.py": "print 'x'\n", "lib/json.py": "print 'x'\n"}
    findings = check({MAIN: PATHS + "import numpy, json\n" + GOOD, **files})
    assert {item.severity for item in findings} == {Severity.WARNING}


def test_a_service_may_be_derived_from_a_class_in_a_folder_that_the_code_adds() -> None:
    broken = GOOD.replace("pass", "def __init__(self): pass")
    main = PATHS + "from base import Service\nclass S(Service): pass\n"
    assert check({MAIN: main, "lib/base.py": GOOD}) == []
    assert [item.code for item in check({MAIN: main, "lib/base.py": broken})] == ["SVC006"]


def test_sys_path_has_no_say_in_what_lies_inside_a_package() -> None:
    for text in ("from .nowhere import x", "from model_service.model_service import PTServingBaseService"):
        (finding,) = check({MAIN: PATHS + text + "\n" + GOOD})
        assert (finding.code, finding.severity) == ("SVC008", Severity.ERROR)
    (finding,) = check({MAIN: "import sys\nsys.modules['x'] = sys\nfrom .nowhere import x\n" + GOOD})
    assert (finding.code, finding.severity) == ("SVC008", Severity.WARNING)


@pytest.mark.parametrize(
    "text", ["import sys\nsys.modules['nowhere'] = 1", "import imp\nimp.load_source('nowhere', 'lib/x.py')"]
)
def test_a_module_that_the_code_may_make_is_a_warning(text: str) -> None:
    assert [(code, severity) for code, severity, *_ in found(text + "\nimport nowhere\n" + GOOD)] == [
        ("SVC008", Severity.WARNING)
    ]


def test_a_package_may_look_for_its_modules_elsewhere() -> None:
    files = {"core/__init__.py": "__path__.append('x')\n", "x/deep.py": ""}
    (finding,) = check({MAIN: "import core.deep\n" + GOOD, **files})
    assert (finding.code, finding.severity) == ("SVC008", Severity.WARNING)


# ── effects ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text",
    [
        "import os\nos.system('pip install x')", "import subprocess as s\ns.check_call(['x'])",
        "from subprocess import Popen\nPopen('x').wait()", "import requests\nrequests.get('http://x')",
        "open('x', 'w').write('y')", "import os\nif not os.path.exists('x'):\n    os.makedirs('x')",
        "import sys\nsys.exit()", "import shutil\nclass A(object):\n    x = shutil.rmtree('y')", "x = input()",
        "import pip\npip.main(['install', 'x'])",
    ],
)  # fmt: skip
def test_effects_at_import_are_told(text: str) -> None:
    findings = found(GOOD + text + "\n", constraints="requests==2.0\n")
    assert [(code, severity) for code, severity, *_ in findings] == [("SVC009", Severity.WARNING)]
    assert findings[0][2] > 3


@pytest.mark.parametrize(
    "text",
    [
        "import os\nos.environ['X'] = '1'\nHERE = os.path.dirname(os.path.abspath(__file__))",
        "import sys\nsys.path.append('x')", "import logging\nlogging.basicConfig()", "LABELS = open('x').read()",
        "import warnings\nwarnings.filterwarnings('ignore')", "import os\ndef f():\n    os.system('x')",
        "import os\nif __name__ == '__main__':\n    os.remove('x')", "import os\nf = lambda: os.remove('x')",
    ],
)  # fmt: skip
def test_ordinary_statements_at_import_are_accepted(text: str) -> None:
    assert codes(GOOD + text + "\n") == []


# ── the whole ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_all_findings_come_at_once() -> None:
    text = "import nowhere\nimport os\nos.remove('x')\n" + method(
        "def __init__(self): pass\ndef preprocess(self): pass"
    )
    assert sorted(codes(text)) == ["SVC006", "SVC007", "SVC008", "SVC009"]


def test_code_of_the_projects_own_packages_has_no_fault() -> None:
    for folder in (ROOT / "examples").glob("*/"):
        files = {path.name: path.read_bytes() for path in folder.glob("*.py") if path.name != "train.py"}
        if MAIN in files:
            # An example is made for its own engine's runtime, which has its libraries.
            findings = check(dict(files), engine="Caffe", dependencies=["numpy"])
            assert {item.code for item in findings if item.severity is not Severity.WARNING} <= {"SVC005"}, folder.name


def test_an_outline_of_this_very_file_can_be_taken() -> None:
    from parso.grammar import load_grammar

    with open(__file__, encoding="utf-8") as file:
        outline = outline_of(load_grammar(version="3.11").parse(file.read()))
    assert "MAIN" in outline.names
    assert "pytest" in [item.module for item in outline.imports]


def test_a_package_with_broken_code_is_refused_before_anything_is_built() -> None:
    error = rejected(iris_files(model__customize_service_dot_py=b"class Service(:\n"))
    assert [item.code for item in error.findings] == ["SVC002"]
    assert noticed(iris_files(model__train_dot_py=b"print 'x'\n")) == ["SVC002"]
    assert noticed(iris_files(model__customize_service_dot_py=SERVICE)) == []
