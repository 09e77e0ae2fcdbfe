"""Word n-grams as evidence for one of two labels: what counting can tell.

The baseline beside which a model that reads sentences has to stand. Weights
are {n-gram: weight}; a sentence has label 1 if those of its n-grams sum to
more than 0.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

Weights = dict[str, float]


def ngrams(sentence: str, n: int) -> list[str]:
    """The different word n-grams of a sentence, of 1 to n words.

    "^" is the start of the sentence.
    """
    words = ["^", *sentence.split()]
    return [*dict.fromkeys(" ".join(words[i:i + k]) for k in range(1, n + 1)
                           for i in range(len(words) - k + 1))]


def ngram_evidence(sentences: Sequence[str], labels: Sequence[int], n: int = 1
                ) -> Weights:
    """Weigh n-grams by how often they stand in sentences of each label.

    An n-gram weighs the logarithm of (count in sentences with label 1, plus
    one) by (count in those with label 0, plus one).
    """
    counts: tuple[Counter[str], Counter[str]] = Counter(), Counter()
    for sentence, label in zip(sentences, labels, strict=True):
        counts[label].update(ngrams(sentence, n))
    return {gram: float(np.log((counts[1][gram] + 1) / (counts[0][gram] + 1)))
            for gram in counts[0] | counts[1]}


def logistic_regression(sentences: Sequence[str], labels: Sequence[int],
                        n: int = 1, num_steps: int = 200, lr: float = 10.0,
                        decay: float = 1e-3) -> Weights:
    """Weigh n-grams by logistic regression, by steps of gradient descent.

    Args:
        decay: of the weights, for each unit of the learning rate.
    """
    found = [ngrams(sentence, n) for sentence in sentences]
    ids = {gram: i for i, gram in enumerate(
        dict.fromkeys(gram for grams in found for gram in grams))}
    rows = np.repeat(np.arange(len(found)), [len(grams) for grams in found])
    columns = np.array([ids[gram] for grams in found for gram in grams])
    # n-grams of a sentence share its gradient: long ones do not count more
    scale = np.array([len(grams) for grams in found]) ** -0.5
    weights, y = np.zeros(len(ids)), np.asarray(labels)
    for _ in range(num_steps):
        scores = scale * np.bincount(rows, weights[columns], len(found))
        errors = scale * (y - 1 / (1 + np.exp(-scores))) / len(found)
        weights += lr * (np.bincount(columns, errors[rows], len(ids))
                         - decay * weights)
    return dict(zip(ids, weights.tolist()))


def ngram_accuracy(weights: Weights, sentences: Sequence[str],
                   labels: Sequence[int], n: int = 1) -> float:
    """The share of sentences whose label the weights give."""
    scores = [sum(weights.get(gram, 0.0) for gram in ngrams(sentence, n))
              for sentence in sentences]
    return float(np.mean((np.array(scores) > 0) == np.asarray(labels)))


def last_clause(sentence: str) -> str:
    """What stands behind the last comma."""
    return sentence.split(" , ")[-1]
