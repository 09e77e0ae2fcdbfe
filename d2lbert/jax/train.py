"""Pretraining BERT in JAX and looking at what it learned (d2l 15.10)."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from d2lbert.checks import check_rate
from d2lbert.data.batches import take
from d2lbert.data.pretraining import pad_inputs
from d2lbert.inputs import encoder_inputs, prediction_slots, pretraining_batch
from d2lbert.jax.data import to_numpy
from d2lbert.jax.fast import (
    fused_batch_loss,
    is_plain_cross_entropy,
    precision_for,
    products_in,
)
from d2lbert.jax.inputs import check
from d2lbert.jax.model import BERTModel, dropout_rngs, init_params
from d2lbert.jax.parallel import (
    VOCAB,
    Gradients,
    local,
    mesh_of,
    place_batch,
    place_params,
    place_state,
)
from d2lbert.jax.resume import put_state, state_arrays
from d2lbert.shown import is_edited
from d2lbert.training.logs import TrainingLog, means_of
from d2lbert.training.schedules import rates
from d2lbert.training.workers import Workers, agreed, check_parts


def try_gpu(i=0):
    """The i-th accelerator, or the CPU where there is none."""
    devices = try_all_gpus()
    return devices[i] if i < len(devices) else jax.devices("cpu")[0]


def try_all_gpus():
    """All accelerators (GPU, TPU); [cpu] where there is none.

    Where XLA was told to act as several CPU devices, these are given.
    """
    return jax.devices()


def cross_entropy():
    """The loss of both pretraining tasks."""
    return optax.softmax_cross_entropy_with_integer_labels


def adam(net, lr):
    """Adam (Kingma and Ba, 2015); Optax needs the rate alone, not the net."""
    check_rate(lr)
    return Rated(_ADAM, lr)


class Rated(NamedTuple):
    """An Optax optimiser: one of rate 1, and the rate.

    A step that gets the two apart is compiled once for all rates.
    """
    unit: optax.GradientTransformation
    rate: float

    def init(self, params):
        return self.unit.init(params)

    def update(self, grads, state, params=None):
        updates, state = self.unit.update(grads, state, params)
        return jax.tree.map(lambda u: self.rate * u, updates), state


_ADAM = optax.adam(1.0)  # one, since a step is compiled for each object


def _get_batch_loss_bert(net, params, rng, loss, vocab_size, tokens_X,
                         segments_X, valid_lens_x, pred_positions_X,
                         mlm_weights_X, mlm_Y, nsp_y):
    """Losses of a batch: masked LM, next sentence, and their sum.

    The masked-LM loss is the mean over the slots of weight 1; slots that
    only pad the batch get no gradient.

    Args:
        rng: key for dropout, or None for evaluation mode.
        loss: (logits, labels) -> one value a prediction.

    Raises:
        ValueError: for what `d2lbert.inputs.pretraining_batch` refuses,
            except inside `jax.jit`, where no values are known.
    """
    check(pretraining_batch, tokens_X, segments_X, valid_lens_x,
          pred_positions_X, mlm_weights_X, mlm_Y, nsp_y,
          vocab_size=vocab_size)
    _, mlm_Y_hat, nsp_Y_hat = net.apply(
        params, tokens_X, segments_X, valid_lens_x.reshape(-1),
        pred_positions_X, training=rng is not None, rngs=dropout_rngs(rng))
    per_slot = loss(mlm_Y_hat.reshape(-1, vocab_size), mlm_Y.reshape(-1))
    weights = mlm_weights_X.reshape(-1)
    check_unreduced(per_slot, weights)
    mlm_l = (per_slot * weights).sum() / jnp.maximum(weights.sum(), 1e-8)
    nsp_l = loss(nsp_Y_hat, nsp_y).mean()
    return mlm_l, nsp_l, mlm_l + nsp_l


def check_unreduced(per_slot, weights):
    """Raise ValueError for a loss that is already a mean or a sum."""
    if per_slot.shape != weights.shape:
        raise ValueError(
            f"the loss of {weights.size} predictions has shape "
            f"{per_slot.shape}, not one value each: use one such as optax."
            "softmax_cross_entropy_with_integer_labels")


@partial(jax.jit, static_argnums=(0, 1, 2), donate_argnums=(3, 4))
def train_step(gradients, trainer, clip, params, state, key, rate, batch):
    """One step on a batch; compiled once for each shape.

    Args:
        gradients: a `Gradients`.
        trainer: an optimiser of rate 1; rate: what scales its steps.
        clip: largest norm of the gradient, or None.
    """
    grads, losses = gradients(params, key, batch)
    grads = clip_gradients(grads, clip)
    updates, state = trainer.update(grads, state, params)
    params = jax.tree.map(lambda p, u: p + rate * u, params, updates)
    return params, state, *losses


def clip_gradients(grads, max_norm):
    """Scale all gradients so that their common norm is max_norm at most."""
    if max_norm is None:
        return grads
    norm = sum((g ** 2).sum() for g in jax.tree.leaves(grads)) ** 0.5
    scale = max_norm / (jnp.maximum(norm, max_norm) + 1e-6)
    return jax.tree.map(lambda g: scale * g, grads)


def fastest_loss(net, loss, mesh):
    """`fused_batch_loss` where model and loss are d2l's.

    It computes the same as `_get_batch_loss_bert`, which all others get, a
    vocabulary that is divided, and who has edited that in a notebook.
    """
    is_fused = (type(net) is BERTModel and is_plain_cross_entropy(loss)
                and VOCAB not in mesh.axis_names
                and not is_edited(__name__, "_get_batch_loss_bert"))
    return fused_batch_loss if is_fused else _get_batch_loss_bert


def train_bert(train_iter, net, loss, vocab_size, devices, num_steps,
               lr=3e-3, warmup=0.1, params=None, seed=0, batch_loss=None,
               precision=None, resume=None, save_every=None, accumulate=1,
               clip=None, workers=None):
    """Pretrain net for num_steps batches, with Adam and warm-up.

    Args:
        train_iter: iterable of the 7-tuples of `load_data_wiki`.
        loss: a cross-entropy with one value a prediction, such as
            optax.softmax_cross_entropy_with_integer_labels.
        devices: list of devices; several share each batch. Or a mesh of
            `vocab_mesh`, which divides the vocabulary as well.
        lr: peak learning rate; warmup: share of the steps that lead to it.
        params: weights to start from, left as they are; None for new ones.
        seed: fixes the new weights and the dropout.
        batch_loss: `_get_batch_loss_bert` or an edit of it; by default what
            is fastest for the same losses.
        precision: of products, "float32" or "bfloat16"; None measures which
            is faster, where the matrices are large.
        resume: a folder of checkpoints, to go on after a kill with the same
            numbers, and every save_every steps to write another; see
            `d2lbert.training.steps.StepLog.resume`.
        accumulate: so many parts of a batch are computed one after another,
            for less memory; clip: largest norm of a gradient, or None.
        workers: of `join_workers`, which share each batch of train_iter.

    Returns:
        The trained params, and the `TrainingLog` with the losses of every
            step; its last ones and the sentence pairs a second are printed.

    Raises:
        ValueError: for what `d2lbert.inputs.pretraining_batch` and `rates`
            refuse, a batch that cannot be divided among the devices,
            checkpoints of another recipe, or a precision that there is not.
    """
    workers, steps = workers or Workers(), rates(num_steps, lr, warmup)
    check_parts(accumulate, clip)
    mesh = mesh_of(devices)
    init_key, key = jax.random.split(jax.random.key(seed))
    if params is None:
        params = init_params(net, init_key)
    precision = agreed(precision_for(
        params, precision, mesh.local_devices[0]), workers)
    # A step reuses the memory of its arguments, so it gets copies
    params = place_params(params, mesh, workers)
    trainer, log = adam(net, 1.0), TrainingLog(num_steps, precision, workers)
    state = place_state(trainer, params, mesh)
    gradients = Gradients(net, batch_loss or fastest_loss(net, loss, mesh),
                          loss, vocab_size, mesh, accumulate)
    params, state, _ = put_state(log.resume(
        resume, lambda: state_arrays(params, state), train_iter, save_every,
        lr=lr, warmup=warmup, seed=seed, clip=clip), params, state)
    batches = log.watch(
        take(train_iter, num_steps, log.step, workers.part, is_even=True),
        lambda: copy_weights(params))
    for batch, rate in zip(batches, steps[log.step:]):
        check(pretraining_batch, *batch, vocab_size=vocab_size,
              max_len=getattr(net, "max_len", None))
        with products_in(precision):
            params, state, mlm_l, nsp_l = train_step(
                gradients, trainer, clip, params, state,
                jax.random.fold_in(key, log.step), np.float32(rate),
                place_batch(batch, mesh, workers))
        log.add(mlm_l, nsp_l, rate=rate)
    if log.diverged:
        params = log.weights
    log.report(devices)
    return local(params, workers), log


def copy_weights(params):
    """The weights as they are now, in memory of their own."""
    return jax.tree.map(jnp.array, params)


def evaluate_bert(net, params, data_iter):
    """Masked-LM loss, next-sentence loss and accuracy over one epoch.

    Each is a mean over all prediction slots or all pairs, not over batches.

    Returns:
        Three floats: nats a word, nats a pair, a share.
    """
    sums = 0
    for batch in take(data_iter, len(data_iter)):
        check(pretraining_batch, *batch, vocab_size=net.vocab_size,
              max_len=net.max_len)
        sums = sums + np.array(
            _evaluate_batch(net, params, batch), np.float64)
    return means_of(sums)


@partial(jax.jit, static_argnums=0)
def _evaluate_batch(net, params, batch):
    """The five sums of a batch that `evaluate_bert` needs."""
    loss = cross_entropy()
    *X, weights, mlm_Y, nsp_y = batch
    _, mlm_Y_hat, nsp_Y_hat = net.apply(params, *X)
    mlm_l = (loss(mlm_Y_hat, mlm_Y) * weights).sum()
    nsp_l = loss(nsp_Y_hat, nsp_y).sum()
    right = (nsp_Y_hat.argmax(1) == nsp_y).sum()
    return mlm_l, weights.sum(), nsp_l, right, len(nsp_y)


def encode(net, params, pairs, vocab):
    """Encode sentences or pairs of sentences, in evaluation mode.

    Args:
        pairs: list of (tokens_a, tokens_b), tokens_b None for one sentence.

    Returns:
        (len(pairs), L, H) array; rows are padded to the longest.
    """
    tokens, segments, valid_lens = pad_inputs(pairs, vocab)
    check(encoder_inputs, tokens, segments, valid_lens,
          vocab_size=net.vocab_size, max_len=net.max_len)
    L = tokens.shape[1]
    # Few lengths mean few compilations; attention does not see the padding
    padding = (0, 0), (0, min(-L % 8, net.max_len - L))
    encoded_X = _encode_batch(net, params, np.pad(tokens, padding),
                             np.pad(segments, padding), valid_lens)
    return to_numpy(encoded_X)[:, :L]


@partial(jax.jit, static_argnums=0)
def _encode_batch(net, params, tokens, segments, valid_lens):
    """(B, L) twice, (B,) -> (B, L, H)."""
    return net.apply(params, tokens, segments, valid_lens)[0]


def word_logits(net, params, batch):
    """Logits of the words at a batch's prediction slots, in evaluation mode.

    Args:
        batch: as a loader gives it; its first four arrays are needed.

    Returns:
        (B, P, V) array.

    Raises:
        ValueError: for what `d2lbert.inputs.encoder_inputs` and
            `prediction_slots` refuse.
    """
    tokens, segments, valid_lens, positions = batch[:4]
    check(encoder_inputs, tokens, segments, valid_lens,
          vocab_size=net.vocab_size, max_len=net.max_len)
    check(prediction_slots, positions, shape=tokens.shape)
    return to_numpy(_predict_batch(net, params, *batch[:4]))


@partial(jax.jit, static_argnums=0)
def _predict_batch(net, params, tokens, segments, valid_lens, positions):
    """(B, L) twice, (B,), (B, P) -> (B, P, V)."""
    return net.apply(params, tokens, segments, valid_lens, positions)[1]


def get_bert_encoding(net, params, tokens_a, tokens_b=None, *, vocab):
    """Encode one sentence or one pair, in evaluation mode (d2l 15.10.2).

    Returns:
        (1, L, H): a vector for `<cls>`, each token and each `<sep>`.
    """
    return jnp.array(encode(net, params, [(tokens_a, tokens_b)], vocab))
