from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airlock.adapters.clock import SystemClock
from airlock.adapters.expectations import ExpectationSuites, SuiteJudge
from airlock.domain.answer_tables import answer_rows, output_rows
from airlock.domain.findings import Severity
from airlock.domain.smoke import HttpRequest, HttpResponse, Sample
from airlock.errors import BackendUnavailable, SettingInvalid
from tests.conftest import ROOT

SUITES = ROOT / "include" / "specs" / "expectations"
CLOCK = SystemClock()
REQUEST = HttpRequest(method="POST", path="/", content_type="application/json", body=b"{}")
ROWS = [{"a": 1, "b": "m1"}, {"a": 2, "b": "<script>alert(1)</script>"}, {"a": None, "b": "m"}]


def answer(body: str = '{"data": {"resp_data": [{"score": 0.5}]}}', status: int = 200, seconds: float = 0.01) -> Any:
    return HttpResponse(status=status, content_type="application/json", body=body.encode(), seconds=seconds)


def tables(*answers: HttpResponse) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    checked = [(Sample(name=f"sample {number}", request=REQUEST), each) for number, each in enumerate(answers)]
    return answer_rows(checked, [answers[0]] * 3), output_rows(checked)


@pytest.fixture(scope="module")
def suites(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's suites, and room for a test's own."""
    folder = tmp_path_factory.mktemp("expectations")
    shutil.copytree(SUITES, folder, dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def judge(suites: Path) -> Iterator[SuiteJudge]:
    with ExpectationSuites(suites, CLOCK).judging() as judge:
        judge.ready()
        yield judge


def own(folder: Path, *expectations: dict[str, Any]) -> str:
    (folder / "own.json").write_text(json.dumps({"name": "own", "expectations": list(expectations)}))
    return "own"


def test_answers_as_they_should_be_meet_the_projects_suites(judge: SuiteJudge) -> None:
    answers, outputs = tables(answer(), answer('{"text": "语", "yes": true, "rows": [1, 2.5, null]}'))
    for name, rows in (("answers", answers), ("outputs", outputs)):
        report = judge.judge(name, rows)
        expected = len(json.loads((SUITES / f"{name}.json").read_bytes())["expectations"])
        assert len(report.results) == expected
        assert [result.says for result in report.results if not result.met] == []
        assert report.rows == len(rows)


@pytest.mark.parametrize(
    "given,severity,says",
    [
        (answer(status=500), Severity.ERROR, "Every answer has status 200."),
        (answer(seconds=41.0), Severity.ERROR, "No answer took more than 40 s."),
        (answer(seconds=25.0), Severity.WARNING, "Half of the answers took at most 10 s, and 95 of 100 at most 20 s."),
        (answer(""), Severity.ERROR, "No answer is empty, and none is longer than 16 MiB."),
    ],
)
def test_an_answer_that_is_not_as_expected_is_named(
    judge: SuiteJudge, given: HttpResponse, severity: Severity, says: str
) -> None:
    answers, _ = tables(given)
    assert says in [result.says for result in judge.judge("answers", answers).unmet(severity)]


def test_an_answer_that_changes_from_time_to_time_is_a_warning(judge: SuiteJudge) -> None:
    sample = Sample(name="iris", request=REQUEST)
    rows = answer_rows([(sample, answer("[1]"))], [answer("[1]"), answer("[2]")])
    report = judge.judge("answers", rows)
    assert [result.says for result in report.unmet(Severity.WARNING)] == [
        "The same request got the same answer each time."
    ]
    assert report.unmet(Severity.ERROR) == ()


@pytest.mark.parametrize(
    "body,says",
    [
        ("[null, {}]", "Not every value is null."),
        ("[1, NaN]", "Every number is finite."),
        ("[]", "There is something to judge."),
    ],
)
def test_values_that_no_model_should_give_are_named(judge: SuiteJudge, body: str, says: str) -> None:
    _, outputs = tables(answer(body))
    assert says in [result.says for result in judge.judge("outputs", outputs).results if not result.met]


def test_what_was_seen_is_told_and_stays_text(judge: SuiteJudge, suites: Path) -> None:
    name = own(
        suites,
        {
            "type": "expect_column_values_to_match_regex",
            "kwargs": {"column": "b", "regex": "^m"},
            "meta": {"says": "M."},
        },
        {
            "type": "expect_column_values_to_not_be_null",
            "kwargs": {"column": "a"},
            "severity": "info",
            "meta": {"says": "A is there."},
        },
    )
    first, second = judge.judge(name, ROWS).results
    assert (first.met, first.column, first.severity) == (False, "b", Severity.ERROR)
    assert first.observed == "1 of 3 values, such as <script>alert(1)</script>"
    assert (second.severity, second.met) == (Severity.INFO, False)


@pytest.mark.parametrize(
    "expectations,reason",
    [
        ((), "it holds no expectation"),
        (
            ({"type": "expect_nothing_at_all", "kwargs": {}, "meta": {"says": "x"}},),
            "there is no expectation expect_nothing_at_all",
        ),
        (
            ({"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "nope"}, "meta": {"says": "x"}},),
            '"nope"',
        ),
        (
            ({"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "a"}},),
            "no sentence in `meta.says`",
        ),
        (({"type": "expect_column_values_to_not_be_null", "kwargs": {"colum": "a"}, "meta": {"says": "x"}},), "colum"),
    ],
    ids=["empty", "unknown", "no such column", "no sentence", "misspelt"],
)
def test_a_suite_that_would_let_everything_through_is_refused(
    judge: SuiteJudge, suites: Path, expectations: tuple[dict[str, Any], ...], reason: str
) -> None:
    with pytest.raises(SettingInvalid, match=r"EXP002.*own\.json") as caught:
        judge.judge(own(suites, *expectations), ROWS)
    assert reason in caught.value.message


def test_a_suite_that_is_not_there_or_no_json_is_refused(judge: SuiteJudge, suites: Path) -> None:
    (suites / "broken.json").write_text("{")
    for name in ("none", "broken"):
        with pytest.raises(SettingInvalid, match=rf"EXP002.*{name}\.json"):
            judge.judge(name, ROWS)


def test_a_judge_that_ends_is_a_transient_error_and_nothing_stays(
    suites: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airlock.adapters.expectations.sys.executable", "/bin/false")
    with ExpectationSuites(suites, CLOCK).judging() as judge, pytest.raises(BackendUnavailable, match="EXP001"):
        judge.judge("answers", ROWS)


def test_the_judge_knows_nothing_of_the_workers_environment(
    suites: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = tmp_path / "environment"
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\nenv > {told}\n")
    program.chmod(0o755)
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "secret")
    monkeypatch.setattr("airlock.adapters.expectations.sys.executable", str(program))
    with ExpectationSuites(suites, CLOCK).judging() as judge, pytest.raises(BackendUnavailable):
        judge.ready()
    assert "secret" not in told.read_text()
