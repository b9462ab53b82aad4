"""A made-up report in headless Chromium, without a network."""

from __future__ import annotations

import pytest
from playwright.sync_api import sync_playwright

from report.__main__ import main as make_report
from tests.grids import write_grid

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def report_file(tmp_path_factory):
    """A report of a grid with runs of every status."""
    root = tmp_path_factory.mktemp("results")
    write_grid(root, repeats=2)
    out = root / "report" / "index.html"
    assert make_report(["--results", str(root), "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def browser():
    """Debian's Chromium; gone with its event loop before other tests start loops of their own."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def open_report(browser, report_file):
    """Open the report in a window of some width and colour scheme; what goes wrong is gathered."""
    pages = []

    def opened(width=1280, scheme="light"):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.troubles = []
        page.on("console", lambda message: page.troubles.append(f"console {message.type}: {message.text}"))
        page.on("pageerror", lambda error: page.troubles.append(f"error: {error}"))
        page.on("request", lambda request: page.troubles.append(f"request: {request.url}"))
        page.goto(report_file.as_uri())
        pages.append(page)
        return page

    yield opened
    for page in pages:
        page.close()
