"""From text to pretraining examples, as vectorised NumPy (d2l 15.9).

N is a number of examples, L = max_len, P the number of prediction slots of
an example, S the number of sentences of a corpus, T its number of tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Self

import numpy as np

from d2lbert.checks import check_tokens, warn_of_unknown
from d2lbert.data.vocab import Vocab

RESERVED_TOKENS = ("<pad>", "<mask>", "<cls>", "<sep>")
MASK_RATE = 0.15  # BERT paper, 3.1


def get_tokens_and_segments(tokens_a: list[str],
                            tokens_b: list[str] | None = None
                            ) -> tuple[list[str], list[int]]:
    """Join one or two sentences into BERT's input sequence (d2l 15.8.2).

    Returns:
        `<cls>`, tokens_a, `<sep>` and, where there is a second sentence,
        tokens_b, `<sep>`; and as many segment ids, 0 for the first sentence
        with `<cls>` and its `<sep>`, 1 for the second with its own.

    Raises:
        ValueError: for a str where a list of tokens belongs.
    """
    check_tokens(tokens_a, tokens_b)
    tokens = ["<cls>", *tokens_a, "<sep>"]
    segments = [0] * len(tokens)
    if tokens_b is not None:
        tokens += [*tokens_b, "<sep>"]
        segments += [1] * (len(tokens_b) + 1)
    return tokens, segments


def pad_inputs(pairs: Sequence[tuple[list[str], list[str] | None]],
               vocab: Vocab) -> tuple[np.ndarray, ...]:
    """Model inputs for sentences or pairs of sentences, as given.

    A warning names the words that are not in the vocabulary.

    Args:
        pairs: list of (tokens_a, tokens_b); tokens_b None for one sentence.

    Returns:
        tokens (N, L), segments (N, L), valid_lens (N,), int32 arrays, with L
        the longest input's length.

    Raises:
        ValueError: for no sentence, one without words, or a str where a
            list of tokens belongs.
    """
    if not len(pairs):
        raise ValueError("there is no sentence: give a list of pairs such as "
                         "[(tokens, None)]")
    sentences = [s for pair in pairs for s in pair if s is not None]
    check_tokens(*sentences)
    if not all(map(len, sentences)):
        raise ValueError("a sentence has no token: give one word at least, "
                         "split by tokenize([...])[0]")
    warn_of_unknown(sentences, vocab.token_to_idx)
    inputs = [get_tokens_and_segments(*pair) for pair in pairs]
    valid_lens = np.array([len(tokens) for tokens, _ in inputs], np.int32)
    tokens = np.full((len(inputs), valid_lens.max()), vocab["<pad>"],
                     np.int32)
    segments = np.zeros_like(tokens)
    for row, (words, ids) in enumerate(inputs):
        tokens[row, :len(words)] = vocab[words]
        segments[row, :len(ids)] = ids
    return tokens, segments, valid_lens


@dataclass(frozen=True)
class Texts:
    """Sentences as arrays: sentence s is tokens[start[s]:][:length[s]].

    Attributes:
        tokens: (T,) token ids of all sentences, one after another.
        start, length: (S,) where a sentence begins, how long it is.
    """
    tokens: np.ndarray
    start: np.ndarray
    length: np.ndarray

    def select(self, *rows: np.ndarray) -> "Texts":
        """Some sentences, in this order, without a copy of the tokens."""
        numbers = np.concatenate(rows)
        return Texts(self.tokens, self.start[numbers], self.length[numbers])

    @classmethod
    def of(cls, ids: Sequence[Sequence[int]], **columns: np.ndarray) -> Self:
        """Texts of a list of lists of token ids."""
        length = np.array([len(sentence) for sentence in ids], int)
        tokens = np.fromiter(chain.from_iterable(ids), np.int32, length.sum())
        return cls(tokens, np.cumsum(length) - length, length, **columns)


@dataclass(frozen=True)
class Sentences(Texts):
    """A corpus: texts that stand in paragraphs.

    Attributes:
        first, size: (S,) the first sentence of the paragraph it belongs to,
            and the number of sentences there.
        text: (S,) equal numbers for sentences of equal words.
    """
    first: np.ndarray
    size: np.ndarray
    text: np.ndarray

    @property
    def num_pairs(self) -> int:
        """How many sentences have a next one."""
        return len(self.first) - len(np.unique(self.first))


def index_sentences(paragraphs: list[list[list[str]]], vocab: Vocab
                    ) -> Sentences:
    """Turn paragraphs (lists of lists of tokens) into `Sentences`.

    Empty sentences are passed over, and paragraphs with fewer than two.

    Raises:
        ValueError: if fewer than two paragraphs are left, since the false
            next sentence has to come from another paragraph; or for a
            sentence that is a str.
    """
    check_tokens(*paragraphs, *chain.from_iterable(paragraphs))
    paragraphs = [[s for s in p if s] for p in paragraphs]
    paragraphs = [p for p in paragraphs if len(p) >= 2]
    if len(paragraphs) < 2:
        raise ValueError(
            f"the corpus has {len(paragraphs)} paragraphs of two or more "
            "sentences; next-sentence pairs need at least two of them")
    ids = [vocab[sentence] for p in paragraphs for sentence in p]
    size = np.array([len(p) for p in paragraphs])
    seen: dict[tuple[int, ...], int] = {}
    text = [seen.setdefault(tuple(s), len(seen)) for s in ids]
    return Sentences.of(
        ids, first=np.repeat(np.cumsum(size) - size, size),
        size=np.repeat(size, size), text=np.array(text))


def next_sentence_pairs(sentences: Sentences, rng: np.random.Generator
                        ) -> tuple[np.ndarray, ...]:
    """Pair each sentence with its successor or, half the time, with another.

    The other sentence comes from another paragraph and differs in its words
    from the first and from the true next one.

    Returns:
        a, b: (N,) sentence numbers; is_next: (N,) bool. N is the number of
        sentences that are not the last of their paragraph.

    Raises:
        ValueError: if the corpus has no such other sentence.
    """
    everything = np.arange(len(sentences.start))
    is_last = everything == sentences.first + sentences.size - 1
    a = everything[~is_last]
    is_next = rng.random(len(a)) < 0.5
    b = a + 1
    b[~is_next] = _elsewhere(sentences, a[~is_next], rng)
    return a, b, is_next


def _elsewhere(sentences: Sentences, a: np.ndarray, rng: np.random.Generator,
               tries: int = 100) -> np.ndarray:
    text, b = sentences.text, np.empty_like(a)
    todo = np.arange(len(a))
    for _ in range(tries):
        first, size = sentences.first[a[todo]], sentences.size[a[todo]]
        # Draw among the sentences outside the paragraph: those behind it
        # are numbered as if it were not there.
        draw = rng.integers(len(text) - size)
        draw += np.where(draw >= first, size, 0)
        b[todo] = draw
        same = (text[b] == text[a]) | (text[b] == text[a + 1])
        todo = np.flatnonzero(same)
        if not len(todo):
            return b
    raise ValueError(
        "the corpus repeats too few sentences too often: no false next "
        f"sentence was found for {len(todo)} of {len(a)} after {tries} draws")


def truncate_pairs(len_a: np.ndarray | int, len_b: np.ndarray | int,
                   max_len: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut pairs to max_len - 3 tokens, leaving room for `<cls>`, 2 `<sep>`.

    The longer sentence loses its last token until the pair fits, the second
    one when both are equal (d2l 16.7.2, there for SNLI; d2l's pretraining
    throws such pairs away).

    Returns:
        The lengths that are left, two arrays of the shape of len_a.

    Raises:
        ValueError: if max_len has no room for a word of each sentence.
    """
    budget = max_len - 3
    if budget < 2:
        raise ValueError(
            f"max_len is {max_len}, but a pair needs at least 5: <cls>, a "
            "word, <sep>, a word, <sep>")
    half = (budget + 1) // 2
    cut_a = np.minimum(len_a, np.maximum(budget - len_b, half))
    return cut_a, np.minimum(len_b, budget - cut_a)


