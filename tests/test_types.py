"""Numbers of other types than float32, and nets that are wrapped.

What the clear path takes, the fast one takes as well, and both agree.
"""

from contextlib import contextmanager

import numpy as np
import pytest
from harness import (
    V,
    installed,
    load,
    losses_and_grads,
    make_batch,
    save,
    small_bert,
    small_classifier,
)

from d2lbert.data.pretraining import RESERVED_TOKENS
from d2lbert.data.vocab import Vocab
from d2lbert.original.config import BertConfig
from d2lbert.run.models import make_original

VOCAB = Vocab([f"w{i}" for i in range(V - 5)], reserved_tokens=RESERVED_TOKENS)
CONFIG = BertConfig(vocab_size=V, hidden_size=16, num_hidden_layers=1,
                    num_attention_heads=2, intermediate_size=16,
                    max_position_embeddings=20)
NAMED = {"input_ids": np.arange(8, dtype=np.int32).reshape(2, 4),
         "labels": np.arange(8, dtype=np.int32).reshape(2, 4)}


def of_torch(how):
    """What makes a PyTorch model another one, in its own context."""
    import torch

    @contextmanager
    def context():
        if how == "default float64":
            torch.set_default_dtype(torch.float64)
        try:
            with torch.autocast("cpu", torch.bfloat16, how == "autocast"):
                yield
        finally:
            torch.set_default_dtype(torch.float32)

    def change(bert):
        if how in ("double", "bfloat16"):
            getattr(bert.net, how)()
        elif how == "compiled":
            bert.net = torch.compile(bert.net, backend="eager")
        elif how == "DataParallel":
            bert.net = torch.nn.DataParallel(bert.net)
        return bert

    return context, change


def of_jax(how):
    """The same for JAX."""
    import jax
    import jax.numpy as jnp

    @contextmanager
    def context():
        jax.config.update("jax_enable_x64", how.startswith("x64"))
        try:
            yield
        finally:
            jax.config.update("jax_enable_x64", False)

    def change(bert):
        dtype = {"bfloat16": jnp.bfloat16, "x64": jnp.float32,
                 "x64, double": jnp.float64}[how]
        bert.params = jax.tree.map(lambda x: x.astype(dtype), bert.params)
        return bert

    return context, change


def of_mxnet(how):
    """The same for MXNet."""
    def change(bert):
        bert.net.cast("float64")
        return bert

    @contextmanager
    def context():
        yield

    return context, change


KINDS = [(backend, of, how) for backend, of, hows in (
    ("torch", of_torch, ["double", "bfloat16", "autocast", "default float64",
                         "compiled", "DataParallel"]),
    ("jax", of_jax, ["bfloat16", "x64", "x64, double"]),
    ("mxnet", of_mxnet, ["double"])) for how in hows]


@pytest.fixture(params=[pytest.param(
    kind, id=f"{kind[0]}, {kind[2]}", marks=pytest.mark.skipif(
        not installed(kind[0]), reason=f"{kind[0]} is not installed"))
    for kind in KINDS])
def kind(request):
    """A backend's name, what changes a model, and how close it then is."""
    backend, of, how = request.param
    context, change = of(how)
    with context():
        yield backend, change, (
            0.02 if how in ("bfloat16", "autocast") else 1e-5)


def test_training_encoding_and_evaluation(kind):
    backend, change, close = kind
    batch = make_batch()
    clear = losses_and_grads(small_bert(backend), batch)[:2]
    bert = change(small_bert(backend))
    assert losses_and_grads(bert, batch)[:2] == pytest.approx(
        clear, rel=close)
    data = [bert.d2l.to_tensors(batch)]
    assert bert.evaluate(data)[:2] == pytest.approx(clear, rel=close)
    log = bert.train(data, V, 2, lr=1e-2)  # the fast path, where it fits
    assert (log.mlm[0], log.nsp[0]) == pytest.approx(clear, rel=close)
    assert log.mlm[1] < log.mlm[0]
    encoded = bert.encode([(["w1"], ["w2"])], VOCAB)
    assert encoded.dtype in (np.float32, np.float64)
    assert np.isfinite(encoded).all()


def test_a_batch_without_a_slot_that_counts(kind):
    backend, change, _ = kind
    batch = list(make_batch())
    batch[4] = np.zeros_like(batch[4])
    bert = change(small_bert(backend))
    log = bert.train([bert.d2l.to_tensors(tuple(batch))], V, 2)
    assert log.mlm == [0, 0] and log.nsp[0] > 0 and not log.diverged


def test_weights_are_saved_under_plain_names(kind, tmp_path):
    backend, change, close = kind
    bert, other = change(small_bert(backend)), small_bert(backend, seed=1)
    want = small_bert(backend).export_params()
    save(bert, tmp_path / "weights")
    load(other, tmp_path / "weights")
    got = other.export_params()
    for name, array in want.items():
        np.testing.assert_allclose(got[name], array, atol=close)
    bert.import_params(want)
    assert bert.export_params().keys() == want.keys()


def test_the_original_bert(kind, tmp_path):
    backend, change, close = kind
    want = make_original(backend, "BertForPreTraining", CONFIG).infer(NAMED)
    bert = change(make_original(backend, "BertForPreTraining", CONFIG))
    outputs = bert.infer(NAMED)
    assert float(outputs.loss) == pytest.approx(float(want.loss), rel=close)
    assert outputs.prediction_logits.dtype in (np.float32, np.float64)
    assert bert.fit([NAMED], 2, 1e-2).loss[0] == pytest.approx(
        float(want.loss), rel=0.02)  # dropout is on
    if hasattr(bert.net, "save_pretrained"):  # else: of what is wrapped
        bert.save_pretrained(tmp_path)
        assert (tmp_path / "model.safetensors").stat().st_size > 1000


def test_fine_tuning(kind):
    backend, change, _ = kind
    net, batch = change(small_classifier(backend)), make_batch()
    data = [(net.d2l.to_tensors(batch[:3]),
             net.d2l.to_tensors((batch[6],))[0])]
    log = net.fine_tune(data, data, data, 3, 1e-2)
    assert log.loss[-1] < log.loss[0]
    probs = net.classify([("w1 w2", "w3")], VOCAB)
    assert probs.shape == (1, 3) and probs.sum() == pytest.approx(1, rel=0.01)
