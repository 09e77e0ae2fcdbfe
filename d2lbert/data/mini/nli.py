"""mini-nli: premise-hypothesis pairs written by a seeded grammar.

Three labels, as in SNLI (Bowman et al., 2015; d2l 16.4), whose file format
it has. The grammar is data: nli.toml, which explains its own notation.
No label is written there. A hypothesis states slots of a scene ("the bird
is {colour}"). A premise that states all of them with the same values entails
it, one with another value for one of them contradicts it, and one that
leaves some of them open and agrees in the others is neutral.
"""

import functools
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, cycle, islice
from pathlib import Path
from typing import Any

from d2lbert.data.mini import wiki
from d2lbert.data.mini.bundled import read_grammar, write_files

SIZES = {"train": 6000, "dev": 900, "test": 900}  # pairs
COLUMNS = (
    "gold_label sentence1_binary_parse sentence2_binary_parse "
    "sentence1_parse sentence2_parse sentence1 sentence2 captionID pairID "
    "label1 label2 label3 label4 label5").split()
LABELS = ("entailment", "contradiction", "neutral")
_Scene = dict[str, Any]
Spans = dict[str, tuple[int, int]]
_STAR = re.compile(r"\{(\w+)\*\}")


@dataclass(frozen=True)
class Pair:
    """Tokens of a premise and of a hypothesis, and the label.

    `premise_slots` and `hypothesis_slots` give the half-open span of tokens
    of each stated slot: {"colour": (3, 4)} in "the bird is grey".
    """
    premise: list[str]
    hypothesis: list[str]
    label: str
    premise_slots: Spans
    hypothesis_slots: Spans


