"""BERT in PyTorch, in d2l's names (d2l 15.8; Devlin et al., 2019).

B = batch size, L = sequence length, H = num_hiddens, P = number of
prediction slots, V = vocab_size.
"""

import torch
from torch import nn
from torch.nn import functional as F

from d2lbert.checks import check_heads
from d2lbert.inputs import encoder_inputs, key_lengths, prediction_slots
from d2lbert.torch.fast import Dropout, fused_attention
from d2lbert.torch.inputs import check


def init_weights(module):
    """N(0, 0.02) for every matrix, 0 for biases (Google's BERT code)."""
    if isinstance(module, LazyLinear) and module.has_uninitialized_params():
        return  # it will come back with its first input
    if isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


class LazyLinear(nn.LazyLinear):
    """A linear layer that learns its input size from its first input."""

    def reset_parameters(self):
        if self.in_features:
            init_weights(self)


def linear(num_outputs, num_inputs=None, bias=True):
    """A linear layer; without num_inputs the first input decides it."""
    if num_inputs is None:
        return LazyLinear(num_outputs, bias)
    return nn.Linear(num_inputs, num_outputs, bias)


def dot_product_attention(Q, K, V, mask, dropout):
    """Scaled dot-product attention (Vaswani et al., 2017, 3.2.1).

    Args:
        Q, K, V: (B, num_heads, L, H / num_heads).
        mask: (B, 1, 1 or L, L), True where a key may be seen; None for
            everywhere.
        dropout: of the weights.

    Returns:
        (B, num_heads, L, H / num_heads), and the weights (B, num_heads, L,
        L) before dropout.
    """
    scores = Q @ K.transpose(-2, -1) / Q.shape[-1] ** 0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    weights = scores.softmax(-1)
    return dropout(weights) @ V, weights


