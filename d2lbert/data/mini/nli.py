"""mini-nli: premise-hypothesis pairs written by a seeded grammar.

Three labels, as in SNLI (Bowman et al., 2015; d2l 16.4), whose file format
it has. The frames are data, nli.toml; what they are about are the facts of
mini-wiki's homographs, wiki.toml. A premise says what a crane does, and a
hypothesis what somebody sees. It is entailed if it says what such a crane is,
contradicted if it says what a crane of the other sense is, and neutral if it
says what something else is.

Each premise and each hypothesis has every label equally often, and what is
said in a premise of dev or test never stands beside what its hypothesis says
in train.
"""

import functools
import random
from collections.abc import Callable, Iterator
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
# The sentences of a part: see `wiki.tenth`
PARTS = {"train": range(6), "dev": range(6, 8), "test": range(8, 10)}
Spans = dict[str, tuple[int, int]]
_Sense = tuple[str, str]  # a homograph and the name of its sense


@dataclass(frozen=True)
class Pair:
    """Tokens of a premise and of a hypothesis, and the label.

    `premise_slots` and `hypothesis_slots` give the half-open span of tokens
    of each slot: {"town": (1, 2)} in "in oskby ida sees a crane".
    """
    premise: list[str]
    hypothesis: list[str]
    label: str
    premise_slots: Spans
    hypothesis_slots: Spans


def mini_nli(num: int, seed: int = 0, part: str = "train") -> list[Pair]:
    """Write a list of `Pair`s; the same seed gives the same pairs.

    Each hypothesis comes with three premises in a row, one a label, so that
    it says nothing about the label.

    Args:
        num: number of pairs, a multiple of three.
        part: "train", "dev" or "test". No sentence is in two of them,
            whatever the seeds, and no combination of what a premise and
            a hypothesis say.

    Raises:
        ValueError: if num is no multiple of three.
    """
    if num < 0 or num % 3:
        raise ValueError(f"num={num} is no multiple of three: a hypothesis "
                         "comes with a premise for each of three labels")
    return list(chain.from_iterable(islice(_triples(seed, part), num // 3)))


def write_mini_nli(folder: str | Path) -> None:
    """Write snli_1.0_train.txt, …_dev.txt and …_test.txt, SNLI's format.

    See `d2lbert.data.mini.bundled.write_files` for a folder that exists.
    """
    write_files(folder, [f"snli_1.0_{split}.txt" for split in SIZES],
                lambda: (_table(split, mini_nli(size, part=split))
                         for split, size in SIZES.items()))


def _table(split: str, pairs: list[Pair]) -> str:
    lines = [_line(f"{split}-{i}", pair) for i, pair in enumerate(pairs)]
    return "".join(["\t".join(COLUMNS) + "\n", *lines])


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
def senses() -> dict[_Sense, dict[str, list[str]]]:
    """{(word, sense): {"does": phrases, "is": phrases}}."""
    topics = wiki.grammar()["topics"]
    rules = {(word, sense): topics[f"{word} ({sense})"]
             for word, names in wiki.homographs().items() for sense in names}
    return {sense: {"does": "|".join(rule["facts"].values()).split("|"),
                    "is": rule["is"].split("|")}
            for sense, rule in rules.items()}


@functools.cache
def frames() -> dict[str, Any]:
    """The tables of nli.toml, its slots with mini-wiki's."""
    own, world = read_grammar("nli.toml"), wiki.grammar()
    slots = {"town": world["slots"]["town"]} | own["slots"]
    return own | {"slots": {name: values.split("|")
                            for name, values in slots.items()}}


def label_of(premise: _Sense, hypothesis: _Sense) -> str:
    """The label of a pair about two senses, (word, sense) each."""
    if premise[0] != hypothesis[0]:
        return "neutral"
    return "entailment" if premise == hypothesis else "contradiction"


def _triples(seed: int, part: str) -> Iterator[list[Pair]]:
    """Hypotheses without end, each with a premise for each label."""
    rng = random.Random(f"mini-nli {seed} {part}")
    while True:
        sense = rng.choice(list(senses()))
        yield _triple(sense, rng.randrange(len(senses()[sense]["is"])), part,
                      rng)


def _triple(sense: _Sense, says: int, part: str, rng: random.Random
            ) -> list[Pair]:
    """A hypothesis with a phrase of a sense, and its three premises."""
    def hypothesis() -> tuple[str, dict[str, str]]:
        return rng.choice(frames()["hypotheses"]), {
            "he": rng.choice(list(wiki.grammar()["people"])),
            "is": senses()[sense]["is"][says], **_slots({}, rng)}

    def premise() -> tuple[str, dict[str, str]]:
        other = rng.choice(
            [s for s in senses() if label_of(s, sense) == label])
        does = rng.choice([
            text for i, text in enumerate(senses()[other]["does"])
            if wiki.part_of_pair(i, says) == part])
        return rng.choice(able), {
            "word": other[0], "does": does, **_people(values["he"], rng),
            **_slots(values, rng)}

    frame, values, tokens, spans = _sentence(hypothesis, part, rng)
    able = [f for f in frames()["premises"]
            if _slots_of(f) >= _slots_of(frame)]
    pairs = []
    for label in rng.sample(LABELS, 3):
        *_, words, premise_spans = _sentence(premise, part, rng)
        pairs.append(Pair(words, tokens, label, premise_spans, spans))
    return pairs


def _slots(known: dict[str, str], rng: random.Random) -> dict[str, str]:
    """A value for each slot, if it is not known, and another one: "town*"."""
    drawn = {}
    for slot, values in frames()["slots"].items():
        drawn[slot] = known.get(slot) or rng.choice(values)
        drawn[f"{slot}*"] = rng.choice(
            [value for value in values if value != drawn[slot]])
    return drawn


def _people(he: str, rng: random.Random) -> dict[str, str]:
    """Names for the pronoun "he" or "she" and for somebody else."""
    people = wiki.grammar()["people"]
    other = next(key for key in people if key != he)
    return {"he": rng.choice(people[he].split("|")),
            "he*": rng.choice(people[other].split("|"))}


def _slots_of(frame: str) -> set[str]:
    """The slots that a frame tells, among them "he"; not {town*}."""
    return {"he", *frames()["slots"]} & set(wiki.BRACES.findall(frame))


def _sentence(draw: Callable[[], tuple[str, dict[str, str]]], part: str,
              rng: random.Random
              ) -> tuple[str, dict[str, str], list[str], Spans]:
    """A frame, its values, its tokens and the spans of its slots.

    They are drawn again until the sentence is one of the part.
    """
    while True:
        frame, values = draw()
        tokens, spans = _fill(frame, values, rng)
        if wiki.tenth(" ".join(tokens)) in PARTS[part]:
            return frame, values, tokens, {
                slot: spans[slot] for slot in _slots_of(frame)}


def _fill(frame: str, values: dict[str, str], rng: random.Random
          ) -> tuple[list[str], Spans]:
    """Tokens, and the spans of all braces among them."""
    tokens: list[str] = []
    spans: Spans = {}
    for piece, in_braces in zip(wiki.BRACES.split(frame),
                                cycle((False, True))):
        start, text = len(tokens), piece
        if in_braces:
            text = values.get(piece) or rng.choice(piece.split("|"))
        tokens += text.split()
        spans[piece] = start, len(tokens)
    return wiki.articles(tokens), spans
