"""Which texts the loaders give, the same way for every backend."""

import warnings

import pytest
from harness import VOCAB, each_backend, random_pairs, write_snli

from d2lbert.backends import load_backend
from d2lbert.data import loaders
from d2lbert.data.snli import LABELS

SIZES = {"train": 60, "dev": 20, "test": 10}


def to_tensors(arrays):
    return "tensors", *arrays


@pytest.fixture
def text(tmp_path):
    """40 paragraphs, each of a word of its own, two of them held out."""
    path = tmp_path / "text.txt"
    path.write_text("".join(
        f"{word} {word} {word} . {word} {word}\n{word} . {word} it\n"
        for word in (f"w{i}" for i in range(20))), encoding="utf-8")
    return path


def test_held_out_is_what_was_not_trained_on(text):
    train_iter, vocab = loaders.load_data_wiki(to_tensors, 4, 16, text)
    held_out = loaders.load_held_out_wiki(to_tensors, 4, 16, text)
    assert train_iter.num_examples == 38 and held_out.num_examples == 2
    assert "w18" in vocab.token_to_idx and "w19" not in vocab.token_to_idx
    assert vocab["w18"] in train_iter.sentences.tokens
    assert set(held_out.sentences.tokens) == {vocab.unk, vocab["it"]}
    assert train_iter.is_train and not held_out.is_train


def test_batches_are_tensors(text):
    train_iter, _ = loaders.load_data_wiki(to_tensors, 4, 16, text)
    for batches in (iter(train_iter), train_iter.trimmed()):
        assert next(batches)[0] == "tensors"


@each_backend()
def test_a_batch_above_the_corpus_gets_a_warning(text, backend):
    d2l = load_backend(backend)
    with pytest.warns(UserWarning, match="512, .* only 38 examples") as told:
        train_iter, _ = d2l.load_data_wiki(512, 16, corpus=text)
    assert told[0].filename == __file__
    assert [len(batch[0]) for batch in train_iter] == [38]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        d2l.load_held_out_wiki(512, 16, corpus=text)  # all, in one batch
        d2l.load_data_wiki(38, 16, corpus=text)


@pytest.fixture
def folder(tmp_path):
    for split, num in SIZES.items():
        write_snli(tmp_path, *(
            f"{LABELS[label]}\t{a}\t{b}\t"
            for a, b, label in zip(*random_pairs(num))), split=split)
    return tmp_path


def test_each_split_is_read_and_the_training_pairs_are_shuffled(folder):
    splits = loaders.load_data_snli_bert(
        to_tensors, 4, 32, VOCAB, folder, seed=7)
    assert [len(split.dataset) for split in splits] == list(SIZES.values())
    assert [split.is_train for split in splits] == [True, False, False]
    assert {split.dataset.vocab for split in splits} == {VOCAB}
    assert splits[0].seed == 7
    (X, _) = next(iter(splits[0]))
    assert X[0] == "tensors"


def test_d2ls_loader_gives_train_and_test(folder):
    train_iter, test_iter, vocab = loaders.load_data_snli(tuple, 4, 12, folder)
    assert (len(train_iter.dataset), len(test_iter.dataset)) == (60, 10)
    assert train_iter.is_train and not test_iter.is_train
    assert test_iter.dataset.vocab is train_iter.dataset.vocab is vocab
