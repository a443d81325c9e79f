from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.web.conftest import Site

Reserve = Callable[..., Any]


def rows(text: str) -> list[tuple[str, str]]:
    """Model and version of every row that has both, in the order of the page."""
    found = re.findall(r'<a class="number-of-version" href="/airlock/models/([^/"]+)/([^/"]+)"', text)
    return [(name, version) for name, version in found]


def test_an_empty_registry_says_what_to_do(site: Site) -> None:
    answer = site.get("/")
    assert answer.status_code == 200
    assert "No model has been imported yet." in answer.text
    assert 'href="/dags/import_model" target="_top">Import a model' in answer.text
    assert "<table" not in answer.text


def test_versions_are_folded_under_the_newest_of_their_model(site: Site, reserve: Reserve) -> None:
    reserve("run-1")
    reserve("run-2", model_name="wine")
    reserve("run-3")
    reserve("run-4")
    text = site.get("/").text
    assert rows(text) == [("iris", "0.0.3"), ("iris", "0.0.2"), ("iris", "0.0.1"), ("wine", "0.0.1")]
    assert "<summary>2 more versions</summary>" in text
    folded = text[text.index("<details>") : text.index("</details>")]
    assert rows(folded) == [("iris", "0.0.2"), ("iris", "0.0.1")]


def test_more_versions_than_are_folded_are_linked(site: Site, reserve: Reserve) -> None:
    for number in range(22):
        reserve(f"run-{number}")
    text = site.get("/").text
    assert "<summary>21 more versions</summary>" in text
    assert len(rows(text)) == 20
    assert 'href="/airlock/models/iris/0.0.22/versions">All versions of' in text


def test_a_failed_version_shows_the_first_line_of_its_reason(site: Site, registry: Any, reserve: Reserve) -> None:
    registry.fail(reserve("manual__1"), "build", "CFG001", "Line 3 is no JSON.\nAnd more.")
    text = site.get("/").text
    assert "[CFG001] Line 3 is no JSON." in text
    assert "And more." not in text


@pytest.mark.parametrize(
    "reason,shown",
    [
        ("1 rule is broken in the package s3://a/:\n  PKG002 x No config.json.", "PKG002 x No config.json."),
        ("2 rules are broken in the package s3://a/:\n  CFG008 x\n  API001 y", "CFG008 x + 1 more"),
        ("Broken:", "[CFG008] Broken:"),
        ("x" * 200, "[CFG008] " + "x" * 150 + "…"),
        (f"Two:\n  {'x' * 200}\n  API001 y", "x" * 159 + "… + 1 more"),
    ],
)  # fmt: skip
def test_a_refused_version_shows_the_first_rule_that_it_breaks(
    site: Site, registry: Any, reserve: Reserve, reason: str, shown: str
) -> None:
    registry.fail(reserve("manual__1"), "validate", "CFG008", reason)
    assert f'class="reason">{shown}</td>' in site.get("/").text


def test_only_a_reason_is_shown_as_one(site: Site, reserve: Reserve) -> None:
    reserve("run-1")
    reserve("run-2", model_name="wine")
    site.post("/models/wine/0.0.1/delete")
    assert '<td colspan="3" class="muted">under way</td>' in site.get("/").text
    assert '<td colspan="3" class="muted">deleted</td>' in site.get("/?status=Deleted").text


def test_older_models_are_on_the_next_page_and_filters_stay_in_the_address(site: Site, reserve: Reserve) -> None:
    for number in range(30):
        reserve(f"run-{number}", model_name=f"model-{number:02}", labels=["night & day"])
    reserve("run-30", model_name="other")
    first = site.get("/?label=night+%26+day&search=MODEL").text
    assert "1–25 of 30 models" in first
    (following,) = re.findall(r'rel="next" href="/airlock/([^"]*)"', first)
    second = site.get(f"/{html.unescape(following)}").text
    assert "26–30 of 30 models" in second
    assert [name for name, _ in rows(second)] == [f"model-{number:02}" for number in (4, 3, 2, 1, 0)]
    (previous,) = re.findall(r'rel="prev" href="/airlock/([^"]*)"', second)
    assert html.unescape(previous) == "?search=MODEL&label=night+%26+day"
    assert 'value="night &amp; day" selected' in second


@pytest.mark.parametrize(
    "query,names",
    [
        ("search=FLOW", ["iris"]),
        ("search=scikit+flowers", ["iris"]),
        ("search=scikit+wine", []),
        ("search=wine+0.0.1", ["wine"]),
        ("search=nothing+like+it", []),
        ("status=Failed", ["wine"]),
        ("status=Importing", ["plant"]),
        ("label=red", ["wine"]),
        ("device=cpu", ["iris"]),
        ("device=gpu", []),
        ("engine=Scikit_Learn", ["iris"]),
        ("engine=Scikit_Learn&status=Failed", []),
        ("engine=&status=&label=&device=&search=", ["plant", "wine", "iris"]),
    ],
)
def test_filters_leave_what_matches(
    site: Site, registry: Any, reserve: Reserve, imported: Callable[..., Any], query: str, names: list[str]
) -> None:
    imported(description="Tells flowers apart")
    registry.fail(reserve("run-2", model_name="wine", labels=["red"]), "fetch", "SRC002", "There is no bucket.")
    reserve("run-3", model_name="plant")
    text = site.get(f"/?{query}").text
    assert [name for name, _ in rows(text)] == names
    assert ("No model matches" in text) == (not names)


@pytest.mark.parametrize("query", ["status=Lost", "device=toaster", "page=0", "page=x", f"search={'x' * 201}"])
def test_an_address_that_means_nothing_is_told(site: Site, query: str) -> None:
    answer = site.get(f"/?{query}")
    assert answer.status_code == 422
    assert "This cannot be read" in answer.text


def test_a_page_after_the_last_leads_back(site: Site, reserve: Reserve) -> None:
    reserve("run-1")
    text = site.get("/?page=9").text
    assert "There is no page 9" in text
    assert 'href="/airlock/">Show the first page' in text


def test_who_may_only_read_sees_no_action(site: Site, reserve: Reserve) -> None:
    reserve("run-1")
    can = site.get("/").text
    assert all(word in can for word in ("/new", "/edit", "/delete", "Import a model"))
    site.may_change = False
    cannot = site.get("/").text
    assert not any(word in cannot for word in ("/new", "/edit", "/delete", "Import a model"))
    assert "/dags/import_model/runs/run-1" in cannot
