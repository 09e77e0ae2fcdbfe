"""The bundled pairs: their labels, their format, and what gives nothing away.

The classifiers here see a part of a pair only: each must stay near chance.
"""

import re
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest

from d2lbert import files
from d2lbert.data.batches import corpus_vocab
from d2lbert.data.corpora import load_corpus
from d2lbert.data.mini import nli as mininli, wiki as miniwiki
from d2lbert.data.mini.nli import (
    COLUMNS,
    LABELS,
    SIZES,
    mini_nli,
    scenes,
    stated,
    write_mini_nli,
)

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


def value(table, words):
    """The value that stands for words of a sentence, or None."""
    if isinstance(table, str):
        return words if words in table.split("|") else None
    for name, forms in table.items():
        for form in forms.split("|") if isinstance(forms, str) else forms:
            form = re.sub(r"\{(.*?)\}", r"(\1)", form)
            if words == name or re.fullmatch(re.sub(r"\ban?\b", "an?", form),
                                             words):
                return name
    return None


def facts(scene, tokens, slots):
    return {slot: slot in scene and value(
        scene[slot], " ".join(tokens[slice(*span)]))
        for slot, span in slots.items()}


def relation(premise, hypothesis):
    shared = set(premise) & set(hypothesis)
    if any(premise[slot] != hypothesis[slot] for slot in shared):
        return "contradiction"
    return "entailment" if shared == set(hypothesis) else "neutral"


def test_the_label_follows_from_the_words_at_the_spans(pairs):
    for pair in pairs[:1500]:
        read = [
            (premise, hypothesis) for scene in scenes().values()
            if all((premise := facts(
                scene, pair.premise, pair.premise_slots)).values())
            and all((hypothesis := facts(
                scene, pair.hypothesis, pair.hypothesis_slots)).values())]
        assert read, pair  # every span holds a value of its slot
        assert {relation(*texts) for texts in read} == {pair.label}, pair


def test_exactly_one_slot_is_contradicted(pairs):
    """The rest agrees where the words are the same for both."""
    scene = scenes()["bakery"]
    plain = {slot for slot, v in scene.items() if isinstance(v, str)}
    seen = Counter()
    for pair in pairs:
        both = plain & set(pair.premise_slots) & set(pair.hypothesis_slots)
        differ = sum(pair.premise[slice(*pair.premise_slots[slot])]
                     != pair.hypothesis[slice(*pair.hypothesis_slots[slot])]
                     for slot in both)
        assert differ <= (pair.label == "contradiction"), pair
        seen[pair.label, differ] += bool(both)
    assert seen["contradiction", 1] > 20 and seen["entailment", 0] > 20


def test_every_hypothesis_finds_a_premise_for_every_label():
    for name, scene in scenes().items():
        for hypothesis in scene["hypotheses"]:
            for label in LABELS:
                assert any(mininli._keys(
                    label, stated(hypothesis), stated(premise),
                    scene.get("decides")) for premise in scene["premises"]), (
                        name, hypothesis, label)


def test_every_slot_is_known_and_no_brace_is_in_another():
    for name, scene in scenes().items():
        for text in scene["premises"] + scene["hypotheses"]:
            parts = miniwiki.BRACES.split(text)
            assert not set("{}") & set("".join(parts)), (name, text)
            slots = {p.rstrip("*") for p in parts[1::2] if "|" not in p}
            assert slots <= set(scene), (name, text)


def test_most_topics_and_both_senses_of_the_homographs():
    named = set(scenes())
    assert set(miniwiki.grammar()["topics"]) <= named
    assert set(miniwiki.homographs()) <= named
    assert all(len(scenes()[word]["sense"]) == 2
               for word in miniwiki.homographs())


def test_every_word_is_one_of_mini_wiki(pairs):
    vocab = corpus_vocab(load_corpus("mini-wiki"))
    words = {w for p in pairs for w in p.premise + p.hypothesis}
    for scene in scenes().values():  # rare ones too
        for table in scene.values():
            if isinstance(table, dict):
                for name, forms in table.items():
                    words |= set(re.findall(r"[^\s{}|]+", f"{name} " + (
                        forms if isinstance(forms, str)
                        else " ".join(forms))))
    assert words <= set(vocab.token_to_idx)


def test_articles_agree_and_no_word_is_doubled(pairs):
    texts = [t for p in pairs for t in (p.premise, p.hypothesis)]
    after = defaultdict(set)
    for first, second in (pair for t in texts for pair in pairwise(t)):
        assert first != second
        after[first].add(second)
    assert after["an"] and all(w[0] in "aeiou" for w in after["an"])
    assert after["a"] and not any(w[0] in "aeiou" for w in after["a"])
    assert not {"a", "an", "the"} & {t[-1] for t in texts}
    assert max(len(p.premise) + len(p.hypothesis) for p in pairs) <= 40


