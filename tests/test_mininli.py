"""The bundled pairs: their labels, their format, and what gives nothing away.

The classifiers here see a part of a pair only: each must stay near chance.
"""

import re
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest

from d2lbert import mininli, miniwiki
from d2lbert.batches import corpus_vocab
from d2lbert.corpora import load_corpus
from d2lbert.mininli import (
    COLUMNS, LABELS, SIZES, mini_nli, scenes, stated, write_mini_nli)

PRONOUNS = {name: he for he, names in miniwiki.grammar()["people"].items()
            for name in names.split("|")}


def read(path):
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    assert header.split("\t") == COLUMNS
    return [dict(zip(COLUMNS, line.split("\t"), strict=True))
            for line in lines]


def tokens(parse):
    return [token for token in parse.split() if token not in "()"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nli") / "mini" / "nli"
    write_mini_nli(folder)
    return folder


@pytest.fixture(scope="module")
def splits(folder):
    """{split: [(premise, hypothesis, label)]} as the files have them."""
    return {split: [
        (tokens(row["sentence1_binary_parse"]),
         tokens(row["sentence2_binary_parse"]), row["gold_label"])
        for row in read(folder / f"snli_1.0_{split}.txt")]
        for split in SIZES}


@pytest.fixture(scope="module")
def pairs():
    return mini_nli(6000, seed=5)


def test_same_seed_same_pairs_and_other_seed_other_pairs():
    assert mini_nli(60, seed=3) == mini_nli(60, seed=3)
    assert mini_nli(60, seed=3) == mini_nli(90, seed=3)[:60]
    assert mini_nli(60, seed=3) != mini_nli(60, seed=4)


@pytest.mark.parametrize("num", [-3, 1, 100])
def test_only_whole_triples(num):
    with pytest.raises(ValueError, match=f"{num} is no multiple of three"):
        mini_nli(num)
    assert mini_nli(0) == []


def test_a_hypothesis_comes_once_with_each_label(pairs):
    for i in range(0, len(pairs), 3):
        triple = pairs[i:i + 3]
        assert {p.label for p in triple} == set(LABELS)
        assert len({tuple(p.hypothesis) for p in triple}) == 1
    assert len({p.label for p in pairs[::3]}) == 3  # in no fixed order


def value(scene, slot, words):
    """The value that stands for words of a premise, or None."""
    words, table = " ".join(words), scene[slot]
    if isinstance(table, str):
        return words if words in table.split("|") else None
    for name, forms in table.items():
        for form in forms.split("|") if isinstance(forms, str) else forms:
            form = re.sub(r"\{(.*?)\}", r"(\1)", form)
            if re.fullmatch(form, words) or words == name:
                return name


def facts(scene, words, slots):
    """Articles are written last, so that "an" may stand for "a"."""
    found = {}
    for slot, (start, end) in slots.items():
        span = words[start:end]
        plain = ["a" if word == "an" else word for word in span]
        found[slot] = value(scene, slot, span) or value(scene, slot, plain)
    return found


def relation(premise, hypothesis):
    shared = set(premise) & set(hypothesis)
    if any(premise[slot] != hypothesis[slot] for slot in shared):
        return "contradiction"
    return "entailment" if shared == set(hypothesis) else "neutral"
