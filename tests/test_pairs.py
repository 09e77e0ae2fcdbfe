"""Pairs of sentences as arrays and batches."""

import pickle

import numpy as np
import pytest
from harness import (
    PAIR_WORDS,
    VOCAB,
    each_backend,
    installed,
    random_pairs,
    write_snli,
)

from d2lbert.backends import load_backend
from d2lbert.data.pairs import PairBatches, SNLIBERTDataset, pairs_to_inputs
from d2lbert.data.pretraining import RESERVED_TOKENS, get_tokens_and_segments
from d2lbert.data.snli import LABELS, read_snli

# Arrays

def one_by_one(premise, hypothesis, max_len):
    """d2l's rule as d2l says it: the longer loses its last token."""
    a, b = premise.lower().split(), hypothesis.lower().split()
    while len(a) + len(b) > max_len - 3:
        (a if len(a) > len(b) else b).pop()
    return get_tokens_and_segments(a, b)


@pytest.mark.parametrize("max_len", [5, 12, 64])
def test_arrays_are_those_of_pair_after_pair(max_len, capsys):
    pairs = random_pairs()
    pairs[0][0] += " W3 unheard " + "w1 " * 500  # far longer than max_len
    data = SNLIBERTDataset(pairs, max_len, VOCAB)
    assert capsys.readouterr().out == "read 300 examples\n"
    assert data.all_token_ids.shape == data.all_segments.shape == (
        300, max_len)
    assert data.labels.tolist() == pairs[2]
    for row, (premise, hypothesis) in enumerate(zip(*pairs[:2])):
        tokens, segments = one_by_one(premise, hypothesis, max_len)
        padding = max_len - len(tokens)
        (ids, segs, valid_len), _ = data[row]
        assert ids.tolist() == VOCAB[tokens] + padding * [VOCAB["<pad>"]]
        assert segs.tolist() == segments + padding * [0]
        assert valid_len == len(tokens) == data.lengths[row]


def test_typed_pairs_are_made_alike():
    pairs = random_pairs(20)
    data = SNLIBERTDataset(pairs, 16, VOCAB)
    ours = pairs_to_inputs(
        list(zip(pairs[0], [s.split() for s in pairs[1]])), 16, VOCAB)
    theirs = data.all_token_ids, data.all_segments, data.valid_lens
    length = ours[0].shape[1]
    for x, y in zip(ours, theirs):
        np.testing.assert_array_equal(x, y[:, :length] if y.ndim > 1 else y)


def test_a_room_too_small_and_a_vocabulary_of_ones_own():
    with pytest.raises(ValueError, match="max_len is 4"):
        SNLIBERTDataset(random_pairs(), 4, VOCAB)
    vocab = SNLIBERTDataset(random_pairs(), 16).vocab
    assert vocab.to_tokens([0, 1, 2, 3, 4]) == ["<unk>", *RESERVED_TOKENS]
    assert set(PAIR_WORDS) < set(vocab.idx_to_token)


@each_backend()
def test_shapes_and_types_of_every_backend(backend, capsys):  # [12]
    d2l = load_backend(backend)
    data = d2l.SNLIBERTDataset(random_pairs(10), 128, VOCAB)
    assert tuple(data.all_token_ids.shape) == (10, 128)
    (tokens, segments, valid_len), label = data[3]
    assert tuple(tokens.shape) == tuple(segments.shape) == (128,)
    assert int(label) == int(data.labels[3])
    copy = pickle.loads(pickle.dumps(data))
    assert np.array_equal(copy.all_token_ids, data.all_token_ids)
    short = d2l.SNLIDataset(random_pairs(10), 7)
    (premises, hypotheses), labels = next(iter(
        PairBatches(short, 4, is_train=False)))
    assert tuple(premises.shape) == tuple(hypotheses.shape) == (4, 7)
    assert tuple(labels.shape) == (4,)


@each_backend()
def test_the_framework_s_own_loader_takes_the_data_set(backend):
    d2l = load_backend(backend)
    data = d2l.SNLIBERTDataset(random_pairs(10), 32, VOCAB)
    if backend == "torch":
        from torch.utils.data import DataLoader
        loader = DataLoader(data, 4, shuffle=True)
    elif backend == "mxnet":
        from mxnet.gluon.data import DataLoader
        loader = DataLoader(data, 4, shuffle=True)
    else:
        loader = d2l.load_array(
            ((data.all_token_ids, data.all_segments, data.valid_lens),
             data.labels), 4, True)
    for _ in range(2):
        batches = list(loader)
        assert len(batches) == len(loader) == 3
        (tokens, _, valid_lens), labels = batches[0]
        assert tuple(tokens.shape) == (4, 32)
        assert sorted(int(n) for (*_, lens), _ in batches for n in lens) == (
            sorted(map(int, data.valid_lens)))


