"""Fine-tuning BERT in MXNet to classify pairs (d2l 14.1.2 and 16.7)."""

from functools import partial

import numpy
from mxnet import autograd, np, npx
from mxnet.gluon import nn

from d2lbert.data.pairs import pairs_to_inputs
from d2lbert.data.snli import label_of
from d2lbert.inputs import class_labels, classifier_inputs
from d2lbert.mxnet.checkpoint import is_initialized
from d2lbert.mxnet.inputs import check
from d2lbert.mxnet.model import Dense
from d2lbert.mxnet.parallel import shard, total
from d2lbert.mxnet.resume import put_state, seed_step, state_arrays
from d2lbert.mxnet.train import (
    copy_weights,
    devices_of,
    precision_for,
    put_weights,
    set_seed,
    try_all_gpus,
)
from d2lbert.training.logs import FineTuningLog, gather
from d2lbert.training.schedules import rates


class BERTClassifier(nn.Block):
    """BERT with one new layer, on the vector of <cls> (d2l 16.7.3).

    The encoder and the hidden layer are those of `bert`, not copies.
    """

    def __init__(self, bert, num_outputs=3):
        super().__init__()
        self.encoder, self.hidden = bert.encoder, bert.hidden
        self.output = Dense(num_outputs, in_units=bert.hidden._units)
        if is_initialized(bert):
            self.output.initialize(ctx=devices_of(bert))

    def forward(self, inputs):
        """(tokens (B, L), segments (B, L), valid_lens (B,)) -> logits."""
        tokens_X, segments_X, valid_lens_x = inputs
        cls = np.zeros_like(tokens_X[:, :1])  # only its vector is needed
        encoded_X = self.encoder(
            tokens_X, segments_X, valid_lens_x.reshape(-1), cls)
        return self.output(self.hidden(encoded_X[:, 0]))


def accuracy(y_hat, y):
    """How many predictions are right: logits (B, C), labels (B,)."""
    check(class_labels, y, shape=y_hat.shape)
    return float(right(y_hat, y))


def right(y_hat, y):
    """`accuracy` as a scalar on the device."""
    return (y_hat.argmax(1).astype(y.dtype) == y).sum()


def split_batch(X, y, devices):
    """X and y as lists with one shard a device."""
    return shard(X, devices), shard(y, devices)


def split_batch_multi_inputs(X, y, devices):
    """`split_batch` for several inputs: X as a list of tuples (d2l 16.7.4).
    """
    X = list(zip(*(shard(feature, devices) for feature in X)))
    return X, shard(y, devices)


def split(X, y, devices):
    """`split_batch_multi_inputs` or, for one input, `split_batch`."""
    several = isinstance(X, (list, tuple))
    return (split_batch_multi_inputs if several else split_batch)(
        X, y, devices)


def train_batch_ch13(net, features, labels, loss, trainer, devices,
                     split_f=split):
    """One step on a batch, of which every device gets a share.

    The gradient is that of the sum of the losses, and the trainer divides it
    by their number, as in d2l: of a loss for each example that is the mean.

    Returns:
        The sum of the losses and the number right, scalars on a device.
    """
    X_shards, y_shards = split_f(features, labels, devices)
    with autograd.record():
        y_hats = [net(X) for X in X_shards]
        check(class_labels, labels,
              shape=(len(labels), *y_hats[0].shape[1:]))
        ls = [loss(y_hat, y) for y_hat, y in zip(y_hats, y_shards)]
    autograd.backward(ls)
    # A net may have weights that are not used, as in d2l
    trainer.step(len(labels), ignore_stale_grad=True)
    return (total([l.sum() for l in ls]),
            total([right(y_hat, y) for y_hat, y in zip(y_hats, y_shards)]))


