"""From a chapter to the notebook of one backend.

A chapter is MyST Markdown as jupytext reads it. Its cells are tagged with
the backends they are for; a cell without such a tag is for all of them.
"""

import copy
import functools
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

import jupytext
from nbformat import NotebookNode, v4

from d2lbert.backends import BACKENDS
from d2lbert.book.config import Book, BookError, Target, collect
from d2lbert.book.exercises import (
    ROLES,
    SKIP,
    check_exercises,
    for_solutions,
    for_students,
    roles,
    tags,
)
from d2lbert.book.include import find_source
from d2lbert.book.times import Times, listed

# Kept in the notebook.
TAGS = ("nbval-ignore-output", "raises-exception")
# Not for the notebook: a cell of slides, one of the site's page, and the start
# of a code cell's tag by which slides name it.
SLIDE, PAGE, LABEL = "slide", "page", "label-"
INCLUDE = re.compile(r"\{\{#include ([\w.]+):([\w.]+)\}\}\s*")
IMAGE = re.compile(r"""(\]\(|\ssrc=["'])(img/[^)\s"']+)""")
# (its description, its file) of a drawing, also in README
DRAWING = re.compile(r"!\[([^]]*)\]\((?:notebooks/)?img/([\w.-]+)\)")
CHAPTER = re.compile(r"\{chapter:([^|}]*)(?:\|([^}]*))?\}")
TITLE = re.compile(r"^# +(.*?) *$", re.MULTILINE)
MAGIC = "%%module"
LOAD = "%load_ext d2lbert"  # makes the magic known
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)",
                   "language": "python", "name": "python3"},
    # No version in it: it would change with every update of Python.
    "language_info": {"name": "python", "file_extension": ".py",
                      "mimetype": "text/x-python",
                      "pygments_lexer": "ipython3"},
}


def find_targets(book: Book, chapters: Sequence[str] | None = None,
                 backends: Sequence[str] | None = None) -> list[Target]:
    """The notebooks of some chapters and backends, by default of all.

    A chapter has solutions for a backend if it has cells of that kind.

    Raises:
        BookError: for a name that is not in book.toml.
    """
    found = []
    for chapter, backend in book.select(chapters, backends):
        found.append(Target(chapter, backend))
        with suppress(BookError):  # which `make_notebook` raises
            if any("solution" in tags(cell) and is_for(backend, cell)
                   for cell in read_chapter(book, chapter)):
                found.append(Target(chapter, backend, True))
    return found


def make_notebook(book: Book, chapter: str, backend: str) -> NotebookNode:
    """The notebook that a chapter gives for a backend, not yet executed.

    Raises:
        BookError: with all that is wrong in the chapter.
    """
    return make(book, Target(chapter, backend))


def make(book: Book, target: Target) -> NotebookNode:
    """A notebook of the book, of a chapter or its solutions.

    Raises:
        BookError: with all that is wrong in the chapter.
    """
    chapter, backend, is_solutions = target
    everything = read_cells(book, chapter)
    cells = chapter_cells(book, chapter, backend, everything)
    chosen = (for_solutions if is_solutions else for_students)(cells)
    code = [c.source for c in chosen if c.cell_type == "code"]
    problems = _problems_of(
        [partial(_check_cell, chapter, i, cell)
         for i, cell in enumerate(everything, 1)]
        + [partial(check_exercises, chapter, cells)]
        + [partial(_check_title, chapter, cells),
           partial(_check_magic, chapter, code)]
        + [partial(_fill, book, target, cell, cells) for cell in chosen])
    if problems:
        raise BookError(*dict.fromkeys(problems))
    if is_solutions:
        chosen.insert(0, _solutions_title(book, target))
    else:
        chosen[0].source = numbered(book, chapter, chosen[0].source)
    for cell in chosen:
        _set_tags(cell, is_solutions)
    chosen.append(_navigation(book, target))
    return v4.new_notebook(cells=chosen, metadata=METADATA)


def chapter_cells(book: Book, chapter: str, backend: str,
                  cells: list[NotebookNode] | None = None
                  ) -> list[NotebookNode]:
    """The cells of a chapter for a backend, as they are written.

    Raises:
        BookError: if there is no such chapter.
    """
    found = [cell for cell in without(
        cells or read_cells(book, chapter), SLIDE, PAGE)
             if is_for(backend, cell)]
    _set_ids(chapter, found)  # from the chapter's own text
    return found


def without(cells: list[NotebookNode], *kinds: str) -> list[NotebookNode]:
    """Cells without those of some tags.

    What stands before and after one of these is one cell again, if both are
    text with the same tags: a slide beside its prose changes no notebook.
    """
    found: list[NotebookNode] = []
    was_left_out = False
    for cell in cells:
        if {*kinds} & {*tags(cell)}:
            was_left_out = True
            continue
        if was_left_out and found and _is_same_text(found[-1], cell):
            found[-1] = copy.deepcopy(found[-1])
            found[-1].source += "\n\n" + cell.source
        else:
            found.append(cell)
        was_left_out = False
    return found


