"""Write the slides: a reveal.js deck a chapter and backend.

    site/slides/index.html
    site/slides/<backend>/<number>-<chapter>.html
    site/slides/<backend>/img/      the pictures of its decks
    site/slides/_static/            what all decks share, reveal.js and MathJax

Everything is a file in there, and no page asks for one elsewhere.
"""

import importlib.util
import shutil
import tempfile
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from d2lbert.backends import BACKENDS
from d2lbert.book.config import Book, BookError, collect, load_book
from d2lbert.book.site.chromium import NEEDED, browser, print_page
from d2lbert.book.site.deck import (
    Deck,
    Slide,
    deck_name,
    has_slides,
    make_deck,
    page,
)
from d2lbert.book.site.markup import render_inline
from d2lbert.book.site.mathjax import copy_mathjax
from d2lbert.book.site.pulls import FOLDER

STATIC = "_static"
OURS = ("stage/deck.css", "stage/deck.js", "static/colors.css",
        "static/theme.js")
# {file below _static: (package, a file of it)}
LIBRARIES = {
    "reveal/reveal.js": ("sphinx_revealjs", "dist/reveal.js"),
    "reveal/reveal.css": ("sphinx_revealjs", "dist/reveal.css"),
    "reveal/notes.js": ("sphinx_revealjs", "plugin/notes/notes.js"),
}


def write_slides(root: str | Path = ".", pdf: bool = False) -> Path:
    """Write all decks of a book anew; what stood there is replaced at the end.

    Args:
        root: the folder of book.toml.
        pdf: print each deck, too, to a file beside it.

    Returns:
        The page that lists the decks.

    Raises:
        BookError: with the problems of all decks; nothing is then written.
    """
    book = load_book(root)
    home = book.root / "site"
    home.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".slides-", dir=home) as scratch:
        draft = Path(scratch, "slides")
        write_decks(book, draft, pdf)
        if (home / "slides").exists():
            (home / "slides").rename(Path(scratch, "old"))
        draft.rename(home / "slides")
    return home / "slides" / "index.html"


def write_decks(book: Book, folder: Path, pdf: bool = False) -> None:
    """Write all decks and the page that lists them into a new folder.

    Raises:
        BookError: with the problems of all decks; nothing is then written.
    """
    wanted = [pair for pair in book.select() if has_slides(book, pair[0])]
    decks = collect(lambda pair: make_deck(book, *pair), wanted)
    _write_static(folder / STATIC)
    for deck in decks:
        _write_deck(book, deck, folder)
    (folder / "index.html").write_text(_index(book, decks), "utf-8")
    if pdf:
        with browser() as found:
            for deck in decks:
                path = folder / deck.backend / deck_name(book, deck)
                print_page(found, f"{path.as_uri()}?print-pdf",
                           path.with_suffix(".pdf"))
    print(f"{len(decks)} decks, {sum(len(d.slides) for d in decks)} slides")


def _write_deck(book: Book, deck: Deck, draft: Path) -> None:
    folder = draft / deck.backend
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    for name, data in deck.pictures.items():
        (folder / FOLDER / name).write_bytes(data)
    name = deck_name(book, deck)
    slides = "\n".join(_slide(book, deck, slide, number)
                       for number, slide in enumerate(deck.slides, 1))
    (folder / name).write_text(_template("deck.html").substitute(
        _names(book, deck), slides=slides, file=name,
        title=escape(deck.title)), "utf-8")


def _names(book: Book, deck: Deck) -> dict[str, Any]:
    """What the templates of a deck fill in."""
    return {"language": book.language, "backend": deck.backend,
            "framework": BACKENDS[deck.backend].title,
            "page": escape(page(deck.chapter, deck.backend)),
            "chapter": f"{book.number(deck.chapter)} · "
                       f"{render_inline(deck.title)}"}


def _slide(book: Book, deck: Deck, slide: Slide, number: int) -> str:
    level = 1 if slide.kind == "first" else 2
    return _template("slide.html").substitute(
        _names(book, deck), number=number, count=len(deck.slides),
        kind=f" {slide.kind}" if slide.kind else "",
        heading=f"<h{level}>{slide.title}</h{level}>",
        size=slide.size, body=slide.body, notes=slide.notes)


def _index(book: Book, decks: list[Deck]) -> str:
    links: dict[str, list[str]] = {}
    for deck in decks:
        title = BACKENDS[deck.backend].title
        links.setdefault(deck.chapter, [
            f'<th scope="row">{book.number(deck.chapter)} · '
            f"{render_inline(deck.title)}</th>"]).append(
            f'<td><a href="{deck.backend}/{deck_name(book, deck)}">'
            f"{title}</a></td>")
    heads = "".join(f'<th scope="col">{BACKENDS[name].title}</th>'
                    for name in book.backends)
    return _template("index.html").substitute(
        language=book.language, title=escape(book.title), heads=heads,
        rows="\n".join(f"<tr>{''.join(cells)}</tr>"
                       for cells in links.values()))


def _template(name: str) -> Template:
    return Template(resources.files("d2lbert.book.site").joinpath(
        "stage", name).read_text("utf-8"))


def _write_static(folder: Path) -> None:
    """Our files, and those of installed packages."""
    (folder / "reveal").mkdir(parents=True)
    copy_mathjax(folder / "mathjax")
    site = resources.files("d2lbert.book.site")
    for name in OURS:
        (folder / Path(name).name).write_bytes(
            site.joinpath(name).read_bytes())
    for name, source in LIBRARIES.items():
        shutil.copyfile(_library(*source), folder / name)


def _library(package: str, end: str) -> Path:
    """A file of an installed package, which is not imported."""
    spec = importlib.util.find_spec(package)
    for home in (spec and spec.submodule_search_locations) or ():
        for path in sorted(Path(home).rglob(Path(end).name)):
            if path.as_posix().endswith(f"/{end}"):
                return path
    raise BookError(f"there is no {end} of {package}: {NEEDED}")
