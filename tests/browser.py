"""A browser for the tests of pages, which are opened from their files."""

import shutil
from urllib.parse import urldefrag

import pytest

PROGRAMS = "chromium", "chromium-browser", "google-chrome"


# Not for the session: while Playwright runs, asyncio.run() fails in others.
@pytest.fixture(scope="module")
def browser():
    """Chromium without a window; without one a test is skipped."""
    api = pytest.importorskip("playwright.sync_api",
                              reason="Playwright is not installed")
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip(f"there is no {', '.join(PROGRAMS)} on the PATH")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser):
    """(path, fragment="", **options of the browser's context) -> a page.

    The test fails at its end if a page asked for a file outside of its
    folder, or had an error.
    """
    contexts, problems = [], []

    def open_page(path, fragment="", **options):
        folder = path.parent.as_uri()

        def check(request):
            if not request.url.startswith((f"{folder}/", "data:")):
                problems.append(f"asks for {request.url}")

        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.on("request", check)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(urldefrag(path.as_uri()).url + fragment)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems, problems


def axe_faults(page):
    """What axe-core finds serious or critical: a list of strings."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright",
        reason="axe-playwright-python is not installed").Axe()
    return [f"{fault['id']}: {node['html'][:200]}"
            for fault in axe.run(page).response["violations"]
            if fault["impact"] in ("serious", "critical")
            for node in fault["nodes"]]
