from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airlock.adapters.clock import SystemClock
from airlock.adapters.expectations import ExpectationSuites, SuiteJudge
from airlock.adapters.judge_host import JudgeHost
from airlock.domain.answer_tables import answer_rows, output_rows
from airlock.domain.findings import Severity
from airlock.domain.inventory import INVENTORY, FileRow, inventory_table
from airlock.domain.smoke import HttpRequest, HttpResponse, Sample
from airlock.errors import BackendUnavailable, SettingInvalid
from tests.conftest import ROOT

SUITES = ROOT / "include" / "specs" / "expectations"
CLOCK = SystemClock()
HOST = JudgeHost(Path(os.environ["AIRFLOW__AIRLOCK__JUDGE_DIR"]), 60)
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
    with ExpectationSuites(suites, HOST, CLOCK).judging() as judge:
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


def a_file(path: str = "model/iris.m", role: str = "model file", **changes: Any) -> dict[str, Any]:
    """A row of the inventory."""
    row = FileRow(
        path=path,
        size_bytes=10,
        extension=Path(path).suffix,
        depth=path.count("/"),
        role=role,
        says="",
        read=True,
        errors=0,
        warnings=0,
        infos=0,
    )
    (table,) = inventory_table([replace(row, **changes)])
    return table


CONFIG = a_file("model/config.json", "configuration")


def test_the_files_of_a_package_as_it_should_be_meet_the_projects_suite(judge: SuiteJudge) -> None:
    rows = [CONFIG, a_file(), a_file("model/empty", "other", size_bytes=0, read=False, extension="")]
    report = judge.judge(INVENTORY, rows)
    assert len(report.results) == len(json.loads((SUITES / "inventory.json").read_bytes())["expectations"])
    assert [result.says for result in report.results if not result.met] == []


@pytest.mark.parametrize(
    "row,says",
    [
        (a_file(errors=2), "No rule is broken in any file."),
        (a_file(read=False), "Every model file was read."),
        (a_file(size_bytes=0), "No model file is empty."),
        (a_file("weights/iris.m"), "Every file lies in `model/`."),
        (a_file("model/config.json", "configuration"), "No path stands twice."),
        (a_file(depth=11), "No file lies deeper than ten folders."),
        (a_file(size_bytes=20_000_000_001), "No file is larger than 20 GB."),
        (a_file(role="thing"), "Every file has a role."),
        (a_file("model/train.ipynb", "other"), "Nothing lies there that serving does not need."),
        (a_file("model/id.pem", "other"), "No file looks like a key or a password."),
        (a_file("model/" + "x" * 1020), "No path is longer than 1,024 characters."),
    ],
)
def test_each_expectation_of_the_files_can_be_missed(judge: SuiteJudge, row: dict[str, Any], says: str) -> None:
    report = judge.judge(INVENTORY, [CONFIG, row])
    assert [result.says for result in report.results if not result.met] == [says]


def test_a_package_of_one_file_that_is_no_configuration_is_told(judge: SuiteJudge) -> None:
    missed = [result.says for result in judge.judge(INVENTORY, [a_file()]).results if not result.met]
    assert missed == [
        "A package holds at least a configuration and a model.",
        "The package has a configuration of its own.",
    ]


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
    monkeypatch.setattr("airlock.adapters.judge_host.sys.executable", "/bin/false")
    judged_by = ExpectationSuites(suites, HOST, CLOCK)
    with pytest.raises(BackendUnavailable, match="EXP001"), judged_by.judging() as judge:
        judge.judge("answers", ROWS)


def test_the_judge_knows_nothing_of_the_workers_environment(
    suites: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = tmp_path / "environment"
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\nenv > {told}\n")
    program.chmod(0o755)
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "secret")
    monkeypatch.setattr("airlock.adapters.judge_host.sys.executable", str(program))
    with pytest.raises(BackendUnavailable), ExpectationSuites(suites, HOST, CLOCK).judging() as judge:
        judge.ready()
    assert "secret" not in told.read_text()
