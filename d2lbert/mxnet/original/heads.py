"""The heads of the original BERT in MXNet/Gluon: pretraining, classification.

The letters for sizes are those of `model.py`.
"""

from mxnet import init, np, npx
from mxnet.gluon import nn

from d2lbert.mxnet.model import Dense, LayerNorm
from d2lbert.mxnet.original.model import BertModel, BertPreTrainedModel, gelu
from d2lbert.original.outputs import ClassifierOutputs, PreTrainingOutputs


class BertPredictionHeadTransform(nn.HybridBlock):
    """Dense, GELU and LayerNorm, before words are predicted."""

    def __init__(self, config):
        super().__init__()
        H = config.hidden_size
        self.dense = Dense(H, in_units=H)
        self.LayerNorm = LayerNorm(
            epsilon=config.layer_norm_eps, in_channels=H)

    def hybrid_forward(self, F, X):
        """(B, L, H) -> (B, L, H)."""
        return self.LayerNorm(gelu(F, self.dense(X)))


class BertLMPredictionHead(nn.HybridBlock):
    """Scores of all words at every position.

    The decoder is the matrix of word embeddings: it is passed in, and there
    is no second one that could come to differ.
    """

    def __init__(self, config):
        super().__init__()
        self.num_words = config.vocab_size
        self.transform = BertPredictionHeadTransform(config)
        self.bias = self.params.get(
            "bias", shape=(config.vocab_size,), init=init.Zero())

    def hybrid_forward(self, F, X, word_embeddings, bias):
        """(B, L, H), (V, H) -> logits (B, L, V)."""
        return F.npx.fully_connected(
            self.transform(X), word_embeddings, bias, flatten=False,
            num_hidden=self.num_words, no_bias=False)


class BertPreTrainingHeads(nn.Block):
    """Masked words from every vector, next sentence from the pooled one."""

    def __init__(self, config):
        super().__init__()
        self.predictions = BertLMPredictionHead(config)
        self.seq_relationship = Dense(2, in_units=config.hidden_size)

    def forward(self, X, pooled, word_embeddings):
        """(B, L, H), (B, H), (V, H) -> logits (B, L, V) and (B, 2)."""
        return (self.predictions(X, word_embeddings),
                self.seq_relationship(pooled))


class BertForPreTraining(BertPreTrainedModel):
    """BERT with the two heads of pretraining."""

    def __init__(self, config):
        super().__init__(config)
        self.bert = BertModel(config)
        self.cls = BertPreTrainingHeads(config)

    def forward(self, input_ids, attention_mask=None, token_type_ids=None,
                labels=None, next_sentence_label=None):
        """Predict masked words and whether the second sentence is next.

        Args:
            input_ids, attention_mask, token_type_ids: as in `BertModel`.
            labels: (B, L) the words that were there; -100 is not counted.
            next_sentence_label: (B,) 0 if it is the next one, 1 if not.

        Returns:
            `PreTrainingOutputs`; the loss is the sum of those that labels
            are given for, None without labels.
        """
        encoded = self.bert(input_ids, attention_mask, token_type_ids)
        embeddings = self.bert.embeddings.word_embeddings.weight
        words, is_next = self.cls(
            encoded.last_hidden_state, encoded.pooler_output,
            embeddings.data(input_ids.ctx))
        losses = [mean_cross_entropy(logits, y) for logits, y in (
            (words, labels), (is_next, next_sentence_label)) if y is not None]
        return PreTrainingOutputs(
            sum(losses) if losses else None, words, is_next)


class BertForSequenceClassification(BertPreTrainedModel):
    """BERT with one new layer, on the pooled vector."""

    def __init__(self, config, num_labels=2):
        super().__init__(config)
        self.num_labels, self.bert = num_labels, BertModel(config)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.classifier = Dense(num_labels, in_units=config.hidden_size)

    def forward(self, input_ids, attention_mask=None, token_type_ids=None,
                labels=None):
        """Classify texts or pairs of texts.

        Args:
            input_ids, attention_mask, token_type_ids: as in `BertModel`.
            labels: (B,) classes; -100 is not counted.

        Returns:
            `ClassifierOutputs`, logits (B, C); the loss is None without
            labels.
        """
        encoded = self.bert(input_ids, attention_mask, token_type_ids)
        logits = self.classifier(self.dropout(encoded.pooler_output))
        loss = None if labels is None else mean_cross_entropy(logits, labels)
        return ClassifierOutputs(loss, logits)


def mean_cross_entropy(logits, labels):
    """Mean over the labels that are not -100, 0 where there are none.

    Logits (..., C), labels (...) -> a scalar.
    """
    counted = (labels != -100).astype("float32")
    right = np.maximum(labels, 0)
    losses = -npx.pick(npx.log_softmax(logits), right)
    return (losses * counted).sum() / np.maximum(counted.sum(), 1)
