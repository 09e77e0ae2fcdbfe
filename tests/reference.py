"""BERT's forward pass and losses in plain NumPy, float64: the yardstick.

Written from the paper (Devlin et al., 2019; Vaswani et al., 2017), as
plainly as it can be, for {name: array} under d2l's PyTorch names.
"""

import numpy as np


def dense(p, name, X):
    return X @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def layer_norm(p, name, X):
    mean, var = X.mean(-1, keepdims=True), X.var(-1, keepdims=True)
    return (X - mean) / np.sqrt(var + 1e-5) * p[f"{name}.weight"] + p[
        f"{name}.bias"]


def softmax(X):
    e = np.exp(X - X.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def attention(p, name, X, valid_lens, num_heads):
    B, L, H = X.shape

    def heads(projection):
        Y = dense(p, f"{name}.W_{projection}", X)
        return Y.reshape(B, L, num_heads, -1).transpose(0, 2, 1, 3)

    Q, K, V = heads("q"), heads("k"), heads("v")
    scores = Q @ K.transpose(0, 1, 3, 2) / np.sqrt(H / num_heads)
    hidden = np.arange(L) >= valid_lens[:, None, None, None]
    weights = softmax(np.where(hidden, -np.inf, scores))
    out = (weights @ V).transpose(0, 2, 1, 3).reshape(B, L, H)
    return dense(p, f"{name}.W_o", out)


def encode(p, tokens, segments, valid_lens, num_heads):
    """The output of each attention and each block, in order, (B, L, H)."""
    X = (p["encoder.token_embedding.weight"][tokens]
         + p["encoder.segment_embedding.weight"][segments]
         + p["encoder.pos_embedding"][:, :tokens.shape[1]])
    layers, i = [], 0
    while f"encoder.blks.{i}.attention.W_q.weight" in p:
        blk = f"encoder.blks.{i}"
        A = attention(p, f"{blk}.attention", X, valid_lens, num_heads)
        Y = layer_norm(p, f"{blk}.addnorm1.ln", X + A)
        F = np.maximum(dense(p, f"{blk}.ffn.dense1", Y), 0)
        F = dense(p, f"{blk}.ffn.dense2", F)
        X = layer_norm(p, f"{blk}.addnorm2.ln", Y + F)
        layers += [A, X]
        i += 1
    return layers


def heads(p, encoded, positions):
    """Masked-LM logits (B, P, V) and next-sentence logits (B, 2)."""
    X = np.take_along_axis(encoded, positions[..., None], axis=1)
    X = np.maximum(dense(p, "mlm.mlp.0", X), 0)
    mlm = dense(p, "mlm.mlp.3", layer_norm(p, "mlm.mlp.2", X))
    cls = np.tanh(dense(p, "hidden.0", encoded[:, 0]))
    return mlm, dense(p, "nsp.output", cls)


def cross_entropy(logits, labels):
    log_p = np.log(softmax(logits))
    return -np.take_along_axis(log_p, labels[..., None], axis=-1)[..., 0]


def losses(p, batch, num_heads):
    """Masked-LM loss (mean over weight 1), next-sentence loss."""
    p = {name: array.astype(np.float64) for name, array in p.items()}
    tokens, segments, valid_lens, positions, weights, labels, nsp_y = batch
    encoded = encode(p, tokens, segments, valid_lens, num_heads)[-1]
    mlm, nsp = heads(p, encoded, positions)
    mlm_l = (cross_entropy(mlm, labels) * weights).sum() / weights.sum()
    return mlm_l, cross_entropy(nsp, nsp_y).mean()
