"""MXNet 1.9.1 works on NumPy 1.26 and on NumPy 2, and NumPy stays itself.

Run in an environment with either; what has to be seen in a fresh process
runs in one.
"""

import os
import subprocess
import sys

import numpy
import pytest

d2l = pytest.importorskip("d2lbert.mxnet", exc_type=ImportError)

from mxnet import autograd, cpu, gluon, init, np, npx  # noqa: E402
from mxnet.gluon import Parameter, Trainer  # noqa: E402

from d2lbert.mxnet import compat, fast  # noqa: E402
from d2lbert.mxnet.checkpoint import named_parameters  # noqa: E402
from d2lbert.mxnet.fast import fused_batch_loss  # noqa: E402
from d2lbert.mxnet.train import Adam  # noqa: E402

V, SIZES = 53, (16, 24, 2, 2, 0.0, 32)


def make_batch(seed=0, B=6, L=13, P=3):
    rng = numpy.random.default_rng(seed)
    used = numpy.arange(P) < rng.integers(1, P + 1, (B, 1))
    columns = rng.permuted(numpy.tile(numpy.arange(1, P + 2), (B, 1)), axis=1)
    return d2l.to_tensors((
        rng.integers(0, V, (B, L)).astype("int32"),
        rng.integers(0, 2, (B, L)).astype("int32"),
        rng.integers(P + 2, L, B).astype("int32"),
        (columns[:, :P] * used).astype("int32"),
        used.astype("float32"),
        (rng.integers(0, V, (B, P)) * used).astype("int32"),
        rng.integers(0, 2, B).astype("int32")))


def make_net(seed=0, noise=0.2):
    rng = numpy.random.default_rng(seed)
    params = d2l.initial_params(d2l.bert_shapes(V, *SIZES), seed)
    net = d2l.BERTModel(V, *SIZES)
    d2l.import_params(net, {k: (a + rng.normal(0, noise, a.shape)).astype(
        "float32") for k, a in params.items()})
    return net


def gradients(net, batch_loss, batch):
    with autograd.record():
        ls = batch_loss(*([x] for x in batch))[2]
    autograd.backward(ls)
    return {name: p.grad().asnumpy().copy()
            for name, p in named_parameters(net).items()}


def fresh_python(code, *options, **environment):
    env = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    done = subprocess.run([sys.executable, *options, "-c", code], text=True,
                          capture_output=True, env={**env, **environment})
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_numpy_is_left_as_it_was():
    fresh_python("""
import builtins, os, sys, types
import numpy
before, plain_import = dict(vars(numpy)), builtins.__import__
import d2lbert.mxnet
from d2lbert.mxnet.compat import ELSEWHERE, REMOVED, EarlierNumPy
after = vars(numpy)
assert all(after[name] is before[name] for name in before)
assert not (set(after) - set(before)) & {*ELSEWHERE, *REMOVED}
assert numpy is sys.modules["numpy"] and type(numpy) is types.ModuleType
assert builtins.__import__ is plain_import
assert "OMP_NUM_THREADS" not in os.environ
for name, module in list(sys.modules.items()):
    if any(isinstance(x, EarlierNumPy) for x in vars(module).values()):
        assert name.startswith("mxnet."), name
""", "-W", "error::DeprecationWarning", "-W", "error::FutureWarning")


def test_nothing_is_imported_that_only_a_quantization_needs():
    pytest.importorskip("scipy")
    fresh_python("""
import sys
import d2lbert.mxnet
assert not {"sklearn", "scipy.stats"} & set(sys.modules)
from mxnet.contrib import quantization
from mxnet.test_utils import ss
assert quantization.stats.entropy([0.5, 0.5]) > ss.norm.cdf(0) > 0.49
""")


def test_a_plain_import_that_failed_before_does_no_harm():
    fresh_python("""
import warnings
warnings.simplefilter("ignore")
try:
    import mxnet
except AttributeError:
    pass
import d2lbert.mxnet
from mxnet import np
assert np.full(3, True).sum() == 3
""")


