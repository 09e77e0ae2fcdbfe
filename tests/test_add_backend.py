"""CONTRIBUTING's page "Add a backend", followed in a copy of the project.

The backend is a toy: BERT in NumPy, in tests/data/toy_backend. What is done to
the copy is what the page says, no more, and afterwards the builder, the tests
and the contracts take the toy for one of the backends.
"""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import nbformat
import pytest
from harness import installed

from d2lbert.backends import BACKENDS
from d2lbert.book.check import run_problems

ROOT = Path(__file__).parent.parent
TOY = ROOT / "tests" / "data" / "toy_backend"
CHAPTER = "notebooks/bert.md"
IGNORED = shutil.ignore_patterns("__pycache__", "*.ipynb")

# file, what stands there, what is put in its place
EDITS = [
    ("d2lbert/backends.py", "BACKENDS = {",
     'TOY = Backend("toy", "NumPy", ("numpy",), ((r"/", "."),))\n'
     "BACKENDS = {"),
    ("d2lbert/backends.py", "MXNET, JAX)", "MXNET, JAX, TOY)"),
    ("pyproject.toml", "\nnotebook = [", '\ntoy = ["numpy"]\nnotebook = ['),
    ("pyproject.toml", "d2lbert[torch,mxnet,jax,",
     "d2lbert[torch,mxnet,jax,toy,"),
    ("pyproject.toml", "torch | mxnet | jax", "torch | mxnet | jax | toy"),
    ("book.toml", '"mxnet", "jax"]', '"mxnet", "jax", "toy"]'),
    (".github/ISSUE_TEMPLATE/bug.yml", "MXNet, JAX]", "MXNet, JAX, NumPy]"),
    (".github/pull_request_template.md", "PyTorch, MXNet and JAX",
     "PyTorch, MXNet, JAX and NumPy"),
]
PARITY, BEHAVIOUR = "test_parity.py", "test_behaviour.py"
AROUND = "test_repository.py"  # the files around the package


def places():
    """The files and folders with which the page's steps begin, for the toy."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    page = text.partition("## Add a backend\n")[2].partition("\n## ")[0]
    steps = re.findall(r"^\d\. (`.*?`): ", page, re.M)
    return [name.replace("<name>", "toy").replace("<chapter>", "bert")
            for step in steps for name in re.findall("`(.*?)`", step)]


def edit(path, old, new):
    """Put something in the place of what stands in a file once."""
    text = path.read_text("utf-8")
    assert text.count(old) == 1, f"{path.name} no longer has {old!r} once"
    path.write_text(text.replace(old, new), encoding="utf-8")


def code_cells(text, tag):
    """The code cells of a chapter that are for one backend: (tags, cell)."""
    cells = re.findall(r"^```{code-cell}\n(:tags: \[.*?\]\n)?(.*?^```\n)",
                       text, re.M | re.S)
    return [(tags, f"```{{code-cell}}\n{tags}{cell}") for tags, cell in cells
            if {*re.findall(r"[\w-]+", tags)} & {*BACKENDS, "toy"} == {tag}]


def add_cells(chapter):
    """Put the toy's cells into a chapter, each after JAX's."""
    theirs = code_cells(chapter.read_text("utf-8"), "jax")
    ours = code_cells((TOY / "cells.md").read_text("utf-8"), "toy")
    assert len(ours) == len(theirs), (
        f"{CHAPTER} has {len(theirs)} cells for one backend: write as many "
        "into toy_backend/cells.md")
    for (tags, cell), (toy, own) in zip(theirs, ours):
        own = own.replace(toy, tags.replace("jax", "toy"))  # and its role
        edit(chapter, cell, f"{cell}\n{own}")


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the project, in which the page has been followed."""
    copy = tmp_path_factory.mktemp("copy")
    for path in filter(Path.is_file, ROOT.iterdir()):
        shutil.copy(path, copy)
    for name in ("d2lbert", "tests", ".github", ".devcontainer"):
        shutil.copytree(ROOT / name, copy / name, ignore=IGNORED)
    shutil.copytree(ROOT / "notebooks", copy / "notebooks", ignore=IGNORED)
    for folder in ("d2lbert", "tests"):
        shutil.copytree(TOY / folder, copy / folder, dirs_exist_ok=True,
                        ignore=IGNORED)
    for file, old, new in EDITS:
        edit(copy / file, old, new)
    add_cells(copy / CHAPTER)
    for framework in ("jax", "mxnet"):  # whose start would take longest
        (copy / f"{framework}.py").write_text("raise ImportError\n")
    return copy


def run(copy, *command):
    """Run Python in the copy, which must succeed; what it prints."""
    done = subprocess.run(
        [sys.executable, *command], cwd=copy, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": str(copy)})
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def test_the_page_names_the_places_and_no_others():
    own = {path.relative_to(TOY).as_posix() for path in TOY.rglob("*.py")}
    changed = {CHAPTER, *own, *(file for file, _, _ in EDITS)}
    named = places()
    assert len(named) == len(set(named)) > 5
    for path in changed:
        assert any(path.startswith(name) for name in named), path
    for name in named:
        assert any(path.startswith(name) for path in changed), name


def test_the_builder_gives_an_executed_notebook(copy):
    told = run(copy, "-m", "d2lbert.book", "build", "--backend", "toy",
               "--chapter", Path(CHAPTER).stem)
    assert re.search("^[12] built, 0 carried", told, re.M)  # and solutions
    notebook = nbformat.read(copy / "notebooks/toy/01-bert.ipynb", 4)
    assert ".ipynb), [MXNet](../mxnet/01-bert.ipynb) and [JAX](../jax/" in (
        notebook.cells[-1].source)
    assert any("NumPy" in cell.source for cell in notebook.cells
               if cell.cell_type == "markdown")
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    code = "\n".join(cell.source for cell in cells)
    assert "class BERTEncoder(Module):" in code and "torch" not in code
    assert sum(bool(cell.outputs) for cell in cells) > 10
    assert run_problems(notebook) == []


def test_the_tests_run_on_it(copy):
    told = run(copy, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-p",
               "no:xdist", "-o", "addopts=", "-k", "toy or bug or pull",
               *(f"tests/{file}" for file in (PARITY, BEHAVIOUR, AROUND)))
    counts = Counter(re.findall(
        r"^tests/(\w+\.py)::.* ([A-Z]+)\b", told, re.M))
    assert {status for _, status in counts} <= {"PASSED", "SKIPPED"}
    compared = 0 if installed("torch") else 2  # with PyTorch
    assert counts[PARITY, "SKIPPED"] == compared
    assert counts[PARITY, "PASSED"] >= 15 - compared
    assert counts[BEHAVIOUR, "PASSED"] >= 15 and counts[AROUND, "PASSED"] >= 3


def test_the_contracts_take_it(copy):
    told = run(copy, "-c", "from importlinter.cli import lint_imports_command"
               "; lint_imports_command()", "--no-cache")
    assert "2 kept, 0 broken" in told
