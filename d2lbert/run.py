"""`make run`: pretrain BERT in every backend and print one table.

Each backend trains in a process of its own, so that the frameworks do not
compete for threads and memory. Results go to results/<corpus>/: the numbers
as JSON, the weights as safetensors, the loss curves as a picture.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from d2lbert.backends import BACKENDS, load_backend, make_bert
from d2lbert.checkpoint import save_params
from d2lbert.corpora import load_corpus
from d2lbert.plotting import Animator
from d2lbert.probe import context_probe
from d2lbert.training import last_tenth
from d2lbert.vocab import unigram_entropy


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

    @property
    def sizes(self):
        """The arguments of `BERTModel` after the vocabulary's size."""
        names = ("num_hiddens", "ffn_num_hiddens", "num_heads", "num_blks",
                 "dropout")
        return {name: getattr(self, name) for name in names}


RECIPES = {
    "mini-wiki": Recipe(128, 32, 1200, 3e-3, dropout=0.0),
    "wikitext-2": Recipe(512, 64, 50, 5e-3, dropout=0.2),
}


def pretrain(backend, corpus, recipe, seed=0):
    """Train one backend by a recipe.

    Returns:
        A dict of plain numbers and lists, and {name: array} of the weights.
    """
    d2l = load_backend(backend)
    where = {"batch_size": recipe.batch_size, "max_len": recipe.max_len,
             "corpus": corpus, "seed": seed}
    train_iter, vocab = d2l.load_data_wiki(**where)
    held_out = d2l.load_held_out_wiki(**where)
    bert = make_bert(backend, len(vocab), seed, **recipe.sizes)
    log = bert.train(train_iter, len(vocab), recipe.num_steps, lr=recipe.lr,
                     warmup=recipe.warmup)
    mlm, nsp, accuracy = bert.evaluate(held_out)
    params = bert.export_params()
    result = {
        "backend": backend, "corpus": str(corpus), "recipe": asdict(recipe),
        "vocab_size": len(vocab), "unigram_entropy": unigram_entropy(vocab),
        "mlm": log.mlm, "nsp": log.nsp, "held_out_mlm": mlm,
        "held_out_nsp": nsp, "held_out_accuracy": accuracy,
        "pairs_per_sec": log.pairs_per_sec, "seconds": log.seconds,
        "warmup_seconds": log.warmup_seconds}
    if corpus == "mini-wiki":
        probe = context_probe(
            lambda pairs: bert.encode(pairs, vocab),
            params["encoder.token_embedding.weight"], vocab)
        result |= {"probe": probe.contextual, "static": probe.static}
    return result, params


COLUMNS = ("backend", "masked-LM loss", "held out", "NSP loss", "NSP acc.",
           "crane", "static", "pairs/s", "seconds", "notebook")


def table(results):
    """The results as a Markdown table, a row a backend."""
    rows = [COLUMNS, ["---"] * len(COLUMNS), *map(_row, results)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    return "\n".join(
        "| " + " | ".join(
            cell.replace("---", "-" * width) if cell == "---"
            else cell.ljust(width) for cell, width in zip(row, widths)) + " |"
        for row in rows)


def _row(r):
    def share(key):
        return f"{r[key]:.2f}" if key in r else "–"

    return [BACKENDS[r["backend"]],
            f"{r['mlm'][0]:.2f} → {last_tenth(r['mlm']):.2f}",
            f"{r['held_out_mlm']:.2f}", f"{r['held_out_nsp']:.3f}",
            f"{r['held_out_accuracy']:.3f}", share("probe"), share("static"),
            f"{r['pairs_per_sec']:.0f}",
            f"{r['seconds'] + r['warmup_seconds']:.0f}",
            f"notebooks/{r['backend']}/bert-pretraining.ipynb"]


def draw_losses(results, path):
    """Both losses of every backend over the steps, as a PNG picture."""
    plot = Animator(xlabel="step", ylabel="loss (nats)", ncols=2,
                    figsize=(8, 3), fmts=["-", "-", "--", "--", ":", ":"],
                    legend=[f"{BACKENDS[r['backend']]}, {task}"
                            for r in results
                            for task in ("masked LM", "next sentence")])
    for r in results:
        for losses in (r["mlm"], r["nsp"]):
            plot.X.append(_smooth(range(1, len(losses) + 1)))
            plot.Y.append(_smooth(losses))
    plot.savefig(path)


def _smooth(values, points=60):
    return [np.mean(part) for part in
            np.array_split(values, min(points, len(values)))]


def run(backends, corpus, steps, folder):
    """Pretrain each backend in a process of its own.

    A backend whose framework is not installed is passed over with a
    sentence that says so.

    Returns:
        The results of `pretrain`, in order.
    """
    results = []
    for backend in backends:
        file = folder / f"{backend}.json"
        file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "d2lbert.run", "--corpus", corpus,
                   "--backend", backend, "--results", folder, "--worker"]
        subprocess.run([*command, *(["--steps", str(steps)] if steps else [])],
                       check=True)
        if file.exists():
            results.append(json.loads(file.read_text()))
    return results


def work(backend, corpus, steps, folder):
    """Pretrain one backend here and write what `run` reads."""
    recipe = RECIPES.get(corpus, RECIPES["wikitext-2"])
    if steps:
        recipe = replace(recipe, num_steps=steps)
    try:
        load_backend(backend)
    except ImportError as error:
        print(f"{BACKENDS[backend]} is left out: {error}", file=sys.stderr)
        return
    print(f"{BACKENDS[backend]}: {corpus}, {recipe.num_steps} steps of "
          f"{recipe.batch_size} pairs", flush=True)
    result, params = pretrain(backend, corpus, recipe)
    save_params(folder / f"{backend}.safetensors", params)
    draft = folder / f"{backend}.json.part"
    draft.write_text(json.dumps(result))
    os.replace(draft, folder / f"{backend}.json")


def arguments(argv=None):
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m d2lbert.run", description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", default="mini-wiki", help="mini-wiki, "
                        "wikitext-2 or a path to a text, a paragraph a line")
    parser.add_argument("--backend", default=",".join(BACKENDS),
                        type=lambda names: names.split(","),
                        help="one or more of torch,mxnet,jax")
    parser.add_argument("--steps", type=int, help="instead of the recipe's")
    parser.add_argument("--results", type=Path, help="folder for weights, "
                        "numbers and picture; default results/<corpus>")
    parser.add_argument("--worker", action="store_true",
                        help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    for name in args.backend:
        if name not in BACKENDS:
            parser.error(f"unknown backend {name!r}: choose from "
                         f"{', '.join(BACKENDS)}")
    if args.steps is not None and args.steps < 1:
        parser.error(f"--steps is {args.steps}, not 1 or more")
    args.results = args.results or Path("results", Path(args.corpus).stem)
    return args


def main(argv=None):
    """Pretrain, print the table, draw the curves. Returns an exit code."""
    args = arguments(argv)
    args.results.mkdir(parents=True, exist_ok=True)
    if args.worker:
        work(args.backend[0], args.corpus, args.steps, args.results)
        return 0
    try:
        load_corpus(args.corpus)  # complain once, before anything trains
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    results = run(args.backend, args.corpus, args.steps, args.results)
    if not results:
        return 1
    picture = args.results / "loss.png"
    draw_losses(results, picture)
    print(f"\n{table(results)}\n\n"
          f"Unigram entropy: {results[0]['unigram_entropy']:.2f} nats a word; "
          "NSP is measured on held-out paragraphs.\n"
          f"Loss curves: {picture}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
