"""Inference code must compile for its runtime's Python, in whatever encoding it is written."""

from __future__ import annotations

import time
from typing import Any

import pytest

from airlock.domain.findings import Severity
from airlock.domain.service_code.checking import MAX_CODE_BYTES
from tests.unit.service_code.code_checks import GOOD, MAIN, check, codes, found


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
