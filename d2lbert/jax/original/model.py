"""The original BERT in JAX and Flax (Devlin et al., 2019), in the field's
names.

Other than d2l's (`model.py`): LayerNorm and dropout on the embeddings, GELU,
and a masked-LM head that predicts with the word embeddings. The weights have
the names that Hugging Face's checkpoints give them. Every call takes
`training`; when it is True, `apply` needs `rngs={'dropout': key}`.

B = batch size, L = sequence length, H = hidden_size, A = number of heads,
V = vocab_size, C = number of labels.
"""

from functools import partial

import jax.numpy as jnp
from flax import linen as nn

from d2lbert.inputs import bert_inputs, vector_positions
from d2lbert.jax.checkpoint import export_params, import_params
from d2lbert.jax.inputs import check
from d2lbert.jax.model import (
    Dense,
    Dropout,
    Embed,
    LayerNorm,
    dot_product_attention,
    rows_at,
)
from d2lbert.original.config import BertConfig
from d2lbert.original.find import load_checkpoint_folder
from d2lbert.original.huggingface import save_checkpoint_folder
from d2lbert.original.outputs import BertOutputs

gelu = partial(nn.gelu, approximate=False)


class BertEmbeddings(nn.Module):
    """Word + position + segment, then LayerNorm and dropout."""
    config: BertConfig

    def setup(self):
        c = self.config
        self.word_embeddings = Embed(c.vocab_size, c.hidden_size)
        self.position_embeddings = Embed(
            c.max_position_embeddings, c.hidden_size)
        self.token_type_embeddings = Embed(c.type_vocab_size, c.hidden_size)
        self.LayerNorm = LayerNorm(epsilon=c.layer_norm_eps)
        self.dropout = Dropout(c.hidden_dropout_prob)

    def __call__(self, input_ids, token_type_ids, training=False):
        """(B, L), (B, L) -> (B, L, H)."""
        X = (self.word_embeddings(input_ids)
             + self.position_embeddings(jnp.arange(input_ids.shape[1]))
             + self.token_type_embeddings(token_type_ids))
        return self.dropout(self.LayerNorm(X), training)


class BertSelfAttention(nn.Module):
    """Scaled dot-product attention in A heads, with biases."""
    config: BertConfig

    def setup(self):
        self.query, self.key, self.value = (
            Dense(self.config.hidden_size) for _ in range(3))
        self.dropout = Dropout(self.config.attention_probs_dropout_prob)

    def __call__(self, X, mask, training=False, queries=None):
        """(B, L, H), (B, L) -> (B, L, H), and weights (B, A, L, L).

        A mask is 1 where there is a token and 0 where there is padding. With
        queries (B, P, H), which are rows of X, only what comes of these.
        """
        Q = self.query(X if queries is None else queries)
        K, V = map(self.split, (self.key(X), self.value(X)))
        out, probs = dot_product_attention(
            self.split(Q), K, V, mask.astype(bool)[:, None, None],
            partial(self.dropout, training=training))
        return out.reshape(Q.shape), probs

    def split(self, X):
        """(B, L, H) -> (B, L, A, H / A)."""
        return X.reshape(*X.shape[:2], self.config.num_attention_heads, -1)


class BertOutput(nn.Module):
    """Dense and dropout, then residual connection and LayerNorm."""
    config: BertConfig

    def setup(self):
        self.dense = Dense(self.config.hidden_size)
        self.LayerNorm = LayerNorm(epsilon=self.config.layer_norm_eps)
        self.dropout = Dropout(self.config.hidden_dropout_prob)

    def __call__(self, Y, X, training=False):
        """What a sublayer computed, and what it was given -> (B, L, H)."""
        return self.LayerNorm(X + self.dropout(self.dense(Y), training))


class BertAttention(nn.Module):
    """Self-attention and its output layer."""
    config: BertConfig

    def setup(self):
        self.self = BertSelfAttention(self.config)
        self.output = BertOutput(self.config)

    def __call__(self, X, mask, training=False, queries=None):
        """As `BertSelfAttention`."""
        queries = X if queries is None else queries
        Y, probs = self.self(X, mask, training, queries)
        return self.output(Y, queries, training), probs


