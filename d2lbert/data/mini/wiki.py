"""mini-wiki: a small encyclopedia written by a seeded grammar.

The grammar is data: wiki.toml, which explains its own notation.
"""

import functools
import random
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from d2lbert.data.mini.bundled import read_grammar

BRACES = re.compile(r"\{([^{}]*)\}")  # a pair with none inside
_INTRODUCES = re.compile(r"\{(person|role)\}")
_PRONOUN = re.compile(r"\{(he|his|him)\}")
_HOMOGRAPH = re.compile(r"(\w+) \((\w+)\)")  # "crane (bird)"


# The part of the text that a sentence belongs to: see `tenth`
PARTS = {"train": range(8), "held out": range(8, 10)}
_TRIES = 8  # to fill a template with a sentence of the part


@dataclass(frozen=True)
class Paragraph:
    """Sentences (lists of tokens) on a topic such as "crane (bird)".

    `senses` is {"crane": "bird"} there and {} where no homograph is; `fact`
    names what the paragraph tells of the homograph, such as "food".
    """
    topic: str
    sentences: list[list[str]]
    senses: dict[str, str]
    fact: str = ""


def mini_wiki(num_paragraphs: int, seed: int = 0, part: str = "train"
              ) -> list[Paragraph]:
    """Write a list of `Paragraph`s; the same seed gives the same text.

    Args:
        part: "train" or "held out". No sentence is in both, whatever the
            seeds.
    """
    rng = random.Random(f"mini-wiki {seed}")
    topics = list(grammar()["topics"])
    return [_paragraph(rng.choice(topics), part, rng)
            for _ in range(num_paragraphs)]


def to_text(paragraphs: Iterable[Paragraph]) -> str:
    """WikiText's format: a paragraph a line, " . " between sentences."""
    return "".join(" . ".join(map(" ".join, paragraph.sentences)) + " .\n"
                   for paragraph in paragraphs)


def homographs() -> dict[str, tuple[str, ...]]:
    """The words with two senses: {"crane": ("bird", "machine"), …}."""
    senses: dict[str, tuple[str, ...]] = {}
    for match in filter(None, map(_HOMOGRAPH.fullmatch, grammar()["topics"])):
        senses[match[1]] = senses.get(match[1], ()) + (match[2],)
    return senses


def facts() -> dict[tuple[str, str, str], list[str]]:
    """What homographs do: {("crane", "bird", "food"): phrases, …}."""
    topics = grammar()["topics"]
    return {(word, sense, name): phrases.split("|")
            for word, senses in homographs().items() for sense in senses
            for name, phrases in topics[f"{word} ({sense})"]["facts"].items()}


def sense_sentences(word: str, num: int, seed: int = 0, part: str = "train"
                    ) -> list[tuple[list[str], str]]:
    """Sentences that hold a homograph once, `num` for each of its senses.

    They come from paragraphs of their own, drawn apart from `mini_wiki`.

    Args:
        part: "train" or "held out", as for `mini_wiki`.

    Returns:
        A list of (tokens, sense), one sense after the other.

    Raises:
        ValueError: if `word` is not one of `homographs()`.
    """
    if word not in homographs():
        raise ValueError(f"{word!r} is not a homograph of mini-wiki: choose "
                         f"one of {', '.join(homographs())}")
    rng = random.Random(f"senses of {word} {seed}")
    found = []
    for sense in homographs()[word]:
        sentences: list[list[str]] = []
        while len(sentences) < num:
            paragraph = _paragraph(f"{word} ({sense})", part, rng)
            sentences += [s for s in paragraph.sentences if s.count(word) == 1]
        found += [(tokens, sense) for tokens in sentences[:num]]
    return found


@functools.cache
def grammar() -> dict[str, Any]:
    """The tables of wiki.toml."""
    return read_grammar("wiki.toml")


def tenth(text: str) -> int:
    """A number from 0 to 9 that a text has on every machine."""
    return zlib.crc32(text.encode()) % 10


def part_of_pair(does: int, says: int) -> str:
    """The part of mini-nli in which two phrases meet.

    Each thing that a homograph does meets four of the six phrases for what
    something is in train, one in dev, and one in test; so does each of these
    six, the other way round. None meet in a sentence of mini-wiki.

    Args:
        does: its place in its fact; says: its place among those of `is`.
    """
    return ("train", "train", "train", "train", "dev", "test")[
        (does + says) % 6]


def _paragraph(topic: str, part: str, rng: random.Random) -> Paragraph:
    """An opening and three to six sentences more."""
    senses, rules = dict(_HOMOGRAPH.findall(topic)), grammar()["topics"][topic]
    fact = rng.choice(list(rules["facts"])) if senses else ""
    told = _shuffled(rules["facts"][fact], rng) if fact else [""]
    he = rng.choice(list(grammar()["people"]))
    drawn = {"person": draw(grammar()["people"][he], rng),
             "word": next(iter(senses), topic), **grammar()["pronouns"][he]}
    pools = [rules["then"], grammar()["facts"]][:1 + len(senses)]
    written: dict[str, list[str]] = {}  # {template: sentence}
    slots, left = grammar()["slots"] | rules, rules["first"]
    for i in range(1 + rng.randint(3, 6)):
        slots["does"] = told[i % len(told)]
        _write(written, left, slots, drawn, part, rng)
        left = [t for t in rng.choice(pools) if t not in written]
    return Paragraph(topic, list(written.values()), senses, fact)


def _shuffled(values: str, rng: random.Random) -> list[str]:
    words = values.split("|")
    return rng.sample(words, len(words))


def _write(written: dict[str, list[str]], left: list[str],
           slots: dict[str, Any], drawn: dict[str, str], part: str,
           rng: random.Random) -> None:
    """Add one of the templates left, with a new sentence of the part."""
    somebody = any(map(_INTRODUCES.search, written))
    while True:
        template = rng.choice(left)
        if _PRONOUN.search(template) and not somebody:
            template = rng.choice([t for t in left if _INTRODUCES.search(t)])
        for _ in range(_TRIES):
            tried = drawn.copy()
            tokens = articles(fill(template, slots, tried, rng).split())
            if (tenth(" ".join(tokens)) in PARTS[part]
                    and tokens not in written.values()):
                drawn |= tried
                written[template] = tokens
                return


def fill(text: str, slots: dict[str, str], drawn: dict[str, str],
         rng: random.Random) -> str:
    """Replace the braces, inner ones first; `drawn` remembers the slots."""
    def value(name: str) -> str:
        if "|" in name:
            return rng.choice(_choices(name)[0])
        if name.endswith("*"):
            return draw(slots[name[:-1]], rng)
        if name not in drawn:
            drawn[name] = draw(slots[name], rng)
        return drawn[name]

    while "{" in text:
        parts = BRACES.split(text)  # every other one a name
        parts[1::2] = map(value, parts[1::2])
        text = "".join(parts)
    return text


def draw(values: str, rng: random.Random) -> str:
    """One of "a|b|c", earlier ones more often: weights 1/4, 1/5, 1/6 …"""
    words, sums = _choices(values)
    return rng.choices(words, cum_weights=sums)[0]


@functools.cache
def _choices(values: str) -> tuple[list[str], list[float]]:
    """The words of "a|b|c", and the sums of the weights up to each."""
    words = values.split("|")
    return words, list(accumulate(1 / (i + 4) for i in range(len(words))))


def articles(tokens: list[str]) -> list[str]:
    """The tokens with "an" before a vowel and "a" elsewhere."""
    return [token if token not in ("a", "an") else
            "an" if after[0] in "aeiou" else "a"
            for token, after in zip(tokens, [*tokens[1:], "."])]
