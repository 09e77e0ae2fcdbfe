"""Fine-tuning BERT in PyTorch to classify pairs (d2l 14.1.2 and 16.7)."""

from functools import partial

import numpy as np
import torch
from torch import nn

from d2lbert.data.pairs import pairs_to_inputs
from d2lbert.data.snli import label_of
from d2lbert.inputs import class_labels, classifier_inputs
from d2lbert.torch.data import to_numpy
from d2lbert.torch.fast import precision_for, products_in
from d2lbert.torch.inputs import check
from d2lbert.torch.model import init_weights
from d2lbert.torch.parallel import call_on
from d2lbert.torch.resume import put_state, state_arrays
from d2lbert.torch.train import (
    copy_weights,
    evaluation,
    set_seed,
    try_all_gpus,
    unreduced,
    unwrapped,
)
from d2lbert.training.logs import FineTuningLog, gather
from d2lbert.training.schedules import rates


class BERTClassifier(nn.Module):
    """BERT with one new layer, on the vector of <cls> (d2l 16.7.3).

    The encoder and the hidden layer are those of `bert`, not copies.
    """

    def __init__(self, bert, num_outputs=3):
        super().__init__()
        self.encoder, self.hidden = bert.encoder, bert.hidden
        self.output = nn.Linear(bert.hidden[0].out_features, num_outputs)
        self.output.apply(init_weights)

    def forward(self, inputs):
        """(tokens (B, L), segments (B, L), valid_lens (B,)) -> logits."""
        tokens_X, segments_X, valid_lens_x = inputs
        cls = torch.zeros_like(tokens_X[:, :1])  # only its vector is needed
        encoded_X = self.encoder(
            tokens_X, segments_X, valid_lens_x.reshape(-1), positions=cls)
        return self.output(self.hidden(encoded_X[:, 0]))


def accuracy(y_hat, y):
    """How many predictions are right: logits (B, C), labels (B,)."""
    check(class_labels, y, shape=y_hat.shape)
    return float((y_hat.argmax(1) == y).sum())


def to_device(X, device):
    """A tensor, or a list or tuple of them, moved to a device."""
    if isinstance(X, (list, tuple)):
        return [x.to(device) for x in X]
    return X.to(device)


def spread(net, X, devices):
    """net(X), the rows divided among devices; the result is on the first."""
    several = isinstance(X, (list, tuple))
    devices = devices[:len(X[0] if several else X)]  # a row at least for each
    if len(devices) == 1:
        return net(to_device(X, devices[0]))
    pieces = zip(*(x.tensor_split(len(devices))
                   for x in (X if several else [X])))
    y_hats = [call_on(device, devices[0], net, to_device(
        piece if several else piece[0], device))
        for piece, device in zip(pieces, devices)]
    return torch.cat([y_hat.to(devices[0]) for y_hat in y_hats])


def train_batch_ch13(net, X, y, loss, trainer, devices):
    """One step on a batch.

    The gradient is that of the loss, as in d2l: of the mean for a loss such
    as nn.CrossEntropyLoss(), of the sum for one with reduction="none".

    Returns:
        The sum of the losses and the number right, scalars on the device.
    """
    net.train()
    trainer.zero_grad()
    y_hat = spread(net, X, devices)
    check(class_labels, y, shape=y_hat.shape)
    y = y.to(devices[0])
    loss(y_hat, y).sum().backward()
    trainer.step()
    return loss_sum(loss, y_hat.detach(), y), (y_hat.argmax(1) == y).sum()


def loss_sum(loss, y_hat, y):
    """The sum of the losses of a batch, whatever `loss` reduces to.

    A function that gives one number is taken for a mean.
    """
    l = unreduced(loss)(y_hat, y)
    return l.sum() if l.ndim else l * len(y)


