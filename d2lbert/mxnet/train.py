"""Pretraining BERT in MXNet and looking at what it learned (d2l 15.10)."""

from functools import partial

import numpy
from mxnet import context, cpu, gpu, np, optimizer, random
from mxnet.gluon import Trainer
from mxnet.gluon.loss import SoftmaxCELoss

from d2lbert.checks import check_rate
from d2lbert.data.batches import take
from d2lbert.data.pretraining import pad_inputs
from d2lbert.inputs import pretraining_batch
from d2lbert.mxnet.checkpoint import is_initialized
from d2lbert.mxnet.data import to_tensors
from d2lbert.mxnet.fast import (
    count_slots_and_pairs,
    fused_batch_loss,
    is_plain_cross_entropy,
)
from d2lbert.mxnet.inputs import check
from d2lbert.mxnet.model import BERTModel
from d2lbert.mxnet.parallel import Gradients, gradients_of, is_sized, total
from d2lbert.mxnet.resume import put_state, seed_step, state_arrays
from d2lbert.shown import is_edited
from d2lbert.training.logs import TrainingLog, means_of
from d2lbert.training.precision import single_precision
from d2lbert.training.schedules import rates
from d2lbert.training.workers import Workers, check_parts


def try_gpu(i=0):
    """The i-th GPU, or the CPU where there is none."""
    devices = try_all_gpus()
    return devices[i] if i < len(devices) else cpu()


def try_all_gpus():
    """All GPUs; [cpu] where there is none."""
    return [gpu(i) for i in range(context.num_gpus())] or [cpu()]


def cross_entropy():
    """The loss of both pretraining tasks."""
    return SoftmaxCELoss()


class Adam(optimizer.Adam):
    """Adam as in its paper, algorithm 1, and as in PyTorch.

    MXNet adds epsilon before the bias of the second moment is corrected,
    which makes the early steps smaller where gradients are tiny.
    """

    def update(self, index, weight, grad, state):
        """Update a weight; called by `gluon.Trainer`."""
        t = self._index_update_count.get(index, self.begin_num_update) + 1
        whole = self.epsilon
        self.epsilon = whole * (1 - self.beta2 ** t) ** 0.5
        super().update(index, weight, grad, state)
        self.epsilon = whole


def adam(net, lr):
    """A trainer of net's parameters, once they are initialized."""
    check_rate(lr)
    return Trainer(net.collect_params(), Adam(learning_rate=lr))


def precision_for(precision):
    """"float32", which is all that there is.

    Raises:
        ValueError: if something else was asked for.
    """
    return single_precision(precision, "MXNet 1.9.1 trains in float32")


def _get_batch_loss_bert(net, loss, vocab_size, tokens_X_shards,
                         segments_X_shards, valid_lens_x_shards,
                         pred_positions_X_shards, mlm_weights_X_shards,
                         mlm_Y_shards, nsp_y_shards):
    """Losses of a batch: masked LM, next sentence, and their sum.

    The arguments are lists with one shard of the batch a device, and so are
    the results, of which each is the shard's part: their sum over the devices
    is the loss of the batch. The masked-LM loss is the mean over the slots of
    weight 1; slots that only pad the batch get no gradient.

    Raises:
        ValueError: for what `d2lbert.inputs.pretraining_batch` refuses.
    """
    mlm_ls, nsp_ls, ls = [], [], []
    slots, pairs = count_slots_and_pairs(mlm_weights_X_shards, nsp_y_shards)
    for (tokens_X, segments_X, valid_lens_x, pred_positions_X,
         mlm_weights_X, mlm_Y, nsp_y) in zip(
            tokens_X_shards, segments_X_shards, valid_lens_x_shards,
            pred_positions_X_shards, mlm_weights_X_shards, mlm_Y_shards,
            nsp_y_shards):
        check(pretraining_batch, tokens_X, segments_X, valid_lens_x,
              pred_positions_X, mlm_weights_X, mlm_Y, nsp_y,
              vocab_size=vocab_size)
        _, mlm_Y_hat, nsp_Y_hat = net(
            tokens_X, segments_X, valid_lens_x.reshape(-1), pred_positions_X)
        weights = mlm_weights_X.reshape(-1).astype(mlm_Y_hat.dtype)
        per_slot = loss(
            mlm_Y_hat.reshape(-1, vocab_size), mlm_Y.reshape(-1))
        mlm_ls.append((per_slot * weights).sum() / slots)
        nsp_ls.append(loss(nsp_Y_hat, nsp_y).sum() / pairs)
        ls.append(mlm_ls[-1] + nsp_ls[-1])
    return mlm_ls, nsp_ls, ls


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
        loss: a cross-entropy, such as gluon.loss.SoftmaxCELoss().
        devices: list of devices; several share each batch.
        lr: peak learning rate; warmup: share of the steps that lead to it.
        seed: fixes the dropout, and the weights if they are new; None leaves
            MXNet's generator as it is, or is 0 with resume or workers.
        batch_loss: `_get_batch_loss_bert` or an edit of it; by default what
            is fastest for the same losses.
        precision: of products, "float32" or None.
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
    seed = 0 if seed is None and resume else workers.seed(seed)
    devices = workers.own(devices)
    set_seed(seed)
    place(net, devices)
    net.hybridize()
    loss.hybridize()
    batch_loss = batch_loss or fastest_loss(net, loss)
    precision = precision_for(precision)
    trainer, log = adam(net, lr), TrainingLog(num_steps, precision, workers)
    put_state(log.resume(
        resume, partial(state_arrays, net, trainer), train_iter, save_every,
        lr=lr, warmup=warmup, seed=seed, clip=clip), net, trainer)
    with Gradients(net, batch_loss, loss, vocab_size, devices, workers,
                   accumulate) as gradients:
        batches = log.watch(
            take(train_iter, num_steps, log.step, workers.part),
            partial(copy_weights, net))
        for batch, rate in zip(batches, steps[log.step:]):
            seed_step(seed, log.step, workers)
            batch = to_tensors(batch)
            check(pretraining_batch, *batch, vocab_size=vocab_size)
            mlm_l, nsp_l = gradients(batch)
            clip_gradients(gradients.parameters, clip)
            trainer.set_learning_rate(rate)
            # A batch loss may leave weights out, such as those of one task
            trainer.step(1, ignore_stale_grad=True)
            log.add(mlm_l, nsp_l, rate=rate)
    if log.diverged:
        put_weights(log.weights)
    log.report(devices)
    return log


