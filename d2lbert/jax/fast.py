"""What training calls: the same attention and the same loss, faster.

`fused_attention` is `dot_product_attention` by JAX itself, which takes a
single kernel where the device has one.

`fused_batch_loss` is the loss without the work that it does not need. The
last block computes the vectors of `<cls>` and of the prediction slots alone.
And the (slots, V) arrays of the masked LM, with a real vocabulary most of the
time of pretraining, are never there as a whole: the slots of weight 1, and
only they, are projected onto the vocabulary, a few hundred at a time, and the
gradient is taken at once, while the logits are at hand. The results are those
of `_get_batch_loss_bert`, as tests check.
"""

from contextlib import nullcontext

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from jax.tree_util import tree_leaves_with_path

from d2lbert.inputs import check_vocab_size
from d2lbert.training.precision import ROWS, choose_precision, single_precision

CHUNK = 512  # slots projected at a time


def fused_attention(Q, K, V, mask, dropout):
    """`dot_product_attention` without dropout; gives None for the weights."""
    return jax.nn.dot_product_attention(Q, K, V, mask=mask), None


@jax.custom_vjp
def _projected_cross_entropy(X, W, b, y, w):
    """sum_n w_n · cross-entropy(X_n W + b, y_n), chunk by chunk.

    X (N, H), W (H, V), b (V,), y (N,), w (N,) -> a scalar. N is a multiple
    of CHUNK, slots of weight 0 come last, and chunks that hold no others are
    passed over. Gradients flow to X, W and b.
    """
    return _loss_and_grads(X, W, b, y, w)[0]


def _loss_and_grads(X, W, b, y, w):
    chunks = [a.reshape(-1, CHUNK, *a.shape[1:]) for a in (X, y, w)]
    used = (chunks[2] > 0).any(1).sum()

    def add_chunk(i, sums):
        total, dX, dW, db = sums
        X, y, w = (a[i] for a in chunks)
        index, weight = y[:, None], w[:, None]
        logits = X @ W + b
        right = jnp.take_along_axis(logits, index, 1)
        top = logits.max(1, keepdims=True)
        exps = jnp.exp(logits - top)
        norm = exps.sum(1, keepdims=True)
        total += ((top + jnp.log(norm) - right) * weight).sum()
        grad = exps * (weight / norm) - (index == jnp.arange(len(b))) * weight
        return (total, dX.at[i].set(grad @ W.T), dW + grad.T @ X,
                db + jnp.ones(CHUNK, b.dtype) @ grad)

    zeros = (jnp.zeros((), b.dtype), *map(jnp.zeros_like, (chunks[0], W.T, b)))
    total, dX, dW, db = jax.lax.fori_loop(0, used, add_chunk, zeros)
    return total, (dX.reshape(X.shape), dW.T, db)


def _scaled(grads, grad_output):
    return *(grad_output * g for g in grads), None, None


_projected_cross_entropy.defvjp(_loss_and_grads, _scaled)


def is_plain_cross_entropy(loss):
    """Whether loss is Optax's cross-entropy with integer labels."""
    return loss is optax.softmax_cross_entropy_with_integer_labels


def fused_batch_loss(net, params, rng, loss, vocab_size, tokens_X,
                     segments_X, valid_lens_x, pred_positions_X,
                     mlm_weights_X, mlm_Y, nsp_y):
    """`_get_batch_loss_bert` for our BERTModel and plain cross-entropy."""
    check_vocab_size(vocab_size, net.vocab_size)
    # Slots of weight 1, then, to fill the last chunk, places out of range
    room = -(-mlm_weights_X.size // CHUNK) * CHUNK
    slots = jnp.nonzero(mlm_weights_X, size=room,
                        fill_value=mlm_weights_X.shape)

    def take(a):
        return a.at[slots].get(mode="fill", fill_value=0)

    # <cls> is at position 0
    positions = jnp.pad(pred_positions_X, ((0, 0), (1, 0)))

    def up_to_projection(net):
        encoded_X = net.encoder(
            tokens_X, segments_X, valid_lens_x.reshape(-1), rng is not None,
            positions)
        X = encoded_X[slots[0], slots[1] + 1]
        for layer in net.mlm.mlp.layers[:-1]:
            X = layer(X)
        return X, net.nsp(nn.tanh(net.hidden(encoded_X[:, 0])))

    X, nsp_Y_hat = net.apply(
        params, method=up_to_projection,
        rngs={} if rng is None else {"dropout": rng})
    projection = params["params"]["mlm"]["mlp"]["layers_3"]
    weights = take(mlm_weights_X)
    weights /= jnp.maximum(weights.sum(), 1e-8)
    W, b = projection["kernel"], projection["bias"]
    dtype = jnp.promote_types(W.dtype, jnp.float32)  # in 32 bits or more
    mlm_l = _projected_cross_entropy(
        X.astype(dtype), W.astype(dtype), b.astype(dtype), take(mlm_Y),
        weights.astype(dtype))
    nsp_l = loss(nsp_Y_hat, nsp_y).mean()
    return mlm_l, nsp_l, mlm_l + nsp_l


def precision_for(params, precision, device):
    """"float32" or "bfloat16": what was asked for, or for None the faster.

    Raises:
        ValueError: for another precision, or bfloat16 on a CPU.
    """
    if device.platform == "cpu":
        return single_precision(
            precision, "XLA multiplies in float32 on a CPU")

    def product(inputs, outputs, precision):
        X, W = (jax.device_put(np.ones(shape, np.float32), device)
                for shape in ((ROWS, inputs), (inputs, outputs)))
        multiply = jax.jit(jnp.matmul)

        def run():
            with products_in(precision):
                multiply(X, W).block_until_ready()
        return run

    shapes = [x.shape for path, x in tree_leaves_with_path(params)
              if path[-1].key == "kernel"]  # of linear layers
    return choose_precision(precision, shapes, product, device)


def products_in(precision):
    """Inside, matrices are multiplied in this precision."""
    return (jax.default_matmul_precision("BF16_BF16_F32")
            if precision == "bfloat16" else nullcontext())
