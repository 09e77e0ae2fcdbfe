"""Classifiers that count: what a task gives away to whom reads no order.

Every score of a large model is compared with one of these.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence

import numpy as np

Row = Sequence[Hashable]  # the features of an example, with repetition


def naive_bayes(rows: Sequence[Row], labels: Sequence[int],
                others: Sequence[Row]) -> np.ndarray:
    """Labels for other examples, learned from rows of features.

    Labels, and features with each label, are counted once more than they
    were seen (McCallum and Nigam, 1998); features that were never seen are
    passed over.

    Args:
        labels: integers from 0, one a row.

    Returns:
        (len(others),) array; of equally likely labels the first.
    """
    index: dict[Hashable, int] = {}
    for row in rows:
        for feature in row:
            index.setdefault(feature, len(index))
    priors = np.bincount(labels) + 1.0
    counts = np.ones((len(priors), len(index)))
    for row, label in zip(rows, labels, strict=True):
        np.add.at(counts[label], [index[f] for f in row], 1)
    scores = np.log(counts / counts.sum(1, keepdims=True))
    sums = np.zeros((len(others), len(priors)))
    for i, row in enumerate(others):
        sums[i] = scores[:, [index[f] for f in row if f in index]].sum(1)
    return (np.log(priors) + sums).round(9).argmax(1)  # equal ones tie


def word_pmi(texts: Sequence[Iterable[str]]
             ) -> tuple[dict[str, int], np.ndarray]:
    """Pointwise mutual information of words that occur in the same text.

    Args:
        texts: sentences or paragraphs, iterables of words.

    Returns:
        {word: row} and the matrix of log P(v, w) / (P(v) P(w)).
    """
    words = sorted({word for text in texts for word in text})
    index = {word: row for row, word in enumerate(words)}
    joint = np.full((len(index), len(index)), 0.1)  # for what never occurs
    for text in texts:
        rows = [index[word] for word in set(text)]
        joint[np.ix_(rows, rows)] += 1
    joint /= len(texts)
    single = joint.diagonal()
    return index, np.log(joint / np.outer(single, single))


def pmi_features(index: dict[str, int], pmi: np.ndarray
                 ) -> Callable[[Sequence[str], Sequence[str]], list[str]]:
    """A function from a pair to its largest and its mean PMI, rounded.

    Words that stand in both sentences are left out.

    Args:
        index, pmi: as `word_pmi` gives them.
    """
    def features(premise: Sequence[str], hypothesis: Sequence[str]
                 ) -> list[str]:
        a = [index[w] for w in premise if w in index and w not in hypothesis]
        b = [index[w] for w in hypothesis if w in index and w not in premise]
        table = pmi[np.ix_(a, b)] if a and b else np.zeros((1, 1))
        return [f"largest {2 * table.max():.0f}",
                f"mean {4 * table.mean():.0f}"]
    return features


class Neighbours:
    """What counts of a text say between two tokens: rivals of a masked LM.

    Args:
        sentences: to count, lists of tokens. The first and the last token of
            each, such as "<cls>" and "<sep>", are only neighbours.

    Attributes:
        most_frequent: the token; after, before: {token: the most frequent
            next to it}; between: {(left, right): the one between them}.

    Raises:
        ValueError: if there is nothing between two edges.
    """
    rivals = ("most frequent word", "previous token", "next token",
              "both neighbours")

    def __init__(self, sentences: Iterable[Sequence[Hashable]]) -> None:
        words: Counter = Counter()
        tables: list[dict] = [defaultdict(Counter) for _ in range(3)]
        after, before, between = tables
        for tokens in sentences:
            words.update(tokens[1:-1])
            for left, word, right in zip(tokens, tokens[1:], tokens[2:]):
                after[left][word] += 1
                before[right][word] += 1
                between[left, right][word] += 1
        if not words:
            raise ValueError("no sentence has a token between its edges")
        self.most_frequent = words.most_common(1)[0][0]
        self.after, self.before, self.between = (
            {key: counts.most_common(1)[0][0] for key, counts in
             table.items()} for table in tables)

    def __call__(self, left: Hashable, right: Hashable) -> list[Hashable]:
        """What each of the rivals says between two tokens."""
        next_to = self.after.get(left, self.most_frequent)
        return [self.most_frequent, next_to,
                self.before.get(right, self.most_frequent),
                self.between.get((left, right),
                                 self.before.get(right, next_to))]
