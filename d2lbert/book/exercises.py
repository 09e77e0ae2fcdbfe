"""A chapter's exercises: what the student gets, and what the solutions.

Cells under `## Exercises` have a role, which is a tag:

    solution    only in the solutions notebook, where it is executed
    stub        only in the student's notebook, where it is not executed
    check       in both; executed in the solutions, not in the student's

and `carry` is the tag of a cell anywhere in the chapter that the solutions
need, too.
"""

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass

from nbformat import NotebookNode

from d2lbert.book.config import BookError

ROLES = ("solution", "stub", "check", "carry")
SKIP = "nbval-skip"  # the tag of a cell that nobody executes
FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
HEADING = re.compile(r"^(#{1,6}) +(.*?)[ #]*$")


@dataclass
class Exercise:
    """A part of a chapter, from its heading `### …` to the next."""
    title: str  # "" of what stands before the first one
    cells: list[NotebookNode]

    def having(self, role: str) -> list[int]:
        """Where its cells of a role stand."""
        return [i for i, cell in enumerate(self.cells) if role in tags(cell)]


def tags(cell: NotebookNode) -> list[str]:
    """The tags of a cell."""
    return cell.metadata.get("tags", [])


def roles(cell: NotebookNode) -> set[str]:
    """What a cell is in an exercise; nothing for most cells."""
    return {*ROLES} & {*tags(cell)}


def headings(text: str) -> Iterator[tuple[int, int, str]]:
    """(line, level, title) of the headings of a text, lines from 0."""
    fence = ""
    for number, line in enumerate(text.split("\n")):
        if match := FENCE.match(line):
            if not fence:
                fence = match[1]
            elif match[1].startswith(fence):
                fence = ""
        elif not fence and (match := HEADING.match(line)):
            yield number, len(match[1]), match[2]


def cut(cells: list[NotebookNode], level: int) -> list[Exercise]:
    """The cells between headings of a level; Markdown cells are cut there."""
    parts = [Exercise("", [])]
    for cell in cells:
        if cell.cell_type != "markdown":
            parts[-1].cells.append(cell)
            continue
        lines = cell.source.split("\n")
        found = [(number, title) for number, depth, title
                 in headings(cell.source) if depth == level]
        ends = [number for number, _ in found] + [len(lines)]
        _append(parts[-1], cell, lines[:ends[0]])
        for (start, title), end in zip(found, ends[1:]):
            parts.append(Exercise(title, []))
            _append(parts[-1], cell, lines[start:end])
    return parts


def _append(part: Exercise, cell: NotebookNode, lines: list[str]) -> None:
    text = "\n".join(lines).strip("\n")
    if text == cell.source:
        part.cells.append(cell)
    elif text.strip():
        piece = copy.deepcopy(cell)
        piece.source = text
        part.cells.append(piece)


def sections(cells: list[NotebookNode]) -> dict[str, list[NotebookNode]]:
    """The cells of a chapter by the titles of its sections `## …`."""
    return {part.title: part.cells for part in cut(cells, 2)}


def exercises(cells: list[NotebookNode]) -> list[Exercise]:
    """The exercises of a chapter; the first is what stands before them."""
    return cut(sections(cells).get("Exercises", []), 3)


def for_students(cells: list[NotebookNode]) -> list[NotebookNode]:
    """The cells of a chapter without the solutions."""
    return [cell for cell in cells if "solution" not in tags(cell)]


def for_solutions(cells: list[NotebookNode]) -> list[NotebookNode]:
    """The cells of the notebook with the solutions, without a title."""
    found = []
    for part in cut(cells, 2):
        is_asked = part.title == "Exercises"
        found += [cell for cell in part.cells if "stub" not in tags(cell)
                  and (is_asked or "carry" in tags(cell))]
    return found


def check_exercises(chapter: str, cells: list[NotebookNode]) -> None:
    """Look at where the cells of the exercises stand.

    Args:
        chapter: its name.
        cells: those of one backend.

    Raises:
        BookError: with all that is wrong.
    """
    problems: list[str] = []
    inside: set[str] = set()
    for part in exercises(cells):
        if part.title:
            inside |= {cell.id for cell in part.cells}
            problems += [f"{chapter}: {part.title}: {problem}"
                         for problem in _problems(part)]
    for cell in cells:
        lost = roles(cell) - {"carry"}
        if lost and cell.id not in inside:
            start = cell.source.strip().partition("\n")[0]
            problems.append(
                f"{chapter}: the cell {start[:40]!r} is tagged "
                f"{min(lost)} and stands in no exercise: those are below "
                "`## Exercises`, each with a heading `### …`")
    if problems:
        raise BookError(*problems)


def _problems(exercise: Exercise) -> Iterator[str]:
    stubs, checks, solutions = map(
        exercise.having, ("stub", "check", "solution"))
    code = [i for i in solutions if exercise.cells[i].cell_type == "code"]
    for i in stubs + checks:
        if exercise.cells[i].cell_type != "code":
            yield "a stub or a check is code"
    if stubs and not checks:
        yield "it has a stub and no check"
    if checks and not stubs:
        yield "it has a check and no stub, on which the check would fail"
    if checks and not code:
        yield "it has a check and no solution in code"
    elif checks and checks[0] < code[-1]:
        yield "the check stands before a solution; put it behind"
