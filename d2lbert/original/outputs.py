"""What the original BERT's three backends share: outputs and batches."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from d2lbert.inputs import IGNORED


class BertOutputs(NamedTuple):
    """What a `BertModel` computes.

    Attributes:
        last_hidden_state: (B, L, H) a vector for each token.
        pooler_output: (B, H) one for each text or pair of texts.
        hidden_states: list of (B, L, H): the embeddings, then the output of
            each layer; None without `output_hidden_states=True`.
        attentions: list of (B, A, L, L), the weights of each layer; None
            without `output_attentions=True`.
    """
    last_hidden_state: Any
    pooler_output: Any
    hidden_states: list | None = None
    attentions: list | None = None


class PreTrainingOutputs(NamedTuple):
    """What a `BertForPreTraining` computes.

    Attributes:
        loss: a scalar, the sum of the losses of both tasks, or None.
        prediction_logits: (B, L, V) scores of all words at each position;
            (B, P, V) at the masked_lm_positions, where they were given.
        seq_relationship_logits: (B, 2) scores of next and of not next.
        hidden_states, attentions: as in `BertOutputs`.
    """
    loss: Any
    prediction_logits: Any
    seq_relationship_logits: Any
    hidden_states: list | None = None
    attentions: list | None = None


class ClassifierOutputs(NamedTuple):
    """What a `BertForSequenceClassification` computes.

    Attributes:
        loss: a scalar, or None.
        logits: (B, C).
        hidden_states, attentions: as in `BertOutputs`.
    """
    loss: Any
    logits: Any
    hidden_states: list | None = None
    attentions: list | None = None


def to_bert_batch(batch: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """A batch of `d2lbert.data.batches` as the original BERT's named inputs.

    Args:
        batch: the 7-tuple of NumPy arrays of `PretrainingBatches`.

    Returns:
        A dict of int32 arrays: input_ids, attention_mask, token_type_ids and
        labels, (B, L), labels -100 where nothing is predicted,
        masked_lm_positions (B, P), those that have labels, filled up with 0,
        and next_sentence_label (B,), 0 for the next sentence and 1 for
        another: Google's labels are the opposite of d2l's.
    """
    tokens, segments, valid_lens, positions, weights, words, is_next = batch
    columns, labels = np.arange(tokens.shape[1]), np.full_like(tokens, -100)
    rows, slots = weights.nonzero()
    labels[rows, positions[rows, slots]] = words[rows, slots]
    return {"input_ids": tokens,
            "attention_mask": (columns < valid_lens[:, None]).astype(np.int32),
            "token_type_ids": segments, "labels": labels,
            "next_sentence_label": 1 - is_next,
            "masked_lm_positions": positions * (weights != 0)}


def classes(problem: str, logits: np.ndarray, labels: np.ndarray
            ) -> tuple[np.ndarray, np.ndarray]:
    """What a classifier says of a batch, and what is true.

    Args:
        problem: `BertConfig.problem`.
        logits: (B, C); labels: as its loss takes them.

    Returns:
        Two integer arrays: classes (N,), without the labels -100; or 0 and 1
        for each of several labels (B, C).

    Raises:
        ValueError: for a regression, which has no classes.
    """
    if problem == "regression":
        raise ValueError("this net is a regression and predicts no classes: "
                         "its numbers are the logits that infer gives")
    if problem == "multi_label_classification":  # more probable than not
        return (logits > 0).astype(int), labels.reshape(logits.shape)
    counted = labels.reshape(-1) != IGNORED
    return logits.argmax(1)[counted], labels.reshape(-1)[counted]
