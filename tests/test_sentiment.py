"""The bundled opinions, what gives nothing away, SST-2's format, batches."""

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from d2lbert import files
from d2lbert.data.mini import sentiment as minisentiment, wiki as miniwiki
from d2lbert.data.mini.sentiment import (
    SIZES,
    clauses,
    grammar,
    mini_sentiment,
    write_mini_sentiment,
)
from d2lbert.data.sentiment import (
    SentimentBatches,
    load_data_sst2,
    read_sst2,
    sentiment_folder,
)

PRAISE, BLAME = (
    {word for table in grammar()["opinions"].values()
     for word in table[side].split("|")} for side in (0, 1))


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


class WordTokenizer:
    """Stands in for a BertTokenizer: a number for each word."""

    def __init__(self):
        self.ids, self.calls = {}, 0

    def __call__(self, texts, pairs=None, max_length=None, truncate=False):
        assert truncate
        self.calls += 1
        ids = [[1, *(self.ids.setdefault(w, len(self.ids) + 3)
                     for w in text.split())][:max_length - 1] + [2]
               for text in texts]
        width = max(map(len, ids))
        tokens = np.array([i + (width - len(i)) * [0] for i in ids], np.int32)
        return {"input_ids": tokens, "token_type_ids": 0 * tokens,
                "attention_mask": (tokens > 0).astype(np.int32)}


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


def judged(words):
    """The label that a reader of the last opinion would give."""
    if "in" in words and "spite" in words:  # it does not count
        start = words.index("spite")
        words = words[:start] + words[start + 5:]
    at = max(i for i, w in enumerate(words) if w in PRAISE | BLAME)
    starts = [i for i, w in enumerate(words[:at]) if w in (",", "that")]
    before = words[max(starts, default=0):at]
    turned = {"not", "never", "hardly", "no", "nobody"} & set(before)
    return int((words[at] in PRAISE) != bool(turned))


def test_labels_are_those_that_a_reader_would_give(rows):
    for sentence, label in rows:
        assert judged(sentence.split()) == label, sentence


def test_no_word_of_opinion_is_used_for_anything_else():
    assert not PRAISE & BLAME
    text = [*grammar()["slots"].values()]
    for table in ("frames", "clauses"):
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


def test_nobody_is_called_it(rows):
    people = {name for scene in grammar()["scenes"].values()
              for name in scene.get("person", "").split("|")}
    about = [set(sentence.split()) for sentence, _ in rows
             if " it " in sentence]
    assert len(about) > 500 and not any(words & people for words in about)


def test_sentences_are_lower_case_tokens_and_articles_agree(rows):
    after = {"a": set(), "an": set()}
    for sentence, _ in rows:
        words = sentence.split()
        assert sentence == " ".join(words) and words.count(".") == 1
        assert re.fullmatch(r"[a-z ,]+ \.", sentence), sentence
        assert len(words) <= 35
        for a, b in pairwise(words):
            assert a != b, sentence
            after.get(a, set()).add(b)
        weighty = [w for w in words if w in minisentiment._weighty_words()]
        assert len(weighty) == len(set(weighty)), sentence
    assert all(word[0] in "aeiou" for word in after["an"])
    assert not any(word[0] in "aeiou" for word in after["a"])


def test_all_frames_and_scenes_are_in_use(rows):
    text = " ".join(sentence for sentence, _ in rows)
    for sign in ("though ", "in spite of", " yet ", "what a", "nobody ",
                 " hardly ", "would be", "last summer", "suspected"):
        assert text.count(sign) > 10, sign
    for scene in grammar()["scenes"].values():
        for kind, nouns in scene.items():
            if kind != "visit":
                assert all(f" {noun} " in text for noun in nouns.split("|"))


# Files

