"""The notebook that JupyterLab opens first: the chapters and a kernel."""

from nbformat import NotebookNode, v4

from d2lbert.backends import BACKENDS
from d2lbert.book.config import Book, Target
from d2lbert.book.exercises import SKIP
from d2lbert.book.source import METADATA, find_targets, title
from d2lbert.book.times import Times

FILE = "start.ipynb"
READY = """from importlib.util import find_spec

import d2lbert

print("The kernel is ready: d2lbert", d2lbert.__version__)
for name in BACKENDS:
    print(name, "is installed" if find_spec(name) else "is not installed")"""


def start_notebook(book: Book) -> NotebookNode:
    """The notebook, not executed."""
    seconds = Times(book).seconds
    rows = ["| | | " + " | ".join(
        BACKENDS[name].title for name in book.backends) + " | solutions |",
        "| --- | --- |" + " --- |" * (len(book.backends) + 1)]
    for chapter in book.chapters:
        rows.append(_row(book, chapter, seconds[chapter]))
    cells = [v4.new_markdown_cell(text) for text in (
        f"# {book.title}\n\n{book.description}. A number is the seconds that "
        "running all of a chapter takes on two cores.", "\n".join(rows),
        "Is the kernel there? Run this cell.")]
    cells.append(v4.new_code_cell(
        READY.replace("BACKENDS", repr(book.backends)),
        metadata={"tags": [SKIP]}))
    for number, cell in enumerate(cells):
        cell.id = f"start-{number}"
    return v4.new_notebook(cells=cells, metadata=METADATA)


def _row(book: Book, chapter: str, seconds: dict[str, float]) -> str:
    links = [f"[{_time(seconds.get(name))}]({name}/"
             f"{book.file_name(Target(chapter, name))})"
             for name in book.backends]
    solutions = " ".join(
        f"[{BACKENDS[target.backend].title}]({target.backend}/"
        f"{book.file_name(target)})"
        for target in find_targets(book, [chapter]) if target.is_solutions)
    cells = [str(book.number(chapter)),
             title(book, chapter, book.backends[0]), *links, solutions]
    return "| " + " | ".join(cells) + " |"


def _time(seconds: float | None) -> str:
    """Of a run; a notebook that has not been built here has none."""
    return "open" if seconds is None else f"{seconds:g} s"
