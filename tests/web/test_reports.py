"""The page of an import's report: there for refused imports too, escaped, and nothing in it runs."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.web.conftest import Site, without_own_script

XSS = "<script>alert(1)</script>"
HOSTILE = b"cposix\nsystem\n(S'id'\ntR."
ADDRESS = "/reports/import_model/manual__1"


@pytest.fixture
def line(site: Site) -> Callable[..., Any]:
    """Makes an installation on fakes whose reports the site shows."""
    from airlock.web import wired
    from tests.unit.line import Line

    def make(files: dict[str, bytes]) -> Line:
        made = Line(files)
        site.show(made.registry)
        site.app.dependency_overrides[wired.reports] = lambda: made.reports
        return made

    return make


def refuse(line: Any, **conf: Any) -> None:
    from airlock.errors import PackageRejected

    accepted = line.accept(**conf)
    with pytest.raises(PackageRejected) as caught:
        line.validate(accepted, line.fetch(accepted))
    line.registry.fail(accepted.reservation, "validate", caught.value.code, str(caught.value))


def test_a_refused_import_shows_what_was_found_and_every_file(site: Site, line: Callable[..., Any]) -> None:
    from tests.unit.given import iris_files

    refuse(line(iris_files(model__iris_dot_m=HOSTILE, model__labels_dot_txt=b"a")))
    answer = site.get(ADDRESS)
    page = html.unescape(answer.text)
    assert answer.status_code == 200
    assert "refused</span>" in page
    assert "1 errors in 1 findings" in page
    assert '<code>MDL001</code></td><td class="whole">error</td><td><code>model/iris.m</code></td>' in page
    assert "posix.system" in page
    assert "<td><code>model/labels.txt</code></td>" in page
    assert "None was judged yet." in page
    # The file with the error comes before the others.
    assert page.index("<td><code>model/iris.m</code></td><td class") < page.index("<code>model/config.json</code></td>")


def test_an_import_that_ended_well_shows_what_was_judged_where(site: Site, line: Callable[..., Any]) -> None:
    from tests.unit.given import iris_files

    line(iris_files()).import_model(trust_model_code=True)
    page = site.get(ADDRESS).text
    assert "keeps the rules</span>" in page
    for suite in ("answers", "outputs", "inventory"):
        assert f"<h3>{suite}, judged in smoke_cpu:" in page
    assert "The request trusted code in the model files." in page
    assert f'href="/airlock{ADDRESS}/report.json"' in page
    assert 'href="/dags/import_model/runs/manual__1"' in page
    assert 'href="/airlock/models/iris/0.0.1"' in page
    validation = html.unescape(site.get("/models/iris/0.0.1/validation").text)
    assert "<h3>inventory over the package's files, 2 rows</h3>" in validation
    assert "<h3>answers on cpu, " in validation


def test_the_version_links_to_the_report_whatever_became_of_it(site: Site, line: Callable[..., Any]) -> None:
    from tests.unit.given import iris_files

    refuse(line(iris_files(model__iris_dot_m=HOSTILE)))
    assert f'href="/airlock{ADDRESS}"' in site.get("/models/iris/0.0.1").text
    line(iris_files()).import_model()
    assert f'href="/airlock{ADDRESS}"' in site.get("/models/iris/0.0.1").text


def test_what_comes_from_a_package_or_a_suite_is_escaped_and_nothing_is_loaded(
    site: Site, line: Callable[..., Any]
) -> None:
    from airlock.domain.expectations import ExpectationResult
    from airlock.domain.findings import Severity
    from airlock.steps.reporting import complete_report
    from tests.unit.given import RUN, changed, iris_files

    name = "model/<img src=x onerror=alert(1)>.txt"
    made = line({**iris_files(changed(**{XSS: 1}, model_algorithm=XSS)), name: b""})
    made.expectations.unmet["inventory"] = (
        ExpectationResult(says=XSS, expectation=XSS, column=XSS, severity=Severity.INFO, met=False, observed=XSS),
    )
    refuse(made)
    complete_report(RUN, task="close", expectations=made.expectations, reports=made.reports, log=made.told.append)
    answer = site.get(ADDRESS)
    assert "<script" not in without_own_script(answer.text)
    assert "<img" not in answer.text
    assert answer.text.count(html.escape(XSS)) >= 4
    assert html.escape(name) in answer.text
    assert re.findall(r"(?:src|href)=[\"']?(?:https?:)?//", answer.text) == []
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy


def test_a_long_list_of_files_is_cut_and_the_json_has_it_whole(site: Site, line: Callable[..., Any]) -> None:
    from airlock.domain.package import FetchLimits
    from tests.unit.given import iris_files

    made = line({**iris_files(), **{f"model/labels/{number:05d}.txt": b"" for number in range(1500)}})
    made.limits = FetchLimits(max_package_bytes=10**9, max_objects=5000)
    made.import_model()
    page = site.get(ADDRESS).text
    assert page.count("<tr><td><code>model/") == 1000
    assert "502 more files are in the report as JSON." in page
    report = site.get(f"{ADDRESS}/report.json").json()
    assert len(report["package"]["files"]) == 1502
    assert report["package"]["findings"] == []
    assert [suite["suite"] for suite in report["suites"]["smoke_cpu"]] == ["answers", "outputs", "inventory"]


def test_an_import_without_a_report_says_so(site: Site, line: Callable[..., Any]) -> None:
    line({})
    answer = site.get("/reports/import_model/another")
    assert answer.status_code == 404
    assert "Nothing is known of this import" in answer.text


def test_reports_that_cannot_be_read_are_told(site: Site, line: Callable[..., Any]) -> None:
    line({}).reports.away = True
    answer = site.get(ADDRESS)
    assert answer.status_code == 503
    assert "RPT001" in answer.text


def test_the_links_of_a_task_lead_to_the_pages() -> None:
    from airflow.sdk.types import TaskInstanceKey

    from airlock.operators.links import ModelLink, ReportLink
    from airlock.operators.steps import ValidateOperator

    key = TaskInstanceKey(dag_id="import_model", task_id="validate", run_id="manual__2026-01-01T00:00:00+00:00")
    operator = ValidateOperator(task_id="validate", accepted={}, package={})
    links = {type(link): link.get_link(operator, ti_key=key) for link in operator.operator_extra_links}
    run = "import_model/manual__2026-01-01T00%3A00%3A00%2B00%3A00"
    assert links == {
        ModelLink: f"/plugin/airlock-models/airlock/runs/{run}",
        ReportLink: f"/plugin/airlock-models/airlock/reports/{run}",
    }


def test_the_links_of_a_task_name_addresses_that_the_plugin_has() -> None:
    from airlock.operators import links
    from airlock.web.rendering import URL_PREFIX
    from airlock_plugin import AirlockPlugin

    (view,) = [view for view in AirlockPlugin.external_views if view["destination"] == "nav"]
    assert f"/plugin/{view['url_route']}{URL_PREFIX}" == links._PAGES


def test_a_sweep_shows_what_became_of_which_version_and_nothing_in_it_runs(
    site: Site, line: Callable[..., Any]
) -> None:
    from airlock.domain.device import Device
    from airlock.domain.revalidation import Outcome, SweepReport, SweepRow
    from airlock.domain.sweeping import Note, Why
    from airlock.domain.version import RunRef

    made = line({})
    rows = (
        SweepRow(
            model_name="iris", model_version="0.0.1", outcome=Outcome.UNFIT, reason=f"[RVL001] {XSS}",
            why=(Why.REQUESTED,), devices=(Device.CPU,), notes=(Note(code="RVL005", text="It is slow."),),
        ),
    )  # fmt: skip
    report = SweepReport(
        at=1_700_000_000.0, asked="", registered=12, due=4, later=1, untested=0,
        counts={Outcome.UNFIT: 1, Outcome.FIT: 2}, rows=rows, left_out=0, tests=1, bytes_read=5_000_000, lost=0,
        registry=made.expectations.judge("sweep", [{"model_name": "iris"}]),
    )  # fmt: skip
    made.reports.keep_sweep(RunRef(dag_id="revalidate_models", run_id="scheduled__1"), report)
    answer = site.get("/reports/revalidate_models/scheduled__1")
    assert answer.status_code == 200
    assert XSS not in without_own_script(answer.text)
    page = html.unescape(answer.text)
    assert "3 of 12 versions, 4 were due; 1 have to wait for a later sweep" in page
    assert "1 found unfit, 2 fit" in " ".join(page.split())
    assert 'href="/airlock/models/iris/0.0.1/health"' in page
    assert "It is slow." in page
    assert "judged by Great Expectations in 1 rows" in page
    found = site.get("/reports/revalidate_models/scheduled__1/report.json").json()["sweep"]
    assert (found["rows"][0]["reason"], found["counts"]["found unfit"]) == (f"[RVL001] {XSS}", 1)
