"""Fine-tune the original BERT to tell praise from blame.

`python -m d2lbert.run.sentiment BACKEND` repeats what the chapter does on
mini-sentiment with six seeds, and prints means and ranges.
"""

import sys
from argparse import Namespace
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from d2lbert.backends import BACKENDS
from d2lbert.checkpoints.params import Params, initial_params
from d2lbert.data.batches import PretrainingBatches
from d2lbert.data.corpora import load_corpus
from d2lbert.data.factors import factorization_machine, words_by_clause
from d2lbert.data.mini.sentiment import SIZES
from d2lbert.data.ngrams import (
    last_clause,
    logistic_regression,
    ngram_accuracy,
    ngram_evidence,
)
from d2lbert.data.sentiment import is_labelled, read_sst2, sentiment_folder
from d2lbert.files import model_folder
from d2lbert.original.config import BertConfig
from d2lbert.original.find import find_checkpoint, load_checkpoint_folder
from d2lbert.original.huggingface import CONFIG, read_config
from d2lbert.original.outputs import to_bert_batch
from d2lbert.original.tokenizer import BertTokenizer
from d2lbert.run.models import Model, load_original, make_original
from d2lbert.run.report import mean_and_range, number, thinned
from d2lbert.run.resume import checkpoints, fingerprint
from d2lbert.training.logs import LossLog, last_tenth
from d2lbert.training.plotting import Animator

CORPUS, MODEL = "mini-sentiment", "random weights"
PRETRAINED = "pretrained"  # on mini-wiki, which is done before
_CLASSIFIER = "BertForSequenceClassification"
COLUMNS = ("backend", "start", "loss", "train acc", "dev acc", "test acc",
            "n-grams", "examples/s", "seconds", "notebook")
_SIZES: dict[str, Any] = dict(
    hidden_size=128, num_hidden_layers=2, num_attention_heads=2,
    intermediate_size=256, max_position_embeddings=128,
    hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)


@dataclass(frozen=True)
class Recipe:
    """How sentences are learned; lengths in WordPieces.

    A model that starts from nothing has `vocab_size` pieces.
    """
    lr: float
    num_epochs: int = 0
    num_steps: int = 0  # instead of epochs
    batch_size: int = 32
    max_length: int = 128
    vocab_size: int = 2000


PRETRAINING = Recipe(lr=2e-3, num_steps=900, max_length=32)
RECIPES = {CORPUS: Recipe(lr=5e-4, num_epochs=15, max_length=64),
           "other": Recipe(lr=5e-4, num_epochs=3, vocab_size=8000)}
# From a checkpoint (BERT paper, A.3)
_FROM_CHECKPOINT = Recipe(lr=3e-5, num_epochs=3)


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


def _recipe_of(args: Namespace) -> Recipe:
    if args.model != MODEL:
        return _FROM_CHECKPOINT
    return RECIPES.get(args.corpus, RECIPES["other"])


def _starts(args: Namespace) -> list[str]:
    """What the classifiers start from: bundled sentences, from two things."""
    both = args.model == MODEL and args.corpus == CORPUS
    return [args.model, *[PRETRAINED] * both]


def describe(args: Namespace) -> str:
    """One line: what will be done."""
    return (f"{args.corpus}, {_recipe_of(args).num_epochs} epochs, from "
            f"{' and '.join(map(str, _starts(args)))}")


def work(backend: str, args: Namespace, folder: Path) -> dict[str, Any]:
    """Fine-tune one backend; return results.

    The folder of the last model is `folder`, those of others are in it.
    """
    recipe = _recipe_of(args)
    baselines = count_ngrams(args.corpus)
    result: dict[str, Any] = {
        "backend": backend, "corpus": str(args.corpus),
        "recipe": asdict(recipe), "baselines": baselines, "runs": []}
    for start in _starts(args):
        tok, net = _start(backend, args, start, resume=folder)
        log, scores = _fine_tune(net, tok, recipe, args.corpus, args.steps,
                                 resume=folder)
        if log.diverged:
            raise ValueError(log.diverged)
        place = folder / start if start == MODEL else folder
        with model_folder(place, CONFIG) as draft:
            net.save_pretrained(draft)
            tok.save(draft)
        result["runs"].append({
            "start": str(start), "loss": log.loss, **scores,
            "examples_per_sec": log.per_sec,
            "seconds": log.seconds + log.warmup_seconds})
        if log.stopped:
            break
    return result


