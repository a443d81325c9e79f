"""Modules in other folders, which code puts on `sys.path`, are found without running it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from airlock.domain.findings import Severity
from tests.unit.service_code.code_checks import GOOD, MAIN, check, found

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
def test_an_import_above_the_change_that_would_find_it_is_a_warning_with_both_lines(text: str) -> None:
    main = "import os\nimport helper\n\n" + text + "\nimport beside\n" + GOOD
    found = check({MAIN: main, "paths.py": PATHS, "lib/helper.py": "", "lib/beside.py": ""})
    if "paths" in text:
        # Another file changes it, and may have run before.
        assert found == []
        return
    (finding,) = found
    assert (finding.code, finding.severity, finding.place.line) == ("SVC008", Severity.WARNING, 2)
    lines = text.split("\n")
    first = next(4 + at for at, line in enumerate(lines) if re.search(r"path|exec|addsitedir|s = sys|sys import", line))
    assert f"Line 2 imports `helper` before line {first} changes" in finding.message
    assert "model/lib/helper.py" in finding.message
    assert finding.fix == f"Move the import below line {first}, or the change above it."


@pytest.mark.parametrize(
    "text",
    [
        # What is found without the change, what may be, and what need not be.
        "import numpy\nimport sys\nsys.path.append('lib')", "import flat\nimport sys\nsys.path.append('lib')",
        "from lib import helper\nimport sys\nsys.path.append('lib')",
        "try:\n    import helper\nexcept ImportError:\n    import sys\n    sys.path.append('lib')\n    import helper",
        "def f():\n    import helper\nimport sys\nsys.path.append('lib')",
        "import sys\nprint(sys.path)\nimport helper\nsys.path.append('lib')",
        "import sys\ndef add():\n    sys.path.append('lib')\nadd()\nimport helper\nsys.path.append('lib')",
        "import sys\nif sys.version_info > (3,):\n    import helper\nsys.path.append('lib')",
        "import sys; sys.path.append('lib'); import helper; sys.path.append('b')",
        "import helper\nif __name__ == '__main__':\n    pass\nimport paths",
    ],
)  # fmt: skip
def test_an_import_that_may_find_its_module_is_told_nothing(text: str) -> None:
    files = {"paths.py": PATHS, "flat.py": "", "lib/helper.py": "", "lib/numpy.py": ""}
    assert check({MAIN: text + "\n" + GOOD, **files}) == []


def test_an_import_above_the_change_is_told_in_any_file_and_not_where_a_dependency_may_have_it() -> None:
    first = "import helper\nimport sys; sys.path.append('lib')\n"
    (finding,) = check({MAIN: "import first\n" + GOOD, "first.py": first, "lib/helper.py": ""})
    assert (finding.code, finding.place.file, finding.place.line) == ("SVC008", "model/first.py", 1)
    assert check({MAIN: first + GOOD, "lib/helper.py": ""}, dependencies=["other"]) == []


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
