"""Pretraining examples in batches: shuffled, bucketed by length, seeded.

A batch is a 7-tuple as in d2l 15.9: tokens_X (B, L), segments_X (B, L),
valid_lens_x (B,), pred_positions_X (B, P), mlm_weights_X (B, P),
mlm_Y (B, P), nsp_y (B,). Batches are made here, in NumPy, once for all
backends: the same seed gives each of them the same bytes in the same order.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import islice
from typing import Any, Self, cast

import numpy as np

from d2lbert.checks import warn
from d2lbert.data.corpora import Corpus, Paragraphs
from d2lbert.data.parts import (
    WHOLE,
    DatasetPart,
    Part,
    RowChance,
    check_part,
    part_of,
)
from d2lbert.data.pretraining import (
    MASK_RATE,
    RESERVED_TOKENS,
    Sentences,
    Texts,
    index_sentences,
    join_pairs,
    mask_tokens,
    next_sentence_pairs,
    ordinary_words,
    pass_over_masks,
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

    Attributes:
        part: (rank, size), the rows of each batch that are given (see
            `for_worker`). All sizes are those of the whole batches.

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
        self.part, self._passed = WHOLE, 0

    def __len__(self) -> int:
        whole, rest = divmod(self.num_examples, self.batch_size)
        return whole + (rest > 0 and (whole == 0 or not self.is_train))

    def skip_epochs(self, number: int) -> None:
        """Pass over so many epochs, without making their batches."""
        self.epoch += number * self.is_train

    def skip_batches(self, number: int) -> None:
        """Pass over the first batches of the next epoch, without making them.
        """
        self._passed = number

    def for_worker(self, rank: int, size: int) -> Self:
        """The rows rank, rank + size, … of every batch, for one of `size`.

        The rows of all workers together are those of the whole batches, as
        wide and with the same masks.

        Returns:
            A copy with epochs of its own, which go on from this one's.

        Raises:
            ValueError: if a batch has fewer rows than there are workers, or
                these are the rows of a worker already.
        """
        if self.part != WHOLE:
            raise ValueError("these are the rows of one worker, {} of {}: "
                             "divide the whole batches".format(*self.part))
        rest = self.num_examples - (len(self) - 1) * self.batch_size
        check_part((rank, size), min(self.batch_size, rest))
        worker: Any = copy(self)
        worker.part = rank, size
        if hasattr(self, "dataset"):  # which makes the batches
            worker.dataset = DatasetPart(self.dataset, worker.part)
        return worker

    def _begin(self) -> tuple[list[int], int]:
        """What the next epoch is drawn from, and the batches to pass over."""
        key, passed = [self.seed, self.epoch], self._passed
        self.epoch, self._passed = self.epoch + self.is_train, 0
        return key, passed

    def _new_epoch(self) -> tuple[np.random.Generator, int]:
        """The chance of the next epoch, and the batches to pass over."""
        key, passed = self._begin()
        return np.random.default_rng(key), passed

    def _order(self, lengths: np.ndarray,
               epoch: tuple[np.random.Generator, int]) -> list[np.ndarray]:
        """The rows of each batch of an epoch, a list of index arrays.

        Args:
            epoch: as `_new_epoch` gives it.
        """
        rng, passed = epoch
        return bucketed(lengths, self.batch_size, rng)[passed:len(self)]


@dataclass(frozen=True)
class Piece:
    """Pairs of one shard that stand in one batch.

    Attributes:
        texts: (2n,) the first sentences of n pairs, then the second ones.
        is_next: (n,) bool.
        longest: in tokens, of the whole batch's pairs here, a worker's or not.
    """
    texts: Texts
    is_next: np.ndarray
    longest: int

    def join(self, max_len: int, vocab: Vocab) -> tuple[np.ndarray, ...]:
        """As `join_pairs`."""
        rows = np.arange(len(self.is_next))
        return join_pairs(self.texts, rows, rows + len(rows), max_len, vocab)


class NextSentenceBatches(Batches):
    """Next-sentence pairs with masks, from a corpus in one shard or several.

    A false next sentence is from the same shard. Pairs that fill no batch in
    one shard come first in the next, so that an epoch has each pair once.

    Args:
        num_examples, batch_size, seed, is_train: as in `Batches`.
        vocab: a `Vocab` with the reserved tokens.
        max_len: L, the length to which examples are cut or padded.
        as_tensors: turns the NumPy 7-tuple into a backend's tensors.

    Raises:
        ValueError: for a max_len without room for two sentences, or a
            vocabulary without words.
    """

    def __init__(self, num_examples: int, vocab: Vocab, batch_size: int,
                 max_len: int, seed: int = 0, is_train: bool = True,
                 as_tensors: AsTensors = tuple) -> None:
        super().__init__(num_examples, batch_size, seed, is_train)
        truncate_pairs(1, 1, max_len)  # complain now, not at the first batch
        self.words, self.vocab = ordinary_words(vocab), vocab
        self.max_len, self.as_tensors = max_len, as_tensors

    def _shards(self, key: list[int]
                ) -> Iterator[tuple[int, int, np.random.Generator]]:
        """The shards of an epoch: number, pairs, chance."""
        raise NotImplementedError

    def _read(self, shard: int) -> Sentences:
        """The sentences of a shard."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[Any]:
        """An epoch of batches, padded to max_len."""
        return (self.as_tensors(batch) for batch, _ in self._epoch())

    def trimmed(self) -> Iterator[Any]:
        """An epoch of the same batches without the padding none needs."""
        return (self.as_tensors(_trim_to(*pair)) for pair in self._epoch())

    def _epoch(self) -> Iterator[tuple[Batch, int]]:
        """This worker's rows of each batch, and the whole batch's longest."""
        key, passed = self._begin()
        end = 0  # of the examples that the shards so far have
        batch: list[Piece] = []  # may begin in one shard and end in another
        for shard, pairs, rng in self._shards(key):
            start, end = end, end + pairs
            if end <= passed * self.batch_size:
                continue  # not even opened
            for piece, number, is_full in self._pieces(shard, start, rng):
                if number >= len(self):
                    return
                if number >= passed:
                    batch.append(piece)
                if is_full:
                    yield from self._full(batch, number, rng)
                    batch = []

    def _pieces(self, shard: int, position: int, rng: np.random.Generator
                ) -> Iterator[tuple[Piece, int, bool]]:
        """The pairs of a shard, cut where a batch ends.

        Args:
            position: of the shard's first pair in the epoch.

        Returns:
            A piece, the number of its batch, and whether this is then full.
        """
        sentences = self._read(shard)
        a, b, is_next = next_sentence_pairs(sentences, rng)
        lengths = 3 + np.add(*truncate_pairs(
            sentences.length[a], sentences.length[b], self.max_len))
        for rows in self._rows(lengths, -position % self.batch_size, rng):
            number, above = divmod(position, self.batch_size)
            position += len(rows)
            own = rows[(self.part[0] - above) % self.part[1]::self.part[1]]
            yield (Piece(sentences.select(a[own], b[own]), is_next[own],
                          lengths[rows].max()),
                   number, position in (self.num_examples,
                                        (number + 1) * self.batch_size))

    def _rows(self, lengths: np.ndarray, head: int, rng: np.random.Generator
              ) -> Iterator[np.ndarray]:
        """`bucketed`, behind `head` examples for a batch that is begun."""
        others = np.arange(len(lengths))
        if head:
            first = rng.permutation(others)[:head]
            others = np.delete(others, first)
            yield first
        for rows in bucketed(lengths[others], self.batch_size, rng):
            yield others[rows]

    def _join(self, pieces: Sequence[Piece]) -> list[np.ndarray]:
        """tokens, segments (B, L), valid_lens, is_next (B,), not masked."""
        return list(map(np.concatenate, zip(*(
            (*piece.join(self.max_len, self.vocab), piece.is_next)
            for piece in pieces))))

    def _full(self, pieces: list[Piece], number: int,
              rng: np.random.Generator) -> Iterator[tuple[Batch, int]]:
        """The batch of a number; none if it is passed over."""
        num_rows = min(self.batch_size,
                       self.num_examples - number * self.batch_size)
        if not pieces:
            pass_over_masks((num_rows, self.max_len), self.words, rng)
            return
        tokens, segments, valid_lens, is_next = self._join(pieces)
        chance = RowChance(rng, num_rows, self.part)
        tokens, *slots = mask_tokens(
            tokens, valid_lens, self.vocab, self.words,
            cast(np.random.Generator, chance))
        yield ((tokens, segments, valid_lens, *slots,
                is_next.astype(np.int32)),
               max(piece.longest for piece in pieces))


