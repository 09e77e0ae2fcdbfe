"""Pretraining BERT in PyTorch and looking at what it learned (d2l 15.10)."""

import copy
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from torch import nn

from d2lbert.checks import check_rate
from d2lbert.data.batches import take
from d2lbert.data.pretraining import pad_inputs
from d2lbert.inputs import pretraining_batch
from d2lbert.shown import is_edited
from d2lbert.torch.data import to_numpy, to_tensors
from d2lbert.torch.fast import (
    fused_batch_loss,
    is_plain_cross_entropy,
    precision_for,
)
from d2lbert.torch.inputs import check
from d2lbert.torch.model import BERTModel
from d2lbert.torch.parallel import Gradients, seed_step
from d2lbert.torch.resume import put_state, state_arrays
from d2lbert.training.logs import TrainingLog, means_of
from d2lbert.training.schedules import rates
from d2lbert.training.workers import Workers, agreed, check_parts


def try_gpu(i=0):
    """The i-th accelerator, or the CPU where there is none."""
    devices = try_all_gpus()
    return devices[i] if i < len(devices) else torch.device("cpu")


def try_all_gpus():
    """All accelerators (CUDA, or Apple's GPU); [cpu] where there is none."""
    if torch.cuda.is_available():
        return [torch.device(f"cuda:{i}")
                for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        return [torch.device("mps")]
    return [torch.device("cpu")]


def cross_entropy():
    """The loss of both pretraining tasks."""
    return nn.CrossEntropyLoss()


def adam(net, lr):
    """Adam (Kingma and Ba, 2015), in one pass over all weights."""
    check_rate(lr)
    return torch.optim.Adam(net.parameters(), lr=lr, fused=True)


def set_seed(seed):
    """Fix what PyTorch draws from now on; None changes nothing."""
    if seed is not None:
        torch.manual_seed(seed)


def copy_weights(net):
    """The weights of net as they are now, as `load_state_dict` takes them."""
    return copy.deepcopy(net.state_dict())


def set_rate(trainer, rate):
    """Set the learning rate of an optimiser's next step."""
    for group in trainer.param_groups:
        group["lr"] = rate


def unreduced(loss):
    """The same loss with one value a prediction instead of their mean."""
    if getattr(loss, "reduction", "none") == "none":
        return loss
    loss = copy.copy(loss)
    loss.reduction = "none"
    return loss


def _get_batch_loss_bert(net, loss, vocab_size, tokens_X, segments_X,
                         valid_lens_x, pred_positions_X, mlm_weights_X,
                         mlm_Y, nsp_y):
    """Losses of a batch: masked LM, next sentence, and their sum.

    The masked-LM loss is the mean over the slots of weight 1; slots that
    only pad the batch get no gradient.

    Raises:
        ValueError: for what `d2lbert.inputs.pretraining_batch` refuses.
    """
    check(pretraining_batch, tokens_X, segments_X, valid_lens_x,
          pred_positions_X, mlm_weights_X, mlm_Y, nsp_y,
          vocab_size=vocab_size)
    loss = unreduced(loss)
    _, mlm_Y_hat, nsp_Y_hat = net(
        tokens_X, segments_X, valid_lens_x.reshape(-1), pred_positions_X)
    per_slot = loss(mlm_Y_hat.reshape(-1, vocab_size), mlm_Y.reshape(-1))
    weights = mlm_weights_X.reshape(-1)
    mlm_l = (per_slot * weights).sum() / weights.sum().clamp(min=1e-8)
    nsp_l = loss(nsp_Y_hat, nsp_y).mean()
    return mlm_l, nsp_l, mlm_l + nsp_l


def fastest_loss(net, loss):
    """`fused_batch_loss` where model and loss are d2l's.

    It computes the same as `_get_batch_loss_bert`, which all others get, and
    who has edited that in a notebook.
    """
    is_fused = (type(net) is BERTModel and is_plain_cross_entropy(loss)
                and not is_edited(__name__, "_get_batch_loss_bert"))
    return fused_batch_loss if is_fused else _get_batch_loss_bert


def train_bert(train_iter, net, loss, vocab_size, devices, num_steps,
               lr=3e-3, warmup=0.1, seed=None, batch_loss=None,
               precision=None, resume=None, save_every=None, accumulate=1,
               clip=None, workers=None):
    """Pretrain net for num_steps batches, with Adam and warm-up.

    Args:
        train_iter: iterable of the 7-tuples of `load_data_wiki`.
        loss: a cross-entropy, such as nn.CrossEntropyLoss().
        devices: list of devices; several share each batch.
        lr: peak learning rate; warmup: share of the steps that lead to it.
        seed: fixes the dropout; None leaves PyTorch's generator as it is.
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
        The `TrainingLog` with the losses of every step; its last ones and
            the sentence pairs a second are printed.

    Raises:
        ValueError: for what `d2lbert.inputs.pretraining_batch` and `rates`
            refuse, checkpoints of another recipe, or a precision that there
            is not.
    """
    workers, steps = workers or Workers(), rates(num_steps, lr, warmup)
    check_parts(accumulate, clip)
    seed, devices = workers.seed(seed), workers.own(devices)
    set_seed(seed)
    net.to(devices[0]).train()
    batch_loss = batch_loss or fastest_loss(net, loss)
    precision = agreed(precision_for(net, precision, devices[0]), workers)
    gradients = Gradients(net, batch_loss, loss, vocab_size, devices, workers,
                          accumulate, precision)
    net = gradients.net
    trainer, log = adam(net, lr), TrainingLog(num_steps, precision, workers)
    put_state(log.resume(
        resume, partial(state_arrays, net, trainer), train_iter, save_every,
        lr=lr, warmup=warmup, seed=seed, clip=clip), net, trainer)
    batches = log.watch(take(train_iter, num_steps, log.step, workers.part),
                        partial(copy_weights, net))
    for batch, rate in zip(batches, steps[log.step:]):
        seed_step(seed, log.step, workers)
        batch = to_tensors(batch)
        check(pretraining_batch, *batch, vocab_size=vocab_size)
        trainer.zero_grad()
        mlm_l, nsp_l = gradients(batch)
        clip_gradients(net.parameters(), clip)
        set_rate(trainer, rate)
        trainer.step()
        log.add(mlm_l, nsp_l, rate=rate)
    if log.diverged:
        net.load_state_dict(log.weights)
    gradients.close()
    log.report(devices)
    return log


def clip_gradients(parameters, max_norm):
    """Scale all gradients so that their common norm is max_norm at most."""
    if max_norm is not None:
        nn.utils.clip_grad_norm_(parameters, max_norm)


def unwrapped(net):
    """net without what torch.compile or DataParallel put around it."""
    for name in ("_orig_mod", "module"):
        if hasattr(net, name):
            return unwrapped(getattr(net, name))
    return net


@contextmanager
def evaluation(net):
    """No dropout and no gradients inside; afterwards net is as before."""
    was_training = net.training
    net.eval()
    with torch.no_grad():
        yield next(net.parameters()).device
    net.train(was_training)


def evaluate_bert(net, data_iter):
    """Masked-LM loss, next-sentence loss and accuracy over one epoch.

    Each is a mean over all prediction slots or all pairs, not over batches.

    Returns:
        Three floats: nats a word, nats a pair, a share.
    """
    loss = nn.CrossEntropyLoss(reduction="none")
    sums = 0
    with evaluation(net) as device:
        for batch in take(data_iter, len(data_iter)):
            batch = to_tensors(batch)
            check(pretraining_batch, *batch,
                  vocab_size=unwrapped(net).encoder.vocab_size)
            *X, weights, mlm_Y, nsp_y = (x.to(device) for x in batch)
            _, mlm_Y_hat, nsp_Y_hat = net(*X)
            mlm_l = loss(mlm_Y_hat.flatten(0, 1), mlm_Y.flatten())
            nsp_l = loss(nsp_Y_hat, nsp_y)
            right = (nsp_Y_hat.argmax(1) == nsp_y).sum()
            sums = sums + np.array([
                float((mlm_l * weights.flatten()).sum()),
                float(weights.sum()), float(nsp_l.sum()), float(right),
                len(nsp_y)])
    return means_of(sums)


def encode(net, pairs, vocab):
    """Encode sentences or pairs of sentences, in evaluation mode.

    Args:
        pairs: list of (tokens_a, tokens_b), tokens_b None for one sentence.

    Returns:
        (len(pairs), L, H) array; rows are padded to the longest.
    """
    with evaluation(net) as device:
        inputs = (torch.from_numpy(x).to(device)
                  for x in pad_inputs(pairs, vocab))
        return to_numpy(net(*inputs)[0])


def word_logits(net, batch):
    """Logits of the words at a batch's prediction slots, in evaluation mode.

    Args:
        batch: as a loader gives it; its first four arrays are needed.

    Returns:
        (B, P, V) array.

    Raises:
        ValueError: for what `d2lbert.inputs.encoder_inputs` and
            `prediction_slots` refuse.
    """
    with evaluation(net) as device:
        inputs = (x.to(device) for x in to_tensors(batch[:4]))
        return to_numpy(net(*inputs)[1])


def get_bert_encoding(net, tokens_a, tokens_b=None, *, vocab):
    """Encode one sentence or one pair, in evaluation mode (d2l 15.10.2).

    Returns:
        (1, L, H): a vector for `<cls>`, each token and each `<sep>`.
    """
    return torch.from_numpy(encode(net, [(tokens_a, tokens_b)], vocab))
