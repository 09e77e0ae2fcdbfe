"""Corpora larger than memory: shards of token ids, read by memory map.

A folder of shards holds `vocabulary.json`, the arrays of each shard in
`train/` and `held-out/`, four int32 `.npy` files each, and `shards.json`,
which is written last and says what the others are. T is a shard's number of
tokens, S of its sentences, P of its paragraphs.

    tokens (T,)      the ids of all sentences, one after another
    lengths (S,)     of the sentences
    paragraphs (P,)  how many sentences each has, two at least
    texts (S,)       equal numbers for sentences of equal words

`python -m d2lbert.run.shards` writes such a folder.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from d2lbert.checks import CheckpointError
from d2lbert.data.batches import AsTensors, NextSentenceBatches, Piece
from d2lbert.data.corpora import NAMES
from d2lbert.data.pretraining import RESERVED_TOKENS, Sentences
from d2lbert.data.vocab import Vocab
from d2lbert.files import read_json

FORMAT, VERSION = "d2lbert shards", 1
INDEX, VOCABULARY = "shards.json", "vocabulary.json"
PARTS = TRAIN, HELD_OUT = "train", "held-out"
ARRAYS = "tokens", "lengths", "paragraphs", "texts"
_SPECIAL = "<unk>", *RESERVED_TOKENS
_NAME = re.compile(r"\d{5,9}")
_OURS = re.compile(rf"({TRAIN}|{HELD_OUT})(/\d{{5,9}}-\w+\.npy)?|"
                   rf"{re.escape(INDEX)}|{re.escape(VOCABULARY)}")
_AGAIN = "make the shards again: make shards TEXT=… FOLDER=…"
Mark = list  # [size in bytes, SHA-1]


@dataclass(frozen=True)
class Shard:
    """What `shards.json` says of a shard.

    Attributes:
        name: a number, with which its files begin.
        sentences, tokens, paragraphs, pairs: how many it has.
        files: {array: [size in bytes, SHA-1]}.
    """
    name: str
    sentences: int
    tokens: int
    paragraphs: int
    pairs: int
    files: dict[str, Mark]

    def path(self, folder: Path, array: str) -> Path:
        """The file of an array; `folder` is that of its part."""
        return folder / f"{self.name}-{array}.npy"

    def size(self, array: str) -> int:
        """The number of elements of an array."""
        return {"tokens": self.tokens, "paragraphs": self.paragraphs}.get(
            array, self.sentences)


@dataclass(frozen=True)
class ShardFolder:
    """An opened folder.

    Attributes:
        vocab: as `corpus_vocab` makes it, but that each rare word stands as
            `<unk>` in `token_freqs`, so that these need little memory.
        parts: {"train", "held-out": their shards}.
    """
    path: Path
    vocab: Vocab
    parts: dict[str, list[Shard]]


def write_shard(folder: Path, name: str, sentences: Sentences) -> Shard:
    """Write the arrays of a shard into the folder of its part."""
    starts = np.unique(sentences.first)
    shard = Shard(
        name, len(sentences.start), len(sentences.tokens), len(starts),
        sentences.num_pairs, {})
    arrays = (sentences.tokens, sentences.length, sentences.size[starts],
              sentences.text)
    for array, values in zip(ARRAYS, arrays):
        path = shard.path(folder, array)
        np.save(path, values.astype(np.int32), allow_pickle=False)
        shard.files[array] = mark(path)
    return shard


def mark(path: Path) -> Mark:
    """The size of a file in bytes, and its SHA-1."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha1").hexdigest()
    return [path.stat().st_size, digest]


def index_of(parts: dict[str, list[Shard]], vocabulary: Mark
             ) -> dict[str, Any]:
    """What `shards.json` holds."""
    return {"format": FORMAT, "version": VERSION, "vocabulary": vocabulary,
            **{part: list(map(asdict, parts[part])) for part in PARTS}}


def is_replaceable(folder: Path) -> bool:
    """Is there nothing at this place but shards, finished or not?"""
    if not folder.exists():
        return True
    return folder.is_dir() and all(
        _OURS.fullmatch(path.relative_to(folder).as_posix())
        for path in folder.rglob("*"))