def join_pairs(sentences: Texts, a: np.ndarray, b: np.ndarray, max_len: int,
               vocab: Vocab) -> tuple[np.ndarray, ...]:
    """`get_tokens_and_segments` for N pairs at once, padded to max_len.

    Returns:
        tokens (N, L), segments (N, L), valid_lens (N,), all int32.
    """
    cls, sep, pad = vocab[["<cls>", "<sep>", "<pad>"]]
    len_a, len_b = truncate_pairs(
        sentences.length[a], sentences.length[b], max_len)
    len_a, len_b = len_a[:, None], len_b[:, None]
    column = np.arange(max_len)
    end_a, end_b = len_a + 1, len_a + len_b + 2  # where the <sep> stand
    in_b = (column > end_a) & (column <= end_b)
    source = np.where(
        in_b, sentences.start[b][:, None] + column - end_a - 1,
        sentences.start[a][:, None] + column - 1)
    tokens = sentences.tokens[np.clip(source, 0, len(sentences.tokens) - 1)]
    tokens[:, 0] = cls
    tokens[(column == end_a) | (column == end_b)] = sep
    tokens[column > end_b] = pad
    return tokens, in_b.astype(np.int32), (end_b[:, 0] + 1).astype(np.int32)


def ordinary_words(vocab: Vocab) -> np.ndarray:
    """The ids of all tokens that are words, not special tokens.

    Raises:
        ValueError: if there is none.
    """
    special = {"<unk>", *RESERVED_TOKENS}
    words = [i for i, t in enumerate(vocab.idx_to_token) if t not in special]
    if not words:
        raise ValueError("the vocabulary holds no word, only special tokens")
    return np.array(words)


