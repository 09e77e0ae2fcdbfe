"""The bundled opinions, and what gives nothing away."""

import re
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from d2lbert import files
from d2lbert.data.factors import factorization_machine, words_by_clause
from d2lbert.data.mini import sentiment as minisentiment, wiki as miniwiki
from d2lbert.data.mini.sentiment import (
    CLASSES,
    SIZES,
    clauses,
    grammar,
    mini_sentiment,
    opinion_pairs,
    opinions,
    part_of_opinion,
    write_mini_sentiment,
)
from d2lbert.data.ngrams import (
    last_clause,
    logistic_regression,
    ngram_accuracy,
    ngram_evidence,
    ngrams,
)
from d2lbert.data.sentiment import read_sst2

PRAISE, BLAME = (
    {word for table in grammar()["opinions"].values()
     for word in table[side].split("|")} for side in (0, 1))
TURN = {word for name in ("who", "often", "holds")
        for word in grammar()["operators"][name][1].split("|")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("opinions") / "mini" / "sentiment"
    write_mini_sentiment(folder)
    return folder


@pytest.fixture(scope="module")
def splits(folder):
    """{split: [(words, label)]} as the files have them."""
    return {split: [(sentence.split(), label) for sentence, label in zip(
        *read_sst2(folder / f"{split}.tsv"))] for split in SIZES}


@pytest.fixture(scope="module")
def rows():
    return mini_sentiment(4000, seed=5)


# The grammar

def test_same_seed_same_sentences_and_other_seed_others():
    assert mini_sentiment(60, seed=3) == mini_sentiment(60, seed=3)
    assert mini_sentiment(60, seed=3) == mini_sentiment(90, seed=3)[:60]
    assert mini_sentiment(60, seed=3) != mini_sentiment(60, seed=4)
    assert mini_sentiment(0) == []
    for num in (-2, 1):
        with pytest.raises(ValueError, match=f"num={num} is no number"):
            mini_sentiment(num)


def test_sentences_are_distinct_and_balanced_even_when_frames_run_out(
        monkeypatch):
    scenes = grammar()["scenes"]
    monkeypatch.setitem(grammar(), "scenes", {"bank": scenes["bank"]})
    rows = mini_sentiment(1600)
    assert len({sentence for sentence, _ in rows}) == 1600
    assert Counter(label for _, label in rows) == {0: 800, 1: 800}


def test_twins_differ_in_words_of_opinion_alone(rows):
    for (one, y), (other, z) in zip(rows[::2], rows[1::2]):
        assert {y, z} == {0, 1}
        changed = 0
        for a, b in zip(one.split(), other.split(), strict=True):
            if a in PRAISE | BLAME:
                assert (a in PRAISE) == (b in BLAME), (one, other)
                changed += 1
            else:
                assert a == b or {a, b} == {"a", "an"}, (one, other)
        assert changed
    first = [label for _, label in rows[::2]]
    assert 0.45 < np.mean(first) < 0.55  # in either order


def judged(sentence):
    """The label that a reader gives: of the main clause, turned or not."""
    clauses = sentence.removesuffix(" .").split(" , ")
    clauses = [c for c in clauses if (PRAISE | BLAME) & set(c.split())]
    starts = grammar()["operators"]["though"][0].split("|")
    main = [c for c in clauses
            if not any(c.startswith(f"{start} ") for start in starts)]
    words = main[-1].split()  # "but …" is the last one, too
    (opinion,) = (PRAISE | BLAME) & set(words)
    before = f" {' '.join(words[:words.index(opinion)])} "
    turned = sum(f" {word} " in before for word in TURN)
    return int((opinion in PRAISE) == (turned % 2 == 0))


def test_labels_are_those_that_a_reader_would_give(rows):
    for sentence, label in rows:
        assert judged(sentence) == label, sentence


def test_no_word_of_opinion_is_used_for_anything_else():
    assert not PRAISE & BLAME
    text = [*grammar()["slots"].values()]
    for table in ("frames", "clauses", "operators"):
        text += sum(grammar()[table].values(), [])
    for scene in grammar()["scenes"].values():
        text += sum(([v] if isinstance(v, str) else v
                     for v in scene.values()), [])
    used = set(re.findall(r"\w+", " ".join(text)))
    assert len(used) > 150 and not used & (PRAISE | BLAME)


def test_every_name_town_and_lake_is_one_of_mini_wiki(rows):
    wiki = miniwiki.grammar()
    words = {word for sentence, _ in rows for word in sentence.split()}
    for names in (*wiki["people"].values(), wiki["slots"]["town"]):
        assert set(names.split("|")) <= words
    lakes = {name for sentence, _ in rows
             for name in re.findall(r"(?<!the )\blake (\w+)", sentence)}
    assert lakes and lakes <= set(wiki["slots"]["lake"].split("|"))
    texts = miniwiki.to_text(miniwiki.mini_wiki(2000)).split()
    things = {noun for scene in grammar()["scenes"].values()
              for kind, nouns in scene.items() if kind != "visit"
              for noun in nouns.split("|")}
    assert len(things & set(texts)) > 0.6 * len(things)


def test_sentences_are_lower_case_tokens_and_articles_agree(rows):
    after = {"a": set(), "an": set()}
    for sentence, _ in rows:
        words = sentence.split()
        assert sentence == " ".join(words) and words.count(".") == 1
        assert re.fullmatch(r"[a-z ,]+ \.", sentence), sentence
        assert len(words) <= 50
        for a, b in pairwise(words):
            assert a != b, sentence
            after.get(a, set()).add(b)
        weighty = [w for w in words if w in minisentiment._weighty_words()]
        assert len(weighty) == len(set(weighty)), sentence
    assert all(word[0] in "aeiou" for word in after["an"])
    assert not any(word[0] in "aeiou" for word in after["a"])


def test_all_operators_and_scenes_are_in_use(rows):
    text = " ".join(sentence for sentence, _ in rows)
    for lists in grammar()["operators"].values():
        for operator in "|".join(lists).split("|"):
            assert text.count(f" {operator} ") > 10, operator
    for scene in grammar()["scenes"].values():
        for kind, nouns in scene.items():
            if kind != "visit":
                assert all(f" {noun} " in text for noun in nouns.split("|"))


def test_three_tokens_never_hold_an_opinion_and_what_turns_it(rows):
    far = {","} | {word for lists in grammar()["operators"].values()
                           for word in "|".join(lists).split("|")}
    for sentence, _ in rows:
        for gram in ngrams(sentence, 3):
            if (PRAISE | BLAME) & set(gram.split()):
                assert not any(f" {w} " in f" {gram} " for w in far), sentence


# Files

def test_files_have_their_sizes_and_balanced_labels(splits):
    for split, size in SIZES.items():
        labels = Counter(label for _, label in splits[split])
        assert labels == {0: size // 2, 1: size // 2}


def test_no_clause_and_no_pair_is_in_two_files(splits):
    texts = [[" ".join(words) for words, _ in rows]
             for rows in splits.values()]
    cut = [{clause for text in part for clause in clauses(text)}
           for part in texts]
    for held, least in ((cut, 1500), ([*map(opinion_pairs, texts)], 600)):
        assert sum(map(len, held)) == len(set.union(*held)) > least
    sentence = ("few people from quarn denied that the bread was stale at "
                "noon , though the cake was a joy on monday .")
    assert set(clauses(sentence)) == {
        "the bread was _ at noon", "though the cake was a _ on monday"}
    assert opinion_pairs([sentence]) == {(x, y) for x in (
        "few people", "denied", "though") for y in ("stale", "joy")}


def test_who_meets_whom_is_a_matter_of_places(splits):
    parts = [[part_of_opinion(i, j) for j in range(CLASSES)]
             for i in range(CLASSES)]
    for row in (*parts, *zip(*parts)):
        assert Counter(row) == {"train": 3, "dev": 1, "test": 1}
    place = {word: i for lists in grammar()["operators"].values()
             for table in lists for i, word in enumerate(table.split("|"))}
    for split, rows in splits.items():
        for words, _ in rows:
            for operator, opinion in opinion_pairs([" ".join(words)]):
                assert part_of_opinion(
                    place[operator], opinions()[opinion][1]) == split


def test_words_of_held_out_opinions_are_known(splits):
    known = {w for words, _ in splits["train"] for w in words}
    assert PRAISE | BLAME <= known
    for split in ("dev", "test"):
        unseen = [w not in known for words, _ in splits[split] for w in words]
        assert np.mean(unseen) < 0.001


def test_files_are_the_same_each_time_and_left_alone(
        folder, tmp_path, monkeypatch):
    write_mini_sentiment(tmp_path / "again")
    names = sorted(f.name for f in (tmp_path / "again").glob("[!.]*"))
    assert names == ["dev.tsv", "test.tsv", "train.tsv"]
    for name in names:
        text = (folder / name).read_bytes()
        assert text == (tmp_path / "again" / name).read_bytes()
        assert text.startswith(b"sentence\tlabel\n") and b"\r" not in text
    # Not even drawn again
    monkeypatch.setattr(minisentiment, "mini_sentiment", None)
    write_mini_sentiment(tmp_path / "again")
    (tmp_path / "again" / "dev.tsv").write_text("mine")
    with pytest.raises(FileExistsError, match="dev.tsv is not as it was"):
        write_mini_sentiment(tmp_path / "again")
    assert (tmp_path / "again" / "dev.tsv").read_text() == "mine"


def test_an_interrupted_run_leaves_nothing(tmp_path, monkeypatch):
    def stop(*args):
        raise KeyboardInterrupt
    monkeypatch.setattr(files.os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        write_mini_sentiment(tmp_path / "opinions")
    assert not list(tmp_path.iterdir())


def test_a_folder_with_other_things_is_not_touched(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OSError):
        write_mini_sentiment(tmp_path)
    assert [f.name for f in tmp_path.iterdir()] == ["notes.txt"]


# What gives the label away, and what does not

def test_length_and_every_other_word_are_alike_in_both_labels(splits):
    for rows in splits.values():
        lengths, words = Counter(), Counter()
        for sentence, label in rows:
            sign = 2 * label - 1
            lengths[len(sentence)] += sign
            words.update({word: sign for word in {
                "a" if word == "an" else word for word in sentence}})
        assert not any(lengths.values())
        assert {word for word, n in words.items() if n} <= PRAISE | BLAME


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("weigh", [ngram_evidence, logistic_regression])
def test_no_counting_of_words_is_enough(splits, weigh, n):
    """Held out, in the whole sentence and in its last clause."""
    for part in (str, last_clause):
        (x, y), *held_out = (
            ([part(" ".join(words)) for words, _ in rows],
             [label for _, label in rows]) for rows in splits.values())
        weights = weigh(x, y, n)
        assert ngram_accuracy(weights, x, y, n) > 0.6
        for x, y in held_out:
            assert 0.5 < ngram_accuracy(weights, x, y, n) < 0.7


def test_a_factorization_machine_knows_pairs_that_it_has_not_seen():
    """Which of two words turns the other round, learned from other pairs."""
    operators = [f"{word}{i}" for word in ("keeps", "turns") for i in range(6)]
    opinions = [f"{word}{i}" for word in ("good", "bad") for i in range(6)]
    pairs = {part: [(i, j) for i in range(12) for j in range(12)
                    if ((i + j) % 3 == 0) == (part == "test")]
             for part in ("train", "test")}
    texts, labels = ({part: [make(*pair) for pair in found]
                      for part, found in pairs.items()} for make in (
        lambda i, j: {operators[i], opinions[j]},
        lambda i, j: int((i < 6) == (j < 6))))
    found = factorization_machine(
        4 * texts["train"], 4 * labels["train"], texts["test"], size=4)
    assert np.mean((found > 0) == np.array(labels["test"])) > 0.95
    assert words_by_clause("a , b c .") == {
        (False, "a"), (True, "b"), (True, "c"), (True, ".")}
