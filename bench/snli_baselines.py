"""What counting gets on SNLI: the accuracy that a table of BERTs has to beat.

    .venv/bin/python bench/snli_baselines.py

Naive Bayes with add-one smoothing, fitted to the training pairs and scored on
the test pairs. The features are the words of one sentence, the pairs of a word
of the premise and one of the hypothesis, or how many words the two share.
"""

import numpy as np

from d2lbert.data.counting import naive_bayes
from d2lbert.data.snli import nli_folder, read_snli


def words_of_the_hypothesis(premise, hypothesis):
    return hypothesis


def words_of_the_premise(premise, hypothesis):
    return premise


def pairs_of_words(premise, hypothesis):
    return [f"{a} {b}" for a in set(premise) for b in set(hypothesis)]


def shared_words(premise, hypothesis):
    shared = sum(word in premise for word in hypothesis)
    new = len(hypothesis) - shared
    return [f"{shared} shared", f"{new} new", f"{shared} shared, {new} new"]


def accuracy(train, test, features):
    """On test; train and test are premises, hypotheses and labels."""
    known, asked = ([features(p.lower().split(), h.lower().split())
                     for p, h in zip(*data[:2])] for data in (train, test))
    return np.mean(naive_bayes(known, train[2], asked) == np.array(test[2]))


def main():
    folder = nli_folder("snli")
    train = read_snli(folder, split="train")
    test = read_snli(folder, split="test")
    labels = np.array(test[2])
    constant = np.bincount(labels).max() / len(labels)
    print(f"{len(train[2]):,} training pairs, {len(labels):,} test pairs")
    print(f"{constant:.3f} at most with the same answer to all")
    for features in (shared_words, words_of_the_premise,
                     words_of_the_hypothesis, pairs_of_words):
        print(f"{accuracy(train, test, features):.3f} "
              f"{features.__name__.replace('_', ' ')}")


if __name__ == "__main__":
    main()
