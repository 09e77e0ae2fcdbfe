"""The heads of the original BERT in PyTorch: pretraining, classification.

The letters for sizes are those of `model.py`.
"""

import torch
from torch import nn
from torch.nn import functional as F

from d2lbert.inputs import batch_of_ids, classifier_labels, labelled_ids
from d2lbert.original.outputs import ClassifierOutputs, PreTrainingOutputs
from d2lbert.torch.fast import Dropout
from d2lbert.torch.inputs import check
from d2lbert.torch.model import init_weights, rows_at
from d2lbert.torch.original.model import BertModel, BertPreTrainedModel


class BertPredictionHeadTransform(nn.Module):
    """Dense, GELU and LayerNorm, before words are predicted."""

    def __init__(self, config):
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(
            config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, X):
        """(B, P, H) -> (B, P, H)."""
        return self.LayerNorm(F.gelu(self.dense(X)))


class BertLMPredictionHead(nn.Module):
    """Scores of all words at some positions.

    The decoder is the matrix of word embeddings: it is passed in, and there
    is no second one that could come to differ.
    """

    def __init__(self, config):
        super().__init__()
        self.transform = BertPredictionHeadTransform(config)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, X, word_embeddings):
        """(B, P, H), (V, H) -> logits (B, P, V)."""
        return F.linear(self.transform(X), word_embeddings, self.bias)


class BertPreTrainingHeads(nn.Module):
    """Masked words from every vector, next sentence from the pooled one."""

    def __init__(self, config):
        super().__init__()
        self.predictions = BertLMPredictionHead(config)
        self.seq_relationship = nn.Linear(config.hidden_size, 2)

    def forward(self, X, pooled, word_embeddings):
        """(B, P, H), (B, H), (V, H) -> logits (B, P, V) and (B, 2)."""
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
                labels=None, next_sentence_label=None,
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
        positions = None if masked_lm_positions is None else F.pad(
            masked_lm_positions, (1, 0))  # [CLS] is at position 0
        encoded = self.bert(
            input_ids, attention_mask, token_type_ids, output_attentions,
            output_hidden_states, positions)
        X = encoded.last_hidden_state
        if masked_lm_positions is not None:
            X = X[:, 1:]
            if labels is not None:
                labels = rows_at(labels, masked_lm_positions)
        words, is_next = self.cls(
            X, encoded.pooler_output,
            self.bert.embeddings.word_embeddings.weight)
        losses = [mean_cross_entropy(logits, y) for logits, y in (
            (words, labels), (is_next, next_sentence_label)) if y is not None]
        return PreTrainingOutputs(
            sum(losses) if losses else None, words, is_next,
            encoded.hidden_states, encoded.attentions)


class BertForSequenceClassification(BertPreTrainedModel):
    """BERT with one new layer, on the pooled vector."""

    def __init__(self, config, num_labels=None):
        config = config.with_labels(num_labels)
        super().__init__(config)
        self.bert = BertModel(config)
        self.dropout = Dropout(config.classifier_dropout_prob)
        self.classifier = nn.Linear(
            config.hidden_size, config.num_labels)
        self.classifier.apply(init_weights)

    def forward(self, input_ids, attention_mask=None, token_type_ids=None,
                labels=None, output_attentions=False,
                output_hidden_states=False):
        """Classify texts or pairs: `ClassifierOutputs`, logits (B, C).

        Labels are what `classifier_loss` takes for `config.problem`; all
        else is as in `BertModel`.
        """
        check(batch_of_ids, input_ids)
        cls = torch.zeros_like(input_ids[:, :1])  # only its vector is needed
        encoded = self.bert(
            input_ids, attention_mask, token_type_ids, output_attentions,
            output_hidden_states, cls)
        logits = self.classifier(self.dropout(encoded.pooler_output))
        loss = None if labels is None else classifier_loss(
            self.config.problem, logits, labels)
        return ClassifierOutputs(
            loss, logits, encoded.hidden_states, encoded.attentions)


def mean_cross_entropy(logits, labels):
    """Mean over the labels that are not -100, 0 where there are none.

    Logits (..., C), labels (...) -> a scalar.
    """
    total = F.cross_entropy(logits.flatten(0, -2), labels.flatten().long(),
                            ignore_index=-100, reduction="sum")
    return total / (labels != -100).sum().clamp(min=1)


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
    labels = labels.reshape(logits.shape).to(logits.dtype)
    if problem == "regression":
        return F.mse_loss(logits, labels)
    return F.binary_cross_entropy_with_logits(logits, labels)
