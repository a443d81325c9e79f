"""What inference code imports must be there: in the package, its dependencies, or the runtime."""

from __future__ import annotations

import sys

import pytest

from airlock.domain.findings import Severity
from airlock.domain.service_code.module_names import SERVING_MODULES, is_standard
from tests.unit.given import ROOT
from tests.unit.service_code.code_checks import GOOD, MAIN, check, codes, found


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
