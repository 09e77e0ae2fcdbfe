"""What training calls: the same attention and the same loss, faster.

`fused_attention` is `dot_product_attention` with scale, mask and softmax in
one operation of MXNet, which passes over the hidden columns.

`fused_batch_loss` is the loss without the work that it does not need. The
last block computes the vectors of `<cls>` and of the prediction slots alone.
The slots of weight 0, which only pad the batch, are left out before the
projection onto the vocabulary, with a real one most of the work of
pretraining, and the logits are never reshaped, which in MXNet copies them.
The results are those of `_get_batch_loss_bert`, as tests check.
"""

import numpy
from mxnet import np, npx
from mxnet.gluon.loss import SoftmaxCELoss

from d2lbert.inputs import check_vocab_size


def fused_attention(F, Q, K, V, mask, scale, dropout):
    """`dot_product_attention`, which gives None for the weights.

    Args:
        mask: as there, in each row first the ones and then the zeros.
    """
    scores = F.npx.batch_dot(Q, K, transpose_b=True)
    if mask is None:
        weights = F.npx.softmax(scores, temperature=scale)
    else:  # MXNet's softmax takes a length for each row of scores
        rows = F.npx.arange_like(scores, axis=1)
        lens = (F.np.sum(mask, axis=2) + 0 * rows).astype("int32")
        weights = F.npx.softmax(
            scores, lens, use_length=True, temperature=scale)
    return F.npx.batch_dot(dropout(weights), V), None


def is_plain_cross_entropy(loss):
    """Whether loss is SoftmaxCELoss of labels and logits, unweighted."""
    return (type(loss) is SoftmaxCELoss and loss._sparse_label
            and not loss._from_logits and loss._axis == -1
            and loss._weight is None)


def fused_batch_loss(net, loss, vocab_size, tokens_X_shards,
                     segments_X_shards, valid_lens_x_shards,
                     pred_positions_X_shards, mlm_weights_X_shards,
                     mlm_Y_shards, nsp_y_shards):
    """`_get_batch_loss_bert` for our BERTModel and plain cross-entropy."""
    check_vocab_size(vocab_size, net.encoder.vocab_size)
    mlm_ls, nsp_ls, ls = [], [], []
    num_slots, num_pairs = count_slots_and_pairs(
        mlm_weights_X_shards, nsp_y_shards)
    for (tokens_X, segments_X, valid_lens_x, pred_positions_X,
         mlm_weights_X, mlm_Y, nsp_y) in zip(
            tokens_X_shards, segments_X_shards, valid_lens_x_shards,
            pred_positions_X_shards, mlm_weights_X_shards, mlm_Y_shards,
            nsp_y_shards):
        positions = np.pad(pred_positions_X, ((0, 0), (1, 0)))
        encoded_X = net.encoder(  # <cls> is at position 0
            tokens_X, segments_X, valid_lens_x.reshape(-1), positions)
        at, labels, shares = _used_slots(mlm_weights_X, mlm_Y, num_slots)
        per_slot = loss(net.mlm.mlp(npx.gather_nd(encoded_X, at)), labels)
        mlm_ls.append((per_slot * shares.astype(per_slot.dtype)).sum())
        nsp_Y_hat = net.nsp(net.hidden(encoded_X[:, 0]))
        nsp_ls.append(loss(nsp_Y_hat, nsp_y).sum() / num_pairs)
        ls.append(mlm_ls[-1] + nsp_ls[-1])
    return mlm_ls, nsp_ls, ls


def count_slots_and_pairs(mlm_weights_X_shards, nsp_y_shards):
    """The slots of weight 1 and the pairs of all shards of a batch."""
    slots = sum(float(w.asnumpy().sum()) for w in mlm_weights_X_shards)
    return max(slots, 1e-8), sum(map(len, nsp_y_shards))


def _used_slots(mlm_weights_X, mlm_Y, num_slots):
    """The slots that count: their places (2, N), labels (N,), shares (N,).

    A place is a row and a column of what is computed, of which <cls> is the
    first.

    A share is that of a slot's weight in the num_slots of the batch. Where
    no slot counts there is one with share 0: MXNet has no empty arrays. Found
    on the host, from the batch alone, so that no step is waited for.
    """
    weights = mlm_weights_X.asnumpy()
    rows, slots = weights.nonzero()
    if not len(rows):
        rows = slots = numpy.array([0])
    shares = weights[rows, slots] / num_slots
    at = numpy.stack([rows, slots + 1])
    labels = mlm_Y.asnumpy()[rows, slots]
    return *(np.array(x, dtype="int32", ctx=mlm_Y.ctx)
             for x in (at, labels)), np.array(shares, ctx=mlm_Y.ctx)
