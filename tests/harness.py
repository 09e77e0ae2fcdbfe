"""What the tests ask of each backend, in NumPy arrays and d2l's names."""

import os
from importlib import import_module
from unittest.mock import patch

import numpy as np
import pytest
from inside import inside

from d2lbert.backends import BACKENDS, load_backend
from d2lbert.data.pretraining import RESERVED_TOKENS
from d2lbert.data.vocab import Vocab
from d2lbert.run.models import make_bert, make_classifier

SIZES = dict(num_hiddens=16, ffn_num_hiddens=24, num_heads=2, num_blks=2,
             dropout=0.0, max_len=32)
V = 53
# Who wants tests of one backend only need not import the others
ASKED = os.environ.get("D2LBERT_TEST_BACKENDS", " ".join(BACKENDS)).split()


def installed(backend):
    """Is it there, and asked for?"""
    if backend not in ASKED:
        return False
    try:
        load_backend(backend)
    except ImportError:
        return False
    return True


if installed("jax"):
    import jax
    from jaxlib import xla_client

    # Compiling small models well takes longer than computing them. The
    # notebooks run what is compiled as everywhere.
    jax.config.update("jax_disable_most_optimizations", True)
    if jax.__version_info__[:2] == (0, 10):  # 0.12 ends for such a flag
        with patch.dict(os.environ, XLA_FLAGS=" ".join([
                os.environ.get("XLA_FLAGS", ""),
                "--xla_cpu_use_fusion_emitters=false",
                "--xla_cpu_parallel_codegen_split_count=1"])):
            xla_client.CompileOptions()  # reads them, once in a process


def only(backend):
    """A context in which processes that are started import no other one."""
    return patch.dict(os.environ, D2LBERT_TEST_BACKENDS=backend)


def each_backend(without=""):
    """Parametrise a test by backend, skipping those not installed."""
    return pytest.mark.parametrize("backend", [
        pytest.param(b, marks=pytest.mark.skipif(
            not installed(b), reason=f"{b} is not installed or asked for"))
        for b in BACKENDS if b != without])


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


def look(bert):
    """What looks inside a model's backend."""
    return inside(bert.d2l.__name__.rpartition(".")[2])


def forward(bert, batch):
    """encoded_X, mlm_Y_hat, nsp_Y_hat in evaluation mode."""
    outputs = look(bert).run(bert, *bert.d2l.to_tensors(batch)[:4])
    return [to_numpy(x) for x in outputs]


def to_numpy(x):
    if hasattr(x, "asnumpy"):
        return x.asnumpy()
    return np.asarray(x.detach() if hasattr(x, "detach") else x)


def activations(bert, batch):
    """Output of each attention and each block, in order, (B, L, H)."""
    inputs = bert.d2l.to_tensors(batch)[:3]
    return [to_numpy(x) for x in look(bert).activations(bert, *inputs)]


def attention_weights(bert, batch):
    """The weights (B, num_heads, L, L) that the first block's attention keeps.
    """
    inputs = bert.d2l.to_tensors(batch)[:3]
    return to_numpy(look(bert).attention_weights(bert, *inputs))


def losses_and_grads(bert, batch):
    """mlm_l, nsp_l and {name: gradient of their sum}, by the clear path."""
    return look(bert).losses_and_grads(bert, bert.d2l.to_tensors(batch), V)


def first_block(bert, X, *valid_lens):
    """The first block's output for (B, L, H), with valid lengths (B,) or not.
    """
    tensors = bert.d2l.to_tensors((X, *valid_lens))
    return to_numpy(look(bert).run_block(bert, *tensors))


def logits(bert, X):
    """What a classifier gives for (tokens, segments, valid_lens), (B, C)."""
    return to_numpy(look(bert).run_classifier(bert, *bert.d2l.to_tensors(X)))


def fresh_params(backend):
    """A small model's weights as the backend itself initialises them."""
    d2l = load_backend(backend)
    inputs = d2l.to_tensors(make_batch())[:4]
    return inside(backend).fresh_params(
        d2l, d2l.BERTModel(V, **SIZES), *inputs)


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
    return inside(backend).attend(getattr(module, name), (Q, K, V), visible)


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
