from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.web.conftest import Site, without_own_script

XSS = "<script>alert(1)</script>"


def test_a_failed_version_shows_its_reason_and_its_history(
    site: Site, registry: Any, reserve: Callable[..., Any]
) -> None:
    held = reserve("manual__1")
    registry.fail(held, "build", "CFG001", "Line 3 is no JSON.")
    assert "[CFG001] Line 3 is no JSON." in site.get("/").text
    page = site.get("/models/iris/0.0.1/events")
    assert page.status_code == 200
    assert "Import failed: [CFG001] Line 3 is no JSON." in page.text
    assert 'href="/dags/import_model/runs/manual__1"' in page.text


def test_what_comes_from_a_package_is_shown_escaped(site: Site, registry: Any, reserve: Callable[..., Any]) -> None:
    held = reserve(XSS)
    registry.fail(held, "build", "SMK003", f"{XSS}\nsecond line")
    for path in ("/", "/models/iris/0.0.1", "/models/iris/0.0.1/events"):
        text = without_own_script(site.get(path).text)
        assert "<script" not in text
        assert html.escape(XSS) in text


def test_a_failed_test_shows_what_was_asked_and_what_came_back(
    site: Site, registry: Any, reserve: Callable[..., Any]
) -> None:
    from airlock.codec import encode
    from airlock.domain.failure import failure_report
    from airlock.domain.smoke import HttpRequest, HttpResponse

    request = HttpRequest(method="POST", path="/", content_type="application/json", body=b'{"n": 1}')
    answer = HttpResponse(status=500, content_type="text/html", body=XSS.encode(), seconds=0.5)
    report = failure_report((request, answer), f"{XSS}\n\x1b[31mred", exit_status=139, out_of_memory=False)
    held = reserve("manual__1")
    registry.fail(held, "smoke_cpu", "SMK003", "Status 500.", encode(report))
    for path in ("/models/iris/0.0.1", "/models/iris/0.0.1/smoke"):
        page = without_own_script(site.get(path).text)
        assert "<script" not in page
        assert page.count(html.escape(XSS)) == 2
        assert "Nothing is known" not in page
        for part in ('{"n": 1}', "500 after 0.500 s", "<dt>Exit status</dt><dd>139</dd>", "SIGSEGV", r"\x1b[31mred"):
            assert part in html.unescape(page)
    registry.resume(held, {"smoke_cpu"})
    assert "The failed test" not in site.get("/models/iris/0.0.1").text


def test_a_version_shows_what_was_measured_beside_what_is_declared(site: Site) -> None:

    line = site.line()
    line.backend.behaviour.peak_memory_bytes = 490_000_000
    line.backend.behaviour.seconds = 0.2
    line.import_model(min_memory_mb=512, min_cpu=2)
    page = site.get("/models/iris/0.0.1/smoke").text
    assert "<td>5, 1 at a time</td>" in page
    assert "4 at a time" in page
    assert ">CPU 2.0, memory 512 MB, GPU –, Ascend –</td>" in page
    assert "<td>memory 640 MB</td>" in page
    assert "<code>SMK030</code>" in site.get("/models/iris/0.0.1/validation").text


def test_every_answer_carries_a_strict_policy(site: Site) -> None:
    for path in ("/", "/assets/airlock.css", "/assets/airlock.js", "/models/none/0.0.1", "/assets/none", "/?page=0"):
        policy = site.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "form-action 'self';" in policy
        assert "unsafe" not in policy


def test_pages_load_nothing_from_elsewhere(site: Site, reserve: Callable[..., Any]) -> None:
    reserve("manual__1")
    for path in ("/", "/models/iris/0.0.1"):
        assert re.findall(r"(?:src|href)=[\"']?(?:https?:)?//", site.get(path).text) == []


def test_a_version_that_does_not_exist_is_not_found(site: Site) -> None:
    assert site.get("/models/iris/9.9.9").status_code == 404


