"""Notebook files: read, compare, carry outputs over, write."""

from pathlib import Path

import nbformat
from nbformat import NotebookNode

from d2lbert.book.config import BookError
from d2lbert.book.exercises import SKIP, tags
from d2lbert.files import write_whole


def read_notebook(path: Path) -> NotebookNode:
    """A notebook from its file.

    Raises:
        BookError: if there is none, or it is not a valid one.
    """
    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except FileNotFoundError:
        raise BookError("is not built") from None
    except (ValueError, nbformat.ValidationError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise BookError(f"is no valid notebook: {reason}") from None
    return notebook


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The cells that are executed."""
    return [cell for cell in notebook.cells
            if cell.cell_type == "code" and SKIP not in tags(cell)]


def sources(notebook: NotebookNode) -> list[str]:
    """What is executed."""
    return [cell.source for cell in code_cells(notebook)]


def with_outputs_of(
        notebook: NotebookNode, old: NotebookNode) -> NotebookNode:
    """A notebook with the outputs of another one that has the same code."""
    made = nbformat.from_dict(notebook)
    for cell, executed in zip(code_cells(made), code_cells(old)):
        cell.execution_count = executed.execution_count
        cell.outputs = executed.outputs
    return made


def _notebook_text(notebook: NotebookNode) -> str:
    """What the file of a notebook holds."""
    nbformat.validate(notebook)
    return nbformat.writes(notebook) + "\n"


def write(notebook: NotebookNode, path: Path) -> bool:
    """Replace a notebook file, at once or not at all.

    Returns:
        False if the file is the same already, which is then left alone.
    """
    data = _notebook_text(notebook).encode()
    if path.is_file() and path.read_bytes() == data:
        return False
    write_whole(path, data)
    return True
