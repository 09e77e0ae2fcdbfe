"""What training calls: the same attention and the same loss, faster.

`fused_attention` is `dot_product_attention` in one pass over the keys, by
PyTorch itself.

`fused_batch_loss` is the loss without the (slots, V) arrays of the masked
LM. With a real vocabulary most of the memory traffic of pretraining is the
logits, their softmax and their gradients. Here a few hundred slots at a time
are projected onto the vocabulary, and the gradient is taken at once, while
the logits are still in the cache. The results are those of
`_get_batch_loss_bert`, as tests check.
"""

import torch
from torch import nn
from torch.nn import functional as F

from d2lbert.inputs import check_vocab_size

CHUNK = 256  # slots projected at a time


def fused_attention(Q, K, V, mask, dropout):
    """`dot_product_attention`, which gives None for the weights."""
    return F.scaled_dot_product_attention(
        Q, K, V, attn_mask=mask,
        dropout_p=dropout.p if dropout.training else 0.0), None


class _ProjectedCrossEntropy(torch.autograd.Function):
    """sum_n w_n · cross-entropy(X_n W^T + b, y_n), chunk by chunk.

    X (N, H), W (V, H), b (V,), y (N,), w (N,) -> a scalar. Gradients flow to
    X, W and b.
    """

    @staticmethod
    def forward(ctx, X, W, b, y, w):
        total, dX, dW, db = X.new_zeros(()), *map(torch.zeros_like, (X, W, b))
        room = X.new_empty(min(CHUNK, len(X)), len(W))  # used again and again
        for start in range(0, len(X), CHUNK):
            rows = slice(start, start + CHUNK)
            index, weight = y[rows, None], w[rows, None]
            logits = torch.addmm(b, X[rows], W.T, out=room[:len(index)])
            right, top = logits.gather(1, index), logits.amax(1, True)
            exps = logits.sub_(top).exp_()
            norm = exps.sum(1, keepdim=True)
            total += ((top + norm.log() - right) * weight).sum()
            grad = exps.mul_(weight / norm).scatter_add_(1, index, -weight)
            torch.mm(grad, W, out=dX[rows])
            dW.addmm_(grad.T, X[rows])
            db += grad.sum(0)
        ctx.save_for_backward(dX, dW, db)
        return total

    @staticmethod
    def backward(ctx, grad_output):
        return *(grad_output * g for g in ctx.saved_tensors), None, None


def is_plain_cross_entropy(loss):
    """Whether loss is nn.CrossEntropyLoss without weights or smoothing."""
    return (type(loss) is nn.CrossEntropyLoss and loss.weight is None
            and loss.label_smoothing == 0 and loss.ignore_index < 0)


def fused_batch_loss(net, loss, vocab_size, tokens_X, segments_X,
                     valid_lens_x, pred_positions_X, mlm_weights_X, mlm_Y,
                     nsp_y):
    """`_get_batch_loss_bert` for our BERTModel and plain cross-entropy."""
    check_vocab_size(vocab_size, net.encoder.vocab_size)
    encoded_X = net.encoder(
        tokens_X, segments_X, valid_lens_x.reshape(-1))
    rows, slots = mlm_weights_X.nonzero(as_tuple=True)
    *body, projection = net.mlm.mlp
    X = encoded_X[rows, pred_positions_X[rows, slots]]
    for layer in body:
        X = layer(X)
    weights = mlm_weights_X[rows, slots]
    # As cross-entropy does under autocast: in 32 bits or more
    dtype = torch.promote_types(projection.weight.dtype, torch.float32)
    with torch.autocast(X.device.type, enabled=False):
        mlm_l = _ProjectedCrossEntropy.apply(
            X.to(dtype), projection.weight.to(dtype),
            projection.bias.to(dtype), mlm_Y[rows, slots],
            (weights / weights.sum()).to(dtype))
    nsp_Y_hat = net.nsp(net.hidden(encoded_X[:, 0]))
    nsp_l = loss(nsp_Y_hat, nsp_y).mean()
    return mlm_l, nsp_l, mlm_l + nsp_l