@pytest.fixture
def tested(site: Site) -> Callable[..., Callable[[str], str]]:
    """Imports a package on fakes, with a row of the catalogue, on a worker with devices; gives what its pages say."""
    from airlock.domain.catalogue import Catalogue

    def run(row: Any, *devices: Any, bases: tuple[str, ...] = ()) -> Callable[[str], str]:
        line = site.line(catalogue=Catalogue.of([row]))
        line.backend.on, line.backend.bases = frozenset(devices), frozenset(bases)
        line.import_model()
        return lambda path: site.get(path).text

    return run


def test_a_version_shows_the_build_and_the_image_of_each_device(tested: Callable[..., Callable[[str], str]]) -> None:
    from tests.unit.test_builds_of_a_row import BOTH, CUDA, WITH_GPU_BUILD

    text = tested(WITH_GPU_BUILD, *BOTH, bases=(CUDA,))
    smoke = text("/models/iris/0.0.1/smoke")
    assert "<tr><td>cpu</td><td>passed</td>\n<td>own</td>" in smoke
    assert "<tr><td>gpu</td><td>passed</td>\n<td>gpu</td>" in smoke
    page = text("/models/iris/0.0.1")
    assert "<dt>Image on gpu</dt><dd>build gpu: <code>airlock/serving:scikit-learn-sklearn1.9-python3.11-gpu-" in page
    assert "Image on cpu" not in page
    assert "stand-in" not in page


def test_a_version_that_a_stand_in_serves_says_so(tested: Callable[..., Callable[[str], str]]) -> None:
    from tests.unit.test_builds_of_a_row import BOTH, STAND_IN

    text = tested(STAND_IN, *BOTH)
    page = text("/models/iris/0.0.1/smoke")
    assert "Built and tested with a stand-in for Scikit_Learn, not with Scikit_Learn itself" in page
    assert "<td>stand-in</td>" in page
    assert '<span class="warning">stand-in</span>' in text("/")


def test_a_version_shows_its_evidence_and_that_another_version_wrote_it(site: Site) -> None:
    import json

    from tests.unit.given import changed
    from tests.unit.model_bytes import written

    config = json.dumps(changed(runtime="python3.6")).encode()
    line = site.line({"model/config.json": config, "model/iris.m": written("scikit-learn-1.9.1/iris.m")})
    line.import_model()
    page = html.unescape(site.get("/models/iris/0.0.1/runtime").text)
    assert "Scikit_Learn with confidence 0.97" in page
    assert ">is a pickle of scikit-learn</td>" in page
    assert "<td>scikit-learn 1.9.1</td>" in page
    page = html.unescape(site.get("/models/iris/0.0.1/validation").text)
    assert "DET006" in page
    assert "Use the runtime 'sklearn1.9-python3.11' (1.9.1)." in page


def test_a_version_shows_its_parameters_escaped(site: Site) -> None:
    import json

    from tests.unit.given import changed, iris_files

    rows = {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["sepal"],
            "properties": {
                "sepal": {"type": "float", "minimum": 0, "description": XSS},
                XSS: {"enum": [XSS, "语"]},
            },
        },
    }
    config = changed()
    config["apis"][0]["request"]["data"] = {"properties": {"rows": rows}}
    line = site.line(iris_files(json.loads(json.dumps(config))))
    line.import_model()
    page = without_own_script(site.get("/models/iris/0.0.1/parameters").text)
    assert "<script" not in page
    assert "Input of <code>POST /</code>" in page
    assert "<tr><td><code>rows[].sepal</code></td><td>number</td><td>yes</td>\n<td>minimum: 0</td>" in page
    assert f">{html.escape(XSS)}</td>" in page
    assert 'rows[]["<script>alert(1)</script>"]' in html.unescape(page)
    assert 'enum: ["<script>alert(1)</script>", "语"]' in html.unescape(page)
    assert "<code>data.resp_data[].predictresult</code></td><td>integer</td><td>yes</td>" in page


