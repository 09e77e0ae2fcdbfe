"""The notebook builder, on a throw-away book with a package of its own."""

import json
import os
import re
import shutil
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import nbformat
import pytest

from d2lbert.book.__main__ import main
from d2lbert.book.build import build
from d2lbert.book.check import check
from d2lbert.book.config import BookError, load_book
from d2lbert.book.include import find_source
from d2lbert.book.source import make_notebook
from d2lbert.book.stamp import make_stamp
from d2lbert.training import plotting

TOML = """
[book]
title = "small"
authors = ["nobody"]
language = "en"
description = "a book to try the builder on"
[build]
chapters = ["one"]
backends = ["torch", "jax"]
"""

MODEL = '''"""A model."""
import no_such_framework

# Not of the class.

# Of the class,
# both lines.
@no_such_framework.compiled
class Net(no_such_framework.Module):
    """A net."""

    # Of the method.
    @staticmethod
    def width():
        """Hidden units."""
        return 8  # hidden


def loss(x):
    return 1


def loss(x):
    """
    The one that counts.
    """
    return 2


RATE: float = 3e-3
SIZES = SHAPES = (2,
                  3)
for number in range(3):
    pass
'''

CHAPTER = """# One in {Backend}

Since $\\frac{a}{b}$ and {backend}, ![a curve](img/curve.svg).

```{code-cell}
{{#include d2lbert.{backend}.train:train}}
print("{backend}", end=" ", flush=True)
print(train(2))
```

+++ {"tags": ["jax"]}

Arrays are never changed.

```{code-cell}
:tags: [torch, raises-exception]
1 / 0
```

```{code-cell}
:tags: [jax]
import os
from d2lbert import edition
print(edition, os.environ["D2LBERT_BUILD"], os.environ["OMP_NUM_THREADS"])
os.path.basename(os.getcwd())
```

```{code-cell}
from d2lbert.plotting import Animator, progress
animator = Animator("step", "loss", xlim=(0, 9))
for step in progress(range(10)):
    animator.add(step, step ** 2)
print("done")
```
"""


def write_book(folder):
    """A book of one chapter and two backends, not built."""
    files = {
        "book.toml": TOML, "notebooks/one.md": CHAPTER,
        "notebooks/img/curve.svg": "<svg/>",
        "d2lbert/__init__.py": "edition = 7",
        "d2lbert/plotting.py": Path(plotting.__file__).read_text(),
        "d2lbert/grammar.toml": "words = 1",
        "d2lbert/run/__main__.py": "x = 1",
        "d2lbert/checkpoints/bert_mini/pretrained.params": "weight 1"}
    for backend in ("torch", "jax"):
        files[f"d2lbert/{backend}/__init__.py"] = ""
        files[f"d2lbert/{backend}/model.py"] = MODEL
        files[f"d2lbert/{backend}/train.py"] = (
            f"def train(steps):\n    return steps * '{backend} '\n")
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def root(tmp_path):
    write_book(tmp_path)
    return tmp_path


def make(root, text, backend="torch"):
    (root / "notebooks" / "one.md").write_text(text)
    return make_notebook(load_book(root), "one", backend)


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


# From a chapter to cells

def test_a_backend_gets_its_own_cells_and_those_of_all(root):
    cells = {b: make(root, CHAPTER, b).cells for b in ("torch", "jax")}
    sources = {b: [c.source for c in cells[b][1:]] for b in cells}
    assert len(sources["torch"]) == 4 and len(sources["jax"]) == 5
    assert "1 / 0" in sources["torch"] and "1 / 0" not in sources["jax"]
    assert "Arrays are never changed." in sources["jax"]
    tags = [c.metadata.get("tags") for c in cells["torch"]]
    assert tags == [None, None, None, ["raises-exception"], None]


def test_only_the_two_tokens_are_replaced_each_in_its_place(root):
    text, code = (c.source for c in make(root, CHAPTER, "jax").cells[1:3])
    assert text.startswith("# One in JAX")
    assert r"$\frac{a}{b}$ and {backend}, ![a curve](../img/c" in text
    assert code == ("def train(steps):\n    return steps * 'jax '\n"
                    'print("{backend}", end=" ", flush=True)\n'
                    "print(train(2))")


def test_the_banner_names_the_file_to_edit(root):
    banner = make(root, CHAPTER).cells[0]
    assert banner.cell_type == "markdown"
    assert "(../one.md)" in banner.source and "make build" in banner.source
    assert "[JAX](../jax/one.ipynb)" in banner.source


