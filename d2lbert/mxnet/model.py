"""BERT in MXNet/Gluon, in d2l's names (d2l 15.8; Devlin et al., 2019).

B = batch size, L = sequence length, H = num_hiddens, P = number of
prediction slots, V = vocab_size. The blocks with a `hybrid_forward` become
one compiled graph each when the net is hybridized; F is then MXNet's symbols
instead of its arrays.
"""

from functools import partial

from mxnet import init, np, npx
from mxnet.gluon import nn

from d2lbert.checks import check_heads
from d2lbert.inputs import encoder_inputs, key_lengths, prediction_slots
from d2lbert.mxnet import fast
from d2lbert.mxnet.fast import fused_attention, repeat_rows
from d2lbert.mxnet.inputs import check

# N(0, 0.02) for every matrix, 0 for biases (Google's BERT code). Parameters
# that name their initialiser keep it whatever net.initialize is called with.
init_weights = init.Normal(0.02)
Dense = partial(nn.Dense, flatten=False, weight_initializer=init_weights)
Embedding = partial(nn.Embedding, weight_initializer=init_weights)
LayerNorm = partial(fast.LayerNorm, epsilon=1e-5)


def dot_product_attention(F, Q, K, V, mask, scale, dropout):
    """Scaled dot-product attention (Vaswani et al., 2017, 3.2.1).

    Args:
        F: MXNet's arrays or, in a hybridized net, its symbols.
        Q, K, V: (B * num_heads, L, H / num_heads).
        mask: (B * num_heads, 1 or L, L), 1 where a key may be seen, else 0;
            None for 1 everywhere.
        scale: what the scores are divided by, the root of H / num_heads.
        dropout: of the weights.

    Returns:
        (B * num_heads, L, H / num_heads), and the weights (B * num_heads, L,
        L) before dropout.
    """
    scores = F.npx.batch_dot(Q, K, transpose_b=True) / scale
    if mask is not None:
        scores = scores - 1e9 * (1 - mask)  # whose exponential is exactly 0
    weights = F.npx.softmax(scores)
    return F.npx.batch_dot(dropout(weights), V), weights


def padding_mask(F, valid_lens, K, num_heads):
    """1 where a key may be seen, else 0; None for 1 everywhere.

    Args:
        valid_lens: (B,), (B, L) for a length of each query's own, or None.
        K: (B * num_heads, L, any).

    Returns:
        (B * num_heads, 1 or L, L).
    """
    if valid_lens is None:
        return None
    columns = F.npx.arange_like(K, axis=1).astype("float32")  # not K's
    lens = F.npx.reshape(valid_lens.astype("float32"), (-2, -1, 1))
    return F.np.repeat((columns < lens).astype("float32"), num_heads, axis=0)


def split_heads(F, X, num_heads):
    """(B, L, H) -> (B * num_heads, L, H / num_heads)."""
    X = F.npx.reshape(X, (-2, -2, -6, num_heads, -1))
    return F.npx.reshape(F.np.swapaxes(X, 1, 2), (-5, -2, -2))


def merge_heads(F, X, num_heads):
    """(B * num_heads, L, H / num_heads) -> (B, L, H)."""
    X = F.npx.reshape(X, (-6, -1, num_heads, -2, -2))
    return F.npx.reshape(F.np.swapaxes(X, 1, 2), (-2, -2, -5))


class AttentionBlock(nn.HybridBlock):
    """Attention that checks its inputs and may keep its weights.

    Attributes:
        num_heads: of the attention.
        keep_weights: whether a call leaves its attention_weights.
        attention_weights: (B, num_heads, L, L) of the last call, or None;
            reading it is a ValueError in a hybridized net, which runs no
            Python that could keep them.
    """

    def __init__(self, num_heads):
        super().__init__()
        self.num_heads, self.keep_weights, self._kept = num_heads, False, None

    def __call__(self, queries, keys, values, valid_lens=None):
        if isinstance(queries, np.ndarray):  # a symbol has no values
            check(key_lengths, valid_lens, queries=queries.shape,
                  keys=keys.shape)
        return super().__call__(queries, keys, values, valid_lens)

    def keep(self, F, weights):
        """Leave (B * num_heads, L, L) or None for attention_weights."""
        self._kept = None if weights is None or self._active else (
            F.npx.reshape(weights, (-6, -1, self.num_heads, -2, -2)))

    @property
    def attention_weights(self):
        """Those of the last call; see the attributes of the class."""
        if self.keep_weights and self._active:
            raise ValueError("a hybridized net keeps no attention weights: "
                             "call net.hybridize(False) and the net again")
        return self._kept


