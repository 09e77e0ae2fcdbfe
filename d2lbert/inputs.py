"""The contract for what a model is given: one for all backends.

Every rule here is a function of `Given`s, one an array, and raises ValueError
with what was given and what can be. A backend calls it by its own `check`,
which describes the arrays without waiting for a device and leaves traced
graphs alone.

B = batch size, L = sequence length, P = number of prediction slots.
"""

from collections.abc import Mapping
from math import prod
from typing import Any, NamedTuple

import numpy as np

IGNORED = -100  # the label that is not counted, as Hugging Face has it
AS_IDS = "that of input_ids"
INTEGERS = ("int32", "int64")  # what every backend can count and index with
_LABELS = {"BertForPreTraining": ("labels", "next_sentence_label",
                                  "masked_lm_positions"),
           "BertForSequenceClassification": ("labels",)}


class Given(NamedTuple):
    """What is known of an array without waiting for a device.

    Attributes:
        shape: a tuple of numbers.
        dtype: the name of its type, such as 'int64'.
        values: an array on the host, or None where they lie elsewhere.
    """
    shape: tuple[int, ...]
    dtype: str
    values: np.ndarray | None

    @classmethod
    def of(cls, array: np.ndarray) -> "Given":
        """An array on the host."""
        return cls(array.shape, array.dtype.name, array)


def not_a_tensor(given: Any, wanted: str) -> ValueError:
    """The error for what is no array of the backend."""
    return ValueError(
        f"a {type(given).__module__}.{type(given).__name__} was given, where "
        f"a {wanted} belongs: to_tensors of the same backend makes one")


def check_vocab_size(given: int, known: int) -> None:
    """Raise ValueError unless the loss counts the words of the model."""
    if given != known:
        raise ValueError(f"vocab_size is {given}, but this model was built "
                         f"with vocab_size={known}: give len(vocab) to both")


def encoder_inputs(tokens: Given, segments: Given, valid_lens: Given | None,
                   *, vocab_size: int, max_len: int | None) -> None:
    """What a `BERTEncoder` reads: (B, L), (B, L), (B,) or None.

    Without max_len any length will do.
    """
    _check_is_batch("tokens", tokens)
    num_rows, length = tokens.shape
    if max_len is not None and length > max_len:
        raise ValueError(
            f"the sequences have {length} tokens, but this model was built "
            f"with max_len={max_len}: cut them or build a longer model")
    _check_range("tokens", tokens, 0, vocab_size - 1, "was the text numbered "
                 "with another vocabulary?", f"vocab_size={vocab_size}")
    _check_shape("segments", segments, tokens.shape, "that of tokens")
    _check_range("segments", segments, 0, 1, "a pair has two segments")
    if valid_lens is not None:
        _check_shape("valid_lens", valid_lens, (num_rows,), "one a row")
        _check_range("valid_lens", valid_lens, 1, length, "they count the "
                     "tokens of each row that are not padding",
                     f"{length} columns", whole_floats=True)


def key_lengths(valid_lens: Given | None, *, queries: tuple[int, ...],
                keys: tuple[int, ...]) -> None:
    """How many keys may be seen: (B,), (B, L) a query's own, or None.

    Args:
        queries, keys: their shapes, (B, L, any).
    """
    for name, shape in (("queries", queries), ("keys", keys)):
        if len(shape) != 3:
            raise _wrong_shape(name, shape, "(B, L, H)", "a vector a token")
    if valid_lens is not None:
        wanted = queries[:2] if len(valid_lens.shape) == 2 else queries[:1]
        _check_shape("valid_lens", valid_lens, wanted, "one a row or a query")
        _check_range("valid_lens", valid_lens, 1, keys[1], "they count the "
                     "keys that may be seen", f"{keys[1]} keys",
                     whole_floats=True)


def prediction_slots(pred_positions: Given | None, *, shape: tuple[int, ...],
                     name: str = "pred_positions") -> None:
    """Positions (B, P), P 1 or more, in tokens of a shape (B, L)."""
    num_rows, length = shape
    if pred_positions is None:
        raise _is_none(name)
    if (len(pred_positions.shape) != 2 or 0 in pred_positions.shape
            or pred_positions.shape[0] != num_rows):
        raise _wrong_shape(name, pred_positions.shape,
                           f"({num_rows}, P)", "P slots a row")
    _check_range(name, pred_positions, 0, length - 1,
                 "they are columns of tokens", f"{length} columns")


