"""Which notebooks have to be run, and why."""

from collections.abc import Iterator
from dataclasses import dataclass

from nbformat import NotebookNode

from d2lbert.book.check import run_problems
from d2lbert.book.checkout import present_files
from d2lbert.book.config import Book, BookError, Target, collect
from d2lbert.book.notebook import (
    code_cells,
    read_notebook,
    sources,
    with_outputs_of,
)
from d2lbert.book.reach import Digests, Package
from d2lbert.book.record import Record, Run, Versions, versions_of
from d2lbert.book.source import make

SHOWN = 3  # files that a reason names


@dataclass(frozen=True)
class Job:
    """A notebook of the book and what there is to do about it.

    Attributes:
        why: the reason to run it; "" if its outputs are current.
        notebook: what to run, or with the outputs that it keeps.
        files: of the package, as far as it reaches them.
    """
    target: Target
    why: str
    notebook: NotebookNode
    files: Digests


def make_plan(book: Book, targets: list[Target], record: Record,
              force: bool = False) -> list[Job]:
    """A job for each notebook, in their order.

    Raises:
        BookError: with all that is wrong in chapters and in the package.
    """
    package = Package(present_files(book.root))

    def plan(target: Target) -> Job:
        expected = make(book, target)
        files = package.reach(sources(expected))
        try:
            present = read_notebook(book.present(target))
        except BookError as error:
            return Job(target, str(error).removeprefix("is "), expected,
                       files)
        was = record.last_run(target, present)
        why = ("asked for (--force)" if force
               else _why(present, expected, was, files, target.backend))
        return Job(target, why, expected if why
                   else with_outputs_of(expected, present), files)

    return collect(plan, targets)


def _why(present: NotebookNode, expected: NotebookNode, was: Run | None,
         files: Digests, backend: str) -> str:
    """The first reason to run a notebook, if there is one."""
    reasons = [*_code_changes(present, expected), *run_problems(present)]
    if reasons:
        return reasons[0]
    if was is None:
        return "not known what it was run with"
    return (_version_changes(was.versions, versions_of(backend))
            or _file_changes(was.files, files))


def _code_changes(
        present: NotebookNode, expected: NotebookNode) -> Iterator[str]:
    have, want = map(code_cells, (present, expected))
    for old, new in zip(have, want):
        if old.source != new.source:
            yield f"cell {_number(expected, new)} shows other code"
        elif (old.id, old.metadata) != (new.id, new.metadata):
            yield f"cell {_number(expected, new)} has another id or other tags"
    if len(have) != len(want):
        yield f"it has {len(have)} code cells, its chapter {len(want)}"


def _number(notebook: NotebookNode, cell: NotebookNode) -> int:
    return [c.id for c in notebook.cells].index(cell.id) + 1


def _version_changes(was: Versions, now: Versions) -> str:
    """A distribution that is not installed has no version to compare."""
    return ", ".join(f"{name} {was.get(name, '(unknown)')} → {version}"
                     for name, version in now.items()
                     if was.get(name) != version)


def _file_changes(was: Digests, now: Digests) -> str:
    paths = [path for path in sorted({*was, *now})
             if was.get(path) != now.get(path)]
    changed = [path for path in paths if path in was and path in now]
    if changed:
        more = len(changed) - SHOWN
        return (", ".join(changed[:SHOWN])
                + (f" and {more} more" if more > 0 else "") + " changed")
    return ", ".join(f"{'it uses' if path in now else 'it no longer uses'} "
                     f"{path}" for path in paths[:SHOWN])