class MultiHeadAttention(AttentionBlock):
    """Scaled dot-product attention in num_heads subspaces (d2l 11.5)."""

    def __init__(self, num_hiddens, num_heads, dropout, use_bias=False,
                 num_inputs=0):
        super().__init__(num_heads)
        check_heads(num_hiddens, num_heads)
        self.scale = (num_hiddens / num_heads)**0.5
        dense = partial(Dense, num_hiddens, use_bias=use_bias)
        self.W_q, self.W_k, self.W_v = (
            dense(in_units=num_inputs) for _ in range(3))
        self.W_o = dense(in_units=num_hiddens)
        self.dropout = nn.Dropout(dropout)

    def hybrid_forward(self, F, queries, keys, values, valid_lens=None):
        """Queries (B, P, num_inputs), keys and values (B, L, num_inputs),
        valid_lens -> (B, P, H).
        """
        Q, K, V = (split_heads(F, X, self.num_heads) for X in (
            self.W_q(queries), self.W_k(keys), self.W_v(values)))
        # Both give the same vectors; the fused one is faster
        attend = (dot_product_attention if self.keep_weights
                  else fused_attention)
        out, weights = attend(
            F, Q, K, V, padding_mask(F, valid_lens, K, self.num_heads),
            self.scale, self.dropout)
        self.keep(F, weights)
        return self.W_o(merge_heads(F, out, self.num_heads))


class AddNorm(nn.HybridBlock):
    """Residual connection, then layer normalisation (d2l 11.7.3)."""

    def __init__(self, dropout, num_hiddens=0):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.ln = LayerNorm(in_channels=num_hiddens)

    def hybrid_forward(self, F, X, Y):
        """LayerNorm(X + dropout(Y)), all (B, L, H)."""
        return self.ln(X + self.dropout(Y))


class PositionWiseFFN(nn.HybridBlock):
    """The same two-layer network at every position (d2l 11.7.2)."""

    def __init__(self, ffn_num_hiddens, ffn_num_outputs, num_inputs=0):
        super().__init__()
        self.dense1 = Dense(ffn_num_hiddens, in_units=num_inputs)
        self.dense2 = Dense(ffn_num_outputs, in_units=ffn_num_hiddens)

    def hybrid_forward(self, F, X):
        """(B, L, num_inputs) -> (B, L, ffn_num_outputs)."""
        return self.dense2(F.npx.relu(self.dense1(X)))


class TransformerEncoderBlock(nn.HybridBlock):
    """Attention and feed-forward, each followed by add & norm (d2l 11.7)."""

    def __init__(self, num_hiddens, ffn_num_hiddens, num_heads, dropout,
                 use_bias=False):
        super().__init__()
        self.attention = MultiHeadAttention(
            num_hiddens, num_heads, dropout, use_bias, num_hiddens)
        self.addnorm1 = AddNorm(dropout, num_hiddens)
        self.ffn = PositionWiseFFN(
            ffn_num_hiddens, num_hiddens, num_hiddens)
        self.addnorm2 = AddNorm(dropout, num_hiddens)

    def hybrid_forward(self, F, X, valid_lens=None, queries=None):
        """(B, L, H), valid_lens -> (B, L, H).

        With queries (B, P, H), which are rows of X, only what comes of
        these, (B, P, H).
        """
        Q = X if queries is None else queries
        Y = self.addnorm1(Q, self.attention(Q, X, X, valid_lens))
        return self.addnorm2(Y, self.ffn(Y))


