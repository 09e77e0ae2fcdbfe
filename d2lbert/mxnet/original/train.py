"""Training the original BERT in MXNet, for any task.

The model computes its own loss, so that one loop pretrains and fine-tunes.
Batches are dicts of arrays or tensors, by the names of the model's inputs.
"""

from functools import partial

from mxnet import autograd, np
from mxnet.gluon import Trainer

from d2lbert.checks import check_rate
from d2lbert.data.batches import take
from d2lbert.inputs import check_names, named_inputs
from d2lbert.mxnet.data import to_tensors
from d2lbert.mxnet.inputs import check
from d2lbert.mxnet.resume import put_state, seed_step, state_arrays
from d2lbert.mxnet.train import (
    Adam,
    clip_gradients,
    copy_weights,
    devices_of,
    place,
    precision_for,
    put_weights,
    set_seed,
    try_gpu,
)
from d2lbert.original.outputs import classes
from d2lbert.training.logs import LossLog, gather
from d2lbert.training.schedules import rates

CLIP = 1.0  # the largest norm of a gradient (Google's BERT code)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

    def update(self, index, weight, grad, state):
        """Update a weight; called by `gluon.Trainer`."""
        if lost := self._get_lr(index) * self._get_wd(index):
            weight *= 1 - lost
        decay, self.wd = self.wd, 0.0
        super().update(index, weight, grad, state)
        self.wd = decay


def adamw(net, lr, weight_decay=0.01):
    """AdamW; biases and layer norms do not decay (Google's BERT code)."""
    check_rate(lr)
    for parameter in net.collect_params().values():
        parameter.wd_mult = float(len(parameter.shape) > 1)
    return Trainer(net.collect_params(), AdamW(
        learning_rate=lr, wd=weight_decay, epsilon=1e-6))


def fit(net, batches, num_steps, lr, warmup=0.1, device=None, seed=None,
        precision=None, resume=None, save_every=None):
    """Train net on its own loss: AdamW, warm-up, linear decay.

    Args:
        batches: iterable of dicts with labels; epoch after epoch.
        lr: peak learning rate; warmup: share of the steps that lead to it.
        device: None for the first accelerator, or the CPU.
        seed: fixes the dropout, and the weights if they are new; None leaves
            MXNet's generator as it is, or is 0 with resume.
        precision: as in `train_bert`.
        resume: a folder of checkpoints, to go on after a kill with the same
            numbers, and every save_every steps to write another; see
            `d2lbert.training.steps.StepLog.resume`.

    Returns:
        The `LossLog`, whose report it prints.

    Raises:
        ValueError: for what `d2lbert.inputs.named_inputs` and `rates` refuse.
    """
    steps = rates(num_steps, lr, warmup)
    seed = 0 if seed is None and resume else seed
    set_seed(seed)
    device = device or try_gpu()
    place(net, [device])
    net.hybridize()
    parameters = net.collect_params().values()
    precision = precision_for(precision)
    trainer, log = adamw(net, lr), LossLog(num_steps, precision=precision)
    put_state(log.resume(
        resume, partial(state_arrays, net, trainer), batches, save_every,
        lr=lr, warmup=warmup, seed=seed), net, trainer)
    batches = log.watch(take(batches, num_steps, log.step),
                        partial(copy_weights, net))
    for batch, rate in zip(batches, steps[log.step:]):
        check_batch(net, batch)
        seed_step(seed, log.step)
        with autograd.record():
            loss = net(**on_device(batch, device)).loss
        loss.backward()
        clip_gradients(parameters, CLIP)
        trainer.set_learning_rate(rate)
        # A head without labels in this batch has no new gradient
        trainer.step(1, ignore_stale_grad=True)
        log.add(loss, rate=rate)
    if log.diverged:
        put_weights(log.weights)
    log.report(device)
    return log


def check_batch(net, batch, has_labels=True):
    """Raise ValueError for what `d2lbert.inputs.named_inputs` refuses.

    Args:
        has_labels: whether there have to be labels.
    """
    check_names(batch, has_labels)
    check(named_inputs, *to_tensors(batch).values(), names=tuple(batch),
          config=net.config, architecture=type(net).__name__)


def on_device(batch, device):
    """A dict of arrays as MXNet arrays on a device."""
    return {name: x.as_in_ctx(device)
            for name, x in to_tensors(batch).items()}


def infer(net, batch, **options):
    """What net computes for a batch, in evaluation mode.

    Args:
        batch: a dict of NumPy arrays, such as a tokenizer gives, or of
            tensors.
        options: `output_attentions=True`, `output_hidden_states=True`.

    Returns:
        The net's outputs, as NumPy arrays.
    """
    check_batch(net, batch, has_labels=False)
    batch = on_device(batch, devices_of(net)[0])
    return _as_numpy(net(**batch, **options))


def _as_numpy(x):
    """MXNet arrays, or a tuple or list of them, as NumPy arrays."""
    if isinstance(x, tuple):
        return type(x)(*map(_as_numpy, x))
    if isinstance(x, list):
        return list(map(_as_numpy, x))
    return x.asnumpy() if isinstance(x, np.ndarray) else x


def predict_classes(net, batches):
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
        logits = infer(net, batch).logits
        return classes(problem, logits, _as_numpy(batch["labels"]))

    return gather(map(answers, batches))
