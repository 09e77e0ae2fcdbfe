"""What every chapter has, read from its source: the frame, the exercises,
results that are printed before they are asserted, code that counts.
"""

import ast
import re
from pathlib import Path

import pytest
from forked import run_cells
from harness import installed

from d2lbert.book import execute
from d2lbert.book.check import run_problems
from d2lbert.book.checkout import present_files
from d2lbert.book.config import Target, load_book
from d2lbert.book.exercises import (
    cut,
    exercises,
    headings,
    roles,
    sections,
    tags,
)
from d2lbert.book.modules import SHOWN, Uses, parse_cell
from d2lbert.book.notebook import read_notebook
from d2lbert.book.reach import Package
from d2lbert.book.source import (
    BACKENDS,
    chapter_cells,
    find_targets,
    make_notebook,
    title,
)

ROOT = Path(__file__).parent.parent
BOOK = load_book(ROOT)
PACKAGE = Package(present_files(ROOT))
END = ["Summary", "Quiz", "Exercises", "References"]
TEACHING = ["Run live", "What usually goes wrong",
            "Five questions for the room", "45 minutes", "90 minutes"]
PICTURE = re.compile(r"!\[(.*?)\]\(img/[^)]*\)|<img\b[^>]*>", re.S)
FOLDED = re.compile(
    r"<details><summary>Answer</summary>\n\n.+?\n\n</details>", re.S)
ENTRIES = (r"\*\*You will be able to\*\*", r"\*\*You need\*\*",
           r"\*\*Time\*\*: {times}")
LONGEST = 25  # lines of a cell
LONGEST_SHOWN = 77  # of one that shows code; it should be no more than 35


def problems_of(chapter):
    """Sentences, each once, whatever backends they are about."""
    found = [*teaching_problems(chapter)]
    for backend in BOOK.backends:
        cells = chapter_cells(BOOK, chapter, backend)
        made = make_notebook(BOOK, chapter, backend)
        found += [*frame_problems(cells), *code_problems(cells),
                  *picture_problems(cells), *shown_problems(made)]
    return [*dict.fromkeys(found)]


@pytest.mark.parametrize("chapter", BOOK.chapters)
def test_a_chapter_has_what_it_should(chapter):
    assert problems_of(chapter) == []


# The frame

def frame_problems(cells):
    """The list at the start, and the sections at the end."""
    texts = [c.source for c in cells if c.cell_type == "markdown"]
    opening = re.split(r"^## ", "\n\n".join(texts), maxsplit=1, flags=re.M)[0]
    paragraph = opening.partition("\n")[2].strip()
    if not re.match(r"[\w*`\"“]", paragraph) or paragraph.startswith("* "):
        yield "no paragraph follows the title"
    entries = [re.search(rf"^[*-] {entry}", opening, re.M)
               for entry in ENTRIES]
    places = [entry.start() for entry in entries if entry]
    if len(places) < 3 or places != sorted(places):
        yield ("no list of **You will be able to**, **You need** and "
               "**Time**: {times}")
    found = [part.title for part in cut(cells, 2)]
    if found[-len(END):] != END:
        yield f"its last sections are {found[-4:]}, not {END}"
    parts = sections(cells)
    quiz = "\n\n".join(c.source for c in parts.get("Quiz", []))
    if len(FOLDED.findall(quiz)) != 5 or quiz.count("<details") != 5:
        yield f"its quiz has {len(FOLDED.findall(quiz))} folded answers, not 5"
    asked = [part for part in exercises(cells) if part.title]
    if not 4 <= len(asked) <= 8:
        yield f"it has {len(asked)} exercises `### Exercise 1: …`, not 4 to 8"
    for number, part in enumerate(asked, 1):
        if not re.match(rf"Exercise {number}: \w", part.title):
            yield f"{part.title!r} is not named `Exercise {number}: …`"
        if not part.having("solution"):
            yield f"{part.title!r} has no solution"
    for cell in cells:  # the student has no cell of a solution
        if cell.cell_type == "markdown" and "solution" in tags(cell):
            yield from (f"{title!r} stands in a solution: `+++` before it"
                        for _, level, title in headings(cell.source)
                        if level < 4)
    references = "\n".join(c.source for c in parts.get("References", []))
    items = re.findall(r"^(?:[*-]|\d+\.) .*?(?=^(?:[*-]|\d+\.) |\Z)",
                       references, re.M | re.S)
    if not items or not all(re.search(r"\b(19|20)\d\d\b|\]\(http", item)
                            for item in items):
        yield "its references are no list, each with a year or a link"


def teaching_problems(chapter):
    """The page for those who teach it."""
    path = ROOT / "notebooks" / "teaching" / f"{chapter}.md"
    if not path.is_file():
        yield f"there is no {path.relative_to(ROOT)}"
        return
    text = path.read_text("utf-8")
    plain = title(BOOK, chapter, "torch").replace(
        BACKENDS["torch"].title, "{Backend}")
    if text.split("\n")[0] not in (f"# Teaching: {plain}", "# Teaching: "
                                   + title(BOOK, chapter, "torch")):
        yield f"its teaching page is not titled `# Teaching: {plain}`"
    found = [name for _, level, name in headings(text) if level == 2]
    if found != TEACHING:
        yield f"its teaching page has the sections {found}, not {TEACHING}"
    if "{code-cell}" in text:
        yield "its teaching page has code cells"


