"""From text to the inputs of BERT: WordPiece, `[CLS]`, `[SEP]`, padding.

The work is done by the `tokenizers` library, set up as Google's uncased and
cased models want it.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from d2lbert.checks import CheckpointError
from d2lbert.data.vocab import Vocab
from d2lbert.original.find import find_checkpoint
from d2lbert.original.tokenizer_files import (
    SPECIAL_TOKENS,
    WORDPIECE,
    Added,
    TokenizerFiles,
    read_tokenizer_files,
    write_tokenizer_files,
)


class BertTokenizer:
    """Turn texts into the inputs of BERT, and ids into text.

    `[MASK]` and the other special tokens may be written in a text.

    Args:
        tokens: the vocabulary, a list in the order of the ids.
        lowercase: also drops accents, as the uncased models want it.
        added: {token: flags} of those among them that are taken out of a text
            whole, before it is cut into words. Flags are those of the
            tokenizers library's `AddedToken`, such as {"special": True}.
        max_length: the most tokens that the model can read, if it is known;
            it is saved, so that `transformers` truncates.

    Attributes:
        tokens: the list, id -> token. lowercase, added, max_length: as given.

    Raises:
        ValueError: if the list lacks a special token, has a token twice, or
            holds what is no token.
        ImportError: if the tokenizers library is not installed.
    """

    def __init__(self, tokens: Iterable[str], lowercase: bool = True,
                 added: Added | None = None, max_length: int | None = None
                 ) -> None:
        self.tokens, self.lowercase = list(tokens), lowercase
        self.added, self.max_length = dict(added or {}), max_length
        _check_tokens(self.tokens, self.added)
        self._ids = {token: i for i, token in enumerate(self.tokens)}
        self._library = _pipeline(self._ids, lowercase, self.added)

    @classmethod
    def from_pretrained(cls, source: str | Path) -> Self:
        """Read the tokenizer of a BERT checkpoint.

        Args:
            source: a folder with vocab.txt or tokenizer.json, or a name; see
                `find_checkpoint`. tokenizer_config.json tells whether text
                is lowercased (without it: yes), and config.json how many
                tokens the model knows; more than the vocabulary has are
                never used.

        Raises:
            CheckpointError: if there is no vocabulary, if it is not one of
                BERT's WordPieces, or if the model knows fewer tokens.
            ValueError: for a vocab.txt that is not UTF-8.
        """
        folder = find_checkpoint(source)
        files = read_tokenizer_files(folder)
        try:
            return cls(files.tokens, files.lowercase, files.added,
                       files.max_length)
        except ValueError as error:
            raise CheckpointError(f"{folder}: {error}") from error

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int,
              lowercase: bool = True, min_frequency: int = 2) -> Self:
        """Make a vocabulary for texts; the same texts give the same one.

        Args:
            texts: an iterable of str.
            vocab_size: tokens at most, special tokens and characters
                included. A small text gives fewer.
            min_frequency: how often two pieces must stand together to
                become one.

        Raises:
            ValueError: if there is no text, or not room for its characters.
        """
        texts = _as_list(texts)
        library = _pipeline({token: i for i, token in
                             enumerate(SPECIAL_TOKENS)}, lowercase, {})
        # Left to itself, the library numbers the characters inside words at
        # random, and of equally frequent pairs it joins the lower numbers.
        first = [*SPECIAL_TOKENS, *_inner_characters(texts, library)]
        library.train_from_iterator(
            texts, _tokenizers().trainers.WordPieceTrainer(
                vocab_size=vocab_size, min_frequency=min_frequency,
                special_tokens=first, show_progress=False))
        ids = library.get_vocab()
        if len(ids) > vocab_size:
            raise ValueError(
                f"vocab_size={vocab_size} is too small: the special tokens "
                f"and single characters alone are {len(ids)}")
        return cls(sorted(ids, key=ids.get), lowercase)

    def __len__(self) -> int:
        return len(self.tokens)

    def __call__(self, texts: str | Iterable[str],
                 pairs: str | Iterable[str] | None = None,
                 max_length: int | None = None, truncate: bool = False
                 ) -> dict[str, np.ndarray]:
        """The inputs of BERT for texts or pairs of texts.

        Args:
            texts: B texts; a str is a batch of one.
            pairs: B second texts, which may be empty.
            max_length: the most tokens that the model can read.
            truncate: cut what is longer, of a pair the longer text first;
                every `[SEP]` stays.

        Returns:
            {"input_ids", "token_type_ids", "attention_mask"}: int32 arrays
            (B, L), padded to the longest of the batch.

        Raises:
            ValueError: for no text, an empty one or one that is no str, for
                another number of pairs, and for a text that is too long.
        """
        inputs: list = _as_list(texts)
        if not all(text.strip() for text in inputs):
            raise ValueError("a text is empty: there is nothing to read")
        if pairs is not None:
            inputs = _join(inputs, _as_list(pairs))
        rows = self._library.encode_batch(inputs)
        longest = max(map(len, rows))
        if truncate or max_length is not None:
            _check_room(longest, max_length, truncate, pairs is not None)
        if max_length is not None and longest > max_length:
            rows = self._truncated(inputs, max_length)
        return {"input_ids": _pad([r.ids for r in rows], self.id("[PAD]")),
                "token_type_ids": _pad([r.type_ids for r in rows]),
                "attention_mask": _pad([r.attention_mask for r in rows])}

    def _truncated(self, inputs: list, max_length: int) -> list:
        self._library.enable_truncation(max_length)
        try:
            return self._library.encode_batch(inputs)
        finally:
            self._library.no_truncation()

    def tokenize(self, text: str) -> list[str]:
        """The pieces of a text, a list, without `[CLS]` and `[SEP]`."""
        return self._library.encode(text, add_special_tokens=False).tokens

    def id(self, token: str) -> int:
        """The id of a token; ValueError if the vocabulary lacks it."""
        if token not in self._ids:
            raise ValueError(f"{token!r} is not among the {len(self)} tokens "
                             "of this vocabulary")
        return self._ids[token]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of a sequence of ids, special tokens included.

        Raises:
            IndexError: for an id outside 0 … len(tok) - 1.
        """
        self.vocab.to_tokens(ids)  # the library passes over unknown ids
        return self._library.decode(list(map(int, ids)),
                                    skip_special_tokens=False)

    @cached_property
    def vocab(self) -> Vocab:
        """A `Vocab` of the same ids; `[PAD]` is `<pad>` there, and so on."""
        names = {token: f"<{token[1:-1].lower()}>" for token in SPECIAL_TOKENS}
        vocab = Vocab()
        vocab.idx_to_token = [names.get(t, t) for t in self.tokens]
        vocab.token_to_idx = {t: i for i, t in enumerate(vocab.idx_to_token)}
        return vocab

    def save(self, folder: str | Path) -> None:
        """Write vocab.txt and tokenizer_config.json into a folder.

        Where the folder holds a model's config.json, no more tokens than it
        can read are promised.
        """
        write_tokenizer_files(folder, TokenizerFiles(
            self.tokens, self.lowercase, self.added, self.max_length))


