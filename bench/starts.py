"""What a start is worth on mini-nli: three seeds each, mean and range.

    .venv/bin/python bench/starts.py [--backend mxnet] [--seeds 3]

A classifier of pairs is fine-tuned as by `make run CHAPTER=nli-bert`, starting
from random weights, from bert.mini, and from parts of it, which tell the
causes of the difference apart. A seed fixes the new weights and the batches.
Rivals that count stand above, from the pairs and from mini-wiki's text.
"""

import argparse
import contextlib
import io
from dataclasses import asdict
from itertools import product

import numpy as np

from d2lbert.backends import load_backend
from d2lbert.checkpoints.d2l import load_pretrained_params
from d2lbert.data.corpora import load_corpus
from d2lbert.data.counting import naive_bayes, pmi_features, word_pmi
from d2lbert.data.mini.nli import senses
from d2lbert.data.snli import LABELS, SPLITS, nli_folder, read_snli
from d2lbert.run.models import make_classifier
from d2lbert.run.nli import RECIPES

TOKENS = "encoder.token_embedding.weight"
RECIPE = RECIPES["mini-nli"]


def starts(params, vocab):
    """{name in the table: weights to start from}."""
    words = np.arange(len(vocab.idx_to_token))
    own = [i for i, token in enumerate(vocab.idx_to_token) if token[0] != "<"]
    words[own] = np.random.default_rng(0).permutation(own)
    shuffled = params | {TOKENS: params[TOKENS][words]}
    return {"random weights": {},
            "bert.mini, words exchanged": shuffled,
            "token embeddings of bert.mini only": {TOKENS: params[TOKENS]},
            "all of bert.mini but these": {
                k: v for k, v in params.items() if k != TOKENS},
            "bert.mini": params}


def scores(truth, guess):
    """Accuracy; of subject, neutral or not; of sense, where both are not."""
    neutral = LABELS.index("neutral")
    same, said = truth != neutral, guess != neutral
    both = same & said
    return (np.mean(truth == guess), np.mean(same == said),
            np.mean(truth[both] == guess[both]) if both.any() else 0.5)


def counted(splits):
    """Rows for what counting gets on test."""
    homographs = {word for word, _ in senses()}
    wiki = [[w for s in p for w in s] for p in load_corpus("mini-wiki").train]
    for name, view in (
            ("naive Bayes, hypothesis", lambda p, h: h),
            ("naive Bayes, pairs of words", lambda p, h: list(
                product(sorted(set(p)), sorted(set(h))))),
            ("naive Bayes, homograph and hypothesis", lambda p, h: list(
                product(sorted(homographs & {*p}), h))),
            ("PMI in mini-wiki's paragraphs",
             pmi_features(*word_pmi(wiki)))):
        rows = {split: [view(p.split(), h.split()) for p, h in zip(*texts)]
                for split, (*texts, _) in splits.items()}
        guess = naive_bayes(rows["train"], splits["train"][2], rows["test"])
        yield name, [scores(np.array(splits["test"][2]), guess)]


def row(name, found):
    """Mean and range over the seeds."""
    cells = []
    for values in zip(*found):
        cell = f"{np.mean(values):.3f}"
        if len(values) > 1:
            cell += f" ({min(values):.3f} to {max(values):.3f})"
        cells.append(cell)
    return f"| {name} | {' | '.join(cells)} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", default="torch")
    parser.add_argument("--model", default="bert.mini")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=RECIPE.num_epochs)
    parser.add_argument("--only", nargs="*", metavar="START",
                        help="the starts, by their names in the table")
    args = parser.parse_args()
    folder = nli_folder("mini-nli")
    params, vocab, sizes = load_pretrained_params(args.model)
    d2l = load_backend(args.backend)
    print(f"{args.backend}, {asdict(RECIPE) | {'num_epochs': args.epochs}}\n")
    print("| start | test | subject | sense |\n| --- | --- | --- | --- |")
    splits = {s: read_snli(folder, split=s) for s in SPLITS}
    for name, found in counted(splits):
        print(row(name, found), flush=True)
    for name, start in starts(params, vocab).items():
        if args.only and name not in args.only:
            continue
        found = []
        for seed in range(args.seeds):
            with contextlib.redirect_stdout(io.StringIO()):
                train_iter, dev_iter, test_iter = d2l.load_data_snli_bert(
                    RECIPE.batch_size, RECIPE.max_len, vocab, folder, seed)
                net = make_classifier(
                    args.backend, len(vocab), seed, start,
                    dropout=RECIPE.dropout, **sizes)
                net.fine_tune(train_iter, dev_iter, None, args.epochs,
                              RECIPE.lr, warmup=RECIPE.warmup, seed=seed)
                guess, truth = net.predict(test_iter)
            found.append(scores(truth, guess))
        print(row(name, found), flush=True)


if __name__ == "__main__":
    main()
