"""Words in pieces: n-grams, byte pair encoding (d2l 15.6), WordPiece.

A BPE word is a str of symbols with blanks between them and `_` at its end,
such as "t a l l _".
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

FNV_START, FNV_PRIME = 2166136261, 16777619  # FNV-1a of 32 bits


def character_ngrams(word: str, smallest: int = 3, largest: int = 6
                     ) -> list[str]:
    """The n-grams of "<word>", and "<word>" itself as the last.

    fastText's vector of a word is the sum of theirs (Bojanowski et al.,
    2017, 3.2). An n-gram that occurs twice is listed once.

    Args:
        smallest, largest: the lengths n, in characters with < and >.

    Raises:
        ValueError: for an empty word.
    """
    if not word:
        raise ValueError("the word is empty: it has no n-grams")
    whole = f"<{word}>"
    grams = [whole[i:i + n] for n in range(smallest, largest + 1)
             for i in range(len(whole) - n + 1)]
    return [*dict.fromkeys(gram for gram in grams if gram != whole), whole]


def ngram_bucket(ngram: str, num_buckets: int) -> int:
    """The bucket of an n-gram: its FNV-1a hash modulo num_buckets."""
    value = FNV_START
    for byte in ngram.encode():
        value = (value ^ byte) * FNV_PRIME % 2**32
    return value % num_buckets


def count_pairs(token_freqs: dict[str, int]) -> Counter[tuple[str, str]]:
    """How often each pair of neighbouring symbols occurs.

    Args:
        token_freqs: {word: count}.
    """
    pairs: Counter[tuple[str, str]] = Counter()
    for token, freq in token_freqs.items():
        for pair in pairwise(token.split()):
            pairs[pair] += freq
    return pairs


def get_max_freq_pair(token_freqs: dict[str, int]) -> tuple[str, str]:
    """The pair of neighbouring symbols that occurs most (d2l 15.6.2).

    Args:
        token_freqs: {word: count}. Of equally frequent pairs the one that is
            met first wins.

    Raises:
        ValueError: if no word has two symbols.
    """
    pairs = count_pairs(token_freqs)
    if not pairs:
        raise ValueError("there is no pair left to merge: every one of the "
                         f"{len(token_freqs)} words is a single symbol")
    return max(pairs, key=lambda pair: pairs[pair])


def merge_symbols(max_freq_pair: tuple[str, str], token_freqs: dict[str, int],
                  symbols: list[str]) -> dict[str, int]:
    """Make a symbol of a pair wherever it occurs (d2l 15.6.2).

    Whole symbols are compared: "a b" is not in "aa b", where replacing text,
    as d2l does, would find it.

    Args:
        max_freq_pair: two symbols; ValueError if they are in no word.
        symbols: a list, to which the new symbol is appended.

    Returns:
        A new {word: count}.
    """
    merged: Counter[str] = Counter()
    for token, freq in token_freqs.items():
        merged[" ".join(_merge(token.split(), max_freq_pair))] += freq
    if merged.keys() == token_freqs.keys():
        raise ValueError(f"{max_freq_pair!r} is in none of the "
                         f"{len(token_freqs)} words: nothing to merge")
    symbols.append("".join(max_freq_pair))
    return dict(merged)


def _merge(word: list[str], pair: tuple[str, str]) -> list[str]:
    """The symbols of a word after merging a pair, from left to right."""
    merged, i = [], 0
    while i < len(word):
        fits = tuple(word[i:i + 2]) == tuple(pair)
        merged.append("".join(pair) if fits else word[i])
        i += 1 + fits
    return merged


def apply_merges(tokens: list[str], merges: Sequence[tuple[str, str]]
                 ) -> list[str]:
    """Cut words as BPE does: merge their characters in the learned order.

    Args:
        tokens: list of words, not yet cut, with their `_` at the end.
        merges: the pairs, in the order in which they were learned.

    Returns:
        A list of str, with blanks between a word's symbols. A character that
        no merge knows stands by itself.

    Raises:
        ValueError: for an empty word, or a str for the list.
    """
    words = [list(token) for token in tokens]
    if isinstance(tokens, str) or [] in words:
        raise ValueError(f"cannot cut {tokens!r}: give a list of words")
    for pair in merges:
        words = [_merge(word, pair) for word in words]
    return [" ".join(word) for word in words]


def segment_BPE(tokens: list[str], symbols: list[str] | set[str]) -> list[str]:
    """Cut words into the longest symbols, from the left (d2l 15.6.2).

    `apply_merges` is what BPE does; the result is often another.

    Args:
        tokens: list of words, not yet cut, with their `_` at the end.
        symbols: a list or set; what no symbol fits becomes `[UNK]`.

    Returns:
        A list of str, with blanks between a word's symbols.

    Raises:
        ValueError: for an empty word, no symbols, or a str for the list.
    """
    if isinstance(tokens, str) or "" in tokens or not symbols:
        raise ValueError(f"cannot cut {tokens!r} into {len(symbols)} "
                         "symbols: give a list of words and symbols")
    symbols = set(symbols)
    return [" ".join(_longest_first(token, symbols)) for token in tokens]


def _longest_first(token: str, symbols: set[str]) -> Iterator[str]:
    start = 0
    while start < len(token):
        ends = range(len(token), start, -1)
        end = next((e for e in ends if token[start:e] in symbols), None)
        yield "[UNK]" if end is None else token[start:end]
        start = end or len(token)


def greedy_wordpiece(word: str, vocab: dict[str, int] | set[str],
                     unk: str = "[UNK]", max_chars: int = 100) -> list[str]:
    """Cut a word into the longest pieces there are, from the left.

    A piece that does not begin the word is written with "##", as by the
    tokenizer of Google's BERT.

    Args:
        unk: stands for the whole word if a part of it has no piece, or if it
            has more than max_chars characters.
    """
    if len(word) > max_chars:
        return [unk]
    pieces, start = [], 0
    while start < len(word):
        end, prefix = len(word), "##" if start else ""
        while end > start and prefix + word[start:end] not in vocab:
            end -= 1
        if end == start:
            return [unk]
        pieces.append(prefix + word[start:end])
        start = end
    return pieces
