"""The heads of the original BERT in PyTorch: pretraining, classification.

The letters for sizes are those of `model.py`.
"""

import torch
from torch import nn
from torch.nn import functional as F

from d2lbert.original.outputs import ClassifierOutputs, PreTrainingOutputs
from d2lbert.torch.model import init_weights
from d2lbert.torch.original.model import BertModel, BertPreTrainedModel


class BertPredictionHeadTransform(nn.Module):
    """Dense, GELU and LayerNorm, before words are predicted."""

    def __init__(self, config):
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(
            config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, X):
        """(B, L, H) -> (B, L, H)."""
        return self.LayerNorm(F.gelu(self.dense(X)))


class BertLMPredictionHead(nn.Module):
    """Scores of all words at every position.

    The decoder is the matrix of word embeddings: it is passed in, and there
    is no second one that could come to differ.
    """

    def __init__(self, config):
        super().__init__()
        self.transform = BertPredictionHeadTransform(config)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, X, word_embeddings):
        """(B, L, H), (V, H) -> logits (B, L, V)."""
        return F.linear(self.transform(X), word_embeddings, self.bias)


class BertPreTrainingHeads(nn.Module):
    """Masked words from every vector, next sentence from the pooled one."""

    def __init__(self, config):
        super().__init__()
        self.predictions = BertLMPredictionHead(config)
        self.seq_relationship = nn.Linear(config.hidden_size, 2)

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
        self.cls.apply(init_weights)

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
        words, is_next = self.cls(
            encoded.last_hidden_state, encoded.pooler_output,
            self.bert.embeddings.word_embeddings.weight)
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
        self.classifier = nn.Linear(config.hidden_size, num_labels)
        self.classifier.apply(init_weights)

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
    total = F.cross_entropy(logits.flatten(0, -2), labels.flatten().long(),
                            ignore_index=-100, reduction="sum")
    return total / (labels != -100).sum().clamp(min=1)
