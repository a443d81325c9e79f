"""The pages in a real browser, inside a real Airflow: what a user does with them from sign-in to deletion."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import Bucket
from tests.dag.conftest import SERVICE, a_config
from tests.running.browsing import Visit, chromium
from tests.running.conftest import DAG_ID, Running

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAME = f"by-hand-{uuid.uuid4().hex[:8]}"
VERSION = f"/models/{NAME}/0.0.1"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Not longer than these tests: others may not start an event loop while the browser's runs.
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def source(s3_client: Any) -> str:
    """A package in object storage."""
    bucket = Bucket(s3_client, f"test-{NAME}")
    bucket.put("sums/model/config.json", json.dumps(a_config()).encode())
    bucket.put("sums/model/model.m", b"\x80\x02N.")
    bucket.put("sums/model/customize_service.py", SERVICE.encode())
    return f"s3://{bucket.name}/sums/"


@pytest.fixture
def visit(browser: Browser, running: Running) -> Iterator[Visit]:
    visit = Visit(browser, running)
    visit.sign_in()
    yield visit
    visit.close()


@pytest.fixture(scope="module")
def imported(browser: Browser, running: Running, source: str) -> str:
    """A model that a user imported through Airflow's form, from the page's link on; gives the run's id."""
    visit = Visit(browser, running)
    visit.sign_in()
    page = visit.page
    visit.models().get_by_role("link", name="Import a model").first.click()
    page.wait_for_url(f"**/dags/{DAG_ID}")
    page.get_by_test_id("trigger-dag-button").click()
    dialog = page.get_by_role("dialog").filter(has_text="Single Run")
    for section, field, value in (
        ("Basic information", "model_name", NAME),
        ("Meta model source", "source_location", source),
    ):
        dialog.get_by_role("button", name=section).click()
        dialog.locator(f"[name=element_{field}]").fill(value)
    visit.shoot("import-form")
    dialog.get_by_test_id("trigger-dag-submit").click()
    dialog.wait_for(state="hidden")
    frame = visit.models()
    frame.get_by_role("link", name=NAME).or_(frame.get_by_text("No model")).first.wait_for()
    while not frame.get_by_role("link", name=NAME).count():
        frame = visit.models()
    frame = visit.open(f"{VERSION}/events")
    # The page follows the import by itself.
    ended = frame.locator(".status.normal, .status.failed")
    ended.wait_for(timeout=600_000)
    assert ended.inner_text() == "Normal", frame.get_by_role("main").inner_text()
    frame.get_by_text("Model imported.").wait_for()
    visit.close()
    row, _ = running.version(NAME)
    return str(row.run.partition("/")[2])


def test_a_model_is_imported_through_airflows_form_while_its_page_follows(imported: str, running: Running) -> None:
    row, _ = running.version(NAME)
    assert row.status.value == "Normal"
    assert row.created_by in ("", "admin")


def test_every_tab_of_a_version_opens_from_the_list(visit: Visit, imported: str) -> None:
    frame = visit.models()
    frame.get_by_role("row", name=re.compile(NAME)).get_by_role("link", name=NAME, exact=True).click()
    frame.get_by_role("heading", name=re.compile(f"{NAME} 0.0.1")).wait_for()
    tabs = frame.get_by_role("navigation", name="About this version").get_by_role("link")
    titles = tabs.all_inner_texts()
    assert len(titles) == 8
    for title in titles:
        tabs.get_by_text(title, exact=True).click()
        frame.locator("[aria-current=page]").get_by_text(title, exact=True).wait_for()
        visit.shoot(f"version-{title.lower().replace(' ', '-')}")
    frame.get_by_role("navigation", name="Where you are").get_by_role("link", name="Models").click()
    frame.get_by_role("heading", name="Models").wait_for()