def test_files_have_their_sizes_and_balanced_labels(splits):
    for split, size in SIZES.items():
        labels = Counter(label for _, label in splits[split])
        assert labels == {0: size // 2, 1: size // 2}


def test_no_clause_is_in_two_files(splits):
    held = [set(clauses((" ".join(words), 0) for words, _ in rows))
            for rows in splits.values()]
    assert sum(map(len, held)) == len(set.union(*held)) > 1000
    assert set(clauses([("i feared a dull day , but it was a joy .", 1),
                        ("though it rained , we sang .", 0)])) == {
                            "i feared a dull day", "we sang"}


def test_words_of_held_out_opinions_are_known(splits):
    known = {w for words, _ in splits["train"] for w in words}
    assert PRAISE | BLAME <= known
    unseen = [w not in known for words, _ in splits["dev"] for w in words]
    assert np.mean(unseen) < 0.005


def test_files_are_the_same_each_time_and_left_alone(
        folder, tmp_path, monkeypatch):
    write_mini_sentiment(tmp_path / "again")
    names = sorted(f.name for f in (tmp_path / "again").iterdir())
    assert names == ["dev.tsv", "test.tsv", "train.tsv"]
    for name in names:
        text = (folder / name).read_bytes()
        assert text == (tmp_path / "again" / name).read_bytes()
        assert text.startswith(b"sentence\tlabel\n") and b"\r" not in text
    (tmp_path / "again" / "dev.tsv").write_text("mine")
    monkeypatch.setattr(minisentiment, "_splits", None)  # not even drawn again
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

def counts(rows, words):
    at = {word: i for i, word in enumerate(words)}
    X = np.zeros((len(rows), len(words)))
    for i, (sentence, _) in enumerate(rows):
        for word in sentence:
            if word in at:
                X[i, at[word]] += 1
    return X, np.array([label for _, label in rows])


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


def test_a_bag_of_words_is_not_enough(splits):
    """Naive Bayes and logistic regression, held out."""
    words = sorted({w for sentence, _ in splits["train"] for w in sentence})
    X, y = counts(splits["train"], words)
    X_dev, y_dev = counts(splits["dev"] + splits["test"], words)
    shares = [X[y == label].sum(0) + 1 for label in (0, 1)]
    bayes = np.diff(np.log([s / s.sum() for s in shares]), axis=0)[0]
    logistic = np.zeros(len(words))
    for _ in range(500):
        p = 1 / (1 + np.exp(-X @ logistic))
        logistic -= X.T @ (p - y) / len(X) + 0.001 * logistic
    for weights in (bayes, logistic):
        assert 0.55 < ((X_dev @ weights > 0) == y_dev).mean() < 0.8


# SST-2's format

def write(path, *lines, head="sentence\tlabel"):
    path.write_bytes("\n".join([head, *lines, ""]).encode())
    return path


def test_quotes_and_blanks_and_line_ends(tmp_path):
    path = write(tmp_path / "dev.tsv", 'a "fine\t1', "it 's a charm \t1\r",
                 '" dull "\t0', "caf\u00e9 \u2028 noir\t0")
    assert read_sst2(path) == (
        ['a "fine', "it 's a charm", '" dull "', "caf\u00e9 \u2028 noir"],
        [1, 1, 0, 0])
    assert read_sst2(str(path)) == read_sst2(path)


@pytest.mark.parametrize("lines, message", [
    (["fine\t1", "fine"], "line 3 of .*dev.tsv has 1 columns"),
    (["fine\t1\t2"], "line 2 of .*dev.tsv has 3 columns"),
    (["fine\t1", "", "bad\t0"], "line 3 of .*dev.tsv has 0 columns"),
    (["fine\t2"], "line 2 of .*dev.tsv has the label '2', not 0 or 1"),
    (["fine\t"], "line 2 of .* the label '', .*has no labels"),
    (["fine\t1", "  \t1"], "line 3 of .*dev.tsv has an empty sentence"),
    (["x" * 200_000 + "\t1"], "line 2 of .*dev.tsv cannot be read"),
    ([], "dev.tsv has a header and no sentences")])
def test_bad_lines_are_named(lines, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        read_sst2(write(tmp_path / "dev.tsv", *lines))


def test_other_headers_encodings_and_missing_files(tmp_path):
    path = tmp_path / "test.tsv"
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_sst2(path)
    write(path, "0\tfine", head="index\tsentence")
    with pytest.raises(ValueError, match="line 1 .*header.*has no labels"):
        read_sst2(path)
    write(path, "1\tfine", head="fine\t1")
    with pytest.raises(ValueError, match="line 1 of .*test.tsv .*the header"):
        read_sst2(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="line 1 of .*test.tsv is ''"):
        read_sst2(path)
    path.write_bytes("sentence\tlabel\ncaf\u00e9\t1".encode("latin-1"))
    with pytest.raises(ValueError, match="line 2 .* is not UTF-8"):
        read_sst2(path)


@pytest.mark.usefixtures("empty_cache")
def test_mini_sentiment_is_written_once_and_unknown_names_are_told(tmp_path):
    folder = sentiment_folder()
    stamp = (folder / "dev.tsv").stat().st_mtime_ns
    assert sentiment_folder("mini-sentiment") == folder
    assert (folder / "dev.tsv").stat().st_mtime_ns == stamp
    assert sentiment_folder(folder) == folder
    with pytest.raises(ValueError, match="unknown corpus 'sst-5'"):
        sentiment_folder("sst-5")
    (tmp_path / "own").mkdir()
    write(tmp_path / "own" / "train.tsv", "fine\t1")
    with pytest.raises(FileNotFoundError, match="there is no dev.tsv in"):
        sentiment_folder(tmp_path / "own")


# Batches

def batches(num=300, size=30, tokenizer=None, max_length=64, **kwargs):
    sentences, labels = zip(*mini_sentiment(num))
    return SentimentBatches(sentences, labels, tokenizer or WordTokenizer(),
                            size, max_length, **kwargs)


def everything(batches):
    """The rows of an epoch, padding cut off, in order."""
    return [(tuple(ids[mask > 0]), label) for batch in batches
            for ids, mask, label in zip(batch["input_ids"],
                                        batch["attention_mask"],
                                        batch["labels"])]


def test_a_batch_is_a_dict_of_small_integers_without_needless_padding():
    widths = set()
    for batch in batches():
        assert set(batch) == {"input_ids", "attention_mask",
                              "token_type_ids", "labels"}
        assert {array.dtype for array in batch.values()} == {
            np.dtype(np.int32)}
        ids, mask = batch["input_ids"], batch["attention_mask"]
        assert ids.shape == mask.shape == batch["token_type_ids"].shape
        assert ids.shape[0] == len(batch["labels"]) == 30
        longest = mask.sum(1).max()
        assert longest <= ids.shape[1] < longest + 16
        assert ((ids > 0) == (mask > 0)).all()
        widths.add(ids.shape[1])
    assert 1 < len(widths) <= 3


def test_sentences_keep_their_labels_and_are_tokenised_once():
    tokenizer = WordTokenizer()
    some = batches(tokenizer=tokenizer, is_train=False)
    words = {i: word for word, i in tokenizer.ids.items()}
    for _ in range(2):
        assert sorted((" ".join(words[i] for i in ids[1:-1]), label)
                      for ids, label in everything(some)) == sorted(
                          mini_sentiment(300))
    assert tokenizer.calls == 1


def test_training_shuffles_and_evaluation_does_not():
    one, same, other = (batches(seed=seed) for seed in (0, 0, 1))
    first = everything(one)
    assert first == everything(same) != everything(other)
    assert first != (second := everything(one))
    assert sorted(first) == sorted(second)
    fixed = batches(is_train=False)
    assert everything(fixed) == everything(fixed)


@pytest.mark.parametrize("size, is_train, num", [
    (100, True, 3), (120, True, 2), (120, False, 3), (500, True, 1)])
def test_a_smaller_last_batch_is_for_evaluation(size, is_train, num):
    some = batches(size=size, is_train=is_train)
    assert len(list(some)) == len(some) == num


def test_long_sentences_are_cut_and_nonsense_is_an_error():
    assert {b["input_ids"].shape[1] for b in batches(max_length=8)} == {8}
    with pytest.raises(ValueError, match="batch_size is 0"):
        batches(size=0)
    for sentences, labels in (([], []), (["fine"], [1, 0])):
        with pytest.raises(ValueError, match="not a set of examples"):
            SentimentBatches(sentences, labels, WordTokenizer(), 4)


@pytest.mark.usefixtures("empty_cache")
def test_the_bundled_set_with_a_real_tokenizer():
    pytest.importorskip("tokenizers")
    from d2lbert.original.tokenizer import BertTokenizer
    sentences, _ = read_sst2(Path(sentiment_folder(), "train.tsv"))
    tokenizer = BertTokenizer.train(sentences, 800)
    train, dev, test = load_data_sst2(
        32, tokenizer, as_tensors=lambda batch: list(batch.items()))
    assert [len(part) for part in (train, dev, test)] == [28, 5, 5]
    batch = dict(next(iter(train)))
    assert (batch["input_ids"][:, 0] == tokenizer.id("[CLS]")).all()
    assert not (batch["input_ids"] == tokenizer.id("[UNK]")).any()
    assert sorted(sum((dict(b)["labels"].tolist() for b in dev), [])) == (
        75 * [0] + 75 * [1])


def test_glue_s_test_file_is_passed_over(tmp_path):
    for split in ("train", "dev"):
        write(tmp_path / f"{split}.tsv", "a fine day \t1", "dull\t0")
    load = [8, WordTokenizer(), tmp_path]
    train, dev, test = load_data_sst2(*load)
    assert len(train) == len(dev) == 1 and test is None
    write(tmp_path / "test.tsv", "0\tfine", head="index\tsentence")
    assert load_data_sst2(*load)[2] is None
    write(tmp_path / "test.tsv", "fine\t1")
    assert len(load_data_sst2(*load)[2]) == 1
