"""Pretraining BERT in NumPy and looking at what it learned (d2l 15.10)."""

import numpy as np

from d2lbert.data.batches import take
from d2lbert.data.pretraining import pad_inputs
from d2lbert.inputs import pretraining_batch
from d2lbert.toy import tape
from d2lbert.toy.inputs import check
from d2lbert.training.logs import TrainingLog, means_of
from d2lbert.training.schedules import rates


def try_gpu(i=0):
    """The CPU."""
    return "cpu"


def try_all_gpus():
    """[cpu]."""
    return ["cpu"]


def cross_entropy():
    """The loss of both pretraining tasks, one value a prediction."""
    return tape.cross_entropy


class Adam:
    """Adam (Kingma and Ba, 2015)."""

    def __init__(self, net, lr):
        self.lr, self.num_steps = lr, 0
        self.moments = {p: (0, 0) for p in net.named_parameters().values()}

    def step(self):
        """Change the weights by their gradients."""
        self.num_steps += 1
        fix1, fix2 = (1 - beta ** self.num_steps for beta in (0.9, 0.999))
        for p, (m, v) in self.moments.items():
            m, v = 0.9 * m + 0.1 * p.grad, 0.999 * v + 0.001 * p.grad ** 2
            self.moments[p] = m, v
            update = m / fix1 / (np.sqrt(v / fix2) + 1e-8)
            p.value = (p.value - self.lr * update).astype(np.float32)


def adam(net, lr):
    """An optimiser of all weights of net."""
    return Adam(net, lr)


def _get_batch_loss_bert(net, loss, vocab_size, tokens_X, segments_X,
                         valid_lens_x, pred_positions_X, mlm_weights_X,
                         mlm_Y, nsp_y):
    """Losses of a batch: masked LM, next sentence, and their sum.

    The masked-LM loss is the mean over the slots of weight 1; slots that
    only pad the batch get no gradient.
    """
    check(pretraining_batch, tokens_X, segments_X, valid_lens_x,
          pred_positions_X, mlm_weights_X, mlm_Y, nsp_y,
          vocab_size=vocab_size)
    _, mlm_Y_hat, nsp_Y_hat = net(
        tokens_X, segments_X, valid_lens_x.reshape(-1), pred_positions_X)
    per_slot = loss(mlm_Y_hat.reshape(-1, vocab_size), mlm_Y.reshape(-1))
    weights = mlm_weights_X.reshape(-1)
    mlm_l = (per_slot * weights).sum() / max(weights.sum(), 1e-8)
    nsp_l = loss(nsp_Y_hat, nsp_y).mean()
    return mlm_l, nsp_l, mlm_l + nsp_l


def train_bert(train_iter, net, loss, vocab_size, devices, num_steps,
               lr=3e-3, warmup=0.1):
    """Pretrain net for num_steps batches, with Adam and warm-up.

    Args:
        train_iter: iterable of the 7-tuples of `load_data_wiki`.
        loss: a cross-entropy with one value a prediction.
        devices: a list, of which nothing is used.
        lr: peak learning rate; warmup: share of the steps that lead to it.

    Returns:
        The `TrainingLog` with the losses of every step. Prints the last
        losses and the sentence pairs a second.
    """
    net.train()
    trainer, log = adam(net, lr), TrainingLog(num_steps)
    for batch, trainer.lr in zip(log.watch(take(train_iter, num_steps)),
                                 rates(num_steps, lr, warmup)):
        mlm_l, nsp_l, l = _get_batch_loss_bert(net, loss, vocab_size, *batch)
        l.backward()
        trainer.step()
        log.add(mlm_l, nsp_l)
    net.train(False)
    log.report(devices)
    return log


def evaluate_bert(net, data_iter):
    """Masked-LM loss, next-sentence loss and accuracy over one epoch.

    Each is a mean over all prediction slots or all pairs, not over batches.

    Returns:
        Three floats: nats a word, nats a pair, a share.
    """
    net.train(False)
    sums = 0
    for batch in take(data_iter, len(data_iter)):
        check(pretraining_batch, *batch, vocab_size=net.encoder.vocab_size)
        *X, weights, mlm_Y, nsp_y = batch
        _, mlm_Y_hat, nsp_Y_hat = net(*X)
        mlm_l = tape.cross_entropy(mlm_Y_hat, mlm_Y).value * weights
        nsp_l = tape.cross_entropy(nsp_Y_hat, nsp_y).value
        right = nsp_Y_hat.value.argmax(1) == nsp_y
        sums = sums + np.array([mlm_l.sum(), weights.sum(), nsp_l.sum(),
                                right.sum(), len(nsp_y)])
    return means_of(sums)


def encode(net, pairs, vocab):
    """Encode sentences or pairs of sentences, in evaluation mode.

    Args:
        pairs: list of (tokens_a, tokens_b), tokens_b None for one sentence.

    Returns:
        (len(pairs), L, H) float32 array; rows are padded to the longest.
    """
    net.train(False)
    return net(*pad_inputs(pairs, vocab))[0].value


def word_logits(net, batch):
    """Logits of the words at a batch's prediction slots, in evaluation mode.

    Args:
        batch: as a loader gives it; its first four arrays are needed.

    Returns:
        (B, P, V) array.
    """
    net.train(False)
    return net(*batch[:4])[1].value


def get_bert_encoding(net, tokens_a, tokens_b=None, *, vocab):
    """Encode one sentence or one pair, in evaluation mode (d2l 15.10.2).

    Returns:
        (1, L, H): a vector for `<cls>`, each token and each `<sep>`.
    """
    return encode(net, [(tokens_a, tokens_b)], vocab)