def _tokenizers() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise ImportError("WordPiece needs the tokenizers library: "
                          "pip install 'd2lbert[pretrained]'") from error
    return tokenizers


def _pipeline(ids: dict[str, int], lowercase: bool, added: Added) -> Any:
    """The library's tokenizer for {token: id}."""
    lib = _tokenizers()
    library = lib.Tokenizer(lib.models.WordPiece(ids, **WORDPIECE))
    library.normalizer = lib.normalizers.BertNormalizer(lowercase=lowercase)
    library.pre_tokenizer = lib.pre_tokenizers.BertPreTokenizer()
    library.post_processor = lib.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, ids[token]) for token in ("[CLS]", "[SEP]")])
    library.decoder = lib.decoders.WordPiece()
    library.add_special_tokens(list(SPECIAL_TOKENS))
    for token, flags in added.items():
        library.add_tokens([lib.AddedToken(token, **flags)])
    return library


def _inner_characters(texts: list[str], library: Any) -> list[str]:
    """"##c" for every character c that does not begin a word, sorted."""
    normalize = library.normalizer.normalize_str
    split = library.pre_tokenizer.pre_tokenize_str
    strings = {string for text in texts for string in text.split(" ")}
    words = (word for s in strings for word, _ in split(normalize(s)))
    return sorted({f"##{c}" for word in words for c in word[1:]})


def _as_list(texts: str | Iterable[str]) -> list[str]:
    texts = [texts] if isinstance(texts, str) else list(texts)
    if not texts:
        raise ValueError("there is no text: give a str or a list of str")
    for text in texts:
        if not isinstance(text, str):
            raise ValueError(f"a text is {text!r}, not a str")
    return texts


def _join(texts: list[str], pairs: list[str]) -> list[tuple[str, str]]:
    if len(pairs) != len(texts):
        raise ValueError(f"{len(texts)} texts and {len(pairs)} second texts "
                         "make no pairs")
    return list(zip(texts, pairs))


def _check_room(longest: int, max_length: int | None, truncate: bool,
                is_pair: bool) -> None:
    if max_length is None:
        raise ValueError("truncate=True needs a max_length")
    if longest > max_length and not truncate:
        raise ValueError(
            f"a text has {longest} tokens with [CLS] and [SEP], but "
            f"max_length={max_length}: shorten it, or give truncate=True")
    least = 5 if is_pair else 3
    if max_length < least:
        raise ValueError(f"max_length={max_length} has no room for the text: "
                         f"{least} tokens are the least")


def _pad(rows: list[list[int]], value: int = 0) -> np.ndarray:
    """Lists of ids as an array (B, L)."""
    padded = np.full((len(rows), max(map(len, rows))), value, np.int32)
    for row, values in zip(padded, rows):
        row[:len(values)] = values
    return padded


def _check_tokens(tokens: list[str], added: Added) -> None:
    for i, token in enumerate(tokens):
        if not isinstance(token, str) or not re.fullmatch(r"[^\r\n]+", token):
            raise ValueError(f"token {i} is {token!r}, not a str of one line")
    token, count = Counter(tokens).most_common(1)[0] if tokens else ("", 0)
    if count > 1:
        raise ValueError(f"the token {token!r} is {count} times in the "
                         "vocabulary, so that it has no id of its own")
    strangers = set(added) - set(tokens)
    if strangers:
        raise ValueError(f"the added tokens {sorted(strangers)} have no id: "
                         "they belong into the list of tokens as well")
    missing = [token for token in SPECIAL_TOKENS if token not in tokens]
    if missing:
        raise ValueError(f"the vocabulary lacks {', '.join(missing)}: is it "
                         "that of a BERT?")
