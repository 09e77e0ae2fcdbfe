"""All backends compute the same BERT.

Each is held against NumPy in float64 (tests/reference.py), so that a backend
installed alone is tested as well; and against files written by d2l 1.0.3.
Tolerances are for float32 with dropout off.
"""

from pathlib import Path

import numpy as np
import pytest
import reference
from harness import (
    SIZES,
    V,
    activations,
    attend,
    attention_weights,
    each_backend,
    first_block,
    forward,
    installed,
    load,
    losses_and_grads,
    make_batch,
    save,
    small_bert,
)

from d2lbert.backends import BACKENDS
from d2lbert.checkpoints.d2l import bert_shapes
from d2lbert.checkpoints.params import load_params
from d2lbert.data.batches import trim

DATA = Path(__file__).parent / "data"
close = pytest.approx


def doubles(bert):
    return {k: v.astype(np.float64) for k, v in bert.export_params().items()}


def assert_same_params(ours, theirs):
    """All weights but the keys' biases: softmax ignores what they add to a
    row, their gradient is 0, and Adam makes steps of its rounding errors."""
    for name in theirs:
        if not name.endswith("W_k.bias"):
            assert_close(ours[name], theirs[name], 1e-4)


def assert_close(ours, theirs, tolerance=1e-5):
    scale = max(1.0, np.abs(theirs).max())
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * scale)


@each_backend()
def test_activations_layer_by_layer(backend):
    bert, batch = small_bert(backend), make_batch()
    expected = reference.encode(doubles(bert), *batch[:3],
                                SIZES["num_heads"])
    got = activations(bert, batch)
    assert len(got) == len(expected) == 4
    for ours, theirs in zip(got, expected):
        assert_close(ours, theirs)


def attention_inputs():
    rng = np.random.default_rng(0)
    Q, K, V = rng.normal(size=(3, 4, 2, 7, 5)).astype(np.float32)
    return Q, K, V, np.array([7, 1, 4, 6])


@each_backend()
@pytest.mark.parametrize(
    "name", ["dot_product_attention", "fused_attention"])
def test_attention_written_out_and_fused(backend, name):
    *arrays, valid_lens = attention_inputs()
    out, grads = attend(backend, name, *arrays, valid_lens)
    Q, K, V = (x.astype(np.float64) for x in arrays)
    scores = Q @ K.swapaxes(2, 3) / np.sqrt(5)
    hidden = np.arange(7) >= valid_lens[:, None, None, None]
    weights = reference.softmax(np.where(hidden, -np.inf, scores))
    assert_close(out, weights @ V)
    # The gradients of the sum of squares, by the chain rule
    dV = weights.swapaxes(2, 3) @ (2 * (weights @ V))
    dweights = 2 * (weights @ V) @ V.swapaxes(2, 3)
    dscores = weights * (
        dweights - (dweights * weights).sum(-1, keepdims=True))
    assert_close(grads[0], dscores @ K / np.sqrt(5))
    assert_close(grads[1], dscores.swapaxes(2, 3) @ Q / np.sqrt(5))
    assert_close(grads[2], dV)


@each_backend()
def test_attention_without_lengths_sees_everything(backend):
    bert = small_bert(backend)
    tokens, segments, *_ = make_batch()
    full = np.full(len(tokens), tokens.shape[1], np.int32)
    expected = forward(bert, (tokens, segments, full))[0]
    assert_close(forward(bert, (tokens, segments))[0], expected)
    assert_close(first_block(bert, expected),
                 first_block(bert, expected, full))


@each_backend()
def test_attention_weights_can_be_had(backend):
    bert, batch = small_bert(backend), make_batch()
    weights = attention_weights(bert, batch)
    B, L = batch[0].shape
    assert weights.shape == (B, SIZES["num_heads"], L, L)
    assert_close(weights.sum(-1), np.ones(weights.shape[:3]))
    hidden = np.arange(L) >= batch[2][:, None]
    assert weights.transpose(0, 3, 1, 2)[hidden].max() == 0
    assert_close(forward(bert, batch)[0], reference.encode(
        doubles(bert), *batch[:3], SIZES["num_heads"])[-1])


