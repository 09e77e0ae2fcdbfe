"""What each notebook was run with when it was run last.

It is kept in a file that is not committed. Of a notebook that it does not
know, the committed state is trusted: whether the outputs come out again is
tested at every commit.
"""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path

from nbformat import NotebookNode

from d2lbert.backends import BACKENDS
from d2lbert.book.checkout import committed_files
from d2lbert.book.config import Book, BookError, Target
from d2lbert.book.digest import digest
from d2lbert.book.notebook import code_cells, read_notebook, sources
from d2lbert.book.reach import Digests, Package
from d2lbert.checks import CheckpointError
from d2lbert.files import read_json, write_whole

FILE = Path(".cache", "book.json")
FORMAT = 2  # what is kept in another format is not read
Versions = dict[str, str]


@dataclass(frozen=True)
class Run:
    """What a notebook was run with.

    Attributes:
        notebook: the digest of its code cells and their outputs.
        files: of what it reaches in each file of the package.
        versions: of its backend's distributions.
    """
    notebook: str
    files: Digests
    versions: Versions


def versions_of(backend: str) -> Versions:
    """The versions of a backend's distributions, if they are installed."""
    found = {}
    for name in BACKENDS[backend].distributions:
        try:
            # "2.13.0+cpu" is the same release as "2.13.0".
            found[name] = metadata.version(name).partition("+")[0]
        except metadata.PackageNotFoundError:
            pass
    return found


class Record:
    """The last run of every notebook of a book, as far as it is known."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._runs = _read(book.root / FILE)

    def last_run(self, target: Target, notebook: NotebookNode) -> Run | None:
        """What a notebook, as its file has it, was run with.

        None if that is not known: it was run or changed elsewhere, and is
        not what is committed.
        """
        name, now = target.name, _digest(notebook)
        run = self._runs.pop(name, None)
        if run is None or run.notebook != now:
            files = self._committed_reach(
                self._book.present(target), notebook)
            run = (None if files is None
                   else Run(now, files, versions_of(target.backend)))
        if run:
            self._runs[name] = run
        return run

    def learn(self, target: Target) -> None:
        """Fix what a notebook was run with before a commit changes HEAD."""
        with suppress(BookError):
            self.last_run(target, read_notebook(self._book.present(target)))

    def note(self, target: Target, notebook: NotebookNode,
             files: Digests) -> None:
        """Note, and save, that a notebook has been run with such files."""
        self._runs[target.name] = Run(
            _digest(notebook), files, versions_of(target.backend))
        self.save()

    def save(self) -> None:
        """Write the record, if it is not what its file holds already."""
        path = self._book.root / FILE
        if self._runs != _read(path):
            runs = {name: asdict(run) for name, run in self._runs.items()}
            write_whole(path, json.dumps(
                {"format": FORMAT, "runs": runs}, indent=1, sort_keys=True))

    @cached_property
    def _committed(self) -> Package:
        return Package(committed_files(self._book.root))

    def _committed_reach(
            self, path: Path, notebook: NotebookNode) -> Digests | None:
        name = path.relative_to(self._book.root).as_posix()
        if self._committed.files.get(name) != path.read_bytes():
            return None
        try:
            return self._committed.reach(sources(notebook))
        except BookError:  # what is committed is not Python
            return None


def _digest(notebook: NotebookNode) -> str:
    cells = json.dumps(code_cells(notebook), sort_keys=True)
    return digest(cells.encode())


def _read(path: Path) -> dict[str, Run]:
    """What the file holds; nothing if it is not as `save` writes it."""
    try:
        kept = read_json(path, dict)
        if kept["format"] != FORMAT:
            return {}
        runs = {name: Run(**run) for name, run in kept["runs"].items()}
    except (OSError, CheckpointError, KeyError, TypeError, AttributeError):
        return {}
    return {name: run for name, run in runs.items() if isinstance(
        run.files, dict) and isinstance(run.versions, dict)}
