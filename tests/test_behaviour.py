"""What a BERT must and must not do, in every backend.

Each test fails on a mistake found in existing material; the numbers in
brackets are explained in CONTRIBUTING.md.
"""

import numpy as np
import pytest
from harness import (
    SIZES,
    V,
    each_backend,
    forward,
    fresh_params,
    losses_and_grads,
    make_batch,
    small_bert,
    to_numpy,
)
from safetensors import SafetensorError

from d2lbert.checkpoints.d2l import bert_shapes
from d2lbert.checkpoints.params import initial_params, load_params, save_params
from d2lbert.checks import CheckpointError
from d2lbert.data.batches import PretrainingBatches
from d2lbert.data.pretraining import RESERVED_TOKENS
from d2lbert.data.vocab import Vocab
from d2lbert.run.models import make_bert

WORDS = [f"w{i}" for i in range(V - 5)]
VOCAB = Vocab(WORDS, reserved_tokens=RESERVED_TOKENS)


def change(array, where, rng):
    """Other values, still in the range of token ids."""
    array = array.copy()
    array[where] = (array[where] + rng.integers(1, V, where.sum())) % V
    return array


@each_backend()
def test_padding_changes_nothing(backend):
    bert, batch = small_bert(backend), make_batch()
    tokens, segments, valid_lens = batch[:3]
    padding = np.arange(tokens.shape[1]) >= valid_lens[:, None]
    other = (change(tokens, padding, np.random.default_rng(1)), segments,
             *batch[2:])
    for ours, theirs in zip(forward(bert, batch), forward(bert, other)):
        if ours.shape == (*tokens.shape, SIZES["num_hiddens"]):
            ours, theirs = ours[~padding], theirs[~padding]
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


@each_backend()
def test_nothing_flows_from_padding(backend):
    bert, batch = small_bert(backend), make_batch(B=2)
    tokens, valid_lens = batch[0], batch[2]
    padding = np.arange(tokens.shape[1]) >= valid_lens[:, None]
    tokens[padding], tokens[~padding] = 51, tokens[~padding] % 50
    grads = losses_and_grads(bert, batch)[2]
    rows = np.abs(grads["encoder.token_embedding.weight"]).max(1)
    assert rows[51] == 0 and rows[tokens[~padding]].min() > 0


@each_backend()
def test_weight_zero_slots_change_nothing(backend):  # [1]
    bert, batch = small_bert(backend), make_batch()
    unused = batch[4] == 0
    rng = np.random.default_rng(2)
    other = list(batch)
    other[3] = np.where(unused, rng.integers(0, 13, unused.shape),
                        batch[3]).astype(np.int32)
    other[5] = change(batch[5], unused, rng)
    *losses, grads = losses_and_grads(bert, batch)
    *others, other_grads = losses_and_grads(bert, tuple(other))
    assert losses == pytest.approx(others, rel=1e-6)
    for name in grads:
        np.testing.assert_allclose(grads[name], other_grads[name], atol=1e-5)


@each_backend()
def test_next_sentence_is_read_from_cls_alone(backend):  # [23]
    bert, batch = small_bert(backend), make_batch()
    encoded, _, nsp = forward(bert, batch)
    p = bert.export_params()
    hidden = np.tanh(encoded[:, 0] @ p["hidden.0.weight"].T
                     + p["hidden.0.bias"])
    assert p["nsp.output.weight"].shape == (2, SIZES["num_hiddens"])
    np.testing.assert_allclose(
        nsp, hidden @ p["nsp.output.weight"].T + p["nsp.output.bias"],
        atol=1e-5)


@each_backend()
def test_initial_weights_are_small_and_alike(backend):  # [7]
    own = fresh_params(backend)
    shapes = bert_shapes(V, **SIZES)
    assert {name: a.shape for name, a in own.items()} == shapes
    for name, array in own.items():
        if array.ndim > 1:
            assert np.std(array) == pytest.approx(0.02, rel=0.35), name
            assert abs(np.mean(array)) < 0.01, name
        else:
            assert (array == name.endswith(".weight")).all(), name