@pytest.mark.skipif(not installed("mxnet"), reason="mxnet is not installed")
def test_a_hybridized_net_keeps_no_weights_and_says_so():
    bert, batch = small_bert("mxnet"), make_batch()
    attention = bert.net.encoder.blks[0].attention
    bert.net.hybridize()
    forward(bert, batch)
    attention.keep_weights = True  # as after training
    forward(bert, batch)
    with pytest.raises(ValueError, match=r"call net.hybridize\(False\)"):
        _ = attention.attention_weights
    bert.net.hybridize()  # traced again, with weights to keep
    forward(bert, batch)
    bert.net.hybridize(False)
    assert attention.attention_weights is None
    forward(bert, batch)
    assert attention.attention_weights.shape[1] == SIZES["num_heads"]


@each_backend()
def test_layer_norm_epsilon(backend):
    # With initial weights the variances are small enough to show it.
    bert, batch = small_bert(backend, noise=0), make_batch()
    expected = reference.encode(doubles(bert), *batch[:3],
                                SIZES["num_heads"])
    assert_close(activations(bert, batch)[1], expected[1], 1e-6)


@each_backend()
def test_both_heads(backend):
    bert, batch = small_bert(backend), make_batch()
    encoded, mlm, nsp = forward(bert, batch)
    p = doubles(bert)
    expected = reference.encode(p, *batch[:3], SIZES["num_heads"])[-1]
    assert_close(encoded, expected)
    for ours, theirs in zip((mlm, nsp), reference.heads(
            p, expected, batch[3])):
        assert_close(ours, theirs)


@each_backend()
def test_both_losses(backend):
    bert, batch = small_bert(backend), make_batch()
    ours = losses_and_grads(bert, batch)[:2]
    expected = reference.losses(bert.export_params(), batch,
                                SIZES["num_heads"])
    assert ours == close(expected, rel=1e-5)


@each_backend()
def test_gradients_predict_how_the_losses_change(backend):
    bert, batch = small_bert(backend), make_batch()
    grads = losses_and_grads(bert, batch)[2]
    params = doubles(bert)
    assert set(grads) == set(params) == set(bert_shapes(V, **SIZES))
    step = 1e-6
    for seed, name in enumerate(params):
        rng = np.random.default_rng(seed)
        way = rng.normal(size=params[name].shape)
        ends = [sum(reference.losses(
            {**params, name: params[name] + sign * step * way}, batch,
            SIZES["num_heads"])) for sign in (1, -1)]
        slope = (ends[0] - ends[1]) / (2 * step)
        scale = float(np.linalg.norm(grads[name])) + 1e-2
        assert (grads[name] * way).sum() == close(slope, abs=2e-4 * scale)


@pytest.mark.skipif(not installed("torch"), reason="compared with PyTorch")
@each_backend()
def test_gradients_agree_between_backends(backend):
    batch = make_batch(1)
    expected = losses_and_grads(small_bert("torch"), batch)[2]
    grads = losses_and_grads(small_bert(backend), batch)[2]
    for name in expected:
        assert_close(grads[name], expected[name])


@pytest.mark.skipif(not installed("torch"), reason="compared with PyTorch")
@each_backend()
def test_five_steps_agree_between_backends(backend):
    batches = [make_batch(seed) for seed in range(5)]
    expected, log = five_steps("torch", batches)
    params, own_log = five_steps(backend, batches)
    assert_same_params(params, expected)
    assert own_log.mlm == close(log.mlm, rel=1e-4)
    assert own_log.nsp == close(log.nsp, rel=1e-4)


def five_steps(backend, batches):
    bert = small_bert(backend)
    log = bert.train(list(map(bert.d2l.to_tensors, batches)), V, 5, lr=1e-3)
    return bert.export_params(), log


