"""Words and their numbers (d2l 9.2)."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, overload

import numpy as np

from d2lbert.checks import warn

_SPECIAL_TOKENS = ("<pad>", "<mask>", "<cls>", "<sep>", "<bos>", "<eos>")
ORDERS = ("frequency", "d2l")


def tokenize(lines: Iterable[str], token: str = "word") -> list[list[str]]:
    """Split each line into words or characters.

    Args:
        lines: list of str.
        token: 'word' (split at white space) or 'char'.

    Returns:
        A list with one list of tokens a line.

    Raises:
        ValueError: for another kind of token, or a single str.
    """
    if isinstance(lines, str):
        raise ValueError(f"lines is the str {lines[:60]!r}, not a list of "
                         "lines: give [line], or text.split('\\n')")
    if token == "word":
        return [line.split() for line in lines]
    if token == "char":
        return [list(line) for line in lines]
    raise ValueError(f"unknown token type {token!r}: use 'word' or 'char'")


class Vocab:
    """A two-way table between tokens and ids.

    Id 0 is `<unk>`, the reserved tokens follow, then the words of `tokens`
    from the most to the least frequent. In d2l's order all of them stand by
    the alphabet. `idx_to_token` and `token_to_idx` may be assigned, as d2l's
    programs do after `Vocab()`.

    Args:
        tokens: a list of tokens or a list of such lists.
        min_freq: words seen less often are left out and read as `<unk>`.
        reserved_tokens: tokens that get an id whether they occur or not.
        order: 'frequency', or 'd2l' for the ids that d2l 1.0.3 gives: models
            trained with its vocabulary need them.

    Raises:
        ValueError: for another order, or a str in place of tokens.
    """

    def __init__(self, tokens: Iterable[Any] | None = None, min_freq: int = 0,
                 reserved_tokens: Iterable[str] | None = None,
                 order: str = "frequency") -> None:
        if order not in ORDERS:
            raise ValueError(f"unknown order {order!r} of a vocabulary: use "
                             f"{' or '.join(map(repr, ORDERS))}")
        if isinstance(tokens, str):
            raise ValueError(f"tokens is the str {tokens[:60]!r}, not a list: "
                             "split it with tokenize([...])")
        counts = Counter(_flat(tokens or []))
        self.token_freqs = counts.most_common()
        frequent = (t for t, n in self.token_freqs if n >= min_freq)
        # dict.fromkeys keeps the first of equal keys: a corpus that itself
        # holds `<unk>` or a reserved token does not get it twice.
        self.idx_to_token = list(
            dict.fromkeys(["<unk>", *(reserved_tokens or []), *frequent]))
        if order == "d2l":
            self.idx_to_token.sort()
        self.token_to_idx = {t: i for i, t in enumerate(self.idx_to_token)}

    @property
    def unk(self) -> int:
        """The id of `<unk>`: 0, unless in d2l's order or assigned."""
        return self.token_to_idx.get("<unk>", 0)

    def __len__(self) -> int:
        return len(self.idx_to_token)

    @overload
    def __getitem__(self, tokens: str) -> int: ...

    @overload
    def __getitem__(self, tokens: list | tuple) -> list: ...

    def __getitem__(self, tokens: str | list | tuple) -> int | list:
        """The id of a token, or the (nested) list of ids of a list.

        A word that is not there is `<unk>`. A text of several words is no
        token, and the warning says so.

        Raises:
            KeyError: for a special token, such as `<pad>`, that is not in
                the vocabulary: read as `<unk>` it would go unnoticed.
        """
        if not isinstance(tokens, (list, tuple)):
            if (isinstance(tokens, str) and len(tokens.split()) > 1
                    and tokens not in self.token_to_idx):
                warn(f"{tokens[:60]!r} is looked up as one token and read as "
                     "<unk>: split it, vocab[text.split()]")
            return self._id(tokens)
        if tokens and isinstance(tokens[0], (list, tuple)):
            return [self[row] for row in tokens]
        get = self.token_to_idx.get
        ids = [get(token) for token in tokens]
        if None not in ids:
            return ids
        return [self._id(t) if i is None else i for t, i in zip(tokens, ids)]

    def _id(self, token: str) -> int:
        if token not in self.token_to_idx and token in _SPECIAL_TOKENS:
            raise KeyError(
                f"{token} is not in this vocabulary of {len(self)} tokens: "
                f"build it with reserved_tokens=[{token!r}, …]")
        return self.token_to_idx.get(token, self.unk)

    def to_tokens(self, indices: Any) -> Any:
        """The token of an id, or the list of tokens of a sequence of ids.

        Raises:
            IndexError: for an id outside 0 … len(vocab) - 1.
        """
        if np.ndim(indices) == 0:
            return self._token(int(indices))
        return [self.to_tokens(index) for index in indices]

    def _token(self, index: int) -> str:
        if not 0 <= index < len(self):
            raise IndexError(f"token id {index} is outside the vocabulary "
                             f"(0 to {len(self) - 1})")
        return self.idx_to_token[index]


def unigram_entropy(vocab: Vocab) -> float:
    """Entropy of the words' frequencies, in nats a word.

    The loss of a model that knows how frequent each word is, and no more.
    """
    counts = np.array([n for _, n in vocab.token_freqs])
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def _flat(tokens: Iterable[Any]) -> Iterator[str]:
    for item in tokens:
        if isinstance(item, (list, tuple)):
            yield from item
        else:
            yield item
