"""Does every link of the site lead somewhere, and none out of it unasked?"""

from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LINKS = {"href", "src", "srcset", "poster", "data"}


class _Page(HTMLParser):
    """The ids of a page, and what it links to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[tuple[str, str]] = []  # (tag, address)
        self.feed(text)

    def handle_starttag(self, tag: str,
                        attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            elif name in LINKS and value:
                self.links.append((tag, value))


def dead_links(site: Path) -> list[str]:
    """The links of all pages that lead nowhere, each in a sentence.

    Links to other sites are not followed; what a page loads from there is
    named, since the site has to work without a network.
    """
    pages = {path: _Page(path.read_text("utf-8"))
             for path in sorted(site.rglob("*.html"))}
    problems: dict[str, list[str]] = defaultdict(list)
    for path, page in pages.items():
        name = path.relative_to(site).as_posix()
        for tag, link in page.links:
            problem = _problem(path, tag, link, pages)
            if problem:
                problems[f"{link} {problem}"].append(name)
    return [f"{', '.join(dict.fromkeys(names))}: {problem}"
            for problem, names in problems.items()]


def _problem(page: Path, tag: str, link: str,
             pages: dict[Path, _Page]) -> str:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        is_loaded = tag not in ("a", "form") and parts.scheme != "data"
        return "is loaded from another site" if is_loaded else ""
    path = page
    if parts.path:
        path = (page.parent / unquote(parts.path)).resolve()
    if not path.is_file():
        return "is a dead link"
    anchor = unquote(parts.fragment)
    if anchor and path in pages and "=" not in anchor and (
            anchor not in pages[path].ids):
        return "leads to no place of its page"
    return ""
