"""Write a text, however large, as a folder of shards (`d2lbert.data.shards`).

The text is cut into pieces at line ends. Several processes count the words
of the pieces, then write a shard of each; only one piece is in memory in each
of them. What they write does not depend on their number.
"""

import json
import multiprocessing
import os
import shutil
import signal
import threading
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from d2lbert.data.batches import MIN_FREQ
from d2lbert.data.corpora import Paragraphs, hold_out, read_paragraphs
from d2lbert.data.pretraining import Sentences, index_sentences
from d2lbert.data.shards import (
    INDEX,
    PARTS,
    VOCABULARY,
    Shard,
    index_of,
    is_replaceable,
    mark,
    read_vocab,
    vocabulary,
    write_shard,
)
from d2lbert.data.vocab import Vocab

MEGABYTES = 32.0  # of text a shard; a process takes some ten times as much
_ENDINGS = (".txt", ".tokens")
Shards = dict[str, Shard]  # one of each part
Item = TypeVar("Item")
Result = TypeVar("Result")
Watch = Callable[[Iterator[Any], int, str], Iterable[Any]]


@dataclass(frozen=True)
class Piece:
    """Lines of a text: those that begin within some spans of bytes.

    Attributes:
        spans: (file, start, end) each.
    """
    number: int
    spans: list[tuple[Path, int, int]]

    def read(self) -> str:
        """The lines.

        Raises:
            ValueError: for bytes that are not UTF-8.
        """
        return "\n".join(_read_span(*span) for span in self.spans)


def _read_span(path: Path, start: int, end: int) -> str:
    with path.open("rb") as file:
        if start:  # a line that begins before it is another span's
            file.seek(start - 1)
            file.readline()
        first = file.tell()
        text = file.read(max(0, end - first))
        if text and not text.endswith(b"\n"):
            text += file.readline()
    try:
        return text.decode("utf-8" if first else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {first + error.start:,} of {path} is not "
                         "UTF-8: save the file as UTF-8 and try again"
                         ) from error


def find_texts(text: str | Path) -> list[Path]:
    """The file, or the .txt and .tokens files of the folder, in order.

    Raises:
        FileNotFoundError: if there is none.
    """
    text = Path(text).expanduser()
    if text.is_file():
        return [text]
    found = [path for path in sorted(text.iterdir() if text.is_dir() else [])
             if path.is_file() and path.suffix in _ENDINGS]
    if not found:
        raise FileNotFoundError(f"there is no file {text}, and no folder of "
                                ".txt or .tokens files by that name")
    return found


