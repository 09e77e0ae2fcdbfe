"""Files of pairs in SNLI's format: SNLI itself and mini-nli (d2l 16.4.1)."""

import re
from pathlib import Path

import numpy as np

from d2lbert.data import hub
from d2lbert.data.corpora import read_lines
from d2lbert.data.mini.bundled import bundled_folder
from d2lbert.data.mini.nli import LABELS, write_mini_nli

SPLITS = ("train", "dev", "test")
_MINI_NLI_SOURCES = ("wiki.py", "wiki.toml", "nli.py", "nli.toml")
BRACKETS = re.compile(r"[()]")


def nli_folder(corpus: str | Path = "snli") -> str:
    """The folder with snli_1.0_train.txt, …_dev.txt and …_test.txt.

    Args:
        corpus: 'snli' (downloaded on first use), 'mini-nli' (bundled, needs
            no network) or a folder with files in SNLI's format.

    Raises:
        ValueError: for another name.
        DownloadError, ArchiveError: see `d2lbert.data.hub.download_extract`.
    """
    if corpus == "mini-nli":
        return str(bundled_folder(corpus, _MINI_NLI_SOURCES, write_mini_nli))
    if corpus == "snli":
        try:
            return hub.download_extract("SNLI", "snli_1.0", hub.cache_dir())
        except hub.DownloadError as error:
            raise hub.DownloadError(f"{error}, or use corpus='mini-nli', "
                                    "which needs no network") from error
    if Path(corpus).is_dir():
        return str(corpus)
    raise ValueError(f"unknown corpus {corpus!r}: use 'snli', 'mini-nli' or "
                     "a folder with files in SNLI's format")


def label_of(probs: np.ndarray) -> str:
    """The likeliest label of a pair.

    Args:
        probs: (1, 3) probabilities of LABELS.

    Raises:
        ValueError: for another number of classes.
    """
    if probs.shape != (1, len(LABELS)):
        raise ValueError(f"the classifier has {probs.shape[-1]} outputs, and "
                         f"SNLI {len(LABELS)} labels: ask classify instead")
    return LABELS[int(probs.argmax())]


def read_snli(data_dir: str | Path, is_train: bool = True,
              split: str | None = None) -> tuple[list, ...]:
    """Read the pairs of a file in SNLI's format (d2l 16.4.1).

    Pairs without a label, or with an empty sentence, are skipped and counted.

    Args:
        data_dir: the folder of the files.
        is_train: True for the training pairs, False for the test pairs.
        split: 'train', 'dev' or 'test', instead of is_train.

    Returns:
        Premises and hypotheses, lists of str, and labels, a list of int:
        0 entailment, 1 contradiction, 2 neutral.
    """
    path = _file_of(data_dir, split or ("train" if is_train else "test"))
    rows = [_columns(line, number, path)
            for number, line in enumerate(read_lines(path), 1)]
    if rows and rows[0][0] not in (*LABELS, "-"):
        del rows[0]  # the header
    pairs = [(premise, hypothesis, LABELS.index(label))
             for label, premise, hypothesis in rows
             if label in LABELS and premise and hypothesis]
    if len(pairs) < len(rows):
        print(f"skipped {len(rows) - len(pairs)} of {len(rows)} pairs: no "
              "label, or an empty sentence")
    return tuple(map(list, zip(*pairs))) or ([], [], [])


def _file_of(data_dir: str | Path, split: str) -> Path:
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}: use one of {SPLITS}")
    return Path(data_dir, f"snli_1.0_{split}.txt")


def _columns(line: str, number: int, path: Path) -> tuple[str, ...]:
    """Label and both sentences, from the binary parses without brackets."""
    columns = line.split("\t")
    if len(columns) < 3:
        raise ValueError(
            f"line {number} of {path} has {len(columns)} columns, not label, "
            "premise, hypothesis and others divided by tabs: is it SNLI's "
            "text format?")
    return columns[0], *(" ".join(BRACKETS.sub(" ", text).split())
                         for text in columns[1:3])