def mini_nli(num: int, seed: int = 0) -> list[Pair]:
    """Write a list of `Pair`s; the same seed gives the same pairs.

    Each hypothesis comes with three premises in a row, one a label, so that
    it says nothing about the label.

    Args:
        num: number of pairs, a multiple of three.

    Raises:
        ValueError: if num is no multiple of three.
    """
    if num < 0 or num % 3:
        raise ValueError(f"num={num} is no multiple of three: a hypothesis "
                         "comes with a premise for each of three labels")
    return list(chain.from_iterable(islice(_triples(seed), num // 3)))


def write_mini_nli(folder: str | Path) -> None:
    """Write snli_1.0_train.txt, …_dev.txt and …_test.txt, SNLI's format.

    A hypothesis occurs in one of them only. See
    `d2lbert.data.mini.bundled.write_files` for a folder that exists.
    """
    write_files(folder, [f"snli_1.0_{split}.txt" for split in SIZES],
                lambda: (_table(*part) for part in _splits().items()))


def _table(split: str, pairs: list[Pair]) -> str:
    lines = [_line(f"{split}-{i}", pair) for i, pair in enumerate(pairs)]
    return "".join(["\t".join(COLUMNS) + "\n", *lines])


def _splits() -> dict[str, list[Pair]]:
    """{split: pairs}: who draws a hypothesis again finds its split again."""
    pairs: dict[str, list[Pair]] = {split: [] for split in SIZES}
    home: dict[str, str] = {}
    rng, triples = random.Random("mini-nli splits"), _triples(seed=0)
    while any(len(pairs[split]) < SIZES[split] for split in SIZES):
        triple = next(triples)
        split = home.setdefault(" ".join(triple[0].hypothesis), rng.choices(
            list(SIZES), list(SIZES.values()))[0])
        if len(pairs[split]) < SIZES[split]:
            pairs[split] += triple
    return pairs


def _line(name: str, pair: Pair) -> str:
    premise, hypothesis = pair.premise, pair.hypothesis
    return "\t".join([
        pair.label, _brackets(premise), _brackets(hypothesis), "", "",
        " ".join(premise), " ".join(hypothesis), "", name,
        pair.label, "", "", "", ""]) + "\n"


def _brackets(tokens: list[str]) -> str:
    """A tree that branches to the right: "( the ( bird sings ) )"."""
    *first, last = tokens
    return "".join(f"( {t} " for t in first) + last + " )" * len(first)


@functools.cache
def scenes() -> dict[str, _Scene]:
    """{name: scene}: its premises, its hypotheses and all its slots."""
    own, world = read_grammar("nli.toml"), wiki.grammar()
    shared = world["slots"] | {
        "he": world["people"], "person": "|".join(world["people"].values())}
    return {name: shared | world["topics"].get(name, {}) | own["slots"] | scene
            for name, scene in own["scenes"].items()}


def stated(template: str) -> list[str]:
    """The slots that a template states, in their order."""
    return [name for name in wiki.BRACES.findall(template)
            if "|" not in name and "*" not in name]


def _triples(seed: int) -> Iterator[list[Pair]]:
    """Hypotheses without end, each with a premise for each label."""
    rng = random.Random(f"mini-nli {seed}")
    kinds = list(scenes().values())
    weights = [scene.get("weight", 1) for scene in kinds]
    while True:
        yield _triple(rng.choices(kinds, weights)[0], rng)


def _triple(scene: _Scene, rng: random.Random) -> list[Pair]:
    template = rng.choice(scene["hypotheses"])
    said = {slot: _draw(scene, slot, rng) for slot in stated(template)}
    hypothesis, spans = _fill(template, said, rng)
    return [Pair(premise, hypothesis, label, premise_spans, spans)
            for label in rng.sample(LABELS, 3)
            for premise, premise_spans in [_premise(label, scene, said, rng)]]


def _premise(label: str, scene: _Scene, said: dict[str, str],
             rng: random.Random) -> tuple[list[str], Spans]:
    """A premise with this label for a hypothesis that has said {slot: value}.

    The slot that decides keeps the hypothesis's value for something else
    where the template has a star: that a value occurs proves nothing.
    """
    decides = scene.get("decides")
    template, keys = rng.choice([
        (template, keys) for template in scene["premises"]
        if (keys := _keys(label, said, stated(template), decides))])
    key = rng.choice(keys)
    values = {slot: _draw(scene, slot, rng, said[slot]) if slot == key
              else said.get(slot) or _draw(scene, slot, rng)
              for slot in stated(template)}
    for star in _STAR.findall(template):
        values[star + "*"] = said[star] if star == key else _draw(
            scene, star, rng, said.get(star), values.get(star))
    return _fill(template, {name: _word(scene, name, value, rng)
                            for name, value in values.items()}, rng)


def _keys(label: str, said: dict[str, str], own: list[str], decides: str | None
          ) -> Sequence[str | None]:
    """The slots one of which gives a premise that states `own` its label.

    None is the key of an entailment, and no keys: not with this premise.
    """
    left_open = [slot for slot in said if slot not in own]
    if label == "neutral":
        return left_open
    if left_open:
        return []
    if label == "entailment":
        return [None]
    return [decides] if decides in said else list(said)


def _draw(scene: _Scene, slot: str, rng: random.Random, *without: str | None
          ) -> str:
    """A value of a slot: one of "a|b|c" or a key of a table."""
    values = scene[slot]
    values = values.split("|") if isinstance(values, str) else list(values)
    return rng.choice([v for v in values if v and v not in without])


def _word(scene: _Scene, name: str, value: str, rng: random.Random) -> str:
    """What a premise writes for a value."""
    table = scene[name.removesuffix("*")]
    if isinstance(table, str):
        return value
    words = table[value]
    words = rng.choice(words.split("|") if isinstance(words, str) else words)
    return wiki.BRACES.sub(
        lambda match: rng.choice(match[1].split("|")), words)


def _fill(template: str, words: dict[str, str], rng: random.Random
          ) -> tuple[list[str], Spans]:
    """Tokens, and the spans of the slots among them."""
    tokens: list[str] = []
    spans: Spans = {}
    parts = wiki.BRACES.split(template)
    for part, in_braces in zip(parts, cycle((False, True))):
        start, text = len(tokens), part
        if in_braces:
            text = words.get(part) or rng.choice(part.split("|"))
        tokens += text.split()
        spans[part] = start, len(tokens)
    return wiki.articles(tokens), {
        slot: spans[slot] for slot in stated(template)}