def _start(backend: str, args: Namespace, start: str, seed: int = 0,
           resume: Path | None = None) -> tuple[BertTokenizer, Model]:
    """The tokenizer, and a classifier that is not fine-tuned yet.

    Args:
        resume: the folder in which checkpoints of pretraining are kept.
    """
    if start not in (MODEL, PRETRAINED):
        folder = find_checkpoint(start)
        return (BertTokenizer.from_pretrained(folder),
                load_original(backend, _CLASSIFIER, folder, **_task(folder)))
    sentences, _ = read_sst2(sentiment_folder(args.corpus) / "train.tsv")
    # mini-wiki has more to say about the words of its world
    wiki = load_corpus("mini-wiki").train if args.corpus == CORPUS else []
    tok = BertTokenizer.train(
        [*sentences, *(" ".join(s) for text in wiki for s in text)],
        _recipe_of(args).vocab_size)
    config = BertConfig(vocab_size=len(tok), **_SIZES)
    params = initial_params(config.classification_shapes(), seed)
    if start == PRETRAINED:
        learned = _pretrain(backend, config, tok, args.steps, seed, resume)
        params |= {name: array for name, array in learned.items()
                   if name in params}
    return tok, make_original(backend, _CLASSIFIER, config, params)


def _pretrain(backend: str, config: BertConfig, tok: BertTokenizer,
              num_steps: int | None, seed: int, resume: Path | None
              ) -> Params:
    """The weights of a BERT that has read mini-wiki."""
    texts = [[tok.tokenize(" ".join(s)) for s in text]
             for text in load_corpus("mini-wiki").train]
    batches = PretrainingBatches(
        texts, tok.vocab, PRETRAINING.batch_size, PRETRAINING.max_length,
        seed, as_tensors=to_bert_batch)
    net = make_original(backend, "BertForPreTraining", config, seed=seed)
    known = fingerprint(batches.sentences.tokens, tok.tokens)
    log = net.fit(batches, num_steps or PRETRAINING.num_steps, PRETRAINING.lr,
                  seed=seed, resume=resume and checkpoints(
                      resume, "pretraining", corpus=f"mini-wiki ({known})"))
    if log.diverged:
        raise ValueError(log.diverged)
    return net.export_params()


def _fine_tune(net: Model, tok: BertTokenizer, recipe: Recipe,
               corpus: str | Path, num_steps: int | None, seed: int = 0,
               resume: Path | None = None
               ) -> tuple[LossLog, dict[str, float | None]]:
    max_length = min(recipe.max_length, net.net.config.max_position_embeddings)
    splits = net.d2l.load_data_sst2(
        recipe.batch_size, tok, corpus, max_length, seed)
    data = splits[0].dataset
    known = fingerprint(data.inputs["input_ids"], data.labels, tok.tokens)
    # Another start, such as a pretraining that was stopped, has its own place
    start = f"start {fingerprint(net.export_params())}"
    log = net.fit(splits[0], num_steps or recipe.num_epochs * len(splits[0]),
                  recipe.lr, seed=seed, resume=resume and checkpoints(
                      resume, start, corpus=f"{corpus} ({known})"))
    names = ("train_acc", "dev_acc", "test_acc")
    return log, {name: _accuracy(net, batches) if batches else None
                 for name, batches in zip(names, splits)}


def count_ngrams(corpus: str | Path = CORPUS) -> dict[str, list[float]]:
    """{baseline: accuracies on dev and, where it has labels, on test}."""
    folder = sentiment_folder(corpus)
    splits = [read_sst2(folder / f"{split}.tsv") for split in SIZES
              if split != "test" or is_labelled(folder / "test.tsv")]
    found = {}
    for where, cut in (("", str), (", last clause", last_clause)):
        parts = [([*map(cut, sentences)], labels)
                 for sentences, labels in splits]
        for name, weigh in (("naive Bayes", ngram_evidence),
                            ("logistic regression", logistic_regression)):
            for n in (1, 2, 3):
                weights = weigh(*parts[0], n)
                found[f"{name}, n = {n}{where}"] = [
                    ngram_accuracy(weights, *part, n) for part in parts[1:]]
    return found


