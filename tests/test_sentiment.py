"""SST-2's format, and its sentences as batches."""

from pathlib import Path

import numpy as np
import pytest
from harness import each_backend, to_numpy

from d2lbert.backends import load_backend
from d2lbert.data.loaders import load_data_nli, load_data_sst2
from d2lbert.data.mini.sentiment import mini_sentiment
from d2lbert.data.pairs import PairBatches
from d2lbert.data.sentiment import (
    SentimentDataset,
    read_sst2,
    sentiment_folder,
)
from d2lbert.data.snli import nli_folder, read_snli


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


# SST-2's format

def write(path, *lines, head="sentence\tlabel"):
    path.write_bytes("\n".join([head, *lines, ""]).encode())
    return path


def test_quotes_and_blanks_and_line_ends(tmp_path):
    path = write(tmp_path / "dev.tsv", 'a "fine\t1', "it 's a charm \t1\r",
                 '" dull "\t0', "caf\u00e9 \u2028 noir\t0",
                 "x" * 200_000 + "\t1", "a\rb \x0c c\t0")
    assert read_sst2(path) == (
        ['a "fine', "it 's a charm", '" dull "', "caf\u00e9 \u2028 noir",
         "x" * 200_000, "a\rb \x0c c"], [1, 1, 0, 0, 1, 0])
    assert read_sst2(str(path)) == read_sst2(path)


@pytest.mark.parametrize("lines, message", [
    (["fine\t1", "fine"], "line 3 of .*dev.tsv has 1 columns"),
    (["fine\t1\t2"], "line 2 of .*dev.tsv has 3 columns"),
    (["fine\t1", "", "bad\t0"], "line 3 of .*dev.tsv has 0 columns"),
    (["fine\t2"], "line 2 of .*dev.tsv has the label '2', not 0 or 1"),
    (["fine\t"], "line 2 of .* the label '', .*has no labels"),
    (["fine\t1", "  \t1"], "line 3 of .*dev.tsv has an empty sentence"),
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
    return PairBatches(
        SentimentDataset(sentences, labels, tokenizer or WordTokenizer(),
                         max_length), size, **kwargs)


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
            SentimentDataset(sentences, labels, WordTokenizer())


@pytest.mark.usefixtures("empty_cache")
def test_the_bundled_set_with_a_real_tokenizer():
    pytest.importorskip("tokenizers")
    from d2lbert.original.tokenizer import BertTokenizer
    sentences, _ = read_sst2(Path(sentiment_folder(), "train.tsv"))
    tokenizer = BertTokenizer.train(sentences, 800)
    train, dev, test = load_data_sst2(
        lambda batch: list(batch.items()), 32, tokenizer)
    assert [len(part) for part in (train, dev, test)] == [93, 25, 25]
    batch = dict(next(iter(train)))
    assert (batch["input_ids"][:, 0] == tokenizer.id("[CLS]")).all()
    assert not (batch["input_ids"] == tokenizer.id("[UNK]")).any()
    assert sorted(sum((dict(b)["labels"].tolist() for b in dev), [])) == (
        400 * [0] + 400 * [1])


def test_glue_s_test_file_is_passed_over(tmp_path):
    for split in ("train", "dev"):
        write(tmp_path / f"{split}.tsv", "a fine day \t1", "dull\t0")
    def load():
        return load_data_sst2(dict, 8, WordTokenizer(), tmp_path)

    train, dev, test = load()
    assert len(train) == len(dev) == 1 and test is None
    write(tmp_path / "test.tsv", "0\tfine", head="index\tsentence")
    assert load()[2] is None
    write(tmp_path / "test.tsv", "fine\t1")
    assert len(load()[2]) == 1


@each_backend()
def test_batches_are_tensors_of_the_backend(backend, tmp_path):
    for split in ("train", "dev"):
        write(tmp_path / f"{split}.tsv", "a fine day \t1", "dull\t0")
    d2l = load_backend(backend)
    train, dev, _ = d2l.load_data_sst2(2, WordTokenizer(), tmp_path)
    tensor = type(d2l.to_tensors((np.zeros(1, np.int32),))[0])
    (batch,) = dev
    assert {type(x) for x in batch.values()} == {tensor}
    again = d2l.to_tensors(batch)  # tensors stay as they are
    assert {name: to_numpy(x).tolist() for name, x in again.items()} == {
        name: to_numpy(x).tolist() for name, x in batch.items()}


# Pairs

class PairTokenizer(WordTokenizer):
    """Keeps what it was asked."""

    def __call__(self, texts, pairs=None, **options):
        self.asked = texts, pairs
        return super().__call__(
            [f"{a} {b}" for a, b in zip(texts, pairs)], **options)


def test_pairs_are_read_with_their_second_sentences():
    tokenizer = PairTokenizer()
    dataset = SentimentDataset(["a crane", "a bank"], [2, 0], tokenizer,
                               seconds=["a bird", "money"])
    assert tokenizer.asked == (["a crane", "a bank"], ["a bird", "money"])
    assert dataset.labels.tolist() == [2, 0]


@pytest.mark.usefixtures("empty_cache")
def test_the_bundled_pairs_with_a_real_tokenizer():
    pytest.importorskip("tokenizers")
    from d2lbert.original.tokenizer import BertTokenizer
    premises, hypotheses, labels = read_snli(nli_folder("mini-nli"), True)
    tokenizer = BertTokenizer.train([*premises, *hypotheses], 800)
    train, dev, test = load_data_nli(dict, 32, tokenizer, max_length=24)
    assert [part.is_train for part in (train, dev, test)] == [
        True, False, False]
    assert len(train.dataset) == len(labels)
    rows = train.dataset.batch(np.arange(5))
    assert rows["labels"].tolist() == list(labels[:5])
    assert rows["input_ids"].shape[1] <= 24
    is_second = rows["token_type_ids"][0] == 1
    assert tokenizer.decode(rows["input_ids"][0][is_second]) == (
        f"{hypotheses[0]} [SEP]")
