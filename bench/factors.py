"""A rival of BERT in inference that learns from the labelled pairs alone.

    .venv/bin/python bench/factors.py

prints the accuracy of factorization machines on mini-nli, one for each label
against the others, and on the two labels of the chapter on fine-tuning: mean
and range of three seeds. Features are the words of the premise and the words
of the hypothesis; nothing is read but the pairs.
"""

import numpy as np

from d2lbert import shared as d2l
from d2lbert.data.factors import factorization_machine
from d2lbert.data.mini.nli import LABELS, Pair, mini_nli

SEEDS = 0, 1, 2
SIZE = 4  # of the vectors


def main() -> None:
    """Print a line for each task."""
    folder = d2l.nli_folder("mini-nli")
    train, *held_out = (d2l.read_snli(folder, split=split)
                        for split in ("train", "dev", "test"))
    for number in (600, len(train[2])):
        some = [column[:number] for column in train]
        for split, part in zip(("dev", "test"), held_out):
            print(f"mini-nli, {number} pairs, {split}:", spread(
                [accuracy(some, part, seed) for seed in SEEDS]))
    known, asked = (of_two(mini_nli(number, 7, part))
                    for number, part in ((3000, "train"), (900, "test")))
    print(f"same sense or not, {len(known[2])} pairs, test:",
          spread([accuracy(known, asked, seed) for seed in SEEDS]))


def of_two(pairs: list[Pair]) -> tuple[list[str], list[str], list[int]]:
    """Premises, hypotheses and labels of the pairs that are not neutral."""
    some = [p for p in pairs if p.label != "neutral"]
    return ([" ".join(p.premise) for p in some],
            [" ".join(p.hypothesis) for p in some],
            [LABELS.index(p.label) for p in some])


def accuracy(known, asked, seed: int) -> float:
    """The share of asked pairs that get their label."""
    texts, others = ([{*(("premise", w) for w in p.split()),
                       *(("hypothesis", w) for w in h.split())}
                      for p, h in zip(*part[:2])] for part in (known, asked))
    scores = [factorization_machine(
        texts, [int(y == label) for y in known[2]], others, SIZE, seed=seed)
        for label in range(1 + max(known[2]))]
    return float(np.mean(np.argmax(scores, axis=0) == np.array(asked[2])))


def spread(shares) -> str:
    """'0.870 (0.850 to 0.900)'."""
    return f"{np.mean(shares):.3f} ({min(shares):.3f} to {max(shares):.3f})"


if __name__ == "__main__":
    main()