def _is_same_text(one: NotebookNode, other: NotebookNode) -> bool:
    return (one.cell_type == other.cell_type == "markdown"
            and one.metadata == other.metadata)


def _problems_of(checks: Sequence[Callable[[], None]]) -> list[str]:
    problems: list[str] = []
    for check in checks:
        try:
            check()
        except BookError as error:
            problems += error.args
    return problems


def read_chapter(book: Book, chapter: str) -> list[NotebookNode]:
    """The cells of a chapter for all backends, as they are written.

    Raises:
        BookError: if there is no such chapter, or it cannot be read.
    """
    return without(read_cells(book, chapter), SLIDE, PAGE)


def read_cells(book: Book, chapter: str) -> list[NotebookNode]:
    """The same with the cells of slides.

    Raises:
        BookError: if there is no such chapter, or it cannot be read.
    """
    path = book.source(chapter)
    try:
        return copy.deepcopy(_parse(path.read_text("utf-8")))
    except FileNotFoundError:
        raise BookError(
            f"{chapter}: there is no notebooks/{path.name}") from None
    except ValueError as error:  # not UTF-8, or not MyST
        raise BookError(f"{chapter}: {error}") from None


@functools.lru_cache(maxsize=32)  # each is read for several notebooks
def _parse(text: str) -> list[NotebookNode]:
    return jupytext.reads(text, fmt="md:myst").cells


def numbered(book: Book, chapter: str, text: str) -> str:
    """The text with the chapter's number in its title."""
    return TITLE.sub(rf"# {book.number(chapter)} · \1", text, count=1)


def prose(book: Book, chapter: str, backend: str) -> list[str]:
    """What one reads of a chapter for a backend, without its exercises."""
    return [cell.source for cell in read_chapter(book, chapter)
            if is_for(backend, cell) and cell.cell_type == "markdown"
            and not roles(cell)]


def title(book: Book, chapter: str, backend: str) -> str:
    """The title of a chapter; its name if it has none."""
    try:
        text = book.source(chapter).read_text("utf-8")
    except (OSError, ValueError):
        return chapter
    match = TITLE.search(text)
    return (match[1].replace("{Backend}", BACKENDS[backend].title)
            if match else chapter)


def _link(book: Book, chapter: str, backend: str, text: str = "") -> str:
    name = book.file_name(Target(chapter, backend))
    return f"[{text or title(book, chapter, backend)}]({name})"


def _solutions_title(book: Book, target: Target) -> NotebookNode:
    chapter, backend, _ = target
    cell = v4.new_markdown_cell(
        f"# Solutions to chapter {book.number(chapter)}: "
        f"{title(book, chapter, backend)}\n\n"
        f"The exercises of {_link(book, chapter, backend)}, each with an "
        "answer.")
    cell.id = _hash(f"{chapter}\ntitle")
    return cell


def _navigation(book: Book, target: Target) -> NotebookNode:
    """The last cell: where to go from here, and what to edit."""
    chapter, backend, is_solutions = target
    here = book.number(chapter) - 1
    before, after = book.chapters[:here], book.chapters[here + 1:]
    ways = [f"Previous: {_link(book, name, backend)}" for name in before[-1:]]
    if is_solutions:
        ways = [f"Chapter {here + 1}: {_link(book, chapter, backend)}"]
    ways += [f"Next: {_link(book, name, backend)}" for name in after[:1]]
    every = find_targets(book, [chapter])
    if not is_solutions and target._replace(is_solutions=True) in every:
        name = book.file_name(target._replace(is_solutions=True))
        ways.append(f"[Solutions]({name})")
    others = [f"[{BACKENDS[other.backend].title}]"
              f"(../{other.backend}/{book.file_name(other)})"
              for other in every if other.is_solutions == is_solutions
              and other.backend != backend]
    if others:
        ways.append(f"The same in {listed(others)}")
    source = book.source(chapter).name
    cell = v4.new_markdown_cell(
        f"---\n\n{' · '.join(ways)}\n\nThis notebook is built from "
        f"[notebooks/{source}](../{source}).")
    cell.id = _hash(f"{chapter}\nnavigation")
    return cell


def is_for(backend: str, cell: NotebookNode) -> bool:
    """Is a cell one of a backend's?"""
    named = [tag for tag in tags(cell) if tag in BACKENDS]
    return not named or backend in named


def _set_ids(chapter: str, cells: list[NotebookNode]) -> None:
    seen: Counter[str] = Counter()
    for cell in cells:
        text = f"{chapter}\n{cell.cell_type}\n{cell.source}"
        seen[text] += 1  # equal cells get different ids
        text += f"\n{seen[text]}"
        cell.id = _hash(text)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _check_cell(chapter: str, number: int, cell: NotebookNode) -> None:
    start = cell.source.strip().partition("\n")[0]
    where = f"{chapter}: cell {number} ({start[:40]!r})"
    known = [*BACKENDS, *TAGS, *ROLES, SLIDE, PAGE]
    problems = [f"{where} has the unknown tag {tag!r}: use one of "
                + ", ".join([*known, LABEL + "…"]) for tag in tags(cell)
                if tag not in known and not tag.startswith(LABEL)]
    for tag in {SLIDE, PAGE} & {*tags(cell)}:
        if cell.cell_type != "markdown":
            problems.append(f"{where} is tagged {tag} and is code: only text "
                            "is left out of notebooks")
    if cell.cell_type != "code" and any(
            tag.startswith(LABEL) for tag in tags(cell)):
        problems.append(f"{where} has a label, and only code cells have one")
    if not start:
        problems.append(f"{where} is empty")
    if problems:
        raise BookError(*problems)


