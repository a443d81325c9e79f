"""The pages as a browser lays them out, at the widths of a screen, a small window and a telephone."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
import uvicorn
from fastapi import FastAPI

from tests.running.browsing import chromium
from tests.web.conftest import Site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WIDTHS = (1400, 1100, 700, 400)
LONG = "a-model-with-a-rather-long-name-for-flowers"
VERSION = f"/models/{LONG}/0.0.2"
#: The words below what a selector finds that lie in more than one box: each was broken in two.
BROKEN_WORDS = """selector => [...document.querySelectorAll(selector)].flatMap(found => {
  const broken = [], walk = document.createTreeWalker(found, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    for (const word of walk.currentNode.data.matchAll(/[\\p{L}\\p{N}]+/gu)) {
      const range = document.createRange();
      range.setStart(walk.currentNode, word.index);
      range.setEnd(walk.currentNode, word.index + word[0].length);
      if (range.getClientRects().length > 1) broken.push(word[0]);
    }
  }
  return broken;
})"""


def run_id(name: str) -> str:
    """The id of the run of an import, as Airflow makes one."""
    return f"manual__2026-11-29T10:00:00.000000+00:00_{name}"


def fill(site: Site) -> None:
    """Models of every kind: imported twice, refused by rules, under way, with labels, an alias and a stage."""
    from airlock.domain.request_form import parse_request
    from airlock.domain.version import RunRef
    from airlock.errors import PackageRejected
    from tests.unit.given import changed, iris_files

    def run(name: str) -> RunRef:
        return RunRef(dag_id="import_model", run_id=run_id(name))

    given = {"model_name": LONG, "description": "Tells flowers apart by their leaves", "min_memory_mb": 256}
    site.line().import_model(run=run("first"), **given, labels=["Garden", "season-1"])
    site.line(iris_files(changed(model_algorithm="unlike_the_other"))).import_model(
        run=run("second"), **given, labels=["Garden", "ÜBER"], model_docs=[{"doc_name": "Card", "doc_url": "https://example.com/card"}]
    )  # fmt: skip
    wrong = site.line(iris_files(changed(runtime="python2.77")))
    accepted = wrong.accept(run=run("refused"), model_name="refused")
    with pytest.raises(PackageRejected) as caught:
        wrong.validate(accepted, wrong.fetch(accepted))
    site.registry.fail(accepted.reservation, "validate", caught.value.code, str(caught.value))
    request = parse_request({"model_name": "under-way", "source_location": "s3://bucket/iris/"})
    site.registry.reserve(request, run("under-way"))


@pytest.fixture(scope="module")
def address(app: FastAPI, empty_registry: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The pages, served to a browser."""
    from airlock.adapters.registry_schema import open_engine

    path = tmp_path_factory.mktemp("served") / "registry.db"
    shutil.copyfile(empty_registry, path)
    engine = open_engine(f"sqlite:///{path}")
    site = Site(app, engine)
    fill(site)
    server = uvicorn.Server(uvicorn.Config(site.outer, host="127.0.0.1", port=0, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/airlock"
    server.should_exit = True
    thread.join()
    engine.dispose()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Not longer than these tests: others may not start an event loop while the browser's runs.
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


@pytest.mark.parametrize("width", [*WIDTHS, 1261, 1260, 1021, 1020])
def test_a_models_name_has_room_in_the_list_at_every_width(page: Page, address: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{address}/")
    page.locator("summary").click()
    for cell in page.locator("th.name").all():
        box = cell.bounding_box()
        assert box is not None
        assert box["width"] >= 180
    headings = page.locator("thead th")
    assert headings.evaluate_all("cells => cells.filter(each => each.scrollWidth > each.clientWidth).length") == 0


def test_what_differs_of_two_versions_has_as_much_room_on_either_side(page: Page, address: str) -> None:
    page.set_viewport_size({"width": 1400, "height": 800})
    page.goto(f"{address}{VERSION}/versions?beside=0.0.1")
    page.get_by_text("Every difference of the records").click()
    for table in page.locator("table.comparison").all():
        left, right = (table.locator("thead th").nth(number).bounding_box() for number in (1, 2))
        assert left is not None
        assert right is not None
        assert left["width"] == pytest.approx(right["width"], abs=2)
        assert left["width"] >= 400


TABS = ("overview", "parameters", "runtime", "validation", "smoke", "events", "health", "versions?beside=0.0.1")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        *(f"{VERSION}/{tab}" for tab in (*TABS, "edit", "new", "delete", "dependencies")),
        *(f"/models/refused/0.0.1/{tab}" for tab in ("overview", "validation", "health")),
        f"/reports/{quote('import_model/' + run_id('refused'), safe='/')}",
        "/api/v1/docs",
    ],
)
def test_no_page_is_wider_than_a_telephone_and_no_word_of_a_state_is_broken(
    page: Page, address: str, path: str
) -> None:
    page.set_viewport_size({"width": 400, "height": 800})
    answer = page.goto(f"{address}{path}")
    assert answer is not None
    assert answer.status == 200
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    broken = page.evaluate(BROKEN_WORDS, ".status, .event, .device, .mark, thead th, time, .buttons")
    assert broken == []


def test_events_stand_below_one_another_on_a_telephone(page: Page, address: str) -> None:
    page.set_viewport_size({"width": 400, "height": 800})
    page.goto(f"{address}{VERSION}/events")
    for text in page.locator(".event-text").all():
        box = text.bounding_box()
        assert box is not None
        assert box["width"] >= 350


@pytest.mark.parametrize("width", WIDTHS)
def test_no_word_of_the_list_is_broken(page: Page, address: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{address}/")
    page.locator("summary").click()
    assert page.evaluate(BROKEN_WORDS, ".models :is(th, td)") == []
