"""What is checked of each notebook: the table for those who rely on it."""

import ast

from nbformat import NotebookNode

from d2lbert.backends import BACKENDS
from d2lbert.book.config import Book
from d2lbert.book.notebook import code_cells, read_notebook
from d2lbert.book.record import versions_of
from d2lbert.book.source import find_targets, title
from d2lbert.book.times import Times

HEAD = """# What is checked

Continuous integration runs every notebook of the course, the solutions too,
and compares the text that comes out with what is committed. Left out are
numbers that depend on the machine: those after the sign ≈, the words that are
ranked by them, after →, and the losses, accuracies and speeds of the line
that ends a training; `tests/sanitize.cfg` lists them. Of plots only the size
is compared. Assertions are claims of the text: a run that does
not keep them stops there. Seconds are those of the last build on two cores,
of the chapter without its solutions.
"""


def checked_page(book: Book) -> str:
    """The MyST Markdown of the page.

    Raises:
        BookError: for a notebook that is not built.
    """
    rows = ["| chapter | framework | seconds | cells run | outputs compared "
            "| plots | assertions |",
            "| --- | --- | ---: | ---: | ---: | ---: | ---: |"]
    seconds = Times(book).seconds
    for chapter, backend in book.select():
        counts = [sum(numbers) for numbers in zip(*(
            _counts(read_notebook(book.path(target)))
            for target in find_targets(book, [chapter], [backend])))]
        name = (f"[{book.number(chapter)} · {title(book, chapter, backend)}]"
                f"(/{chapter}.md)")
        rows.append(_row(
            name if backend == book.backends[0] else "",
            BACKENDS[backend].title,
            f"{seconds[chapter].get(backend, 0):g}", *counts))
    return "\n".join([HEAD, *rows, "", "## Versions", "", *_versions(book)])


def _row(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def _counts(notebook: NotebookNode) -> tuple[int, int, int, int]:
    """Cells that are run, outputs, plots and assertions of a notebook."""
    cells = code_cells(notebook)
    outputs = [output for cell in cells for output in cell.outputs]
    plots = [output for output in outputs
             if "image/png" in output.get("data", {})]
    return (len(cells), len(outputs), len(plots),
            sum(_assertions(cell.source) for cell in cells))


def _assertions(source: str) -> int:
    lines = [line for line in source.split("\n")
             if not line.startswith("%")]  # IPython's
    return sum(isinstance(node, ast.Assert)
               for node in ast.walk(ast.parse("\n".join(lines))))


def _versions(book: Book) -> list[str]:
    """What each framework's packages were when the site was built."""
    return [f"* {BACKENDS[name].title}: " + ", ".join(
        f"{package} {version}"
        for package, version in versions_of(name).items())
        for name in book.backends]
