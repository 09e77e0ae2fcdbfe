"""Execute a notebook and make its outputs comparable."""

import asyncio
import os
import re
import signal
from pathlib import Path

import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from traitlets import default

from d2lbert.backends import SETTINGS
from d2lbert.book.check import notebook_problems
from d2lbert.book.config import Book, BookError
from d2lbert.book.exercises import SKIP
from d2lbert.book.source import METADATA

TIMEOUT = 1200  # seconds a cell; the longest trains for about two minutes
COLORS = re.compile(r"\x1b\[[\d;]*m")


class _OwnKernel(AsyncKernelManager):
    """Starts the Python that runs this, as `python3`.

    The user may have installed a kernel of that name that is another Python.
    """

    @default("kernel_spec_manager")
    def _no_installed_kernels(self) -> KernelSpecManager:
        return KernelSpecManager(kernel_dirs=[])


async def execute(notebook: NotebookNode, book: Book, folder: Path,
                  threads: int) -> NotebookNode:
    """Run all cells in a new kernel and return the notebook, normalised.

    Args:
        notebook: as `make_notebook` gives it; it is left as it is.
        book: the book, whose package the kernel imports.
        folder: the kernel's working directory.
        threads: for the numerical libraries of the kernel.

    Raises:
        BookError: if a cell fails, takes too long, or leaves an output that
            a committed notebook may not have.
    """
    made = nbformat.from_dict(notebook)
    client = NotebookClient(
        made, timeout=TIMEOUT, kernel_name="python3", record_timing=False,
        skip_cells_with_tag=SKIP,
        kernel_manager_class=_OwnKernel,
        # Else each kernel warns that it listens on this machine unencrypted.
        extra_arguments=["--log-level=ERROR"],
        on_notebook_start=_let_signals_stop_the_build,
        resources={"metadata": {"path": str(folder)}})
    try:
        await client.async_execute(env=_environment(book, threads))
    except CellExecutionError as error:
        raise BookError(COLORS.sub("", error.traceback).strip()) from None
    except (TimeoutError, RuntimeError) as error:  # or the kernel died
        raise BookError(str(error).strip()) from None
    _normalise(made)
    problems = notebook_problems(made, notebook)
    if problems:
        raise BookError(*problems)
    return made


def _let_signals_stop_the_build(notebook: NotebookNode) -> None:
    """nbclient stops only the kernel that was started last, and goes on."""
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().remove_signal_handler(number)


def _environment(book: Book, threads: int) -> dict[str, str]:
    path = [str(book.root), os.environ.get("PYTHONPATH")]
    return {**SETTINGS, "OMP_NUM_THREADS": str(threads), **os.environ,
            "D2LBERT_BUILD": "1",
            # What is run is what is shown, wherever the package is installed.
            "PYTHONPATH": os.pathsep.join(filter(None, path))}


def _normalise(notebook: NotebookNode) -> None:
    notebook.metadata.update(METADATA)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = _merge_streams(cell.outputs)
            for output in cell.outputs:
                if output.output_type == "error":
                    # The traceback names files of this machine.
                    output.traceback = [f"{output.ename}: {output.evalue}"]


def _merge_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """One output for text that happened to arrive in several messages."""
    merged: list[NotebookNode] = []
    for output in outputs:
        stream = output.get("name")  # stdout, stderr; None for the rest
        if stream and merged and merged[-1].get("name") == stream:
            merged[-1].text += output.text
        else:
            merged.append(output)
    return merged
