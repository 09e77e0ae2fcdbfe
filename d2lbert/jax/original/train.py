"""Training the original BERT in JAX, for any task.

The model computes its own loss, so that one loop pretrains and fine-tunes.
Batches are dicts of NumPy arrays, by the names of the model's inputs.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from d2lbert.data.batches import take
from d2lbert.jax.model import init_params
from d2lbert.jax.train import try_gpu
from d2lbert.original.outputs import check_inputs
from d2lbert.training.logs import LossLog, gather, warmup_linear

CLIP = 1.0  # the largest norm of a gradient (Google's BERT code)


def matrices(params):
    """Which weights decay: not biases and layer norms (Google's code)."""
    return jax.tree.map(lambda p: p.ndim > 1, params)


# At a rate of 1; each step is then scaled by its own rate
ADAMW = optax.chain(
    optax.clip_by_global_norm(CLIP),
    optax.adamw(1.0, eps=1e-6, weight_decay=0.01, mask=matrices))


@partial(jax.jit, static_argnums=0, donate_argnums=(1, 2))
def train_step(net, params, state, key, rate, batch):
    """One step of AdamW; compiled once for each batch shape."""
    def loss(params):
        return net.apply(params, **batch, training=True,
                         rngs={"dropout": key}).loss

    loss, grads = jax.value_and_grad(loss)(params)
    updates, state = ADAMW.update(grads, state, params)
    params = jax.tree.map(lambda p, u: p + rate * u, params, updates)
    return params, state, loss


def fit(net, batches, num_steps, lr, warmup=0.1, device=None, params=None,
        seed=0):
    """Train net on its own loss: AdamW, warm-up, linear decay.

    Args:
        net: a `BertForPreTraining` or a `BertForSequenceClassification`.
        batches: iterable of dicts with labels; epoch after epoch.
        lr: peak learning rate; warmup: share of the steps that lead to it.
        device: None for the first accelerator, or the CPU.
        params: weights to start from, left as they are; None for new ones.
        seed: fixes the new weights and the dropout.

    Returns:
        The trained params, and the `LossLog`. Prints the last loss and the
        examples a second.
    """
    device = device or try_gpu()
    init_key, key = jax.random.split(jax.random.key(seed))
    if params is None:
        params = jax.jit(init_params, static_argnums=0)(net, init_key)
    # A step reuses the memory of its arguments, so it gets copies
    params = jax.device_put(jax.tree.map(jnp.array, params), device)
    state, steps = ADAMW.init(params), iter(range(num_steps))

    def step(batch):
        nonlocal params, state
        check_batch(net, batch)
        number = next(steps)
        params, state, loss = train_step(
            net, params, state, jax.random.fold_in(key, number),
            np.float32(warmup_linear(number, num_steps, lr, warmup)),
            jax.device_put(batch, device))
        return (loss,)

    log = LossLog(num_steps).run(take(batches, num_steps), step)
    log.report(device)
    return params, log


def check_batch(net, batch):
    """Raise ValueError for ids that JAX itself would pass over."""
    ids = batch["input_ids"]
    mask = batch.get("attention_mask", np.ones_like(ids))
    segments = batch.get("token_type_ids", np.zeros_like(ids))
    check_inputs(net.config, ids, mask, segments)


def infer(net, params, batch):
    """What net computes for a batch, in evaluation mode.

    Args:
        batch: a dict of NumPy arrays, such as a tokenizer gives.

    Returns:
        The net's outputs, as NumPy arrays.
    """
    check_batch(net, batch)
    return jax.tree.map(np.array, forward(net, params, batch))


@partial(jax.jit, static_argnums=0)
def forward(net, params, batch):
    """The outputs, compiled once for each batch shape."""
    return net.apply(params, **batch)


def predict_classes(net, params, batches):
    """Predicted and true classes, two (N,) arrays, in evaluation mode."""
    return gather(
        (infer(net, params, batch).logits.argmax(1), batch["labels"])
        for batch in batches)
