"""Rivals of BERT in inference: what the pairs alone teach, and what a text.

    .venv/bin/python bench/factors.py

prints accuracies on mini-nli, after all training pairs and after a tenth of
them, and on the two labels of the chapter on fine-tuning. Factorization
machines, one for each label against the others, learn from the words of the
premise and those of the hypothesis and read nothing but the pairs: mean and
range of three seeds. Naive Bayes over mutual information (PMI) counts which
words share paragraphs of mini-wiki.
"""

import numpy as np

from d2lbert import shared as d2l
from d2lbert.data.factors import factorization_machine
from d2lbert.data.mini.nli import LABELS, Pair, mini_nli
from d2lbert.run.report import mean_and_range

SEEDS = 0, 1, 2
SIZE = 4  # of the vectors


def main() -> None:
    """Print a line for each rival, number of pairs and part."""
    folder = d2l.nli_folder("mini-nli")
    train, *held_out = (d2l.read_snli(folder, split=split)
                        for split in ("train", "dev", "test"))
    for number in (600, len(train[2])):
        known = [column[:number] for column in train]
        compare(f"mini-nli, {number} pairs", known,
                dict(zip(("dev", "test"), held_out)))
    known, asked = (of_two(mini_nli(number, 7, part))
                    for number, part in ((3000, "train"), (900, "test")))
    compare(f"same sense or not, {len(known[2])} pairs", known,
            {"test": asked})


def compare(what, known, parts) -> None:
    """Print what both rivals say of parts, {name: columns}."""
    texts = [[(p.split(), h.split()) for p, h in zip(*part[:2])]
             for part in (known, *parts.values())]
    ends = np.cumsum([len(part) for part in texts[1:-1]], dtype=int)
    asked = [pair for part in texts[1:] for pair in part]
    guesses = {
        "factorization machine": [
            by_factors(texts[0], known[2], asked, seed) for seed in SEEDS],
        "PMI": [by_pmi(texts[0], known[2], asked)]}
    for rival, found in guesses.items():
        parted = zip(*(np.split(guess, ends) for guess in found))
        for (name, part), guess in zip(parts.items(), parted):
            print(f"{what}, {rival}, {name}:", mean_and_range(
                [np.mean(one == np.array(part[2])) for one in guess]))


def by_factors(known, labels, asked, seed):
    """Labels by a factorization machine for each."""
    texts, others = ([{*(("premise", w) for w in p),
                       *(("hypothesis", w) for w in h)} for p, h in pairs]
                     for pairs in (known, asked))
    return np.argmax([factorization_machine(
        texts, [int(y == label) for y in labels], others, SIZE, seed=seed)
        for label in range(1 + max(labels))], axis=0)


def by_pmi(known, labels, asked):
    """Labels by naive Bayes over the largest and the mean PMI of a pair."""
    features = d2l.pmi_features(*d2l.word_pmi([
        [word for s in paragraph for word in s]
        for paragraph in d2l.load_corpus("mini-wiki").train]))
    return d2l.naive_bayes([features(*pair) for pair in known], labels,
                           [features(*pair) for pair in asked])


def of_two(pairs: list[Pair]) -> tuple[list[str], list[str], list[int]]:
    """Premises, hypotheses and labels of the pairs that are not neutral."""
    some = [p for p in pairs if p.label != "neutral"]
    return ([" ".join(p.premise) for p in some],
            [" ".join(p.hypothesis) for p in some],
            [LABELS.index(p.label) for p in some])


if __name__ == "__main__":
    main()
