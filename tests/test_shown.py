"""The magic `%%module`: shown code that runs where it lives."""

import asyncio
import importlib
import sys
import types
from pathlib import Path

import nbformat
import numpy as np
import pytest
from harness import V, each_backend, forward, make_batch, small_bert, to_numpy
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from d2lbert import shown
from d2lbert.book.include import find_source
from d2lbert.data.pretraining import RESERVED_TOKENS
from d2lbert.data.vocab import Vocab
from d2lbert.shown import ShownCodeError, run_in_module

ROOT = Path(__file__).parent.parent
BELOW = '''
from dataclasses import dataclass
from functools import cached_property

RATE, COUNT = 0.5, 3


def helper(x):
    return x + 1


def use(x):
    return helper(x) * RATE


class Base:
    def answer(self):
        return "base"


@dataclass
class Sizes:
    width: int = 1

    @cached_property
    def area(self):
        return self.width ** 2


TABLE = {}


def register(function):
    TABLE[function.__name__] = function
    return function
'''
ABOVE = '''
from d2lbert.toys.below import Base, RATE, Sizes, helper, helper as other

FORMAT = 3  # the same int as below.COUNT, and another thing


def call(x):
    return helper(x), other(x), RATE


class Child(Base):
    pass
'''


@pytest.fixture
def toys(tmp_path, monkeypatch):
    """Modules of the package that may be changed; all is as it was after."""
    folder = tmp_path / "toys"
    folder.mkdir()
    for name, text in (("__init__", "from d2lbert.toys.below import use, "
                        "helper as _private\n"), ("below", BELOW),
                       ("above", ABOVE)):
        (folder / f"{name}.py").write_text(text)
    import d2lbert
    monkeypatch.setattr(d2lbert, "__path__",
                        [*d2lbert.__path__, str(tmp_path)])
    monkeypatch.setattr(shown, "_in_force", {})
    importlib.import_module("d2lbert.toys.above")
    yield sys.modules["d2lbert.toys"]
    for name in [n for n in sys.modules if n.startswith("d2lbert.toys")]:
        del sys.modules[name]
    del d2lbert.toys


@pytest.fixture
def unharmed():
    """The package is as it was after the test."""
    before = [(module, dict(vars(module)))
              for name, module in sys.modules.items()
              if name.partition(".")[0] == "d2lbert"]
    yield
    for module, names in before:
        vars(module).update(names)


def edit(text, module="d2lbert.toys.below"):
    return run_in_module(module, text)


def test_an_edit_takes_effect_wherever_the_package_uses_it(toys):
    assert toys.use(1) == 1 and toys.above.call(1) == (2, 2, 0.5)
    given = edit("def helper(x):\n    return x + RATE")
    assert toys.use(1) == 0.75  # the module's own names are at hand
    assert toys.above.call(1) == (1.5, 1.5, 0.5)
    assert toys._private is toys.above.other is given["helper"]
    assert given["helper"].__module__ == "d2lbert.toys.below"
    edit("def helper(x):\n    return 0")  # and again
    assert toys.above.call(1) == (0, 0, 0.5) and toys._private(1) == 0


def test_constants_change_under_their_own_name_only(toys):
    edit("RATE, COUNT = 2.0, 4")
    assert toys.use(1) == 4 and toys.above.call(1) == (2, 2, 2.0)
    assert toys.above.FORMAT == 3 and toys.below.COUNT == 4


def test_classes_change_below_their_subclasses_too(toys):
    child = toys.above.Child()
    edit("class Base:\n    def answer(self):\n        return 'edited'")
    assert child.answer() == toys.above.Child().answer() == "edited"
    assert isinstance(toys.above.Child(), toys.below.Base)
    edit("@dataclass\nclass Sizes:\n    width: int = 3\n\n"
         "    @cached_property\n    def area(self):\n"
         "        return 2 * self.width")
    assert toys.above.Sizes().area == 6


