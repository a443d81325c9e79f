"""Inference code is read without running it, and only what is certain is an error."""

from __future__ import annotations

import pytest

from airlock.domain.findings import Severity
from airlock.domain.service_code import MAX_CODE_BYTES, check_code
from tests.unit.given import SERVICE, iris_files
from tests.unit.test_step_validate import noticed, rejected

FILE = "model/customize_service.py"


def found(data: bytes, path: str = FILE, python: str = "3.9") -> list[tuple[str, Severity, int, int]]:
    return [
        (item.code, item.severity, item.place.line, item.place.column)
        for item in check_code(path, data, python, (3, 11))
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"", SERVICE, b"\xef\xbb\xbfx = 1\n", "# -*- coding: gbk -*-\nx = '模型'\n".encode("gbk"), b"x = '\\d'\r\n",
        b"async def f():\n    await x\n", b"raise SystemExit\n", b"import os; os.system('exit 1')\n",
    ],
)  # fmt: skip
def test_code_that_compiles_is_accepted_and_not_run(data: bytes) -> None:
    assert found(data) == []


def test_code_that_does_not_compile_is_named_with_its_place() -> None:
    assert found(b"x = 1\nclass Service(:\n") == [("SVC002", Severity.ERROR, 2, 15)]
    assert found(b"print 'x'\n")[0][:3] == ("SVC002", Severity.ERROR, 1)


@pytest.mark.parametrize(
    "data", [b"x = '\xff'\n", b"x\x00y", b"(" * 5000, b"# coding: nothing\n", b" " * (MAX_CODE_BYTES + 1)]
)
def test_unreadable_code_is_refused_and_survived(data: bytes) -> None:
    assert [code for code, *_ in found(data)] == ["SVC002"]


def test_a_module_that_may_never_be_imported_is_a_warning() -> None:
    assert found(b"print 'x'\n", "model/old/train.py")[0][:2] == ("SVC002", Severity.WARNING)


@pytest.mark.parametrize("python", ["2.7", "3.6", "3.13"])
def test_another_python_is_left_to_the_test_of_the_service(python: str) -> None:
    assert [code for code, *_ in found(b"print 'x'\n", python=python)] == ["SVC003"]
    assert found(b"print 'x'\n", "model/utils.py", python) == []


def test_a_package_with_broken_code_is_refused_before_anything_is_built() -> None:
    error = rejected(iris_files(model__customize_service_dot_py=b"class Service(:\n"))
    assert [item.code for item in error.findings] == ["SVC002"]
    assert noticed(iris_files(model__train_dot_py=b"print 'x'\n")) == ["SVC002"]