def test_files_have_their_sizes_and_balanced_labels(splits):
    for split, size in SIZES.items():
        labels = Counter(label for _, _, label in splits[split])
        assert labels == dict.fromkeys(LABELS, size // 3)


def test_no_hypothesis_in_two_splits(splits):
    texts = [{tuple(h) for _, h, _ in rows} for rows in splits.values()]
    assert sum(map(len, texts)) == len(set.union(*texts)) > 1000


def test_rows_are_those_of_snli(folder):
    rows = read(folder / "snli_1.0_dev.txt")
    for row in rows:
        for i in "12":
            parse = row[f"sentence{i}_binary_parse"]
            assert tokens(parse) == row[f"sentence{i}"].split()
            assert parse.count("(") == parse.count(")") == len(
                tokens(parse)) - 1
        assert row["label1"] == row["gold_label"]
    assert rows[0]["sentence1_binary_parse"].startswith("( ")
    assert len({row["pairID"] for row in rows}) == len(rows)


def test_a_tree_branches_to_the_right():
    assert mininli._brackets(["a", "crane", "flies"]) == (
        "( a ( crane flies ) )")
    assert mininli._brackets(["flies"]) == "flies"


def test_files_are_the_same_each_time_and_left_alone(folder, tmp_path):
    write_mini_nli(tmp_path / "again")
    files = sorted(f.name for f in (tmp_path / "again").glob("[!.]*"))
    assert files == sorted(f"snli_1.0_{split}.txt" for split in SIZES)
    for name in files:
        text = (folder / name).read_bytes()
        assert text == (tmp_path / "again" / name).read_bytes()
        assert b"\r" not in text and text.endswith(b"\n")
    (tmp_path / "again" / files[0]).unlink()
    with pytest.raises(FileExistsError, match=f"{files[0]} is missing"):
        write_mini_nli(tmp_path / "again")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "text").write_text("mine")
    with pytest.raises(FileExistsError, match="it lacks one of"):
        write_mini_nli(tmp_path / "mine")


def test_an_interrupted_run_leaves_nothing(tmp_path, monkeypatch):
    def stop(*args):
        raise KeyboardInterrupt
    monkeypatch.setattr(files.os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        write_mini_nli(tmp_path / "nli")
    assert not list(tmp_path.iterdir())


def test_a_folder_with_other_things_is_not_touched(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OSError):
        write_mini_nli(tmp_path)
    assert [f.name for f in tmp_path.iterdir()] == ["notes.txt"]


def train_and_test(features, splits, steps=300):
    """Dev accuracy of multinomial logistic regression on the features."""
    (X, y), (X_dev, y_dev) = (
        (np.array([features(*row[:2]) for row in splits[split]], float),
         np.array([LABELS.index(row[2]) for row in splits[split]]))
        for split in ("train", "dev"))
    mean, std = X.mean(0), X.std(0) + 1e-9
    X, X_dev = ((np.c_[(A - mean) / std, np.ones(len(A))]) for A in (X, X_dev))
    W = np.zeros((X.shape[1], 3))
    for _ in range(steps):
        logits = X @ W
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        W -= 0.2 * X.T @ (p - np.eye(3)[y]) / len(X)
    return (np.argmax(X_dev @ W, 1) == y_dev).mean()


def overlap(premise, hypothesis):
    found = sum(word in premise for word in hypothesis)
    x = np.array([found, found / len(hypothesis), len(hypothesis) - found,
                  len(premise), len(hypothesis)])
    return np.r_[x, np.outer(x, x)[np.triu_indices(5)]]


def test_the_hypothesis_alone_tells_nothing(splits):
    words = sorted({w for _, h, _ in splits["train"] for w in h})
    assert train_and_test(
        lambda _, h: [w in h for w in words], splits, 60) < 0.45


def test_overlap_alone_tells_little(splits):
    assert 0.34 < train_and_test(overlap, splits) < 0.6


def test_no_table_of_overlaps_tells_much(splits):
    """What a tree could learn: the most frequent label of every cell."""
    cells = defaultdict(Counter)
    for premise, hypothesis, label in splits["train"]:
        cells[tuple(overlap(premise, hypothesis)[:5])][label] += 1
    best = {cell: labels.most_common(1)[0][0]
            for cell, labels in cells.items()}
    right = [best.get(tuple(overlap(p, h)[:5])) == label
             for p, h, label in splits["dev"]]
    assert 0.34 < np.mean(right) < 0.6