def cut_texts(paths: Sequence[Path], size: int) -> list[Piece]:
    """Pieces of equal size, of at most `size` bytes and a line.

    The texts count as one, so that small files share a piece.
    """
    ends = np.cumsum([path.stat().st_size for path in paths]).tolist()
    number = max(1, -(-ends[-1] // size))
    bounds = [ends[-1] * i // number for i in range(number + 1)]
    pieces: list[Piece] = [Piece(i, []) for i in range(number)]
    for path, base, end in zip(paths, [0, *ends], ends):
        first = bisect_right(bounds, base) - 1
        for i, (low, high) in enumerate(pairwise(bounds[first:]), first):
            if low >= end:
                break
            pieces[i].spans.append(
                (path, max(low - base, 0), min(high, end) - base))
    return pieces


def _parts(piece: Piece) -> tuple[Paragraphs, Paragraphs]:
    """Paragraphs to train on and held out, of two sentences at least."""
    return hold_out([p for p in read_paragraphs(piece.read()) if len(p) > 1])


def count_words(piece: Piece) -> dict[str, int]:
    """How often each word occurs in what is trained on, the first seen first.
    """
    train, _ = _parts(piece)
    return dict(Counter(chain.from_iterable(chain.from_iterable(train))))


def write_piece(folder: Path, known: tuple[int, str], piece: Piece
                ) -> Shards | None:
    """Write the shards of a piece, numbered by the folder's vocabulary.

    Args:
        known: the size and SHA-1 of the vocabulary.

    Returns:
        What was written; None for a piece of which no pairs can be made.
    """
    vocab, shards, name = _vocab(folder, known), {}, f"{piece.number:05}"
    for part, paragraphs in zip(PARTS, _parts(piece)):
        if len(paragraphs) < 2:
            return None
        sentences = index_sentences(paragraphs, vocab)
        if not _has_pairs(sentences):
            return None
        shards[part] = sentences
    return {part: write_shard(folder / part, name, sentences)
            for part, sentences in shards.items()}


@lru_cache(1)  # one is read in each process
def _vocab(folder: Path, known: tuple[int, str]) -> Vocab:
    return read_vocab(folder / VOCABULARY, list(known))


def _has_pairs(sentences: Sentences, share: float = 0.25) -> bool:
    """Can so many of the others be any sentence's false next one?

    They are drawn until one is not the sentence or its true next one: where
    most are, as in a table that repeats a line, the draws may come to an end.
    """
    often = np.bincount(sentences.text)[sentences.text]
    others = len(often) - sentences.size
    is_last = np.append(np.diff(sentences.first) > 0, True)
    good = others[:-1] - (often[:-1] - 1) - (often[1:] - 1)
    return bool((good >= share * others[:-1])[~is_last[:-1]].all())


def write_shards(text: str | Path, folder: str | Path, processes: int = 1,
                 min_freq: int = MIN_FREQ, max_words: int | None = None,
                 megabytes: float = MEGABYTES,
                 watch: Watch = lambda items, total, name: items
                 ) -> tuple[dict[str, list[Shard]], int]:
    """Write a folder of shards, whole or not at all.

    They are written beside it, into `.folder.unfinished`, and get their name
    when all are there. A folder of shards that is there is replaced then.

    Args:
        text: a file, or a folder of .txt and .tokens files, with a paragraph
            a line and ' . ' between sentences.
        min_freq, max_words: as in `vocabulary`.
        megabytes: of text in a shard.
        watch: passes on an iterator of so many items, as a progress bar.

    Returns:
        The shards of each part; how many pieces were left out, since no
        pairs can be made of them.

    Raises:
        FileNotFoundError: if there is no text.
        FileExistsError: if the folder holds anything but shards.
        ValueError: for bytes that are not UTF-8, or a text of which no pairs
            can be made.
    """
    pieces = cut_texts(find_texts(text), max(1, round(megabytes * 2**20)))
    folder = Path(folder).expanduser().resolve()
    draft = folder.with_name(f".{folder.name}.unfinished")
    for place in (folder, draft):
        if not is_replaceable(place):
            raise FileExistsError(f"{place} holds something else than shards: "
                                  "name a folder that does not exist")
    shutil.rmtree(draft, ignore_errors=True)  # of a process that was killed
    try:
        with _Pool(processes) as workers:
            shards = _write(draft, pieces, workers, watch, min_freq, max_words)
        _finish(draft, folder, shards, text)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return shards, len(pieces) - len(shards[PARTS[0]])


def _write(draft: Path, pieces: list[Piece], workers: "_Pool",
           watch: Watch, min_freq: int, max_words: int | None
           ) -> dict[str, list[Shard]]:
    for part in PARTS:
        (draft / part).mkdir(parents=True)
    counts: Counter[str] = Counter()
    for found in watch(workers.map(count_words, pieces), len(pieces),
                       "counting words"):
        counts.update(found)
    _write_json(draft / VOCABULARY, vocabulary(
        counts.most_common(), min_freq, max_words))
    work = partial(write_piece, draft, tuple(mark(draft / VOCABULARY)))
    written = watch(workers.map(work, pieces), len(pieces), "writing shards")
    both = [shards for shards in written if shards]
    return {part: [shards[part] for shards in both] for part in PARTS}


def _finish(draft: Path, folder: Path, shards: dict[str, list[Shard]],
            text: str | Path) -> None:
    """Write the index, which comes last, and give the folder its name."""
    if not shards[PARTS[0]]:
        raise ValueError(
            f"no shard can be made of {text}: each takes four paragraphs of "
            "two or more sentences, most of them different. Write a paragraph "
            "a line and ' . ' between sentences, or take larger shards")
    _write_json(draft / INDEX, index_of(shards, mark(draft / VOCABULARY)))
    (folder / INDEX).unlink(missing_ok=True)  # first: the rest is no shards
    if folder.exists():
        shutil.rmtree(folder)
    os.replace(draft, folder)


def _write_json(path: Path, value: dict[str, Any]) -> None:
    # Not by a draft of its own, which a killed process would leave behind
    path.write_text(json.dumps(value, ensure_ascii=False, indent=0),
                    encoding="utf-8", newline="\n")


def _begin() -> None:
    """Leave Ctrl-C to the process that started this one, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


class _Pool:
    """Processes that work on items; with one, this process does it."""

    def __init__(self, number: int) -> None:
        # Not forked, since a progress bar may have a thread
        self.pool = ProcessPoolExecutor(
            number, multiprocessing.get_context("spawn"), _begin
        ) if number > 1 else None
        self.ahead = 2 * number

    def __enter__(self) -> "_Pool":
        return self

    def __exit__(self, *error: object) -> None:
        if self.pool:
            self.pool.shutdown(cancel_futures=True)

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]
            ) -> Iterator[Result]:
        """The results in the order of the items, few of them waiting."""
        if not self.pool:
            yield from map(work, items)
            return
        items = iter(items)
        waiting = deque(self.pool.submit(work, item)
                        for item in islice(items, self.ahead))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(self.pool.submit(work, item)
                           for item in islice(items, 1))
