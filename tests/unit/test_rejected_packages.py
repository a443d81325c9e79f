"""Every folder below tests/packages/reject is a package that is refused, and says by which step and why.

`package/` holds its files. What no file of a repository can be stands in `request.json`: `objects`, further objects
with any name, each a text or a number of spaces, and `conf`, further fields of the request.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airlock.errors import PermanentError, Rejected
from tests.unit.given import ROOT
from tests.unit.line import Line

CASES = sorted((ROOT / "tests/packages/reject").iterdir())


def package_of(case: Path) -> dict[str, bytes]:
    folder = case / "package"
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def request_of(case: Path) -> dict[str, Any]:
    path = case / "request.json"
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    assert set(value) <= {"conf", "objects"}
    return value


def objects_of(case: Path) -> dict[str, bytes]:
    objects = request_of(case).get("objects", {})
    return {key: b" " * value if isinstance(value, int) else value.encode() for key, value in objects.items()}


def refused_by(line: Line, **conf: Any) -> tuple[str, PermanentError]:
    """The step that refuses and its error."""
    try:
        accepted = line.accept(**conf)
    except PermanentError as error:
        return "accept", error
    try:
        package = line.fetch(accepted)
    except PermanentError as error:
        return "fetch", error
    try:
        validated = line.validate(accepted, package)
    except PermanentError as error:
        return "validate", error
    with pytest.raises(PermanentError) as caught:
        line.detect(accepted, package, validated)
    return "detect", caught.value


def test_there_are_cases() -> None:
    assert len(CASES) >= 120


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_package_is_refused_as_expected(case: Path) -> None:
    expected: dict[str, Any] = json.loads((case / "expected.json").read_text(encoding="utf-8"))
    assert set(expected) == {"step", "codes", "message_contains"}
    line = Line({**package_of(case), **objects_of(case)})
    step, error = refused_by(line, **request_of(case).get("conf", {}))
    # Nothing is left behind: no package of what was refused before it was whole.
    assert bool(line.store.manifests) == (step not in ("accept", "fetch"))
    errors = [item for item in error.findings if item.is_error] if isinstance(error, Rejected) else []
    codes = sorted(item.code for item in errors) or [error.code]
    assert (step, codes) == (expected["step"], expected["codes"])
    assert error.code in codes
    for text in expected["message_contains"]:
        assert text in str(error)
    # Each error says what to change.
    assert all(item.fix for item in errors) if errors else error.remedy
