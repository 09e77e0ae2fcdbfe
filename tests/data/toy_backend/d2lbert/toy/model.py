"""BERT in NumPy, in d2l's names (d2l 15.8; Devlin et al., 2019).

B = batch size, L = sequence length, H = num_hiddens, P = number of
prediction slots, V = vocab_size.
"""

import numpy as np

from d2lbert.checks import check_heads
from d2lbert.inputs import encoder_inputs, prediction_slots
from d2lbert.toy.fast import fused_attention
from d2lbert.toy.inputs import check
from d2lbert.toy.tape import Tensor, relu, softmax, standardize, tanh

rng = np.random.default_rng(0)


def init_weights(*shape):
    """N(0, 0.02), as Google's BERT code starts every matrix."""
    return Tensor(rng.normal(0, 0.02, shape).astype(np.float32))


def vector(size, number):
    """A bias or the scale of a layer norm, the same number everywhere."""
    return Tensor(np.full(size, number, np.float32))


def walk(part, *path):
    """(path, part) of a part of a net, and of all that is in it."""
    yield path, part
    children = (enumerate(part) if isinstance(part, list)
                else vars(part).items() if isinstance(part, Module) else ())
    for name, child in children:
        yield from walk(child, *path, str(name))


class Module:
    """A part of a net that has weights, or parts that have some.

    Attributes:
        is_training: whether dropout is on.
    """
    is_training = False

    def __call__(self, *inputs):
        return self.forward(*inputs)

    def train(self, is_training=True):
        """Turn dropout on or off, in all parts."""
        for _, part in walk(self):
            if isinstance(part, Module):
                part.is_training = is_training

    def named_parameters(self):
        """{path: Tensor}, such as 'encoder/blks/0/attention/W_q/weight'."""
        return {"/".join(path): part for path, part in walk(self)
                if isinstance(part, Tensor)}


class Dense(Module):

    def __init__(self, num_inputs, num_outputs, use_bias=True):
        self.weight = init_weights(num_outputs, num_inputs)
        self.bias = vector(num_outputs, 0) if use_bias else None

    def forward(self, X):
        Y = X @ self.weight.swapaxes(0, 1)
        return Y if self.bias is None else Y + self.bias


class Embedding(Module):

    def __init__(self, num_rows, num_hiddens):
        self.weight = init_weights(num_rows, num_hiddens)

    def forward(self, ids):
        return self.weight[ids]


class LayerNorm(Module):

    def __init__(self, num_hiddens):
        self.weight, self.bias = vector(num_hiddens, 1), vector(num_hiddens, 0)

    def forward(self, X):
        return standardize(X, 1e-5) * self.weight + self.bias


class Dropout(Module):

    def __init__(self, rate):
        self.rate = rate

    def forward(self, X):
        if not self.is_training or self.rate == 0:
            return X
        kept = rng.random(X.shape, np.float32) >= self.rate
        return X * (kept.astype(np.float32) / (1 - self.rate))


class Sequential(Module, list):
    """Layers and functions, one after the other."""

    def forward(self, X):
        for layer in self:
            X = layer(X)
        return X


def dot_product_attention(Q, K, V, mask, dropout):
    """Scaled dot-product attention (Vaswani et al., 2017, 3.2.1).

    Args:
        Q, K, V: (B, num_heads, L, H / num_heads).
        mask: (B, 1, 1, L), True where a key may be seen; None for everywhere.
        dropout: of the weights.

    Returns:
        (B, num_heads, L, H / num_heads), and the weights (B, num_heads, L,
        L) before dropout.
    """
    scores = Q @ K.swapaxes(-1, -2) / Q.shape[-1] ** 0.5
    if mask is not None:
        scores = scores + np.where(mask, np.float32(0), np.float32(-np.inf))
    weights = softmax(scores)
    return dropout(weights) @ V, weights


def padding_mask(valid_lens, keys):
    """True where a key may be seen; None for everywhere.

    Args:
        valid_lens: (B,) or None.
        keys: (B, L, any).

    Returns:
        (B, 1, 1, L).
    """
    if valid_lens is None:
        return None
    return (np.arange(keys.shape[1]) < valid_lens[:, None])[:, None, None]


class MultiHeadAttention(Module):
    """Scaled dot-product attention in num_heads subspaces (d2l 11.5).

    Attributes:
        keep_weights: whether a call leaves its attention_weights.
        attention_weights: (B, num_heads, L, L) of the last call, or None.
    """

    def __init__(self, num_hiddens, num_heads, dropout, bias=False):
        check_heads(num_hiddens, num_heads)
        self.num_heads, self.dropout = num_heads, Dropout(dropout)
        self.keep_weights, self.attention_weights = False, None
        self.W_q, self.W_k, self.W_v, self.W_o = (
            Dense(num_hiddens, num_hiddens, bias) for _ in range(4))

    def forward(self, queries, keys, values, valid_lens):
        """(B, L, H) three times, (B,) or None -> (B, L, H)."""
        attend = (dot_product_attention if self.keep_weights
                  else fused_attention)
        out, weights = attend(
            self.split(self.W_q(queries)), self.split(self.W_k(keys)),
            self.split(self.W_v(values)), padding_mask(valid_lens, keys),
            self.dropout)
        self.attention_weights = weights and weights.value
        return self.W_o(out.swapaxes(1, 2).reshape(*queries.shape))

    def split(self, X):
        """(B, L, H) -> (B, num_heads, L, H / num_heads)."""
        return X.reshape(*X.shape[:2], self.num_heads, -1).swapaxes(1, 2)


