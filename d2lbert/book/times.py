"""How long a chapter takes to read and, in each backend, to run.

The seconds are those of the last build, in a file that is committed. They
are noted roughly and replaced only by others that differ much, so that a
build does not change what it need not.
"""

import re
import tomllib
from collections.abc import Iterable

from d2lbert.backends import BACKENDS
from d2lbert.book.config import Book, BookError, Target
from d2lbert.files import write_whole

FILE = "times.toml"
HEAD = ("# Seconds that each chapter ran when it was last built; "
        "`make build` writes them.\n")
WORDS = 200  # read in a minute
STEP = 5  # minutes
MUCH = 0.3  # of the seconds that are noted,
LITTLE = 3  # and no news if it is less than these seconds
LONG = 300  # seconds; where something takes as long, minutes are said
SENTENCE = re.compile(r"about \d+ minutes to read(?:; running takes "
                      r"[^\n]*? on two cores)?")


class Times:
    """The times of a book's chapters."""

    def __init__(self, book: Book) -> None:
        self._book, self._path = book, book.root / "notebooks" / FILE
        self.seconds = self._read()

    def _read(self) -> dict[str, dict[str, float]]:
        try:
            kept = tomllib.loads(self._path.read_text("utf-8"))
        except FileNotFoundError:
            kept = {}
        except ValueError as error:
            raise BookError(f"notebooks/{FILE}: {error}") from None
        return {chapter: dict(kept.get(chapter, {}))
                for chapter in self._book.chapters}

    def note(self, target: Target, seconds: float) -> bool:
        """Note how long a notebook ran; was it much more or less before?"""
        if target.is_solutions:
            return False
        of_chapter = self.seconds[target.chapter]
        was, now = of_chapter.get(target.backend), rounded(seconds)
        if was and abs(now - was) <= max(MUCH * was, LITTLE):
            return False
        of_chapter[target.backend] = now
        return True

    def save(self) -> None:
        """Write the file."""
        tables = [f"[{chapter}]\n" + "".join(
            f"{backend} = {seconds[backend]:g}\n"
            for backend in BACKENDS if backend in seconds)
            for chapter, seconds in self.seconds.items()]
        write_whole(self._path, "\n".join([HEAD, *tables]))

    def sentence(self, chapter: str, prose: Iterable[str],
                 backends: Iterable[str] | None = None) -> str:
        """What a chapter says, whose text is `prose`.

        By default with the seconds in all backends of the book.
        """
        words = sum(len(text.split()) for text in prose)
        minutes = max(STEP, STEP * round(words / WORDS / STEP))
        seconds = {backend: self.seconds[chapter][backend]
                   for backend in backends or self._book.backends
                   if backend in self.seconds[chapter]}
        in_words = (_in_minutes if max(seconds.values(), default=0) >= LONG
                    else "{:g} s".format)
        runs = [f"{in_words(number)} in {BACKENDS[backend].title}"
                for backend, number in seconds.items()]
        text = f"about {minutes} minutes to read"
        if runs:
            text += f"; running takes {listed(runs)} on two cores"
        return text


def rounded(seconds: float) -> float:
    """To one significant digit below ten seconds, and to two above."""
    return float(f"{seconds:.{1 if seconds < 10 else 2}g}")


def _in_minutes(seconds: float) -> str:
    number = round(seconds / 60)
    return ("less than a minute" if not number else "a minute" if number == 1
            else f"{number} minutes")


def listed(names: list[str]) -> str:
    """'A', 'A and B', 'A, B and C'."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
