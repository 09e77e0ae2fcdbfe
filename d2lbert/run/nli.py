"""Fine-tune BERT on pairs: from a pretrained model and from random weights."""

from argparse import Namespace
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from d2lbert.backends import BACKENDS, load_backend
from d2lbert.checkpoints.d2l import (
    bert_shapes,
    find_pretrained,
    pretrained_sizes,
)
from d2lbert.checkpoints.params import fit_params, load_params
from d2lbert.data.snli import nli_folder, read_snli
from d2lbert.data.vocab import Vocab
from d2lbert.run.models import Model, make_classifier
from d2lbert.run.report import markdown_table
from d2lbert.training.plotting import Animator

CORPUS, MODEL = "mini-nli", "bert.mini"
_COLUMNS = ("backend", "start", "loss", "train acc", "dev acc", "test acc",
            "examples/s", "seconds", "notebook")
STARTS = ("random", "pretrained")


@dataclass(frozen=True)
class FineTuning:
    """How pairs are learned; lengths in tokens."""
    batch_size: int = 64
    max_len: int = 64
    lr: float = 1e-3
    num_epochs: int = 6
    warmup: float = 0.1
    dropout: float = 0.0


RECIPES = {"mini-nli": FineTuning(),
           "snli": FineTuning(batch_size=128, max_len=128, num_epochs=5,
                              dropout=0.2)}


def check(args: Namespace) -> None:
    """Raise ValueError or OSError if the pairs or the model cannot be read.
    """
    read_snli(nli_folder(args.corpus), split="dev")
    find_pretrained(args.model, **pretrained_sizes(args.model))


def describe(args: Namespace) -> str:
    """One line: what will be done."""
    recipe = RECIPES.get(args.corpus, RECIPES["snli"])
    return (f"{args.corpus}, {recipe.num_epochs} epochs, from random weights "
            f"and from {args.model}")


def work(backend: str, args: Namespace, folder: Path) -> dict[str, Any]:
    """Fine-tune one backend twice; return results."""
    recipe = RECIPES.get(args.corpus, RECIPES["snli"])
    sizes = pretrained_sizes(args.model)
    path, vocab = find_pretrained(args.model, **sizes)
    params = fit_params(load_params(path), bert_shapes(len(vocab), **sizes))
    result: dict[str, Any] = {
        "backend": backend, "corpus": str(args.corpus),
        "recipe": asdict(recipe)}
    for start, weights in zip(STARTS, (None, params)):
        print(f"from {start} weights", flush=True)
        bert = make_classifier(backend, len(vocab), pretrained=weights,
                               dropout=recipe.dropout, **sizes)
        max_len = min(recipe.max_len, sizes["max_len"])
        result[start] = _fine_tune(backend, bert, vocab, max_len, args, recipe)
        bert.save(folder / f"{start}.safetensors")
    return result


def _fine_tune(backend: str, bert: Model, vocab: Vocab, max_len: int,
               args: Namespace, recipe: FineTuning) -> dict[str, Any]:
    """Train a classifier by a recipe; a dict of plain numbers."""
    d2l = load_backend(backend)
    train_iter, dev_iter, test_iter = d2l.load_data_snli_bert(
        recipe.batch_size, max_len, vocab, args.corpus)
    num_epochs = recipe.num_epochs
    if args.steps:
        num_epochs = max(1, round(args.steps / len(train_iter)))
    log = bert.fine_tune(train_iter, dev_iter, test_iter, num_epochs,
                         recipe.lr, warmup=recipe.warmup)
    return {"loss": log.loss, "train_acc": log.train_acc,
            "dev_acc": log.dev_acc, "kept": log.kept,
            "test_acc": log.test_acc, "points": log.points,
            "examples_per_sec": log.examples_per_sec,
            "seconds": log.seconds, "warmup_seconds": log.warmup_seconds}


def table(results: list[dict[str, Any]]) -> str:
    """The results as a Markdown table, two rows a backend."""
    return markdown_table(_COLUMNS, [_row(r["backend"], start, r[start])
                                     for r in results for start in STARTS])


def _row(backend: str, start: str, r: dict[str, Any]) -> list[str]:
    kept = r["kept"]
    return [BACKENDS[backend].title, start, f"{r['loss'][kept]:.3f}",
            f"{r['train_acc'][kept]:.3f}", f"{r['dev_acc'][kept]:.3f}",
            f"{r['test_acc']:.3f}", f"{r['examples_per_sec']:.0f}",
            f"{r['seconds'] + r['warmup_seconds']:.0f}",
            f"notebooks/{backend}/nli-bert.ipynb"]


def remarks(results: list[dict[str, Any]]) -> str:
    """A line below the table."""
    return ("All numbers are those of the epoch that is best on dev; the "
            "test pairs are asked once.")


def draw(results: list[dict[str, Any]], path: Path) -> None:
    """Accuracy on dev over the epochs, both starts of every backend."""
    plot = Animator(xlabel="epoch", ylabel="accuracy on dev",
                    figsize=(5, 3), fmts=[":", "-"] * len(results),
                    legend=[f"{BACKENDS[r['backend']].title}, {start}"
                            for r in results for start in STARTS])
    for r in results:
        for start in STARTS:
            plot.X.append(list(range(1, 1 + len(r[start]["dev_acc"]))))
            plot.Y.append(r[start]["dev_acc"])
    plot.savefig(path)