def picture_problems(cells):
    """Alternative text, and a caption in italics below."""
    for cell in cells:
        if cell.cell_type != "markdown":
            continue
        for match in PICTURE.finditer(cell.source):
            alt = match[1]
            if alt is None:
                found = re.search(r'\balt="([^"]*)"', match[0])
                alt = found[1] if found else ""
            name = re.search(r"img/[\w.-]+", match[0])
            if len(alt.split()) < 4:
                yield f"{name and name[0]} has no alternative text"
            below = cell.source[match.end():].lstrip("\n ")
            if not re.match(r"[*_]\S", below):
                yield f"{name and name[0]} has no caption in italics below"


# The code

def code_problems(cells):
    """Assertions, imports and lengths, in the cells as they are written."""
    for cell in cells:
        if cell.cell_type != "code" or "{{#include" in cell.source:
            continue
        tree, start = parse_cell(cell.source), cell.source.split("\n")[0][:50]
        if cell.source.count("\n") >= LONGEST:
            yield (f"the cell {start!r} has {cell.source.count(chr(10)) + 1} "
                   f"lines, more than {LONGEST}")
        asserts = [n for n in ast.walk(tree) if isinstance(n, ast.Assert)]
        for node in asserts:
            if node.msg is None:
                yield f"no message: {ast.unparse(node)[:60]}"
        prints = [n.lineno for n in ast.walk(tree) if isinstance(n, ast.Call)
                  and getattr(n.func, "id", "") == "print"]
        if prints and asserts and asserts[0].lineno < min(prints):
            yield f"asserted before printed: {ast.unparse(asserts[0])[:60]}"
        if "solution" not in tags(cell):
            for name in deep_imports(tree):
                yield f"imports from {name}: give it a public name"


def deep_imports(tree):
    """Modules inside of a room of the package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (name for name in names
                    if name.startswith("d2lbert.") and name.count(".") > 1)


def shown_problems(notebook):
    """Shown code has to be what the chapter goes on to use."""
    cells = [cell.source for cell in notebook.cells
             if cell.cell_type == "code"]
    for number, source in enumerate(cells):
        match = SHOWN.match(source)
        if not match:
            continue
        if source.count("\n") > LONGEST_SHOWN:
            yield (f"{source.split(chr(10))[1][:50]!r} is shown in "
                   f"{source.count(chr(10))} lines, more than {LONGEST_SHOWN}")
        later = cells[number + 1:]
        others = [cell for i, cell in enumerate(cells)
                  if i > number or i < number and SHOWN.match(cell)]
        reached = PACKAGE.reached_names(cells[:number] + later)
        used = {name for cell in others for name in mentioned(cell)}
        shown = list(shown_names(source))
        for name in shown:
            inside = any(name in mentioned(source, skip=name)
                         for other in shown if other != name)
            if (name not in used and (match[1], name) not in reached
                    and not inside):
                yield f"{name} is shown and never used after that"
            for cell in later:
                for module in taken_again(cell, name):
                    yield f"{name} is shown and later imported from {module}"


def shown_names(source):
    """The names that a cell gives to its module."""
    for node in parse_cell(source).body:
        targets = getattr(node, "targets", [getattr(node, "target", node)])
        yield from (getattr(t, "name", getattr(t, "id", None))
                    for t in targets)


def mentioned(source, skip=""):
    """The names that code reads, also as attributes."""
    uses = Uses("")
    for node in parse_cell(source).body:
        if getattr(node, "name", None) != skip or not skip:
            uses.visit(node)
    return {name for chain in uses.chains for name in chain}


def taken_again(source, name):
    """Modules from which a cell imports a name."""
    if SHOWN.match(source):
        return
    for node in ast.walk(parse_cell(source)):
        if isinstance(node, ast.ImportFrom):
            yield from (node.module for alias in node.names
                        if name in (alias.asname, alias.name)
                        and node.module.startswith("d2lbert"))


# The exercises

TARGETS = find_targets(BOOK)
ASKED = [(target.chapter, target.backend) for target in TARGETS
         if target.is_solutions]


def test_checks_pass_on_solutions():
    """That they do is shown by the notebooks, in which they were executed."""
    for chapter, backend in ASKED:
        path = BOOK.path(Target(chapter, backend, True))
        assert run_problems(read_notebook(path)) == [], path.name


@pytest.mark.parametrize("chapter, backend", ASKED)
def test_checks_fail_on_stubs(chapter, backend, tmp_path):
    """Runs for each exercise the stub, then the check."""
    if not installed(backend):
        pytest.skip(f"{backend} is not installed")
    cells = stubs_and_checks(chapter, backend)
    if not any(is_check for _, is_check in cells):
        pytest.skip("no exercise asks for code")
    errors = run_cells(
        BOOK.notebook(chapter, backend).parent, [code for code, _ in cells],
        tmp_path / "printed", execute._environment(BOOK, 1))
    for (code, is_check), error in zip(cells, errors, strict=True):
        if not is_check:
            assert not error, f"{error}\n{code}"
        else:
            assert error, f"passes on the stub: {code}"
            assert error[0] in ("NotImplementedError", "AssertionError"), (
                f"{error}\n{code}")


def stubs_and_checks(chapter, backend):
    """What a student who has solved nothing would run.

    Returns:
        (code, whether it is a check) of each cell.
    """
    made = make_notebook(BOOK, chapter, backend)
    written = {cell.id: roles(cell)
               for cell in chapter_cells(BOOK, chapter, backend)}
    asked = {cell.id for part in exercises(chapter_cells(
        BOOK, chapter, backend)) for cell in part.cells}
    cells = []
    for cell in made.cells:
        role = written.get(cell.id, set())
        if cell.cell_type == "code" and (role or cell.id in asked):
            cells.append((cell.source, "check" in role))
    return cells
