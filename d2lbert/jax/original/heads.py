"""The heads of the original BERT in JAX and Flax: pretraining, classification.

The letters for sizes are those of `model.py`.
"""

import jax.numpy as jnp
from flax import linen as nn

from d2lbert.jax.model import Dense, Dropout, LayerNorm
from d2lbert.jax.original.model import BertModel, BertPreTrainedModel, gelu
from d2lbert.original.config import BertConfig
from d2lbert.original.outputs import ClassifierOutputs, PreTrainingOutputs


class BertPredictionHeadTransform(nn.Module):
    """Dense, GELU and LayerNorm, before words are predicted."""
    config: BertConfig

    def setup(self):
        self.dense = Dense(self.config.hidden_size)
        self.LayerNorm = LayerNorm(epsilon=self.config.layer_norm_eps)

    def __call__(self, X):
        """(B, L, H) -> (B, L, H)."""
        return self.LayerNorm(gelu(self.dense(X)))


class BertLMPredictionHead(nn.Module):
    """Scores of all words at every position.

    The decoder is the matrix of word embeddings: it is passed in, and there
    is no second one that could come to differ.
    """
    config: BertConfig

    def setup(self):
        self.transform = BertPredictionHeadTransform(self.config)
        self.bias = self.param("bias", nn.initializers.zeros,
                               (self.config.vocab_size,))

    def __call__(self, X, word_embeddings):
        """(B, L, H), (V, H) -> logits (B, L, V)."""
        return self.transform(X) @ word_embeddings.T + self.bias


class BertPreTrainingHeads(nn.Module):
    """Masked words from every vector, next sentence from the pooled one."""
    config: BertConfig

    def setup(self):
        self.predictions = BertLMPredictionHead(self.config)
        self.seq_relationship = Dense(2)

    def __call__(self, X, pooled, word_embeddings):
        """(B, L, H), (B, H), (V, H) -> logits (B, L, V) and (B, 2)."""
        return (self.predictions(X, word_embeddings),
                self.seq_relationship(pooled))


class BertForPreTraining(BertPreTrainedModel):
    """BERT with the two heads of pretraining."""
    config: BertConfig

    def setup(self):
        self.bert = BertModel(self.config)
        self.cls = BertPreTrainingHeads(self.config)

    def __call__(self, input_ids, attention_mask=None, token_type_ids=None,
                 labels=None, next_sentence_label=None, training=False):
        """Predict masked words and whether the second sentence is next.

        Args:
            input_ids, attention_mask, token_type_ids: as in `BertModel`.
            labels: (B, L) the words that were there; -100 is not counted.
            next_sentence_label: (B,) 0 if it is the next one, 1 if not.

        Returns:
            `PreTrainingOutputs`; the loss is the sum of those that labels
            are given for, None without labels.
        """
        encoded = self.bert(
            input_ids, attention_mask, token_type_ids, training)
        words, is_next = self.cls(
            encoded.last_hidden_state, encoded.pooler_output,
            self.bert.embeddings.word_embeddings.embedding)
        losses = [mean_cross_entropy(logits, y) for logits, y in (
            (words, labels), (is_next, next_sentence_label)) if y is not None]
        return PreTrainingOutputs(
            sum(losses) if losses else None, words, is_next)


class BertForSequenceClassification(BertPreTrainedModel):
    """BERT with one new layer, on the pooled vector."""
    config: BertConfig
    num_labels: int = 2

    def setup(self):
        self.bert = BertModel(self.config)
        self.dropout = Dropout(self.config.hidden_dropout_prob)
        self.classifier = Dense(self.num_labels)

    def __call__(self, input_ids, attention_mask=None, token_type_ids=None,
                 labels=None, training=False):
        """Classify texts or pairs of texts.

        Args:
            input_ids, attention_mask, token_type_ids: as in `BertModel`.
            labels: (B,) classes; -100 is not counted.

        Returns:
            `ClassifierOutputs`, logits (B, C); the loss is None without
            labels.
        """
        encoded = self.bert(
            input_ids, attention_mask, token_type_ids, training)
        logits = self.classifier(
            self.dropout(encoded.pooler_output, training))
        loss = None if labels is None else mean_cross_entropy(logits, labels)
        return ClassifierOutputs(loss, logits)


def mean_cross_entropy(logits, labels):
    """Mean over the labels that are not -100, 0 where there are none.

    Logits (..., C), labels (...) -> a scalar.
    """
    counted = labels != -100
    right = jnp.where(counted, labels, 0)[..., None]
    losses = -jnp.take_along_axis(nn.log_softmax(logits), right, -1)[..., 0]
    return (losses * counted).sum() / jnp.maximum(counted.sum(), 1)
