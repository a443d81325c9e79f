"""The service class is found without running the code, and only what is certain is an error."""

from __future__ import annotations

import pytest

from airlock.domain.findings import Severity
from tests.unit.service_code.code_checks import GOOD, MAIN, PYTORCH, check, codes, found, method

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
