"""The pieces of pretraining data that d2l's programs call by name (d2l 15.9).

d2l 1.0.3 saves them in its library, `d2l._read_wiki` and so on, and makes
examples one by one. `PretrainingBatches` does the same for arrays of them.
Chance comes from Python's `random`, as in d2l: `random.seed` fixes it.
"""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from d2lbert.data.batches import AsTensors, corpus_vocab
from d2lbert.data.corpora import Corpus, read_text, split_paragraphs
from d2lbert.data.pretraining import (
    MASK_RATE,
    RESERVED_TOKENS,
    get_tokens_and_segments,
    index_sentences,
    join_pairs,
    mask_tokens,
    next_sentence_pairs,
    ordinary_words,
    truncate_pairs,
)
from d2lbert.data.vocab import Vocab, tokenize

TRIES = 100  # draws of a false next sentence before all are looked through
_SPECIAL = frozenset({"<unk>", *RESERVED_TOKENS})
Tokens = list[str]


def _read_wiki(data_dir: str | Path) -> list[list[str]]:
    """The paragraphs of data_dir/wiki.train.tokens, shuffled.

    Returns:
        A list of paragraphs, lists of sentences, which are lower-case str.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for bytes that are not UTF-8.
    """
    text = read_text(Path(data_dir, "wiki.train.tokens"))
    paragraphs = split_paragraphs(text)
    random.shuffle(paragraphs)
    return paragraphs


def _get_next_sentence(sentence: Tokens, next_sentence: Tokens,
                       paragraphs: list[list[Tokens]]
                       ) -> tuple[Tokens, Tokens, bool]:
    """A sentence with its successor or, half the time, with another.

    The other one is from another paragraph, as in `next_sentence_pairs`, and
    differs from both sentences.

    Args:
        paragraphs: list of paragraphs, lists of sentences.

    Returns:
        sentence, the sentence that follows, whether it truly does.

    Raises:
        ValueError: if no paragraph has such another sentence.
    """
    if random.random() < 0.5:
        return sentence, next_sentence, True
    return sentence, _elsewhere(sentence, next_sentence, paragraphs), False


def _elsewhere(sentence: Tokens, next_sentence: Tokens,
               paragraphs: list[list[Tokens]]) -> Tokens:
    def others(paragraph: list[Tokens]) -> list[Tokens]:
        if (sentence, next_sentence) in zip(paragraph, paragraph[1:]):
            return []  # their own paragraph
        return [s for s in paragraph
                if s and s != sentence and s != next_sentence]

    for _ in range(TRIES if paragraphs else 0):
        if found := others(random.choice(paragraphs)):
            return random.choice(found)
    if found := [s for paragraph in paragraphs for s in others(paragraph)]:
        return random.choice(found)
    raise ValueError(
        f"none of the {len(paragraphs)} paragraphs has a false next sentence "
        "for this one: it has to come from another paragraph and have other "
        "words")


def _get_nsp_data_from_paragraph(
        paragraph: list[Tokens], paragraphs: list[list[Tokens]], vocab: Vocab,
        max_len: int) -> list[tuple[Tokens, list[int], bool]]:
    """The examples of next-sentence prediction of a paragraph.

    Pairs longer than max_len are cut as in `truncate_pairs`, not left out as
    in d2l. `vocab` is not used, there as here.

    Returns:
        A list of (tokens, segments, is_next).
    """
    examples = []
    for sentence, next_sentence in zip(paragraph, paragraph[1:]):
        a, b, is_next = _get_next_sentence(
            sentence, next_sentence, paragraphs)
        len_a, len_b = map(int, truncate_pairs(len(a), len(b), max_len))
        examples.append(
            (*get_tokens_and_segments(a[:len_a], b[:len_b]), is_next))
    return examples


def _replace_mlm_tokens(tokens: Tokens, candidate_pred_positions: list[int],
                        num_mlm_preds: int, vocab: Vocab
                        ) -> tuple[Tokens, list[tuple[int, str]]]:
    """Choose positions at random and hide most of their tokens.

    Of them 80 % become `<mask>`, 10 % a random word, never a special token,
    and 10 % stay (BERT paper, 3.1).

    Returns:
        A changed copy of tokens, and a list of (position, token that was
        there), num_mlm_preds of them or, if there are fewer, as many as there
        are candidates.
    """
    chosen = random.sample(candidate_pred_positions, min(
        num_mlm_preds, len(candidate_pred_positions)))
    hidden = list(tokens)
    for position in chosen:
        fate = random.random()
        if fate < 0.8:
            hidden[position] = "<mask>"
        elif fate < 0.9:
            hidden[position] = _random_word(vocab)
    return hidden, [(position, tokens[position]) for position in chosen]