def mask_tokens(tokens: np.ndarray, valid_lens: np.ndarray, vocab: Vocab,
                words: np.ndarray, rng: np.random.Generator
                ) -> tuple[np.ndarray, ...]:
    """Choose 15 % of the tokens of each example and hide most of them.

    Of these 80 % become `<mask>`, 10 % a random one of `words`, 10 % stay
    (BERT paper, 3.1 and A.1).

    Returns:
        tokens (N, L), a changed copy; pred_positions, weights, labels, each
        (N, P). A slot that is not needed has position, weight and label 0.
    """
    positions, chosen = _choose_positions(tokens, valid_lens, vocab, rng)
    labels = np.where(
        chosen, np.take_along_axis(tokens, positions, axis=1), 0)
    fate = rng.random(positions.shape)
    random_words = words[rng.integers(len(words), size=positions.shape)]
    hidden = np.where(fate < 0.8, vocab["<mask>"],
                      np.where(fate < 0.9, random_words, labels))
    tokens = tokens.copy()
    rows = np.broadcast_to(np.arange(len(tokens))[:, None], chosen.shape)
    tokens[rows[chosen], positions[chosen]] = hidden[chosen]
    return (tokens, positions.astype(np.int32), chosen.astype(np.float32),
            labels.astype(np.int32))


def pass_over_masks(shape: tuple[int, int], words: np.ndarray,
                    rng: np.random.Generator) -> None:
    """Draw what `mask_tokens` draws for tokens of a shape (N, L)."""
    slots = shape[0], max(1, round(MASK_RATE * shape[1]))
    rng.random(shape)
    rng.random(slots)
    rng.integers(len(words), size=slots)


def _choose_positions(tokens: np.ndarray, valid_lens: np.ndarray,
                      vocab: Vocab, rng: np.random.Generator
                      ) -> tuple[np.ndarray, ...]:
    num_slots = max(1, round(MASK_RATE * tokens.shape[1]))
    wanted = np.maximum(1, np.round(MASK_RATE * valid_lens)).astype(int)
    lottery = rng.random(tokens.shape)
    lottery[np.isin(tokens, vocab[["<cls>", "<sep>", "<pad>"]])] = 2
    winners = np.argpartition(lottery, num_slots - 1, axis=1)[:, :num_slots]
    order = np.argsort(np.take_along_axis(lottery, winners, axis=1), axis=1)
    winners = np.take_along_axis(winners, order, axis=1)
    chosen = np.arange(num_slots) < wanted[:, None]
    # Sentence order is easier to read than the order of the lottery.
    winners = np.sort(np.where(chosen, winners, tokens.shape[1]), axis=1)
    return np.where(chosen, winners, 0), chosen
