"""The system's Chromium, for printing."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from d2lbert.book.config import BookError

PATIENCE = 120_000  # milliseconds, for the formulas of a whole book
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
NEEDED = "install what the site needs with `pip install -e '.[site]'`"


def browser_path() -> str | None:
    """The system's Chromium; None leaves the choice to Playwright."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


def browser_options() -> dict[str, Any]:
    """How Playwright starts it; as root it has no sandbox."""
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return {"executable_path": browser_path(),
            "args": ["--no-sandbox"] if is_root else []}


def print_page(found: Any, address: str, path: Path) -> None:
    """Print a page, which says by `data-ready` that it is whole, to a PDF.

    Args:
        found: what `browser` gives.
    """
    tab = found.new_page()
    tab.goto(address)
    tab.wait_for_selector("html[data-ready]", state="attached",
                          timeout=PATIENCE)
    tab.pdf(path=path, outline=True, tagged=True,
            prefer_css_page_size=True, print_background=True)
    tab.close()


@contextmanager
def browser() -> Iterator[Any]:
    """Playwright's browser.

    Raises:
        BookError: if there is none, or a page cannot be shown or printed.
    """
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        raise BookError(f"PDF files need Playwright: {NEEDED}") from None
    try:
        with sync_playwright() as playwright:
            found = playwright.chromium.launch(**browser_options())
            yield found
            found.close()
    except Error as error:
        reason = error.message.partition("\n")[0]
        raise BookError(f"Chromium does not print: {reason}") from None
