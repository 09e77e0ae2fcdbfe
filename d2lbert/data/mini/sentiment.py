"""mini-sentiment: praise and blame written by a seeded grammar.

The grammar is data: sentiment.toml, which explains its own notation.
Each sentence has a twin in which every opinion is turned round and nothing
else, so that only the words of opinion, and how they stand together, tell
the label: 1 for praise, 0 for blame, as in SST-2.
"""

import functools
import random
import re
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from d2lbert.data.mini import wiki
from d2lbert.data.mini.bundled import read_grammar, write_files

Row = tuple[str, int]  # a sentence and its label

SIZES = {"train": 900, "dev": 150, "test": 150}  # sentences
HEADER = ["sentence", "label"]
_OPINION = re.compile(r"\[([+-])(\w*)\]")  # "[+]", "[-verb]"
_CLAUSE = re.compile(r"\{([+-])(\w+)\}")  # "{+plain}"
_CONJUNCTION = re.compile("^(but|yet|and|though) ")
_NOT_OF_THINGS = ("verb", "noun", "hope")  # tables of opinions
_TRIES = 500  # to fill a frame with something new
_TURNED = {"+": "-", "-": "+"}


def mini_sentiment(num: int, seed: int = 0) -> list[Row]:
    """Write a list of (sentence, label); the same seed gives the same list.

    A sentence and its twin stand side by side, in either order. No sentence
    comes twice.

    Args:
        num: number of sentences, an even one.

    Raises:
        ValueError: if num is odd or negative.
    """
    if num < 0 or num % 2:
        raise ValueError(f"num={num} is no number of twins: take an even one")
    rng = random.Random(f"mini-sentiment {seed}")
    seen: set[str] = set()
    rows: list[Row] = []
    while len(rows) < num:
        twins = _twins(rng, lambda new: seen.isdisjoint(s for s, _ in new))
        seen.update(sentence for sentence, _ in twins)
        rows += twins
    return rows


def write_mini_sentiment(folder: str | Path) -> None:
    """Write train.tsv, dev.tsv and test.tsv in SST-2's format.

    What is held out are clauses: none that names its thing ("the bread was
    hardly stale") is in two of the files, see `clauses`, and so a sentence
    and its twin are in the same one. The files share their words and frames.
    See `d2lbert.data.mini.bundled.write_files` for a folder that exists.
    """
    write_files(folder, [f"{split}.tsv" for split in SIZES],
                lambda: map(_table, _splits().values()))


def _table(rows: list[Row]) -> str:
    lines = ["\t".join(HEADER), *(f"{s}\t{label}" for s, label in rows)]
    return "\n".join(lines) + "\n"


def _splits() -> dict[str, list[Row]]:
    """{split: rows}: the first to write a clause keeps it for its split."""
    rng = random.Random("mini-sentiment splits")
    home: dict[str, str] = {}
    rows: dict[str, list[Row]] = {split: [] for split in SIZES}
    order = [split for split, size in SIZES.items() for _ in range(size // 2)]
    for split in rng.sample(order, len(order)):
        twins = _twins(rng, lambda new: all(
            home.get(clause, split) == split for clause in clauses(new)
        ) and not set(new) & set(rows[split]))
        home |= dict.fromkeys(clauses(twins), split)
        rows[split] += twins
    return rows


def clauses(rows: list[Row]) -> Iterator[str]:
    """The clauses of some (sentence, label) that name what they are about.

    But, yet, and, though at their start do not count, nor does "it was …".
    """
    for sentence, _ in rows:
        for clause in sentence.removesuffix(" .").split(" , "):
            clause = _CONJUNCTION.sub("", clause)
            if not clause.startswith("it "):
                yield clause


@functools.cache
def grammar() -> dict[str, Any]:
    """The tables of sentiment.toml, its slots with mini-wiki's."""
    own, world = read_grammar("sentiment.toml"), wiki.grammar()
    own["slots"] = world["slots"] | own["slots"] | {
        "person": "|".join(world["people"].values())}
    return own


def _twins(rng: random.Random, is_wanted: Callable[[list[Row]], bool]
           ) -> list[Row]:
    """A sentence and its twin, [(sentence, label), …], in either order.

    A frame is drawn and filled until the result is wanted, so that what is
    wanted does not decide how often a frame is taken. Only one that seems
    used up makes room for another.
    """
    shares, scenes = grammar()["shares"], list(grammar()["scenes"].values())
    while True:
        [kind] = rng.choices(list(shares), list(shares.values()))
        frame = rng.choice(grammar()["frames"][kind])
        for _ in range(_TRIES):
            text = _fill(frame, rng.choice(scenes), rng)
            twins = [(_opinions(text, rng), 1),
                     (_opinions(_turn(text), rng), 0)]
            if is_wanted(twins) and not any(map(_repeats, twins)):
                return rng.sample(twins, 2)


def _fill(frame: str, scene: dict[str, Any], rng: random.Random) -> str:
    """A frame with all words but its opinions: "the bread was [+food] ."."""
    nobody = "person" if " it " in frame else None
    things = [(noun, kind) for kind, nouns in scene.items()
              if kind not in ("visit", nobody) for noun in nouns.split("|")]
    rng.shuffle(things)

    def clause(match: re.Match[str]) -> str:
        sign, kind = match.groups()
        table = grammar()["clauses"]
        text = rng.choice(rng.choice(list(table.values())) if kind == "any"
                          else table[kind])
        return _about(text if sign == "+" else _turn(text), things.pop())

    text = _about(_CLAUSE.sub(clause, frame), things.pop())
    text = text.replace("{visit}", rng.choice(scene["visit"]))
    return wiki.fill(text, grammar()["slots"], {}, rng)


def _about(text: str, thing: tuple[str, str]) -> str:
    noun, kind = thing
    text = re.sub(r"\[([+-])\]", rf"[\1{kind}]", text)
    return text.replace("{thing}", noun)


def _turn(text: str) -> str:
    return _OPINION.sub(lambda m: f"[{_TURNED[m[1]]}{m[2]}]", text)


def _opinions(text: str, rng: random.Random) -> str:
    """The sentence with words for its opinions."""
    table = grammar()["opinions"]

    def word(match: re.Match[str]) -> str:
        sign, kind = match.groups()
        kind = kind if kind in _NOT_OF_THINGS else rng.choice([kind, "thing"])
        return wiki.draw(table[kind][sign == "-"], rng)

    return " ".join(wiki.articles(_OPINION.sub(word, text).split()))


@functools.cache
def _weighty_words() -> set[str]:
    """Names, things and opinions: a sentence has each of them once."""
    nouns = [nouns for scene in grammar()["scenes"].values()
             for kind, nouns in scene.items() if kind != "visit"]
    return set("|".join([grammar()["slots"]["person"], *nouns, *chain(
        *grammar()["opinions"].values())]).split("|"))


def _repeats(row: Row) -> bool:
    words = [word for word in row[0].split() if word in _weighty_words()]
    return len(set(words)) < len(words)
