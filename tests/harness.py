"""What the tests ask of each backend, in NumPy arrays and d2l's names."""

from importlib import import_module

import numpy as np
import pytest

from d2lbert.backends import BACKENDS, load_backend
from d2lbert.data.pretraining import RESERVED_TOKENS
from d2lbert.data.vocab import Vocab
from d2lbert.run.models import make_bert, make_classifier

SIZES = dict(num_hiddens=16, ffn_num_hiddens=24, num_heads=2, num_blks=2,
             dropout=0.0, max_len=32)
V = 53


def installed(backend):
    try:
        load_backend(backend)
    except ImportError:
        return False
    return True


def each_backend():
    """Parametrise a test by backend, skipping those not installed."""
    return pytest.mark.parametrize("backend", [
        pytest.param(b, marks=pytest.mark.skipif(
            not installed(b), reason=f"{b} is not installed"))
        for b in BACKENDS])


def small_bert(backend, seed=0, noise=0.3, **sizes):
    """A small model whose weights are large enough to matter."""
    return noisy(make_bert(backend, V, seed, **{**SIZES, **sizes}), seed,
                 noise)


def noisy(bert, seed, noise):
    """The same model with noise on all its weights."""
    rng = np.random.default_rng(seed)
    bert.import_params({
        name: (a + rng.normal(0, noise, a.shape)).astype(np.float32)
        for name, a in sorted(bert.export_params().items())})
    return bert


def make_batch(seed=0, B=6, L=13, P=4):
    """A random batch, ragged and with unused slots, as the loaders make."""
    rng = np.random.default_rng(seed)
    valid_lens = rng.integers(P + 2, L, B).astype(np.int32)
    slots = rng.integers(1, P + 1, B)[:, None]
    used = np.arange(P) < slots
    positions = np.where(used, np.stack(
        [rng.permutation(n - 1)[:P] + 1 for n in valid_lens]), 0)
    return (rng.integers(0, V, (B, L)).astype(np.int32),
            rng.integers(0, 2, (B, L)).astype(np.int32), valid_lens,
            positions.astype(np.int32), used.astype(np.float32),
            np.where(used, rng.integers(0, V, (B, P)), 0).astype(np.int32),
            rng.integers(0, 2, B).astype(np.int32))


def forward(bert, batch):
    """encoded_X, mlm_Y_hat, nsp_Y_hat in evaluation mode."""
    inputs = bert.d2l.to_tensors(batch)[:4]
    if bert.d2l.__name__.endswith("torch"):
        bert.net.eval()
    outputs = (bert.net(*inputs) if bert.params is None
               else bert.net.apply(bert.params, *inputs))
    return [to_numpy(x) for x in outputs]


def to_numpy(x):
    if hasattr(x, "asnumpy"):
        return x.asnumpy()
    return np.asarray(x.detach() if hasattr(x, "detach") else x)


def activations(bert, batch):
    """Output of each attention and each block, in order, (B, L, H)."""
    inputs = bert.d2l.to_tensors(batch)[:3]
    if bert.params is not None:
        _, state = bert.net.apply(bert.params, *inputs, mutable=[
            "intermediates"], capture_intermediates=True)
        blks = state["intermediates"]["encoder"]
        return [np.asarray(part["__call__"][0])
                for i in range(SIZES["num_blks"])
                for part in (blks[f"blks_{i}"]["attention"],
                             blks[f"blks_{i}"])]
    seen = []

    def keep(module, args, output):
        seen.append(to_numpy(output))

    hooks = [part.register_forward_hook(keep)
             for blk in bert.net.encoder.blks for part in (blk.attention, blk)]
    forward(bert, batch)
    for hook in hooks:
        hook.remove() if hasattr(hook, "remove") else hook.detach()
    return seen


def losses_and_grads(bert, batch):
    """mlm_l, nsp_l and {name: gradient of their sum}, by the clear path."""
    return {"torch": _torch, "mxnet": _mxnet, "jax": _jax}[
        bert.d2l.__name__.rpartition(".")[2]](bert, bert.d2l.to_tensors(batch))


def _torch(bert, batch):
    bert.net.zero_grad()
    mlm_l, nsp_l, l = bert.d2l._get_batch_loss_bert(
        bert.net, bert.d2l.cross_entropy(), V, *batch)
    l.backward()
    return mlm_l.item(), nsp_l.item(), {
        name: p.grad.numpy().copy()
        for name, p in bert.net.named_parameters()}


def _mxnet(bert, batch):
    from mxnet import autograd

    from d2lbert.mxnet.checkpoint import named_parameters
    with autograd.record():
        mlm_ls, nsp_ls, ls = bert.d2l._get_batch_loss_bert(
            bert.net, bert.d2l.cross_entropy(), V, *([x] for x in batch))
    ls[0].backward()
    return float(mlm_ls[0]), float(nsp_ls[0]), {
        name: p.grad().asnumpy()
        for name, p in named_parameters(bert.net).items()}


