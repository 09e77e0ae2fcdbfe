"""Fine-tune the original BERT to tell praise from blame."""

from argparse import Namespace
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from d2lbert.backends import BACKENDS, load_backend
from d2lbert.data.corpora import load_corpus
from d2lbert.data.mini.sentiment import SIZES
from d2lbert.data.sentiment import is_labelled, read_sst2, sentiment_folder
from d2lbert.original.config import BertConfig
from d2lbert.original.find import find_checkpoint, load_checkpoint_folder
from d2lbert.original.huggingface import read_config
from d2lbert.original.tokenizer import BertTokenizer
from d2lbert.run.models import Model, load_original, make_original
from d2lbert.run.report import number, thinned
from d2lbert.training.logs import last_tenth
from d2lbert.training.plotting import Animator

CORPUS, MODEL = "mini-sentiment", "random weights"
_CLASSIFIER = "BertForSequenceClassification"
COLUMNS = ("backend", "start", "loss", "train acc", "dev acc", "test acc",
            "examples/s", "seconds", "notebook")
_SIZES: dict[str, Any] = dict(
    hidden_size=128, num_hidden_layers=2, num_attention_heads=2,
    intermediate_size=256, max_position_embeddings=128)


@dataclass(frozen=True)
class FineTuning:
    """How sentences are learned; lengths in WordPieces."""
    lr: float
    num_epochs: int
    batch_size: int = 16
    max_length: int = 128
    vocab_size: int = 2000  # of a model that starts from random weights


RECIPES = {CORPUS: FineTuning(lr=5e-4, num_epochs=14),
           "other": FineTuning(lr=5e-4, num_epochs=3, batch_size=32,
                               vocab_size=8000)}
# From a checkpoint (BERT paper, A.3)
_FROM_CHECKPOINT = FineTuning(lr=3e-5, num_epochs=3, batch_size=32)


def check(args: Namespace) -> None:
    """Raise ValueError or OSError if sentences or model cannot be read."""
    folder = sentiment_folder(args.corpus)
    for path in (folder / f"{split}.tsv" for split in SIZES):
        if path.stem != "test" or is_labelled(path):
            read_sst2(path)
    if args.model != MODEL:
        checkpoint = find_checkpoint(args.model)
        BertTokenizer.from_pretrained(checkpoint)
        load_checkpoint_folder(checkpoint, _CLASSIFIER, **_task(checkpoint))


def _task(checkpoint: Path) -> dict[str, Any]:
    """What to ask of a checkpoint, whose classifier may be of another task.
    """
    fits = read_config(checkpoint).num_labels == 2
    return {"num_labels": 2, "new": () if fits else "classifier",
            "problem_type": "single_label_classification"}


def _recipe_of(args: Namespace) -> FineTuning:
    if args.model != MODEL:
        return _FROM_CHECKPOINT
    return RECIPES.get(args.corpus, RECIPES["other"])


def describe(args: Namespace) -> str:
    """One line: what will be done."""
    return (f"{args.corpus}, {_recipe_of(args).num_epochs} epochs, from "
            f"{args.model}")


def _start(backend: str, args: Namespace) -> tuple[BertTokenizer, Model]:
    """The tokenizer, and a classifier that is not trained yet."""
    if args.model != MODEL:
        folder = find_checkpoint(args.model)
        return (BertTokenizer.from_pretrained(folder),
                load_original(backend, _CLASSIFIER, folder, **_task(folder)))
    sentences, _ = read_sst2(sentiment_folder(args.corpus) / "train.tsv")
    # mini-wiki has more to say about the words of its world
    wiki = load_corpus("mini-wiki").train if args.corpus == CORPUS else []
    tok = BertTokenizer.train(
        [*sentences, *(" ".join(s) for text in wiki for s in text)],
        _recipe_of(args).vocab_size)
    return tok, make_original(backend, _CLASSIFIER, BertConfig(
        vocab_size=len(tok), **_SIZES))


def work(backend: str, args: Namespace, folder: Path) -> dict[str, Any]:
    """Fine-tune one backend; return results."""
    recipe = _recipe_of(args)
    tok, net = _start(backend, args)
    max_length = min(recipe.max_length, net.net.config.max_position_embeddings)
    splits = load_backend(backend).load_data_sst2(
        recipe.batch_size, tok, args.corpus, max_length)
    num_steps = args.steps or recipe.num_epochs * len(splits[0])
    log = net.fit(splits[0], num_steps, recipe.lr, seed=0)
    if log.diverged:
        raise ValueError(log.diverged)
    net.save_pretrained(folder)
    tok.save(folder)
    names = ("train_acc", "dev_acc", "test_acc")
    return {"backend": backend, "corpus": str(args.corpus),
            "start": str(args.model), "recipe": asdict(recipe),
            "loss": log.loss, "examples_per_sec": log.per_sec,
            "seconds": log.seconds + log.warmup_seconds,
            **{name: _accuracy(net, batches) if batches else None
               for name, batches in zip(names, splits)}}


def _accuracy(net: Model, batches: Iterable[Any]) -> float:
    """The share of sentences that net gets right."""
    guess, truth = net.predict_classes(batches)
    return float((guess == truth).mean())


def rows(r: dict[str, Any]) -> list[list[str]]:
    """The row of a result, for the table."""
    shares = [number(r[name], ".3f")
              for name in ("train_acc", "dev_acc", "test_acc")]
    return [[BACKENDS[r["backend"]].title, r["start"],
            f"{last_tenth(r['loss']):.3f}", *shares,
            number(r["examples_per_sec"], ".0f"), f"{r['seconds']:.0f}",
            f"notebooks/{r['backend']}/08-bert-from-scratch.ipynb"]]


def remarks(results: list[dict[str, Any]]) -> str:
    """A line below the table."""
    return ("Each model is a folder that from_pretrained and Hugging Face's "
            "transformers take.")


def draw(results: list[dict[str, Any]], path: Path) -> None:
    """The loss of every backend over the steps."""
    plot = Animator(xlabel="step", ylabel="loss", figsize=(5, 3),
                    legend=[BACKENDS[r["backend"]].title for r in results])
    for r in results:
        losses = thinned(r["loss"])
        every = len(r["loss"]) / len(losses)
        plot.X.append([every * (i + 1) for i in range(len(losses))])
        plot.Y.append(losses)
    plot.savefig(path)
