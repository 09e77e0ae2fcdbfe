"""The front page: what the course is, and a way into each chapter."""

from html import escape
from itertools import takewhile
from pathlib import Path
from string import Template

from d2lbert.book.config import Book, BookError
from d2lbert.book.pictures import size
from d2lbert.book.site.parts import plain
from d2lbert.book.source import DRAWING, title

HERE = Path(__file__).parent
RESULTS = "2,000 steps of 64 pairs"  # the table of README to show


def front_page(book: Book) -> str:
    """The MyST Markdown of index.html.

    Raises:
        BookError: for a card whose picture no chapter describes.
    """
    described = descriptions(book.root)
    page = Template((HERE / "front.md").read_text("utf-8"))
    return page.substitute(
        title=book.title, chapters="\n".join(book.chapters),
        curves=described.get("pretraining.png", ""),
        results=table(book.root / "README.md", RESULTS),
        cards="\n".join(_card(book, name, described)
                        for name in book.chapters))


def table(path: Path, start: str) -> str:
    """The table of a Markdown file whose first cell is `start`.

    Raises:
        BookError: if there is none.
    """
    lines = path.read_text("utf-8").splitlines()
    heads = [i for i, line in enumerate(lines)
             if line.startswith(f"| {start} |")]
    if len(heads) != 1:
        raise BookError(f"{path.name} has {len(heads)} tables that begin "
                        f"with {start!r}, not one, for the front page")
    return "\n".join(takewhile(
        lambda line: line.startswith("|"), lines[heads[0]:]))


def descriptions(root: Path) -> dict[str, str]:
    """{picture: what it shows}, from README and the chapters."""
    texts = [path.read_text("utf-8") for path in
             (root / "README.md", *sorted((root / "notebooks").glob("*.md")))
             if path.is_file()]
    return {name: plain(alt) for text in texts
            for alt, name in DRAWING.findall(text)}


def _card(book: Book, chapter: str, described: dict[str, str]) -> str:
    """A chapter as a link: its number, its title, a sentence, a picture."""
    card = book.cards.get(chapter, {})
    picture = ""
    if name := card.get("picture"):
        if name not in described:
            raise BookError(f"book.toml: no chapter shows {name} and says "
                            "what it is: give another picture to {chapter}")
        width, height = size(book.root / "notebooks" / "img" / name)
        picture = (f'<span class="picture"><img src="_images/{name}" '
                   f'alt="{escape(described[name])}" width="{width}" '
                   f'height="{height}" loading="lazy"></span>')
    return (f'<li><a href="{chapter}.html">{picture}'
            f'<span class="number">{book.number(chapter)}</span>'
            f"<strong>{escape(title(book, chapter, book.backends[0]))}"
            f"</strong><span>{escape(card.get('text', ''))}</span></a></li>")
