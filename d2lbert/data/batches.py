"""Pretraining examples in batches: shuffled, bucketed by length, seeded.

A batch is a 7-tuple as in d2l 15.9: tokens_X (B, L), segments_X (B, L),
valid_lens_x (B,), pred_positions_X (B, P), mlm_weights_X (B, P),
mlm_Y (B, P), nsp_y (B,). Batches are made here, in NumPy, once for all
backends: the same seed gives each of them the same bytes in the same order.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from d2lbert.checks import warn
from d2lbert.data.corpora import Corpus, Paragraphs
from d2lbert.data.pretraining import (
    MASK_RATE,
    RESERVED_TOKENS,
    index_sentences,
    join_pairs,
    mask_tokens,
    next_sentence_pairs,
    ordinary_words,
    truncate_pairs,
)
from d2lbert.data.vocab import Vocab

MIN_FREQ = 5  # d2l 15.9.2: rarer words become <unk>
POOL = 64     # batches that are sorted by length together
Batch = tuple[np.ndarray, ...]
AsTensors = Callable[[Any], Any]  # NumPy arrays into those of a backend


class Batches:
    """Batches of examples of similar length; iterating again is a new epoch.

    An epoch is drawn from the seed and its number alone.

    Args:
        num_examples: of an epoch.
        batch_size: examples a batch. In training a last, smaller batch is
            left out if there is another: it would mean another shape to
            compile for. If there is no other, a warning says so.
        seed: any non-negative integer.
        is_train: False keeps all examples, in the same batches each time.

    Raises:
        ValueError: for a batch_size below 1.
    """

    def __init__(self, num_examples: int, batch_size: int, seed: int = 0,
                 is_train: bool = True) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}, not 1 or more")
        if is_train and 0 < num_examples < batch_size:
            warn(f"batch_size is {batch_size}, but an epoch has only "
                 f"{num_examples} examples: its one batch holds them all")
        self.num_examples, self.batch_size = num_examples, batch_size
        self.seed, self.epoch, self.is_train = seed, 0, is_train

    def __len__(self) -> int:
        whole, rest = divmod(self.num_examples, self.batch_size)
        return whole + (rest > 0 and (whole == 0 or not self.is_train))

    def skip_epochs(self, number: int) -> None:
        """Pass over so many epochs, without making their batches."""
        self.epoch += number * self.is_train

    def _new_epoch(self) -> np.random.Generator:
        """The random numbers of the next epoch."""
        rng = np.random.default_rng([self.seed, self.epoch])
        self.epoch += self.is_train
        return rng

    def _order(self, lengths: np.ndarray, rng: np.random.Generator
               ) -> list[np.ndarray]:
        """The rows of each batch of an epoch, a list of index arrays."""
        return bucketed(lengths, self.batch_size, rng)[:len(self)]


class PretrainingBatches(Batches):
    """The batches of a corpus; iterating again gives a new epoch.

    Every epoch draws its own false next sentences, order and masks, from
    the seed and the epoch's number alone.

    Args:
        paragraphs: list of paragraphs, lists of sentences (lists of tokens).
        vocab: a `Vocab` with the reserved tokens.
        batch_size, seed, is_train: as in `Batches`.
        max_len: L, the length to which examples are cut or padded.
        as_tensors: turns the NumPy 7-tuple into a backend's tensors.

    Raises:
        ValueError: for a corpus without pairs or a max_len without room for
            two sentences.
    """

    def __init__(self, paragraphs: Paragraphs, vocab: Vocab, batch_size: int,
                 max_len: int, seed: int = 0, is_train: bool = True,
                 as_tensors: AsTensors = tuple) -> None:
        self.sentences = s = index_sentences(paragraphs, vocab)
        super().__init__(len(s.start) - len(np.unique(s.first)), batch_size,
                         seed, is_train)
        truncate_pairs(1, 1, max_len)  # complain now, not at the first batch
        self.words, self.vocab = ordinary_words(vocab), vocab
        self.max_len, self.as_tensors = max_len, as_tensors

    def __iter__(self) -> Iterator[Any]:
        """An epoch of batches, padded to max_len."""
        return map(self.as_tensors, self._epoch())

    def trimmed(self) -> Iterator[Any]:
        """An epoch of the same batches without the padding none needs."""
        return map(self.as_tensors, map(trim, self._epoch()))

    def _epoch(self) -> Iterator[Batch]:
        rng, length = self._new_epoch(), self.sentences.length
        a, b, is_next = next_sentence_pairs(self.sentences, rng)
        lengths = np.add(*truncate_pairs(length[a], length[b], self.max_len))
        for rows in self._order(lengths, rng):
            yield self._batch(a[rows], b[rows], is_next[rows], rng)

    def _batch(self, a: np.ndarray, b: np.ndarray, is_next: np.ndarray,
               rng: np.random.Generator) -> Batch:
        tokens, segments, valid_lens = join_pairs(
            self.sentences, a, b, self.max_len, self.vocab)
        tokens, positions, weights, labels = mask_tokens(
            tokens, valid_lens, self.vocab, self.words, rng)
        return (tokens, segments, valid_lens, positions, weights, labels,
                is_next.astype(np.int32))


def bucketed(lengths: np.ndarray, batch_size: int, rng: np.random.Generator,
             pool: int = POOL) -> list[np.ndarray]:
    """Shuffle examples into batches of similar length.

    The examples are shuffled and those that do not fill a batch are put
    aside, whatever their length. The others are sorted by length in pools of
    `pool` batches, and the batches are shuffled; the smaller one comes last.

    Returns:
        A list of index arrays; together they name each example once.
    """
    order = rng.permutation(len(lengths))
    whole = len(order) - len(order) % batch_size
    order, rest = order[:whole], order[whole:]
    pools = np.split(order, range(pool * batch_size, whole,
                                  pool * batch_size))
    order = np.concatenate(
        [rows[np.argsort(lengths[rows], kind="stable")] for rows in pools])
    batches = rng.permutation(order.reshape(-1, batch_size))
    return [*batches, *([rest] if len(rest) else [])]


def trim(batch: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """Drop the columns of a NumPy batch that no example needs.

    The number of columns is rounded up to a quarter, half, three quarters or
    all of them, so that a compiler sees few shapes. Encodings of valid tokens
    and both losses are unchanged.
    """
    tokens, segments, valid_lens, positions, weights, labels, nsp_y = batch
    quarter = -(-tokens.shape[1] // 4)
    length = min(-(-valid_lens.max() // quarter) * quarter, tokens.shape[1])
    slots = max(1, min(round(MASK_RATE * length), positions.shape[1]))
    return (tokens[:, :length], segments[:, :length], valid_lens,
            positions[:, :slots], weights[:, :slots], labels[:, :slots],
            nsp_y)


def take(train_iter: Iterable[Any], num_steps: int, start: int = 0,
         part: tuple[int, int] = (0, 1)) -> Iterator[Any]:
    """The first num_steps batches, epoch after epoch, from a start on.

    Batches come trimmed where the iterator can do that.

    Args:
        start: so many batches are passed over. Whole epochs are not made,
            where the iterator has a length.

    Raises:
        ValueError: if the iterator is empty, or cannot start again.
    """
    epoch = getattr(train_iter, "trimmed", train_iter.__iter__)
    count = _skip_epochs(train_iter, start) if start else 0
    while count < num_steps:
        before = count
        for batch in islice(epoch(), num_steps - count):
            if count >= start:
                yield batch if part == (0, 1) else tuple(
                    x[part[0]::part[1]] for x in batch)
            count += 1
        if count == before:
            raise ValueError(
                f"the training iterator gives no batch after {count} of "
                f"{num_steps} and cannot start again: give a list or a loader"
                if count else "the training iterator gives no batch")


def _skip_epochs(train_iter: Any, start: int) -> int:
    """Pass over whole epochs; how many batches they have."""
    if not hasattr(train_iter, "__len__") or not len(train_iter):
        return 0
    epochs = start // len(train_iter)
    if hasattr(train_iter, "skip_epochs"):
        train_iter.skip_epochs(epochs)
    return epochs * len(train_iter)


def corpus_vocab(corpus: Corpus, order: str = "frequency") -> Vocab:
    """The vocabulary of a corpus: words seen five times, reserved tokens.

    Args:
        order: of the ids, as in `Vocab`.
    """
    sentences = [s for paragraph in corpus.train for s in paragraph]
    return Vocab(sentences, MIN_FREQ, RESERVED_TOKENS, order)


def get_dataloader_workers() -> int:
    """How many processes d2l's programs read data with: all cores but one."""
    return max(1, (os.cpu_count() or 1) - 1)
