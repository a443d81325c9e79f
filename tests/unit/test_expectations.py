from __future__ import annotations

import json
from pathlib import Path

import pytest

from airlock.domain.answer_tables import MAX_VALUES, answer_rows, output_rows
from airlock.domain.expectations import ExpectationResult
from airlock.domain.findings import Severity
from airlock.domain.smoke import HttpRequest, HttpResponse, Sample
from airlock.errors import SmokeFailed
from tests.unit.line import Line

REQUEST = HttpRequest(method="POST", path="/", content_type="application/json", body=b"{}")
SAMPLE = Sample(name="iris", request=REQUEST)
SUITES = Path(__file__).parents[2] / "include" / "specs" / "expectations"


def answer(body: str) -> HttpResponse:
    return HttpResponse(status=200, content_type="application/json", body=body.encode(), seconds=0.5)


def unmet(severity: Severity, says: str = "Scores are at most 1.") -> ExpectationResult:
    return ExpectationResult(
        says=says, expectation="expect_x", column="number", severity=severity, met=False, observed="2 of 3 values"
    )


def test_each_answer_is_a_row_and_says_whether_it_changed() -> None:
    rows = answer_rows([(SAMPLE, answer("[1]"))], [answer("[1]"), answer("[2]")])
    assert [(row["turn"], row["request"], row["bytes"], row["same"]) for row in rows] == [
        ("checked", "iris", 3, True),
        ("timed", "iris", 3, True),
        ("timed", "iris", 3, False),
    ]


def test_each_value_of_an_answer_is_a_row_with_its_place() -> None:
    rows = output_rows([(SAMPLE, answer('{"a": [1, "x"], "b": {"c": true, "d": null}, "e": {}, "f": NaN}'))])
    assert [(row["path"], row["kind"], row["number"], row["finite"]) for row in rows] == [
        ("/a/0", "number", 1.0, True),
        ("/a/1", "text", None, True),
        ("/b/c", "boolean", None, True),
        ("/b/d", "null", None, True),
        ("/f", "number", pytest.approx(float("nan"), nan_ok=True), False),
    ]


@pytest.mark.parametrize(
    "body,count",
    [
        (json.dumps(list(range(MAX_VALUES + 5))), MAX_VALUES),
        ("[" * 900 + "1" + "]" * 900, 1),
        ("no JSON", 1),
        ("", 1),
        ("1e999", 1),
        ("9" * 400, 1),
    ],
    ids=["long", "deep", "text", "empty", "huge float", "huge integer"],
)
def test_no_answer_is_too_much_for_the_table(body: str, count: int) -> None:
    assert len(output_rows([(SAMPLE, answer(body))])) == count


def test_the_answers_of_a_test_are_judged_and_the_report_kept() -> None:
    line = Line()
    line.expectations.unmet["outputs"] = (unmet(Severity.WARNING),)
    report = line.smoke(line.until_built())
    assert [suite.suite for suite in report.suites] == ["answers", "outputs"]
    assert [result.says for result in report.suites[1].unmet(Severity.WARNING)] == ["Scores are at most 1."]
    turns = [row["turn"] for row in line.expectations.tables["answers"]]
    assert report.latency is not None
    assert report.concurrent is not None
    assert turns.count("timed") == report.latency.requests + report.concurrent.requests
    assert turns.count("checked") >= 1
    assert line.expectations.judges == 0


def test_an_expectation_that_is_not_met_fails_the_import_and_says_what_was_seen() -> None:
    line = Line()
    line.expectations.unmet["outputs"] = (unmet(Severity.ERROR), unmet(Severity.INFO, "Nothing."))
    with pytest.raises(SmokeFailed, match=r"SMK016.*do not meet 1 of") as caught:
        line.smoke(line.until_built())
    assert "Scores are at most 1. (outputs: 2 of 3 values)" in caught.value.message
    assert "include/specs/expectations" in caught.value.remedy
    assert line.backend.running == []
    assert line.expectations.judges == 0


@pytest.mark.parametrize("path", sorted(SUITES.glob("*.json")), ids=lambda path: path.stem)
def test_every_expectation_of_the_project_is_a_sentence_with_a_weight(path: Path) -> None:
    suite = json.loads(path.read_bytes())
    assert suite["name"] == path.stem
    assert suite["expectations"]
    for each in suite["expectations"]:
        assert each["meta"]["says"].endswith(".")
        assert each["severity"] in ("critical", "warning", "info")