def train_ch13(net, train_iter, test_iter, loss, trainer, num_epochs,
               devices=None, dev_iter=None, warmup=None, seed=None,
               precision=None, resume=None, save_every=None):
    """Fine-tune net, keep the best epoch on dev, and test that one once.

    Args:
        train_iter, test_iter, dev_iter: batches (X, y); test_iter may be
            None, and dev_iter, to keep the last epoch.
        loss, trainer: a cross-entropy (`train_batch_ch13`), an optimiser.
        devices: by default all; several share each batch.
        warmup: share of the steps in which the learning rate rises to the
            trainer's, to fall to 0 afterwards; None leaves it constant.
        seed: fixes the dropout; None leaves PyTorch's generator as it is.
        precision: as in `train_bert`.
        resume: a folder of checkpoints, to go on after a kill with the same
            numbers, and every save_every steps to write another; see
            `d2lbert.training.steps.StepLog.resume`.

    Returns:
        The `FineTuningLog`. Prints loss, accuracies and examples a second.
    """
    devices = devices or try_all_gpus()
    precision = precision_for(net, precision, devices[0])
    log = FineTuningLog(num_epochs, len(train_iter), precision)
    best = None
    set_seed(seed)
    net.to(devices[0])
    peaks = [group["lr"] for group in trainer.param_groups]
    best = put_state(log.resume(
        resume, lambda: state_arrays(net, trainer, best), train_iter,
        save_every, lr=peaks, warmup=warmup, seed=seed), net, trainer)
    factors = iter(rates(log.num_steps, 1.0, warmup)[log.step:])
    for _ in log.epochs():
        batches = log.watch(train_iter, partial(copy_weights, net))
        for (X, y), factor in zip(batches, factors):
            check_features(net, X)
            scale_rates(trainer, peaks, factor)
            with products_in(precision, devices[0]):
                sums = train_batch_ch13(net, X, y, loss, trainer, devices)
            log.add(*sums, len(y), rate=factor)
        if log.diverged:
            net.load_state_dict(log.weights)
        if dev_iter is not None and log.is_best(
                evaluate_accuracy_gpu(net, dev_iter)):
            best = copy_weights(net)
    scale_rates(trainer, peaks, 1.0)
    if best:
        net.load_state_dict(best)
    if test_iter is not None:
        log.test_acc = evaluate_accuracy_gpu(net, test_iter)
    log.report(devices)
    return log


def check_features(net, X):
    """Raise ValueError for what a classifier with BERT's encoder cannot read.
    """
    encoder = getattr(unwrapped(net), "encoder", None)
    if hasattr(encoder, "max_len"):
        check(classifier_inputs, *X, vocab_size=encoder.vocab_size,
              max_len=encoder.max_len)


def scale_rates(trainer, peaks, factor):
    """Set the rate of each group of parameters to a share of its peak."""
    for group, peak in zip(trainer.param_groups, peaks):
        group["lr"] = factor * peak


def predict(net, data_iter, device=None):
    """Predicted and true classes, two (N,) arrays, in evaluation mode."""
    def batches(where):
        for X, y in data_iter:
            check_features(net, X)
            y_hat = net(to_device(X, where))
            check(class_labels, y, shape=y_hat.shape)
            yield y_hat.argmax(1).cpu(), y.cpu()

    with evaluation(net) as where:
        return gather(batches(device or where))


def evaluate_accuracy_gpu(net, data_iter, device=None):
    """The share of examples that net, in evaluation mode, gets right.

    Raises:
        ValueError: if data_iter gives no batch.
    """
    y_hat, y = predict(net, data_iter, device)
    return float(np.mean(y_hat == y))


def classify(net, pairs, vocab):
    """Probabilities of the classes for pairs of sentences.

    Args:
        pairs: list of (premise, hypothesis), each a str or a list of tokens.

    Returns:
        (len(pairs), C) array.

    Raises:
        ValueError: for an empty sentence.
    """
    max_len = unwrapped(net).encoder.max_len
    inputs = pairs_to_inputs(pairs, max_len, vocab)
    with evaluation(net) as device:
        y_hat = net([torch.from_numpy(x).to(device) for x in inputs])
        return to_numpy(y_hat.softmax(1))


def predict_snli(net, vocab, premise, hypothesis):
    """'entailment', 'contradiction' or 'neutral' (d2l 16.5.2).

    Args:
        premise, hypothesis: each a str or a list of tokens; the longer one
            is cut, as in training, if the model has no room for both.
    """
    return label_of(classify(net, [(premise, hypothesis)], vocab))