def open_shards(folder: str | Path) -> ShardFolder:
    """Open a folder of shards, and check what can be checked cheaply.

    That is the vocabulary and, of each array, its size and type.

    Raises:
        FileNotFoundError: if the folder has no shards, or lacks a file.
        CheckpointError: for a folder of another version, or damaged.
    """
    folder = Path(folder).expanduser()
    if not (folder / INDEX).is_file():
        raise FileNotFoundError(
            f"{folder} is no folder of shards, or an unfinished one: it has "
            f"no {INDEX}. From a text they are made by make shards TEXT=… "
            f"FOLDER=…, or python -m d2lbert.run.shards TEXT FOLDER")
    index = read_json(folder / INDEX, dict)
    if (index.get("format"), index.get("version")) != (FORMAT, VERSION):
        raise CheckpointError(
            f"{folder / INDEX} is of the format {index.get('format')!r}, "
            f"version {index.get('version')!r}, not {FORMAT!r}, version "
            f"{VERSION}: {_AGAIN}")
    parts = {part: _shards(folder, index, part) for part in PARTS}
    vocab = read_vocab(folder / VOCABULARY, index.get("vocabulary", []))
    for part, shards in parts.items():
        for shard in shards:
            for array in ARRAYS:
                _open_array(folder / part, shard, array)
    return ShardFolder(folder, vocab, parts)


def is_folder(corpus: str | Path) -> bool:
    """Is a corpus a folder, which has to be one of shards, and no name?"""
    return corpus not in NAMES and Path(corpus).expanduser().is_dir()


def _shards(folder: Path, index: dict[str, Any], part: str) -> list[Shard]:
    """The shards of a part, as `shards.json` lists them."""
    try:
        shards = [Shard(**facts) for facts in index[part]]
        is_good = bool(shards) and all(map(_is_shard, shards))
    except (KeyError, TypeError, AttributeError):
        is_good = False
    if not is_good:
        raise CheckpointError(f"{folder / INDEX} has no list {part!r} of "
                              f"shards with their sizes: {_AGAIN}")
    return shards


def _is_shard(shard: Shard) -> bool:
    counts = [getattr(shard, field.name) for field in fields(Shard)[1:5]]
    return (isinstance(shard.name, str) and bool(_NAME.fullmatch(shard.name))
            and all(type(n) is int and 0 < n < 2**31 for n in counts)
            and shard.pairs == shard.sentences - shard.paragraphs
            and {*shard.files} == {*ARRAYS}
            and all(map(_is_mark, shard.files.values())))


def _is_mark(value: Any) -> bool:
    return (isinstance(value, list)
            and list(map(type, value)) == [int, str])


def _open_array(folder: Path, shard: Shard, array: str) -> np.ndarray:
    """An array by memory map, after a look at its size and type."""
    path, size = shard.path(folder, array), shard.files[array][0]
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}: {_AGAIN}")
    if path.stat().st_size != size:
        raise CheckpointError(f"{path} has {path.stat().st_size:,} bytes, not "
                              f"{size:,}: {_AGAIN}")
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, SyntaxError) as error:
        raise CheckpointError(
            f"{path} is no array ({error}): {_AGAIN}") from error
    if values.dtype != np.int32 or values.shape != (shard.size(array),):
        raise CheckpointError(
            f"{path} holds {values.dtype} {values.shape}, not int32 "
            f"({shard.size(array)},): {_AGAIN}")
    return values


def read_shard(folder: Path, shard: Shard) -> Sentences:
    """A shard, with its tokens in a memory map and the rest in memory.

    Args:
        folder: that of its part.

    Raises:
        FileNotFoundError, CheckpointError: if an array is not as it was
            written. Of the tokens only size and type are looked at.
    """
    tokens, *others = (_open_array(folder, shard, a) for a in ARRAYS)
    for array in ARRAYS[1:]:
        if mark(path := shard.path(folder, array)) != shard.files[array]:
            raise CheckpointError(f"{path} is not as it was written: {_AGAIN}")
    lengths, sizes, texts = (values.astype(int) for values in others)
    if ((lengths.sum(), sizes.sum()) != (shard.tokens, shard.sentences)
            or lengths.min() < 1 or sizes.min() < 2):
        raise CheckpointError(
            f"the arrays {folder / shard.name}-*.npy do not belong together: "
            f"{_AGAIN}")
    return Sentences(
        tokens, np.cumsum(lengths) - lengths, lengths, text=texts,
        first=np.repeat(np.cumsum(sizes) - sizes, sizes),
        size=np.repeat(sizes, sizes))


