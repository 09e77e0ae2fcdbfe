"""The original BERT in MXNet/Gluon (Devlin et al., 2019), in the field's
names.

Other than d2l's (`model.py`): LayerNorm and dropout on the embeddings, GELU,
and a masked-LM head that predicts with the word embeddings. The weights have
the names that Hugging Face's checkpoints give them. The blocks with a
`hybrid_forward` become one compiled graph each when the net is hybridized.

B = batch size, L = sequence length, H = hidden_size, A = number of heads,
V = vocab_size, C = number of labels.
"""

from inspect import signature

from mxnet import cpu, np
from mxnet.gluon import nn

from d2lbert.inputs import bert_inputs, vector_positions
from d2lbert.mxnet.checkpoint import export_params, import_params
from d2lbert.mxnet.inputs import check
from d2lbert.mxnet.model import (
    Dense,
    Embedding,
    LayerNorm,
    dot_product_attention,
    merge_heads,
    rows_at,
    split_heads,
)
from d2lbert.original.find import load_checkpoint_folder
from d2lbert.original.huggingface import save_checkpoint_folder
from d2lbert.original.outputs import BertOutputs


def gelu(F, X):
    """x · Φ(x), with the normal distribution's Φ itself."""
    return F.npx.leaky_relu(X, act_type="gelu")


class BertEmbeddings(nn.HybridBlock):
    """Word + position + segment, then LayerNorm and dropout."""

    def __init__(self, config):
        super().__init__()
        H = config.hidden_size
        self.word_embeddings = Embedding(config.vocab_size, H)
        self.position_embeddings = Embedding(
            config.max_position_embeddings, H)
        self.token_type_embeddings = Embedding(config.type_vocab_size, H)
        self.LayerNorm = LayerNorm(
            epsilon=config.layer_norm_eps, in_channels=H)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def hybrid_forward(self, F, input_ids, token_type_ids):
        """(B, L), (B, L) -> (B, L, H)."""
        positions = F.npx.arange_like(input_ids, axis=1)
        X = (self.word_embeddings(input_ids)
             + F.np.expand_dims(self.position_embeddings(positions), 0)
             + self.token_type_embeddings(token_type_ids))
        return self.dropout(self.LayerNorm(X))


class BertSelfAttention(nn.HybridBlock):
    """Scaled dot-product attention in A heads, with biases."""

    def __init__(self, config):
        super().__init__()
        H, self.num_heads = config.hidden_size, config.num_attention_heads
        self.scale = (H / self.num_heads) ** 0.5
        self.query = Dense(H, in_units=H)
        self.key = Dense(H, in_units=H)
        self.value = Dense(H, in_units=H)
        self.dropout = nn.Dropout(config.attention_probs_dropout_prob)

    def hybrid_forward(self, F, X, mask, queries=None):
        """(B, L, H), (B, L) -> (B, L, H), and weights (B, A, L, L).

        A mask is 1 where there is a token and 0 where there is padding. With
        queries (B, P, H), which are rows of X, only what comes of these.
        """
        Q = self.query(X if queries is None else queries)
        Q, K, V = (split_heads(F, Y, self.num_heads)
                   for Y in (Q, self.key(X), self.value(X)))
        mask = F.np.repeat(mask, self.num_heads, axis=0)
        out, probs = dot_product_attention(
            F, Q, K, V, F.np.expand_dims(mask, 1).astype("float32"),
            self.scale, self.dropout)
        probs = F.npx.reshape(probs, (-6, -1, self.num_heads, -2, -2))
        return merge_heads(F, out, self.num_heads), probs


class BertOutput(nn.HybridBlock):
    """Dense and dropout, then residual connection and LayerNorm."""

    def __init__(self, config, num_inputs):
        super().__init__()
        H = config.hidden_size
        self.dense = Dense(H, in_units=num_inputs)
        self.LayerNorm = LayerNorm(
            epsilon=config.layer_norm_eps, in_channels=H)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def hybrid_forward(self, F, Y, X):
        """What a sublayer computed, and what it was given -> (B, L, H)."""
        return self.LayerNorm(X + self.dropout(self.dense(Y)))


class BertAttention(nn.HybridBlock):
    """Self-attention and its output layer."""

    def __init__(self, config):
        super().__init__()
        self.self = BertSelfAttention(config)
        self.output = BertOutput(config, config.hidden_size)

    def hybrid_forward(self, F, X, mask, queries=None):
        """As `BertSelfAttention`."""
        queries = X if queries is None else queries
        Y, probs = self.self(X, mask, queries)
        return self.output(Y, queries), probs