def _check_title(chapter: str, cells: list[NotebookNode]) -> None:
    if not cells or cells[0].cell_type != "markdown" or not (
            TITLE.match(cells[0].source)):
        raise BookError(f"{chapter}: begins with no title: `# …`")


def _check_magic(chapter: str, code: list[str]) -> None:
    """Is the magic known before a cell needs it?"""
    if any("{{#include" in text or text.startswith(MAGIC) for text in code):
        if code[0].partition("\n")[0].rstrip() != LOAD:
            raise BookError(
                f"{chapter}: its first code cell has to begin with the line "
                f"{LOAD}, and to be tagged `carry` if solutions show code: "
                "it makes the magic known by which shown code is executed")


def _fill(book: Book, target: Target, cell: NotebookNode,
          cells: list[NotebookNode]) -> None:
    """Put in what the chapter only names."""
    chapter, backend, _ = target
    if cell.cell_type == "code":
        if "{{#include" in cell.source:
            cell.source = shown_code(book, chapter, backend, cell.source)
    elif cell.cell_type == "markdown":
        text = cell.source.replace("{Backend}", BACKENDS[backend].title)
        problems = _problems_of(
            [partial(_check_image, book, chapter, image)
             for _, image in IMAGE.findall(text)]
            + [partial(_check_link, book, chapter, name)
               for name, _ in CHAPTER.findall(text)])
        if problems:
            raise BookError(*problems)
        # A notebook stands one folder deeper than its chapter.
        text = IMAGE.sub(r"\1../\2", text)
        text = CHAPTER.sub(
            lambda match: _link(book, match[1], backend, match[2]), text)
        if "{times}" in text:
            text = text.replace("{times}", Times(book).sentence(
                chapter, (other.source for other in cells
                          if other.cell_type == "markdown"
                          and not roles(other))))
        cell.source = text


def shown_code(book: Book, chapter: str, backend: str, text: str) -> str:
    """A cell of objects of one module, which is executed in it.

    Raises:
        BookError: for names that there are not, and what cannot be shown.
    """
    text = text.replace("{backend}", backend)
    lines = [line for line in text.split("\n") if line.strip()]
    modules = {match[1]: line for line in lines
               if (match := INCLUDE.fullmatch(line))}

    def expand(line: str) -> str:
        return _include(book, chapter, line) if line.strip() else line

    shown = collect(expand, text.strip("\n").split("\n"))
    if len(modules) > 1:
        raise BookError(f"{chapter}: a cell shows code of "
                        f"{listed(list(modules))}: give each a cell of "
                        "its own, which is executed in that module")
    return "\n".join([f"{MAGIC} {min(modules)}", *shown])


def _include(book: Book, chapter: str, line: str) -> str:
    if "{{#include" not in line:
        raise BookError(
            f"{chapter}: {line.strip()}: stands in a cell with an include; "
            "put it into the next cell, since shown code is executed in "
            "its module")
    match = INCLUDE.fullmatch(line)
    if not match:
        raise BookError(f"{chapter}: {line.strip()}: write it as "
                        "{{#include module:name}}, alone in its line")
    try:
        source = find_source(book.root, *match.groups())
    except LookupError as error:
        raise BookError(f"{chapter}: {line.strip()}: {error}") from None
    if "." in match[2]:
        raise BookError(f"{chapter}: {line.strip()}: a part of a class "
                        "cannot be executed: show all of it")
    return source


def _check_link(book: Book, chapter: str, name: str) -> None:
    if name not in book.chapters:
        raise BookError(f"{chapter}: {{chapter:{name}}}: there is no such "
                        f"chapter in book.toml; it has "
                        + ", ".join(book.chapters))


def _check_image(book: Book, chapter: str, link: str) -> None:
    if not (book.root / "notebooks" / link).is_file():
        raise BookError(f"{chapter}: there is no notebooks/{link}; drawings "
                        "are made by `python -m d2lbert.book figures`")


def _set_tags(cell: NotebookNode, is_solutions: bool) -> None:
    """Leave the tags that mean something in the notebook."""
    kept = [tag for tag in tags(cell) if tag in TAGS]
    if not is_solutions and roles(cell) & {"stub", "check"}:
        kept += [*sorted(roles(cell) & {"stub", "check"}), SKIP]
    cell.metadata.pop("tags", None)
    cell.metadata.pop("alt", None)  # of its picture, for the site
    if kept:
        cell.metadata["tags"] = kept
