"""Exercises and solutions, links and times, in a book of two chapters.

How notebooks are built and checked, test_book.py asks.
"""

import re
import shutil
import subprocess
import sys

import nbformat
import pytest

from d2lbert.book import execute
from d2lbert.book.build import build
from d2lbert.book.check import check
from d2lbert.book.config import BookError, Target, load_book
from d2lbert.book.exercises import exercises, headings
from d2lbert.book.source import chapter_cells, find_targets, make
from d2lbert.book.times import Times, rounded

TOML = """
[book]
title = "small"
authors = ["nobody"]
language = "en"
description = "a book to try the builder on"
[build]
chapters = ["first", "one"]
backends = ["torch", "jax"]
"""
FIRST = """# The first, in {Backend}

See {chapter:one} and the {chapter:one|next chapter}, {times}.
"""
ONE = """# One

Words.

```{code-cell}
:tags: [carry, torch]
base = 40
```

```{code-cell}
:tags: [carry, jax]
base = 50
```

```{code-cell}
print("not carried")
```

## Summary

Short.

## Exercises

As in {chapter:first}.

### Exercise 1: add

How does one add?

```{code-cell}
:tags: [stub]
def add(a, b):
    raise NotImplementedError("add two numbers")
```

```{code-cell}
:tags: [solution]
def add(a, b):
    return a + b
```

```{code-cell}
:tags: [check]
print(add(base, 2))
assert add(1, 2) == 3, f"1 + 2 is {add(1, 2)}, expected 3"
```

### Exercise 2: say

In words.

+++ {"tags": ["solution"]}

Because.

```{code-cell}
:tags: [solution, jax]
print("measured")
```

## References

None.
"""


def write_book(folder):
    for name, text in {"book.toml": TOML, "notebooks/first.md": FIRST,
                       "notebooks/one.md": ONE, "d2lbert/__init__.py": "",
                       ".gitignore": ".cache\n"}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture(scope="module")
def built_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("book")
    write_book(folder)
    build(folder)
    return folder


@pytest.fixture
def built(built_once, tmp_path):
    return shutil.copytree(built_once, tmp_path / "book")


@pytest.fixture
def no_kernel(monkeypatch):
    async def fail(*args):
        raise AssertionError("a notebook is run")
    monkeypatch.setattr(execute, "execute", fail)


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def cells_of(book, *target):
    return make(book, Target(*target)).cells


def dry(root, capsys, **options):
    capsys.readouterr()
    build(root, dry_run=True, **options)
    return capsys.readouterr().out.splitlines()


# What goes where

def test_the_student_gets_questions_stubs_and_checks(built):
    cells = cells_of(load_book(built), "one", "torch")
    text = "\n".join(cell.source for cell in cells)
    assert text.startswith("# 2 · One")
    assert "NotImplementedError" in text and "How does one add?" in text
    assert "return a + b" not in text and "Because." not in text
    tags = [c.metadata.get("tags", []) for c in cells if "add(" in c.source]
    assert tags == [["stub", "nbval-skip"], ["check", "nbval-skip"]]


def test_the_solutions_have_the_carried_cells_and_the_exercises(built):
    book = load_book(built)
    for backend, base in (("torch", 40), ("jax", 50)):
        title, carried, *rest = cells_of(book, "one", backend, True)
        assert title.source.startswith("# Solutions to chapter 2: One\n")
        assert carried.source == f"base = {base}"
        text = "\n".join(cell.source for cell in rest)
        assert text.startswith("## Exercises\n\nAs in [The first, in ")
        assert "return a + b" in text and "Because." in text
        assert "NotImplementedError" not in text and "Words." not in text
        assert "References" not in text and "Summary" not in text
        assert ("measured" in text) is (backend == "jax")
        assert not any(c.metadata.get("tags") for c in rest)


def test_solutions_are_executed_and_checked(built):
    book = load_book(built)
    solutions = nbformat.read(book.solutions("one", "torch"), 4)
    student = nbformat.read(book.notebook("one", "torch"), 4)
    assert book.solutions("one", "jax").name == "02-one-solutions.ipynb"
    printed = [o.text for c in solutions.cells if c.cell_type == "code"
               for o in c.outputs]
    assert printed == ["42\n"] and check(built) == []
    asked = [c for c in student.cells if "add(" in c.source]
    assert [(c.execution_count, c.outputs) for c in asked] == 2 * [(None, [])]
    assert not book.solutions("first", "torch").exists()
    asked[0].execution_count = 3
    nbformat.write(student, book.notebook("one", "torch"))
    assert "torch/02-one.ipynb: cell 5 is the student's and has been " in (
        check(built)[0])


