"""mini-sentiment: praise and blame written by a seeded grammar.

The grammar is data: sentiment.toml, which explains its own notation.
Each sentence has a twin in which every opinion is turned round and nothing
else, so that only the words of opinion, and what is said of them, tell the
label: 1 for praise, 0 for blame, as in SST-2.

What is said of an opinion is said by operators far from it: "nobody in
oskby denied that the bread was stale at noon". An operator and an opinion
that meet in dev or test never meet in train.
"""

import functools
import random
import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from d2lbert.data.mini import wiki
from d2lbert.data.mini.bundled import read_grammar, write_files

Row = tuple[str, int]  # a sentence and its label

SIZES = {"train": 3000, "dev": 800, "test": 800}  # sentences
HEADER = ["sentence", "label"]
CLASSES = 5  # of opinions and of operators, by their places
# Of clauses (see `wiki.tenth`), and of pairs (see `part_of_opinion`)
PARTS = {"train": range(6), "dev": range(6, 8), "test": range(8, 10)}
_OPINION = re.compile(r"\[([+-])(\w*)\]")  # "[+]", "[-noun]"
_CLAUSE = re.compile(r"\{([+-])(\w+)\}")  # "{+plain}"
_OPERATOR = re.compile(r"<(\w+)>")  # "<who>"
# How often the two operators of a report keep an opinion (0) or turn it (1):
# half of all reports turn it, some by one operator, some by both
_SIDES = {(0, 0): 4, (1, 0): 2.5, (0, 1): 2.5, (1, 1): 1}
_REPORTED = 0.2  # of the clauses that may be plain or reported
_TURNED = {"+": "-", "-": "+"}


