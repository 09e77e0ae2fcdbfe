"""A rival that learns how words go together, and reads no order."""

from collections.abc import Hashable, Iterable, Sequence

import numpy as np


def words_by_clause(sentence: str) -> set[tuple[bool, str]]:
    """The words of a sentence, each with whether the last clause has it."""
    *first, last = (part.split() for part in sentence.split(" , "))
    return {(False, word) for part in first for word in part} | {
        (True, word) for word in last}


def factorization_machine(
        texts: Sequence[Iterable[Hashable]], labels: Sequence[int],
        others: Sequence[Iterable[Hashable]], size: int = 16,
        num_epochs: int = 30, lr: float = 1e-2, seed: int = 0) -> np.ndarray:
    """Scores of other texts, above 0 for the label 1.

    Each feature has a weight and a vector, and the score of a text is the sum
    of the weights of its features and of the products of the vectors of each
    two of them (Rendle, 2010, equation 1). So it says something of pairs
    that no text had. Trained by Adam on the logistic loss.

    Args:
        texts, others: the features of each.
        size: of the vectors.

    Returns:
        (len(others),) array, the logits of the label 1.
    """
    # Sorted, since sets have another order in each process
    features = dict.fromkeys(
        f for text in texts for f in sorted(text, key=repr))
    index = {feature: i for i, feature in enumerate(features)}
    X, asked = (_indicators(some, index) for some in (texts, others))
    y, rng = np.asarray(labels), np.random.default_rng(seed)
    # A column of weights, and one for each number of the vectors
    parameters = np.hstack([np.zeros((len(index), 1)), 0.1 *
                            rng.standard_normal((len(index), size))])
    moments, step = np.zeros((2, *parameters.shape)), 0
    for _ in range(num_epochs):
        for rows in np.array_split(rng.permutation(len(y)), len(y) // 64 + 1):
            step += 1
            errors = 1 / (1 + np.exp(-_scores(X[rows], parameters))) - y[rows]
            grad = _gradient(X[rows], parameters, errors / len(rows))
            moments[0] += 0.1 * (grad - moments[0])
            moments[1] += 0.001 * (grad ** 2 - moments[1])
            parameters -= lr * (moments[0] / (1 - 0.9 ** step)) / (
                np.sqrt(moments[1] / (1 - 0.999 ** step)) + 1e-8)
    return _scores(asked, parameters)


def _indicators(texts: Sequence[Iterable[Hashable]],
                index: dict[Hashable, int]) -> np.ndarray:
    """(texts, features), 1 where a text has a known feature."""
    X = np.zeros((len(texts), len(index)))
    for row, text in zip(X, texts):
        row[[index[f] for f in text if f in index]] = 1
    return X


def _scores(X: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    """One a row; the products by Rendle's lemma 3.1."""
    w, V = parameters[:, 0], parameters[:, 1:]
    return X @ w + ((X @ V) ** 2 - X @ V ** 2).sum(1) / 2


def _gradient(X: np.ndarray, parameters: np.ndarray, errors: np.ndarray
              ) -> np.ndarray:
    """Of the loss by the parameters, for its gradient by the scores."""
    V, own = parameters[:, 1:], X.T @ errors
    return np.hstack([own[:, None], X.T @ (errors[:, None] * (X @ V))
                      - own[:, None] * V])
