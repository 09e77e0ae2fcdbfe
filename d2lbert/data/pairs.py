"""Pairs of sentences as arrays and batches (d2l 16.4.2 and 16.7.2).

N is a number of pairs, B of those in a batch, L a length in tokens.
"""

from collections.abc import Callable, Iterator, Sequence, Sized
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from d2lbert.checks import warn_of_unknown
from d2lbert.data.batches import AsTensors, Batches
from d2lbert.data.pretraining import (
    RESERVED_TOKENS,
    Texts,
    join_pairs,
    truncate_pairs,
)
from d2lbert.data.vocab import Vocab, tokenize

MIN_FREQ = 5  # d2l 16.4.2: rarer words become <unk>
STEP = 8      # lengths of batches are multiples of it
CHUNK = 4096  # pairs turned into padded arrays at a time


class Dataset(Protocol):
    """What batches are drawn from."""

    @property
    def lengths(self) -> np.ndarray:
        """(N,) in tokens."""

    def batch(self, rows: np.ndarray) -> Any:
        """A batch of tensors from some examples."""

    def __len__(self) -> int: ...


class _PaddedPairs:
    """The arrays that d2l's data set of pairs has, made when asked for.

    Attributes:
        all_token_ids, all_segments: (N, max_len); valid_lens, labels: (N,).
    """
    inputs: Callable[[np.ndarray], tuple[np.ndarray, ...]]
    as_tensors: AsTensors
    targets: np.ndarray

    @cached_property
    def _padded(self) -> tuple[Any, ...]:
        rows = np.arange(len(self))
        parts = [self.inputs(rows[start:start + CHUNK])
                 for start in range(0, len(rows), CHUNK)]
        return self.as_tensors((*map(np.concatenate, zip(*parts)),
                                self.targets))

    all_token_ids = property(lambda self: self._padded[0])
    all_segments = property(lambda self: self._padded[1])
    valid_lens = property(lambda self: self._padded[2])
    labels = property(lambda self: self._padded[3])

    def __getitem__(self, idx: Any) -> tuple[tuple[Any, ...], Any]:
        tokens, segments, valid_lens, labels = self._padded
        return (tokens[idx], segments[idx], valid_lens[idx]), labels[idx]

    def __len__(self) -> int:
        return len(self.targets)


