"""The notebook builder, on a throw-away book with a package of its own."""

import base64
import inspect
import io
import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import nbformat
import pytest
from PIL import Image

import d2lbert
from d2lbert import shown
from d2lbert.book import execute
from d2lbert.book.__main__ import main
from d2lbert.book.build import build
from d2lbert.book.check import check
from d2lbert.book.checkout import present_files
from d2lbert.book.config import BookError, load_book
from d2lbert.book.include import find_source
from d2lbert.book.reach import Package
from d2lbert.book.source import make_notebook
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
%load_ext d2lbert
```

```{code-cell}
{{#include d2lbert.{backend}.train:train}}
```

```{code-cell}
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


HEAD = "# One\n\n```{code-cell}\n%load_ext d2lbert\n```\n\n"
LOADER = inspect.getsource(d2lbert.load_ipython_extension)


def write_book(folder):
    """A book of one chapter and two backends, not built."""
    files = {
        "book.toml": TOML, "notebooks/one.md": CHAPTER,
        "notebooks/img/curve.svg": "<svg/>",
        "d2lbert/__init__.py": "edition = 7\n" + LOADER,
        "d2lbert/shown.py": Path(shown.__file__).read_text(),
        "d2lbert/plotting.py": Path(plotting.__file__).read_text(),
        ".gitignore": ".cache\n__pycache__\n"}
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
    assert len(sources["torch"]) == 6 and len(sources["jax"]) == 7
    assert "1 / 0" in sources["torch"] and "1 / 0" not in sources["jax"]
    assert "Arrays are never changed." in sources["jax"]
    tags = [c.metadata.get("tags") for c in cells["torch"]]
    assert tags == [None] * 4 + [["raises-exception"]] + [None] * 2


def test_only_the_two_tokens_are_replaced_each_in_its_place(root):
    text, _, shown, code = (
        c.source for c in make(root, CHAPTER, "jax").cells[:4])
    assert text.startswith("# 1 · One in JAX")
    assert r"$\frac{a}{b}$ and {backend}, ![a curve](../img/c" in text
    assert shown == ("%%module d2lbert.jax.train\n"
                     "def train(steps):\n    return steps * 'jax '")
    assert code == ('print("{backend}", end=" ", flush=True)\n'
                    "print(train(2))")


def test_ids_come_from_the_content(root):
    text = ("# A\n\n```{code-cell}\nx = 1\n```\n\n"
            "```{code-cell}\nx = 1\n```\n")
    first = [c.id for c in make(root, text).cells]
    assert first == [c.id for c in make(root, text).cells]
    assert len(set(first)) == 4
    assert all(re.fullmatch("[0-9a-zA-Z_-]{1,64}", i) for i in first)
    other = '# A\n\n```{code-cell}\n:tags: [jax]\nx = 1\n```\n\nB.\n\n+++\n\n'
    more = [c.id for c in make(root, text.replace("# A\n\n", other)).cells]
    assert more[:1] + more[2:] == first  # whatever stands around a cell
    edit(root / "d2lbert/torch/train.py", "steps *", "2 * steps *")
    include = HEAD + (
        "```{code-cell}\n{{#include d2lbert.torch.train:train}}\n```\n")
    before = make(root, include).cells[2]
    edit(root / "d2lbert/torch/train.py", "2 * steps *", "3 * steps *")
    after = make(root, include).cells[2]
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
![gone](img/gone.svg) {chapter:four} {chapter:two}

```{code-cell}
{{#include d2lbert.{backend}.model:Gone}}
{{#include d2lbert.gone:Net}}
x = {{#include d2lbert.torch.model:Net}}
```

```{code-cell}
{{#include d2lbert.torch.model:Net}}
y = Net()
{{#include d2lbert.torch.model:Net.width}}
```

```{code-cell}
{{#include d2lbert.torch.model:Net}}
{{#include d2lbert.torch.train:train}}
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
        HEAD + "```{code-cell}\n{{#include d2lbert.torch.train:test}}\n```\n")
    with pytest.raises(BookError) as error:
        build(root)
    expected = [
        r"one: begins with no title",
        r"one: its first code cell .* %load_ext d2lbert",
        r"one: .*img/gone\.svg",
        r"one: {chapter:four}: .* one, two, three",
        r"one: y = Net\(\): .*into the next cell",
        r"one: .*:Net.width}}: .*show all of it",
        r"one: .* d2lbert.torch.model and d2lbert.torch.train: give each",
        r"one: .*d2lbert\.torch\.model:Gone.*does not define Gone",
        r"one: .*d2lbert\.jax\.model:Gone",
        r"one: .*d2lbert\.gone:Net.*no module d2lbert\.gone",
        r"one: x = .*alone in its line",
        r"one: cell 5 \('x = 1'\).*'pytorch'.*torch, mxnet, jax",
        r"one: cell 6 .*is empty",
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


# What a notebook reaches of the package

PACKAGE = {
    "__init__.py": '__version__ = "1"',
    "torch/__init__.py": '''"""The backend."""
try:
    import torch as _torch
except ImportError as error:
    raise ImportError("no torch") from error

from d2lbert.shared import *
from d2lbert.torch.model import Net, Untouched
from d2lbert.torch.train import train, train as fit
''',
    "torch/model.py": '''"""A model."""
from d2lbert.checks import check_width
from d2lbert.data.hub import download


class Net:
    """A net."""

    def width(self):
        """Hidden units."""
        return check_width(8)  # hidden


class Untouched:
    """Another net."""
    source = download
''',
    "torch/train.py": '''from . import losses as _losses
from .. import checks


def train(steps: checks.Width):
    from d2lbert.training import logs
    return logs.log(_losses.cross_entropy(steps))


def register(function):
    return TABLE.setdefault(function.__name__, function)


TABLE = {}


@register
def registered():
    return "in the table"
''',
    "torch/losses.py": '''try:
    from d2lbert.data.hub import url as cross_entropy
except ImportError:
    pass
''',
    "mxnet/__init__.py": '''from d2lbert.mxnet.compat import import_mxnet
import_mxnet()
from d2lbert.mxnet.model import Net
''',
    "mxnet/compat.py": "def import_mxnet():\n    return 0",
    "mxnet/model.py": "class Net:\n    size = 0",
    "shared.py": '''from d2lbert.data.corpora import load_corpus, probe
from d2lbert.data.hub import download, url
''',
    "circle.py": "from d2lbert.square import *\nround = 0",
    "square.py": "from d2lbert.circle import *\nedges = 4",
    "checks.py": "def check_width(width):\n    return width",
    "data/corpora.py": '''FILE = "wiki.toml"


def load_corpus():
    return read(FILE)


def probe():
    return read("mini", "grammar.toml")


def read(*names):
    return names
''',
    "data/hub.py": "def download():\n    return 0\n\n\nurl = 0",
    "data/wiki.toml": "words = 0",
    "data/other.toml": "words = 0",
    "data/mini/a.params": "words = 0",
    "data/mini/deep/b.params": "words = 0",
    "training/logs.py": "def log(x):\n    return x",
    "run/__main__.py": "x = 0",
}
TORCH = "from d2lbert import torch as d2l\n"


def package(**edits):
    """The package, with files replaced."""
    files = {**PACKAGE, **edits}
    return Package({f"d2lbert/{name}": text.encode()
                    for name, text in files.items()})


def reached(cells, made=None):
    if isinstance(cells, str):
        cells = [cells]
    return {path.removeprefix("d2lbert/"): digest for path, digest
            in (made or package()).reach(cells).items()}


@pytest.mark.parametrize("cell, expected", [
    ("import numpy as np\nnp.zeros(3)", ""),
    (TORCH, ""),  # of what is imported nothing is used
    (TORCH + "d2l.Net().width()",
     "torch/__init__.py torch/model.py checks.py"),
    (TORCH + "d2l.Untouched",
     "torch/__init__.py torch/model.py data/hub.py data/__init__.py"),
    ("from d2lbert.torch import Net\nNet()",
     "torch/__init__.py torch/model.py checks.py"),
    ("from d2lbert.torch import *\nNet()",
     "torch/__init__.py torch/model.py checks.py"),
    ("import d2lbert.torch.model\nd2lbert.torch.model.Net()",
     "torch/__init__.py torch/model.py checks.py"),
    ("from d2lbert.torch import model as m\nm.Net()",
     "torch/__init__.py torch/model.py checks.py"),
    (TORCH + "def f():\n    return [d2l.fit(3).x for i in range(2)]",
     "torch/__init__.py torch/train.py torch/losses.py data/__init__.py "
     "data/hub.py training/__init__.py training/logs.py"),
    (TORCH + "d2l.download()",
     "torch/__init__.py shared.py data/__init__.py data/hub.py"),
    ("from d2lbert.circle import *\nedges, gone", "circle.py square.py"),
    (TORCH + "d2l.load_corpus()", "torch/__init__.py shared.py "
     "data/__init__.py data/corpora.py data/wiki.toml"),
    (TORCH + "d2l.probe()", "torch/__init__.py shared.py data/__init__.py "
     "data/corpora.py data/mini/a.params data/mini/deep/b.params"),
    ("from d2lbert import mxnet as d2l\nd2l.Net()",
     "mxnet/__init__.py mxnet/compat.py mxnet/model.py"),
    ("from d2lbert.mxnet.model import Net\nNet()",
     "mxnet/__init__.py mxnet/compat.py mxnet/model.py"),
    ("from d2lbert.torch.model import gone\ngone",
     "torch/__init__.py torch/model.py checks.py data/__init__.py "
     "data/hub.py"),
    ("%%module d2lbert.torch.model\nclass Net:\n    size = 0",
     "torch/__init__.py torch/model.py checks.py"),  # its helper, too
    ("%%module d2lbert.torch.model\ndef new():\n    return download()",
     "torch/__init__.py torch/model.py data/__init__.py data/hub.py"),
    ("%%module d2lbert.torch.losses\nfrom .train import TABLE\n"
     "cross_entropy = (1\n    % 2)",
     "torch/__init__.py torch/losses.py torch/train.py data/__init__.py "
     "data/hub.py"),
    ("%%module d2lbert.gone\nx = 1", ""),
    ("%load_ext d2lbert\n" + TORCH + "d2l.Net", "torch/__init__.py "
     "torch/model.py checks.py"),
    ("%matplotlib inline\n" + TORCH + "!ls\nd2l.url",
     "torch/__init__.py shared.py data/__init__.py data/hub.py"),
])
def test_names_lead_to_the_files_that_define_them(cell, expected):
    outer = {"__init__.py"} if expected else set()
    assert set(reached(cell)) == {*expected.split(), *outer}


@pytest.mark.parametrize("use", [
    "show(d2l)", "getattr(d2l, name)", "d2l.gone", "vars(d2l)[name]"])
def test_a_module_that_cannot_be_followed_is_reached_with_all_it_imports(
        use):
    files = set(reached(TORCH + use))
    assert files >= set(PACKAGE) - {
        "data/other.toml", "circle.py", "square.py", "run/__main__.py",
        "mxnet/__init__.py", "mxnet/compat.py", "mxnet/model.py"}
    assert not any(name.startswith(("mxnet", "run")) for name in files)


def test_what_is_not_python_reaches_all():
    assert set(reached(["x = 1", "what = !ls -l ?"])) >= {
        name for name in PACKAGE if name.endswith(".py")}


def test_cells_are_one_program():
    apart = reached([TORCH, "x = 1", "def f():\n    d2l.Net()"])
    assert apart == reached(TORCH + "d2l.Net()")


NET, TRAIN = TORCH + "d2l.Net()", TORCH + "d2l.train(1)"
WORDS, ALL = TORCH + "d2l.load_corpus()", TORCH + "show(d2l)"


@pytest.mark.parametrize("file, old, new, changes", [
    ("torch/model.py", "(8)", "(9)", [NET, ALL]),
    ("torch/model.py", '"""Hidden units."""', '"""Units."""', []),
    ("torch/model.py", "  # hidden", "  # units", []),
    ("torch/model.py", "A model.", "The model.", []),
    ("torch/model.py", "class Net:", "print()\nclass Net:", [NET, ALL]),
    ("torch/model.py", "source = download", "source = 0", [ALL]),
    ("torch/train.py", "in the table", "in a table", [TRAIN, ALL]),
    ("torch/losses.py", "url as", "download as", [TRAIN, ALL]),
    ("data/hub.py", "return 0", "return 1", [ALL]),
    ("data/hub.py", "url = 0", "url = 1", [TRAIN, ALL]),
    ("training/logs.py", "return x", "return 2 * x", [TRAIN, ALL]),
    ("checks.py", "return", "return 2 *", [NET, ALL]),
    ("checks.py", "def check", "def more(): pass\ndef check", []),
    ("torch/__init__.py", "no torch", "install torch",
     [NET, TRAIN, WORDS, ALL]),
    ("torch/__init__.py", "import Net,", "import Net, Untouched as Other,",
     [ALL]),
    ("torch/__init__.py", "Net, Untouched", "Untouched as Net",
     [NET, ALL]),
    ("shared.py", "load_corpus, probe", "load_corpus, probe, read", [ALL]),
    ("shared.py", "load_corpus, probe", "probe as load_corpus",
     [WORDS, ALL]),
    ("data/wiki.toml", "0", "1", [WORDS, ALL]),
    ("data/other.toml", "0", "1", []),
    ("data/mini/deep/b.params", "0", "1", [ALL]),
    ("__init__.py", '"1"', '"2"', []),
    ("run/__main__.py", "0", "1", []),
    ("mxnet/compat.py", "0", "1", []),
])
def test_an_edit_changes_what_reaches_it_and_nothing_else(
        file, old, new, changes):
    assert old in PACKAGE[file] and new not in PACKAGE[file]
    edited = package(**{file: PACKAGE[file].replace(old, new)})
    assert [cell for cell in (NET, TRAIN, WORDS, ALL)
            if reached(cell) != reached(cell, edited)] == changes


def test_what_is_reached_has_names():
    cells = ["%%module d2lbert.torch.model\nclass Net:\n    size = 0",
             "from d2lbert.shared import url\nurl"]
    assert package().reached_names(cells) == {
        ("d2lbert.torch.model", "Net"), ("d2lbert.checks", "check_width"),
        ("d2lbert.torch.model", "check_width"), ("d2lbert.shared", "url"),
        ("d2lbert.data.hub", "url")}


def test_the_builder_imports_no_framework_and_no_experiment():
    command = ("import sys; from d2lbert.book import build, check, execute; "
               "print(*sys.modules)")
    loaded = subprocess.run([sys.executable, "-c", command], text=True,
                            capture_output=True, check=True).stdout.split()
    assert not {"torch", "mxnet", "jax", "d2lbert.run"} & set(loaded)


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
    return nbformat.read(root / f"notebooks/{backend}/01-one.ipynb", 4)


def outputs(root, backend="torch"):
    cells = [c for c in read(root, backend).cells if c.cell_type == "code"]
    return [cell.outputs for cell in cells]


def everything(root):
    return {p: (p.read_bytes(), p.stat().st_mtime_ns)
            for p in (root / "notebooks").rglob("*") if p.is_file()}


def test_a_built_notebook_is_current_and_has_its_outputs(built):
    assert check(built) == []
    _, _, (first,), (error,), (text, figure) = outputs(built)
    assert first.text == "{backend} torch torch \n"  # one stream
    assert error.ename == "ZeroDivisionError"
    assert error.traceback == ["ZeroDivisionError: division by zero"]
    assert text.text == "done\n"
    assert set(figure.data) == {"image/png", "text/plain"}  # and once
    assert figure.data["text/plain"] == "<Figure size 350x250 with 1 Axes>"
    _, _, (_,), (environment, folder), _ = outputs(built, "jax")
    assert environment.text == f"7 1 {max(1, os.cpu_count() // 2)}\n"
    assert folder.data["text/plain"] == "'jax'"


def test_a_built_notebook_holds_nothing_of_the_machine(built):
    text = (built / "notebooks/torch/01-one.ipynb").read_text()
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
    assert capsys.readouterr().out == (
        "0 built, 0 carried over (prose only), 2 current\n")


# What has to be run, and why. Nothing below runs a kernel but the tests
# that say so.

@pytest.fixture
def no_kernel(monkeypatch):
    async def fail(*args):
        raise AssertionError("a notebook is run")
    monkeypatch.setattr(execute, "execute", fail)


@pytest.fixture
def reasons(built, capsys):
    """Why notebooks would be run: {name: reason}."""
    def reasons(**options):
        capsys.readouterr()
        build(built, dry_run=True, **options)
        *lines, count = capsys.readouterr().out.splitlines()
        assert count == f"{len(lines)} would be run"
        return dict(line.split(": ", 1) for line in lines)
    return reasons


def git(folder, *command):
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    done = subprocess.run(["git", "-C", folder, *who, *command], text=True,
                          capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commit(folder):
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "Change something")


@pytest.fixture
def cloned(built, monkeypatch):
    """The built book, all committed, as one who has just cloned it."""
    if not shutil.which("git"):
        pytest.skip("git is not installed")
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)  # a hook's, which name another repository
    git(built, "init", "-q", "-b", "main")
    commit(built)
    shutil.rmtree(built / ".cache")
    return built


def test_prose_gets_the_outputs_that_were_there(built, no_kernel, capsys):
    before = {b: outputs(built, b) for b in ("torch", "jax")}
    edit(built / "notebooks/one.md", "Since", "End.\n\n+++\n\nBecause")
    edit(built / "notebooks/one.md", "Arrays are", "Array was")
    assert any("torch" in problem for problem in check(built))
    build(built)
    assert capsys.readouterr().out == (
        "0 built, 2 carried over (prose only), 0 current\n")
    assert check(built) == []  # also that cells count 1, 2, 3
    assert before == {b: outputs(built, b) for b in ("torch", "jax")}
    assert "Because" in read(built).cells[1].source
    assert "Array was" in read(built, "jax").cells[5].source


def test_what_others_left_in_the_metadata_is_dropped(built, no_kernel):
    before = (built / "notebooks/torch/01-one.ipynb").read_bytes()
    spoil(lambda n: n.metadata.update(d2lbert={"cells": "0"}))(built)
    assert "torch/01-one.ipynb: its metadata has another 'd2lbert'" in (
        check(built)[0])
    build(built)
    assert (built / "notebooks/torch/01-one.ipynb").read_bytes() == before


SHOWN, CALLED = (f"cell {number} shows other code" for number in (3, 4))
TAGS = "cell 5 has another id or other tags"


@pytest.mark.parametrize("change, expected", [
    (("d2lbert/torch/train.py", "steps *", "1 * steps *"), {"torch": SHOWN}),
    (("d2lbert/torch/train.py", "    return", "    # all\n    return"),
     {"torch": SHOWN}),
    (("notebooks/one.md", "print(train(2))", "print(train(3))"),
     {"torch": CALLED, "jax": CALLED}),
    (("notebooks/one.md", "1 / 0", "2 / 0"),
     {"torch": "cell 5 shows other code"}),
    (("notebooks/one.md", "[torch, raises", "[torch, nbval-ignore-output, "
      "raises"), {"torch": TAGS}),
    (("notebooks/one.md", "1 / 0\n```", "1 / 0\n```\n\n```{code-cell}\n"
      ":tags: [torch]\n2\n```"), {"torch": "cell 6 shows other code"}),
    (("notebooks/one.md", '"done")\n```', '"done")\n```\n\n'
      "```{code-cell}\n:tags: [torch]\n2\n```"),
     {"torch": "it has 5 code cells, its chapter 6"}),
])
def test_shown_code_that_changed_is_run(built, reasons, change, expected):
    assert reasons() == {}
    path, old, new = change
    edit(built / path, old, new)
    assert reasons() == {f"{backend}/one": why
                         for backend, why in expected.items()}


def test_the_same_code_under_another_id_is_run(built, reasons):
    edit(built / "notebooks/one.md", "{{#include d2lbert.{backend}.train:tr"
         "ain}}", "%%module d2lbert.torch.train\n"
         "def train(steps):\n    return steps * 'torch '")
    assert reasons(backends=["torch"]) == {
        "torch/one": "cell 3 has another id or other tags"}


def test_cells_in_another_order_are_run(built, reasons):
    notebook = read(built)
    notebook.cells[2:] = reversed(notebook.cells[2:])
    nbformat.write(notebook, built / "notebooks/torch/01-one.ipynb")
    assert reasons() == {"torch/one": SHOWN}


PLOTTING = "d2lbert/plotting.py changed"


def test_an_edit_of_the_package_runs_what_reaches_it(built, reasons):
    edit(built / "d2lbert/torch/model.py", "return 8", "return 9")
    edit(built / "d2lbert/plotting.py", '"""Start the timer."""', "")
    edit(built / "d2lbert/plotting.py", "class Accumulator:",
         "class Accumulator(object):")
    assert reasons() == {}  # the notebooks use none of it
    edit(built / "d2lbert/plotting.py", "(iterable: Iterable | None,",
         "(iterable: Iterable,")
    assert reasons() == {}  # a type is no code
    edit(built / "d2lbert/plotting.py", "PAUSE = 0.5", "PAUSE = 0.6")
    assert reasons() == {"torch/one": PLOTTING, "jax/one": PLOTTING}
    edit(built / "d2lbert/__init__.py", "7", "8")
    assert reasons() == {
        "torch/one": PLOTTING,
        "jax/one": "d2lbert/__init__.py, " + PLOTTING}


def test_what_is_reached_by_now_is_named(built, reasons):
    (built / "d2lbert/new.py").write_text("def new():\n    return 7")
    edit(built / "d2lbert/__init__.py", "edition = 7",
         "from d2lbert.new import new as edition")
    assert reasons() == {"jax/one": "d2lbert/__init__.py changed"}
    build_as_if_run(built)
    edit(built / "d2lbert/new.py", "7", "8")
    assert reasons() == {"jax/one": "d2lbert/new.py changed"}


def build_as_if_run(root):
    """Build, taking the outputs that are there for those of a kernel."""
    async def keep(notebook, book, folder, threads):
        return nbformat.read(folder / "01-one.ipynb", 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(execute, "execute", keep)
        build(root)


def test_a_package_that_does_not_parse_is_named(built):
    edit(built / "d2lbert/plotting.py", "class Timer:", "class Timer")
    with pytest.raises(BookError, match="d2lbert/plotting.py: .*line"):
        build(built)


@pytest.mark.parametrize("text", [
    None, "as of format 0", "{", "[]", "{}",
    '{"format": 2, "runs": []}', '{"format": 2, "runs": {"torch/one": 3}}',
    '{"format": 2, "runs": {"torch/one": {"files": {}}}}',
    '{"format": 2, "runs": {"torch/one": {"notebook": "", "files": 1, '
    '"versions": 2}}}'])
def test_a_record_that_is_lost_or_damaged_is_as_good_as_none(
        built, reasons, text):
    path = built / ".cache/book.json"
    if text is None:
        path.unlink()
    elif text == "as of format 0":
        edit(path, '"format": 2', '"format": 0')
    else:
        path.write_text(text)
    unknown = "not known what it was run with"
    assert reasons() == {"torch/one": unknown, "jax/one": unknown}
    build_as_if_run(built)
    assert reasons() == {}


def test_outputs_from_elsewhere_are_run(built, reasons):
    spoil(lambda n: n.cells[3].outputs.pop())(built)
    assert reasons() == {"torch/one": "not known what it was run with"}


def test_a_clone_is_trusted_as_it_is(cloned, no_kernel, reasons):
    assert reasons() == {}
    build(cloned)
    assert git(cloned, "status", "--porcelain") == ""  # the record is ignored


def test_of_a_clone_runs_what_differs_from_head(cloned, reasons):
    edit(cloned / "d2lbert/__init__.py", "7", "8")
    assert reasons() == {"jax/one": "d2lbert/__init__.py changed"}
    edit(cloned / "d2lbert/__init__.py", "8", "7")
    spoil(lambda n: n.cells[3].outputs.pop())(cloned)
    assert reasons() == {"torch/one": "not known what it was run with"}


def test_what_is_committed_before_it_is_built_is_still_run(
        cloned, no_kernel, reasons):
    edit(cloned / "d2lbert/__init__.py", "7", "8")
    build(cloned, backends=["torch"])  # and does not look at jax
    commit(cloned)
    assert reasons() == {"jax/one": "d2lbert/__init__.py changed"}


def test_caches_and_hidden_files_are_not_of_the_package(root):
    before = present_files(root)
    for name in (".DS_Store", "torch/.model.py.swp", "__pycache__/a.pyc"):
        path = root / "d2lbert" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    assert present_files(root) == before
    assert before["d2lbert/torch/__init__.py"] == b""


def test_a_dry_run_writes_nothing(cloned):
    edit(cloned / "notebooks/one.md", "Since", "As")
    before = everything(cloned)
    build(cloned, dry_run=True)
    assert everything(cloned) == before
    assert not (cloned / ".cache").exists()


def test_other_versions_are_run(built, reasons, monkeypatch):
    where = "d2lbert.book.record.metadata.version"
    monkeypatch.setattr(where, lambda name: "98")
    build_as_if_run(built)
    monkeypatch.setattr(where, lambda name: "98+cpu")
    assert reasons() == {}
    monkeypatch.setattr(where, lambda name: "99" if name != "jax" else "98")
    assert reasons() == {"torch/one": "torch 98 → 99",
                         "jax/one": "flax 98 → 99, optax 98 → 99"}
    assert check(built) == []

    def not_installed(name):
        raise PackageNotFoundError(name)
    monkeypatch.setattr(where, not_installed)
    assert reasons() == {}


def test_what_is_missing_spoiled_or_asked_for_is_run(built, reasons):
    (built / "notebooks/jax/01-one.ipynb").unlink()
    spoil(strip)(built)
    assert reasons() == {"torch/one": "cell 2 has not been executed",
                         "jax/one": "not built"}
    assert reasons(backends=["jax"]) == {"jax/one": "not built"}
    assert reasons(force=True)["torch/one"] == "asked for (--force)"
    (built / "notebooks/torch/01-one.ipynb").write_text("{")
    assert reasons()["torch/one"].startswith("no valid notebook: ")


def test_changed_code_is_executed_again_and_only_it(built, capsys):
    """Runs a kernel."""
    before = everything(built)
    edit(built / "d2lbert/torch/train.py", "torch ", "TORCH ")
    assert not any(problem.startswith("jax") for problem in check(built))
    build(built)
    assert re.fullmatch(
        f"torch/one: {SHOWN}\ntorch/one … \\d+ s\n"
        "1 built, 0 carried over \\(prose only\\), 1 current\n",
        capsys.readouterr().out)
    assert outputs(built)[2][0].text == "{backend} TORCH TORCH \n"
    assert check(built) == []
    changed = {p for p, was in before.items() if everything(built)[p] != was}
    assert changed == {built / "notebooks/torch/01-one.ipynb"}


def test_two_branches_that_change_two_modules_merge(
        cloned, reasons, monkeypatch):
    """Runs kernels."""
    threads = outputs(cloned, "jax")[3][0].text.split()[-1]
    monkeypatch.setenv("OMP_NUM_THREADS", threads)  # which is printed

    def branch(name, path, old, new):
        git(cloned, "switch", "-qc", name, "main")
        edit(cloned / path, old, new)
        build(cloned, backends=["jax"])
        commit(cloned)

    build(cloned)
    branch("one", "d2lbert/__init__.py", "edition = 7", "edition = 8")
    branch("two", "d2lbert/plotting.py", "(3.5, 2.5)", "(3.6, 2.5)")
    git(cloned, "merge", "--no-edit", "one")
    *_, (edition, _), (_, figure) = outputs(cloned, "jax")
    assert edition.text.startswith("8 ")
    assert "360x250" in figure.data["text/plain"]
    assert check(cloned) == []
    assert reasons(backends=["jax"]) == {}


def test_a_failing_notebook_is_not_written_and_all_are_reported(
        built, capsys):
    """Runs kernels."""
    (built / "notebooks/one.md").write_text("""# One

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
    out = capsys.readouterr().out
    assert "torch/one … failed after" in out and "0 built, 0 carr" in out


def spoil(change):
    """A test case: what `change` makes of the notebook."""
    def apply(root):
        notebook = read(root)
        change(notebook)
        path = root / "notebooks/torch/01-one.ipynb"
        nbformat.write(notebook, path)
    return apply


def strip(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None


def add_output(kind, **fields):
    def change(notebook):
        output = nbformat.v4.new_output(kind, **fields)
        notebook.cells[3].outputs.append(output)
    return spoil(change)


def add_picture(change=bytes, size=(60, 60), color=(0, 0, 0, 0), dot=None):
    """A picture of a colour, with a dot of another one."""
    image, file = Image.new("RGBA", size, color), io.BytesIO()
    if dot:
        image.paste(Image.new("RGBA", (3, 3), dot), (4, 4))
    image.save(file, "PNG")
    data = base64.b64encode(change(file.getvalue())).decode()
    return add_output("display_data", data={
        "image/png": data, "text/plain": "<Figure size 60x60>"})


def add_empty_cell(notebook):
    notebook.cells.append(nbformat.v4.new_code_cell(execution_count=6))


PROBLEMS = {
    "cell 1 is not what the chapter gives": [
        spoil(lambda n: n.cells[0].update(source="Mine.")),
        spoil(lambda n: n.cells[0].update(id="mine")),
        spoil(lambda n: n.cells.pop(0)),
        lambda root: edit(root / "notebooks/one.md", "Since", "As")],
    "cell 8 is not what the chapter gives": [
        spoil(add_empty_cell)],
    "cell 7 is not what the chapter gives": [
        lambda root: edit(root / "notebooks/one.md", '"done")\n```',
                          '"done")\n```\n\nEnd.')],
    "cell 5 is not what the chapter gives": [
        spoil(lambda n: n.cells[4].metadata.pop("tags"))],
    "its metadata has another 'language_info'": [
        spoil(lambda n: n.metadata.language_info.update(version="3"))],
    "cell 4 has not been executed": [spoil(strip)],
    "cell 4 was executed as number 7, not 3": [
        spoil(lambda n: n.cells[3].update(execution_count=7))],
    "cell 4 stopped with ValueError: no": [
        add_output("error", ename="ValueError", evalue="no")],
    "cell 5 is tagged raises-exception and raised nothing": [
        spoil(lambda n: n.cells[4].update(outputs=[]))],
    "cell 4 wrote to stderr: hm": [
        add_output("stream", name="stderr", text="hm")],
    "cell 4 holds an SVG": [
        add_output("display_data", data={"image/svg+xml": "<svg/>"})],
    "cell 4 has no picture of <Figure size": [
        add_output("execute_result", data={"text/plain": "<Figure size 9>"})],
    "cell 4 holds a PNG that does not decode": [
        add_picture(lambda data: b"no picture"),
        add_picture(lambda data: data[:len(data) // 2]),
        add_picture(lambda data: data.replace(b"IDAT", b"IDAX"))],
    "cell 4 holds a blank PNG": [
        add_picture(color="white"), add_picture(color=(9, 9, 9, 255)),
        add_picture(dot=(255, 0, 0, 0))],  # which is transparent
    "cell 4 holds a PNG of 9 x 60 pixels": [
        add_picture(size=(9, 60), dot="black")],
    "cell 4 shows the memory address 0x7f00aabb": [
        add_output("stream", name="stdout", text="<object at 0x7f00aabb>"),
        add_output("display_data", data={"text/html": "<b>0x7f00aabb"})],
    "is no valid notebook": [
        lambda root: (root / "notebooks/torch/01-one.ipynb").write_text("{"),
        spoil(lambda n: n.cells[0].update(id="not an id"))],
    "is not built": [
        lambda root: (root / "notebooks/torch/01-one.ipynb").unlink()],
}


@pytest.mark.parametrize("problem, change", [
    (problem, change) for problem in PROBLEMS for change in PROBLEMS[problem]])
def test_check_finds(built, problem, change):
    change(built)
    assert any(p.startswith("torch/01-one.ipynb: ") and problem in p
               for p in check(built))


def test_a_picture_with_something_in_it_is_no_problem(built):
    add_picture(dot="black")(built)
    assert check(built) == []


def test_check_finds_all_at_once_and_strangers_too(built):
    for backend in ("torch", "jax"):
        shutil.copy(built / f"notebooks/{backend}/01-one.ipynb",
                    built / f"notebooks/{backend}/09-old.ipynb")
    spoil(strip)(built)
    edit(built / "book.toml", '["one"]', '["one", "two"]')
    problems = check(built)
    assert sum("has not been executed" in p for p in problems) == 5
    assert "two: there is no notebooks/two.md" in problems
    assert sum("09-old.ipynb: belongs to no chapter" in p
               for p in problems) == 2


def test_the_start_page_leads_to_each_notebook(built):
    path = built / "notebooks" / "start.ipynb"
    text = nbformat.read(path, 4).cells[1].source
    links = set(re.findall(r"\]\(([^)]+)\)", text))
    assert links == {"torch/01-one.ipynb", "jax/01-one.ipynb"}
    edit(path, "One in", "Two in")
    assert any("start.ipynb: is of another book" in p for p in check(built))
    build(built)
    assert check(built) == []


# The command line

def test_the_exit_status_tells_and_stderr_says_why(
        built, monkeypatch, capsys):
    monkeypatch.chdir(built)
    assert main(["check"]) == 0 and main(["build", "--jobs", "1"]) == 0
    assert main(["build", "--dry-run", "--force"]) == 0
    assert "2 would be run" in capsys.readouterr().out
    assert main(["build", "--chapter", "two", "--backend", "jax"]) == 1
    assert "unknown chapter two" in capsys.readouterr().err
    assert main(["build", "--jobs", "0"]) == 1
    (built / "notebooks/jax/01-one.ipynb").unlink()
    assert main(["check"]) == 1
    assert "jax/01-one.ipynb: is not built" in capsys.readouterr().err
    assert main(["build", "--backend", "torch"]) == 0  # not the jax one
    assert not (built / "notebooks/jax/01-one.ipynb").exists()