def clip_gradients(parameters, max_norm):
    """Scale all gradients so that their common norm is max_norm at most.

    The gradient of a weight is the sum of what lies on several devices. Those
    left from an earlier step do not count. None for max_norm leaves all as
    they are.
    """
    if max_norm is None:
        return
    gradients = gradients_of(parameters, are_new=True)
    # Not np.linalg.norm, which is 1 % wrong for millions of numbers
    flat = [total(grads).reshape_view(-1) for grads in gradients]
    norm = np.stack([np.dot(grad, grad) for grad in flat]).sum() ** 0.5
    scale = max_norm / (norm.clip(max_norm, None) + 1e-6)
    scales = [scale.as_in_ctx(grad.ctx) for grad in gradients[0]]
    for grads in gradients:
        for grad, scale in zip(grads, scales):
            grad *= scale


def set_seed(seed):
    """Fix what MXNet draws from now on; None changes nothing."""
    if seed is not None:
        random.seed(seed)


def copy_weights(net):
    """The weights of net as they are now, as `put_weights` takes them.

    Those that a first input still has to give a size are left out.
    """
    return {parameter: parameter.list_data()[0].copy()
            for parameter in net.collect_params().values()
            if is_sized(parameter)}


def put_weights(weights):
    """Make the weights what they were when they were copied."""
    for parameter, array in weights.items():
        parameter.set_data(array)


def place(net, devices):
    """Move net to devices, or initialize it there."""
    if is_initialized(net):
        net.collect_params().reset_ctx(devices)
    else:
        net.initialize(ctx=devices)


def devices_of(net):
    """The devices where net is, a list."""
    return next(iter(net.collect_params().values())).list_ctx()


def evaluate_bert(net, data_iter):
    """Masked-LM loss, next-sentence loss and accuracy over one epoch.

    Each is a mean over all prediction slots or all pairs, not over batches.

    Returns:
        Three floats: nats a word, nats a pair, a share.
    """
    loss, device, sums = SoftmaxCELoss(), devices_of(net)[0], 0
    for batch in take(data_iter, len(data_iter)):
        batch = to_tensors(batch)
        check(pretraining_batch, *batch, vocab_size=net.encoder.vocab_size)
        *X, weights, mlm_Y, nsp_y = (x.as_in_ctx(device) for x in batch)
        _, mlm_Y_hat, nsp_Y_hat = net(*X)
        mlm_l = loss(mlm_Y_hat, mlm_Y, np.expand_dims(weights, 2))
        nsp_l = loss(nsp_Y_hat, nsp_y)
        right = nsp_Y_hat.argmax(1).astype(nsp_y.dtype) == nsp_y
        # A SoftmaxCELoss is a mean over an example's slots
        sums = sums + numpy.array([
            float(mlm_l.sum()) * weights.shape[1], float(weights.sum()),
            float(nsp_l.sum()), float(right.sum()), len(nsp_y)])
    return means_of(sums)


def encode(net, pairs, vocab):
    """Encode sentences or pairs of sentences, in evaluation mode.

    Args:
        pairs: list of (tokens_a, tokens_b), tokens_b None for one sentence.

    Returns:
        (len(pairs), L, H) array; rows are padded to the longest.
    """
    inputs = (np.array(x, ctx=devices_of(net)[0])
              for x in pad_inputs(pairs, vocab))
    return net(*inputs)[0].asnumpy()


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
    inputs = (x.as_in_ctx(devices_of(net)[0]) for x in to_tensors(batch[:4]))
    return net(*inputs)[1].asnumpy()


def get_bert_encoding(net, tokens_a, tokens_b=None, *, vocab):
    """Encode one sentence or one pair, in evaluation mode (d2l 15.10.2).

    Returns:
        (1, L, H): a vector for `<cls>`, each token and each `<sep>`.
    """
    return np.array(encode(net, [(tokens_a, tokens_b)], vocab))