def mini_sentiment(num: int, seed: int = 0, part: str = "train"
                   ) -> list[Row]:
    """Write a list of (sentence, label); the same seed gives the same list.

    A sentence and its twin stand side by side, in either order. No sentence
    comes twice.

    Args:
        num: number of sentences, an even one.
        part: "train", "dev" or "test". No clause about a thing is in two of
            them, whatever the seeds, and no operator meets the same opinion
            in two of them.

    Raises:
        ValueError: if num is odd or negative.
    """
    if num < 0 or num % 2:
        raise ValueError(f"num={num} is no number of twins: take an even one")
    return list(chain.from_iterable(islice(_twins(seed, part), num // 2)))


def write_mini_sentiment(folder: str | Path) -> None:
    """Write train.tsv, dev.tsv and test.tsv in SST-2's format.

    See `d2lbert.data.mini.bundled.write_files` for a folder that exists.
    """
    write_files(folder, [f"{split}.tsv" for split in SIZES],
                lambda: (_table(mini_sentiment(size, part=split))
                         for split, size in SIZES.items()))


def _table(rows: list[Row]) -> str:
    lines = ["\t".join(HEADER), *(f"{s}\t{label}" for s, label in rows)]
    return "\n".join(lines) + "\n"


def part_of_opinion(operator: int, opinion: int) -> str:
    """Where an operator may say something of an opinion.

    Each operator meets three fifths of the opinions in train, a fifth in dev
    and a fifth in test.

    Args:
        operator, opinion: their places in their lists.
    """
    place = (operator + opinion) % CLASSES
    return "train" if place < 3 else ("dev", "test")[place - 3]


def opinion_pairs(sentences: Iterable[str]) -> set[tuple[str, str]]:
    """The (operator, opinion) that stand together in a sentence."""
    found = set()
    for sentence in sentences:
        text, said = f" {sentence} ", []
        for operator in _operators():  # longest first
            if f" {operator} " in text:
                text = text.replace(f" {operator} ", " _ ")
                said.append(operator)
        found |= {(operator, opinion) for operator in said
                  for opinion in opinions().keys() & set(sentence.split())}
    return found


def clauses(sentence: str) -> Iterator[str]:
    """The clauses that tell an opinion, without it: "the bread was _ …"."""
    for clause in re.split(r" , | that (?=the|[a-z ]+ found)", sentence):
        words = clause.removesuffix(" .").split()
        if opinions().keys() & set(words):
            yield " ".join("_" if w in opinions() else w for w in words)


@functools.cache
def grammar() -> dict[str, Any]:
    """The tables of sentiment.toml, its slots with mini-wiki's."""
    own, world = read_grammar("sentiment.toml"), wiki.grammar()
    own["slots"] = world["slots"] | own["slots"] | {
        "person": "|".join(world["people"].values())}
    return own


@functools.cache
def opinions() -> dict[str, tuple[str, int]]:
    """{word: (its sign, its place among all pairs of opinions)}."""
    found: dict[str, tuple[str, int]] = {}
    start = 0
    for praise, blame in grammar()["opinions"].values():
        pairs = list(zip(praise.split("|"), blame.split("|"), strict=True))
        for place, pair in enumerate(pairs, start):
            found |= {word: (sign, place) for word, sign in zip(pair, "+-")}
        start += len(pairs)
    return found


@functools.cache
def _operators() -> list[str]:
    tables = grammar()["operators"].values()
    return sorted("|".join(chain(*tables)).split("|"), key=len, reverse=True)


def _twins(seed: int, part: str) -> Iterator[list[Row]]:
    """Sentences with their twins, [(sentence, label), …], without end."""
    rng = random.Random(f"mini-sentiment {seed} {part}")
    shares, seen = grammar()["shares"], set[str]()
    scenes = list(grammar()["scenes"].values())
    while True:
        [kind] = rng.choices(list(shares), list(shares.values()))
        frame = rng.choice(grammar()["frames"][kind])
        while True:  # what is wanted does not decide the frame
            text = _Sentence(part, rng.choice(scenes), rng).write(frame)
            twins = [(_opinions(text), 1), (_opinions(_turn(text)), 0)]
            if seen.isdisjoint(s for s, _ in twins) and not any(
                    _repeats(sentence) for sentence, _ in twins):
                break
        seen.update(sentence for sentence, _ in twins)
        yield rng.sample(twins, 2)


class _Sentence:
    """What a sentence draws: the things of a scene, opinions of one class.

    All its opinions are of one class, so that an operator may meet either
    all of them or none.
    """

    def __init__(self, part: str, scene: dict[str, Any],
                 rng: random.Random) -> None:
        self.part, self.rng, self.scene = part, rng, scene
        self.things = [(noun, kind) for kind, nouns in scene.items()
                       if kind != "visit" for noun in nouns.split("|")]
        rng.shuffle(self.things)
        self.opinion = rng.randrange(CLASSES)

    def write(self, frame: str) -> str:
        """A frame with all words but its opinions: "[+3]" is a place."""
        text = _CLAUSE.sub(lambda m: self._clause(*m.groups()), frame)
        text = text.replace("{visit}", self.rng.choice(self.scene["visit"]))
        text = _OPERATOR.sub(lambda m: self._operator(m[1], 0), text)
        return " ".join(wiki.fill(
            text, grammar()["slots"], {}, self.rng).split())

    def _clause(self, sign: str, kind: str) -> str:
        if kind == "any":
            kind = "reported" if self.rng.random() < _REPORTED else "plain"
        if kind == "plain":
            return self._plain(sign)
        text = self.rng.choice(grammar()["clauses"]["reported"])
        [sides] = self.rng.choices(
            list(_SIDES), list(_SIDES.values()))
        left = iter(sides)
        text = _OPERATOR.sub(
            lambda m: self._operator(m[1], next(left)), text)
        return text.replace("{plain}", self._plain(
            _TURNED[sign] if sum(sides) % 2 else sign))

    def _plain(self, sign: str) -> str:
        """A clause of the part about the next thing, its opinion open."""
        noun, kind = self.things.pop()
        while True:
            text = self.rng.choice(grammar()["clauses"]["plain"])
            name = _OPINION.search(text)[2]  # type: ignore[index]
            able = [word for word, (side, place) in opinions().items()
                    if side == "+" and place % CLASSES == self.opinion
                    and word in _words([name] if name else [kind, "thing"])]
            text = wiki.fill(text.replace("{thing}", noun),
                             grammar()["slots"], {}, self.rng)
            text = " ".join(_OPINION.sub("_", text).split())
            if wiki.tenth(text) in PARTS[self.part]:
                place = opinions()[self.rng.choice(able)][1]
                return text.replace("_", f"[{sign}{place}]")

    def _operator(self, name: str, side: int) -> str:
        """An operator that may meet the sentence's opinions."""
        words = grammar()["operators"][name][side].split("|")
        return self.rng.choice([
            word for i, word in enumerate(words)
            if part_of_opinion(i, self.opinion) == self.part])


def _words(names: list[str]) -> set[str]:
    """The words of praise in tables of opinions."""
    return set("|".join(grammar()["opinions"][n][0] for n in names).split("|"))


def _turn(text: str) -> str:
    return _OPINION.sub(lambda m: f"[{_TURNED[m[1]]}{m[2]}]", text)


def _opinions(text: str) -> str:
    """The sentence with words for its opinions."""
    word = {(sign, str(place)): word
            for word, (sign, place) in opinions().items()}
    return " ".join(wiki.articles(
        _OPINION.sub(lambda m: word[m[1], m[2]], text).split()))


@functools.cache
def _weighty_words() -> set[str]:
    """Names, things and opinions: a sentence has each of them once."""
    nouns = [nouns for scene in grammar()["scenes"].values()
             for kind, nouns in scene.items() if kind != "visit"]
    return {*"|".join([grammar()["slots"]["person"], *nouns]).split("|"),
            *opinions()}


def _repeats(sentence: str) -> bool:
    words = [w for w in sentence.split() if w in _weighty_words()]
    return len(set(words)) < len(words)