@each_backend()
def test_first_loss_is_that_of_a_fair_guess(backend):  # [7]
    bert = make_bert(backend, V, num_hiddens=64, ffn_num_hiddens=64,
                     num_heads=2, num_blks=2, dropout=0.0)
    mlm_l, nsp_l, _ = losses_and_grads(bert, make_batch(B=32, P=5))
    assert mlm_l == pytest.approx(np.log(V), rel=0.02)
    assert nsp_l == pytest.approx(np.log(2), rel=0.02)


@each_backend()
def test_one_batch_is_learned_by_heart(backend):
    bert = make_bert(backend, V, **{**SIZES, "num_hiddens": 32})
    batch = bert.d2l.to_tensors(make_batch(B=8))
    log = bert.train([batch], V, 150, lr=1e-2)
    assert log.mlm[-1] < 0.1 and log.nsp[-1] < 0.1
    assert len(log.mlm) == len(log.nsp) == 150


@each_backend()
def test_encodings_are_in_evaluation_mode(backend):  # [2]
    bert = make_bert(backend, V, **{**SIZES, "dropout": 0.5})
    bert.train([bert.d2l.to_tensors(make_batch())], V, 2)
    args = bert.parts

    def encoding():
        return to_numpy(bert.d2l.get_bert_encoding(
            *args, ["w1", "w2", "w3", "w4"], ["w5", "w6", "w7"],
            vocab=VOCAB))

    assert encoding().shape == (1, 10, SIZES["num_hiddens"])
    assert (encoding() == encoding()).all()
    together = bert.encode([(["w1"], None), (["w1", "w2"], ["w3"])], VOCAB)
    alone = bert.encode([(["w1"], None)], VOCAB)
    np.testing.assert_allclose(together[0, :3], alone[0, :3], atol=1e-5)


@each_backend()
def test_word_logits_are_those_of_evaluation_mode(backend):
    bert = make_bert(backend, V, **{**SIZES, "dropout": 0.5})
    batch = make_batch()
    expected = forward(bert, batch)[1]
    bert.train([bert.d2l.to_tensors(batch)], V, 1, lr=0.0)  # training mode
    np.testing.assert_allclose(bert.word_logits(bert.d2l.to_tensors(batch)),
                               expected, atol=1e-6)


@each_backend()
def test_dropout_is_on_in_training(backend):
    bert = make_bert(backend, V, **{**SIZES, "dropout": 0.5})
    start = bert.export_params()
    batch = bert.d2l.to_tensors(make_batch(B=8))
    losses = []
    for _ in range(2):  # twice the same first step, but for dropout
        bert.import_params(start)
        losses.append(bert.train([batch], V, 2, lr=1e-2).mlm[1])
    still = make_bert(backend, V, **SIZES)
    expected = still.train([batch], V, 2, lr=1e-2).mlm[1]
    assert abs(losses[0] - expected) > 1e-5


@each_backend()
def test_training_leaves_short_runs_and_new_epochs_to_the_reader(
        backend):  # [3]
    bert = make_bert(backend, V, **SIZES)
    rng = np.random.default_rng(0)
    paragraphs = [[[WORDS[i] for i in rng.integers(len(WORDS), size=4)]
                   for _ in range(3)] for _ in range(10)]
    data = PretrainingBatches(paragraphs, VOCAB, 8, 16,
                              as_tensors=bert.d2l.to_tensors)
    log = bert.train(data, V, 5)  # two epochs and a half
    assert len(log.mlm) == 5 and np.isfinite(log.mlm).all()
    one = bert.train(data, V, 1)
    assert len(one.mlm) == 1
    with pytest.raises(ValueError, match="num_steps is 0"):
        bert.train(data, V, 0)


@each_backend()
def test_held_out_scores_do_not_depend_on_the_batches(backend):
    bert = small_bert(backend)
    rng = np.random.default_rng(0)
    batch = make_batch(B=12)
    data = [bert.d2l.to_tensors(tuple(x[i] for x in batch))
            for i in np.split(rng.permutation(12), [5])]
    whole = [bert.d2l.to_tensors(batch)]
    scores = bert.evaluate(whole)
    assert bert.evaluate(data) == pytest.approx(scores, rel=1e-5)
    nsp = forward(bert, batch)[2]
    assert scores[2] == pytest.approx((nsp.argmax(1) == batch[6]).mean())
    assert scores[:2] == pytest.approx(
        losses_and_grads(bert, batch)[:2], rel=1e-4)