def test_nbval_compares_solutions_and_skips_what_students_write(built):
    """Runs kernels."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-o", "addopts=", "-p",
         "no:cacheprovider", "--nbval", "--nbval-current-env", "-rs",
         "--rootdir", built, built / "notebooks" / "jax"],
        capture_output=True, text=True, cwd=built)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed, 2 skipped" in done.stdout


def test_a_change_runs_only_the_notebook_that_it_touches(built, capsys):
    assert dry(built, capsys) == ["0 would be run"]
    path = built / "notebooks/one.md"
    edit(path, 'print("not carried")', 'print("not  carried")')
    assert dry(built, capsys) == [
        "torch/one: cell 3 shows other code",
        "jax/one: cell 3 shows other code", "2 would be run"]
    edit(path, 'print("not  carried")', 'print("not carried")')
    edit(path, "return a + b", "return b + a")
    edit(path, '"add two', '"add the two')  # which nobody executes
    assert dry(built, capsys, chapters=["one"]) == [
        "torch/one-solutions: cell 4 shows other code",
        "jax/one-solutions: cell 4 shows other code", "2 would be run"]
    edit(path, "return b + a", "return a + b")
    edit(path, ":tags: [carry, jax]", ":tags: [jax]")
    assert dry(built, capsys) == [
        "jax/one-solutions: cell 3 shows other code", "1 would be run"]


def test_prose_of_solutions_is_carried_over(built, no_kernel, capsys):
    edit(built / "notebooks/one.md", "Because.", "Since.")
    assert any("one-solutions" in problem for problem in check(built))
    build(built)
    assert "2 carried over" in capsys.readouterr().out
    assert check(built) == []


def test_solutions_that_are_gone_are_strangers(built):
    path = built / "notebooks/one.md"
    path.write_text(path.read_text().partition("### Exercise 1")[0])
    assert sum("solutions.ipynb: belongs to no chapter" in problem
               for problem in check(built)) == 2


@pytest.mark.parametrize("old, new, problem", [
    (":tags: [stub]", ":tags: [torch]", "Exercise 1: add: it has a check and "
     "no stub"),
    (":tags: [check]", ":tags: [solution]", "it has a stub and no check"),
    (":tags: [solution]\n", ":tags: [stub]\n", "no solution in code"),
    ("## Exercises", "## Tasks", "'def add(a, b):' is tagged stub and stands "
     "in no exercise"),
    ("### Exercise 1", "**Exercise 1**", "stands in no exercise"),
    ("Words.", '+++ {"tags": ["solution"]}\n\nWords.', "'Words.' is tagged "
     "solution and stands in no exercise"),
    ('["solution"]}', '["stub"]}', "a stub or a check is code")])
def test_cells_in_the_wrong_place_are_named(built, old, new, problem):
    edit(built / "notebooks/one.md", old, new)
    with pytest.raises(BookError, match=re.escape(problem)) as error:
        build(built, dry_run=True)
    assert all(text.startswith("one: ") for text in error.value.args)


def test_a_check_before_its_solution_is_named(built):
    path = built / "notebooks/one.md"
    start, solution, end = re.split(
        r"(```{code-cell}\n:tags: \[solution\]\n.*?```\n)", path.read_text(),
        maxsplit=1, flags=re.S)
    path.write_text(start + end.replace("### Exercise 2",
                                        solution + "\n### Exercise 2"))
    with pytest.raises(BookError, match="the check stands before a solution"):
        build(built, dry_run=True)


def test_exercises_are_cut_at_their_headings(built):
    parts = exercises(chapter_cells(load_book(built), "one", "torch"))
    assert [part.title for part in parts] == [
        "", "Exercise 1: add", "Exercise 2: say"]
    text = "# A\n```\n# no\n```\n## B ##\n~~~~\n```\n# no\n~~~~\n####### no"
    assert [*headings(text)] == [(0, 1, "A"), (4, 2, "B")]


# Where notebooks lead

def test_chapters_are_linked_by_title_or_by_other_words(built):
    text = cells_of(load_book(built), "first", "jax")[0].source
    assert text.startswith("# 1 · The first, in JAX\n")
    assert "See [One](02-one.ipynb) and the [next chapter](02-one.ipynb)" in (
        text)


def test_the_last_cell_leads_on(built):
    book = load_book(built)
    last = {target: make(book, target).cells[-1].source
            for target in find_targets(book)}
    assert len(last) == 6
    assert last["first", "torch", False] == (
        "---\n\nNext: [One](02-one.ipynb) · The same in "
        "[JAX](../jax/01-first.ipynb)\n\nThis notebook is built from "
        "[notebooks/first.md](../first.md).")
    assert last["one", "torch", False].split("\n")[2] == (
        "Previous: [The first, in PyTorch](01-first.ipynb) · "
        "[Solutions](02-one-solutions.ipynb) · The same in "
        "[JAX](../jax/02-one.ipynb)")
    assert last["one", "jax", True].split("\n")[2] == (
        "Chapter 2: [One](02-one.ipynb) · The same in "
        "[PyTorch](../torch/02-one-solutions.ipynb)")


def test_links_in_notebooks_lead_to_files(built):
    for path in built.glob("notebooks/*/*.ipynb"):
        for cell in nbformat.read(path, 4).cells:
            for link in re.findall(r"\]\(([^)]+)\)", cell.source):
                assert (path.parent / link).is_file(), (path, link)


def test_a_chapter_of_another_number_is_found(built, no_kernel, capsys):
    edit(built / "book.toml", '["first", "one"]', '["one", "first"]')
    build(built)
    assert "6 carried over" in capsys.readouterr().out
    assert check(built) == []
    names = {path.name for path in built.glob("notebooks/jax/*.ipynb")}
    assert names == {"01-one.ipynb", "01-one-solutions.ipynb",
                     "02-first.ipynb"}


# How long it takes

@pytest.mark.parametrize("seconds, expected", [
    (0.04, 0.04), (0.66, 0.7), (7.4, 7), (9.7, 10), (23.6, 24), (131, 130)])
def test_times_are_noted_roughly(seconds, expected):
    assert rounded(seconds) == expected


def test_a_time_is_replaced_by_one_that_differs_much(built):
    book, target = load_book(built), Target("one", "jax")
    times = Times(book)
    before = {**times.seconds["one"]}
    assert before.keys() == {"torch", "jax"}  # the build noted them
    assert times.note(target, 100) and not times.note(target, 125)
    assert times.note(target, 140) and times.note(target, 62)
    assert times.note(target, 5) and not times.note(target, 8)
    assert not times.note(target._replace(is_solutions=True), 1000)
    times.save()
    assert Times(book).seconds["one"] == {**before, "jax": 5}
    text = (built / "notebooks/times.toml").read_text()
    assert text.index("[first]") < text.index("[one]")


def test_a_chapter_says_how_long_it_takes(built):
    times = built / "notebooks/times.toml"
    for seconds, in_words in ((250, "20 s in PyTorch and 250 s in JAX"), (
            310, "less than a minute in PyTorch and 5 minutes in JAX")):
        times.write_text(f"[first]\ntorch = 20\njax = {seconds}\n")
        book = load_book(built)
        assert Times(book).sentence("first", ["word " * 5300]) == (
            f"about 25 minutes to read; running takes {in_words} on two cores")
    text = cells_of(book, "first", "jax")[0].source
    assert ", about 5 minutes to read; running takes less than a m" in text
    times.unlink()
    assert cells_of(book, "first", "jax")[0].source.endswith(
        "about 5 minutes to read.")
    times.write_text("[")
    assert check(built)[0].startswith("notebooks/times.toml: ")


def test_the_times_of_another_machine_are_no_problem(
        built, no_kernel, capsys):
    times = built / "notebooks/times.toml"
    times.write_text("[first]\ntorch = 20\njax = 25\n")
    assert check(built) == [] and dry(built, capsys) == ["0 would be run"]
    times.unlink()
    assert check(built) == []


def test_a_build_says_at_once_how_long_it_took(built):
    """Runs kernels."""
    (built / "notebooks/times.toml").write_text(
        "[first]\ntorch = 70\njax = 70\n")
    build(built, chapters=["first"], backends=["jax"], force=True)
    for backend in ("torch", "jax"):
        text = nbformat.read(built / f"notebooks/{backend}/01-first.ipynb",
                             4).cells[0].source
        assert "takes 70 s in PyTorch and " in text and text.count("70") == 1
    assert check(built) == []
