"""What book.toml says: the chapters, the backends and where they are."""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import NamedTuple, TypeVar

from d2lbert.backends import BACKENDS

NUMBERED = re.compile(r"^\d+-")  # the number of a notebook's file
Item = TypeVar("Item")
Result = TypeVar("Result")


class BookError(Exception):
    """What is wrong with the book: one argument a problem."""

    def __str__(self) -> str:
        return "\n".join(self.args)


def collect(function: Callable[[Item], Result],
            items: Iterable[Item]) -> list[Result]:
    """`[function(item) for item in items]`, going on after a BookError.

    Raises:
        BookError: with the problems of all items, each named once.
    """
    results: list[Result] = []
    problems: list[str] = []
    for item in items:
        try:
            results.append(function(item))
        except BookError as error:
            problems += error.args
    if problems:
        raise BookError(*dict.fromkeys(problems))
    return results


class Target(NamedTuple):
    """A notebook that is built: of a chapter, or of its solutions."""
    chapter: str
    backend: str
    is_solutions: bool = False

    @property
    def name(self) -> str:
        """As people call it."""
        return f"{self.backend}/{self.stem}"

    @property
    def stem(self) -> str:
        """Of its file, without the number."""
        return self.chapter + ("-solutions" if self.is_solutions else "")


@dataclass(frozen=True)
class Book:
    """The book whose book.toml stands in the folder `root`."""
    root: Path
    title: str
    authors: tuple[str, ...]
    language: str
    description: str
    chapters: tuple[str, ...]  # in reading order
    backends: tuple[str, ...]
    repository: str = ""  # "owner/name" on GitHub
    cards: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def source(self, chapter: str) -> Path:
        """The file that people edit."""
        return self.root / "notebooks" / f"{chapter}.md"

    def number(self, chapter: str) -> int:
        """Of a chapter; the first is 1."""
        return self.chapters.index(chapter) + 1

    def file_name(self, target: Target) -> str:
        """Of a notebook, in the folder of its backend."""
        return f"{self.number(target.chapter):02}-{target.stem}.ipynb"

    def path(self, target: Target) -> Path:
        """The file that is built."""
        return (self.root / "notebooks" / target.backend
                / self.file_name(target))

    def notebook(self, chapter: str, backend: str) -> Path:
        """The file of a chapter for a backend."""
        return self.path(Target(chapter, backend))

    def solutions(self, chapter: str, backend: str) -> Path:
        """The file of a chapter's solutions, if it has exercises."""
        return self.path(Target(chapter, backend, True))

    def present(self, target: Target) -> Path:
        """The file that there is: its number may be one of before."""
        path = self.path(target)
        if not path.exists():
            for other in sorted(path.parent.glob(f"*{target.stem}.ipynb")):
                if NUMBERED.sub("", other.stem) == target.stem:
                    return other
        return path

    def select(self, chapters: Sequence[str] | None = None,
               backends: Sequence[str] | None = None
               ) -> list[tuple[str, str]]:
        """Pairs (chapter, backend), of all chapters and backends by default.

        Raises:
            BookError: for a name that is not in book.toml.
        """
        return list(product(_known("chapter", chapters, self.chapters),
                            _known("backend", backends, self.backends)))


def _known(what: str, wanted: Sequence[str] | None,
           known: Sequence[str]) -> list[str]:
    unknown = [name for name in wanted or () if name not in known]
    if unknown:
        raise BookError(f"unknown {what} {', '.join(unknown)}: "
                        f"book.toml has {', '.join(known)}")
    return [name for name in known if not wanted or name in wanted]


def load_book(root: str | Path = ".") -> Book:
    """Read the book.toml of a folder.

    Raises:
        BookError: if it is missing, lacks an entry, or names a backend that
            the package does not have.
    """
    root = Path(root).resolve()
    try:
        tables = tomllib.loads((root / "book.toml").read_text("utf-8"))
        about, how = tables["book"], tables["build"]
        site = tables.get("site", {})
        _known("entry of [site]", tuple(site), ("repository", "cards"))
        book = Book(root, about["title"], tuple(about["authors"]),
                    about["language"], about["description"],
                    tuple(how["chapters"]), tuple(how["backends"]),
                    site.get("repository", ""), site.get("cards", {}))
    except FileNotFoundError:
        raise BookError(f"no book.toml in {root}: run this in the folder "
                        "of the book") from None
    except tomllib.TOMLDecodeError as error:
        raise BookError(f"book.toml: {error}") from None
    except KeyError as error:
        raise BookError(f"book.toml has no entry {error}") from None
    _known("chapter", tuple(book.cards), book.chapters)
    _known("backend", [b for b in book.backends if b not in BACKENDS],
           tuple(BACKENDS))
    return book
