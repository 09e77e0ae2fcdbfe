"""The precision of products in training, and PyTorch's cheap dropout."""

from importlib import import_module

import numpy as np
import pytest
from harness import (
    V,
    each_backend,
    installed,
    losses_and_grads,
    make_batch,
    small_bert,
)

from d2lbert.training import precision as rules
from d2lbert.training.precision import choose_precision, single_precision

torch = import_module("torch") if installed("torch") else None
needs_torch = pytest.mark.skipif(
    not installed("torch"), reason="torch is not installed")


@pytest.fixture
def chosen(monkeypatch):
    """Let a product of a million numbers take as long as a test says.

    Returns:
        A function: seconds of float32, shapes -> what is chosen where
        bfloat16 takes a second.
    """
    monkeypatch.setattr(rules, "_chosen", {})

    def choose(seconds, shapes, device="cpu"):
        times = {"float32": seconds, "bfloat16": 1.0}
        monkeypatch.setattr(rules, "_seconds", lambda function: function)
        return choose_precision(
            None, shapes, lambda i, o, precision: times[precision], device)

    return choose


@pytest.mark.parametrize("seconds, expected", [
    (5.0, "bfloat16"), (1.4, "float32"), (0.5, "float32")])
def test_the_faster_one_is_chosen_if_it_pays(chosen, seconds, expected):
    assert chosen(seconds, [(128, 3), (128, 20000)]) == expected


def test_small_matrices_are_not_measured(chosen):
    assert chosen(5.0, [(128, 512), (64, 10000), (3, 128)]) == "float32"
    assert chosen(5.0, [(256, 512)]) == "bfloat16"


def test_a_device_is_measured_once(chosen):
    shapes = [(256, 512)]
    assert chosen(5.0, shapes) == "bfloat16"
    assert chosen(0.5, shapes) == "bfloat16"
    assert chosen(0.5, shapes, "cuda:0") == "float32"


@each_backend()
def test_what_is_asked_for_is_taken_or_refused(backend):
    bert = small_bert(backend)
    data = [bert.d2l.to_tensors(make_batch())]
    assert bert.train(data, V, 1, precision="float32").precision == "float32"
    with pytest.raises(ValueError, match="'float32' or 'bfloat16'"):
        bert.train(data, V, 1, precision="half")
    if backend != "torch":
        with pytest.raises(ValueError, match="choose 'float32' or None"):
            bert.train(data, V, 1, precision="bfloat16")
    assert single_precision(None, "") == "float32"


@needs_torch
def test_bfloat16_is_near_the_clear_path(capsys):
    """Losses within half a percent, gradients within 5 %, and it learns."""
    batch = make_batch()
    mlm_l, nsp_l, clear = losses_and_grads(small_bert("torch"), batch)
    bert = small_bert("torch")
    train = import_module("d2lbert.torch.train")
    fast = import_module("d2lbert.torch.fast")
    tensors = bert.d2l.to_tensors(batch)
    with fast.products_in("bfloat16", torch.device("cpu")):
        *losses, l = fast.fused_batch_loss(
            bert.net, train.cross_entropy(), V, *tensors)
    l.backward()
    losses = [l.item() for l in losses]
    assert losses == pytest.approx([mlm_l, nsp_l], rel=0.005)
    assert losses[0] != pytest.approx(mlm_l, rel=1e-7)  # it was rounded
    for name, parameter in bert.net.named_parameters():
        assert parameter.grad.dtype == torch.float32
        error = np.linalg.norm(parameter.grad.numpy() - clear[name])
        # The gradient of keys' biases is 0, but for rounding
        slack = 2e-3 if name.endswith("W_k.bias") else 1e-3
        assert error <= 0.05 * np.linalg.norm(clear[name]) + slack, (
            name, error)
    log = bert.train([tensors], V, 5, lr=1e-2, precision="bfloat16")
    assert log.mlm[-1] < 0.9 * log.mlm[0]
    assert "on ['cpu'] in bfloat16" in capsys.readouterr().out.replace(
        "[device(type='cpu')]", "['cpu']")


@needs_torch
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.99, 1.0])
def test_cheap_dropout_keeps_the_mean_and_the_gradient(rate):
    Dropout = import_module("d2lbert.torch.fast").Dropout
    torch.manual_seed(0)
    layer, X = Dropout(rate), torch.ones(301, 1000, requires_grad=True)
    Y = layer(X)
    Y.sum().backward()
    dropped = min(round(256 * rate), 255) / 256
    assert float((Y == 0).float().mean()) == pytest.approx(dropped, abs=0.005)
    assert Y.mean().item() == pytest.approx(1, rel=0.1 if rate > 0.9 else 0.01)
    assert torch.equal(X.grad, Y)  # of ones: what is kept is scaled
    rows = (Y == 0).float()  # neighbours and rows do not follow each other
    assert abs(float(torch.corrcoef(torch.stack(
        [rows[:, :-1].flatten(), rows[:, 1:].flatten()]))[0, 1])) < 0.01
    assert torch.equal(layer.eval()(X), X)
    assert torch.equal(Dropout(0.0)(X), X)