class SNLIBERTDataset(_PaddedPairs):
    """Pairs of sentences as BERT's inputs (d2l 16.7.2), in lower case.

    Args:
        dataset: premises, hypotheses, labels, as `read_snli` gives them.
        max_len: the length to which pairs are cut (`truncate_pairs`).
        vocab: by default the words that are seen five times in `dataset`.
        as_tensors: turns a tuple of NumPy arrays into a backend's tensors.
    """

    def __init__(self, dataset: tuple[list, ...], max_len: int,
                 vocab: Vocab | None = None,
                 as_tensors: AsTensors = tuple) -> None:
        premises, hypotheses = (
            tokenize([sentence.lower() for sentence in sentences])
            for sentences in dataset[:2])
        self.targets = np.array(dataset[2], np.int32)
        _check_pairs(premises, hypotheses, self.targets)
        if vocab is None:
            vocab = Vocab(premises + hypotheses, MIN_FREQ, RESERVED_TOKENS)
        self.vocab, self.max_len = vocab, max_len
        self.as_tensors = as_tensors
        self.texts = Texts.of([vocab[s] for s in premises + hypotheses])
        len_a, len_b = self.texts.length.reshape(2, -1)
        self.lengths = np.add(*truncate_pairs(len_a, len_b, max_len)) + 3
        print(f"read {len(self)} examples")

    def inputs(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """tokens, segments (B, max_len) and valid_lens (B,) of some pairs."""
        return join_pairs(self.texts, rows, rows + len(self), self.max_len,
                          self.vocab)

    def batch(self, rows: np.ndarray) -> tuple[tuple[Any, ...], Any]:
        """(tokens, segments, valid_lens), labels, as wide as is needed."""
        tokens, segments, valid_lens = self.inputs(rows)
        length = min(-(-valid_lens.max() // STEP) * STEP, self.max_len)
        *X, y = self.as_tensors((tokens[:, :length], segments[:, :length],
                                 valid_lens, self.targets[rows]))
        return tuple(X), y


def _check_pairs(premises: list, hypotheses: list, labels: Sized
                 ) -> None:
    """Raise ValueError unless there are pairs, each with a label."""
    if not len(premises) == len(hypotheses) == len(labels) > 0:
        raise ValueError(
            f"{len(premises)} premises, {len(hypotheses)} hypotheses and "
            f"{len(labels)} labels are not a set of pairs")


class PairBatches(Batches):
    """The batches of a data set, of similar length, trimmed.

    Iterating again gives a new epoch: the same pairs in another order.

    Args:
        dataset: a `SNLIBERTDataset`, `SNLIDataset` or `SentimentDataset`.
        batch_size, seed, is_train: as in `Batches`.
    """

    def __init__(self, dataset: Dataset, batch_size: int, seed: int = 0,
                 is_train: bool = True) -> None:
        super().__init__(len(dataset), batch_size, seed, is_train)
        self.dataset = dataset

    def __iter__(self) -> Iterator[Any]:
        # Pairs that are padded alike stay shuffled: length may tell the label
        widths = -(-self.dataset.lengths // STEP)
        order = self._order(widths, self._new_epoch())
        return map(self.dataset.batch, order)


def pairs_vocab(dataset: tuple[list, ...], order: str = "frequency") -> Vocab:
    """The words seen five times in premises or hypotheses, and `<pad>`.

    Args:
        dataset: as `read_snli` gives it; order: as in `Vocab`.
    """
    premises, hypotheses = map(tokenize, dataset[:2])
    return Vocab(premises + hypotheses, MIN_FREQ, ["<pad>"], order)


def truncate_pad(line: Sequence[Any], num_steps: int, padding_token: Any
                 ) -> list:
    """The first num_steps items of a line, padded to as many (d2l 10.5.3)."""
    return [*line[:num_steps], *[padding_token] * (num_steps - len(line))]


class SNLIDataset:
    """Premises and hypotheses apart, cut or padded to num_steps (d2l 16.4.2).

    Args:
        dataset: premises, hypotheses, labels, as `read_snli` gives them.
        vocab: by default the words that are seen five times in `dataset`.
        as_tensors: turns a tuple of NumPy arrays into a backend's tensors.

    Attributes:
        premises, hypotheses: (N, num_steps) token ids; labels: (N,).
    """

    def __init__(self, dataset: tuple[list, ...], num_steps: int,
                 vocab: Vocab | None = None,
                 as_tensors: AsTensors = tuple) -> None:
        self.num_steps = num_steps
        premises, hypotheses = map(tokenize, dataset[:2])
        self.vocab = vocab if vocab is not None else pairs_vocab(dataset)
        self.premises, self.hypotheses, self.labels = as_tensors((
            self._pad(premises), self._pad(hypotheses),
            np.array(dataset[2], np.int32)))
        print(f"read {len(self)} examples")

    def _pad(self, sentences: list[list[str]]) -> np.ndarray:
        pad = self.vocab["<pad>"]
        ids = np.empty((len(sentences), self.num_steps), np.int32)
        for row, words in zip(ids, sentences):
            row[:] = truncate_pad(self.vocab[words], self.num_steps, pad)
        return ids

    @property
    def lengths(self) -> np.ndarray:
        """(N,) all the same: what `PairBatches` sorts by."""
        return np.full(len(self), self.num_steps)

    def batch(self, rows: np.ndarray) -> tuple[tuple[Any, Any], Any]:
        """(premises, hypotheses), labels of some pairs."""
        return self[rows]

    def __getitem__(self, idx: Any) -> tuple[tuple[Any, Any], Any]:
        return (self.premises[idx], self.hypotheses[idx]), self.labels[idx]

    def __len__(self) -> int:
        return len(self.premises)


def pairs_to_inputs(
        pairs: Sequence[tuple[str | list[str], str | list[str]]],
        max_len: int, vocab: Vocab) -> tuple[np.ndarray, ...]:
    """Model inputs for pairs of sentences that somebody typed.

    A warning names the words that are not in the vocabulary.

    Args:
        pairs: list of (premise, hypothesis), each a str, which becomes lower
            case and is split at spaces, or a list of tokens.
        max_len: longer pairs are cut as in `SNLIBERTDataset`.

    Returns:
        tokens (N, L), segments (N, L), valid_lens (N,), int32 arrays.

    Raises:
        ValueError: for no pair, or a sentence without words.
    """
    if not len(pairs) or any(
            isinstance(pair, str) or len(pair) != 2 for pair in pairs):
        raise ValueError(f"{pairs!r} is not a list of pairs: give one such "
                         "as [('a man sleeps', 'a man is awake')]")
    for sentence in (s for pair in pairs for s in pair):
        if not isinstance(sentence, (str, list, tuple)):
            raise ValueError(f"a sentence is {sentence!r}, not a str or a "
                             "list of tokens")
    sentences = [s.lower().split() if isinstance(s, str) else list(s)
                 for column in zip(*pairs) for s in column]
    if not all(sentences):
        raise ValueError("a premise or a hypothesis is empty: type at least "
                         "one word for each")
    warn_of_unknown(sentences, vocab.token_to_idx)
    rows = np.arange(len(pairs))
    tokens, segments, valid_lens = join_pairs(
        Texts.of([vocab[s] for s in sentences]), rows, rows + len(pairs),
        max_len, vocab)
    length = valid_lens.max()
    return tokens[:, :length], segments[:, :length], valid_lens
