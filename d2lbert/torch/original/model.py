"""The original BERT in PyTorch (Devlin et al., 2019), in the field's names.

Other than d2l's (`model.py`): LayerNorm and dropout on the embeddings, GELU,
and a masked-LM head that predicts with the word embeddings. The weights have
the names that Hugging Face's checkpoints give them.

B = batch size, L = sequence length, H = hidden_size, A = number of heads,
V = vocab_size, C = number of labels.
"""

import torch
from torch import nn
from torch.nn import functional as F

from d2lbert.inputs import bert_inputs, vector_positions
from d2lbert.original.find import load_checkpoint_folder
from d2lbert.original.huggingface import save_checkpoint_folder
from d2lbert.original.outputs import BertOutputs
from d2lbert.torch.checkpoint import export_params, import_params
from d2lbert.torch.fast import Dropout, fused_attention
from d2lbert.torch.inputs import check
from d2lbert.torch.model import dot_product_attention, init_weights, rows_at


class BertEmbeddings(nn.Module):
    """Word + position + segment, then LayerNorm and dropout."""

    def __init__(self, config):
        super().__init__()
        H = config.hidden_size
        self.word_embeddings = nn.Embedding(config.vocab_size, H)
        self.position_embeddings = nn.Embedding(
            config.max_position_embeddings, H)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, H)
        self.LayerNorm = nn.LayerNorm(H, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)

    def forward(self, input_ids, token_type_ids):
        """(B, L), (B, L) -> (B, L, H)."""
        positions = torch.arange(input_ids.shape[1], device=input_ids.device)
        X = (self.word_embeddings(input_ids)
             + self.position_embeddings(positions)
             + self.token_type_embeddings(token_type_ids))
        return self.dropout(self.LayerNorm(X))


class BertSelfAttention(nn.Module):
    """Scaled dot-product attention in A heads, with biases."""

    def __init__(self, config):
        super().__init__()
        H = config.hidden_size
        self.num_heads = config.num_attention_heads
        self.dropout = Dropout(config.attention_probs_dropout_prob)
        self.query, self.key, self.value = (nn.Linear(H, H) for _ in range(3))

    def forward(self, X, mask, output_attentions=False, queries=None):
        """(B, L, H), (B, L) -> (B, L, H), and weights (B, A, L, L) or None.

        A mask is 1 where there is a token and 0 where there is padding. With
        queries (B, P, H), which are rows of X, only what comes of these.
        """
        Q = self.query(X if queries is None else queries)
        Q, K, V = map(self.split, (Q, self.key(X), self.value(X)))
        keep = output_attentions or self.dropout.draws_bytes(X)
        # The fused function gives the same vectors, and no weights
        attend = dot_product_attention if keep else fused_attention
        out, probs = attend(
            Q, K, V, mask.bool()[:, None, None], self.dropout)
        return out.transpose(1, 2).flatten(2), (
            probs if output_attentions else None)

    def split(self, X):
        """(B, L, H) -> (B, A, L, H / A)."""
        return X.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)


class BertOutput(nn.Module):
    """Dense and dropout, then residual connection and LayerNorm."""

    def __init__(self, config, num_inputs):
        super().__init__()
        self.dense = nn.Linear(num_inputs, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(
            config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)

    def forward(self, Y, X):
        """What a sublayer computed, and what it was given -> (B, L, H)."""
        return self.LayerNorm(X + self.dropout(self.dense(Y)))


class BertAttention(nn.Module):
    """Self-attention and its output layer."""

    def __init__(self, config):
        super().__init__()
        self.self = BertSelfAttention(config)
        self.output = BertOutput(config, config.hidden_size)

    def forward(self, X, mask, output_attentions=False, queries=None):
        """As `BertSelfAttention`."""
        queries = X if queries is None else queries
        Y, probs = self.self(X, mask, output_attentions, queries)
        return self.output(Y, queries), probs


class BertIntermediate(nn.Module):
    """The wide half of the feed-forward network, with GELU."""

    def __init__(self, config):
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.intermediate_size)

    def forward(self, X):
        """(B, L, H) -> (B, L, intermediate_size)."""
        return F.gelu(self.dense(X))


class BertLayer(nn.Module):
    """Attention, then feed-forward, each with its residual connection."""

    def __init__(self, config):
        super().__init__()
        self.attention = BertAttention(config)
        self.intermediate = BertIntermediate(config)
        self.output = BertOutput(config, config.intermediate_size)

    def forward(self, X, mask, output_attentions=False, queries=None):
        """As `BertSelfAttention`."""
        X, probs = self.attention(X, mask, output_attentions, queries)
        # The feed-forward network's output is added to its own input
        return self.output(self.intermediate(X), X), probs


class BertEncoder(nn.Module):
    """The layers, one after another."""

    def __init__(self, config):
        super().__init__()
        self.layer = nn.ModuleList(
            BertLayer(config) for _ in range(config.num_hidden_layers))

    def forward(self, X, mask, output_attentions=False, positions=None):
        """Lists: inputs and outputs of the layers, weights of attention.

        With positions (B, P) the last layer computes the vectors there and
        no others.
        """
        hidden_states, attentions = [X], []
        last = None if positions is None else self.layer[-1]
        for layer in self.layer:
            queries = rows_at(X, positions) if layer is last else X
            X, probs = layer(X, mask, output_attentions, queries)
            hidden_states.append(X)
            attentions.append(probs)
        return hidden_states, attentions


class BertPooler(nn.Module):
    """A dense layer and tanh on the vector of [CLS]."""

    def __init__(self, config):
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, X):
        """(B, L, H) -> (B, H)."""
        return self.dense(X[:, 0]).tanh()


class BertPreTrainedModel(nn.Module):
    """What every BERT here can do: come from a checkpoint and become one."""

    def __init__(self, config):
        super().__init__()
        self.config = config

    @classmethod
    def from_pretrained(cls, source, new=(), **labels):
        """Load a checkpoint of Hugging Face, in evaluation mode.

        Args:
            source: a folder, or the name of a model.
            new, labels: as in `load_checkpoint_folder`, which says what does
                not fit.
        """
        config, params, sizes = load_checkpoint_folder(
            source, cls.__name__, new, **labels)
        net = cls(config, **sizes)
        import_params(net, params)
        return net.eval()

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
        self.apply(init_weights)

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
            attention_mask = torch.ones_like(input_ids)
        if token_type_ids is None:
            token_type_ids = torch.zeros_like(input_ids)
        has_all = output_attentions or output_hidden_states
        hidden_states, attentions = self.encoder(
            self.embeddings(input_ids, token_type_ids), attention_mask,
            output_attentions, None if has_all else positions)
        X = hidden_states[-1]
        if has_all and positions is not None:
            X = rows_at(X, positions)
        return BertOutputs(X, self.pooler(X),
                           hidden_states if output_hidden_states else None,
                           attentions if output_attentions else None)
