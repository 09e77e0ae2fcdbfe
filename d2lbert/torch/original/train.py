"""Training the original BERT in PyTorch, for any task.

The model computes its own loss, so that one loop pretrains and fine-tunes.
Batches are dicts of arrays or tensors, by the names of the model's inputs.
"""

from functools import partial

import torch

from d2lbert.checks import check_rate
from d2lbert.data.batches import take
from d2lbert.inputs import check_names, named_inputs
from d2lbert.original.outputs import classes
from d2lbert.torch.data import to_numpy, to_tensors
from d2lbert.torch.fast import precision_for, products_in
from d2lbert.torch.inputs import check
from d2lbert.torch.resume import put_state, state_arrays
from d2lbert.torch.train import (
    clip_gradients,
    copy_weights,
    evaluation,
    set_rate,
    set_seed,
    try_gpu,
    unwrapped,
)
from d2lbert.training.logs import LossLog, gather
from d2lbert.training.schedules import rates

CLIP = 1.0  # the largest norm of a gradient (Google's BERT code)


def adamw(net, lr, weight_decay=0.01):
    """AdamW; biases and layer norms do not decay (Google's BERT code)."""
    check_rate(lr)
    matrices = [p for p in net.parameters() if p.dim() > 1]
    vectors = [p for p in net.parameters() if p.dim() == 1]
    return torch.optim.AdamW(
        [{"params": matrices, "weight_decay": weight_decay},
         {"params": vectors, "weight_decay": 0.0}],
        lr=lr, eps=1e-6, fused=True)


def fit(net, batches, num_steps, lr, warmup=0.1, device=None, seed=None,
        precision=None, resume=None, save_every=None):
    """Train net on its own loss: AdamW, warm-up, linear decay.

    Args:
        batches: iterable of dicts with labels; epoch after epoch.
        lr: peak learning rate; warmup: share of the steps that lead to it.
        device: None for the first accelerator, or the CPU.
        seed: fixes the dropout; None leaves PyTorch's generator as it is.
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
    set_seed(seed)
    device = device or try_gpu()
    net.to(device).train()
    precision = precision_for(net, precision, device)
    trainer, log = adamw(net, lr), LossLog(num_steps, precision=precision)
    put_state(log.resume(
        resume, partial(state_arrays, net, trainer), batches, save_every,
        lr=lr, warmup=warmup, seed=seed), net, trainer)
    batches = log.watch(take(batches, num_steps, log.step),
                        partial(copy_weights, net))
    for batch, rate in zip(batches, steps[log.step:]):
        check_batch(net, batch)
        with products_in(precision, device):
            loss = net(**on_device(batch, device)).loss
        trainer.zero_grad()
        loss.backward()
        clip_gradients(net.parameters(), CLIP)
        set_rate(trainer, rate)
        trainer.step()
        log.add(loss.detach(), rate=rate)
    if log.diverged:
        net.load_state_dict(log.weights)
    log.report(device)
    net.eval()
    return log


def check_batch(net, batch, has_labels=True):
    """Raise ValueError for what `d2lbert.inputs.named_inputs` refuses.

    Args:
        has_labels: whether there have to be labels.
    """
    check_names(batch, has_labels)
    net = unwrapped(net)
    check(named_inputs, *to_tensors(batch).values(), names=tuple(batch),
          config=net.config, architecture=type(net).__name__)


def on_device(batch, device):
    """A dict of arrays or tensors as tensors on a device."""
    return {name: x.to(device) for name, x in to_tensors(batch).items()}


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
    with evaluation(net) as device:
        return _as_numpy(net(**on_device(batch, device), **options))


def _as_numpy(x):
    """Tensors, or a tuple or list of them, as NumPy arrays."""
    if isinstance(x, tuple):
        return type(x)(*map(_as_numpy, x))
    if isinstance(x, list):
        return list(map(_as_numpy, x))
    return to_numpy(x) if isinstance(x, torch.Tensor) else x


def predict_classes(net, batches):
    """Predicted and true classes, in evaluation mode.

    Returns:
        Two (N,) arrays, without the labels -100; (N, C), 0 and 1, where
        several labels may hold.

    Raises:
        ValueError: for a regression, which has no classes, or a batch
            without labels.
    """
    problem = unwrapped(net).config.problem

    def answers(batch):
        check_batch(net, batch)
        logits = infer(net, batch).logits
        return classes(problem, logits, _as_numpy(batch["labels"]))

    return gather(map(answers, batches))