def adam(bert, batches, lr=1e-3):
    """Five steps of Adam with warm-up, by hand, on the clear gradients."""
    moments = {}
    for t, batch in enumerate(batches, 1):
        rate = lr * (1 if t == 1 else (6 - t) / 5)
        params, grads = bert.export_params(), losses_and_grads(bert, batch)[2]
        for name, g in grads.items():
            m, v = moments.get(name, (0, 0))
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            moments[name] = m, v
            update = m / (1 - 0.9 ** t) / (
                np.sqrt(v / (1 - 0.999 ** t)) + 1e-8)
            params[name] = (params[name] - rate * update).astype(np.float32)
        bert.import_params(params)
    return bert.export_params()


@each_backend()
def test_five_steps_of_train_bert(backend):
    batches = [make_batch(seed) for seed in range(5)]
    params, log = five_steps(backend, batches)
    expected = adam(small_bert(backend), batches)
    assert_same_params(params, expected)
    start = reference.losses(small_bert(backend).export_params(), batches[0],
                             SIZES["num_heads"])
    assert (log.mlm[0], log.nsp[0]) == close(start, rel=1e-4)


@each_backend()
def test_trimmed_batches_have_the_same_losses(backend):
    bert = small_bert(backend)
    batch = make_batch(L=32, P=5)
    batch[2][:] = np.minimum(batch[2], 14)
    batch[3][:] = np.minimum(batch[3], 13)
    batch[4][:, 2:] = 0
    short = trim(batch)
    assert short[0].shape[1] == 16 and short[3].shape[1] == 2
    assert losses_and_grads(bert, batch)[:2] == close(
        losses_and_grads(bert, short)[:2], rel=1e-5)


@each_backend()
def test_any_backend_reads_what_any_wrote(backend, tmp_path):
    batch = make_batch()
    for writer in filter(installed, BACKENDS):
        source, target = small_bert(writer, 1), small_bert(backend, 2)
        save(source, tmp_path / "bert.safetensors")
        load(target, tmp_path / "bert.safetensors")
        for ours, theirs in zip(forward(target, batch),
                                forward(source, batch)):
            assert_close(ours, theirs)


@each_backend()
def test_d2ls_own_pytorch_model(backend):
    """tests/data/d2l_torch.safetensors: weights, inputs, d2l's outputs."""
    held = load_params(DATA / "d2l_torch.safetensors")
    bert = small_bert(backend)
    bert.import_params({name: held[f"params/{name}"]
                        for name in bert.export_params()})
    batch = tuple(held[f"inputs/{name}"] for name in (
        "tokens", "segments", "valid_lens", "pred_positions"))
    for name, ours in zip(("encoded_X", "mlm_Y_hat", "nsp_Y_hat"),
                          forward(bert, batch)):
        assert_close(ours, held[f"outputs/{name}"])


@pytest.mark.skipif(not installed("mxnet"), reason="mxnet is not installed")
def test_d2ls_own_gluon_file():
    """tests/data/d2l_gluon.params was written by d2l's `save_parameters`."""
    held = load_params(DATA / "d2l_gluon.safetensors")
    bert = small_bert("mxnet")
    bert.net.load_parameters(str(DATA / "d2l_gluon.params"))
    names = ("tokens", "segments", "valid_lens", "pred_positions",
             "mlm_weights", "mlm_Y", "nsp_y")
    batch = tuple(x if x.dtype == np.float32 else x.astype(np.int32)
                  for x in (held[f"inputs/{name}"] for name in names))
    for name, ours in zip(("encoded_X", "mlm_Y_hat", "nsp_Y_hat"),
                          forward(bert, batch)):
        assert_close(ours, held[f"outputs/{name}"])
    assert losses_and_grads(bert, batch)[:2] == close(
        (held["outputs/mlm_l"].item(), held["outputs/nsp_l"].item()),
        rel=1e-5)
