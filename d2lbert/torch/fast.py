"""What training calls: the same dropout, attention and loss, faster.

`Dropout` asks for a random byte a number where PyTorch's own asks for eight.

`fused_attention` is `dot_product_attention` in one pass over the keys, by
PyTorch itself.

`fused_batch_loss` is the loss without the work that it does not need. The
last block computes the vectors of `<cls>` and of the prediction slots alone.
And the (slots, V) arrays of the masked LM, with a real vocabulary most of the
memory traffic of pretraining, are never there as a whole: a few hundred slots
at a time are projected onto the vocabulary, and the gradient is taken at
once, while the logits are still in the cache. The results are those of
`_get_batch_loss_bert`, as tests check.
"""

from contextlib import nullcontext

import torch
from torch import nn
from torch.nn import functional as F

from d2lbert.inputs import check_vocab_size
from d2lbert.training.precision import ROWS, choose_precision

CHUNK = 256  # slots projected at a time


class Dropout(nn.Dropout):
    """Inverted dropout; on a CPU the rate counts in steps of 1/256."""

    def forward(self, X):
        """Any shape -> the same shape."""
        if not self.draws_bytes(X):
            return super().forward(X)
        dropped = min(round(256 * self.p), 255)
        words = torch.empty(-(-X.numel() // 8), dtype=torch.int64)
        dice = words.random_(-2**63, None).view(torch.uint8)[:X.numel()]
        kept = (dice >= dropped).view(X.shape).to(X.dtype)
        return X * kept.mul_(256 / (256 - dropped))

    def draws_bytes(self, X):
        """Whether a call on X drops anything, on the CPU."""
        return self.training and self.p > 0 and X.device.type == "cpu"


def fused_attention(Q, K, V, mask, dropout):
    """`dot_product_attention`, which gives None for the weights."""
    return F.scaled_dot_product_attention(
        Q, K, V, attn_mask=mask,
        dropout_p=dropout.p if dropout.training else 0.0), None


class _ProjectedCrossEntropy(torch.autograd.Function):
    """sum_n w_n · cross-entropy(X_n W^T + b, y_n), chunk by chunk.

    X (N, H), W (V, H), b (V,), y (N,), w (N,) -> a scalar. Gradients flow to
    X, W and b. The products are of type `products`, the sums of w's.
    """

    @staticmethod
    def forward(ctx, X, W, b, y, w, products):
        total = w.new_zeros(())
        dW, db = (torch.zeros_like(a, dtype=w.dtype) for a in (W, b))
        X, W, b = (a.to(products) for a in (X, W, b))
        dX = torch.empty_like(X)
        room = X.new_empty(min(CHUNK, len(X)), len(W))  # used again and again
        for start in range(0, len(X), CHUNK):
            rows = slice(start, start + CHUNK)
            index, weight = y[rows, None], w[rows, None]
            logits = torch.addmm(b, X[rows], W.T, out=room[:len(index)])
            right, top = logits.gather(1, index), logits.amax(1, True)
            probs = torch.softmax(logits, 1, out=logits)
            norm = top - probs.amax(1, True).to(w.dtype).log()
            total += ((norm - right) * weight).sum()
            # From here on that of the logits, but for their weights
            grad = probs.scatter_add_(1, index, -torch.ones_like(right))
            torch.mm(grad, W, out=dX[rows]).mul_(weight)
            weighted = X[rows] * weight.to(X.dtype)
            add_product(dW, grad.T, weighted)
            db += grad.T @ weight[:, 0].to(X.dtype)
        ctx.save_for_backward(dX, dW, db)
        return total

    @staticmethod
    def backward(ctx, grad_output):
        return *(grad_output * g for g in ctx.saved_tensors), None, None, None


def add_product(total, A, B):
    """total += A @ B, where the product may have fewer digits."""
    if total.dtype == A.dtype:
        total.addmm_(A, B)
    else:
        total += A @ B


def is_plain_cross_entropy(loss):
    """Whether loss is nn.CrossEntropyLoss without weights or smoothing."""
    return (type(loss) is nn.CrossEntropyLoss and loss.weight is None
            and loss.label_smoothing == 0 and loss.ignore_index < 0)


def fused_batch_loss(net, loss, vocab_size, tokens_X, segments_X,
                     valid_lens_x, pred_positions_X, mlm_weights_X, mlm_Y,
                     nsp_y):
    """`_get_batch_loss_bert` for our BERTModel and plain cross-entropy."""
    check_vocab_size(vocab_size, net.encoder.vocab_size)
    positions = F.pad(pred_positions_X, (1, 0))  # <cls> is at position 0
    encoded_X = net.encoder(
        tokens_X, segments_X, valid_lens_x.reshape(-1), positions)
    rows, slots = mlm_weights_X.nonzero(as_tuple=True)
    *body, projection = net.mlm.mlp
    X = encoded_X[rows, slots + 1]
    for layer in body:
        X = layer(X)
    mlm_l = projected_loss(X, projection, mlm_Y[rows, slots],
                           mlm_weights_X[rows, slots])
    nsp_Y_hat = net.nsp(net.hidden(encoded_X[:, 0]))
    nsp_l = loss(nsp_Y_hat, nsp_y).mean()
    return mlm_l, nsp_l, mlm_l + nsp_l


def projected_loss(X, projection, y, weights):
    """The mean cross-entropy of a linear layer's outputs, by weight.

    Args:
        X: (N, H); y: (N,) labels; weights: (N,), their sum is divided by.

    Under autocast the products are of its type, and all sums of 32 bits.
    """
    device, W, b = X.device.type, projection.weight, projection.bias
    dtype = torch.promote_types(W.dtype, torch.float32)
    products = (torch.get_autocast_dtype(device)
                if torch.is_autocast_enabled(device) else dtype)
    with torch.autocast(device, enabled=False):
        return _ProjectedCrossEntropy.apply(
            X, W, b, y, (weights / weights.sum()).to(dtype), products)


def precision_for(net, precision, device):
    """"float32" or "bfloat16": what was asked for, or for None the faster.

    Raises:
        ValueError: for another precision.
    """
    def product(inputs, outputs, precision):
        dtype = getattr(torch, precision)
        X, W = (torch.ones(shape, dtype=dtype, device=device)
                for shape in ((ROWS, inputs), (inputs, outputs)))
        Y = X @ W
        return lambda: torch.mm(X, W, out=Y)[0, 0].item()

    layers = (m for m in net.modules() if isinstance(m, nn.Linear))
    shapes = [(m.in_features, m.out_features) for m in layers]
    return choose_precision(precision, shapes, product, device)


def products_in(precision, device):
    """Inside, matrices are multiplied in this precision."""
    return (torch.autocast(device.type, torch.bfloat16)
            if precision == "bfloat16" else nullcontext())
