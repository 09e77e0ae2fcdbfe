"""Sentences of everyday English, written by hand for the course.

homographs.toml has a few words with two senses each, in sentences of either
sense; search.toml has news to be searched.
"""

from typing import NamedTuple

from d2lbert.data.mini.bundled import read_grammar


class News(NamedTuple):
    """A piece of news, and two ways to ask for it.

    Attributes:
        text: a sentence.
        keywords: some of its words.
        question: the same in other words.
    """
    text: str
    keywords: str
    question: str


class Lookalike(NamedTuple):
    """A sentence, one that says the same, and one that only looks like it.

    Attributes:
        kind: what differs in `other`: negation, roles or numbers.
        text, same, other: sentences.
    """
    kind: str
    text: str
    same: str
    other: str


def real_homographs() -> dict[str, dict[str, list[str]]]:
    """{word: {sense: sentences}}; each sentence has its word once."""
    return read_grammar("homographs.toml")


def news() -> list[News]:
    """The list of `News`."""
    return [News(**row) for row in read_grammar("search.toml")["news"]]


def lookalikes() -> list[Lookalike]:
    """The list of `Lookalike`."""
    return [Lookalike(**row)
            for row in read_grammar("search.toml")["lookalikes"]]