def padding_mask(valid_lens, keys):
    """True where a key may be seen; None for everywhere.

    Args:
        valid_lens: (B,), (B, L) for a length of each query's own, or None.
        keys: (B, L, any).

    Returns:
        (B, 1, 1 or L, L).
    """
    if valid_lens is None:
        return None
    columns = torch.arange(keys.shape[1], device=keys.device)
    return columns < valid_lens.reshape(keys.shape[0], 1, -1, 1)


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention in num_heads subspaces (d2l 11.5).

    keep_weights says whether a call leaves its attention_weights, which are
    (B, num_heads, L, L).
    """

    def __init__(self, num_hiddens, num_heads, dropout, bias=False,
                 num_inputs=None):
        super().__init__()
        check_heads(num_hiddens, num_heads)
        self.num_heads, self.dropout = num_heads, Dropout(dropout)
        self.keep_weights, self.attention_weights = False, None
        self.W_q, self.W_k, self.W_v = (
            linear(num_hiddens, num_inputs, bias) for _ in range(3))
        self.W_o = linear(num_hiddens, num_hiddens, bias)

    def forward(self, queries, keys, values, valid_lens):
        """Queries (B, P, num_inputs), keys and values (B, L, num_inputs),
        valid_lens -> (B, P, H).
        """
        check(key_lengths, valid_lens, queries=queries.shape,
              keys=keys.shape)
        keep = self.keep_weights or self.dropout.draws_bytes(queries)
        # Both give the same vectors; the fused one is faster where it can be
        attend = dot_product_attention if keep else fused_attention
        out, weights = attend(
            self.split(self.W_q(queries)), self.split(self.W_k(keys)),
            self.split(self.W_v(values)), padding_mask(valid_lens, keys),
            self.dropout)
        self.attention_weights = weights if self.keep_weights else None
        return self.W_o(out.transpose(1, 2).flatten(2))

    def split(self, X):
        """(B, L, H) -> (B, num_heads, L, H / num_heads)."""
        return X.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)


class AddNorm(nn.Module):
    """Residual connection, then layer normalisation (d2l 11.7.3)."""

    def __init__(self, norm_shape, dropout):
        super().__init__()
        self.dropout = Dropout(dropout)
        self.ln = nn.LayerNorm(norm_shape, eps=1e-5)

    def forward(self, X, Y):
        """LayerNorm(X + dropout(Y)), all (B, L, H)."""
        return self.ln(X + self.dropout(Y))


class PositionWiseFFN(nn.Module):
    """The same two-layer network at every position (d2l 11.7.2)."""

    def __init__(self, ffn_num_hiddens, ffn_num_outputs, num_inputs=None):
        super().__init__()
        self.dense1 = linear(ffn_num_hiddens, num_inputs)
        self.dense2 = linear(ffn_num_outputs, ffn_num_hiddens)

    def forward(self, X):
        """(B, L, num_inputs) -> (B, L, ffn_num_outputs)."""
        return self.dense2(F.relu(self.dense1(X)))


class TransformerEncoderBlock(nn.Module):
    """Attention and feed-forward, each followed by add & norm (d2l 11.7)."""

    def __init__(self, num_hiddens, ffn_num_hiddens, num_heads, dropout,
                 use_bias=False):
        super().__init__()
        self.attention = MultiHeadAttention(
            num_hiddens, num_heads, dropout, use_bias, num_hiddens)
        self.addnorm1 = AddNorm(num_hiddens, dropout)
        self.ffn = PositionWiseFFN(
            ffn_num_hiddens, num_hiddens, num_hiddens)
        self.addnorm2 = AddNorm(num_hiddens, dropout)

    def forward(self, X, valid_lens, queries=None):
        """(B, L, H), valid_lens -> (B, L, H).

        With queries (B, P, H), which are rows of X, only what comes of
        these, (B, P, H).
        """
        Q = X if queries is None else queries
        Y = self.addnorm1(Q, self.attention(Q, X, X, valid_lens))
        return self.addnorm2(Y, self.ffn(Y))


def rows_at(X, positions):
    """What is at some positions: (B, L, ...), (B, P) -> (B, P, ...)."""
    return X[torch.arange(X.shape[0], device=X.device)[:, None], positions]


class BERTEncoder(nn.Module):
    """BERT encoder."""

    def __init__(self, vocab_size, num_hiddens, ffn_num_hiddens, num_heads,
                 num_blks, dropout, max_len=1000):
        super().__init__()
        self.vocab_size, self.max_len = vocab_size, max_len
        self.token_embedding = nn.Embedding(vocab_size, num_hiddens)
        self.segment_embedding = nn.Embedding(2, num_hiddens)
        # One learned vector a position, added to every sequence
        self.pos_embedding = nn.Parameter(
            0.02 * torch.randn(1, max_len, num_hiddens))
        self.blks = nn.Sequential(*(
            TransformerEncoderBlock(
                num_hiddens, ffn_num_hiddens, num_heads, dropout, True)
            for _ in range(num_blks)))
        self.apply(init_weights)

    def forward(self, tokens, segments, valid_lens, positions=None):
        """Token ids (B, L), segment ids (B, L), (B,) or None -> (B, L, H).

        With positions (B, P) the last block computes the vectors there and
        no others, (B, P, H).
        """
        check(encoder_inputs, tokens, segments, valid_lens,
              vocab_size=self.vocab_size, max_len=self.max_len)
        X = self.token_embedding(tokens) + self.segment_embedding(segments)
        X = X + self.pos_embedding[:, :X.shape[1]]
        *blks, last = self.blks
        for blk in blks:
            X = blk(X, valid_lens)
        queries = None if positions is None else rows_at(X, positions)
        return last(X, valid_lens, queries)


class MaskLM(nn.Module):
    """The masked language model task of BERT."""

    def __init__(self, vocab_size, num_hiddens, num_inputs=None):
        super().__init__()
        self.mlp = nn.Sequential(
            linear(num_hiddens, num_inputs), nn.ReLU(),
            nn.LayerNorm(num_hiddens, eps=1e-5),
            linear(vocab_size, num_hiddens))
        self.apply(init_weights)

    def forward(self, X, pred_positions):
        """Encodings (B, L, num_inputs), positions (B, P) -> (B, P, V)."""
        check(prediction_slots, pred_positions, shape=X.shape[:2])
        return self.mlp(rows_at(X, pred_positions))


class NextSentencePred(nn.Module):
    """The next sentence prediction task of BERT.

    Without num_hiddens, as in d2l, the first input decides it.
    """

    def __init__(self, num_hiddens=None):
        super().__init__()
        self.output = linear(2, num_hiddens)
        self.apply(init_weights)

    def forward(self, X):
        """Vectors (B, H) -> logits (B, 2): not next, next."""
        return self.output(X)


class BERTModel(nn.Module):
    """The BERT model: encoder and the two pretraining tasks."""

    def __init__(self, vocab_size, num_hiddens, ffn_num_hiddens, num_heads,
                 num_blks, dropout, max_len=1000):
        super().__init__()
        self.encoder = BERTEncoder(
            vocab_size, num_hiddens, ffn_num_hiddens, num_heads, num_blks,
            dropout, max_len)
        self.hidden = nn.Sequential(
            nn.Linear(num_hiddens, num_hiddens), nn.Tanh())
        self.mlm = MaskLM(vocab_size, num_hiddens, num_hiddens)
        self.nsp = NextSentencePred(num_hiddens)
        self.hidden.apply(init_weights)

    def forward(self, tokens, segments, valid_lens=None,
                pred_positions=None):
        """Ids (B, L) twice, (B,) or None, positions (B, P) or None ->
        encoded_X (B, L, H), mlm_Y_hat (B, P, V) or None, nsp_Y_hat (B, 2).
        """
        encoded_X = self.encoder(tokens, segments, valid_lens)
        mlm_Y_hat = None
        if pred_positions is not None:
            mlm_Y_hat = self.mlm(encoded_X, pred_positions)
        # The vector of <cls>, at position 0, stands for the whole sequence
        nsp_Y_hat = self.nsp(self.hidden(encoded_X[:, 0]))
        return encoded_X, mlm_Y_hat, nsp_Y_hat