def test_a_registry_that_is_away_is_told(site: Site) -> None:
    from airlock.adapters.clock import SystemClock
    from airlock.adapters.registry_reads import SqlRegistryReader
    from airlock.adapters.registry_schema import open_engine

    away = SqlRegistryReader(open_engine("postgresql+psycopg://u:secret@127.0.0.1:1/x"), SystemClock())
    site.show(away)
    answer = site.get("/")
    assert answer.status_code == 503
    assert "REG001" in answer.text
    assert "secret" not in answer.text


def test_a_version_of_an_image_shows_what_was_tested(site: Site, registry: Any, reserve: Callable[..., Any]) -> None:
    from dataclasses import replace

    from airlock.codec import encode
    from tests.unit.test_step_image import a_line

    held = reserve("manual__1")
    made = a_line().import_model()
    version = replace(made, accepted=replace(made.accepted, reservation=held))
    registry.complete(version, encode(version))
    assert "own image" in site.get("/").text
    text = site.get("/models/iris/0.0.1").text
    assert version.image.digest in text
    assert "swr.example.com/org/sums:1.0" in text
    assert "GET /v1/about</code> on port 9000" in text
    assert "ran as user 1000" in site.get("/models/iris/0.0.1/smoke").text


def test_every_tab_shows_something_of_a_version_that_was_imported_and_of_one_that_was_not(
    site: Site, registry: Any, reserve: Callable[..., Any], imported: Callable[..., Any]
) -> None:
    from airlock.web.versions import TITLES, WITHOUT_RECORD, Tab

    def without(says: str) -> list[Tab]:
        return [tab for tab in Tab if says in site.get(f"/models/iris/0.0.1/{tab.value}").text]

    held = reserve("still-at-it")
    needs_record = [tab for tab in Tab if tab not in WITHOUT_RECORD]
    assert without("This is known as soon as the import has ended well.") == needs_record
    registry.fail(held, "fetch", "SRC002", "There is no bucket.")
    ended_before = [Tab.PARAMETERS, Tab.RUNTIME, Tab.SMOKE, Tab.HEALTH]
    assert without("This is shown only for versions that were imported.") == ended_before
    assert without("The import ended before its package was checked") == [Tab.VALIDATION]
    imported()
    for tab, title in TITLES.items():
        text = site.get(f"/models/iris/0.0.2/{tab.value}").text
        assert f'aria-current="page">{title}</a>' in text
        assert "<section" in text
    assert site.get("/models/iris/0.0.1/none").status_code == 422


def test_a_version_that_was_refused_shows_what_refused_it(site: Site) -> None:
    from airlock.errors import PackageRejected
    from tests.unit.given import changed, iris_files

    line = site.line(iris_files(changed(runtime="python2.77", model_algorithm=XSS)))
    accepted = line.accept()
    package = line.fetch(accepted)
    assert "This is known as soon as" in site.get("/models/iris/0.0.1/validation").text
    with pytest.raises(PackageRejected) as caught:
        line.validate(accepted, package)
    # The report is there before the import has ended.
    for _ in range(2):
        text = without_own_script(site.get("/models/iris/0.0.1/validation").text)
        assert "The package was refused." in text
        assert '<td class="whole"><code>CFG008</code></td><td class="whole">error</td>' in text
        assert "Did you mean &#39;python3.6&#39;?" in text
        assert 'href="/airlock/reports/import_model/manual__1">validation report' in text
        assert "<script" not in text
        line.registry.fail(accepted.reservation, "validate", caught.value.code, str(caught.value))


def test_a_version_whose_test_failed_shows_that_its_package_keeps_the_rules(site: Site) -> None:
    from airlock.codec import encode
    from airlock.domain.failure import failure_report

    line = site.line()
    held = line.until_built()[0].reservation
    assert "This version has not been tested yet." in site.get("/models/iris/0.0.1/health").text
    report = failure_report(None, "", exit_status=3, out_of_memory=False)
    line.registry.fail(held, "smoke_cpu", "SMK010", "The service ended.", encode(report))
    validation = site.get("/models/iris/0.0.1/validation").text
    assert "The package keeps the rules." in validation
    health = site.get("/models/iris/0.0.1/health").text
    assert "Its test failed at the import." in health
    assert 'href="/airlock/models/iris/0.0.1/smoke">Smoke</a>' in health
    assert "has not been tested" not in health


