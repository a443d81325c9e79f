"""Findings: one line each, printable whatever came from outside."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlock.domain.findings import (
    MAX_TOLD,
    MAX_TOLD_IN_ALL,
    Finding,
    Findings,
    Place,
    Severity,
    by_weight,
    finding,
    has_errors,
    shown,
)


def test_a_line_names_code_place_sentence_value_and_remedy() -> None:
    item = finding(
        "CFG007",
        "No engine has this name.",
        place=Place(file="model/config.json", pointer="/model_type", line=2, column=17),
        value="Sklearn",
        fix="Did you mean 'Scikit_Learn'?",
    )
    assert item.line() == (
        "CFG007 model/config.json:2:17 /model_type: No engine has this name. (found: Sklearn) "
        "Did you mean 'Scikit_Learn'?"
    )


def test_the_rules_own_severity_and_remedy_hold_where_none_is_given() -> None:
    item = finding("PKG010", "Two objects lie outside.")
    assert (item.severity, item.fix) == (Severity.INFO, "Nothing needs to be done.")
    assert item.line() == "PKG010 Two objects lie outside. Nothing needs to be done."


def test_a_code_that_no_rule_has_is_a_bug_of_the_caller() -> None:
    with pytest.raises(KeyError):
        finding("XXX999", "No.")


@pytest.mark.parametrize(
    "value,text",
    [
        ("plain é 名", "plain é 名"),
        ("a\nb\x1b[31m", "a\\nb\\x1b[31m"),
        ("\u202e\u2066", "\\u202e\\u2066"),
        ("\ud800", "\\ud800"),
        ({"a": "\n"}, "{'a': '\\n'}"),
        ("x" * 80, "x" * 80),
        ("x" * 81, "x" * 80 + "…"),
    ],
)
def test_values_are_shown_escaped_and_short(value: object, text: str) -> None:
    assert shown(value) == text


@given(st.text(), st.text(), st.text())
def test_every_line_can_be_printed_and_stored_as_one(file: str, pointer: str, value: str) -> None:
    line = finding("CFG011", "Read over.", place=Place(file=file, pointer=pointer), value=value).line()
    assert line.isprintable()
    line.encode()


def test_a_place_is_never_longer_than_a_log_line_bears() -> None:
    assert len(str(Place(file="f" * 5000, pointer="/" + "p" * 5000, line=1, column=1))) < 700


def test_errors_come_first_then_file_line_and_code() -> None:
    first, second = Place(file="a", line=1), Place(file="a", line=2)
    findings = [
        finding("PKG010", "Info."),
        finding("CFG011", "Warning.", place=first),
        finding("CFG006", "Error.", place=second),
        finding("CFG005", "Error.", place=second),
        finding("CFG009", "Error.", place=first),
    ]
    expected = ["CFG009", "CFG005", "CFG006", "CFG011", "PKG010"]
    assert [item.code for item in by_weight(findings)] == expected
    assert [item.code for item in by_weight(reversed(findings))] == expected


def at(file: str, line: int, code: str = "CFG011", severity: Severity | None = None) -> Finding:
    return finding(code, "Read over.", place=Place(file=file, line=line), severity=severity)


def test_of_many_alike_in_a_file_the_first_are_kept_and_the_others_counted() -> None:
    told = Findings(at("a", line) for line in range(1, 1_001))
    assert [item.place.line for item in told] == list(range(1, MAX_TOLD + 2))
    (rest,) = (item for item in told if item.more)
    assert (rest.code, rest.severity, rest.count) == ("CFG011", Severity.WARNING, 950)
    assert rest.line().startswith("CFG011 a:51: And 950 more like it. ")
    assert sum(item.count for item in told) == 1_000


def test_findings_of_another_code_severity_or_file_are_not_alike() -> None:
    told = Findings(at("a", line) for line in range(1, 101))
    told.extend([at("b", 1), at("a", 200, "CFG012"), at("a", 201, severity=Severity.ERROR)])
    assert [item.place.line for item in told if not item.more][MAX_TOLD:] == [1, 200, 201]
    assert has_errors(told)


def test_nothing_is_made_of_what_is_left_out() -> None:
    asked = []

    def place() -> Place:
        asked.append(1)
        return Place(file="a", line=len(asked))

    told = Findings(file="a")
    for _ in range(1_000):
        told.note("CFG011", "Read over.", place=place)
    assert len(asked) == MAX_TOLD + 1
    told.note("CFG002", "A comment is read over.", place=Place(file="a"), count=7)
    assert [item.count for item in told if item.code == "CFG002"] == [1, 6]


def test_a_report_is_bounded_however_many_files_there_are() -> None:
    told = Findings(at(f"f{number:05}", line) for number in range(3_000) for line in range(1, 61))
    of_one = [item.count for item in told if item.place.file == "f02999"]
    assert of_one == [60]
    report = by_weight(told)
    assert len(report) < MAX_TOLD_IN_ALL + 10
    assert sum(item.count for item in report) == 180_000
    assert by_weight(report) == report
    assert by_weight(reversed(report)) == report


def test_only_errors_refuse() -> None:
    assert has_errors([finding("CFG006", "Error.")])
    assert not has_errors([finding("CFG011", "Warning."), finding("PKG010", "Info.")])
