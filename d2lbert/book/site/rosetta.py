"""The page that sets the three frameworks side by side."""

import re
from pathlib import Path

from nbformat import NotebookNode

from d2lbert.book.config import Book, BookError, collect
from d2lbert.book.site.parts import code_of
from d2lbert.book.source import read_chapter

NAME = "rosetta"
HEAD = "---\nhtml_theme.sidebar_secondary.remove: true\n---\n\n"
TEST = re.compile(r"\{test:(\w+)\}")


def rosetta_page(book: Book) -> str:
    """The MyST Markdown of the page, from notebooks/rosetta.md.

    Raises:
        BookError: for code or tests that there are not.
    """
    tests = _tests(book.root)
    return HEAD + "\n\n".join(collect(
        lambda cell: _block(book, tests, cell),
        read_chapter(book, NAME))) + "\n"


def _block(book: Book, tests: dict[str, str], cell: NotebookNode) -> str:
    if cell.cell_type == "code":
        return _columns(book, cell.source)
    unknown = [name for name in TEST.findall(cell.source)
               if name not in tests]
    if unknown:
        raise BookError(*(f"{NAME}: there is no test {name}"
                          for name in unknown))
    return TEST.sub(lambda match: f"`{tests[match[1]]}::{match[1]}`",
                    cell.source)


def _columns(book: Book, source: str) -> str:
    """The same code of all backends, side by side."""
    columns = [
        f"::::{{column}} {backend}\n\n"
        + code_of(book, NAME, backend, source) + "\n\n::::"
        for backend in book.backends]
    return ":::::{columns}\n" + "\n\n".join(columns) + "\n:::::"


def _tests(root: Path) -> dict[str, str]:
    """{name of a test: its file}."""
    return {name: path.name
            for path in sorted((root / "tests").glob("test_*.py"))
            for name in re.findall(r"^def (test_\w+)",
                                   path.read_text("utf-8"), re.MULTILINE)}