def _jax(bert, batch):
    import jax

    def loss(params):
        mlm_l, nsp_l, l = bert.d2l._get_batch_loss_bert(
            bert.net, params, None, bert.d2l.cross_entropy(), V, *batch)
        return l, (mlm_l, nsp_l)

    (_, (mlm_l, nsp_l)), grads = jax.value_and_grad(
        loss, has_aux=True)(bert.params)
    return float(mlm_l), float(nsp_l), bert.d2l.export_params(grads)


def small_classifier(backend, seed=0, noise=0.3, **sizes):
    """A small `Classifier` whose weights are large enough to matter."""
    return noisy(make_classifier(backend, V, seed, **{**SIZES, **sizes}),
                 seed, noise)


def attend(backend, name, Q, K, V, valid_lens):
    """Attention in a backend, by the function of that name.

    Args:
        name: 'dot_product_attention' or 'fused_attention'.
        Q, K, V: (B, num_heads, L, d); valid_lens: (B,).

    Returns:
        The vectors, of the shape of Q, and the gradients of the sum of their
        squares with respect to Q, K and V.
    """
    room = "model" if name == "dot_product_attention" else "fast"
    module = import_module(f"d2lbert.{backend}.{room}")
    visible = (np.arange(Q.shape[2]) < valid_lens[:, None])[:, None, None]
    return {"torch": _attend_torch, "mxnet": _attend_mxnet,
            "jax": _attend_jax}[backend](
                getattr(module, name), (Q, K, V), visible)


def _attend_torch(function, arrays, visible):
    import torch
    tensors = [torch.tensor(x, requires_grad=True) for x in arrays]
    out, _ = function(*tensors, torch.tensor(visible), torch.nn.Dropout(0.0))
    (out ** 2).sum().backward()
    return out.detach().numpy(), [x.grad.numpy() for x in tensors]


def _attend_mxnet(function, arrays, visible):
    import mxnet as mx
    B, num_heads, L, d = arrays[0].shape
    tensors = [mx.np.array(x.reshape(-1, L, d)) for x in arrays]
    mask = np.repeat(visible[:, 0], num_heads, axis=0).astype(np.float32)
    is_fused = function.__name__ == "fused_attention"
    mask = mx.np.array(mask.sum((1, 2)) if is_fused else mask)
    for x in tensors:
        x.attach_grad()
    with mx.autograd.record():
        out = function(mx, *tensors, mask, d ** 0.5, lambda weights: weights)
        out = out if is_fused else out[0]
        loss = (out ** 2).sum()
    loss.backward()
    out, *grads = (x.asnumpy().reshape(B, num_heads, L, d)
                   for x in (out, *(x.grad for x in tensors)))
    return out, grads


def _attend_jax(function, arrays, visible):
    import jax
    tensors = [jax.numpy.array(x.swapaxes(1, 2)) for x in arrays]

    def loss(*tensors):
        out, _ = function(*tensors, visible, lambda weights: weights)
        return (out ** 2).sum(), out

    grads, out = jax.grad(loss, argnums=(0, 1, 2), has_aux=True)(*tensors)
    out, *grads = (np.asarray(x).swapaxes(1, 2) for x in (out, *grads))
    return out, grads


def attention_weights(bert, batch):
    """The weights (B, num_heads, L, L) that the first block's attention keeps.
    """
    inputs = bert.d2l.to_tensors(batch)[:3]
    if bert.params is not None:
        _, state = bert.net.apply(
            bert.params, *inputs, mutable=["intermediates"])
        blks = state["intermediates"]["encoder"]
        return np.asarray(blks["blks_0"]["attention"]["attention_weights"][0])
    attention = bert.net.encoder.blks[0].attention
    attention.keep_weights = True
    bert.net(*inputs)
    weights = to_numpy(attention.attention_weights)
    attention.keep_weights = False
    bert.net(*inputs)
    assert attention.attention_weights is None  # not those of another call
    return weights


SNLI_HEAD = "gold_label\tsentence1_binary_parse\tsentence2_binary_parse\tmore"


def write_snli(folder, *lines, split="train", head=SNLI_HEAD):
    """Write a file in SNLI's format into a folder, which is returned."""
    path = folder / f"snli_1.0_{split}.txt"
    path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    return folder


PAIR_WORDS = [f"w{i}" for i in range(30)]
VOCAB = Vocab([PAIR_WORDS], reserved_tokens=RESERVED_TOKENS)


def random_pairs(num=300, longest=20, seed=0):
    """Premises, hypotheses and labels, as `read_snli` gives them."""
    rng = np.random.default_rng(seed)

    def sentences():
        return [" ".join(rng.choice(PAIR_WORDS, rng.integers(1, longest)))
                for _ in range(num)]

    return sentences(), sentences(), list(rng.integers(0, 3, num))


def save(bert, path):
    """Write the weights by the backend's own function."""
    bert.d2l.save_checkpoint(bert.holder, path)


def load(bert, path):
    """Read weights by the backend's own function."""
    params = bert.d2l.load_checkpoint(bert.net, path)
    if bert.params is not None:
        bert.params = params
