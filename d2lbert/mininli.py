"""mini-nli: premise-hypothesis pairs written by a seeded grammar.

Three labels, as in SNLI (Bowman et al., 2015; d2l 16.4), whose file format
it has. The grammar is data: mini_nli.toml, which explains its own notation.
No label is written there. A hypothesis states slots of a scene ("the bird
is {colour}"), and a premise that states all of them with the same values
entails it, one that states another value for one of them contradicts it,
and one that leaves some of them open, and agrees in the others, is neutral.
"""

import functools
import os
import random
import re
import tempfile
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from d2lbert import miniwiki

SIZES = {"train": 6000, "dev": 900, "test": 900}  # pairs
COLUMNS = (
    "gold_label sentence1_binary_parse sentence2_binary_parse "
    "sentence1_parse sentence2_parse sentence1 sentence2 captionID pairID "
    "label1 label2 label3 label4 label5").split()
LABELS = ("entailment", "contradiction", "neutral")
STAR = re.compile(r"\{(\w+)\*\}")
PATIENCE = 1000  # known hypotheses in a row before we give up


@dataclass(frozen=True)
class Pair:
    """Tokens of a premise and of a hypothesis, and the label.

    `premise_slots` and `hypothesis_slots` give the half-open span of tokens
    of each stated slot: {"colour": (3, 4)} in "the bird is grey".
    """
    premise: list[str]
    hypothesis: list[str]
    label: str
    premise_slots: dict[str, tuple[int, int]]
    hypothesis_slots: dict[str, tuple[int, int]]


def mini_nli(num, seed=0):
    """Write pairs; the same seed gives the same pairs.

    Each hypothesis comes with three premises in a row, one a label, so that
    it says nothing about the label, and never again after that.

    Args:
        num: number of pairs, a multiple of three.

    Returns:
        A list of `Pair`s.

    Raises:
        ValueError: if num is no multiple of three, or if the grammar has
            not so many hypotheses.
    """
    if num < 0 or num % 3:
        raise ValueError(f"num={num} is no multiple of three: a hypothesis "
                         "comes with a premise for each of three labels")
    rng = random.Random(f"mini-nli {seed}")
    pairs, known, misses = [], set(), 0
    while len(pairs) < num:
        triple = _triple(rng.choices(list(scenes().values()), [
            scene.get('weight', 1) for scene in scenes().values()])[0], rng)
        hypothesis = " ".join(triple[0].hypothesis)
        misses = misses + 1 if hypothesis in known else 0
        if misses == PATIENCE:
            raise ValueError(f"the grammar of mini-nli has no {num // 3} "
                             f"hypotheses: ask for {len(pairs)} pairs at most")
        pairs += triple if hypothesis not in known else []
        known.add(hypothesis)
    return pairs


def write_mini_nli(folder):
    """Write snli_1.0_train.txt, …_dev.txt and …_test.txt, SNLI's format.

    A folder that has them is left as it is. It gets its name in one move,
    so that an interrupted run leaves nothing half-written.

    Raises:
        OSError: if the folder is there with something else in it.
    """
    folder = Path(folder)
    pairs = iter(mini_nli(sum(SIZES.values())))
    if _is_complete(folder):
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
            prefix=".mini-nli-", dir=folder.parent) as scratch:
        whole = Path(scratch, "mini-nli")
        whole.mkdir()
        for split, size in SIZES.items():
            lines = [_line(f"{split}-{i}", next(pairs)) for i in range(size)]
            _file(whole, split).write_text(
                "".join(["\t".join(COLUMNS) + "\n", *lines]),
                encoding="utf-8", newline="\n")
        try:
            os.replace(whole, folder)
        except OSError:
            if not _is_complete(folder):  # or another process was quicker
                raise


def _file(folder, split):
    return Path(folder, f"snli_1.0_{split}.txt")


def _is_complete(folder):
    return all(_file(folder, split).is_file() for split in SIZES)


