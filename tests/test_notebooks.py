"""Every notebook is what its chapter gives, executed in order and clean.

nbval passes a notebook without outputs, so that this is checked apart.
Whether the outputs come out again, nbval tests in notebooks/.
"""

import tomllib
from pathlib import Path

import nbformat
import pytest

from d2lbert.backends import BACKENDS
from d2lbert.book.check import check
from d2lbert.book.config import load_book
from d2lbert.book.exercises import tags
from d2lbert.book.source import find_targets

ROOT = Path(__file__).parent.parent
# Cells whose output is not compared: id -> reason. None so far.
NOT_COMPARED = {}


def test_committed_notebooks_are_current():
    assert check(ROOT) == []


def test_there_is_one_of_every_chapter_and_backend():
    book = load_book(ROOT)
    found = {p.relative_to(ROOT / "notebooks").as_posix()
             for p in ROOT.glob("notebooks/*/*.ipynb")}
    assert set(book.backends) == set(BACKENDS) and len(book.chapters) >= 3
    assert found == {f"{target.backend}/{book.file_name(target)}"
                     for target in find_targets(book)}


def test_nbval_compares_chapters_and_solutions():
    """It takes all notebooks in the folders that pytest looks into."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    options = told["tool"]["pytest"]["ini_options"]
    assert "notebooks" in options["testpaths"]
    assert "--nbval" in options["addopts"].split()


@pytest.mark.parametrize("path", sorted(ROOT.glob("notebooks/*/*.ipynb")),
                         ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_every_output_is_compared(path):
    cells = nbformat.read(path, as_version=4).cells
    skipped = {c.id for c in cells if {"nbval-ignore-output", "nbval-skip"}
               & set(tags(c)) and not {"stub", "check"} & set(tags(c))}
    assert skipped <= set(NOT_COMPARED)
    fewest = 1 if "-solutions" in path.name else 6
    assert sum(bool(c.outputs) for c in cells
               if c.cell_type == "code") >= fewest