def learn_factors(seed: int) -> list[float]:
    """Accuracies on dev and test of a `factorization_machine`."""
    folder = sentiment_folder(CORPUS)
    (known, y), *held_out = (
        ([*map(words_by_clause, sentences)], labels) for sentences, labels
        in (read_sst2(folder / f"{split}.tsv") for split in SIZES))
    asked = [text for texts, _ in held_out for text in texts]
    found = np.split(factorization_machine(known, y, asked, seed=seed) > 0,
                     [len(held_out[0][1])])
    return [float(np.mean(guess == np.array(truth)))
            for guess, (_, truth) in zip(found, held_out, strict=True)]


def _accuracy(net: Model, batches: Iterable[Any]) -> float:
    """The share of sentences that net gets right."""
    guess, truth = net.predict_classes(batches)
    return float((guess == truth).mean())


def rows(r: dict[str, Any]) -> list[list[str]]:
    """The rows of a result, for the table: one for each start."""
    return [_row(r["backend"], max(s[-1] for s in r["baselines"].values()),
                 run) for run in r["runs"]]


def _row(backend: str, baseline: float, run: dict[str, Any]) -> list[str]:
    shares = [number(run[name], ".3f")
              for name in ("train_acc", "dev_acc", "test_acc")]
    return [BACKENDS[backend].title, run["start"],
            f"{last_tenth(run['loss']):.3f}", *shares, f"{baseline:.3f}",
            number(run["examples_per_sec"], ".0f"), f"{run['seconds']:.0f}",
            f"notebooks/{backend}/08-bert-from-scratch.ipynb"]


def remarks(results: list[dict[str, Any]]) -> str:
    """A line below the table."""
    return ("n-grams: the best of naive Bayes and logistic regression on one "
            "to three words,\non test, or on dev where test has no labels. "
            "Each model is a folder that\nfrom_pretrained and Hugging Face's "
            "transformers take.")


def draw(results: list[dict[str, Any]], path: Path) -> None:
    """The loss of every backend and start over the steps."""
    runs = [(BACKENDS[r["backend"]].title, run)
            for r in results for run in r["runs"]]
    plot = Animator(xlabel="step", ylabel="loss", figsize=(5, 3), legend=[
        f"{title}, {run['start']}" for title, run in runs])
    for _, run in runs:
        losses = thinned(run["loss"])
        every = len(run["loss"]) / len(losses)
        plot.X.append([every * (i + 1) for i in range(len(losses))])
        plot.Y.append(losses)
    plot.savefig(path)


def main(backend: str = "torch", *seeds: str) -> None:
    """Print a table of both starts: mean and range over the seeds."""
    for name, shares in count_ngrams().items():
        print("|", " | ".join([name, *(f"{s:.3f}" for s in shares)]), "|")
    args = Namespace(corpus=CORPUS, model=MODEL, steps=None)
    numbers = [*map(int, seeds or "012345")]
    _print_row("factorization machine", [*map(learn_factors, numbers)])
    for start in _starts(args):
        found: list[list[float]] = []
        for seed in numbers:
            tok, net = _start(backend, args, start, seed)
            _, scores = _fine_tune(
                net, tok, RECIPES[CORPUS], CORPUS, None, seed)
            found.append([s for s in (scores["dev_acc"], scores["test_acc"])
                          if s is not None])
            print(start, seed, *found[-1], flush=True)
        _print_row(start, found)


def _print_row(name: str, found: list[list[float]]) -> None:
    """A row of the table: mean and range over lists of accuracies."""
    print("|", " | ".join([name, *map(mean_and_range, zip(*found))]), "|")


if __name__ == "__main__":
    main(*sys.argv[1:])