def pretraining_batch(*batch: Given, vocab_size: int,
                      max_len: int | None = None) -> None:
    """The 7-tuple of `load_data_wiki`; d2l lets valid_lens be (B, 1)."""
    if len(batch) != 7:
        raise ValueError(f"a batch of {len(batch)} arrays was given, not the "
                         "7 of load_data_wiki")
    (tokens, segments, valid_lens, pred_positions, mlm_weights, mlm_Y,
     nsp_y) = batch
    encoder_inputs(tokens, segments, _flat("valid_lens", valid_lens),
                   vocab_size=vocab_size, max_len=max_len)
    prediction_slots(pred_positions, shape=tokens.shape)
    _check_shape("mlm_weights", mlm_weights, pred_positions.shape,
                 "that of pred_positions")
    _check_numbers("mlm_weights", mlm_weights, 0,
                   "1 for a slot that counts, else 0")
    labels("mlm_Y", mlm_Y, pred_positions.shape, vocab_size, kind="words")
    labels("nsp_y", nsp_y, (tokens.shape[0],), 2)


def classifier_inputs(*X: Given, vocab_size: int, max_len: int) -> None:
    """The three inputs of a `BERTClassifier`."""
    if len(X) != 3:
        raise ValueError(f"{len(X)} inputs were given, not the 3 of a BERT: "
                         "tokens, segments, valid_lens")
    tokens, segments, valid_lens = X
    encoder_inputs(tokens, segments, _flat("valid_lens", valid_lens),
                   vocab_size=vocab_size, max_len=max_len)


def class_labels(y: Given, *, shape: tuple[int, ...]) -> None:
    """Labels (B,) of classes, for logits of a shape (B, C)."""
    if len(shape) != 2:
        raise _wrong_shape("the logits", shape, "(B, C)", "one row a label")
    labels("the labels", y, shape[:-1], shape[-1])


def labels(name: str, y: Given, shape: tuple[int, ...], num_classes: int,
           ignored: int | None = None, kind: str = "classes") -> None:
    """Numbers of classes; `ignored` stands where nothing is counted."""
    _check_shape(name, y, shape, "one label a prediction")
    if ignored is not None and y.values is not None:
        y = y._replace(values=y.values[y.values != ignored])
    advice = f"{kind} are counted from 0" + (
        "" if ignored is None else f", and {ignored} is not counted")
    _check_range(name, y, 0, num_classes - 1, advice,
                 f"{num_classes} {kind}")


def bert_inputs(input_ids: Given, attention_mask: Given | None,
                token_type_ids: Given | None, *, config: Any) -> None:
    """What the original BERT reads, by the sizes of its `BertConfig`.

    (B, L) three times; the mask and the segments may be None.
    """
    _check_is_batch("input_ids", input_ids)
    shape, room = input_ids.shape, config.max_position_embeddings
    if shape[1] > room:
        raise ValueError(
            f"the input has {shape[1]} tokens, but this model has "
            f"max_position_embeddings={room}: cut the text, for instance by "
            f"the tokenizer's max_length={room}, truncate=True")
    _check_range("input_ids", input_ids, 0, config.vocab_size - 1, "was the "
                 "text read with the vocabulary of another model?",
                 f"vocab_size={config.vocab_size}")
    if token_type_ids is not None:
        size = config.type_vocab_size
        _check_shape("token_type_ids", token_type_ids, shape, AS_IDS)
        _check_range("token_type_ids", token_type_ids, 0, size - 1, "they "
                     "are the segments", f"type_vocab_size={size}")
    if attention_mask is not None:
        _check_shape("attention_mask", attention_mask, shape, AS_IDS)
        _check_mask("attention_mask", attention_mask)


def check_names(batch: Any, has_labels: bool) -> None:
    """Raise ValueError unless a batch is a dict of arrays, with labels.

    Args:
        has_labels: whether there have to be some.
    """
    if not isinstance(batch, Mapping):
        raise ValueError(f"a batch is a {type(batch).__name__}, not a dict "
                         "of arrays such as a tokenizer gives")
    if nothing := [name for name, array in batch.items() if array is None]:
        raise ValueError(f"{nothing[0]} is None: leave it out of the batch")
    if has_labels and not {"labels", "next_sentence_label"} & batch.keys():
        raise ValueError(f"the batch holds {', '.join(batch) or 'nothing'}, "
                         "but no labels to learn from or to compare with")