def test_what_is_under_way_is_followed_and_what_has_ended_is_not(
    site: Site, registry: Any, reserve: Callable[..., Any]
) -> None:
    held = reserve("manual__1")
    text = site.get("/models/iris/0.0.1/events").text
    assert re.findall(r'id="(\w+)" data-live', text) == ["state", "events"]
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in text
    registry.fail(held, "fetch", "SRC002", "There is no bucket.")
    ended = site.get("/models/iris/0.0.1/events").text
    assert "data-live" not in ended
    assert "http-equiv" not in ended


def test_latency_and_memory_are_drawn_with_their_figures_as_words(site: Site, imported: Callable[..., Any]) -> None:
    imported(min_memory_mb=256)
    text = site.get("/models/iris/0.0.1/smoke").text
    assert re.search(r'aria-label="Time of one answer: cpu p50 [\d.]+ ms, cpu p95 [\d.]+ ms, cpu p99 [\d.]+ ms', text)
    assert 'aria-label="cpu: 50.0 MB of 256 MB"' in text
    assert "style=" not in text


def test_health_says_that_there_was_one_test_and_is_drawn_from_the_second_on(
    site: Site, registry: Any, imported: Callable[..., Any]
) -> None:
    from airlock.domain.device import Device
    from airlock.domain.registered import HealthPoint
    from airlock.domain.version import RunRef

    imported()
    text = site.get("/models/iris/0.0.1/health").text
    assert "This version has been tested once, at its import." in text
    assert "<svg" not in text
    point = HealthPoint(
        at=2e9, device=Device.CPU, verdict="passed", p50_ms=7.0, p99_ms=1234.0, ready_s=1.5,
        peak_memory_bytes=60_000_000, run="revalidate_models/scheduled__1",
    )  # fmt: skip
    registry.judge("iris", "0.0.1", RunRef(dag_id="revalidate_models", run_id="scheduled__1"), [point], "")
    text = site.get("/models/iris/0.0.1/health").text
    assert 'aria-label="Time of one answer on cpu, 2 tests;' in text
    assert "<title>median 7.0 ms</title>" in text
    assert '<td class="number">1.2 s</td>' in text
    assert 'href="/dags/revalidate_models/runs/scheduled__1"' in text


def test_health_tells_when_a_sweep_looked_at_the_version_and_what_it_noted(
    site: Site, imported: Callable[..., Any], engine: Any
) -> None:
    from airlock.adapters.clock import SystemClock
    from airlock.adapters.registry_sweeps import SqlSweeps
    from airlock.domain.sweeping import Note, SweepState
    from airlock.domain.version import RunRef

    imported()
    assert "Looked at again" not in site.get("/models/iris/0.0.1/health").text
    state = SweepState(
        checked_at=1.7e9, tested_at=1.7e9, notes=(Note(code="RVL004", text="<b>The source changed.</b>"),)
    )
    run = RunRef(dag_id="revalidate_models", run_id="scheduled__1")
    SqlSweeps(engine, SystemClock()).remember(run, {("iris", "0.0.1"): state})
    text = site.get("/models/iris/0.0.1/health").text
    assert "Looked at again" in text
    assert "RVL004 &lt;b&gt;The source changed.&lt;/b&gt;" in text