def test_a_run_and_a_task_lead_to_the_model_and_the_model_to_the_run(visit: Visit, imported: str) -> None:
    page = visit.page
    visit.open(VERSION).get_by_role("link", name="Import run").click()
    page.wait_for_url(f"**/dags/{DAG_ID}/runs/*")
    page.get_by_role("link", name="Model", exact=True).click()
    visit.frame.get_by_role("heading", name=re.compile(f"{NAME} 0.0.1")).wait_for()
    visit.shoot("tab-of-a-run")
    page.goto(f"{visit.url}/dags/{DAG_ID}/runs/{imported}/tasks/register/details")
    link = page.get_by_role("link", name="Model", exact=True)
    link.wait_for()
    href = link.get_attribute("href") or ""
    page.goto(href if "://" in href else f"{visit.url}{href}")
    visit.frame.get_by_role("heading", name=re.compile(f"{NAME} 0.0.1")).wait_for()


def test_other_runtime_dependencies_make_the_image_again_and_the_page_follows(
    visit: Visit, imported: str, running: Running
) -> None:
    before, _ = running.version(NAME)
    frame = visit.open(f"{VERSION}/runtime")
    frame.get_by_role("link", name="Edit and make the image again").click()
    field, send = frame.get_by_label("Dependencies"), frame.get_by_role("button", name="Make the image again")
    assert json.loads(field.input_value()) == []
    field.fill('[{"installer": "pip", "packages": [{"package_name": "a b"}]}]')
    send.click()
    # What was written is not lost with the refusal.
    frame.get_by_role("alert").get_by_text("DEP001").wait_for()
    assert "a b" in field.input_value()
    field.fill('[{"installer": "pip", "packages": [{"package_name": "itsdangerous"}]}]')
    visit.shoot("dependencies")
    send.click()
    frame.get_by_text("The image is being made again.").wait_for()
    frame.get_by_text("Runtime dependencies updated, image made again.").wait_for(timeout=600_000)
    row, versions = running.version(NAME)
    assert (row.status.value, row.package_digest) == ("Normal", before.package_digest)
    assert (row.run != before.run, row.image_digest != before.image_digest) == (True, True)
    assert "0.0.1" in [each.model_version for each in versions]
    (dependency,) = row.details["validated"]["config"]["dependencies"]
    assert dependency["name"] == "itsdangerous"
    visit.open(f"{VERSION}/runtime").get_by_role("cell", name="itsdangerous").wait_for()
    visit.problems[:] = [each for each in visit.problems if "400 (Bad Request)" not in each]


def test_an_import_that_fails_shows_its_reason_and_is_found_by_its_status(visit: Visit, imported: str) -> None:
    frame = visit.open(VERSION)
    frame.get_by_role("link", name="New version").click()
    frame.get_by_label("Meta model").fill("s3://there-is-no-such-bucket/iris/")
    frame.get_by_label("Labels").fill(NAME)
    frame.get_by_role("button", name="Import").click()
    frame.get_by_role("heading", name=re.compile(f"{NAME} 0.0.2")).wait_for()
    frame.locator(".status.failed").wait_for(timeout=300_000)
    reason = frame.get_by_role("alert").inner_text()
    assert re.match(r"Failed: \[[A-Z]{3}\d{3}\] .*there-is-no-such-bucket", reason), reason
    visit.shoot("version-failed")
    frame = visit.models()
    frame.get_by_role("combobox", name=re.compile("^Status")).select_option("Failed")
    frame.get_by_role("combobox", name=re.compile("^Label")).select_option(NAME)
    frame.get_by_role("button", name="Apply").click()
    # Only a filtered list has it.
    frame.get_by_role("link", name="Clear").wait_for()
    assert frame.get_by_text("1–1 of 1 model").is_visible()
    assert "there-is-no-such-bucket" in frame.get_by_role("row", name=re.compile(NAME)).inner_text()
    frame.get_by_label("Search").fill("nothing like it")
    frame.get_by_role("button", name="Apply").click()
    frame.get_by_text("No model matches").wait_for()
    # The address of the window says what is shown: it can be sent to somebody else.
    visit.page.wait_for_url("**/plugin/airlock-models/airlock/?search=nothing*status=Failed*")