def named_inputs(*arrays: Given, names: tuple[str, ...], config: Any,
                 architecture: str) -> None:
    """A batch of the original BERT, arrays and their names, with labels.

    Args:
        config: its `BertConfig`.
        architecture: the name of its class, which may be a reader's own;
            it says what the labels are.
    """
    batch = dict(zip(names, arrays))
    if "input_ids" not in batch:
        raise ValueError(f"the batch holds {', '.join(names) or 'nothing'}, "
                         "but no input_ids")
    known = ("input_ids", "attention_mask", "token_type_ids",
             *_LABELS.get(architecture, ()))
    if architecture in _LABELS and set(names) - set(known):
        raise ValueError(
            f"the batch holds {', '.join(sorted(set(names) - set(known)))}, "
            f"but a {architecture} reads {', '.join(known)}")
    ids = batch["input_ids"]
    bert_inputs(ids, batch.get("attention_mask"), batch.get("token_type_ids"),
                config=config)
    if "positions" in batch:
        vector_positions(batch["positions"], shape=ids.shape)
    y = batch.get("labels")
    if architecture == "BertForPreTraining":
        pretraining_labels(*map(batch.get, _LABELS[architecture]),
                           shape=(*ids.shape, config.vocab_size))
    elif architecture == "BertForSequenceClassification" and y is not None:
        classifier_labels(y, shape=(ids.shape[0], config.num_labels),
                          problem=config.problem)


def vector_positions(positions: Given, *, shape: tuple[int, ...]) -> None:
    """Where a `BertModel` computes vectors: (B, P), [CLS] first."""
    prediction_slots(positions, shape=shape, name="positions")
    values = positions.values
    if values is not None and values[:, 0].any():
        row = int(values[:, 0].nonzero()[0][0])
        raise ValueError(
            f"positions of row {row} begin with {int(values[row, 0])}: put 0 "
            "first, where [CLS] stands, from which the pooled vector is made")


def batch_of_ids(input_ids: Given) -> None:
    """Ids (B, L) of whatever vocabulary."""
    _check_is_batch("input_ids", input_ids)


def labelled_ids(input_ids: Given, words: Given | None,
                 is_next: Given | None, positions: Given | None = None, *,
                 vocab_size: int) -> None:
    """What `pretraining_labels` refuses, beside input_ids (B, L)."""
    batch_of_ids(input_ids)
    pretraining_labels(words, is_next, positions,
                       shape=(*input_ids.shape, vocab_size))


def pretraining_labels(words: Given | None, is_next: Given | None,
                       positions: Given | None = None, *,
                       shape: tuple[int, ...]) -> None:
    """Labels of a `BertForPreTraining`, for logits of a shape (B, L, V).

    Args:
        positions: (B, P), where words are predicted; None for everywhere.
    """
    if words is not None:
        labels("labels", words, shape[:2], shape[2], IGNORED, "words")
    if is_next is not None:
        labels("next_sentence_label", is_next, shape[:1], 2, IGNORED)
    if positions is not None:
        prediction_slots(positions, shape=shape[:2],
                         name="masked_lm_positions")
        _check_are_predicted(words, positions)


def _check_are_predicted(words: Given | None, positions: Given) -> None:
    """Each label that counts has to stand at one position, once."""
    if words is None or words.values is None or positions.values is None:
        return
    counted = words.values != IGNORED
    times = np.zeros(counted.shape, int)
    rows = np.arange(len(times))[:, None]
    np.add.at(times, (rows, positions.values.astype(int)), 1)
    if (wrong := np.argwhere(counted & (times != 1))).size:
        row, column = wrong[0]
        raise ValueError(
            f"row {row} has a label at position {column}, which is "
            f"{times[row, column]} times among its masked_lm_positions: give "
            "each position of a label once, and fill up with 0, that of "
            "[CLS], which has none")


