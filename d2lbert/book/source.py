"""From a chapter to the notebook of one backend.

A chapter is MyST Markdown as jupytext reads it. Its cells are tagged with
the backends they are for; a cell without such a tag is for all of them.
"""

import copy
import functools
import hashlib
import re
from collections import Counter

import jupytext
from nbformat import NotebookNode, v4

from d2lbert.backends import BACKENDS
from d2lbert.book.config import Book, BookError, collect
from d2lbert.book.include import find_source

TAGS = ("nbval-ignore-output", "raises-exception")  # kept in the notebook
INCLUDE = re.compile(r"\{\{#include ([\w.]+):([\w.]+)\}\}\s*")
IMAGE = re.compile(r"""(\]\(|\ssrc=["'])(img/[^)\s"']+)""")
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)",
                   "language": "python", "name": "python3"},
    # No version in it: it would change with every update of Python.
    "language_info": {"name": "python", "file_extension": ".py",
                      "mimetype": "text/x-python",
                      "pygments_lexer": "ipython3"},
}


def make_notebook(book: Book, chapter: str, backend: str) -> NotebookNode:
    """The notebook that a chapter gives for a backend, not yet executed.

    Raises:
        BookError: with all that is wrong in the chapter.
    """
    everything = _read(book, chapter)
    cells = [_banner(book, chapter, backend)]
    cells += [c for c in everything if _is_for(backend, c)]
    _set_ids(chapter, cells)  # from the chapter's own text

    def finish(item: tuple[int, NotebookNode]) -> None:
        number, cell = item
        _check_cell(chapter, number, cell)
        if _is_for(backend, cell):
            _fill(book, chapter, backend, cell)

    collect(finish, enumerate(everything, 1))
    for cell in cells:
        _drop_backend_tags(cell)
    return v4.new_notebook(cells=cells, metadata=METADATA)


def _read(book: Book, chapter: str) -> list[NotebookNode]:
    path = book.source(chapter)
    try:
        return copy.deepcopy(_parse(path.read_text("utf-8")))
    except FileNotFoundError:
        raise BookError(
            f"{chapter}: there is no notebooks/{path.name}") from None
    except ValueError as error:  # not UTF-8, or not MyST
        raise BookError(f"{chapter}: {error}") from None


@functools.lru_cache(maxsize=1)  # a chapter is read for each backend in turn
def _parse(text: str) -> list[NotebookNode]:
    return jupytext.reads(text, fmt="md:myst").cells


def _banner(book: Book, chapter: str, backend: str) -> NotebookNode:
    text = (f"> This notebook is built. To change it, edit "
            f"[`notebooks/{chapter}.md`](../{chapter}.md) "
            f"and run `make build`.")
    others = [f"[{BACKENDS[b].title}](../{b}/{chapter}.ipynb)"
              for b in book.backends if b != backend]
    if others:
        text += f"\n> The same chapter in {_listed(others)}."
    return v4.new_markdown_cell(text)


def _listed(names: list[str]) -> str:
    """'A', 'A and B', 'A, B and C'."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _is_for(backend: str, cell: NotebookNode) -> bool:
    named = [tag for tag in _tags(cell) if tag in BACKENDS]
    return not named or backend in named


def _tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def _set_ids(chapter: str, cells: list[NotebookNode]) -> None:
    seen: Counter[str] = Counter()
    for cell in cells:
        text = f"{chapter}\n{cell.cell_type}\n{cell.source}"
        seen[text] += 1  # equal cells get different ids
        text += f"\n{seen[text]}"
        cell.id = hashlib.sha256(text.encode()).hexdigest()[:12]


def _check_cell(chapter: str, number: int, cell: NotebookNode) -> None:
    start = cell.source.strip().partition("\n")[0]
    where = f"{chapter}: cell {number} ({start[:40]!r})"
    known = [*BACKENDS, *TAGS]
    problems = [f"{where} has the unknown tag {tag!r}: use one of "
                + ", ".join(known) for tag in _tags(cell) if tag not in known]
    if not start:
        problems.append(f"{where} is empty")
    if problems:
        raise BookError(*problems)


def _fill(book: Book, chapter: str, backend: str,
          cell: NotebookNode) -> None:
    """Put in what the chapter only names."""
    if cell.cell_type == "code":
        lines = cell.source.split("\n")
        cell.source = "\n".join(collect(
            lambda line: _include(book, chapter, backend, line), lines))
    elif cell.cell_type == "markdown":
        text = cell.source.replace("{Backend}", BACKENDS[backend].title)
        collect(lambda link: _check_image(book, chapter, link[1]),
                IMAGE.findall(text))
        # A notebook stands one folder deeper than its chapter.
        cell.source = IMAGE.sub(r"\1../\2", text)


def _include(book: Book, chapter: str, backend: str, line: str) -> str:
    if "{{#include" not in line:
        return line
    line = line.replace("{backend}", backend)
    match = INCLUDE.fullmatch(line)
    if not match:
        raise BookError(f"{chapter}: {line.strip()}: write it as "
                        "{{#include module:name}}, alone in its line")
    try:
        return find_source(book.root, *match.groups())
    except LookupError as error:
        raise BookError(f"{chapter}: {line.strip()}: {error}") from None


def _check_image(book: Book, chapter: str, link: str) -> None:
    if not (book.root / "notebooks" / link).is_file():
        raise BookError(f"{chapter}: there is no notebooks/{link}; drawings "
                        "are made by `python -m d2lbert.book figures`")


def _drop_backend_tags(cell: NotebookNode) -> None:
    tags = [tag for tag in _tags(cell) if tag not in BACKENDS]
    cell.metadata.pop("tags", None)
    if tags:
        cell.metadata["tags"] = tags
