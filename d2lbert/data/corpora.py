"""Texts to pretrain on: WikiText-2, the bundled mini-wiki, your own file.

A corpus is two lists of paragraphs, one to train on and one held out; a
paragraph is a list of sentences and a sentence a list of tokens (d2l 15.9).
"""

import functools
import os
from dataclasses import dataclass, field
from pathlib import Path
from sys import intern

from d2lbert.data import hub

# Lines and tokens, counting an end of line as a token (Merity et al., 2016,
# table 1). The order of the articles is not checked: nothing depends on it.
WIKITEXT2_SIZE = {"wiki.train.tokens": (36_718, 2_088_628),
                  "wiki.valid.tokens": (3_760, 217_646)}
TRAIN_PARAGRAPHS = 8000  # of mini-wiki
HELD_OUT_PARAGRAPHS = 800
_HELD_OUT_SHARE = 0.05  # of a file of one's own
NAMES = ("wikitext-2", "mini-wiki")
Paragraphs = list[list[list[str]]]


@dataclass(frozen=True)
class Corpus:
    """Paragraphs to train on and paragraphs held out.

    In WikiText-2 a paragraph may have a single sentence (d2l's rule).
    """

    name: str
    train: Paragraphs = field(repr=False)
    held_out: Paragraphs = field(repr=False)


def load_corpus(name: str | Path = "wikitext-2") -> Corpus:
    """Load a corpus, downloading it on first use where that is needed.

    Args:
        name: 'wikitext-2', 'mini-wiki' (bundled, needs no network), or the
            path of a UTF-8 text with a paragraph a line and sentences split
            by ' . ', whose last 5 % of paragraphs are held out. A str is
            a path if it has a slash in it or ends in .txt or .tokens.

    Returns:
        A Corpus.

    Raises:
        ValueError: for another name, bytes that are not UTF-8, a text with
            too few paragraphs of two sentences, or a WikiText-2 that is not
            the published one.
        FileNotFoundError: if the file is missing.
        DownloadError, ArchiveError: see `d2lbert.data.hub.download_extract`.
    """
    if name == "wikitext-2":
        return _load_wikitext2()
    if name == "mini-wiki":
        return _load_mini_wiki()
    if (isinstance(name, Path) or name.endswith((".txt", ".tokens"))
            or "/" in name or os.sep in name):
        return _load_file(Path(name).expanduser())
    raise ValueError(f"unknown corpus {name!r}: use one of "
                     f"{', '.join(map(repr, NAMES))} or the path of a text "
                     "file (./name, name.txt)")


def _load_wikitext2() -> Corpus:
    try:
        folder = hub.download_extract("wikitext-2", "wikitext-2",
                                      hub.cache_dir())
    except hub.DownloadError as error:
        raise hub.DownloadError(f"{error}, or use corpus='mini-wiki', "
                                "which needs no network") from error
    train, held_out = (
        read_paragraphs(_read_wikitext2(Path(folder, part)))
        for part in WIKITEXT2_SIZE)
    return Corpus("wikitext-2", train, held_out)


def _read_wikitext2(path: Path) -> str:
    """Read a file of WikiText-2 after counting its lines and tokens."""
    text = read_text(path)
    lines = text.count("\n")
    tokens = len(text.split()) + lines
    if (lines, tokens) != WIKITEXT2_SIZE[path.name]:
        wanted = "{:,} and {:,}".format(*WIKITEXT2_SIZE[path.name])
        raise ValueError(
            f"{path} has {lines:,} lines and {tokens:,} tokens, WikiText-2 "
            f"has {wanted}: replace the copy in D2LBERT_DATA or, if there is "
            f"none, delete {path.parent} to fetch it again")
    return text


def _load_mini_wiki() -> Corpus:
    # Copies: a list that somebody changes is changed for nobody else
    return Corpus("mini-wiki", *(
        [list(map(list, paragraph)) for paragraph in part]
        for part in _write_mini_wiki()))


@functools.cache  # it takes a second or two, and chapters load it often
def _write_mini_wiki() -> tuple[Paragraphs, Paragraphs]:
    from d2lbert.data.mini.wiki import mini_wiki
    train, held_out = (
        [[list(map(intern, sentence)) for sentence in paragraph.sentences]
         for paragraph in mini_wiki(size, part=part)]
        for part, size in (("train", TRAIN_PARAGRAPHS),
                           ("held out", HELD_OUT_PARAGRAPHS)))
    return train, held_out


def _load_file(path: Path) -> Corpus:
    paragraphs = [p for p in read_paragraphs(read_text(path)) if len(p) >= 2]
    # Each part takes two: a false next sentence is another paragraph's.
    if len(paragraphs) < 4:
        raise ValueError(
            f"{path} has {len(paragraphs)} paragraphs of two or more "
            "sentences, and four are the least: write a paragraph a line "
            "and ' . ' between sentences")
    return Corpus(path.name, *hold_out(paragraphs))


def hold_out(paragraphs: Paragraphs) -> tuple[Paragraphs, Paragraphs]:
    """Paragraphs to train on, and the last 5 % of them, two at least."""
    size = max(2, round(_HELD_OUT_SHARE * len(paragraphs)))
    return paragraphs[:-size], paragraphs[-size:]


def read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except (FileNotFoundError, IsADirectoryError) as error:
        raise FileNotFoundError(f"there is no file {path}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line} of {path} is not UTF-8: save the file "
                         "as UTF-8 and try again") from error


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 file.

    They end at a line feed, perhaps behind a carriage return, and nowhere
    else: what other characters str.splitlines cuts at are in the text.
    """
    lines = read_text(path).split("\n")
    return [line.removesuffix("\r") for line in lines[:-1]] + (
        lines[-1:] if lines[-1] else [])


def read_paragraphs(text: str) -> Paragraphs:
    """Lower-case paragraphs, the sentences as lists of tokens."""
    # One object a word, not one a token: half the memory.
    return [[list(map(intern, sentence.split())) for sentence in paragraph]
            for paragraph in split_paragraphs(text)]


def split_paragraphs(text: str) -> list[list[str]]:
    """Split lines at ' . ' into lower-case paragraphs, as d2l does.

    What counts is the line as it stands in the file: WikiText's end in
    ' . ', so that lines of one sentence pass too, and their full stop stays
    with the last sentence.
    """
    lines = (line.strip().lower().split(" . ")
             for line in text.split("\n") if " . " in line)
    paragraphs = ([s for s in line if s.strip()] for line in lines)
    return [paragraph for paragraph in paragraphs if paragraph]
