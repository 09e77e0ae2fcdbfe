"""Fine-tune BERT on pairs: from a pretrained model and from random weights."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from d2lbert.backends import BACKENDS, load_backend
from d2lbert.checkpoints.d2l import load_pretrained_params
from d2lbert.data.snli import LABELS, SPLITS, nli_folder, read_snli
from d2lbert.run.models import Model, make_classifier
from d2lbert.run.report import number
from d2lbert.run.resume import checkpoints, fingerprint
from d2lbert.training.logs import FineTuningLog
from d2lbert.training.plotting import Animator
from d2lbert.training.resuming import Checkpoints

CORPUS, MODEL = "mini-nli", "bert.mini"
COLUMNS = ("backend", "start", "loss", "train acc", "dev acc", "test acc",
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
    folder = nli_folder(args.corpus)
    for split in SPLITS:
        if not read_snli(folder, split=split)[-1]:
            raise ValueError(
                f"no {split} pair in {folder} has one of the labels "
                f"{', '.join(LABELS)}: is it SNLI's text format?")
    load_pretrained_params(args.model)


def describe(args: Namespace) -> str:
    """One line: what will be done."""
    recipe = RECIPES.get(args.corpus, RECIPES["snli"])
    return (f"{args.corpus}, {recipe.num_epochs} epochs, from random weights "
            f"and from {args.model}")


def work(backend: str, args: Namespace, folder: Path) -> dict[str, Any]:
    """Fine-tune one backend twice; return results."""
    recipe = RECIPES.get(args.corpus, RECIPES["snli"])
    params, vocab, sizes = load_pretrained_params(args.model)
    d2l = load_backend(backend)
    splits = d2l.load_data_snli_bert(
        recipe.batch_size, min(recipe.max_len, sizes["max_len"]), vocab,
        args.corpus)
    data = splits[0].dataset
    known = fingerprint(data.texts.tokens, data.targets, vocab.idx_to_token)
    corpus = f"{args.corpus} ({known})"
    result: dict[str, Any] = {
        "backend": backend, "corpus": str(args.corpus),
        "recipe": asdict(recipe)}
    for start, weights in zip(STARTS, (None, params)):
        print(f"from {start} weights", flush=True)
        bert = make_classifier(backend, len(vocab), pretrained=weights,
                               dropout=recipe.dropout, **sizes)
        known = fingerprint(bert.export_params())
        log, test_acc = _fine_tune(
            bert, splits, recipe, args.steps, folder / f"{start}.safetensors",
            checkpoints(folder, start, corpus=corpus, dropout=recipe.dropout,
                        num_heads=sizes["num_heads"],
                        start=f"{args.model if weights else start} ({known})"))
        result[start] = {
            "loss": log.loss, "train_acc": log.train_acc,
            "dev_acc": log.dev_acc, "kept": log.kept, "test_acc": test_acc,
            "points": log.points, "examples_per_sec": log.examples_per_sec,
            "seconds": log.seconds, "warmup_seconds": log.warmup_seconds}
        if log.stopped:
            break
    return result


def _fine_tune(bert: Model, splits: Sequence[Any], recipe: FineTuning,
               num_steps: int | None, path: Path, resume: Checkpoints
               ) -> tuple[FineTuningLog, float]:
    """Train a classifier by a recipe, save it, and test it."""
    train_iter, dev_iter, test_iter = splits
    num_epochs = recipe.num_epochs
    if num_steps:
        num_epochs = max(1, round(num_steps / len(train_iter)))
    log = bert.fine_tune(train_iter, dev_iter, None, num_epochs, recipe.lr,
                         warmup=recipe.warmup, seed=0, resume=resume)
    if log.diverged:
        raise ValueError(log.diverged)
    bert.save(path)
    guess, truth = bert.predict(test_iter)
    return log, float((guess == truth).mean())


def rows(r: dict[str, Any]) -> list[list[str]]:
    """Of a result, for the table: one for each start that it came to."""
    return [_row(r["backend"], start, r[start])
            for start in STARTS if start in r]


def _row(backend: str, start: str, r: dict[str, Any]) -> list[str]:
    kept = r["kept"]
    return [BACKENDS[backend].title, start, number(r["loss"][kept], ".3f"),
            number(r["train_acc"][kept], ".3f"), f"{r['dev_acc'][kept]:.3f}",
            f"{r['test_acc']:.3f}", number(r["examples_per_sec"], ".0f"),
            f"{r['seconds'] + r['warmup_seconds']:.0f}",
            f"notebooks/{backend}/06-nli-bert.ipynb"]


def remarks(results: list[dict[str, Any]]) -> str:
    """A line below the table."""
    return ("All numbers are those of the epoch that is best on dev; the "
            "test pairs are asked once.")


def draw(results: list[dict[str, Any]], path: Path) -> None:
    """Accuracy on dev over the epochs, both starts of every backend."""
    plot = Animator(xlabel="epoch", ylabel="accuracy on dev",
                    figsize=(5, 3), fmts=[":", "-"] * len(results),
                    legend=[f"{BACKENDS[r['backend']].title}, {start}"
                            for r in results
                            for start in STARTS if start in r])
    for r in results:
        for start in filter(r.__contains__, STARTS):
            plot.X.append(list(range(1, 1 + len(r[start]["dev_acc"]))))
            plot.Y.append(r[start]["dev_acc"])
    plot.savefig(path)