class BertIntermediate(nn.HybridBlock):
    """The wide half of the feed-forward network, with GELU."""

    def __init__(self, config):
        super().__init__()
        self.dense = Dense(
            config.intermediate_size, in_units=config.hidden_size)

    def hybrid_forward(self, F, X):
        """(B, L, H) -> (B, L, intermediate_size)."""
        return gelu(F, self.dense(X))


class BertLayer(nn.HybridBlock):
    """Attention, then feed-forward, each with its residual connection."""

    def __init__(self, config):
        super().__init__()
        self.attention = BertAttention(config)
        self.intermediate = BertIntermediate(config)
        self.output = BertOutput(config, config.intermediate_size)

    def hybrid_forward(self, F, X, mask, queries=None):
        """As `BertSelfAttention`."""
        X, probs = self.attention(X, mask, X if queries is None else queries)
        # The feed-forward network's output is added to its own input
        return self.output(self.intermediate(X), X), probs


class BertEncoder(nn.Block):
    """The layers, one after another."""

    def __init__(self, config):
        super().__init__()
        self.layer = nn.HybridSequential()
        for _ in range(config.num_hidden_layers):
            self.layer.add(BertLayer(config))

    def forward(self, X, mask, positions=None):
        """Lists: inputs and outputs of the layers, weights of attention.

        With positions (B, P) the last layer computes the vectors there and
        no others.
        """
        hidden_states, attentions = [X], []
        last = None if positions is None else self.layer[-1]
        for layer in self.layer:
            queries = rows_at(X, positions) if layer is last else X
            X, probs = layer(X, mask, queries)
            hidden_states.append(X)
            attentions.append(probs)
        return hidden_states, attentions


class BertPooler(nn.HybridBlock):
    """A dense layer and tanh on the vector of [CLS]."""

    def __init__(self, config):
        super().__init__()
        H = config.hidden_size
        self.dense = Dense(H, in_units=H, activation="tanh")

    def forward(self, X):
        """(B, L, H) -> (B, H)."""
        return self.dense(X[:, 0])


class BertPreTrainedModel(nn.Block):
    """What every BERT here can do: come from a checkpoint and become one."""

    def __init__(self, config):
        super().__init__()
        self.config = config

    def __call__(self, *inputs, **named_inputs):
        """Call `forward`; Gluon itself takes no inputs by name."""
        inputs = signature(self.forward).bind(*inputs, **named_inputs)
        inputs.apply_defaults()
        return super().__call__(*inputs.args)

    @classmethod
    def from_pretrained(cls, source, new=(), ctx=None, **labels):
        """Load a checkpoint of Hugging Face onto `ctx`, or the CPU.

        Args:
            source: a folder, or the name of a model.
            new, labels: as in `load_checkpoint_folder`, which says what does
                not fit.
        """
        config, params, sizes = load_checkpoint_folder(
            source, cls.__name__, new, **labels)
        net = cls(config, **sizes)
        net.initialize(ctx=ctx or cpu())
        import_params(net, params)
        return net

    def save_pretrained(self, folder):
        """Write config.json and model.safetensors, as `transformers` does."""
        save_checkpoint_folder(
            folder, self.config, export_params(self), type(self).__name__)


class BertModel(BertPreTrainedModel):
    """Embeddings, encoder and pooler."""

    def __init__(self, config):
        super().__init__(config)
        self.embeddings = BertEmbeddings(config)
        self.encoder = BertEncoder(config)
        self.pooler = BertPooler(config)

    def forward(self, input_ids, attention_mask=None, token_type_ids=None,
                output_attentions=False, output_hidden_states=False,
                positions=None):
        """Encode a batch: `BertOutputs`.

        All inputs are (B, L) integers: tokens, the mask of attention, 1 for
        a token and 0 for padding, and segments. Both flags add what is in
        between. With positions (B, P), which begin with 0, that of [CLS], the
        last layer computes the vectors there and, without the flags, no
        others; last_hidden_state is (B, P, H).
        `d2lbert.inputs.bert_inputs` refuses bad inputs.
        """
        check(bert_inputs, input_ids, attention_mask, token_type_ids,
              config=self.config)
        if positions is not None:
            check(vector_positions, positions, shape=input_ids.shape)
        if attention_mask is None:
            attention_mask = np.ones_like(input_ids)
        if token_type_ids is None:
            token_type_ids = np.zeros_like(input_ids)
        has_all = output_attentions or output_hidden_states
        hidden_states, attentions = self.encoder(
            self.embeddings(input_ids, token_type_ids),
            attention_mask.astype("float32"), None if has_all else positions)
        X = hidden_states[-1]
        if has_all and positions is not None:
            X = rows_at(X, positions)
        return BertOutputs(X, self.pooler(X),
                           hidden_states if output_hidden_states else None,
                           attentions if output_attentions else None)
