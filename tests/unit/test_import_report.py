"""The report of an import: it is there whatever came out, and never decides anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airlock.adapters.report_files import ReportFolders
from airlock.domain.expectations import ExpectationResult
from airlock.domain.findings import Severity
from airlock.domain.import_report import ImportReport, Refusal
from airlock.domain.inventory import INVENTORY, FileRow
from airlock.domain.version import RunRef
from airlock.errors import BackendUnavailable, PackageRejected, ReportsUnavailable, SmokeFailed
from airlock.ports.reports import Reports
from airlock.steps.reporting import complete_report
from tests.fakes.expectations import FakeExpectations
from tests.fakes.reports import FakeReports
from tests.unit.given import RUN, SERVICE, changed, iris_files
from tests.unit.line import Line
from tests.unit.model_bytes import written

HOSTILE = b"cposix\nsystem\n(S'id'\ntR."


def imported(**files: bytes) -> Line:
    line = Line(iris_files(**{"model__iris_dot_m": written("scikit-learn-1.9.1/iris.m"), **files}))
    line.import_model()
    return line


def refused(files: dict[str, bytes], **conf: Any) -> Line:
    line = Line(files)
    accepted = line.accept(**conf)
    with pytest.raises(PackageRejected):
        line.validate(accepted, line.fetch(accepted))
    return line


def files_of(line: Line) -> dict[str, FileRow]:
    package = line.reports.find(RUN).package
    assert package is not None
    return {file.path: file for file in package.files}


# ── the files ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_file_has_a_row_that_says_what_it_is_and_whether_it_was_read() -> None:
    line = imported(
        model__customize_service_dot_py=SERVICE,
        model__helper_dot_py=b"",
        model__samples__one_dot_json=b'{"data": {"req_data": [{"sepal": 1, "petal": 2}]}}',
        model__labels_dot_txt=b"a",
        model__a__b__Makefile=b"",
        model___dot_hidden=b"",
        model__x_dot_whl=b"",
    )
    found = files_of(line)
    assert {path: (file.role, file.extension, file.depth) for path, file in found.items()} == {
        "model/config.json": ("configuration", ".json", 1),
        "model/customize_service.py": ("inference code", ".py", 1),
        "model/helper.py": ("code", ".py", 1),
        "model/samples/one.json": ("sample", ".json", 2),
        "model/labels.txt": ("other", ".txt", 1),
        "model/a/b/Makefile": ("other", "", 3),
        "model/.hidden": ("other", "", 1),
        "model/x.whl": ("wheel", ".whl", 1),
        "model/iris.m": ("model file", ".m", 1),
    }
    assert found["model/iris.m"].says == "is a pickle of scikit-learn"
    read = {path for path, file in found.items() if file.read}
    assert read == set(found) - {"model/samples/one.json", "model/a/b/Makefile", "model/.hidden", "model/x.whl"}


def test_findings_are_counted_at_their_file() -> None:
    config = changed(author="me")
    line = refused({**iris_files(config), "model/iris.m": HOSTILE})
    found = files_of(line)
    assert (found["model/iris.m"].errors, found["model/iris.m"].warnings) == (1, 0)
    assert (found["model/config.json"].errors, found["model/config.json"].warnings) == (0, 1)


# ── when it is kept, and who judges ──────────────────────────────────────────────────────────────────────────────────


def test_an_import_that_ends_well_is_judged_with_its_answers_and_recorded() -> None:
    line = imported()
    report = line.reports.find(RUN)
    assert report.package is not None
    assert (report.package.model_name, report.package.model_version) == ("iris", "0.0.1")
    assert (report.package.passed, report.package.source) == (True, "s3://models/iris/")
    assert [suite.suite for suite in report.suites["smoke_cpu"]] == ["answers", "outputs", INVENTORY]
    assert [row["path"] for row in line.expectations.tables[INVENTORY]] == ["model/config.json", "model/iris.m"]
    kept = line.row().details["inventory"]
    assert (kept["suite"], kept["rows"]) == (INVENTORY, 2)
    # The suites of the answers stay those that decide: the inventory is no part of the test's own report.
    assert [suite["suite"] for suite in line.row().details["reports"][0]["suites"]] == ["answers", "outputs"]


def test_a_refused_package_has_a_report_at_once_and_is_judged_when_the_run_ends() -> None:
    line = refused(iris_files(model__iris_dot_m=HOSTILE), trust_model_code=False)
    report = line.reports.find(RUN)
    assert report.package is not None
    assert [item.code for item in report.package.findings] == ["MDL001"]
    assert (report.package.passed, report.inventory) == (False, None)
    assert line.expectations.tables == {}
    assert complete_report(
        RUN, task="close", expectations=line.expectations, reports=line.reports, log=line.told.append
    )
    assert [suite.suite for suite in line.reports.find(RUN).suites["close"]] == [INVENTORY]
    assert line.expectations.judges == 0
    # Nothing is judged twice.
    assert not complete_report(
        RUN, task="close", expectations=line.expectations, reports=line.reports, log=line.told.append
    )


def test_a_package_that_is_refused_by_its_names_has_a_report_without_files() -> None:
    line = Line(iris_files() | {"model/a\\b": b""})
    accepted = line.accept()
    with pytest.raises(PackageRejected):
        line.fetch(accepted)
    package = line.reports.find(RUN).package
    assert package is not None
    assert ([item.code for item in package.findings], package.files) == (["PKG006"], ())
    assert not complete_report(
        RUN, task="close", expectations=line.expectations, reports=line.reports, log=line.told.append
    )


def test_code_that_the_request_trusts_is_told_in_the_report_and_in_the_record_for_good() -> None:
    line = Line(iris_files(model__iris_dot_m=HOSTILE))
    line.import_model(trust_model_code=True)
    package = line.reports.find(RUN).package
    assert package is not None
    assert package.trusted_model_code
    assert [(item.code, item.severity) for item in package.findings] == [("MDL001", Severity.WARNING)]
    assert line.row().summary["trusted_model_code"] is True
    event = next(event for event in line.row().events if "trusts" in event.text)
    assert (event.kind.value, event.text) == ("Abnormal", "The request trusts the code in model/iris.m.")


def test_a_test_of_the_service_that_fails_keeps_what_was_judged() -> None:
    line = Line()
    unmet = ExpectationResult(says="No.", expectation="x", column="", severity=Severity.ERROR, met=False, observed="2")
    line.expectations.unmet["outputs"] = (unmet,)
    with pytest.raises(SmokeFailed):
        line.smoke(line.until_built())
    assert [suite.suite for suite in line.reports.find(RUN).suites["smoke_cpu"]] == ["answers", "outputs", INVENTORY]


def test_what_is_not_met_of_the_files_is_told_and_fails_nothing() -> None:
    line = Line()
    unmet = ExpectationResult(
        says="No secrets.", expectation="x", column="", severity=Severity.ERROR, met=False, observed="1 of 2"
    )
    line.expectations.unmet[INVENTORY] = (unmet,)
    line.import_model()
    assert line.row().status.value == "Normal"
    assert "inventory: not met: No secrets. (1 of 2)" in line.told


def test_a_report_that_cannot_be_kept_fails_no_import() -> None:
    line = Line()
    line.reports.away = True
    line.import_model()
    assert line.row().status.value == "Normal"
    assert line.row().details["inventory"] is None
    assert any("RPT001" in text for text in line.told)


def test_a_judge_that_is_away_fails_no_end_of_a_run() -> None:
    class Away(FakeExpectations):
        def ready(self) -> None:
            raise BackendUnavailable("EXP001", "It ended.", "")

        def judge(self, suite: str, rows: Any) -> Any:
            self.ready()

    line = refused(iris_files(model__iris_dot_m=HOSTILE))
    assert not complete_report(RUN, task="close", expectations=Away(), reports=line.reports, log=line.told.append)
    assert "The import's report is not complete: [EXP001] It ended." in line.told


# ── where it is kept ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(params=["folders", "memory"])
def reports(request: pytest.FixtureRequest, tmp_path: Path) -> Reports:
    return ReportFolders(tmp_path / "reports") if request.param == "folders" else FakeReports()


def test_what_is_kept_is_found_again(reports: Reports) -> None:
    line = imported()
    whole = line.reports.find(RUN)
    assert whole.package is not None
    assert reports.find(RUN) == ImportReport(package=None, suites={})
    refusal = Refusal(reason="[REG004] iris 0.0.1 exists already.", at=1.0)
    reports.keep_refusal(RUN, refusal)
    assert reports.find(RUN) == ImportReport(package=None, suites={}, refusal=refusal)
    reports.keep_package(RUN, whole.package)
    for task, suites in whole.suites.items():
        reports.keep_suites(RUN, task, suites)
    assert reports.find(RUN) == whole
    assert reports.find(RunRef(dag_id="import_model", run_id="manual__2")) == ImportReport(package=None, suites={})
    # Another try begins anew.
    reports.keep_package(RUN, whole.package)
    assert reports.find(RUN) == ImportReport(package=whole.package, suites={})


@pytest.mark.parametrize("run_id", ["../../etc/passwd", "a/b", "x" * 250, "语:+ "])
def test_a_runs_id_is_no_path(run_id: str, tmp_path: Path) -> None:
    package = imported().reports.find(RUN).package
    assert package is not None
    run = RunRef(dag_id="import_model", run_id=run_id)
    ReportFolders(tmp_path / "reports").keep_package(run, package)
    assert [path.parent for path in tmp_path.rglob("*.json")] == [next((tmp_path / "reports").iterdir())]
    assert ReportFolders(tmp_path / "reports").find(run).package == package


def test_a_folder_that_cannot_be_used_is_a_transient_error(tmp_path: Path) -> None:
    package = imported().reports.find(RUN).package
    assert package is not None
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportsUnavailable, match=r"RPT001.*\[airlock\] reports"):
        ReportFolders(tmp_path / "file" / "x").keep_package(RUN, package)
    reports = ReportFolders(tmp_path / "reports")
    reports.keep_package(RUN, package)
    (kept,) = (tmp_path / "reports").rglob("package.json")
    kept.write_text(json.dumps({"model_name": 1}))
    with pytest.raises(ReportsUnavailable, match="RPT001"):
        reports.find(RUN)
