"""What training calls: the same normalisation, attention and loss, faster.

MXNet is slow on a CPU where it adds up along an axis, which is what LayerNorm
and broadcasting do on the way back, and fast in matrix products. So
`LayerNorm` and `repeat_rows` do both by products with ones.

`fused_attention` is `dot_product_attention` with scale, mask and softmax in
one operation of MXNet, which passes over the hidden columns.

`fused_batch_loss` is the loss without the work that it does not need. The
last block computes the vectors of `<cls>` and of the prediction slots alone.
The slots of weight 0, which only pad the batch, are left out. And the
(slots, V) arrays of the masked LM, with a real vocabulary most of the memory
traffic of pretraining, are never there as a whole: a few hundred slots at a
time are projected onto the vocabulary, and the gradient is taken at once, in
arrays that are used again. The results are those of `_get_batch_loss_bert`,
as tests check.
"""

import numpy
from mxnet import autograd, np, npx
from mxnet.gluon import nn
from mxnet.gluon.loss import SoftmaxCELoss

from d2lbert.inputs import check_vocab_size

CHUNK = 384  # slots projected at a time


class LayerNorm(nn.LayerNorm):
    """MXNet's LayerNorm over the last axis, the gradient faster.

    Until the first input has told the size it is MXNet's own.
    """

    def hybrid_forward(self, F, data, gamma, beta):
        """(..., H), (H,), (H,) -> (..., H)."""
        H = self.gamma.shape[0]
        if H <= 0:
            return super().hybrid_forward(F, data, gamma, beta)
        ones = F.npx.reshape(F.np.ones_like(gamma), (1, -1))
        means = _product(F, data, ones / H, 1)
        X = data - _product(F, means, F.np.transpose(ones), H)
        # Divides by the root of a sum, where LayerNorm has a mean
        X = F.L2Normalization(F.npx.reshape(X, (-1, H)).as_nd_ndarray(),
                              eps=H * self._epsilon).as_np_ndarray()
        scale, shift = (
            _product(F, F.np.ones_like(means), F.npx.reshape(x, (-1, 1)), H)
            for x in (gamma * H**0.5, beta))
        return F.npx.reshape_like(X, data) * scale + shift


def _product(F, X, W, num_outputs):
    """(..., num_inputs), (num_outputs, num_inputs) -> (..., num_outputs)."""
    return F.npx.fully_connected(
        X, W, num_hidden=num_outputs, no_bias=True, flatten=False)


def repeat_rows(X, num_rows):
    """(1, ...) -> (num_rows, ...), the one row again and again."""
    ones = np.ones((num_rows, 1), dtype=X.dtype, ctx=X.ctx)
    return npx.fully_connected(
        ones, X.reshape(-1, 1), num_hidden=X.size, no_bias=True
    ).reshape(num_rows, *X.shape[1:])


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
        *body, projection = net.mlm.mlp
        X = npx.gather_nd(encoded_X, at)
        for layer in body:
            X = layer(X)
        mlm_ls.append(projected_loss(X, projection, labels, shares))
        nsp_Y_hat = net.nsp(net.hidden(encoded_X[:, 0]))
        nsp_ls.append(loss(nsp_Y_hat, nsp_y).sum() / num_pairs)
        ls.append(mlm_ls[-1] + nsp_ls[-1])
    return mlm_ls, nsp_ls, ls


def projected_loss(X, projection, y, shares):
    """The cross-entropy of a Dense layer's outputs, a sum by shares.

    Args:
        X: (N, H); y: (N,) labels; shares: (N,).
    """
    arrays = X, projection.weight.data(X.ctx), projection.bias.data(X.ctx)
    with autograd.pause():
        loss, grads = _projected_cross_entropy(
            *(a.detach() for a in arrays), y, shares.astype(X.dtype))
    # A scalar that is 0 and has these gradients; an autograd.Function would
    # write none where grad_req is "add"
    inner = sum(np.dot(a.reshape_view(-1), grad.reshape_view(-1))
                for a, grad in zip(arrays, grads))
    return loss + (inner - inner.detach())


def _projected_cross_entropy(X, W, b, y, w):
    """sum_n w_n · cross-entropy(X_n W^T + b, y_n), chunk by chunk.

    X (N, H), W (V, H), b (V,), y (N,), w (N,) -> a scalar and its gradients
    with regard to X, W and b.
    """
    total, dX, dW, db = 0, *(np.zeros_like(a) for a in (X, W, b))
    autograd.mark_variables([W, b], [dW, db], "add")
    # Used again and again. MXNet's own ways back from log-softmax and product
    # are faster than what one could write, so these two are recorded
    shape = min(CHUNK, len(X)), len(W)
    logits, dlogits, dlogp = (
        make(shape, dtype=X.dtype, ctx=X.ctx)
        for make in (np.empty, np.empty, np.zeros))
    for start in range(0, len(X), CHUNK):
        rows = slice(start, start + CHUNK)
        x, label, weight = X[rows], y[rows], w[rows]
        part = slice(len(x))
        at = np.arange(len(x), dtype="int32", ctx=X.ctx), label
        autograd.mark_variables([x], [dX[rows]])
        with autograd.record():
            projected = npx.fully_connected(
                x, W, b, num_hidden=len(W), flatten=False, out=logits[part])
        Z = logits[part]
        autograd.mark_variables([Z], [dlogits[part]])
        with autograd.record():
            logp = npx.log_softmax(Z, axis=-1, out=logits[part])
        total = total - (npx.pick(logp, label) * weight).sum()
        dlogp[at] = -weight
        logp.backward(dlogp[part])
        dlogp[at] = 0
        projected.backward(dlogits[part])
    return total, (dX, dW, db)


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