class AddNorm(Module):
    """Residual connection, then layer normalisation (d2l 11.7.3)."""

    def __init__(self, norm_shape, dropout):
        self.dropout, self.ln = Dropout(dropout), LayerNorm(norm_shape)

    def forward(self, X, Y):
        """LayerNorm(X + dropout(Y)), all (B, L, H)."""
        return self.ln(X + self.dropout(Y))


class PositionWiseFFN(Module):
    """The same two-layer network at every position (d2l 11.7.2)."""

    def __init__(self, ffn_num_hiddens, ffn_num_outputs):
        self.dense1 = Dense(ffn_num_outputs, ffn_num_hiddens)
        self.dense2 = Dense(ffn_num_hiddens, ffn_num_outputs)

    def forward(self, X):
        """(B, L, H) -> (B, L, H)."""
        return self.dense2(relu(self.dense1(X)))


class TransformerEncoderBlock(Module):
    """Attention and feed-forward, each followed by add & norm (d2l 11.7)."""

    def __init__(self, num_hiddens, ffn_num_hiddens, num_heads, dropout,
                 use_bias=False):
        self.attention = MultiHeadAttention(
            num_hiddens, num_heads, dropout, use_bias)
        self.addnorm1 = AddNorm(num_hiddens, dropout)
        self.ffn = PositionWiseFFN(ffn_num_hiddens, num_hiddens)
        self.addnorm2 = AddNorm(num_hiddens, dropout)

    def forward(self, X, valid_lens):
        """(B, L, H), (B,) or None -> (B, L, H)."""
        Y = self.addnorm1(X, self.attention(X, X, X, valid_lens))
        return self.addnorm2(Y, self.ffn(Y))


class BERTEncoder(Module):
    """BERT encoder."""

    def __init__(self, vocab_size, num_hiddens, ffn_num_hiddens, num_heads,
                 num_blks, dropout, max_len=1000):
        self.vocab_size, self.max_len = vocab_size, max_len
        self.token_embedding = Embedding(vocab_size, num_hiddens)
        self.segment_embedding = Embedding(2, num_hiddens)
        self.pos_embedding = init_weights(1, max_len, num_hiddens)
        self.blks = [TransformerEncoderBlock(
            num_hiddens, ffn_num_hiddens, num_heads, dropout, True)
            for _ in range(num_blks)]

    def forward(self, tokens, segments, valid_lens):
        """Token ids (B, L), segment ids (B, L), (B,) or None -> (B, L, H).

        Raises:
            ValueError: for what `d2lbert.inputs.encoder_inputs` refuses.
        """
        check(encoder_inputs, tokens, segments, valid_lens,
              vocab_size=self.vocab_size, max_len=self.max_len)
        X = self.token_embedding(tokens) + self.segment_embedding(segments)
        X = X + self.pos_embedding[:, :X.shape[1]]
        for blk in self.blks:
            X = blk(X, valid_lens)
        return X


class MaskLM(Module):
    """The masked language model task of BERT."""

    def __init__(self, vocab_size, num_hiddens):
        self.mlp = Sequential([
            Dense(num_hiddens, num_hiddens), relu, LayerNorm(num_hiddens),
            Dense(num_hiddens, vocab_size)])

    def forward(self, X, pred_positions):
        """Encodings (B, L, H), positions (B, P) -> logits (B, P, V)."""
        check(prediction_slots, pred_positions, shape=X.shape[:2])
        rows = np.arange(X.shape[0])[:, None]
        return self.mlp(X[rows, pred_positions])


class NextSentencePred(Module):
    """The next sentence prediction task of BERT."""

    def __init__(self, num_hiddens):
        self.output = Dense(num_hiddens, 2)

    def forward(self, X):
        """Vectors (B, H) -> logits (B, 2): not next, next."""
        return self.output(X)


class BERTModel(Module):
    """The BERT model: encoder and the two pretraining tasks."""

    def __init__(self, vocab_size, num_hiddens, ffn_num_hiddens, num_heads,
                 num_blks, dropout, max_len=1000):
        self.encoder = BERTEncoder(
            vocab_size, num_hiddens, ffn_num_hiddens, num_heads, num_blks,
            dropout, max_len)
        self.hidden = Sequential([Dense(num_hiddens, num_hiddens), tanh])
        self.mlm = MaskLM(vocab_size, num_hiddens)
        self.nsp = NextSentencePred(num_hiddens)

    def forward(self, tokens, segments, valid_lens=None,
                pred_positions=None):
        """Encode and predict.

        Args:
            tokens, segments: (B, L) integers; valid_lens: (B,) or None.
            pred_positions: (B, P) positions to predict, or None.

        Returns:
            encoded_X (B, L, H), mlm_Y_hat (B, P, V) or None without
            positions, nsp_Y_hat (B, 2).
        """
        encoded_X = self.encoder(tokens, segments, valid_lens)
        mlm_Y_hat = None
        if pred_positions is not None:
            mlm_Y_hat = self.mlm(encoded_X, pred_positions)
        # The vector of <cls>, at position 0, stands for the whole sequence
        nsp_Y_hat = self.nsp(self.hidden(encoded_X[:, 0]))
        return encoded_X, mlm_Y_hat, nsp_Y_hat