class BertIntermediate(nn.Module):
    """The wide half of the feed-forward network, with GELU."""
    config: BertConfig

    def setup(self):
        self.dense = Dense(self.config.intermediate_size)

    def __call__(self, X):
        """(B, L, H) -> (B, L, intermediate_size)."""
        return gelu(self.dense(X))


class BertLayer(nn.Module):
    """Attention, then feed-forward, each with its residual connection."""
    config: BertConfig

    def setup(self):
        self.attention = BertAttention(self.config)
        self.intermediate = BertIntermediate(self.config)
        self.output = BertOutput(self.config)

    def __call__(self, X, mask, training=False, queries=None):
        """As `BertSelfAttention`."""
        X, probs = self.attention(X, mask, training, queries)
        # The feed-forward network's output is added to its own input
        return self.output(self.intermediate(X), X, training), probs


class BertEncoder(nn.Module):
    """The layers, one after another."""
    config: BertConfig

    def setup(self):
        self.layer = [BertLayer(self.config)
                      for _ in range(self.config.num_hidden_layers)]

    def __call__(self, X, mask, training=False, positions=None):
        """Lists: inputs and outputs of the layers, weights of attention.

        With positions (B, P) the last layer computes the vectors there and
        no others.
        """
        hidden_states, attentions = [X], []
        last = None if positions is None else self.layer[-1]
        for layer in self.layer:
            queries = rows_at(X, positions) if layer is last else X
            X, probs = layer(X, mask, training, queries)
            hidden_states.append(X)
            attentions.append(probs)
        return hidden_states, attentions


class BertPooler(nn.Module):
    """A dense layer and tanh on the vector of [CLS]."""
    config: BertConfig

    def setup(self):
        self.dense = Dense(self.config.hidden_size)

    def __call__(self, X):
        """(B, L, H) -> (B, H)."""
        return nn.tanh(self.dense(X[:, 0]))


class BertPreTrainedModel(nn.Module):
    """What every BERT here can do: come from a checkpoint and become one."""

    @classmethod
    def from_pretrained(cls, source, new=(), **labels):
        """Load a checkpoint of Hugging Face: the net and its weights.

        Args:
            source: a folder, or the name of a model.
            new, labels: as in `load_checkpoint_folder`, which says what does
                not fit.
        """
        config, params, sizes = load_checkpoint_folder(
            source, cls.__name__, new, **labels)
        net = cls(config, **sizes)
        return net, import_params(net, params)

    def save_pretrained(self, folder, params):
        """Write config.json and model.safetensors, as `transformers` does."""
        save_checkpoint_folder(
            folder, self.config, export_params(params), type(self).__name__)


class BertModel(BertPreTrainedModel):
    """Embeddings, encoder and pooler."""
    config: BertConfig

    def setup(self):
        self.embeddings = BertEmbeddings(self.config)
        self.encoder = BertEncoder(self.config)
        self.pooler = BertPooler(self.config)

    def __call__(self, input_ids, attention_mask=None, token_type_ids=None,
                 training=False, output_attentions=False,
                 output_hidden_states=False, positions=None):
        """Encode a batch: `BertOutputs`.

        All inputs are (B, L) integers: tokens, the mask of attention, 1 for
        a token and 0 for padding, and segments. Both flags add what is in
        between. With positions (B, P), which begin with 0, that of [CLS], the
        last layer computes the vectors there and, without the flags, no
        others; last_hidden_state is (B, P, H).
        `d2lbert.inputs.bert_inputs` refuses bad inputs,
        except inside `jax.jit`, where no values are known.
        """
        check(bert_inputs, input_ids, attention_mask, token_type_ids,
              config=self.config)
        if positions is not None:
            check(vector_positions, positions, shape=input_ids.shape)
        if attention_mask is None:
            attention_mask = jnp.ones_like(input_ids)
        if token_type_ids is None:
            token_type_ids = jnp.zeros_like(input_ids)
        has_all = output_attentions or output_hidden_states
        hidden_states, attentions = self.encoder(
            self.embeddings(input_ids, token_type_ids, training),
            attention_mask, training, None if has_all else positions)
        X = hidden_states[-1]
        if has_all and positions is not None:
            X = rows_at(X, positions)
        return BertOutputs(X, self.pooler(X),
                           hidden_states if output_hidden_states else None,
                           attentions if output_attentions else None)