def train_ch13(net, train_iter, test_iter, loss, trainer, num_epochs,
               devices=None, split_f=split, dev_iter=None, warmup=None,
               seed=None, precision=None, resume=None, save_every=None):
    """Fine-tune net, keep the best epoch on dev, and test that one once.

    Args:
        train_iter, test_iter, dev_iter: batches (X, y); test_iter may be
            None, and dev_iter, to keep the last epoch.
        loss, trainer: a cross-entropy, a gluon.Trainer of net's parameters.
        devices: by default all; several share each batch, by split_f.
        warmup: share of the steps in which the learning rate rises to the
            trainer's, to fall to 0 afterwards; None leaves it constant.
        seed: fixes the dropout; None leaves MXNet's generator as it is, or
            is 0 with resume.
        precision: as in `train_bert`.
        resume: a folder of checkpoints, to go on after a kill with the same
            numbers, and every save_every steps to write another; see
            `d2lbert.training.steps.StepLog.resume`.

    Returns:
        The `FineTuningLog`. Prints loss, accuracies and examples a second.
    """
    devices = devices or try_all_gpus()
    precision = precision_for(precision)
    log = FineTuningLog(num_epochs, len(train_iter), precision)
    best = None
    seed = 0 if seed is None and resume else seed
    set_seed(seed)
    check_devices(net, devices)
    net.hybridize()
    loss.hybridize()
    peak = trainer.learning_rate
    best = put_state(log.resume(
        resume, lambda: state_arrays(net, trainer, best), train_iter,
        save_every, lr=peak, warmup=warmup, seed=seed), net, trainer)
    factors = iter(rates(log.num_steps, 1.0, warmup)[log.step:])
    for _ in log.epochs():
        batches = log.watch(train_iter, partial(copy_weights, net))
        for (X, y), factor in zip(batches, factors):
            check_features(net, X)
            seed_step(seed, log.step)
            trainer.set_learning_rate(factor * peak)
            sums = train_batch_ch13(
                net, X, y, loss, trainer, devices, split_f)
            log.add(*sums, len(y), rate=factor)
        if log.diverged:
            put_weights(log.weights)
        if dev_iter is not None and log.is_best(
                evaluate_accuracy_gpus(net, dev_iter, split_f)):
            best = copy_weights(net)
    trainer.set_learning_rate(peak)
    if best:
        put_weights(best)
    if test_iter is not None:
        log.test_acc = evaluate_accuracy_gpus(net, test_iter, split_f)
    log.report(devices)
    return log


def check_features(net, X):
    """Raise ValueError for what a classifier with BERT's encoder cannot read.
    """
    encoder = getattr(net, "encoder", None)
    if hasattr(encoder, "max_len"):
        check(classifier_inputs, *X, vocab_size=encoder.vocab_size,
              max_len=encoder.max_len)


def check_devices(net, devices):
    """Raise ValueError unless net is on these devices, as its trainer is."""
    if devices_of(net) != list(devices):
        raise ValueError(
            f"net is on {devices_of(net)}, not on {devices}: before you make "
            "its trainer, call net.collect_params().reset_ctx(devices)")


def predict(net, data_iter, split_f=split):
    """Predicted and true classes, two (N,) arrays, in evaluation mode."""
    devices = devices_of(net)

    def batches():
        for X, y in data_iter:
            check_features(net, X)
            X_shards, _ = split_f(X, y, devices)
            y_hat = numpy.concatenate([net(X).asnumpy() for X in X_shards])
            check(class_labels, y, shape=y_hat.shape)
            yield y_hat.argmax(1), y.asnumpy()

    return gather(batches())


def evaluate_accuracy_gpus(net, data_iter, split_f=split):
    """The share of examples that net, in evaluation mode, gets right.

    Raises:
        ValueError: if data_iter gives no batch.
    """
    y_hat, y = predict(net, data_iter, split_f)
    return float(numpy.mean(y_hat == y))


def evaluate_accuracy_gpu(net, data_iter, device=None):
    """`evaluate_accuracy_gpus` on one device, by default net's first."""
    return evaluate_accuracy_gpus(
        net, data_iter, lambda X, y, devices: split(
            X, y, [device or devices[0]]))


def classify(net, pairs, vocab):
    """Probabilities of the classes for pairs of sentences.

    Args:
        pairs: list of (premise, hypothesis), each a str or a list of tokens.

    Returns:
        (len(pairs), C) array.

    Raises:
        ValueError: for an empty sentence.
    """
    inputs = pairs_to_inputs(pairs, net.encoder.max_len, vocab)
    y_hat = net([np.array(x, ctx=devices_of(net)[0]) for x in inputs])
    return npx.softmax(y_hat).asnumpy()


def predict_snli(net, vocab, premise, hypothesis):
    """'entailment', 'contradiction' or 'neutral' (d2l 16.5.2).

    Args:
        premise, hypothesis: each a str or a list of tokens; the longer one
            is cut, as in training, if the model has no room for both.
    """
    return label_of(classify(net, [(premise, hypothesis)], vocab))
