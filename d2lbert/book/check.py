"""Is a notebook what its chapter would give, with outputs fit to compare?"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from d2lbert.book.config import Book, BookError, load_book
from d2lbert.book.exercises import SKIP, tags
from d2lbert.book.notebook import read_notebook
from d2lbert.book.pictures import picture_problem
from d2lbert.book.source import find_targets, make
from d2lbert.book.start import FILE as START, start_notebook
from d2lbert.book.times import SENTENCE

ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}")
SECONDS = re.compile(r"\[(?:[\d.e+]+ s|open)\]")  # of this or that build
BUILD = "; run `make build`"


def check(root: str | Path = ".") -> list[str]:
    """Look at all notebooks of the book in a folder.

    Returns:
        A list of problems, each a sentence; empty if all is well.

    Raises:
        BookError: if there is no book.
    """
    book, problems = load_book(root), list[str]()
    for target in find_targets(book):
        try:
            expected = make(book, target)
        except BookError as error:
            problems += error.args
            continue
        path = book.path(target)
        problems += [f"{target.backend}/{path.name}: {problem}"
                     for problem in _file_problems(path, expected)]
    return (list(dict.fromkeys(problems)) + _start_problems(book)
            + _strangers(book))


def _start_problems(book: Book) -> list[str]:
    """Does the first notebook of JupyterLab name the chapters as they are?"""
    try:
        have, want = (
            [SECONDS.sub("", cell.source) for cell in notebook.cells]
            for notebook in (read_notebook(book.root / "notebooks" / START),
                             start_notebook(book)))
    except BookError as error:
        return [f"{START}: {error}{BUILD}"]
    return [] if have == want else [f"{START}: is of another book{BUILD}"]


def _strangers(book: Book) -> list[str]:
    known = set(map(book.path, find_targets(book)))
    found = {path for backend in book.backends
             for path in (book.root / "notebooks" / backend).glob("*.ipynb")}
    return [f"{path.parent.name}/{path.name}: belongs to no chapter of "
            "book.toml; delete it" for path in sorted(found - known)]


def _file_problems(path: Path, expected: NotebookNode) -> list[str]:
    try:
        return notebook_problems(read_notebook(path), expected)
    except BookError as error:
        return [f"{error}{BUILD}"]


def notebook_problems(
        notebook: NotebookNode, expected: NotebookNode) -> list[str]:
    """What is wrong with a notebook, given what it should hold.

    Args:
        notebook: as read from its file, or as executed.
        expected: as `make_notebook` gives it.
    """
    return [*_cell_problems(notebook, expected),
            *_metadata_problems(notebook, expected),
            *run_problems(notebook)]


def _cell_problems(
        notebook: NotebookNode, expected: NotebookNode) -> Iterator[str]:
    have, want = ([(c.id, c.cell_type, _timeless(c), c.metadata)
                   for c in n.cells] for n in (notebook, expected))
    if have != want:
        same = [a == b for a, b in zip(have, want)] + [False]
        yield (f"cell {same.index(False) + 1} is not what the chapter gives; "
               "edit the chapter, then run `make build`")


def _timeless(cell: NotebookNode) -> str:
    """What stands in a cell, but for the times of this or that build."""
    return (SENTENCE.sub("{times}", cell.source)
            if cell.cell_type == "markdown" else cell.source)


def _metadata_problems(
        notebook: NotebookNode, expected: NotebookNode) -> Iterator[str]:
    have, want = notebook.metadata, expected.metadata
    for name in sorted({*have, *want}):
        if have.get(name) != want.get(name):
            yield f"its metadata has another {name!r}{BUILD}"


def run_problems(notebook: NotebookNode) -> list[str]:
    """What is wrong with how a notebook was run and what came out."""
    problems, count = [], 0
    for number, cell in enumerate(notebook.cells, 1):
        if SKIP in tags(cell):
            if cell.outputs or cell.execution_count:
                problems.append(f"cell {number} is the student's and has "
                                "been executed")
        elif cell.cell_type == "code":
            count += 1
            found = [*_execution_problems(cell, count),
                     *_output_problems(cell)]
            problems += [f"cell {number} {problem}" for problem in found]
    return problems


def _execution_problems(cell: NotebookNode, count: int) -> Iterator[str]:
    if cell.execution_count is None:
        yield "has not been executed"
    elif cell.execution_count != count:
        yield f"was executed as number {cell.execution_count}, not {count}"


def _output_problems(cell: NotebookNode) -> Iterator[str]:
    kinds = [output.output_type for output in cell.outputs]
    expects_error = "raises-exception" in tags(cell)
    if expects_error and "error" not in kinds:
        yield "is tagged raises-exception and raised nothing"
    for output in cell.outputs:
        if output.output_type == "error" and not expects_error:
            yield f"stopped with {output.ename}: {output.evalue}"
        if output.get("name") == "stderr":
            yield f"wrote to stderr: {output.text.strip()[:200]}"
        if match := ADDRESS.search("\n".join(_texts(output))):
            yield f"shows the memory address {match.group()}"
        yield from _picture_problems(output.get("data", {}))


def _picture_problems(data: dict[str, Any]) -> Iterator[str]:
    """nbval compares no pictures, so that they are looked at here."""
    if "image/svg+xml" in data:
        yield "holds an SVG picture, which embeds a date; use PNG"
    if "image/png" in data:
        if problem := picture_problem(data["image/png"]):
            yield problem
    elif data.get("text/plain", "").startswith("<Figure "):
        yield f"has no picture of {data['text/plain']}"


def _texts(output: NotebookNode) -> list[str]:
    data = output.get("data", {})
    kinds = [kind for kind in data if kind.startswith("text/")]
    return [output.get("text", ""), output.get("evalue", ""),
            *(str(data[kind]) for kind in kinds)]
