"""Fine-tuning BERT in JAX to classify pairs (d2l 14.1.2 and 16.7)."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from d2lbert.data.pairs import pairs_to_inputs
from d2lbert.data.snli import label_of
from d2lbert.inputs import class_labels, classifier_inputs
from d2lbert.jax.data import to_numpy
from d2lbert.jax.fast import precision_for, products_in
from d2lbert.jax.inputs import check
from d2lbert.jax.model import BERTEncoder, Dense, dropout_rngs, init_params
from d2lbert.jax.parallel import check_rows, placements
from d2lbert.jax.resume import put_state, state_arrays
from d2lbert.jax.train import (
    Rated,
    check_unreduced,
    copy_weights,
    try_all_gpus,
)
from d2lbert.training.logs import FineTuningLog, gather
from d2lbert.training.schedules import rates


def encoder_like(bert):
    """A `BERTEncoder` of the sizes of a `BERTModel`."""
    return BERTEncoder(bert.vocab_size, bert.num_hiddens,
                       bert.ffn_num_hiddens, bert.num_heads, bert.num_blks,
                       bert.dropout, bert.max_len)


class BERTClassifier(nn.Module):
    """BERT with one new layer, on the vector of <cls> (d2l 16.7.3).

    `bert` gives the sizes; its weights come in by `classifier_params`.
    """
    bert: nn.Module
    num_outputs: int = 3

    def setup(self):
        self.encoder = encoder_like(self.bert)
        self.hidden = Dense(self.bert.num_hiddens)
        self.output = Dense(self.num_outputs)

    def __call__(self, tokens_X, segments_X, valid_lens_x, training=False):
        """Tokens (B, L), segments (B, L), valid_lens (B,) -> logits (B, 3).
        """
        cls = jnp.zeros_like(tokens_X[:, :1])  # only its vector is needed
        encoded_X = self.encoder(
            tokens_X, segments_X, valid_lens_x.reshape(-1), training,
            positions=cls)
        return self.output(nn.tanh(self.hidden(encoded_X[:, 0])))


def classifier_params(net, params, seed=0):
    """Weights of a classifier: BERT's where it has them, else new ones.

    Args:
        net: a `BERTClassifier`, or another module that has BERT's encoder.
        params: {'params': …} of its BERT.
    """
    new = init_params(net, jax.random.key(seed))["params"]
    old = params["params"]
    return {"params": {name: old.get(name, new[name]) for name in new}}


def accuracy(y_hat, y):
    """How many predictions are right: logits (B, C), labels (B,)."""
    check(class_labels, y, shape=y_hat.shape)
    return float((y_hat.argmax(1) == y).sum())


@partial(jax.jit, static_argnums=(0, 1, 2), donate_argnums=(3, 4))
def train_batch_ch13(net, loss, trainer, params, state, rng, factor, X, y):
    """One step on a batch; compiled once for each shape.

    The gradient is that of the mean of the losses.

    Args:
        loss: (logits, labels) -> one value a prediction.
        trainer: an Optax optimiser; state: its state.
        rng: key for dropout; factor: what scales the trainer's steps.

    Returns:
        params, state, the sum of the losses and the number right.
    """
    def mean_loss(params):
        y_hat = net.apply(params, *X, training=True, rngs=dropout_rngs(rng))
        l = loss(y_hat, y)
        check_unreduced(l, y)
        return l.mean(), (l.sum(), (y_hat.argmax(1) == y).sum())

    grads, sums = jax.grad(mean_loss, has_aux=True)(params)
    updates, state = trainer.update(grads, state, params)
    params = jax.tree.map(lambda p, u: p + factor * u, params, updates)
    return params, state, *sums


def train_ch13(net, train_iter, test_iter, loss, trainer, num_epochs,
               devices=None, dev_iter=None, warmup=None, params=None,
               seed=0, precision=None, resume=None, save_every=None):
    """Fine-tune net, keep the best epoch on dev, and test that one once.

    Args:
        train_iter, test_iter, dev_iter: batches (X, y); test_iter may be
            None, and dev_iter, to keep the last epoch.
        loss, trainer: a cross-entropy without mean, an Optax optimiser.
        devices: by default all; several share each batch.
        warmup: share of the steps in which the learning rate rises to the
            trainer's, to fall to 0 afterwards; None leaves it constant.
        params: weights to start from, left as they are; None for new ones.
        seed: fixes the new weights and the dropout.
        precision: as in `train_bert`.
        resume: a folder of checkpoints, to go on after a kill with the same
            numbers, and every save_every steps to write another; see
            `d2lbert.training.steps.StepLog.resume`.

    Returns:
        The weights kept, and the `FineTuningLog`. Prints loss, accuracies
        and examples a second.
    """
    devices = devices or try_all_gpus()
    trainer, lr = trainer if isinstance(trainer, Rated) else (trainer, 1.0)
    init_key, key = jax.random.split(jax.random.key(seed))
    if params is None:
        params = net.init(init_key, *inputs_of(next(iter(train_iter))[0]))
    by_row, everywhere = placements(devices)
    # A step reuses the memory of its arguments, so it gets copies
    params = jax.device_put(copy_weights(params), everywhere)
    state = jax.device_put(trainer.init(params), everywhere)
    precision = precision_for(params, precision, devices[0])
    log = FineTuningLog(num_epochs, len(train_iter), precision)
    best = None
    params, state, best = put_state(log.resume(
        resume, lambda: state_arrays(params, state, best), train_iter,
        save_every, warmup=warmup, seed=seed), params, state)
    factors = iter(rates(log.num_steps, 1.0, warmup)[log.step:])
    for _ in log.epochs():
        batches = log.watch(train_iter, lambda: copy_weights(params))
        for (X, y), factor in zip(batches, factors):
            X = inputs_of(X)
            check_features(net, X)
            check(class_labels, y, shape=shape_of_logits(net, params, X))
            check_rows(y, devices)
            with products_in(precision):
                params, state, *sums = train_batch_ch13(
                    net, loss, trainer, params, state,
                    jax.random.fold_in(key, log.step),
                    np.float32(lr * factor), *jax.device_put((X, y), by_row))
            log.add(*sums, len(y), rate=factor)
        if log.diverged:
            params = log.weights
        if dev_iter is not None and log.is_best(
                evaluate_accuracy_gpu(net, params, dev_iter)):
            best = copy_weights(params)
    params = best or params
    if test_iter is not None:
        log.test_acc = evaluate_accuracy_gpu(net, params, test_iter)
    log.report(devices)
    return params, log


def inputs_of(X):
    """The inputs of a net, one or several, as a tuple."""
    return tuple(X) if isinstance(X, (list, tuple)) else (X,)


def check_features(net, X):
    """Raise ValueError for what a classifier with BERT's encoder cannot read.
    """
    bert = getattr(net, "bert", None)
    if hasattr(bert, "max_len"):
        check(classifier_inputs, *X, vocab_size=bert.vocab_size,
              max_len=bert.max_len)


def shape_of_logits(net, params, X):
    """(B, C), without computing them."""
    return jax.eval_shape(logits, net, params, X).shape


def predict(net, params, data_iter):
    """Predicted and true classes, two (N,) arrays, in evaluation mode."""
    def batches():
        for X, y in data_iter:
            X = inputs_of(X)
            check_features(net, X)
            y_hat = np.array(logits(net, params, X))
            check(class_labels, y, shape=y_hat.shape)
            yield y_hat.argmax(1), np.array(y)

    return gather(batches())


@partial(jax.jit, static_argnums=0)
def logits(net, params, X):
    """The logits (B, C) of a batch, in evaluation mode."""
    return net.apply(params, *X)


def evaluate_accuracy_gpu(net, params, data_iter):
    """The share of examples that net, in evaluation mode, gets right.

    Raises:
        ValueError: if data_iter gives no batch.
    """
    y_hat, y = predict(net, params, data_iter)
    return float(np.mean(y_hat == y))


def classify(net, params, pairs, vocab):
    """Probabilities of the classes for pairs of sentences.

    Args:
        pairs: list of (premise, hypothesis), each a str or a list of tokens.

    Returns:
        (len(pairs), C) array.

    Raises:
        ValueError: for an empty sentence.
    """
    inputs = pairs_to_inputs(pairs, net.bert.max_len, vocab)
    check_features(net, inputs)
    return to_numpy(nn.softmax(logits(net, params, inputs)))


def predict_snli(net, params, vocab, premise, hypothesis):
    """'entailment', 'contradiction' or 'neutral' (d2l 16.5.2).

    Args:
        premise, hypothesis: each a str or a list of tokens; the longer one
            is cut, as in training, if the model has no room for both.
    """
    return label_of(classify(net, params, [(premise, hypothesis)], vocab))