def test_a_sentence_where_there_is_no_mxnet():
    said = fresh_python("""
import sys
sys.modules["mxnet"] = None
try:
    import d2lbert.mxnet
except ImportError as error:
    print(error)
""")
    assert "Linux (x86-64, Arm) and Intel Macs" in said
    assert "PyTorch and JAX backends work without it" in said


def test_all_cores_unless_somebody_chose(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with compat.all_cores():
        assert 1 <= int(os.environ["OMP_NUM_THREADS"]) <= os.cpu_count()
    assert "OMP_NUM_THREADS" not in os.environ
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with compat.all_cores():
        assert os.environ["OMP_NUM_THREADS"] == "1"
    assert os.environ["OMP_NUM_THREADS"] == "1"


def test_earlier_names_do_in_mxnet_what_they_did():
    x = np.array([[1.0, 4.0], [3.0, 2.0]])
    assert x[x > 1].asnumpy().tolist() == [4, 3, 2]
    assert x[True].shape == (1, 2, 2)
    assert np.array([True, False], dtype=np.bool).dtype == numpy.bool_
    assert np.in1d(x, np.array([2, 4])).tolist() == [False, True, False, True]
    assert numpy.asarray(np.msort(x)).tolist() == [[1, 2], [3, 4]]
    assert numpy.asarray(np.trapz(x)).tolist() == [2.5, 2.5]
    assert np.pad(x, ((0, 0), (1, 0)))[:, 0].asnumpy().tolist() == [0, 0]
    assert [np.NaN != np.NaN, np.PINF, -np.NINF] == [True, np.inf, np.inf]
    with pytest.raises(RuntimeError, match="numpy-financial"):
        np.npv(0.1, [1, 2])


def test_numpy_functions_reach_mxnet_arrays():
    x = np.array([[1.0, 4.0], [3.0, 2.0]])
    assert float(numpy.sum(x)) == float(numpy.prod(x[0])) + 6 == 10
    assert numpy.concatenate([x, x]).shape == (4, 2)
    assert x.asnumpy().dtype == "float32"
    assert np.array(numpy.arange(3, dtype="int32")).dtype == numpy.int32


def test_seeds_are_separate_and_repeatable():
    def draw():
        npx.random.seed(7)
        net = d2l.BERTModel(V, *SIZES)
        net.initialize(init.Xavier())
        return d2l.export_params(net)["encoder.pos_embedding"]

    numpy.random.seed(3)
    expected = numpy.random.random(4)
    numpy.random.seed(3)
    assert (draw() == draw()).all()
    assert (numpy.random.random(4) == expected).all()


def test_one_training_step_after_another():
    net, batch = make_net(noise=0), make_batch()
    log = d2l.train_bert(
        [batch], net, d2l.cross_entropy(), V, [cpu()], 40, lr=1e-2)
    assert log.mlm[0] == pytest.approx(numpy.log(V), rel=0.05)
    assert log.mlm[-1] < log.mlm[0] / 2


def test_hybridized_and_plain_agree_at_any_length():
    plain, hybrid = make_net(), make_net()
    hybrid.hybridize()
    for L in (13, 20, 9):
        batch = make_batch(L=L)
        for inputs in (batch[:4], batch[:2]):
            for a, b in zip(plain(*inputs), hybrid(*inputs)):
                if a is not None:
                    numpy.testing.assert_allclose(
                        a.asnumpy(), b.asnumpy(), atol=1e-6)


def test_the_fused_loss_has_the_clear_gradients():
    net, loss, batch = make_net(), d2l.cross_entropy(), make_batch()
    clear = gradients(net, lambda *shards: d2l._get_batch_loss_bert(
        net, loss, V, *shards), batch)
    fused = gradients(net, lambda *shards: fused_batch_loss(
        net, loss, V, *shards), batch)
    for name in clear:
        numpy.testing.assert_allclose(fused[name], clear[name], atol=1e-5)


def projected(X, dense, labels, shares):
    # Not dense(X), which forgets the bias where the weights are frozen
    logits = np.dot(X, dense.weight.data().T) + dense.bias.data()
    return -(npx.pick(npx.log_softmax(logits), labels) * shares).sum()


@pytest.mark.parametrize("frozen", ["", "X", "W"])
def test_the_projected_loss_chunk_by_chunk(monkeypatch, frozen):
    """Also where gradients are added up, and where some are not wanted."""
    monkeypatch.setattr(fast, "CHUNK", 4)
    rng = numpy.random.default_rng(0)
    dense = gluon.nn.Dense(V, in_units=5, flatten=False)
    dense.initialize(init.Normal(1.0))
    dense.collect_params().setattr("grad_req", "add")
    X, shares = (np.array(rng.normal(size=size), dtype="float32")
                 for size in ((10, 5), 10))
    labels = np.array(rng.integers(V, size=10), dtype="int32")
    if frozen == "W":
        dense.weight.grad_req = "null"
    values, grads = [], []
    for f in (projected, fast.projected_loss):
        X.attach_grad("null" if frozen == "X" else "add")
        dense.collect_params().zero_grad()
        for _ in range(2):
            with autograd.record():
                loss = f(X, dense, labels, shares)
                twice = 2 * loss
            twice.backward()
        values.append(float(loss))
        grads.append([a.asnumpy().copy() for a in (
            *([] if frozen == "X" else [X.grad]), dense.bias.grad(),
            *([] if frozen == "W" else [dense.weight.grad()]))])
    assert values[1] == pytest.approx(values[0], rel=1e-6)
    for clear, chunked in zip(*grads):
        assert abs(clear).max() > 0
        numpy.testing.assert_allclose(chunked, clear, atol=1e-5)


@pytest.mark.parametrize("shape", [(7, 16), (2, 3, 16)])
@pytest.mark.parametrize("hybridize", [True, False])
def test_layer_norm_is_mxnets_own(shape, hybridize):
    rng = numpy.random.default_rng(0)
    X, G = (np.array(rng.normal(3, 2, shape), dtype="float32")
            for _ in range(2))
    results = []
    for make, size in ((gluon.nn.LayerNorm, 16), (fast.LayerNorm, 16),
                       (fast.LayerNorm, 0)):
        ln = make(in_channels=size, prefix="ln_")
        ln.initialize()
        ln.hybridize(hybridize)
        ln(X)
        ln.gamma.set_data(np.arange(16) / 16 + 0.5)
        X.attach_grad()
        with autograd.record():
            Y = ln(X)
        Y.backward(G)
        assert sorted(ln.collect_params()) == ["ln_beta", "ln_gamma"]
        results.append([a.asnumpy() for a in (
            Y, X.grad, ln.gamma.grad(), ln.beta.grad())])
    for ours in results[1:]:
        for a, b in zip(ours, results[0]):
            numpy.testing.assert_allclose(a, b, atol=1e-5, rtol=1e-6)


@pytest.mark.parametrize("num_devices", [2, 4])  # 4 do not divide 6 pairs
def test_several_devices_train_as_one(num_devices):
    def train(devices):
        net = make_net()
        log = d2l.train_bert([make_batch(0), make_batch(1)], net,
                             d2l.cross_entropy(), V, devices, 4, lr=1e-3)
        return log, d2l.export_params(net)

    log, params = train([cpu(0)])
    shared_log, shared = train([cpu(i) for i in range(num_devices)])
    assert shared_log.mlm == pytest.approx(log.mlm, rel=1e-4)
    assert shared_log.nsp == pytest.approx(log.nsp, rel=1e-4)
    for name in params:
        if not name.endswith("W_k.bias"):  # its gradient is rounding error
            numpy.testing.assert_allclose(
                shared[name], params[name], atol=1e-4)


def test_several_devices_fine_tune_as_one():
    def train(devices):
        net = make_net()
        with pytest.raises(ValueError, match="before you make its trainer"):
            d2l.train_ch13(net, [0], None, None, None, 1, [cpu(7)])
        net.collect_params().reset_ctx(devices)
        classifier = d2l.BERTClassifier(net)
        classifier.output.weight.set_data(np.ones((3, 16)) / 16)
        tokens, segments, valid_lens, *_, y = make_batch()
        log = d2l.train_ch13(
            classifier, [((tokens, segments, valid_lens), y)] * 3,
            [((tokens, segments, valid_lens), y)], d2l.cross_entropy(),
            d2l.adam(classifier, 1e-3), 2, devices)
        return log, d2l.export_params(classifier)

    log, params = train([cpu(0)])
    shared_log, shared = train([cpu(0), cpu(1)])
    assert shared_log.loss == pytest.approx(log.loss, rel=1e-4)
    assert shared_log.test_acc == log.test_acc
    for name in params:
        if not name.endswith("W_k.bias"):
            numpy.testing.assert_allclose(
                shared[name], params[name], atol=1e-4)


def test_the_original_bert_trains_and_comes_back(tmp_path):
    config = d2l.BertConfig(
        vocab_size=V, hidden_size=16, num_hidden_layers=1,
        num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=16, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0)
    batch = d2l.to_bert_batch(tuple(x.asnumpy() for x in make_batch()))
    net = d2l.BertForPreTraining(config)
    d2l.import_params(net, d2l.initial_params(config.pretraining_shapes()))
    start = float(d2l.infer(net, batch).loss)
    log = d2l.fit(net, [batch], 30, 3e-3)
    assert log.loss[0] == pytest.approx(start, rel=1e-4)
    assert log.loss[-1] < start - 1
    net.save_pretrained(tmp_path)
    again = d2l.BertForPreTraining.from_pretrained(tmp_path)
    assert float(d2l.infer(again, batch).loss) == pytest.approx(
        float(d2l.infer(net, batch).loss), rel=1e-5)


def test_adam_adds_epsilon_after_the_correction():
    weight = Parameter("weight", shape=(1,), init="zeros")
    weight.initialize()
    trainer = Trainer([weight], Adam(learning_rate=0.1))
    with autograd.record():
        l = weight.data() * 1e-8  # a gradient as small as epsilon
    l.backward()
    trainer.step(1)
    assert float(weight.data()) == pytest.approx(-0.1 / 2, rel=1e-4)


def test_weights_read_back(tmp_path):
    net, batch = make_net(), make_batch()
    encoded = net(*batch[:3])[0].asnumpy()
    d2l.save_checkpoint(net, tmp_path / "bert.safetensors")
    again = d2l.BERTModel(V, *SIZES)
    d2l.load_checkpoint(again, tmp_path / "bert.safetensors")
    assert (again(*batch[:3])[0].asnumpy() == encoded).all()
    net.save_parameters(str(tmp_path / "bert.params"))
    again = d2l.BERTModel(V, *SIZES)
    again.load_parameters(str(tmp_path / "bert.params"))
    assert (again(*batch[:3])[0].asnumpy() == encoded).all()


def test_clear_errors():
    net, batch = make_net(), make_batch()
    with pytest.raises(ValueError, match="0 to 52"):
        net(batch[0] + V, batch[1])
    with pytest.raises(ValueError, match="max_len=32"):
        net(np.ones((2, 33)), np.ones((2, 33)))
    with pytest.raises(ValueError, match="num_heads=3"):
        d2l.MultiHeadAttention(16, 3, 0.0)
    params = d2l.export_params(net)
    params["hidden.0.weight"] = params["hidden.0.weight"][:3]
    with pytest.raises(d2l.CheckpointError, match="hidden.0.weight"):
        d2l.import_params(net, params)