def classifier_labels(y: Given, *, shape: tuple[int, ...], problem: str
                      ) -> None:
    """Labels of a `BertForSequenceClassification`, for logits (B, C).

    Args:
        problem: what they say, see `BertConfig.problem`.
    """
    if y.shape == (shape[0], 1):  # a column, as tables give it
        y = _flat("labels", y)
    if problem == "single_label_classification":
        if y.shape == shape:
            raise _wrong_shape(
                "labels", y.shape, str(shape[:1]), "one class a row; for "
                "several at once problem_type='multi_label_classification'")
        labels("labels", y, shape[:1], shape[1], IGNORED)
        return
    _check_shape("labels", y, shape[:1] if shape[1] == 1 else shape,
                 f"this is a {problem}")
    if problem == "regression":
        _check_numbers("labels", y, -np.inf, "they are what the outputs are "
                       "compared with")
    else:
        _check_numbers("labels", y, 0, "1 for each label that holds, else 0",
                       1, bool_too=True)


def _flat(name: str, given: Given | None) -> Given:
    if given is None:
        raise _is_none(name)
    values = given.values
    return given._replace(shape=(prod(given.shape),),
                          values=None if values is None else values.ravel())


def _is_none(name: str) -> ValueError:
    return ValueError(f"{name} is None, where an array belongs")


def _check_is_batch(name: str, given: Given | None) -> None:
    if given is None:
        raise _is_none(name)
    if len(given.shape) != 2:
        raise _wrong_shape(name, given.shape, "(B, L)", "a single sequence "
                           "is a batch of one row")
    if 0 in given.shape:
        raise _wrong_shape(name, given.shape, "(B, L)",
                           "a batch has one row and one column at least")


def _check_shape(name: str, given: Given | None, shape: tuple[int, ...],
                 why: str) -> None:
    if given is None:
        raise _is_none(name)
    if tuple(given.shape) != tuple(shape):
        raise _wrong_shape(name, given.shape, str(tuple(shape)), why)


def _wrong_shape(name: str, shape: tuple[int, ...], wanted: str, why: str
                 ) -> ValueError:
    return ValueError(
        f"the shape of {name} is {tuple(shape)}, not {wanted}: {why}")


def _check_range(name: str, given: Given, low: int, high: int, advice: str,
                 size: str = "this model", whole_floats: bool = False
                 ) -> None:
    """Whole numbers from low to high, both included."""
    values = given.values
    if given.dtype not in INTEGERS:
        if not (whole_floats and "float" in given.dtype):
            raise ValueError(f"the values of {name} are {given.dtype}, not "
                             f"integers ({' or '.join(INTEGERS)})")
        if values is not None and np.any(values != np.floor(values)):
            odd = values[values != np.floor(values)][0]
            raise ValueError(f"{name} holds {odd}, not only whole numbers: "
                             f"{advice}")
    if values is not None and values.size:
        least, most = values.min(), values.max()
        if not low <= least <= most <= high:
            raise ValueError(
                f"the values of {name} go from {least} to {most}, but with "
                f"{size} they can be {low} to {high}: {advice}")


def _check_mask(name: str, given: Given) -> None:
    mask = given.values
    if mask is None:
        return
    if not np.isin(mask, (0, 1)).all():
        raise ValueError(
            f"the values of {name} go from {mask.min()} to {mask.max()}, but "
            "can be 1 for a token and 0 for padding")
    empty = np.flatnonzero(~np.any(mask, axis=1))
    if len(empty):
        raise ValueError(f"row {empty[0]} of {name} is 0 everywhere: a text "
                         "needs one token at least")


def _check_numbers(name: str, given: Given, low: float, advice: str,
                   high: float = np.inf, bool_too: bool = False) -> None:
    """Finite numbers from low to high, both included."""
    values = given.values
    if given.dtype == "bool" and not bool_too:
        raise ValueError(
            f"the values of {name} are bool, not numbers: {advice}")
    if values is not None and not np.isfinite(values).all():
        raise ValueError(f"the values of {name} are not all finite: {advice}")
    if values is not None and not np.all((values >= low) & (values <= high)):
        raise ValueError(
            f"the values of {name} go from {values.min()} to {values.max()}, "
            f"but can be {low} or more: {advice}" if high == np.inf else
            f"the values of {name} go from {values.min()} to {values.max()}, "
            f"but can be {low} to {high}: {advice}")