@pytest.mark.skipif(not installed("torch"), reason="torch is not installed")
def test_the_real_loader_s_names_work_on_a_folder(tmp_path):
    d2l = load_backend("torch")
    for split, num in (("train", 60), ("dev", 20), ("test", 10)):
        rows = [f"{LABELS[label]}\t{a}\t{b}\t"
                for a, b, label in zip(*random_pairs(num))]
        write_snli(tmp_path, *rows, split=split)
    train_iter, test_iter, vocab = d2l.load_data_snli(
        16, 50, corpus=tmp_path)
    (premises, _), labels = next(iter(train_iter))
    assert tuple(premises.shape) == (16, 50) and labels.shape == (16,)
    assert vocab["<pad>"] == 1
    iters = d2l.load_data_snli_bert(16, 32, VOCAB, corpus=tmp_path)
    assert [len(it) for it in iters] == [3, 2, 1]


def test_no_pairs_is_an_error(tmp_path):
    write_snli(tmp_path, "-\ta\tb\t")
    with pytest.raises(ValueError, match="not a set of pairs"):
        SNLIBERTDataset(read_snli(tmp_path, True), 16, VOCAB)


# Batches

def everything(batches):
    """The rows of an epoch, padding cut off, in order."""
    return [(tuple(t[:n]), tuple(s[:n]), y) for (ts, ss, ns), ys in batches
            for t, s, n, y in zip(ts, ss, ns, ys)]


def test_an_epoch_has_each_pair_once():
    data = SNLIBERTDataset(random_pairs(), 64, VOCAB)
    batches = PairBatches(data, 30)
    rows = everything(batches)
    assert len(batches) == 10 and len(rows) == 300
    whole = PairBatches(data, 300, is_train=False)
    assert sorted(rows) == sorted(everything(whole))


def test_same_seed_same_bytes_and_a_second_epoch_differs():
    data = SNLIBERTDataset(random_pairs(), 64, VOCAB)
    one, same, other = (PairBatches(data, 30, seed) for seed in (0, 0, 1))
    first = everything(one)
    assert first == everything(same) != everything(other)
    assert sorted(first) == sorted(second := everything(one))
    assert first != second
    fixed = PairBatches(data, 30, is_train=False)
    assert everything(fixed) == everything(fixed)


def test_batches_are_no_longer_than_their_pairs(monkeypatch):
    monkeypatch.setattr("d2lbert.data.batches.POOL", 4)
    data = SNLIBERTDataset(random_pairs(1000, 60), 128, VOCAB)
    cells = used = 0
    for (tokens, segments, valid_lens), _ in PairBatches(data, 50):
        assert tokens.shape == segments.shape
        assert valid_lens.max() <= tokens.shape[1] < valid_lens.max() + 8
        cells, used = cells + tokens.size, used + valid_lens.sum()
    assert used / cells > 0.75  # 0.49 with all padded to 128


def test_what_is_left_out_of_an_epoch_is_drawn():
    # Sorted by length, the longest would be left out every time.
    data = SNLIBERTDataset(random_pairs(100), 64, VOCAB)
    batches = PairBatches(data, 60)
    epochs = [everything(batches) for _ in range(20)]
    assert {len(rows) for rows in epochs} == {60}
    assert len(set().union(*epochs)) == len(set(everything(
        PairBatches(data, 100, is_train=False))))


@pytest.mark.filterwarnings("ignore:batch_size is 500")
@pytest.mark.parametrize("size, is_train, num", [
    (100, True, 3), (120, True, 2), (120, False, 3), (500, True, 1)])
def test_a_smaller_last_batch_is_for_evaluation(size, is_train, num):
    data = SNLIBERTDataset(random_pairs(), 64, VOCAB)
    batches = PairBatches(data, size, is_train=is_train)
    assert len(list(batches)) == len(batches) == num
    with pytest.raises(ValueError, match="batch_size is 0"):
        PairBatches(data, 0)