def test_a_version_is_edited_in_the_users_name(visit: Visit, imported: str, running: Running) -> None:
    frame = visit.open(VERSION)
    frame.get_by_role("link", name="Edit").click()
    frame.get_by_label("Description").fill("Better!")
    frame.get_by_role("button", name="Save").click()
    frame.get_by_role("alert").get_by_text("REQ007").wait_for()
    frame.get_by_label("Description").fill("Adds two numbers 加法 جمع")
    frame.get_by_label("Labels").fill("sums\nsmall")
    frame.get_by_role("button", name="Save").click()
    frame.get_by_text("Description and labels are saved.").wait_for()
    frame.get_by_role("link", name="Edit").click()
    frame.get_by_label("New alias").fill("champion")
    frame.get_by_role("button", name="Set alias").click()
    frame.get_by_text("The alias is set.").wait_for()
    row, _ = running.version(NAME)
    assert (row.description, row.labels, row.aliases) == ("Adds two numbers 加法 جمع", ("small", "sums"), ("champion",))
    assert row.events[-1].actor == "admin"
    assert frame.get_by_role("link", name="New version").is_visible()
    # That the first form came back is an error for the browser, too.
    visit.problems[:] = [each for each in visit.problems if "400 (Bad Request)" not in each]


def test_a_version_is_deleted_after_a_question(visit: Visit, running: Running) -> None:
    run_id = running.api.trigger(DAG_ID, {"model_name": "to-delete", "source_location": "s3://none/x/"})
    running.wait(run_id, 300)
    frame = visit.open("/models/to-delete/0.0.1")
    frame.get_by_role("link", name="Delete").click()
    visit.shoot("delete")
    frame.get_by_role("link", name="Keep it").click()
    frame.get_by_role("link", name="Delete").click()
    frame.get_by_role("button", name="Delete 0.0.1").click()
    frame.get_by_text("This version was deleted.").wait_for()
    assert running.version("to-delete")[0].status.value == "Deleted"
    assert visit.models().get_by_role("link", name="to-delete").count() == 0


def test_who_may_only_read_is_offered_no_change_and_refused_one(
    browser: Browser, running: Running, imported: str
) -> None:
    visit = Visit(browser, running, user="guest")
    visit.sign_in()
    frame = visit.open(VERSION)
    frame.get_by_role("link", name="Import run").wait_for()
    for name in ("New version", "Edit", "Delete"):
        assert frame.get_by_role("link", name=name).count() == 0
    for action, form in (("edit", {"description": "x"}), ("delete", {}), ("new", {"source_location": "s3://a/b/"})):
        answer = visit.context.request.post(
            f"{visit.url}/airlock{VERSION}/{action}", form=form, headers={"sec-fetch-site": "same-origin"}
        )
        assert (action, answer.status) == (action, 403)
    assert running.version(NAME)[0].description != "x"
    visit.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_pages_wear_airflows_theme_and_keep_nobody_out(visit: Visit, imported: str, theme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    frame = visit.models()
    visit.page.evaluate("theme => localStorage.setItem('theme', theme)", theme)
    visit.page.reload()
    frame.get_by_role("heading", name="Models").wait_for()
    assert frame.locator("html").get_attribute("data-theme") == theme
    for width in (1400, 800):
        visit.page.set_viewport_size({"width": width, "height": 900})
        visit.shoot(f"models-{theme}-{width}")
    axe, violations = Axe(), []
    for path in (
        "/", "/?search=none", VERSION, *(f"{VERSION}/{part}" for part in (
            "parameters", "runtime", "validation", "smoke", "events", "health", "versions", "edit", "delete", "new"
        )),
    ):  # fmt: skip
        visit.page.goto(f"{visit.url}/airlock{path}")
        found = axe.run(visit.page)
        if found.violations_count:
            violations.append(f"{path}\n{found.generate_report()}")
    assert violations == []
