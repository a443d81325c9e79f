"""Findings: one line each, printable whatever came from outside."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlock.domain.findings import Place, Severity, by_weight, finding, has_errors, shown


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


def test_only_errors_refuse() -> None:
    assert has_errors([finding("CFG006", "Error.")])
    assert not has_errors([finding("CFG011", "Warning."), finding("PKG010", "Info.")])
