"""Training the original BERT in JAX, for any task.

The model computes its own loss, so that one loop pretrains and fine-tunes.
Batches are dicts of arrays or tensors, by the names of the model's inputs.
"""

import functools
from functools import partial

import jax
import numpy as np
import optax

from d2lbert.checks import check_rate
from d2lbert.data.batches import take
from d2lbert.inputs import check_names, named_inputs
from d2lbert.jax.data import to_numpy
from d2lbert.jax.fast import precision_for, products_in
from d2lbert.jax.inputs import check
from d2lbert.jax.model import init_params
from d2lbert.jax.resume import put_state, state_arrays
from d2lbert.jax.train import clip_gradients, copy_weights, try_gpu
from d2lbert.original.outputs import classes
from d2lbert.training.logs import LossLog, gather
from d2lbert.training.schedules import rates

CLIP = 1.0  # the largest norm of a gradient (Google's BERT code)


def adamw(net, lr, weight_decay=0.01):
    """AdamW; biases and layer norms do not decay (Google's BERT code).

    Optax needs the rates alone, not the net.
    """
    check_rate(lr)
    return _adamw(lr, weight_decay)


@functools.cache  # another object would have a step compiled again
def _adamw(lr, weight_decay):
    return optax.adamw(
        lr, eps=1e-6, weight_decay=weight_decay,
        mask=lambda params: jax.tree.map(lambda p: p.ndim > 1, params))


@partial(jax.jit, static_argnums=(0, 1), donate_argnums=(2, 3))
def fit_step(net, trainer, params, state, key, rate, batch):
    """One step on a batch; compiled once for each batch shape.

    Args:
        trainer: an optimiser of rate 1; rate: what scales its steps.
    """
    def loss(params):
        return net.apply(params, **batch, training=True,
                         rngs={"dropout": key}).loss

    loss, grads = jax.value_and_grad(loss)(params)
    updates, state = trainer.update(clip_gradients(grads, CLIP), state, params)
    params = jax.tree.map(lambda p, u: p + rate * u, params, updates)
    return params, state, loss


def fit(net, batches, num_steps, lr, warmup=0.1, device=None, params=None,
        seed=0, precision=None, resume=None, save_every=None):
    """Train net on its own loss: AdamW, warm-up, linear decay.

    Args:
        batches: iterable of dicts with labels; epoch after epoch.
        lr: peak learning rate; warmup: share of the steps that lead to it.
        device: None for the first accelerator, or the CPU.
        params: weights to start from, left as they are; None for new ones.
        seed: fixes the new weights and the dropout.
        precision: as in `train_bert`.
        resume: a folder of checkpoints, to go on after a kill with the same
            numbers, and every save_every steps to write another; see
            `d2lbert.training.steps.StepLog.resume`.

    Returns:
        The trained params, and the `LossLog`, whose report it prints.

    Raises:
        ValueError: for what `d2lbert.inputs.named_inputs` and `rates` refuse.
    """
    steps = rates(num_steps, lr, warmup)
    device = device or try_gpu()
    init_key, key = jax.random.split(jax.random.key(seed))
    if params is None:
        params = init_params(net, init_key)
    # A step reuses the memory of its arguments, so it gets copies
    params = jax.device_put(copy_weights(params), device)
    precision = precision_for(params, precision, device)
    trainer, log = adamw(net, 1.0), LossLog(num_steps, precision=precision)
    state = jax.device_put(trainer.init(params), device)
    params, state, _ = put_state(log.resume(
        resume, lambda: state_arrays(params, state), batches, save_every,
        lr=lr, warmup=warmup, seed=seed), params, state)
    batches = log.watch(take(batches, num_steps, log.step),
                        lambda: copy_weights(params))
    for batch, rate in zip(batches, steps[log.step:]):
        check_batch(net, batch)
        with products_in(precision):
            params, state, loss = fit_step(
                net, trainer, params, state, jax.random.fold_in(key, log.step),
                np.float32(rate), jax.device_put(batch, device))
        log.add(loss, rate=rate)
    if log.diverged:
        params = log.weights
    log.report(device)
    return params, log


def check_batch(net, batch, has_labels=True):
    """Raise ValueError for what `d2lbert.inputs.named_inputs` refuses.

    Args:
        has_labels: whether there have to be labels.
    """
    check_names(batch, has_labels)
    check(named_inputs, *batch.values(), names=tuple(batch),
          config=net.config, architecture=type(net).__name__)


def infer(net, params, batch, **options):
    """What net computes for a batch, in evaluation mode.

    Args:
        batch: a dict of NumPy arrays, such as a tokenizer gives, or of
            tensors.
        options: `output_attentions=True`, `output_hidden_states=True`.

    Returns:
        The net's outputs, as NumPy arrays.
    """
    check_batch(net, batch, has_labels=False)
    return jax.tree.map(to_numpy, forward(net, params, batch, **options))


@partial(jax.jit, static_argnums=0, static_argnames=(
    "output_attentions", "output_hidden_states"))
def forward(net, params, batch, **options):
    """The outputs, compiled once for each batch shape."""
    return net.apply(params, **batch, **options)


def predict_classes(net, params, batches):
    """Predicted and true classes, in evaluation mode.

    Returns:
        Two (N,) arrays, without the labels -100; (N, C), 0 and 1, where
        several labels may hold.

    Raises:
        ValueError: for a regression, which has no classes, or a batch
            without labels.
    """
    problem = net.config.problem

    def answers(batch):
        check_batch(net, batch)
        logits = infer(net, params, batch).logits
        return classes(problem, logits, np.asarray(batch["labels"]))

    return gather(map(answers, batches))
