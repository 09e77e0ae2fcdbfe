"""Sentences with an opinion, in SST-2's format, as BERT's batches.

Labels are those of SST-2 (Socher et al., 2013; GLUE, Wang et al., 2019):
1 for praise, 0 for blame.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from d2lbert.data.batches import AsTensors
from d2lbert.data.corpora import read_lines
from d2lbert.data.mini.bundled import bundled_folder
from d2lbert.data.mini.sentiment import HEADER, write_mini_sentiment

STEP = 16  # to which lengths are rounded up
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
Tokenizer = Callable[..., dict[str, np.ndarray]]  # a BertTokenizer
_SOURCES = ("wiki.py", "wiki.toml", "sentiment.py", "sentiment.toml")
_UNLABELLED = (" (the test.tsv that GLUE gives away has no labels: measure on "
               "dev.tsv)")


def sentiment_folder(corpus: str | Path = "mini-sentiment") -> Path:
    """The folder, a `Path`, with train.tsv, dev.tsv and perhaps test.tsv.

    Args:
        corpus: 'mini-sentiment' (bundled, written into the cache on first
            use) or a folder with files in SST-2's format, such as GLUE's.

    Raises:
        ValueError: for another name.
        FileNotFoundError: if train.tsv or dev.tsv is not in the folder.
    """
    if corpus == "mini-sentiment":
        return bundled_folder(corpus, _SOURCES, write_mini_sentiment)
    folder = Path(corpus).expanduser()
    if not folder.is_dir():
        raise ValueError(
            f"unknown corpus {str(corpus)!r}: use 'mini-sentiment' or a "
            "folder with train.tsv and dev.tsv in SST-2's format")
    for name in ("train.tsv", "dev.tsv"):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"there is no {name} in {folder}: a sentiment set is "
                "train.tsv and dev.tsv in SST-2's format")
    return folder


def read_sst2(path: str | Path) -> tuple[list[str], list[int]]:
    """Read sentences and labels from a file in SST-2's format.

    That is TSV with the header `sentence<TAB>label`, where quotes are
    characters like others; blanks around a sentence are dropped.

    Returns:
        Sentences, a list of str, and labels, a list of int: 1 for praise, 0
        for blame.

    Raises:
        ValueError: naming the line, for another header, another number of
            columns, a label that is not 0 or 1, an empty sentence, bytes
            that are not UTF-8, or a file without sentences.
        FileNotFoundError: if there is no such file.
    """
    header, *rows = _lines(path) or [[]]
    if header != HEADER:
        raise ValueError(
            f"line 1 of {path} is {chr(9).join(header)!r}, not the header "
            f"'sentence<TAB>label'{_UNLABELLED}")
    pairs = [_example(columns, number, path)
             for number, columns in enumerate(rows, 2)]
    if not pairs:
        raise ValueError(f"{path} has a header and no sentences: write a "
                         "sentence, a tab and its label on each line")
    sentences, labels = zip(*pairs)
    return list(sentences), list(labels)


def _lines(path: str | Path) -> list[list[str]]:
    """The columns of each line; a quote is a character like others."""
    return [line.split("\t") if line else []
            for line in read_lines(Path(path))]


def _example(columns: list[str], number: int, path: str | Path
             ) -> tuple[str, int]:
    where = f"line {number} of {path} has"
    if len(columns) != 2:
        raise ValueError(f"{where} {len(columns)} columns, not a sentence "
                         "and its label divided by a tab")
    sentence, label = map(str.strip, columns)
    if not sentence:
        raise ValueError(f"{where} an empty sentence: write it or delete "
                         "the line")
    if label not in ("0", "1"):
        raise ValueError(f"{where} the label {label!r}, not 0 or 1"
                         f"{_UNLABELLED}")
    return sentence, int(label)


class SentimentDataset:
    """Sentences, or pairs of them, as BERT's inputs, tokenised once.

    A batch is {"input_ids", "attention_mask", "token_type_ids": (B, L),
    "labels": (B,)}, int32 arrays.

    Args:
        sentences, labels: as `read_sst2` gives them.
        tokenizer: a `BertTokenizer`.
        max_length: longer sentences are cut, in tokens.
        as_tensors: turns the dict of arrays into a backend's tensors.
        seconds: as many second sentences, or None.

    Attributes:
        inputs: {name: (N, L)} of input_ids, attention_mask and
            token_type_ids; lengths, labels: (N,).

    Raises:
        ValueError: for no sentences, or another number of labels.
    """

    def __init__(self, sentences: Sequence[str], labels: Sequence[int],
                 tokenizer: Tokenizer, max_length: int = 128,
                 as_tensors: AsTensors = dict,
                 seconds: Sequence[str] | None = None) -> None:
        if not len(sentences) == len(labels) > 0:
            raise ValueError(f"{len(sentences)} sentences and {len(labels)} "
                             "labels are not a set of examples")
        self.inputs = tokenizer(
            list(sentences), *([] if seconds is None else [list(seconds)]),
            max_length=max_length, truncate=True)
        self.lengths = self.inputs["attention_mask"].sum(1)
        self.labels = np.array(labels, np.int32)
        self.as_tensors = as_tensors

    def batch(self, rows: np.ndarray) -> Any:
        """A dict of some sentences, without needless padding.

        L is rounded up to a multiple of 16, or to the longest of all, so that
        a compiler sees few shapes.
        """
        length = -(-self.lengths[rows].max() // STEP) * STEP
        arrays = {name: self.inputs[name][rows, :length] for name in INPUTS}
        return self.as_tensors(arrays | {"labels": self.labels[rows]})

    def __len__(self) -> int:
        return len(self.labels)


def is_labelled(path: Path) -> bool:
    """Whether the header of a file names labels; GLUE's test.tsv does not."""
    return path.is_file() and "label" in (_lines(path) or [[]])[0]