def _random_word(vocab: Vocab) -> str:
    if len(vocab) <= len(_SPECIAL):  # there may be no word to wait for
        return vocab.to_tokens(random.choice(ordinary_words(vocab).tolist()))
    while (word := random.choice(vocab.idx_to_token)) in _SPECIAL:
        pass
    return word


def _get_mlm_data_from_tokens(tokens: Tokens, vocab: Vocab
                              ) -> tuple[list[int], list[int], list[int]]:
    """Choose 15 % of the tokens, one at least, and hide most of them.

    Returns:
        The token ids of the input; the chosen positions, in order; the ids of
        the tokens that were there.
    """
    candidates = [i for i, token in enumerate(tokens)
                  if token not in ("<cls>", "<sep>", "<pad>")]
    hidden, chosen = _replace_mlm_tokens(
        tokens, candidates, max(1, round(MASK_RATE * len(tokens))), vocab)
    chosen.sort()
    return (vocab[hidden], [position for position, _ in chosen],
            vocab[[token for _, token in chosen]])


def _pad_bert_inputs(to_tensors: AsTensors, examples: Sequence[tuple],
                     max_len: int, vocab: Vocab) -> Any:
    """Pad N examples to max_len tokens and P = round(0.15 max_len) slots.

    Args:
        examples: (token ids, positions, labels, segments, is_next) each.

    Returns:
        token ids (N, L), segments (N, L), valid_lens (N,), positions (N, P),
        weights (N, P), labels (N, P) and is_next (N,). d2l gives lists of N
        tensors; these are stacked.

    Raises:
        ValueError: for an example that has no room.
    """
    N, num_slots = len(examples), max(1, round(MASK_RATE * max_len))
    token_ids = np.full((N, max_len), vocab["<pad>"], np.int32)
    segments = np.zeros((N, max_len), np.int32)
    positions, labels = np.zeros((2, N, num_slots), np.int32)
    weights = np.zeros((N, num_slots), np.float32)
    valid_lens, nsp_y = np.zeros((2, N), np.int32)
    for row, (ids, where, words, segment, is_next) in enumerate(examples):
        n, p = len(ids), len(where)
        if n > max_len or p > num_slots:
            raise ValueError(
                f"example {row} has {n} tokens and {p} predictions, but "
                f"max_len={max_len} has room for {max_len} and {num_slots}: "
                "use a longer max_len")
        token_ids[row, :n], segments[row, :n] = ids, segment
        positions[row, :p], labels[row, :p] = where, words
        weights[row, :p], valid_lens[row], nsp_y[row] = 1, n, is_next
    return to_tensors((token_ids, segments, valid_lens, positions, weights,
                       labels, nsp_y))


class _WikiTextDataset:
    """One epoch of pretraining examples as a data set of N examples.

    Pairs and masks are drawn once, when it is made; the batches of
    `load_data_wiki` draw them afresh for each epoch.

    Args:
        paragraphs: as `_read_wiki` gives them.
        max_len: L, the length to which examples are cut or padded.
        order: of the words' ids; 'd2l' for the ids of d2l (`Vocab`).
        as_tensors: turns a tuple of NumPy arrays into a backend's tensors.

    Attributes:
        vocab: words seen five times and the reserved tokens.
        all_token_ids, all_segments: (N, L); valid_lens, nsp_labels: (N,);
            all_pred_positions, all_mlm_weights, all_mlm_labels: (N, P).

    Raises:
        ValueError: for fewer than two paragraphs of two sentences.
    """

    def __init__(self, paragraphs: list[list[str]], max_len: int,
                 order: str = "frequency", as_tensors: AsTensors = tuple
                 ) -> None:
        corpus = Corpus("paragraphs", list(map(tokenize, paragraphs)), [])
        self.vocab = vocab = corpus_vocab(corpus, order)
        sentences = index_sentences(corpus.train, vocab)
        rng = np.random.default_rng(random.getrandbits(64))
        a, b, is_next = next_sentence_pairs(sentences, rng)
        tokens, segments, valid_lens = join_pairs(
            sentences, a, b, max_len, vocab)
        tokens, *slots = mask_tokens(
            tokens, valid_lens, vocab, ordinary_words(vocab), rng)
        self._columns = as_tensors((tokens, segments, valid_lens, *slots,
                                    is_next.astype(np.int32)))
        (self.all_token_ids, self.all_segments, self.valid_lens,
         self.all_pred_positions, self.all_mlm_weights, self.all_mlm_labels,
         self.nsp_labels) = self._columns

    def __getitem__(self, idx: Any) -> tuple[Any, ...]:
        return tuple(column[idx] for column in self._columns)

    def __len__(self) -> int:
        return len(self.valid_lens)