def _line(name, pair):
    premise, hypothesis = pair.premise, pair.hypothesis
    return "\t".join([
        pair.label, _brackets(premise), _brackets(hypothesis), "", "",
        " ".join(premise), " ".join(hypothesis), "", name,
        pair.label, "", "", "", ""]) + "\n"


def _brackets(tokens):
    """A tree that branches to the right: "( the ( bird sings ) )"."""
    *first, last = tokens
    return "".join(f"( {t} " for t in first) + last + " )" * len(first)


@functools.cache
def scenes():
    """{name: scene}: its premises, its hypotheses and all its slots."""
    source = resources.files("d2lbert").joinpath("mini_nli.toml")
    wiki = miniwiki.grammar()
    shared = wiki["slots"] | {
        "he": wiki["people"], "person": "|".join(wiki["people"].values())}
    own = tomllib.loads(source.read_text(encoding="utf-8"))["scenes"]
    return {name: shared | wiki["topics"].get(name, {}) | scene
            for name, scene in own.items()}


def stated(template):
    """The slots that a template states, in their order."""
    return [name for name in miniwiki.BRACES.findall(template)
            if "|" not in name and "*" not in name]


def _triple(scene, rng):
    """A hypothesis with a premise for each label, in any order."""
    template = rng.choice(scene["hypotheses"])
    said = {slot: _draw(scene, slot, rng) for slot in stated(template)}
    hypothesis, spans = _fill(template, said, rng)
    return [Pair(premise, hypothesis, label, premise_spans, spans)
            for label in rng.sample(LABELS, 3)
            for premise, premise_spans in [_premise(label, scene, said, rng)]]


def _premise(label, scene, said, rng):
    """A premise with this label for a hypothesis that has said {slot: value}.

    The slot that decides, the contradicted or the open one, keeps the value
    of the hypothesis for something else where the template has a star: that
    the value occurs does not tell the label.
    """
    deciding = {scene.get("decides")} & set(said) or set(said)
    template = rng.choice([t for t in scene["premises"]
                           if _fits(label, set(stated(t)), set(said), deciding)])
    own = stated(template)
    slots = {"entailment": [], "neutral": [s for s in said if s not in own],
             "contradiction": [s for s in deciding if s in own]}[label]
    key = rng.choice(sorted(slots)) if slots else None
    values = {slot: _draw(scene, slot, rng, said[slot]) if slot == key
              else said.get(slot) or _draw(scene, slot, rng) for slot in own}
    for star in STAR.findall(template):
        values[star + "*"] = said[star] if star == key else _draw(
            scene, star, rng, said.get(star), values.get(star))
    return _fill(template, {name: _word(scene, name, value, rng)
                            for name, value in values.items()}, rng)


def _fits(label, own, said, deciding):
    """Whether a premise that states `own` can have that label."""
    return {"entailment": said <= own, "contradiction": bool(deciding & own),
            "neutral": not said <= own}[label]


def _draw(scene, slot, rng, *without):
    """A value of a slot: one of "a|b|c" or a key of a table."""
    values = scene[slot]
    values = values.split("|") if isinstance(values, str) else list(values)
    return rng.choice([v for v in values if v and v not in without])


def _word(scene, name, value, rng):
    """What a premise writes for a value."""
    values = scene[name.removesuffix("*")]
    if isinstance(values, str):
        return value
    words = values[value]
    words = rng.choice(words.split("|") if isinstance(words, str) else words)
    return miniwiki.BRACES.sub(
        lambda match: rng.choice(match[1].split("|")), words)


def _fill(template, words, rng):
    """Tokens, and the spans of the slots among them."""
    tokens, spans = [], {}
    for i, part in enumerate(miniwiki.BRACES.split(template)):
        in_braces, start = i % 2, len(tokens)
        if in_braces:
            tokens += (words.get(part) or rng.choice(part.split("|"))).split()
        else:
            tokens += part.split()
        if in_braces and "|" not in part and "*" not in part:
            spans[part] = start, len(tokens)
    return miniwiki.articles(tokens), spans
