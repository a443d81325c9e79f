"""A real browser that looks at the pages inside a running Airflow, and notes what goes wrong on them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from scripts import airflow_config
from tests.conftest import ROOT
from tests.running.conftest import Running

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, FrameLocator, Page

SCREENSHOTS = ROOT / "build" / "screenshots"
#: A machine with many tests on it is slow; nothing waits for as long as this where all is well.
PATIENCE_MS = 60_000
#: Chromium as root, without a display, and without what it asks of other hosts by itself.
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's browser; skips where there is none."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    if program is None:
        pytest.skip("there is no chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """A browser's window, signed in as a user.

    Attributes:
        url: Where Airflow answers.
        page: The window.
        problems: What the browser complained of on our pages, and requests to other hosts.
    """

    def __init__(self, browser: Browser, running: Running, user: str = airflow_config.USER) -> None:
        self.url = running.airflow.url
        self.problems: list[str] = []
        self.context: BrowserContext = browser.new_context(viewport={"width": 1400, "height": 900})
        self.context.set_default_timeout(PATIENCE_MS)
        self.context.on("console", self._said)
        self.context.on("weberror", lambda error: self.problems.append(f"{error.page} {error.error}"))
        self.context.on("request", self._asked)
        self.page: Page = self.context.new_page()
        self.user = user
        self.password = json.loads(airflow_config.password_file(running.airflow.home).read_text())[user]

    def sign_in(self) -> None:
        """By Airflow's own form, as a user does who came by a link to the pages."""
        self.page.goto(f"{self.url}/airlock/")
        self.page.get_by_role("link", name="Sign in to Airflow").click()
        self.page.fill("input[name=username]", self.user)
        self.page.fill("input[name=password]", self.password)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("link", name="Models").wait_for()
        # That the first address was refused is what was asked for.
        self.problems.clear()

    @property
    def frame(self) -> FrameLocator:
        """The pages in Airflow's frame."""
        return self.page.frame_locator("iframe")

    def models(self) -> FrameLocator:
        """The list, by Airflow's navigation."""
        self.page.goto(f"{self.url}/plugin/airlock-models")
        self.frame.get_by_role("heading", name="Models").wait_for()
        return self.frame

    def open(self, path: str) -> FrameLocator:
        """A page by the address that Airflow gives it inside its frame."""
        self.page.goto(f"{self.url}/plugin/airlock-models/airlock{path}")
        self.frame.get_by_role("main").wait_for()
        return self.frame

    def shoot(self, name: str) -> Path:
        """A picture of the window, kept as an artefact."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        self.page.screenshot(path=path)
        return path

    def close(self) -> None:
        """Close the window, and fail if the browser complained."""
        self.context.close()
        assert self.problems == []

    def _said(self, message: Any) -> None:
        where = message.location.get("url", "")
        is_ours = "/airlock" in urlsplit(where).path
        # Airflow's own frame: it trusts its plugins.
        is_of_the_frame = "allow-scripts and allow-same-origin" in message.text
        if message.type in ("error", "warning") and is_ours and not is_of_the_frame:
            self.problems.append(f"{where}: {message.text}")

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((f"{self.url}/", "data:", "blob:")):
            self.problems.append(f"asked {request.url}")