def test_ids_come_from_the_content(root):
    text = "A.\n\n```{code-cell}\nx = 1\n```\n\n```{code-cell}\nx = 1\n```\n"
    first = [c.id for c in make(root, text).cells]
    assert first == [c.id for c in make(root, text).cells]
    assert len(set(first)) == 4
    assert all(re.fullmatch("[0-9a-zA-Z_-]{1,64}", i) for i in first)
    other = '```{code-cell}\n:tags: [jax]\nx = 1\n```\n\n+++\n\nB.\n\n+++\n\n'
    more = [c.id for c in make(root, other + text).cells]
    assert more[:1] + more[2:] == first  # whatever stands around a cell
    edit(root / "d2lbert/torch/train.py", "steps *", "2 * steps *")
    include = "```{code-cell}\n{{#include d2lbert.torch.train:train}}\n```\n"
    before = make(root, include).cells[1]
    edit(root / "d2lbert/torch/train.py", "2 * steps *", "3 * steps *")
    after = make(root, include).cells[1]
    assert before.id == after.id and before.source != after.source


@pytest.mark.parametrize("name, start, end", [
    ("Net", "# Of the class,\n# both", "# hidden"),
    ("Net.width", "# Of the method.\n@staticmethod\ndef", "  # hidden"),
    ("loss", 'def loss(x):\n    """\n    The one', "return 2"),
    ("RATE", "RATE: float", "3e-3"),
    ("SHAPES", "SIZES = SHAPES = (2,", "3)"),
])
def test_an_include_is_the_whole_object(root, name, start, end):
    source = find_source(root, "d2lbert.torch.model", name)
    assert source.startswith(start) and source.endswith(end)


@pytest.mark.parametrize("module, name", [
    ("d2lbert.torch.model", "Nett"), ("d2lbert.torch.model", "Net.depth"),
    ("d2lbert.torch.model", "number"), ("d2lbert.torch.modle", "Net")])
def test_what_is_not_defined_is_not_found(root, module, name):
    with pytest.raises(LookupError, match=re.escape(module)):
        find_source(root, module, name)


def test_all_mistakes_of_a_build_are_reported_together(root):
    edit(root / "book.toml", '["one"]', '["one", "two", "three"]')
    (root / "notebooks/one.md").write_text("""
![gone](img/gone.svg)

```{code-cell}
{{#include d2lbert.{backend}.model:Gone}}
{{#include d2lbert.gone:Net}}
x = {{#include d2lbert.torch.model:Net}}
```

```{code-cell}
:tags: [pytorch]
x = 1
```

```{code-cell}
:tags: [jax]
```
""")
    (root / "notebooks/two.md").write_text(
        "```{code-cell}\n{{#include d2lbert.torch.train:test}}\n```\n")
    with pytest.raises(BookError) as error:
        build(root)
    expected = [
        r"one: .*img/gone\.svg",
        r"one: .*d2lbert\.torch\.model:Gone.*does not define Gone",
        r"one: .*d2lbert\.jax\.model:Gone",
        r"one: .*d2lbert\.gone:Net.*no module d2lbert\.gone",
        r"one: x = .*alone in its line",
        r"one: cell 3 \('x = 1'\).*'pytorch'.*torch, mxnet, jax",
        r"one: cell 4 .*is empty",
        r"two: .*d2lbert\.torch\.train:test",
        r"three: there is no notebooks/three\.md"]
    for pattern in expected:
        assert any(re.match(pattern, p) for p in error.value.args), pattern
    assert len(error.value.args) == len(expected)
    assert not list(root.glob("notebooks/*/*.ipynb"))


def test_unknown_names_get_the_known_ones_as_an_answer(root, tmp_path):
    with pytest.raises(BookError, match="chapter two: book.toml has one"):
        build(root, chapters=["two"])
    with pytest.raises(BookError, match="backend keras: .* torch, jax"):
        build(root, backends=["keras"])
    edit(root / "book.toml", '"jax"', '"jaxx"')
    with pytest.raises(BookError, match="jaxx"):
        load_book(root)
    edit(root / "book.toml", "authors", "writers")
    with pytest.raises(BookError, match="no entry 'authors'"):
        load_book(root)
    with pytest.raises(BookError, match="no book.toml"):
        load_book(tmp_path / "notebooks")


# What outputs depend on

@pytest.mark.parametrize("file, old, new, changes", [
    ("plotting.py", "0.5", "0.6", True),
    ("grammar.toml", "1", "2", True),
    ("torch/model.py", "return 8", "return 9", True),
    ("torch/model.py", '"""Hidden units."""', '"""Units."""', False),
    ("torch/model.py", "  # hidden", "  # units", False),
    ("torch/model.py", "A model.", "The model.", False),
    ("jax/model.py", "return 8", "return 9", False),
    ("checkpoints/bert_mini/pretrained.params", "1", "2", True),
    ("run/__main__.py", "1", "2", False),
])
def test_the_stamp_follows_code_not_words(root, file, old, new, changes):
    before = make_stamp(root, "torch", [])
    edit(root / "d2lbert" / file, old, new)
    assert (make_stamp(root, "torch", []) != before) == changes


