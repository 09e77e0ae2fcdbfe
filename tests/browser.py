"""A browser for the tests of pages: Debian's Chromium, by Playwright."""

from contextlib import contextmanager

import pytest

from d2lbert.book.site.slides import browser_options


@pytest.fixture(scope="session")
def browser():
    """A Playwright browser; skips where there is none."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="Playwright is not installed")
    with playwright.sync_playwright() as started:
        try:
            found = started.chromium.launch(**browser_options())
        except playwright.Error as error:
            pytest.skip(f"no Chromium: {error.message.splitlines()[0]}")
        yield found
        found.close()


@contextmanager
def opened(browser, path, query="", width=1280, height=720, theme="light"):
    """The page of a file, with `asked`, its requests, and `said`, errors.

    The page counts as there when its root has `data-ready`.
    """
    context = browser.new_context(
        viewport={"width": width, "height": height})
    context.add_init_script(
        f"localStorage.setItem('mode', '{theme}');"
        f"localStorage.setItem('theme', '{theme}');")
    page = context.new_page()
    page.asked, page.said = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.on("requestfailed", lambda request: page.said.append(
        f"{request.url} is not there"))
    page.on("console", lambda message: page.said.append(message.text)
            if message.type == "error" else None)
    page.goto(path.as_uri() + query)
    page.wait_for_selector("html[data-ready]", state="attached")
    yield page
    context.close()
