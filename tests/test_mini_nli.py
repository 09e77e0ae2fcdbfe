"""The bundled pairs: their labels, their format, and what gives nothing away.

The classifiers here see a part of a pair only: each must stay near chance.
"""

from collections import Counter, defaultdict
from itertools import pairwise, product

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
    label_of,
    mini_nli,
    senses,
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


def sense_of(words, key):
    """The sense one of whose phrases is in a premise or hypothesis."""
    text = f" {' '.join(words)} "
    found = {sense: max(map(len, said)) for sense, phrases in senses().items()
             if (said := [p for p in phrases[key] if f" {p} " in text])
             and (key == "is" or sense[0] in words)}
    return max(found, key=found.get)  # "a tool for …" is not "a tool"


def test_the_label_follows_from_the_two_senses(pairs):
    for pair in pairs[:1500]:
        premise = sense_of(pair.premise, "does")
        hypothesis = sense_of(pair.hypothesis, "is")
        assert label_of(premise, hypothesis) == pair.label, pair


def test_labels_by_example():
    bird, machine, shore = (
        ("crane", "bird"), ("crane", "machine"), ("bank", "river"))
    assert [label_of(bird, bird), label_of(bird, machine),
            label_of(machine, bird), label_of(machine, shore)] == [
        "entailment", "contradiction", "contradiction", "neutral"]


def test_the_rest_of_a_pair_agrees(pairs):
    """Towns and times are the same, and the pronoun is that of the name."""
    seen = Counter()
    for pair in pairs:
        assert pair.premise_slots.keys() >= pair.hypothesis_slots.keys()
        for slot, span in pair.hypothesis_slots.items():
            said = " ".join(pair.hypothesis[slice(*span)])
            told = " ".join(pair.premise[slice(*pair.premise_slots[slot])])
            assert said == (PRONOUNS[told] if slot == "he" else told), pair
            seen[slot] += 1
    assert min(seen[slot] for slot in ("he", "town", "when")) > 1000


def test_others_are_elsewhere_and_of_the_other_sex(pairs):
    towns = set(miniwiki.grammar()["slots"]["town"].split("|"))
    seen = Counter()
    for pair in pairs:
        for words in (PRONOUNS, towns):
            named = [w for w in pair.premise if w in words]
            assert len(set(named)) == len(named)
            seen[len(named)] += 1
        kinds = [PRONOUNS[w] for w in pair.premise if w in PRONOUNS]
        assert len(set(kinds)) == len(kinds)
    assert seen[2] > 1000


def test_every_sense_has_phrases_of_its_own():
    assert len(senses()) == 2 * len(miniwiki.homographs())
    for key, num in (("does", 18), ("is", 6)):
        phrases = [p for sense in senses().values() for p in sense[key]]
        assert len(set(phrases)) == len(phrases) == num * len(senses())


def test_every_word_is_one_of_mini_wiki(pairs):
    vocab = corpus_vocab(load_corpus("mini-wiki"))
    words = {w for p in pairs for w in p.premise + p.hypothesis}
    for phrases in senses().values():  # rare ones too
        words |= {w for texts in phrases.values() for t in texts
                  for w in t.split()}
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


def test_no_sentence_in_two_splits_or_in_mini_wiki(splits):
    texts = [{tuple(t) for row in rows for t in row[:2]}
             for rows in splits.values()]
    texts.append({tuple(s) for p in load_corpus("mini-wiki").train for s in p})
    assert sum(map(len, texts)) == len(set.union(*texts)) > 20_000


def combinations(texts):
    """{(what is done, what is said)}: the phrases that texts have together."""
    does, says = ({p for sense in senses().values() for p in sense[key]}
                  for key in ("does", "is"))
    return {pair for text in texts for pair in product(
        (p for p in does if f" {p} " in text),
        (p for p in says if f" {p} " in text))}


def test_what_dev_and_test_combine_never_stands_together_in_train(splits):
    texts = {split: [f" {' '.join(p)} | {' '.join(h)} " for p, h, _ in rows]
             for split, rows in splits.items()}
    known = combinations(texts["train"])
    assert len(known) > 2000
    for split in ("dev", "test"):
        asked = combinations(texts[split])
        assert len(asked) > 500 and not known & asked
    assert not combinations(
        f" {' '.join(s)} " for p in miniwiki.mini_wiki(8000)
        for s in p.sentences)


def test_each_phrase_meets_four_of_six_in_train():
    grid = [[miniwiki.part_of_pair(does, says) for says in range(6)]
            for does in range(6)]
    for line in [*grid, *zip(*grid)]:
        assert Counter(line) == {"train": 4, "dev": 1, "test": 1}


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


def test_the_premise_alone_tells_nothing(splits):
    words = sorted({w for p, _, _ in splits["train"] for w in p})
    assert train_and_test(
        lambda p, _: [w in p for w in words], splits, 60) < 0.45


def test_overlap_alone_tells_nothing(splits):
    assert train_and_test(overlap, splits) < 0.45


def test_counting_pairs_of_words_tells_neutral_at_most(splits):
    """Naive Bayes over (word of the premise, word of the hypothesis)."""
    counts = defaultdict(Counter)
    for premise, hypothesis, label in splits["train"]:
        for pair in product(set(premise), set(hypothesis)):
            counts[pair][label] += 1
    totals = {label: sum(c[label] for c in counts.values())
              for label in LABELS}

    def guess(premise, hypothesis):
        pairs = product(set(premise), set(hypothesis))
        seen = [counts[pair] for pair in pairs if pair in counts]
        return max(LABELS, key=lambda label: sum(
            np.log((c[label] + 1) / (totals[label] + len(counts)))
            for c in seen))
    for split in ("dev", "test"):
        right = [guess(p, h) == label for p, h, label in splits[split]]
        assert np.mean(right) < 0.7, np.mean(right)