def rows_at(X, positions):
    """What is at some positions: (B, L, ...), (B, P) -> (B, P, ...)."""
    columns = positions.astype("int32")
    rows = np.arange(X.shape[0], dtype="int32", ctx=X.ctx)[:, None]
    rows = np.broadcast_to(rows, columns.shape)
    return npx.gather_nd(X, np.stack([rows, columns]))


class BERTEncoder(nn.Block):
    """BERT encoder."""

    def __init__(self, vocab_size, num_hiddens, ffn_num_hiddens, num_heads,
                 num_blks, dropout, max_len=1000):
        super().__init__()
        self.vocab_size, self.max_len = vocab_size, max_len
        self.token_embedding = Embedding(vocab_size, num_hiddens)
        self.segment_embedding = Embedding(2, num_hiddens)
        # One learned vector a position, added to every sequence
        self.pos_embedding = self.params.get(
            "pos_embedding", shape=(1, max_len, num_hiddens),
            init=init_weights)
        self.blks = nn.HybridSequential()
        for _ in range(num_blks):
            self.blks.add(TransformerEncoderBlock(
                num_hiddens, ffn_num_hiddens, num_heads, dropout, True))

    def forward(self, tokens, segments, valid_lens, positions=None):
        """Token ids (B, L), segment ids (B, L), (B,) or None -> (B, L, H).

        With positions (B, P) the last block computes the vectors there and
        no others, (B, P, H).
        """
        check(encoder_inputs, tokens, segments, valid_lens,
              vocab_size=self.vocab_size, max_len=self.max_len)
        X = self.token_embedding(tokens) + self.segment_embedding(segments)
        positions_X = self.pos_embedding.data(X.ctx)[:, :X.shape[1]]
        X = X + repeat_rows(positions_X, len(X))
        if valid_lens is None:
            valid_lens = np.full((X.shape[0],), X.shape[1], ctx=X.ctx)
        *blks, last = self.blks
        for blk in blks:
            X = blk(X, valid_lens)
        # A hybridized block wants as many inputs in each call
        queries = X if positions is None else rows_at(X, positions)
        return last(X, valid_lens, queries)


class MaskLM(nn.Block):
    """The masked language model task of BERT."""

    def __init__(self, vocab_size, num_hiddens, num_inputs=0):
        super().__init__()
        self.mlp = nn.HybridSequential()
        self.mlp.add(
            Dense(num_hiddens, in_units=num_inputs, activation="relu"),
            LayerNorm(in_channels=num_hiddens),
            Dense(vocab_size, in_units=num_hiddens))

    def forward(self, X, pred_positions):
        """Encodings (B, L, num_inputs), positions (B, P) -> (B, P, V)."""
        check(prediction_slots, pred_positions, shape=X.shape[:2])
        return self.mlp(rows_at(X, pred_positions))


class NextSentencePred(nn.Block):
    """The next sentence prediction task of BERT.

    Without num_hiddens, as in d2l, the first input decides it.
    """

    def __init__(self, num_hiddens=0):
        super().__init__()
        self.output = Dense(2, in_units=num_hiddens)

    def forward(self, X):
        """Vectors (B, H) -> logits (B, 2): not next, next."""
        return self.output(X)


class BERTModel(nn.Block):
    """The BERT model: encoder and the two pretraining tasks."""

    def __init__(self, vocab_size, num_hiddens, ffn_num_hiddens, num_heads,
                 num_blks, dropout, max_len=1000):
        super().__init__()
        self.encoder = BERTEncoder(
            vocab_size, num_hiddens, ffn_num_hiddens, num_heads, num_blks,
            dropout, max_len)
        self.hidden = Dense(
            num_hiddens, in_units=num_hiddens, activation="tanh")
        self.mlm = MaskLM(vocab_size, num_hiddens, num_hiddens)
        self.nsp = NextSentencePred(num_hiddens)

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