def test_several_definitions_and_a_new_one_and_imports(toys):
    given = edit("import math\n\ndef double(x):\n    return 2 * x\n\n"
                 "@register\ndef use(x):\n    return double(math.pi)\n")
    assert set(given) == {"math", "double", "use"}
    assert toys.use(0) == 2 * given["math"].pi
    assert toys.below.TABLE["use"] is toys.use


@pytest.mark.parametrize("text, error", [
    ("def helper(x):\n    return 0\n1 / 0", ZeroDivisionError),
    ("def helper(x:\n    return 0", SyntaxError),
    ("def helper(x):\n    return 0\nRATE = 7\nnew = 1\ngone", NameError),
    ("def helper(x):\n    return 0\nraise KeyboardInterrupt",
     KeyboardInterrupt)])
def test_an_error_leaves_the_modules_as_they_were(toys, text, error):
    before = [dict(vars(m)) for m in (toys, toys.below, toys.above)]
    with pytest.raises(error):
        edit(text)
    after = [dict(vars(m)) for m in (toys, toys.below, toys.above)]
    assert before == after and toys.use(1) == 1


@pytest.mark.parametrize("name, text, problem", [
    ("", "x = 1", "name a module"),
    ("os.path", "join = 1", "takes modules of d2lbert only"),
    ("d2lbert.toys.gone", "x = 1", "no module d2lbert.toys.gone"),
    ("d2lbert.nothing.at.all", "x = 1", "no module d2lbert.nothing"),
    ("d2lbert.toys.below", "print(helper(1))", "redefines nothing"),
    ("d2lbert.toys.below", "x = y = 1", "has no x, y: keep the names")])
def test_what_cannot_be_executed_so_is_said(toys, name, text, problem, capsys):
    with pytest.raises(ShownCodeError, match=problem):
        run_in_module(name, text)
    assert capsys.readouterr().out == ""


def test_what_a_module_needs_and_is_missing_is_named(toys, tmp_path):
    (tmp_path / "toys" / "broken.py").write_text("import no_such_framework")
    with pytest.raises(ModuleNotFoundError, match="no_such_framework"):
        run_in_module("d2lbert.toys.broken", "x = 1")


def test_only_an_edit_makes_jax_forget_what_it_compiled(toys, monkeypatch):
    calls = []
    monkeypatch.setitem(sys.modules, "jax", types.SimpleNamespace(
        clear_caches=lambda: calls.append(1)))
    edit("def helper(x):\n    return x + 1  # as it is shown")
    edit("RATE, COUNT = 0.5, 3")
    assert calls == []
    for number, term in enumerate(("2", "2", "1"), 1):
        edit(f"def helper(x):\n    return x + {term}")
        assert len(calls) == (1, 1, 2)[number - 1]


# With the frameworks

def sums(bert):
    """Of all outputs: numbers that change if anything does."""
    return [float(np.abs(x).sum()) for x in forward(bert, make_batch())]


@each_backend()
def test_shown_classes_of_a_backend_are_the_ones_it_uses(backend, unharmed):
    name = f"d2lbert.{backend}.model"
    bert = small_bert(backend)
    before, d2l = sums(bert), bert.d2l
    shown = [n for n in ("dot_product_attention", "MultiHeadAttention",
                         "AddNorm", "BERTEncoder", "MaskLM", "BERTModel")
             if hasattr(sys.modules[name], n)]
    for source in (find_source(ROOT, name, n) for n in shown):
        run_in_module(name, source)
    assert sums(small_bert(backend)) == pytest.approx(before)
    source = find_source(ROOT, name, "AddNorm")
    given = run_in_module(name, source.replace("(X + ", "(2 * X + "))
    assert d2l.AddNorm is given["AddNorm"]
    assert abs(sums(small_bert(backend))[0] - before[0]) > 0.1
    run_in_module(name, source)
    assert sums(small_bert(backend)) == pytest.approx(before)


