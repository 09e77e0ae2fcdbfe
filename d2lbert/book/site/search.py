"""Texts for the excerpts of search.

Sphinx fetches a page that was found to show an excerpt of it, which a browser
does not allow where pages are files. They get the texts as a script.
"""

import json
from html.parser import HTMLParser
from pathlib import Path

from d2lbert.backends import BACKENDS

NO_TEXT = {"script", "style", "svg", "nav", "button"}
FILE = "_static/texts.js"


class _Text(HTMLParser):
    """The text of a page's main part, by its anchors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.depth, self.skipped, self.is_left_out = 0, 0, False
        self.anchors: list[tuple[str, list[str]]] = [("", [])]
        self.feed(text)

    def handle_starttag(self, tag: str,
                        attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        kinds = (found.get("class") or "").split()
        self.is_left_out = (  # a "#", and the names of other frameworks
            "headerlink" in kinds or tag == "span" and "only" in kinds
            and next(iter(BACKENDS)) not in kinds)
        if tag == "article":
            self.depth += 1
        if tag in NO_TEXT:
            self.skipped += 1
        if self.depth and tag == "section" and found.get("id"):
            self.anchors.append((str(found["id"]), []))

    def handle_endtag(self, tag: str) -> None:
        self.is_left_out = False
        self.depth -= tag == "article"
        self.skipped -= tag in NO_TEXT

    def handle_data(self, data: str) -> None:
        if self.depth and not self.skipped and not self.is_left_out:
            self.anchors[-1][1].append(data)


def write_search_texts(site: Path) -> None:
    """Write the texts of the pages in the folder itself."""
    pages = {path.name: {anchor: " ".join("".join(text).split())
                         for anchor, text
                         in _Text(path.read_text("utf-8")).anchors if text}
             for path in sorted(site.glob("*.html"))}
    text = json.dumps(pages, ensure_ascii=False, separators=(",", ":"))
    (site / FILE).write_text(f"const PAGE_TEXTS = {text};\n", "utf-8")
