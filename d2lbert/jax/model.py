"""BERT in JAX and Flax, in d2l's names (d2l 15.8; Devlin et al., 2019).

B = batch size, L = sequence length, H = num_hiddens, P = number of
prediction slots, V = vocab_size. Every call takes `training`; when it is
True, dropout is on and `apply` needs `rngs={'dropout': key}`.
`apply(…, mutable=['intermediates'])` also returns the attention_weights, (B,
num_heads, L, L), of every MultiHeadAttention, whatever its keep_weights is.
"""

from functools import partial

import jax
import jax.numpy as jnp
from flax import linen as nn

from d2lbert.checks import check_heads
from d2lbert.inputs import encoder_inputs, key_lengths, prediction_slots
from d2lbert.jax.fast import fused_attention
from d2lbert.jax.inputs import check

# N(0, 0.02) for every matrix, 0 for biases (Google's BERT code)
init_weights = nn.initializers.normal(0.02)
Dense = partial(nn.Dense, kernel_init=init_weights)
Embed = partial(nn.Embed, embedding_init=init_weights)
# PyTorch's epsilon; and two passes over a row lose fewer digits than one
LayerNorm = partial(nn.LayerNorm, epsilon=1e-5, use_fast_variance=False)


class Dropout(nn.Module):
    """Inverted dropout; the rate counts in steps of 1/256.

    Each number asks for one random byte. Flax's own asks for four, which on
    a CPU takes a seventh of a training step.
    """
    rate: float

    @nn.compact
    def __call__(self, X, training=False):
        """Any shape -> the same shape."""
        dropped = min(round(256 * self.rate), 255)
        if not training or not dropped:
            return X
        words = jax.random.bits(self.make_rng("dropout"), -(-X.size // 4))
        dice = jax.lax.bitcast_convert_type(words, jnp.uint8).reshape(-1)
        kept = dice[:X.size].reshape(X.shape) >= dropped
        return jnp.where(kept, X * (256 / (256 - dropped)), 0)


def dot_product_attention(Q, K, V, mask, dropout):
    """Scaled dot-product attention (Vaswani et al., 2017, 3.2.1).

    Args:
        Q, K, V: (B, L, num_heads, H / num_heads).
        mask: (B, 1, 1 or L, L), True where a key may be seen; None for
            everywhere.
        dropout: of the weights.

    Returns:
        (B, L, num_heads, H / num_heads), and the weights (B, num_heads, L,
        L) before dropout.
    """
    scores = jnp.einsum("bqhd,bkhd->bhqk", Q, K) / Q.shape[-1] ** 0.5
    if mask is not None:
        scores = jnp.where(mask, scores, -jnp.inf)
    weights = nn.softmax(scores)
    return jnp.einsum("bhqk,bkhd->bqhd", dropout(weights), V), weights


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
    columns = jnp.arange(keys.shape[1])
    return columns < valid_lens.reshape(keys.shape[0], 1, -1, 1)


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention in num_heads subspaces (d2l 11.5)."""
    num_hiddens: int
    num_heads: int
    dropout: float
    bias: bool = False
    keep_weights: bool = True  # False gives none, where that is faster

    def setup(self):
        check_heads(self.num_hiddens, self.num_heads)
        self.W_q, self.W_k, self.W_v, self.W_o = (
            Dense(self.num_hiddens, self.bias) for _ in range(4))
        self.attention_dropout = Dropout(self.dropout)

    def __call__(self, queries, keys, values, valid_lens, training=False):
        """Queries (B, P, any), keys and values (B, L, any), valid_lens ->
        (B, P, H), weights.
        """
        check(key_lengths, valid_lens, queries=queries.shape,
              keys=keys.shape)
        keep = (self.keep_weights or training and self.dropout
                or self.is_mutable_collection("intermediates"))
        # Both give the same vectors; the fused one knows no dropout
        attend = dot_product_attention if keep else fused_attention
        out, weights = attend(
            self.split(self.W_q(queries)), self.split(self.W_k(keys)),
            self.split(self.W_v(values)), padding_mask(valid_lens, keys),
            partial(self.attention_dropout, training=training))
        self.sow("intermediates", "attention_weights", weights)
        if weights is not None:  # (B * num_heads, L, L), as in d2l
            weights = weights.reshape(-1, *weights.shape[2:])
        return self.W_o(out.reshape(*out.shape[:2], -1)), weights

    def split(self, X):
        """(B, L, H) -> (B, L, num_heads, H / num_heads)."""
        return X.reshape(*X.shape[:2], self.num_heads, -1)


class AddNorm(nn.Module):
    """Residual connection, then layer normalisation (d2l 11.7.3)."""
    dropout: float

    @nn.compact
    def __call__(self, X, Y, training=False):
        """LayerNorm(X + dropout(Y)), all (B, L, H)."""
        return LayerNorm()(X + Dropout(self.dropout)(Y, training))


class PositionWiseFFN(nn.Module):
    """The same two-layer network at every position (d2l 11.7.2)."""
    ffn_num_hiddens: int
    ffn_num_outputs: int

    def setup(self):
        self.dense1 = Dense(self.ffn_num_hiddens)
        self.dense2 = Dense(self.ffn_num_outputs)

    def __call__(self, X, training=False):
        """(B, L, any) -> (B, L, ffn_num_outputs)."""
        return self.dense2(nn.relu(self.dense1(X)))


class TransformerEncoderBlock(nn.Module):
    """Attention and feed-forward, each followed by add & norm (d2l 11.7)."""
    num_hiddens: int
    ffn_num_hiddens: int
    num_heads: int
    dropout: float
    use_bias: bool = False
    keep_weights: bool = True

    def setup(self):
        self.attention = MultiHeadAttention(
            self.num_hiddens, self.num_heads, self.dropout, self.use_bias,
            self.keep_weights)
        self.addnorm1 = AddNorm(self.dropout)
        self.ffn = PositionWiseFFN(self.ffn_num_hiddens, self.num_hiddens)
        self.addnorm2 = AddNorm(self.dropout)

    def __call__(self, X, valid_lens, training=False, queries=None):
        """(B, L, H), valid_lens -> (B, L, H), attention weights.

        With queries (B, P, H), which are rows of X, only what comes of
        these, (B, P, H).
        """
        Q = X if queries is None else queries
        Y, weights = self.attention(Q, X, X, valid_lens, training)
        Y = self.addnorm1(Q, Y, training)
        return self.addnorm2(Y, self.ffn(Y), training), weights


def rows_at(X, positions):
    """What is at some positions: (B, L, ...), (B, P) -> (B, P, ...)."""
    return X[jnp.arange(X.shape[0])[:, None], positions]


class BERTEncoder(nn.Module):
    """BERT encoder."""
    vocab_size: int
    num_hiddens: int
    ffn_num_hiddens: int
    num_heads: int
    num_blks: int
    dropout: float
    max_len: int = 1000

    def setup(self):
        self.token_embedding = Embed(self.vocab_size, self.num_hiddens)
        self.segment_embedding = Embed(2, self.num_hiddens)
        # One learned vector a position, added to every sequence
        self.pos_embedding = self.param(
            "pos_embedding", init_weights,
            (1, self.max_len, self.num_hiddens))
        self.blks = [
            TransformerEncoderBlock(
                self.num_hiddens, self.ffn_num_hiddens, self.num_heads,
                self.dropout, True, keep_weights=False)
            for _ in range(self.num_blks)]

    def __call__(self, tokens, segments, valid_lens, training=False,
                 positions=None):
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
            X, _ = blk(X, valid_lens, training)
        queries = None if positions is None else rows_at(X, positions)
        return last(X, valid_lens, training, queries)[0]


class MaskLM(nn.Module):
    """The masked language model task of BERT."""
    vocab_size: int
    num_hiddens: int

    def setup(self):
        self.mlp = nn.Sequential([
            Dense(self.num_hiddens), nn.relu,
            LayerNorm(),
            Dense(self.vocab_size)])

    def __call__(self, X, pred_positions, training=False):
        """Encodings (B, L, H), positions (B, P) -> logits (B, P, V)."""
        check(prediction_slots, pred_positions, shape=X.shape[:2])
        return self.mlp(rows_at(X, pred_positions))


class NextSentencePred(nn.Module):
    """The next sentence prediction task of BERT."""

    def setup(self):
        self.output = Dense(2)

    def __call__(self, X, training=False):
        """Vectors (B, H) -> logits (B, 2): not next, next."""
        return self.output(X)


class BERTModel(nn.Module):
    """The BERT model: encoder and the two pretraining tasks."""
    vocab_size: int
    num_hiddens: int
    ffn_num_hiddens: int
    num_heads: int
    num_blks: int
    dropout: float
    max_len: int = 1000

    def setup(self):
        self.encoder = BERTEncoder(
            self.vocab_size, self.num_hiddens, self.ffn_num_hiddens,
            self.num_heads, self.num_blks, self.dropout, self.max_len)
        self.hidden = Dense(self.num_hiddens)
        self.mlm = MaskLM(self.vocab_size, self.num_hiddens)
        self.nsp = NextSentencePred()

    def __call__(self, tokens, segments, valid_lens=None,
                 pred_positions=None, training=False):
        """Ids (B, L) twice, (B,) or None, positions (B, P) or None ->
        encoded_X (B, L, H), mlm_Y_hat (B, P, V) or None, nsp_Y_hat (B, 2).
        """
        encoded_X = self.encoder(tokens, segments, valid_lens, training)
        mlm_Y_hat = None
        if pred_positions is not None:
            mlm_Y_hat = self.mlm(encoded_X, pred_positions)
        # The vector of <cls>, at position 0, stands for the whole sequence
        nsp_Y_hat = self.nsp(nn.tanh(self.hidden(encoded_X[:, 0])))
        return encoded_X, mlm_Y_hat, nsp_Y_hat


def dropout_rngs(rng):
    """The `rngs` of `apply`; none for rng None, evaluation mode."""
    return {} if rng is None else {"dropout": rng}


def init_params(net, key):
    """Fresh weights {'params': …} of a BERT; no batch is needed.

    Raises:
        TypeError: for what is no Flax module, such as a net with its params.
    """
    if not isinstance(net, nn.Module):
        raise TypeError(
            f"net is a {type(net).__name__}, not a Flax module; what returns "
            "net and params wants two names: net, params = ...")
    return _init_params(net, key)


@partial(jax.jit, static_argnums=0)
def _init_params(net, key):
    ids = jnp.zeros((1, 1), jnp.int32)
    if hasattr(net, "config"):  # the original BERT asks for ids alone
        return net.init(key, ids)
    # Flax makes the weights of what is called: ask for predictions as well
    positions = [ids] if isinstance(net, BERTModel) else []
    return net.init(key, ids, ids, jnp.ones(1), *positions)