def test_the_stamp_knows_the_framework_s_version(root, monkeypatch):
    monkeypatch.setattr("d2lbert.book.stamp.metadata.version",
                        {"torch": "2.1.0+cpu"}.__getitem__)
    assert make_stamp(root, "torch", [])["versions"] == {"torch": "2.1.0"}


# Execution. Kernels take seconds to start, so the book is built once and
# copied for each test.

@pytest.fixture(scope="module")
def built_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("book")
    write_book(folder)
    kernel = folder / "jupyter" / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text(json.dumps({
        "argv": ["no-such-python", "{connection_file}"],
        "display_name": "of the user", "language": "python"}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(folder / "jupyter"))
        patch.delenv("OMP_NUM_THREADS", raising=False)
        build(folder, jobs=2)
    return folder


@pytest.fixture
def built(built_once, tmp_path):
    return shutil.copytree(built_once, tmp_path / "book")


def read(root, backend="torch"):
    return nbformat.read(root / f"notebooks/{backend}/one.ipynb", 4)


def outputs(root, backend="torch"):
    cells = [c for c in read(root, backend).cells if c.cell_type == "code"]
    return [cell.outputs for cell in cells]


def everything(root):
    return {p: (p.read_bytes(), p.stat().st_mtime_ns)
            for p in (root / "notebooks").rglob("*") if p.is_file()}


def test_a_built_notebook_is_current_and_has_its_outputs(built):
    assert check(built) == []
    (first,), (error,), (text, figure) = outputs(built)
    assert first.text == "{backend} torch torch \n"  # one stream
    assert error.ename == "ZeroDivisionError"
    assert error.traceback == ["ZeroDivisionError: division by zero"]
    assert text.text == "done\n"
    assert set(figure.data) == {"image/png", "text/plain"}  # and once
    assert figure.data["text/plain"] == "<Figure size 350x250 with 1 Axes>"
    (_,), (environment, folder), _ = outputs(built, "jax")
    assert environment.text == f"7 1 {max(1, os.cpu_count() // 2)}\n"
    assert folder.data["text/plain"] == "'jax'"


def test_a_built_notebook_holds_nothing_of_the_machine(built):
    text = (built / "notebooks/torch/one.ipynb").read_text()
    notebook = read(built)
    assert notebook.nbformat_minor == 5
    assert notebook.metadata.kernelspec.name == "python3"
    assert "version" not in notebook.metadata.language_info
    assert "iopub" not in text and str(Path.home()) not in text
    assert str(built.parent.parent) not in text


def test_an_unchanged_build_changes_nothing(built, capsys):
    before = everything(built)
    build(built)
    assert everything(built) == before
    assert capsys.readouterr().out == "0 built, 2 current\n"


def test_changed_code_is_executed_again_and_only_it(built, capsys):
    before = everything(built)
    edit(built / "d2lbert/torch/train.py", "torch ", "TORCH ")
    problems = check(built)
    assert any(p.startswith("torch/one.ipynb: the package has changed")
               for p in problems)
    assert not any(p.startswith("jax") for p in problems)
    build(built)
    assert re.search(r"^torch/one … \d+ s\n1 built, 1 current\n",
                     capsys.readouterr().out)
    assert outputs(built)[0][0].text == "{backend} TORCH TORCH \n"
    assert check(built) == []
    changed = {p for p, was in before.items() if everything(built)[p] != was}
    assert changed == {built / "notebooks/torch/one.ipynb"}


def test_a_failing_notebook_is_not_written_and_all_are_reported(built):
    (built / "notebooks/one.md").write_text("""
```{code-cell}
# Two kernels meet, or this fails: they run at the same time.
import os, sys, time
mine = os.path.basename(os.getcwd())
open(f"../../{mine}.txt", "w").close()
start = time.time()
while not all(os.path.exists(f"../../{b}.txt") for b in ["torch", "jax"]):
    assert time.time() < start + 30, "alone"
```

```{code-cell}
:tags: [torch]
print("careful", file=sys.stderr)
print(object())
```

```{code-cell}
:tags: [jax]
[][1]
```
""")
    before = everything(built)
    with pytest.raises(BookError) as error:
        build(built)
    assert everything(built) == before
    problems = "\n".join(error.value.args)
    assert "torch/one: cell 3 wrote to stderr: careful" in problems
    assert "torch/one: cell 3 shows the memory address 0x" in problems
    assert re.search("jax/one: .*IndexError", problems, re.DOTALL)
    assert "\x1b" not in problems  # no colour codes in a log


def spoil(change):
    """A test case: what `change` makes of the notebook."""
    def apply(root):
        notebook = read(root)
        change(notebook)
        path = root / "notebooks/torch/one.ipynb"
        nbformat.write(notebook, path)
    return apply


def strip(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None


def add_output(kind, **fields):
    def change(notebook):
        output = nbformat.v4.new_output(kind, **fields)
        notebook.cells[2].outputs.append(output)
    return spoil(change)


def add_empty_cell(notebook):
    notebook.cells.append(nbformat.v4.new_code_cell(execution_count=4))


PROBLEMS = {
    "cell 2 is not what the chapter gives": [
        spoil(lambda n: n.cells[1].update(source="Mine.")),
        spoil(lambda n: n.cells[1].update(id="mine")),
        spoil(lambda n: n.cells.pop(1)),
        lambda root: edit(root / "notebooks/one.md", "Since", "As")],
    "cell 6 is not what the chapter gives": [
        spoil(add_empty_cell),
        lambda root: edit(root / "notebooks/one.md", '"done")\n```',
                          '"done")\n```\n\nEnd.')],
    "cell 4 is not what the chapter gives": [
        spoil(lambda n: n.cells[3].metadata.pop("tags"))],
    "outputs are of other cells": [
        spoil(lambda n: n.metadata.d2lbert.update(cells="0"))],
    "the package has changed": [
        spoil(lambda n: n.metadata.d2lbert.update(package="0")),
        lambda root: edit(root / "d2lbert/plotting.py", "0.5", "0.6")],
    "cell 3 has not been executed": [spoil(strip)],
    "cell 3 was executed as number 7, not 1": [
        spoil(lambda n: n.cells[2].update(execution_count=7))],
    "cell 3 stopped with ValueError: no": [
        add_output("error", ename="ValueError", evalue="no")],
    "cell 4 is tagged raises-exception and raised nothing": [
        spoil(lambda n: n.cells[3].update(outputs=[]))],
    "cell 3 wrote to stderr: hm": [
        add_output("stream", name="stderr", text="hm")],
    "cell 3 holds an SVG": [
        add_output("display_data", data={"image/svg+xml": "<svg/>"})],
    "cell 3 shows the memory address 0x7f00aabb": [
        add_output("stream", name="stdout", text="<object at 0x7f00aabb>"),
        add_output("display_data", data={"text/html": "<b>0x7f00aabb"})],
    "is no valid notebook": [
        lambda root: (root / "notebooks/torch/one.ipynb").write_text("{"),
        spoil(lambda n: n.cells[0].update(id="not an id"))],
    "is not built": [
        lambda root: (root / "notebooks/torch/one.ipynb").unlink()],
}


@pytest.mark.parametrize("problem, change", [
    (problem, change) for problem in PROBLEMS for change in PROBLEMS[problem]])
def test_check_finds(built, problem, change):
    change(built)
    assert any(p.startswith("torch/one.ipynb: ") and problem in p
               for p in check(built))


def test_check_finds_all_at_once_and_strangers_too(built):
    for backend in ("torch", "jax"):
        shutil.copy(built / f"notebooks/{backend}/one.ipynb",
                    built / f"notebooks/{backend}/old.ipynb")
    spoil(strip)(built)
    edit(built / "book.toml", '["one"]', '["one", "two"]')
    problems = check(built)
    assert sum("has not been executed" in p for p in problems) == 3
    assert "two: there is no notebooks/two.md" in problems
    assert sum("old.ipynb: belongs to no chapter" in p
               for p in problems) == 2


def test_check_compares_the_version_of_an_installed_framework(
        built, monkeypatch):
    where = "d2lbert.book.stamp.metadata.version"
    monkeypatch.setattr(where, lambda name: "99")
    assert len(check(built)) == 4  # torch; jax, flax and optax
    assert "99 is installed" in check(built)[0]

    def not_installed(name):
        raise PackageNotFoundError(name)
    monkeypatch.setattr(where, not_installed)
    assert check(built) == []


# The command line

def test_the_exit_status_tells_and_stderr_says_why(
        built, monkeypatch, capsys):
    monkeypatch.chdir(built)
    assert main(["check"]) == 0 and main(["build", "--jobs", "1"]) == 0
    assert main(["build", "--chapter", "two", "--backend", "jax"]) == 1
    assert "unknown chapter two" in capsys.readouterr().err
    assert main(["build", "--jobs", "0"]) == 1
    (built / "notebooks/jax/one.ipynb").unlink()
    assert main(["check"]) == 1
    assert "jax/one.ipynb: is not built" in capsys.readouterr().err
    assert main(["build", "--backend", "torch"]) == 0  # not the jax one
    assert not (built / "notebooks/jax/one.ipynb").exists()
