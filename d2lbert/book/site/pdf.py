"""The whole book as a PDF a backend, from the pages of the site.

The chapters' articles become one page, in which links from chapter to chapter
lead to places of that page; Chromium prints it.
"""

from html import escape
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

from bs4 import BeautifulSoup, Tag

from d2lbert import __version__
from d2lbert.backends import BACKENDS
from d2lbert.book.config import Book
from d2lbert.book.site.chromium import browser, print_page
from d2lbert.book.source import title

HERE = Path(__file__).parent
# What only a screen has a use for
SCREEN = (".headerlink", ".copybtn", ".notebooks", ".unfold",
          ".article-header-buttons", "script")


def print_book(book: Book, pages: Path) -> None:
    """Print `<title>-<backend>.pdf` into the folder of the site.

    Raises:
        BookError: if there is no Chromium, or it does not print.
    """
    with browser() as found:
        for backend in book.backends:
            path = pages / f"{book.title}-{backend}.html"
            path.write_text(one_page(book, pages, backend), "utf-8")
            print_page(found, path.as_uri(), path.with_suffix(".pdf"))
            path.unlink()


def one_page(book: Book, pages: Path, backend: str) -> str:
    """The HTML of all chapters for a backend."""
    chapters = [_chapter(book, pages, name, backend)
                for name in book.chapters]
    contents = "\n".join(
        f'<li><a href="#{name}">{escape(title(book, name, backend))}</a></li>'
        for name in book.chapters)
    return Template((HERE / "book.html").read_text("utf-8")).substitute(
        language=book.language, title=escape(book.title),
        description=escape(book.description), version=__version__,
        authors=escape(", ".join(book.authors)), contents=contents,
        framework=BACKENDS[backend].title, chapters="\n".join(chapters))


def _chapter(book: Book, pages: Path, name: str, backend: str) -> str:
    """A chapter's article, with names of places that no other chapter has."""
    page = BeautifulSoup(
        (pages / f"{name}.html").read_text("utf-8"), "html.parser")
    article = page.find("article")
    assert isinstance(article, Tag)
    for other in set(book.backends) - {backend}:
        for part in article.select(f".only.{other}"):
            part.decompose()
    for part in article.select(", ".join(SCREEN)):
        part.decompose()
    for details in article.find_all("details"):
        details["open"] = ""
    for element in article.find_all(id=True):
        element["id"] = f"{name}--{element['id']}"
    for link in article.find_all("a", href=True):
        _lead(book, name, link)
    article["id"] = name
    return str(article)


def _lead(book: Book, chapter: str, link: Tag) -> None:
    """Let a link lead to its place in the one page, if it is there."""
    parts = urlsplit(str(link["href"]))
    if parts.scheme:
        return
    target = Path(parts.path).stem if parts.path else chapter
    if target not in book.chapters:  # a module, a notebook
        link.unwrap()
    elif parts.fragment:
        link["href"] = f"#{target}--{parts.fragment}"
    else:
        link["href"] = f"#{target}"