class PretrainingBatches(NextSentenceBatches):
    """The batches of a corpus in memory; iterating again gives a new epoch.

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
        self.sentences = index_sentences(paragraphs, vocab)
        super().__init__(self.sentences.num_pairs, vocab, batch_size, max_len,
                         seed, is_train, as_tensors)

    @property
    def contents(self) -> np.ndarray:
        """What tells this corpus from others: its tokens."""
        return self.sentences.tokens

    def _shards(self, key: list[int]
                ) -> Iterator[tuple[int, int, np.random.Generator]]:
        yield 0, self.num_examples, np.random.default_rng(key)

    def _read(self, shard: int) -> Sentences:
        return self.sentences


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


def _trim_to(batch: Batch, longest: int) -> Batch:
    """`trim` for rows of a batch whose longest has so many tokens."""
    tokens, segments, valid_lens, *rest = batch
    whole = tokens, segments, np.array([longest]), *rest
    tokens, segments, _, *rest = trim(whole)
    return tokens, segments, valid_lens, *rest


def take(train_iter: Iterable[Any], num_steps: int, start: int = 0,
         part: Part = WHOLE, is_even: bool = False) -> Iterator[Any]:
    """The first num_steps batches, epoch after epoch, from a start on.

    Batches come trimmed where the iterator can do that.

    Args:
        start: so many batches are passed over. They are not made, where the
            iterator has a length and can do that.
        part: (rank, size), the rows of each batch (see `part_of`). A loader
            gives them by `for_worker`. is_even: whether all parts of a batch
            have to have as many rows.

    Raises:
        ValueError: if the iterator is empty, or cannot start again, or a
            batch cannot be divided so.
    """
    whole: Any = train_iter
    if part != WHOLE and hasattr(train_iter, "for_worker"):
        check_part(part, min(whole.batch_size, whole.num_examples), is_even)
        train_iter, part = train_iter.for_worker(*part), WHOLE
    epoch = getattr(train_iter, "trimmed", train_iter.__iter__)
    count = _pass_over(train_iter, start, num_steps) if start else 0
    while count < num_steps:
        before = count
        for batch in islice(epoch(), num_steps - count):
            if whole is not train_iter:  # its next epoch is the next
                whole.epoch = getattr(train_iter, "epoch", 0)
            if count >= start:
                yield batch if part == WHOLE else part_of(
                    batch, part, is_even)
            count += 1
        if count == before:
            raise ValueError(
                f"the training iterator gives no batch after {count} of "
                f"{num_steps} and cannot start again: give a list or a loader"
                if count else "the training iterator gives no batch")


def _pass_over(train_iter: Any, start: int, num_steps: int) -> int:
    """Pass over batches without making them; how many that are."""
    if not hasattr(train_iter, "__len__") or not len(train_iter):
        return 0
    epochs, rest = divmod(start, len(train_iter))
    if hasattr(train_iter, "skip_epochs"):
        train_iter.skip_epochs(epochs)
    # One batch is left to make, with which an epoch begins and is counted.
    rest = max(0, min(rest, num_steps - 1 - epochs * len(train_iter)))
    if not hasattr(train_iter, "skip_batches"):
        rest = 0
    elif rest:
        train_iter.skip_batches(rest)
    return epochs * len(train_iter) + rest


def random_batch(vocab_size: int, batch_size: int, max_len: int,
                 seed: int = 0) -> Batch:
    """A batch of pairs of random words without padding, to time a step with.
    """
    rng, slots = np.random.default_rng(seed), round(MASK_RATE * max_len)
    special = 1 + len(RESERVED_TOKENS)  # with <unk>
    tokens = rng.integers(special, vocab_size, (batch_size, max_len), np.int32)
    segments = np.zeros_like(tokens)
    segments[:, max_len // 2:] = 1
    places = np.tile(np.arange(1, max_len, dtype=np.int32), (batch_size, 1))
    positions = rng.permuted(places, axis=1)[:, :slots]
    return (tokens, segments, np.full(batch_size, max_len, np.int32),
            positions, np.ones(positions.shape, np.float32),
            np.take_along_axis(tokens, positions, 1),
            rng.integers(0, 2, batch_size, np.int32))


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