def vocabulary(counts: list[tuple[str, int]], min_freq: int,
               max_words: int | None = None) -> dict[str, Any]:
    """What `vocabulary.json` holds, from words and how often they occur.

    Args:
        counts: from the most to the least frequent word.
        min_freq, max_words: rarer words, and words behind so many, are
            `<unk>`.

    Returns:
        `tokens`, the `idx_to_token` of a `Vocab`; `counts`, how often each
        occurs; `rare`, {how often: how many other words occur so often}.
    """
    words = [t for t, n in counts if n >= min_freq and t not in _SPECIAL]
    tokens, often = [*_SPECIAL, *words[:max_words]], dict(counts)
    kept = frozenset(tokens)
    rare: dict[str, int] = {}
    for token, n in counts:
        if token not in kept:
            rare[str(n)] = rare.get(str(n), 0) + 1
    return {"tokens": tokens, "rare": rare,
            "counts": [often.get(token, 0) for token in tokens]}


def read_vocab(path: Path, known: Mark) -> Vocab:
    """A vocabulary from its file.

    Args:
        known: the size and SHA-1 that the file has to have.

    Raises:
        FileNotFoundError: if there is no such file.
        CheckpointError: if it is damaged.
    """
    content = read_json(path, dict)
    if mark(path) != known:
        raise CheckpointError(f"{path} is not as it was written: {_AGAIN}")
    vocab = Vocab()
    try:
        vocab.idx_to_token = tokens = content["tokens"]
        vocab.token_to_idx = {token: i for i, token in enumerate(tokens)}
        freqs = [(t, n) for t, n in zip(tokens, content["counts"]) if n > 0]
        for n, words in content["rare"].items():
            freqs += [("<unk>", int(n))] * words  # one object for all
        vocab.token_freqs = sorted(freqs, key=lambda pair: -pair[1])
        is_good = (tokens[:len(_SPECIAL)] == [*_SPECIAL]
                   and len(vocab.token_to_idx) == len(content["counts"])
                   and {*map(type, tokens)} == {str})
    except (KeyError, TypeError, ValueError, AttributeError):
        is_good = False
    if not is_good:
        raise CheckpointError(f"{path} is no vocabulary of shards: {_AGAIN}")
    return vocab


class ShardBatches(NextSentenceBatches):
    """The batches of one part of a folder of shards.

    Every epoch draws the order of the shards, and in each shard its false
    next sentences, order and masks, from the seed, the epoch's number and
    the shard's. The tokens stay in a memory map, and what else a shard has
    is in memory for one shard at a time.

    Args:
        shards: an opened folder.
        batch_size, seed: as in `Batches`.
        max_len: L, the length to which examples are cut or padded.
        part: 'train', or 'held-out' for the same epoch each time.
        as_tensors: turns the NumPy 7-tuple into a backend's tensors.

    Raises:
        ValueError: for a max_len without room for two sentences.
    """

    def __init__(self, shards: ShardFolder, batch_size: int, max_len: int,
                 seed: int = 0, part: str = TRAIN,
                 as_tensors: AsTensors = tuple) -> None:
        self.folder, self.shards = shards.path / part, shards.parts[part]
        super().__init__(
            sum(shard.pairs for shard in self.shards), shards.vocab,
            batch_size, max_len, seed, part == TRAIN, as_tensors)

    @property
    def contents(self) -> list[str]:
        """What tells these shards from others: the digests of their files."""
        return [digest for shard in self.shards
                for _, digest in shard.files.values()]

    def _shards(self, key: list[int]
                ) -> Iterator[tuple[int, int, np.random.Generator]]:
        order = np.random.default_rng(key).permutation(len(self.shards))
        for number in order.tolist():
            # From 1 on: a key that ends in 0 gives the chance of the order
            yield (number, self.shards[number].pairs,
                   np.random.default_rng([*key, number + 1]))

    def _read(self, shard: int) -> Sentences:
        return read_shard(self.folder, self.shards[shard])

    def _join(self, pieces: Sequence[Piece]) -> list[np.ndarray]:
        joined = super()._join(pieces)
        tokens = joined[0]
        if tokens.size and not 0 <= tokens.min() <= tokens.max() < len(
                self.vocab):
            raise CheckpointError(
                f"the shards in {self.folder} have token ids outside of the "
                f"vocabulary of {len(self.vocab)}: {_AGAIN}")
        return joined
