"""Inference code is read without running it, as a whole."""

from __future__ import annotations

from airlock.domain.findings import Severity
from airlock.domain.service_code.outline import outline_of
from tests.unit.given import ROOT, SERVICE, iris_files
from tests.unit.service_code.code_checks import MAIN, check, codes, method
from tests.unit.test_step_validate import noticed, rejected

#: Calls, a name, an import and an effect that are wrong.
FAULTS = "import nowhere\nimport os\nos.remove('x')\n" + method("def __init__(self): pass\ndef preprocess(self): pass")


def test_all_findings_come_at_once() -> None:
    assert sorted(codes(FAULTS)) == ["SVC006", "SVC007", "SVC008", "SVC009"]


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
    assert "FAULTS" in outline.names
    assert "tests.unit.given" in [item.module for item in outline.imports]


def test_a_package_with_broken_code_is_refused_before_anything_is_built() -> None:
    error = rejected(iris_files(model__customize_service_dot_py=b"class Service(:\n"))
    assert [item.code for item in error.findings] == ["SVC002"]
    assert noticed(iris_files(model__train_dot_py=b"print 'x'\n")) == ["SVC002"]
    assert noticed(iris_files(model__customize_service_dot_py=SERVICE)) == []
