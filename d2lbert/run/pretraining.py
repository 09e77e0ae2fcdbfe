"""Pretrain BERT by a recipe, and what comes out of it."""

from argparse import Namespace
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from d2lbert.backends import BACKENDS, load_backend
from d2lbert.checkpoints.d2l import save_pretrained_model
from d2lbert.data.batches import PretrainingBatches, corpus_vocab
from d2lbert.data.corpora import load_corpus
from d2lbert.data.mini.probe import context_probe
from d2lbert.data.shards import PARTS, ShardBatches, is_folder, open_shards
from d2lbert.data.vocab import unigram_entropy
from d2lbert.run.models import make_bert
from d2lbert.run.report import number, thinned
from d2lbert.run.resume import checkpoints, fingerprint
from d2lbert.training.logs import last_tenth
from d2lbert.training.plotting import Animator

CORPUS, MODEL = "mini-wiki", "random weights"
COLUMNS = ("backend", "masked-LM loss", "held out", "NSP loss", "NSP acc.",
            "crane", "static", "pairs/s", "seconds", "notebook")


@dataclass(frozen=True)
class Recipe:
    """How a corpus is pretrained; lengths in tokens."""
    batch_size: int
    max_len: int
    num_steps: int
    lr: float
    warmup: float = 0.1
    dropout: float = 0.1
    num_hiddens: int = 128
    ffn_num_hiddens: int = 256
    num_heads: int = 2
    num_blks: int = 2
    positions: int = 1000  # the longest text that the model can be given

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes of the model, as arguments of `BERTModel`."""
        names = ("num_hiddens", "ffn_num_hiddens", "num_heads", "num_blks")
        return ({name: getattr(self, name) for name in names}
                | {"max_len": self.positions})


RECIPES = {
    "mini-wiki": Recipe(64, 32, 2000, 3e-3, dropout=0.0),
    "wikitext-2": Recipe(512, 64, 50, 5e-3, dropout=0.2),
}
# In so many steps real text can teach which sentence is next, by this recipe
LONG = 1000
LONG_RECIPE = Recipe(256, 64, 2000, 3e-3)
HELD_OUT = 20_000  # pairs of shards that are measured, at most


def check(args: Namespace) -> None:
    """Raise ValueError or OSError for a corpus that gives no batch."""
    recipe = _recipe_of(args)
    sizes = recipe.batch_size, recipe.max_len
    if is_folder(args.corpus):  # of a shard each, not of all
        shards = open_shards(args.corpus)
        for part in PARTS:
            next(iter(ShardBatches(shards, *sizes, part=part)))
        return
    corpus = load_corpus(args.corpus)
    vocab = corpus_vocab(corpus)
    for paragraphs in (corpus.train, corpus.held_out):
        next(iter(PretrainingBatches(paragraphs, vocab, *sizes)))


def describe(args: Namespace) -> str:
    """One line: what will be done."""
    recipe = _recipe_of(args)
    return (f"{args.corpus}, {recipe.num_steps} steps of "
            f"{recipe.batch_size} pairs")


def _recipe_of(args: Namespace) -> Recipe:
    """The corpus's recipe, with the steps that were asked for."""
    recipe = RECIPES.get(args.corpus, RECIPES["wikitext-2"])
    if args.corpus != "mini-wiki" and args.steps and args.steps >= LONG:
        recipe = LONG_RECIPE
    return replace(recipe, num_steps=args.steps) if args.steps else recipe


def work(backend: str, args: Namespace, folder: Path) -> dict[str, Any]:
    """Pretrain one backend; write the model into folder, return results."""
    return pretrain(backend, args.corpus, _recipe_of(args), folder,
                    can_resume=True)


