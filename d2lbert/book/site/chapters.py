"""The page of a chapter: prose once, a tab a backend where they differ."""

from collections.abc import Callable, Iterator
from itertools import groupby

from d2lbert.backends import BACKENDS
from d2lbert.book.config import Book, Target
from d2lbert.book.site.deck import deck_name, has_slides
from d2lbert.book.site.outputs import Pictures
from d2lbert.book.site.parts import Part, chapter_parts, targets_of
from d2lbert.book.source import numbered

BINDER = "https://mybinder.org/v2/gh"  # builds environment.yml


def chapter_page(book: Book, chapter: str, pictures: Pictures) -> str:
    """The MyST Markdown of a chapter's page.

    Raises:
        BookError: with all that is wrong in the chapter or not built.
    """
    first, *parts = chapter_parts(book, chapter, pictures)
    head, _, rest = numbered(book, chapter, first.text).partition("\n\n")
    blocks = [head, _notebooks(book, chapter), rest]
    for is_exercise, some in groupby(parts, lambda part: bool(part.role)):
        for is_solution, own in groupby(
                sorted(some, key=_place) if is_exercise else some,
                lambda part: part.role == "solution"):
            text = "\n\n".join(_blocks(list(own), book.backends))
            blocks.append(folded("Solution", text) if is_solution else text)
    return "\n\n".join(blocks) + "\n"


def _place(part: Part) -> int:
    """In an exercise: what the reader has is above the solution."""
    return ("stub", "check", "solution").index(part.role)


def _blocks(parts: list[Part], backends: tuple[str, ...]) -> Iterator[str]:
    for is_shared, some in groupby(
            parts, lambda part: part.is_shared(backends)):
        if is_shared:
            yield from (part.text for part in some)
        else:
            yield frameworks(list(some), backends)


def frameworks(parts: list[Part], backends: tuple[str, ...]) -> str:
    """Parts that differ: a panel a backend, prose alone without tabs."""
    has_tabs = any(part.kind != "prose" for part in parts)
    panels = []
    for backend in backends:
        texts = [part.texts[backend] for part in parts
                 if backend in part.texts]
        if texts:
            panels.append(f"::::{{framework}} {backend}\n\n"
                          + "\n\n".join(texts) + "\n\n::::")
        elif has_tabs:
            panels.append(f"::::{{framework}} {backend}\n\n*Nothing is needed"
                          f" here in {BACKENDS[backend].title}.*\n\n::::")
    text = "\n\n".join(panels)
    return f":::::{{frameworks}}\n{text}\n:::::" if has_tabs else text


def folded(summary: str, text: str) -> str:
    """Text that opens at a click."""
    return f"::::::{{dropdown}} {summary}\n\n{text}\n\n::::::"


def _notebooks(book: Book, chapter: str) -> str:
    """The line of links to a chapter's notebooks and slides."""
    plain, solved = (targets_of(book, chapter, is_solutions)
                     for is_solutions in (False, True))
    rows = [_row("Notebook", plain, lambda target: (
                f"notebooks/{target.backend}/{book.file_name(target)}")),
            _row("Solutions", solved, lambda target: (
                f"notebooks/{target.backend}/{book.file_name(target)}"))]
    if has_slides(book, chapter):
        rows.append(_row("Slides", plain, lambda target: (
            f"slides/{target.backend}/{deck_name(book, target)}")))
    if book.repository:
        rows.append(_row("Run", plain, lambda target: (
            f"{BINDER}/{book.repository}/HEAD?labpath=notebooks/"
            f"{target.backend}/{book.file_name(target)}")))
    return f'<p class="notebooks">{" ".join(rows)}</p>'


def _row(what: str, targets: list[Target],
         address: Callable[[Target], str]) -> str:
    """A link a backend; notebooks are downloaded."""
    how = " download" if what in ("Notebook", "Solutions") else ""
    links = " · ".join(f'<a href="{address(target)}"{how}>'
                       f"{BACKENDS[target.backend].title}</a>"
                       for target in targets)
    return f"<span>{what}: {links}</span>" if links else ""