@each_backend()
def test_devices_are_never_none(backend):  # [18]
    d2l = make_bert(backend, V, **SIZES).d2l
    assert len(d2l.try_all_gpus()) >= 1
    assert d2l.try_gpu(99) is not None


@each_backend()
def test_documented_shapes(backend):
    bert = make_bert(backend, 10000, num_hiddens=768, ffn_num_hiddens=1024,
                     num_heads=4, num_blks=2, dropout=0.2)
    rng = np.random.default_rng(0)
    batch = (rng.integers(0, 10000, (2, 8)).astype(np.int32),
             np.array([[0] * 4 + [1] * 4, [0] * 3 + [1] * 5], np.int32),
             np.array([8, 8], np.int32),
             np.array([[1, 5, 2], [6, 1, 5]], np.int32))
    shapes = [x.shape for x in forward(bert, batch)]
    assert shapes == [(2, 8, 768), (2, 3, 10000), (2, 2)]


@each_backend()
def test_wrong_input_is_one_clear_error(backend):
    bert = small_bert(backend)
    batch = make_batch()
    batch[0][1, 2] = V
    with pytest.raises(ValueError, match=f"{V}.*another vocabulary"):
        forward(bert, batch)
    with pytest.raises(ValueError, match="another vocabulary"):
        bert.train([bert.d2l.to_tensors(batch)], V, 1)
    with pytest.raises(ValueError, match="33 tokens.*max_len=32"):
        forward(bert, make_batch(L=33))
    with pytest.raises(ValueError, match="num_heads=3"):
        small_bert(backend, num_heads=3)
    with pytest.raises(ValueError, match="no batch"):
        bert.train([], V, 1)


@each_backend()
def test_checkpoint_of_another_shape_names_every_tensor(backend, tmp_path):
    bert = small_bert(backend)
    before = bert.export_params()
    other = initial_params(bert_shapes(V, **{**SIZES, "ffn_num_hiddens": 20,
                                             "num_blks": 3}))
    del other["nsp.output.bias"]
    with pytest.raises(CheckpointError) as error:
        bert.import_params(other)
    for part in ("nsp.output.bias is missing",
                 "encoder.blks.2.attention.W_q.weight is not part",
                 "encoder.blks.0.ffn.dense1.weight has shape (20, 16)",
                 "(24, 16)"):
        assert part in str(error.value)
    after = bert.export_params()
    assert all((before[name] == after[name]).all() for name in before)


def test_checkpoints_are_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "bert.safetensors"
    save_params(path, {"a": np.ones(3, np.float32)})
    with pytest.raises((SafetensorError, TypeError, KeyError)):
        save_params(path, {"a": np.array([object()])})
    assert load_params(path)["a"].tolist() == [1, 1, 1]
    assert [p.name for p in tmp_path.iterdir()] == ["bert.safetensors"]
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(CheckpointError, match="no whole file of safetensors"):
        load_params(path)
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        load_params(tmp_path / "nowhere.safetensors")


def test_same_seed_same_batches_in_every_backend():
    from harness import installed

    from d2lbert.backends import BACKENDS, load_backend
    rng = np.random.default_rng(0)
    paragraphs = [[[WORDS[i] for i in rng.integers(len(WORDS), size=4)]
                   for _ in range(3)] for _ in range(10)]
    seen = []
    for backend in filter(installed, BACKENDS):
        data = PretrainingBatches(
            paragraphs, VOCAB, 8, 16, seed=7,
            as_tensors=load_backend(backend).to_tensors)
        seen.append([to_numpy(x).tolist()
                     for _ in range(2) for batch in data for x in batch])
    assert len(seen) >= 2 and all(epochs == seen[0] for epochs in seen)
