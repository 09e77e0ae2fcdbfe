"""BERT's forward pass in NumPy, for what a page needs when it is built.

L tokens of one sequence without padding, H hidden units.
"""

import numpy as np

from d2lbert.checkpoints.params import Params


def encode(params: Params, ids: np.ndarray, segments: np.ndarray,
           num_heads: int) -> np.ndarray:
    """The encoder's vectors of one sequence.

    Args:
        params: {name: array} of a `BERTModel`, in the precision wanted.
        ids, segments: (L,) integers.
        num_heads: of each block's attention.

    Returns:
        (L, H).
    """
    X = (params["encoder.token_embedding.weight"][ids]
         + params["encoder.segment_embedding.weight"][segments]
         + params["encoder.pos_embedding"][0, :len(ids)])
    i = 0
    while f"encoder.blks.{i}.ffn.dense1.weight" in params:
        X = _block(params, f"encoder.blks.{i}", X, num_heads)
        i += 1
    return X


def _block(p: Params, blk: str, X: np.ndarray, num_heads: int) -> np.ndarray:
    Q, K, V = (np.split(_dense(p, f"{blk}.attention.W_{name}", X),
                        num_heads, axis=1) for name in "qkv")
    read = [_softmax(q @ k.T / np.sqrt(k.shape[1])) @ v
            for q, k, v in zip(Q, K, V)]
    A = _dense(p, f"{blk}.attention.W_o", np.concatenate(read, axis=1))
    Y = _layer_norm(p, f"{blk}.addnorm1.ln", X + A)
    F = np.maximum(_dense(p, f"{blk}.ffn.dense1", Y), 0)
    F = _dense(p, f"{blk}.ffn.dense2", F)
    return _layer_norm(p, f"{blk}.addnorm2.ln", Y + F)


def _dense(p: Params, name: str, X: np.ndarray) -> np.ndarray:
    return X @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def _layer_norm(p: Params, name: str, X: np.ndarray) -> np.ndarray:
    X = X - X.mean(1, keepdims=True)
    X = X / np.sqrt((X ** 2).mean(1, keepdims=True) + 1e-5)
    return X * p[f"{name}.weight"] + p[f"{name}.bias"]


def _softmax(scores: np.ndarray) -> np.ndarray:
    e = np.exp(scores - scores.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)
