"""The heads of the original BERT in JAX and Flax: pretraining, classification.

The letters for sizes are those of `model.py`.
"""

import jax.numpy as jnp
import optax
from flax import linen as nn

from d2lbert.inputs import batch_of_ids, classifier_labels, labelled_ids
from d2lbert.jax.inputs import check
from d2lbert.jax.model import Dense, Dropout, LayerNorm, rows_at
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
        """(B, P, H) -> (B, P, H)."""
        return self.LayerNorm(gelu(self.dense(X)))


class BertLMPredictionHead(nn.Module):
    """Scores of all words at some positions.

    The decoder is the matrix of word embeddings: it is passed in, and there
    is no second one that could come to differ.
    """
    config: BertConfig

    def setup(self):
        self.transform = BertPredictionHeadTransform(self.config)
        self.bias = self.param("bias", nn.initializers.zeros,
                               (self.config.vocab_size,))

    def __call__(self, X, word_embeddings):
        """(B, P, H), (V, H) -> logits (B, P, V)."""
        return self.transform(X) @ word_embeddings.T + self.bias


class BertPreTrainingHeads(nn.Module):
    """Masked words from every vector, next sentence from the pooled one."""
    config: BertConfig

    def setup(self):
        self.predictions = BertLMPredictionHead(self.config)
        self.seq_relationship = Dense(2)

    def __call__(self, X, pooled, word_embeddings):
        """(B, P, H), (B, H), (V, H) -> logits (B, P, V) and (B, 2)."""
        return (self.predictions(X, word_embeddings),
                self.seq_relationship(pooled))


class BertForPreTraining(BertPreTrainedModel):
    """BERT with the two heads of pretraining."""
    config: BertConfig

    def setup(self):
        self.bert = BertModel(self.config)
        self.cls = BertPreTrainingHeads(self.config)

    def __call__(self, input_ids, attention_mask=None, token_type_ids=None,
                 labels=None, next_sentence_label=None, training=False,
                 output_attentions=False, output_hidden_states=False,
                 masked_lm_positions=None):
        """Predict masked words and the next sentence: `PreTrainingOutputs`.

        The loss is the sum of those that there are labels for: (B, L) the
        words that were there, -100 elsewhere; (B,) 0 for the next sentence
        and 1 for another. With masked_lm_positions (B, P) words are predicted
        there alone, and every label that counts has to stand at one of them.
        All else is as in `BertModel`.
        """
        check(labelled_ids, input_ids, labels, next_sentence_label,
              masked_lm_positions, vocab_size=self.config.vocab_size)
        positions = None if masked_lm_positions is None else jnp.pad(
            masked_lm_positions, ((0, 0), (1, 0)))  # [CLS] is at position 0
        encoded = self.bert(
            input_ids, attention_mask, token_type_ids, training,
            output_attentions, output_hidden_states, positions)
        X = encoded.last_hidden_state
        if masked_lm_positions is not None:
            X = X[:, 1:]
            if labels is not None:
                labels = rows_at(labels, masked_lm_positions)
        words, is_next = self.cls(
            X, encoded.pooler_output,
            self.bert.embeddings.word_embeddings.embedding)
        losses = [mean_cross_entropy(logits, y) for logits, y in (
            (words, labels), (is_next, next_sentence_label)) if y is not None]
        return PreTrainingOutputs(
            sum(losses) if losses else None, words, is_next,
            encoded.hidden_states, encoded.attentions)


class BertForSequenceClassification(BertPreTrainedModel):
    """BERT with one new layer, on the pooled vector."""
    config: BertConfig
    num_labels: int | None = None

    def __post_init__(self):
        self.config = self.config.with_labels(self.num_labels)
        super().__post_init__()

    def setup(self):
        self.bert = BertModel(self.config)
        self.dropout = Dropout(self.config.classifier_dropout_prob)
        self.classifier = Dense(self.config.num_labels)

    def __call__(self, input_ids, attention_mask=None, token_type_ids=None,
                 labels=None, training=False, output_attentions=False,
                 output_hidden_states=False):
        """Classify texts or pairs: `ClassifierOutputs`, logits (B, C).

        Labels are what `classifier_loss` takes for `config.problem`; all
        else is as in `BertModel`.
        """
        check(batch_of_ids, input_ids)
        cls = jnp.zeros_like(input_ids[:, :1])  # only its vector is needed
        encoded = self.bert(
            input_ids, attention_mask, token_type_ids, training,
            output_attentions, output_hidden_states, cls)
        logits = self.classifier(
            self.dropout(encoded.pooler_output, training))
        loss = None if labels is None else classifier_loss(
            self.config.problem, logits, labels)
        return ClassifierOutputs(
            loss, logits, encoded.hidden_states, encoded.attentions)


def mean_cross_entropy(logits, labels):
    """Mean over the labels that are not -100, 0 where there are none.

    Logits (..., C), labels (...) -> a scalar.
    """
    counted = labels != -100
    right = jnp.where(counted, labels, 0)[..., None]
    losses = -jnp.take_along_axis(nn.log_softmax(logits), right, -1)[..., 0]
    return (losses * counted).sum() / jnp.maximum(counted.sum(), 1)


def classifier_loss(problem, logits, labels):
    """The loss of a classifier: a mean over the batch.

    Args:
        problem: what the labels say, see `BertConfig.problem`.
        logits: (B, C).
        labels: classes (B,) or (B, 1), -100 is not counted; for 'regression'
            numbers (B, C), or (B,) where C is 1; for
            'multi_label_classification' (B, C), 1 for each label that holds
            and 0 for the others.

    Returns:
        A scalar: the cross-entropy; for 'regression' the squared error; for
        'multi_label_classification' the cross-entropy of yes and no, each
        label for itself.
    """
    check(classifier_labels, labels, shape=logits.shape, problem=problem)
    if problem == "single_label_classification":
        return mean_cross_entropy(logits, labels.reshape(-1))
    labels = labels.reshape(logits.shape)
    if problem == "regression":
        return optax.squared_error(logits, labels).mean()
    return optax.sigmoid_binary_cross_entropy(logits, labels).mean()