def pretrain(backend: str, corpus: str, recipe: Recipe, folder: str | Path,
             seed: int = 0, can_resume: bool = False) -> dict[str, Any]:
    """Train one backend by a recipe and write the model into a folder.

    The folder then is one that `load_pretrained_model` takes.

    Args:
        can_resume: whether to keep checkpoints in the folder, and to go on
            with them.

    Returns:
        A dict of plain numbers and lists; empty in all workers but the first.

    Raises:
        ValueError: if the loss does not stay finite; no model is written.
    """
    d2l = load_backend(backend)
    workers = d2l.join_workers()
    where = {"batch_size": recipe.batch_size, "max_len": recipe.max_len,
             "corpus": corpus, "seed": seed}
    train_iter, vocab = d2l.load_data_wiki(**where)
    held_out = d2l.load_held_out_wiki(**where)
    if isinstance(held_out, ShardBatches):  # 5 % may be a day's work
        held_out = _First(held_out, max(1, HELD_OUT // recipe.batch_size))
    bert = make_bert(backend, len(vocab), seed, dropout=recipe.dropout,
                     **recipe.sizes)
    known = fingerprint(train_iter.contents, vocab.idx_to_token)
    log = bert.train(
        train_iter, len(vocab), recipe.num_steps, lr=recipe.lr,
        warmup=recipe.warmup, seed=seed, workers=workers, resume=checkpoints(
            folder, "pretraining", corpus=f"{corpus} ({known})",
            dropout=recipe.dropout, num_heads=recipe.num_heads)
        if can_resume else None)
    if log.diverged:
        raise ValueError(log.diverged)
    if not workers.is_first:
        return {}
    params = bert.export_params()
    save_pretrained_model(folder, params, vocab, **recipe.sizes)
    mlm, nsp, accuracy = bert.evaluate(held_out)
    result = {
        "backend": backend, "corpus": str(corpus), "recipe": asdict(recipe),
        "vocab_size": len(vocab), "unigram_entropy": unigram_entropy(vocab),
        "mlm": log.mlm, "nsp": log.nsp, "held_out_mlm": mlm,
        "held_out_nsp": nsp, "held_out_accuracy": accuracy,
        "pairs_per_sec": log.pairs_per_sec, "seconds": log.seconds,
        "warmup_seconds": log.warmup_seconds, "workers": workers.size,
        "stopped": log.stopped}
    if corpus == "mini-wiki":
        probe = context_probe(
            lambda pairs: bert.encode(pairs, vocab),
            params["encoder.token_embedding.weight"], vocab)
        result |= {"probe": probe.contextual, "static": probe.static}
    return result


class _First:
    """The first batches of a held-out loader, the same ones each time."""

    def __init__(self, loader: ShardBatches, number: int) -> None:
        self.loader, self.number = loader, number

    def __len__(self) -> int:
        return min(len(self.loader), self.number)

    def __iter__(self) -> Iterator[Any]:
        return islice(self.loader, self.number)

    def trimmed(self) -> Iterator[Any]:
        return islice(self.loader.trimmed(), self.number)


def rows(r: dict[str, Any]) -> list[list[str]]:
    """The row of a result, for the table."""
    return [[BACKENDS[r["backend"]].title,
            f"{r['mlm'][0]:.2f} → {last_tenth(r['mlm']):.2f}",
            f"{r['held_out_mlm']:.2f}", f"{r['held_out_nsp']:.3f}",
            f"{r['held_out_accuracy']:.3f}", number(r.get("probe"), ".2f"),
            number(r.get("static"), ".2f"), number(r["pairs_per_sec"], ".0f"),
            f"{r['seconds'] + r['warmup_seconds']:.0f}",
            f"notebooks/{r['backend']}/03-bert-pretraining.ipynb"]]


def remarks(results: list[dict[str, Any]]) -> str:
    """A line below the table."""
    return (f"Unigram entropy: {results[0]['unigram_entropy']:.2f} nats a "
            "word; NSP is measured on held-out paragraphs.")


def draw(results: list[dict[str, Any]], path: Path) -> None:
    """Both losses of every backend over the steps, as a PNG picture."""
    plot = Animator(xlabel="step", ylabel="loss (nats)", ncols=2,
                    figsize=(8, 3), fmts=["-", "-", "--", "--", ":", ":"],
                    legend=[f"{BACKENDS[r['backend']].title}, {task}"
                            for r in results
                            for task in ("masked LM", "next sentence")])
    for r in results:
        for losses in (r["mlm"], r["nsp"]):
            plot.X.append(thinned(range(1, len(losses) + 1)))
            plot.Y.append(thinned(losses))
    plot.savefig(path)