@each_backend()
def test_an_edit_reaches_what_is_compiled_already(backend, unharmed):
    """In JAX `encode` is, and keeps what it was compiled from."""
    vocab = Vocab([["a", "b"]], reserved_tokens=RESERVED_TOKENS)

    def vectors():
        bert = small_bert(backend)
        pairs = [(["a"], ["b"])]
        return to_numpy(bert.d2l.encode(*bert.parts, pairs, vocab))

    before = vectors()
    name = f"d2lbert.{backend}.model"
    source = find_source(ROOT, name, "AddNorm")
    run_in_module(name, source.replace("(X + ", "(2 * X + "))
    assert np.abs(vectors() - before).max() > 0.1


@each_backend()
def test_an_edited_loss_is_trained_and_as_it_came_the_fast_one(
        backend, unharmed, monkeypatch):
    name = f"d2lbert.{backend}.train"
    bert, batch = small_bert(backend), make_batch()

    def fused(*args):
        raise RuntimeError("fused")

    def train():
        bert.train([bert.d2l.to_tensors(batch)], V, 1)

    monkeypatch.setattr(sys.modules[name], "fused_batch_loss", fused)
    source = find_source(ROOT, name, "_get_batch_loss_bert")
    edit = "def _get_batch_loss_bert(*args):\n    raise RuntimeError('edited')"
    for cell, used in ((source, "fused"), (edit, "edited"), (source, "fused")):
        run_in_module(name, cell)
        with pytest.raises(RuntimeError, match=used):
            train()


# In a kernel

def run_cells(*cells, folder):
    made = nbformat.v4.new_notebook(cells=[
        nbformat.v4.new_code_cell(text) for text in cells])
    client = NotebookClient(made, timeout=120, kernel_name="python3",
                            resources={"metadata": {"path": str(folder)}})
    try:
        asyncio.run(client.async_execute())
    except CellExecutionError:
        pass
    return [cell.outputs for cell in made.cells]


LONGEST = '''%%module d2lbert.data.subwords
def _longest_first(text, vocab, prefix=""):
    if text == "break":
        raise RuntimeError("at the third line")
    return list(text)'''
CALL = ("from d2lbert.data.subwords import segment_BPE as early\n"
        "import d2lbert.data.subwords as s\n"
        "print(early(['ab'], ['ab']), _longest_first is s._longest_first)")


def test_in_a_kernel_cells_run_and_tracebacks_show_them(tmp_path):
    """Runs a kernel."""
    found = run_cells("%load_ext d2lbert", LONGEST, CALL,
                      "early(['break'], ['b'])", folder=tmp_path)
    assert found[:2] == [[], []]  # and no value of a last expression
    assert found[2][0].text == "['a b'] True\n"
    (error,) = found[3]
    text = "\n".join(error.traceback)
    assert error.ename == "RuntimeError"
    assert "Cell" in text and "In[2]" in text and "line 4" in text
    assert "at the third line" in text


def test_no_garbage_is_collected_in_the_first_cell_alone(tmp_path):
    """Runs a kernel."""
    state = "print(gc.isenabled(), gc.get_freeze_count() > 10_000)"
    found = run_cells(f"%load_ext d2lbert\nimport gc\n{state}", state,
                      "gc.disable()\n%reload_ext d2lbert", state,
                      folder=tmp_path)
    first, second, _, chosen = (
        "".join(output.text for output in outputs) for outputs in found)
    assert first.split()[0] == "False"
    assert second.split() == ["True", "True"]
    assert chosen.split()[0] == "False"  # somebody wants it so


@pytest.mark.parametrize("cell, start", [
    ("%%module d2lbert.gone\nx = 1", "UsageError: %%module d2lbert.gone: "),
    ("%%module d2lbert.data.subwords\n1 +", "SyntaxError: invalid syntax"),
    ("%%module d2lbert.data.subwords\n_merge = gone\n", "NameError")])
def test_in_a_kernel_errors_are_short(tmp_path, cell, start):
    """Runs a kernel."""
    _, (error,), _ = run_cells("%load_ext d2lbert", cell, "1",
                               folder=tmp_path)
    text = error.get("text") or "\n".join(error.traceback)
    assert start in text and "shown.py" not in text
    assert len(text.splitlines()) < 15
