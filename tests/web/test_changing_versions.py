"""Forms that change versions: what they do, what they refuse, and who may send them from where."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.web.conftest import Site

Reserve = Callable[..., Any]
VERSION = "/models/iris/0.0.1"
#: What a browser sends along with a form of the pages.
SIGNED_IN = {"sec-fetch-site": "same-origin", "cookie": "_token=word"}
SENT = {
    "edit": {"description": "New", "labels": "a"},
    "alias": {"alias": "champion"},
    "unalias": {"alias": "champion"},
    "stage": {"stage": "Archived"},
    "delete": {},
    "new": {"source_location": "s3://bucket/iris/"},
    "revalidate": {},
    "dependencies": {"dependencies": "[]"},
}


def find(site: Site) -> Any:
    return site.reader.find("iris", "0.0.1")


def test_description_and_labels_are_edited_in_the_users_name(site: Site, reserve: Reserve) -> None:
    reserve("run-1", description="Old", labels=["old"])
    form = site.get(f"{VERSION}/edit").text
    assert ">\nOld</textarea>" in form
    assert ">\nold</textarea>" in form
    answer = site.post(f"{VERSION}/edit", {"description": "New\r\nlines", "labels": "one\r\n two \r\n\r\n"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/airlock/models/iris/0.0.1?done=edited")
    row = find(site)
    assert (row.description, row.labels) == ("New\nlines", ("one", "two"))
    assert row.events[-1].actor == "ada"
    assert "Description and labels are saved." in site.get(f"{VERSION}?done=edited").text


def test_a_form_that_breaks_rules_comes_back_as_it_was_sent_with_every_finding(site: Site, reserve: Reserve) -> None:
    reserve("run-1", description="Old", labels=["old"])
    sent = {"description": "Better!", "labels": "\n".join("abcdef")}
    answer = site.post(f"{VERSION}/edit", sent)
    assert answer.status_code == 400
    assert "REQ006" in answer.text
    assert "REQ007" in answer.text
    assert ">\nBetter!</textarea>" in answer.text
    assert find(site).description == "Old"


def test_an_alias_is_set_and_removed_and_refused_for_a_version_that_is_not_normal(
    site: Site, reserve: Reserve, imported: Callable[..., Any]
) -> None:
    imported()
    assert site.post(f"{VERSION}/alias", {"alias": " champion "}).status_code == 303
    assert find(site).aliases == ("champion",)
    assert '<span class="alias" title="alias">champion</span>' in site.get("/").text
    assert "whoever asks for that finds nothing then" in site.get(f"{VERSION}/delete").text
    assert site.post(f"{VERSION}/unalias", {"alias": "champion"}).status_code == 303
    assert find(site).aliases == ()
    for alias in ("9lives", "a b", "a/b", "x" * 65, "", "é"):
        refused = site.post(f"{VERSION}/alias", {"alias": alias})
        assert (refused.status_code, "REG012" in refused.text) == (400, True), alias
        # What was typed is not lost with the refusal.
        assert f'name="alias" value="{alias}"' in refused.text
    reserve("run-2")
    refused = site.post("/models/iris/0.0.2/alias", {"alias": "champion"})
    assert refused.status_code == 400
    assert "REG009" in refused.text


def test_a_stage_is_set_and_an_unknown_one_is_refused(site: Site, imported: Callable[..., Any]) -> None:
    imported()
    assert site.post(f"{VERSION}/stage", {"stage": "Production"}).status_code == 303
    assert find(site).stage.value == "Production"
    assert site.post(f"{VERSION}/stage", {"stage": "Moon"}).status_code == 422


def test_a_stage_that_is_refused_comes_back_with_its_form(site: Site, reserve: Reserve) -> None:
    reserve("run-1")
    refused = site.post(f"{VERSION}/stage", {"stage": "Production"})
    assert (refused.status_code, "REG009" in refused.text) == (400, True)
    assert "<option selected>Production</option>" in refused.text
    assert find(site).stage.value == "None"


@pytest.mark.parametrize(
    "action,page", [("alias", "edit"), ("unalias", "edit"), ("stage", "edit"), ("revalidate", "health")]
)
def test_the_address_of_a_form_that_was_refused_leads_back_to_its_page(
    site: Site, reserve: Reserve, action: str, page: str
) -> None:
    reserve("run-1")
    answer = site.get(f"{VERSION}/{action}")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/airlock{VERSION}/{page}")
    assert site.get(f"{VERSION}/{page}").status_code == 200


def test_a_version_is_deleted_after_it_was_asked_for(site: Site, imported: Callable[..., Any]) -> None:
    imported()
    asked = site.get(f"{VERSION}/delete").text
    assert "Delete <bdi>iris</bdi> 0.0.1?" in asked
    assert "the validation report of its import stay" in asked
    assert find(site).status.value == "Normal"
    answer = site.post(f"{VERSION}/delete")
    assert answer.headers["location"] == "/airlock/models/iris/0.0.1/events"
    text = site.get(f"{VERSION}/events").text
    assert "Deleted by ada." in text
    assert "This version was deleted." in text
    assert "/edit" not in text
    assert "/delete" not in text
    for tab in ("smoke", "health"):
        assert "This went with the version." in site.get(f"{VERSION}/{tab}").text
    # What the page said before: the run's report is no part of the version.
    assert "The report of its import stays." in site.get(f"{VERSION}/validation").text
    report = site.get("/reports/import_model/manual__1")
    assert (report.status_code, "keeps the rules" in report.text) == (200, True)
    for action in ("edit", "delete"):
        assert site.get(f"{VERSION}/{action}").status_code == 404
        assert site.post(f"{VERSION}/{action}", SENT[action]).status_code == 404
    assert "No model has been imported yet." in site.get("/").text


@pytest.mark.parametrize("action", SENT)
def test_a_form_from_another_site_changes_nothing(site: Site, imported: Callable[..., Any], action: str) -> None:
    imported()
    site.runs.dags.add("revalidate_models")
    before = find(site)
    for headers in (
        {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
        {"sec-fetch-site": "same-site", "origin": "https://other.airflow.example"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ):
        answer = site.post(f"{VERSION}/{action}", SENT[action], **headers)
        assert answer.status_code == 403, headers
        assert "came from another site" in answer.text
    assert find(site) == before
    assert site.runs.started == []


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "same-origin"},
        {"origin": "http://airflow.example"},
        {"authorization": "Bearer x", "sec-fetch-site": "cross-site", "origin": "https://evil.example"},
        {"user-agent": "curl"},
    ],
    ids=["fetch metadata", "origin alone", "a token of its own", "no browser"],
)
def test_a_form_that_no_other_sites_page_sent_is_taken(site: Site, reserve: Reserve, headers: dict[str, str]) -> None:
    reserve("run-1")
    assert site.post(f"{VERSION}/edit", SENT["edit"], **headers).status_code == 303


@pytest.mark.parametrize("action", SENT)
def test_a_change_is_refused_without_its_permission(site: Site, imported: Callable[..., Any], action: str) -> None:
    imported()
    site.runs.dags.add("revalidate_models")
    before = find(site)
    site.may_change = False
    answer = site.post(f"{VERSION}/{action}", SENT[action])
    assert answer.status_code == 403
    assert "This is not allowed" in answer.text
    if action in ("edit", "delete", "new", "dependencies"):
        assert site.get(f"{VERSION}/{action}").status_code == 403
    assert find(site) == before
    assert site.runs.started == []


def test_a_new_version_is_asked_for_as_this_one_was(site: Site, reserve: Reserve) -> None:
    conf = {
        "model_name": "iris",
        "model_version": "0.0.1",
        "source_location": "s3://bucket/iris/",
        "labels": ["old"],
        "install_type": ["batch"],
        "min_memory_mb": 256,
        "config_override": None,
    }
    held = reserve("run-1", **{name: value for name, value in conf.items() if value})
    site.runs.confs[held.run] = conf
    form = site.get(f"{VERSION}/new").text
    assert 'value="s3://bucket/iris/"' in form
    assert (
        ">\n{\n  &#34;install_type&#34;: [\n    &#34;batch&#34;\n  ],\n  &#34;min_memory_mb&#34;: 256\n}</textarea>"
        in form
    )
    sent = {"source_location": "s3://bucket/iris-2/", "labels": "new", "others": '{"min_memory_mb": 512}'}
    answer = site.post(f"{VERSION}/new", sent, **SIGNED_IN)
    ((dag_id, started, sign_in),) = site.runs.started
    assert (dag_id, sign_in) == ("import_model", SIGNED_IN["cookie"])
    assert started == {
        "model_name": "iris",
        "source_location": "s3://bucket/iris-2/",
        "labels": ["new"],
        "min_memory_mb": 512,
    }
    waiting = answer.headers["location"].removeprefix("/airlock")
    assert waiting == "/runs/import_model/manual__1"
    assert "The import has been asked for" in site.get(waiting).text
    reserve("manual__1")
    assert site.get(waiting).headers["location"] == "/airlock/models/iris/0.0.2"


def test_a_version_whose_run_is_forgotten_is_asked_for_by_what_the_registry_knows(site: Site, reserve: Reserve) -> None:
    reserve("run-1", install_type=["edge"], model_docs=[{"doc_name": "Card", "doc_url": "https://example.com"}])
    form = site.get(f"{VERSION}/new").text
    assert 'value="s3://bucket/iris/"' in form
    assert "edge" in form
    assert "https://example.com" in form


def test_a_version_whose_image_was_made_again_is_asked_for_without_that(site: Site, reserve: Reserve) -> None:
    held = reserve("run-1", install_type=["edge"])
    site.runs.confs[held.run] = {"model_name": "iris", "model_version": "0.0.1", "dependencies": [], "rebuild": True}
    form = site.get(f"{VERSION}/new").text
    assert 'value="s3://bucket/iris/"' in form
    assert "edge" in form
    assert "rebuild" not in form


@pytest.mark.parametrize(
    "sent,says",
    [
        ({"source_location": "nowhere"}, "REQ008"),
        ({"source_location": ""}, "REQ002"),
        ({"model_version": "1.2"}, "REQ005"),
        ({"model_version": "0.0.1"}, "The next free version is 0.0.2"),
        ({"others": "{"}, "WEB012"),
        ({"others": "[1]"}, "WEB012"),
        ({"others": '{"model_name": "other"}'}, "WEB012"),
        ({"others": '{"min_memory": 1}'}, "REQ001"),
        ({"others": "[" * 100_000}, "WEB012"),
    ],
)
def test_a_new_version_that_breaks_rules_starts_nothing(
    site: Site, reserve: Reserve, sent: dict[str, str], says: str
) -> None:
    reserve("run-1")
    answer = site.post(f"{VERSION}/new", {"source_location": "s3://bucket/iris/", "labels": "mine", **sent})
    assert answer.status_code == 400
    assert says in answer.text
    assert ">\nmine</textarea>" in answer.text
    assert site.runs.started == []


def test_a_version_is_tested_again_where_the_installation_can(site: Site, imported: Callable[..., Any]) -> None:
    imported()
    assert "Test again now" not in site.get(VERSION).text
    refused = site.post(f"{VERSION}/revalidate")
    assert refused.status_code == 409
    assert "RUN002" in refused.text
    site.runs.dags.add("revalidate_models")
    assert "Test again now" in site.get(VERSION).text
    assert site.post(f"{VERSION}/revalidate", **SIGNED_IN).status_code == 303
    conf = {"model_name": "iris", "model_version": "0.0.1"}
    assert site.runs.started == [("revalidate_models", conf, SIGNED_IN["cookie"])]


#: Where a browser is sent that asks for a new test.
ASKED_AGAIN = f"{VERSION}/health?done=revalidating&started=revalidate_models%2Fmanual__1"


@pytest.fixture
def asked_again(site: Site, imported: Callable[..., Any]) -> Callable[..., str]:
    """A version whose new test was asked for and has ended; gives what its page says, by how it ended."""
    from airlock.domain.device import Device
    from airlock.domain.revalidation import Outcome, SweepReport, SweepRow
    from airlock.domain.version import RunRef

    imported()
    site.runs.dags.add("revalidate_models")
    assert site.post(f"{VERSION}/revalidate", **SIGNED_IN).headers["location"] == f"/airlock{ASKED_AGAIN}"
    assert "is being tested again" in site.get(ASKED_AGAIN).text
    run = RunRef(dag_id="revalidate_models", run_id="manual__1")
    site.runs.ended.add(run)

    def says(outcome: str | None, reason: str = "", lost: int = 0) -> str:
        rows = (
            SweepRow(
                model_name="iris", model_version="0.0.1", outcome=Outcome(outcome), reason=reason, why=(),
                devices=(Device.CPU,), notes=(),
            ),
        ) if outcome else ()  # fmt: skip
        report = SweepReport(
            at=1.7e9, asked="iris 0.0.1", registered=1, due=1, later=0, untested=0,
            counts={Outcome(outcome): 1} if outcome else {}, rows=rows, left_out=0, tests=1, bytes_read=0, lost=lost,
        )  # fmt: skip
        site.reports.keep_sweep(run, report)
        return site.get(ASKED_AGAIN).text

    return says


REPORT_OF_THE_TEST = 'href="/airlock/reports/revalidate_models/manual__1">Report of the test</a>'


@pytest.mark.parametrize(
    "outcome,said",
    [
        ("not decided", "could not be tested again"),
        ("found unfit", "found unfit"),
        ("still unfit", "still unfit"),
        ("changed meanwhile", "changed while it was tested"),
    ],
)
def test_a_new_test_that_did_not_end_well_is_told_with_its_reason(
    site: Site, asked_again: Callable[..., str], outcome: str, said: str
) -> None:
    text = asked_again(outcome, "[RVL010] <b>The image is of another backend.</b>")
    (box,) = re.findall(r'<div class="warning box" role="status">(.*?)</div>', text)
    assert said in box
    assert "[RVL010] &lt;b&gt;The image is of another backend.&lt;/b&gt;" in box
    assert REPORT_OF_THE_TEST in box
    assert "is being tested again" not in text
    assert "data-live" not in text


def test_a_new_test_that_ended_well_says_so(asked_again: Callable[..., str]) -> None:
    (box,) = re.findall(r'<div class="good box" role="status">(.*?)</div>', asked_again("fit"))
    assert "The version was tested again, and is fit." in box
    assert REPORT_OF_THE_TEST in box


def test_a_new_test_of_which_nothing_is_known_is_told(site: Site, asked_again: Callable[..., str]) -> None:
    text = site.get(ASKED_AGAIN).text
    assert "ended without a report." in text
    assert 'href="/dags/revalidate_models/runs/manual__1" target="_top">Its run in Airflow' in text
    assert "nothing is known of it" in asked_again(None, lost=1)
    site.reports.away = True
    text = site.get(ASKED_AGAIN).text
    assert "RPT001" in text
    assert "Health over time" in text


def test_a_run_that_an_address_makes_up_says_nothing_of_a_version(
    site: Site, reserve: Reserve, asked_again: Callable[..., str]
) -> None:
    asked_again("not decided", "No.")
    reserve("run-2")
    for version, run in (
        ("0.0.2", "revalidate_models%2Fmanual__1"),
        ("0.0.1", "revalidate_models%2Fno"),
        ("0.0.1", "x"),
    ):
        text = site.get(f"/models/iris/{version}/health?done=revalidating&started={run}").text
        assert 'role="status"' not in text


def test_a_version_that_was_never_imported_is_not_tested_again(site: Site, reserve: Reserve) -> None:
    reserve("run-1")
    site.runs.dags.add("revalidate_models")
    assert "Test again now" not in site.get(VERSION).text
    assert site.post(f"{VERSION}/revalidate").status_code == 409
    assert site.runs.started == []


def test_a_run_without_a_version_says_so_and_one_with_leads_to_it(site: Site, reserve: Reserve) -> None:
    text = site.get("/runs/import_model/manual__2026-01-01T00%3A00%3A00%2B00%3A00").text
    assert "This run has imported no model" in text
    assert 'href="/dags/import_model/runs/manual__2026-01-01T00%3A00%3A00%2B00%3A00"' in text
    reserve("manual__2026-01-01T00:00:00+00:00")
    answer = site.get("/runs/import_model/manual__2026-01-01T00%3A00%3A00%2B00%3A00")
    assert answer.headers["location"] == "/airlock/models/iris/0.0.1"


def test_a_run_that_got_no_version_says_why_on_its_page_and_on_its_report(site: Site) -> None:
    from airlock.domain.import_report import Refusal
    from airlock.domain.version import RunRef

    run = RunRef(dag_id="import_model", run_id="manual__1")
    site.reports.keep_refusal(run, Refusal(reason="[REG004] iris 0.0.1 exists already.\n<b>", at=1.0))
    for address in ("/runs/import_model/manual__1", "/reports/import_model/manual__1"):
        text = site.get(address).text
        assert '<span class="lines">[REG004] iris 0.0.1 exists already.\n&lt;b&gt;</span>' in text
        assert "The log of its first task says which." not in text
    site.runs.confs[run] = {}
    assert "REG004" not in site.get("/runs/import_model/manual__1").text


def test_a_model_leads_to_its_newest_version(site: Site, reserve: Reserve) -> None:
    reserve("run-1")
    reserve("run-2")
    assert site.get("/models/iris").headers["location"] == "/airlock/models/iris/0.0.2"
    assert site.get("/models/none").status_code == 404


def test_runtime_dependencies_are_edited_in_the_form_of_the_configuration(site: Site, reserve: Reserve) -> None:
    from tests.unit.given import changed, iris_files

    given = [
        {
            "installer": "pip",
            "packages": [
                {"package_name": "tqdm", "package_version": "4.66.0", "restraint": "EXACT"},
                {"package_name": "attrs"},
            ],
        }
    ]
    site.line(iris_files(changed(dependencies=given))).import_model()
    assert f"{VERSION}/dependencies" in site.get(f"{VERSION}/runtime").text
    form = html.unescape(site.get(f"{VERSION}/dependencies").text)
    shown = form[form.index("spellcheck") : form.index("</textarea>")].partition(">")[2]
    assert json.loads(shown) == given
    wanted = [{"installer": "pip", "packages": [{"package_name": "attrs"}]}]
    answer = site.post(f"{VERSION}/dependencies", {"dependencies": json.dumps(wanted)}, **SIGNED_IN)
    location = answer.headers["location"].removeprefix("/airlock")
    assert location == f"{VERSION}/events?done=rebuilding&started=import_model%2Fmanual__1"
    # Nothing in the registry tells of the run yet.
    followed = site.get(location).text
    assert ("The image is being made again." in followed, "data-live" in followed) == (True, True)
    ended = dict(site.runs.confs)
    site.runs.confs.clear()
    followed = site.get(location).text
    assert ("The image is being made again." in followed, "data-live" in followed) == (False, False)
    site.runs.confs.update(ended)
    ((dag_id, conf, sign_in),) = site.runs.started
    assert (dag_id, sign_in) == ("import_model", SIGNED_IN["cookie"])
    assert conf == {
        "model_name": "iris",
        "model_version": "0.0.1",
        "source_location": "s3://models/iris/",
        "dependencies": wanted,
        "rebuild": True,
    }
    for text, says in (("{", "WEB012"), ('[{"packages": [{"package_name": "a b"}]}]', "DEP001"), ("3", "REQ003")):
        refused = site.post(f"{VERSION}/dependencies", {"dependencies": text})
        assert (refused.status_code, says in refused.text) == (400, True)
    assert len(site.runs.started) == 1
    reserve("run-9")
    assert site.get("/models/iris/0.0.2/dependencies").status_code == 409
