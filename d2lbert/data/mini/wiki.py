"""mini-wiki: a small encyclopedia written by a seeded grammar.

The grammar is data: wiki.toml, which explains its own notation.
"""

import functools
import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from d2lbert.data.mini.bundled import read_grammar

BRACES = re.compile(r"\{([^{}]*)\}")  # a pair with none inside
_INTRODUCES = re.compile(r"\{(person|role)\}")
_PRONOUN = re.compile(r"\{(he|his|him)\}")
_HOMOGRAPH = re.compile(r"(\w+) \((\w+)\)")  # "crane (bird)"


@dataclass(frozen=True)
class Paragraph:
    """Sentences (lists of tokens) on a topic such as "crane (bird)".

    `senses` is {"crane": "bird"} there and {} where no homograph is.
    """
    topic: str
    sentences: list[list[str]]
    senses: dict[str, str]


def mini_wiki(num_paragraphs: int, seed: int = 0) -> list[Paragraph]:
    """Write a list of `Paragraph`s; the same seed gives the same text."""
    rng = random.Random(f"mini-wiki {seed}")
    topics = list(grammar()["topics"])
    return [_paragraph(rng.choice(topics), rng)
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


def sense_sentences(word: str, num: int, seed: int = 0
                    ) -> list[tuple[list[str], str]]:
    """Sentences that hold a homograph once, `num` for each of its senses.

    They come from paragraphs of their own, drawn apart from `mini_wiki`.

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
            paragraph = _paragraph(f"{word} ({sense})", rng)
            sentences += [s for s in paragraph.sentences if s.count(word) == 1]
        found += [(tokens, sense) for tokens in sentences[:num]]
    return found


@functools.cache
def grammar() -> dict[str, Any]:
    """The tables of wiki.toml."""
    return read_grammar("wiki.toml")


def _paragraph(topic: str, rng: random.Random) -> Paragraph:
    rules = grammar()["topics"][topic]
    slots = grammar()["slots"] | rules
    he = rng.choice(list(grammar()["people"]))
    drawn = {"person": draw(grammar()["people"][he], rng),
             **grammar()["pronouns"][he]}
    sentences = [articles(fill(template, slots, drawn, rng).split())
                 for template in _templates(rules, rng)]
    return Paragraph(topic, sentences, dict(_HOMOGRAPH.findall(topic)))


def _templates(rules: dict[str, Any], rng: random.Random) -> list[str]:
    """An opening and three to six more; pronouns after their person."""
    chosen = [rng.choice(rules["first"])]
    left = list(rules["then"])
    for _ in range(rng.randint(3, 6)):
        template = rng.choice(left)
        if (_PRONOUN.search(template)
                and not _INTRODUCES.search(" ".join(chosen))):
            template = rng.choice([t for t in left if _INTRODUCES.search(t)])
        left.remove(template)
        chosen.append(template)
    return chosen


def fill(text: str, slots: dict[str, str], drawn: dict[str, str],
         rng: random.Random) -> str:
    """Replace the braces, inner ones first; `drawn` remembers the slots."""
    def value(match: re.Match[str]) -> str:
        name = match[1]
        if "|" in name:
            return rng.choice(name.split("|"))
        if name.endswith("*"):
            return draw(slots[name[:-1]], rng)
        if name not in drawn:
            drawn[name] = draw(slots[name], rng)
        return drawn[name]

    while "{" in text:
        text = BRACES.sub(value, text)
    return text


def draw(values: str, rng: random.Random) -> str:
    """One of "a|b|c", earlier ones more often: weights 1/4, 1/5, 1/6 …"""
    words = values.split("|")
    return rng.choices(words, [1 / (i + 4) for i in range(len(words))])[0]


def articles(tokens: list[str]) -> list[str]:
    """The tokens with "an" before a vowel and "a" elsewhere."""
    return [token if token not in ("a", "an") else
            "an" if after[0] in "aeiou" else "a"
            for token, after in zip(tokens, [*tokens[1:], "."])]