def test_two_versions_stand_side_by_side_with_what_differs_marked(site: Site, imported: Callable[..., Any]) -> None:
    from tests.unit.given import RUN

    imported(description="First", labels=["a"])
    imported(run=type(RUN)(dag_id=RUN.dag_id, run_id="second"), description="Second", labels=["a"], min_memory_mb=300)
    alone = site.get("/models/iris/0.0.2/versions").text
    assert '<input type="radio" name="beside" value="0.0.1"' in alone
    assert 'id="comparison"' not in alone
    both = site.get("/models/iris/0.0.2/versions?beside=0.0.1").text
    marked = re.findall(r'<tr class="differs"><th scope="row">(.*?)</th>', both)
    assert marked == ["Description"]
    assert '<td class="lines">Second</td><td class="lines">First</td>' in both
    fields = re.findall(r'<th scope="row"><code>(.*?)</code>', both)
    assert "accepted/request/minimum_specs/memory_mb" in fields
    assert not [field for field in fields if "reservation" in field]
    assert site.get("/models/iris/0.0.2/versions?beside=9.9.9").status_code == 404


def test_older_versions_are_on_the_next_page_and_can_be_compared_from_there(
    site: Site, reserve: Callable[..., Any]
) -> None:
    for number in range(52):
        reserve(f"run-{number}")
    tab = "/models/iris/0.0.52/versions"

    def listed(text: str) -> list[str]:
        return re.findall(r'<input type="radio" name="beside" value="([^"]+)"', text)

    first = site.get(f"{tab}?beside=0.0.2").text
    assert "1–50 of 52 versions" in first
    # All but the one whose page it is.
    assert listed(first) == [f"0.0.{number}" for number in range(51, 2, -1)]
    (following,) = re.findall(r'rel="next" href="/airlock([^"]*)"', first)
    assert html.unescape(following) == f"{tab}?page=2&beside=0.0.2"
    second = site.get(html.unescape(following)).text
    assert listed(second) == ["0.0.2", "0.0.1"]
    assert "51–52 of 52 versions" in second
    assert 'id="comparison"' in second
    # What is compared from there leaves the reader there.
    assert '<input type="hidden" name="page" value="2">' in second
    assert 'rel="next"' not in second
    assert "There is no page 3." in site.get(f"{tab}?page=3").text
    assert site.get(f"{tab}?page=0").status_code == 422
    site.post("/models/iris/0.0.1/delete")
    assert "51–51 of 51 versions" in site.get(f"{tab}?page=2").text


def test_a_document_is_a_link_only_where_it_is_on_the_web(site: Site, imported: Callable[..., Any]) -> None:
    from dataclasses import replace

    from airlock.domain.request import Document

    imported(model_docs=[{"doc_name": "Card", "doc_url": "https://example.com/card"}])
    link = '<a href="https://example.com/card" rel="noreferrer noopener" target="_blank"><bdi>Card</bdi></a>'
    assert link in site.get("/models/iris/0.0.1").text
    row = site.reader.find("iris", "0.0.1")

    class Tampered:
        def find(self, *version: str) -> Any:
            return replace(row, documents=(Document(name="Card", url="javascript:alert(1)"),))

    site.show(Tampered())
    text = site.get("/models/iris/0.0.1").text
    assert "<bdi>Card</bdi>" in text
    assert "javascript:" not in text


def test_pages_find_their_way_where_airflow_lies_under_a_path(site: Site, imported: Callable[..., Any]) -> None:
    from fastapi import FastAPI

    imported()
    site.outer = FastAPI(root_path="/team")
    site.outer.mount("/airlock", site.app)
    text = site.get("/models/iris/0.0.1", under="/team").text
    assert 'href="/team/airlock/models/iris/0.0.1/events"' in text
    assert 'href="/team/dags/import_model/runs/' in text
    assert 'href="/airlock' not in text
    assert 'href="/dags' not in text


def test_a_refusal_is_a_page_with_a_way_on(site: Site) -> None:
    text = site.get("/models/none/0.0.1").text
    assert "There is no version 0.0.1 of none." in text
    assert 'href="/airlock/">All models' in text


def test_a_defect_is_told_without_its_details(site: Site) -> None:
    class Broken:
        def find(self, *version: str) -> Any:
            raise RuntimeError("secret")

    site.show(Broken())
    answer = site.get("/models/iris/0.0.1")
    assert answer.status_code == 500
    assert "This is a defect of Airlock." in answer.text
    assert "secret" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
