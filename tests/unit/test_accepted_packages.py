"""Every folder below tests/packages/accept is a package as there are many in the wild: taken, with the words it is due.

What each of them answers is tested by tests/serving and, where it needs an engine, by tests/dag.
"""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from airlock.adapters.catalogue_files import load_catalogue
from airlock.domain.catalogue import Catalogue
from airlock.domain.findings import Severity
from tests.unit.given import ROOT
from tests.unit.line import Line
from tests.unit.test_rejected_packages import package_of

FOLDER = ROOT / "tests/packages/accept"
CASES = sorted(path for path in FOLDER.iterdir() if path.is_dir())


@functools.cache
def catalogue() -> Catalogue:
    return load_catalogue(ROOT / "include")


def expected(case: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((case / "expected.json").read_text(encoding="utf-8"))
    return value


def table() -> dict[str, tuple[str, list[str]]]:
    """Quirk → what it is, and the cases that have it, from the table in the README."""
    found = {}
    for line in (FOLDER / "README.md").read_text(encoding="utf-8").splitlines():
        row = re.fullmatch(r"\| `([a-z0-9-]+)` \| (.+) \| (.+) \|", line)
        if row:
            found[row[1]] = (row[2], re.findall(r"`([a-z0-9-]+)`", row[3]))
    return found


def test_there_are_cases() -> None:
    assert len(CASES) >= 25


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_package_is_taken_with_the_words_it_is_due(case: Path) -> None:
    line = Line(package_of(case), catalogue())
    accepted = line.accept()
    package = line.fetch(accepted)
    validated = line.validate(accepted, package)
    assert sorted({item.code for item in validated.findings}) == expected(case)["codes"]
    assert all(item.severity is not Severity.ERROR for item in validated.findings)
    detection = line.detect(accepted, package, validated)
    assert detection.engine == validated.config.model_type


def test_every_quirk_has_its_row_and_every_row_its_cases() -> None:
    used: dict[str, list[str]] = {}
    for case in CASES:
        for quirk in expected(case)["quirks"]:
            used.setdefault(quirk, []).append(case.name)
    assert {quirk: cases for quirk, (_, cases) in table().items()} == used


def test_every_case_says_what_it_shows_and_what_it_answers() -> None:
    for case in CASES:
        told = expected(case)
        assert set(told) <= {"quirks", "codes", "served", "calls"}
        assert told.get("served") in (None, "in a container", "by an import")
        assert told["quirks"]
        assert told["calls"] or list((case / "package/model/samples").glob("*.json")), case.name
