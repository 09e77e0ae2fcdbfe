"""A chapter taken apart: what all backends share, and where they differ.

A part is prose, the code of a cell or what came out of it, with a text for
each backend that has it. The texts are MyST Markdown.
"""

import re
from dataclasses import dataclass

from nbformat import NotebookNode

from d2lbert.backends import BACKENDS
from d2lbert.book.config import Book, BookError, Target, collect
from d2lbert.book.exercises import roles
from d2lbert.book.notebook import read_notebook
from d2lbert.book.site.modules import anchor
from d2lbert.book.site.outputs import Pictures, output_text
from d2lbert.book.source import (
    CHAPTER,
    MAGIC,
    SLIDE,
    chapter_cells,
    find_targets,
    is_for,
    prose,
    read_cells,
    shown_code,
    title,
    without,
)
from d2lbert.book.times import Times

CAPTION = re.compile(r"\*[^*\n].*?\*\s*(?:\n\n|\Z)", re.DOTALL)
IMAGE_LINK = re.compile(r"\]\(img/")
# {play:a state of the playground|words}: the state has bars, too
PLAY = re.compile(r"\{play:([^}]*)\|([^|}]*)\}")
NAMES = "".join(f'<span class="only {backend.name}">{backend.title}</span>'
                for backend in BACKENDS.values())


@dataclass(frozen=True)
class Part:
    """A piece of a chapter.

    Attributes:
        kind: "prose", "code" or "output".
        texts: backend -> text; only for those that have it.
        role: "solution", "stub", "check" or "".
    """
    kind: str
    texts: dict[str, str]
    role: str = ""

    def is_shared(self, backends: tuple[str, ...]) -> bool:
        """Is it the same in all of them?"""
        return (len(self.texts) == len(backends)
                and len(set(self.texts.values())) == 1)

    @property
    def text(self) -> str:
        """That of the first backend."""
        return next(iter(self.texts.values()))


def chapter_parts(book: Book, chapter: str, pictures: Pictures) -> list[Part]:
    """A chapter's parts in their order.

    Args:
        pictures: takes the plots.

    Raises:
        BookError: with all that is wrong in the chapter or not built.
    """
    cells = without(read_cells(book, chapter), SLIDE)
    executed = {backend: _executed(book, chapter, backend)
                for backend in book.backends}
    code = {backend: iter(cell for cell in chapter_cells(
        book, chapter, backend) if cell.cell_type == "code")
        for backend in book.backends}

    def parts_of(number: int) -> list[Part]:
        cell = cells[number]
        backends = [name for name in book.backends if is_for(name, cell)]
        role = next(iter(roles(cell) - {"carry"}), "")
        if cell.cell_type == "markdown":
            text = _prose(book, chapter, cell.source)
            return [Part("prose", dict.fromkeys(backends, text), role)]
        shown = Part("code", {
            backend: code_of(book, chapter, backend, cell.source)
            for backend in backends}, role)
        own = {backend: next(code[backend]).id for backend in backends}
        if role in ("stub", "check"):  # the reader's, not executed
            return [shown]
        try:
            alt = _alt(cell, cells[number + 1:])
            made = {backend: output_text(executed[backend].get(key, []),
                                         pictures, alt)
                    for backend, key in own.items()}
        except BookError as error:
            raise BookError(f"{chapter}: {_start(cell)}: {error}") from None
        made = {backend: text for backend, text in made.items() if text}
        return [shown, Part("output", made, role)] if made else [shown]

    return [part for some in collect(parts_of, range(len(cells)))
            for part in some]


def _start(cell: NotebookNode) -> str:
    return repr(cell.source.strip().partition("\n")[0][:40])


def _executed(book: Book, chapter: str, backend: str
              ) -> dict[str, list[NotebookNode]]:
    """Outputs by the ids of cells; the chapter's before its solutions'."""
    found: dict[str, list[NotebookNode]] = {}
    for target in reversed(find_targets(book, [chapter], [backend])):
        try:
            notebook = read_notebook(book.path(target))
        except BookError as error:
            raise BookError(f"{target.name}: {error}") from None
        found |= {cell.id: cell.outputs for cell in notebook.cells
                  if cell.cell_type == "code" and cell.execution_count}
    return found


def _alt(cell: NotebookNode, after: list[NotebookNode]) -> str:
    """What a cell's picture shows: its `alt`, or else the caption below."""
    if "alt" in cell.metadata:
        return str(cell.metadata["alt"])
    below = next((c.source for c in after if c.cell_type == "markdown"), "")
    match = CAPTION.match(below)
    return plain(match[0]) if match else ""


def plain(text: str) -> str:
    """Markdown without its marks, in one line."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)
    return " ".join(re.sub(r"[*`$\\]|\\mathrm", "", text).split())


def _prose(book: Book, chapter: str, text: str) -> str:
    """Markdown whose links lead to pages of the site."""
    text = text.replace("{Backend}", NAMES)
    text = IMAGE_LINK.sub("](/img/", text)
    text = CHAPTER.sub(lambda match: (
        f"[{match[2] or title(book, match[1], book.backends[0])}]"
        f"(/{match[1]}.md)"), text)
    text = PLAY.sub(r'<a href="playground.html#\1">\2</a>', text)
    if "{times}" in text:
        text = text.replace("{times}", Times(book).sentence(
            chapter, prose(book, chapter, book.backends[0])))
    return text


def code_of(book: Book, chapter: str, backend: str, source: str) -> str:
    """A block of a cell's code; what is the package's says where it stands.

    Raises:
        BookError: for names that there are not.
    """
    caption = ""
    if "{{#include" in source:
        source = shown_code(book, chapter, backend, source)
        magic, _, source = source.partition("\n")
        module = magic.removeprefix(MAGIC).strip()
        caption = f":caption: {_place(module, source.splitlines())}\n"
    fence = "`" * 4
    return (f"{fence}{{code-block}} ipython3\n{caption}:class: input\n\n"
            + source.strip("\n") + f"\n{fence}")


def _place(module: str, lines: list[str]) -> str:
    """A link to what a cell shows, on the page of its module."""
    path = module.replace(".", "/") + ".py"
    names = [match[1] for line in lines
             if (match := re.match(r"(?:class |def |)(\w+)\b *[(:=]", line))]
    place = f"#{anchor(module, names[0])}" if names else ""
    return f"[{path}](/code/{module}.md{place})"


def targets_of(book: Book, chapter: str, is_solutions: bool) -> list[Target]:
    """The notebooks of a chapter, or of its solutions."""
    return [target for target in find_targets(book, [chapter])
            if target.is_solutions == is_solutions]
