"""Every folder below tests/packages/reject is a package that is refused, and says by which step and why."""

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


def refused_by(line: Line) -> tuple[str, PermanentError]:
    """The step that refuses and its error."""
    accepted = line.accept()
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
    assert len(CASES) >= 35


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_package_is_refused_as_expected(case: Path) -> None:
    expected: dict[str, Any] = json.loads((case / "expected.json").read_text(encoding="utf-8"))
    assert set(expected) == {"step", "codes", "message_contains"}
    step, error = refused_by(Line(package_of(case)))
    errors = [item for item in error.findings if item.is_error] if isinstance(error, Rejected) else []
    codes = sorted(item.code for item in errors) or [error.code]
    assert (step, codes) == (expected["step"], expected["codes"])
    assert error.code in codes
    for text in expected["message_contains"]:
        assert text in str(error)
    # Each error says what to change.
    assert all(item.fix for item in errors) if errors else error.remedy
