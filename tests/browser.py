"""Debian's Chromium for tests of pages, which it opens as files."""

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from d2lbert.book.site.chromium import browser_options, browser_path


@pytest.fixture(scope="module")
def browser():
    """Closed after each file: its event loop would be in others' way."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed")
    if not browser_path():
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as driver:
        yield driver.chromium.launch(**browser_options())


def axe(page, rules=None):
    """Serious faults that axe-core finds, each with where it is.

    Args:
        rules: the only ones that are tried, or None for all.
    """
    module = pytest.importorskip("axe_playwright_python.sync_playwright")
    # Colours on their way to those of the dark are not judged
    page.add_style_tag(content="* { transition: none !important }")
    # It would fetch the style sheets again, which pages of files may not
    options = {"preload": False, "resultTypes": ["violations"]} | (
        {"runOnly": rules} if rules else {})
    found = module.Axe().run(page, options=options).response["violations"]
    return [f"{fault['id']}: {node['target']} {node['failureSummary']}"
            for fault in found if fault["impact"] in ("serious", "critical")
            for node in fault["nodes"]]


@dataclass
class Window:
    """A window of its own, as a new reader has it.

    Attributes:
        page: Playwright's.
        problems: what the console says is wrong, what could not be loaded
            and what was asked of another place than the folder.
    """
    page: Any
    folder: Any
    problems: list = field(default_factory=list)

    def open(self, address):
        """Show a page of the folder; address may have ?… and #…"""
        self.page.goto(f"{self.folder.as_uri()}/{address}")

    def note(self, request):
        inside = (self.folder.as_uri() + "/", "data:", "blob:", "about:")
        if not request.url.startswith(inside):
            self.problems.append(f"asks for {request.url}")


@contextmanager
def window(browser, folder, width=1280, height=720, scheme="light",
           **options):
    """A window on the pages of a folder; closed at the end."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme,
        **options)
    made = Window(context.new_page(), folder)
    made.page.on("request", made.note)
    made.page.on("requestfailed", lambda request: made.problems.append(
        f"{request.url} could not be loaded"))
    made.page.on("pageerror", lambda error: made.problems.append(str(error)))
    made.page.on("console", lambda message: made.problems.append(
        message.text) if message.type in ("error", "warning") else None)
    yield made
    context.close()
