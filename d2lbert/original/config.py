"""The original BERT's sizes and labels, in Hugging Face's names (config.json).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from math import prod
from numbers import Integral
from typing import Any, Self

from d2lbert.checkpoints.params import Shapes
from d2lbert.checks import CheckpointError

# What our model does, where a config.json could ask for something else
_FIXED = {"model_type": "bert", "hidden_act": "gelu", "is_decoder": False,
          "position_embedding_type": "absolute", "tie_word_embeddings": True}
# What is told by the saved model itself: its class, the type of its weights
_TOLD = ("architectures", "auto_map", "dtype", "torch_dtype",
         "quantization_config", "transformers_version")
PROBLEMS = ("regression", "single_label_classification",
            "multi_label_classification")
_MAX_LABELS = 1_000_000  # a small file that asks for all memory is an attack


@dataclass(frozen=True)
class BertConfig:
    """The sizes of a BERT; the defaults are those of bert-base-uncased.

    What only a classifier needs comes last.

    Attributes:
        vocab_size: number of WordPiece tokens.
        hidden_size: length of every token's vector.
        num_hidden_layers, num_attention_heads: heads divide hidden_size.
        intermediate_size: hidden units of the feed-forward networks.
        max_position_embeddings: the longest input, in tokens.
        type_vocab_size: number of segments.
        hidden_dropout_prob: after the embeddings, attention, feed-forward.
        attention_probs_dropout_prob: of the attention weights.
        layer_norm_eps: added to the variance; Google's is 1e-12.
        classifier_dropout: before the classifier; None for
            hidden_dropout_prob.
        problem_type: one of PROBLEMS; None leaves it to the number of
            labels, see `problem`.
        label_names: what the labels are called, in the order of the
            classifier's outputs; empty for two without names.
        rest: JSON of all else that a config.json says. It changes nothing
            here, and is written again.

    Raises:
        ValueError: naming a value that cannot be.
    """
    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    layer_norm_eps: float = 1e-12
    classifier_dropout: float | None = None
    problem_type: str | None = None
    label_names: tuple[str | int, ...] = ()
    rest: str = field(default="{}", repr=False, compare=False)

    def __post_init__(self) -> None:
        for size in fields(self):
            _check(size.name, size.type, getattr(self, size.name))
        # A list would make the configuration unhashable
        object.__setattr__(self, "label_names", _names(self.label_names))
        _check_problem(self.problem_type, len(self.label_names))
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size={self.hidden_size} cannot be split into "
                f"num_attention_heads={self.num_attention_heads} equal heads")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The configuration in a config.json.

        Raises:
            CheckpointError: for another architecture, or a value that is
                missing or cannot be.
        """
        for key, wanted in _FIXED.items():
            if values.get(key, wanted) != wanted:
                raise CheckpointError(
                    f"the checkpoint has {key} {values[key]!r}, but the BERT "
                    f"of this course has {wanted!r}: choose another one")
        missing = [key for key in ("vocab_size", "hidden_size",
                                   "num_hidden_layers") if key not in values]
        if missing:
            raise CheckpointError(
                f"the configuration lacks {', '.join(missing)}: is it the "
                "config.json of a BERT?")
        known = {f.name for f in fields(cls)} - {"label_names", "rest"}
        try:
            return cls(**{k: v for k, v in values.items() if k in known},
                       label_names=_read_names(values),
                       rest=_read_rest(values, known))
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f"the configuration says: {error}"
                                  ) from error

    def to_dict(self) -> dict[str, Any]:
        """What a config.json holds, so that `transformers` reads it."""
        values = asdict(self)
        del values["label_names"], values["rest"]
        values = {**json.loads(self.rest), **values, **_FIXED}
        if self.label_names:
            values["id2label"] = {str(i): n for i, n in self.id2label.items()}
            values.setdefault("label2id", _inverse(self.label_names))
        return values

    # What a classifier does

    @property
    def num_labels(self) -> int:
        """The outputs of a classifier: one for each name, or 2."""
        return len(self.label_names) or 2

    @property
    def id2label(self) -> dict[int, str | int]:
        """{output of the classifier: its name}."""
        return dict(enumerate(self.label_names or _names(2)))

    @property
    def problem(self) -> str:
        """What labels say, and with it the loss: one of PROBLEMS.

        problem_type; without it a single output is a regression, and more
        are classes that exclude each other. Unlike in `transformers`, where
        numbers of floating point turn classes into a multi-label problem,
        nothing depends on the labels that come.
        """
        return self.problem_type or (
            "regression" if self.num_labels == 1
            else "single_label_classification")

    @property
    def classifier_dropout_prob(self) -> float:
        """The dropout before the classifier."""
        return (self.hidden_dropout_prob if self.classifier_dropout is None
                else self.classifier_dropout)

    def with_labels(self, labels: int | Sequence[str | int] | None) -> Self:
        """The same model with other labels.

        Args:
            labels: their names, or how many there are: they get names such
                as LABEL_0, if there are not as many with names already. None
                changes nothing.
        """
        if labels is None:
            return self
        names = _names(labels)
        if isinstance(labels, Integral) and len(names) == len(
                self.label_names):
            return self
        others = json.loads(self.rest)
        others.pop("label2id", None)  # of the old ones
        return replace(self, label_names=names,
                       rest=json.dumps(others, indent=2))

    # The shapes of the weights

    def shapes(self) -> Shapes:
        """{name: shape} of a `BertModel`, in the names of its checkpoints."""
        H, F = self.hidden_size, self.intermediate_size
        rows = {"word": self.vocab_size, "token_type": self.type_vocab_size,
                "position": self.max_position_embeddings}
        shapes: Shapes = {
            f"embeddings.{name}_embeddings.weight": (number, H)
            for name, number in rows.items()}
        shapes |= _norm("embeddings.LayerNorm", H)
        for i in range(self.num_hidden_layers):
            layer = f"encoder.layer.{i}"
            for name in ("query", "key", "value"):
                shapes |= _dense(f"{layer}.attention.self.{name}", H, H)
            shapes |= _dense(f"{layer}.attention.output.dense", H, H)
            shapes |= _norm(f"{layer}.attention.output.LayerNorm", H)
            shapes |= _dense(f"{layer}.intermediate.dense", H, F)
            shapes |= _dense(f"{layer}.output.dense", F, H)
            shapes |= _norm(f"{layer}.output.LayerNorm", H)
        return shapes | _dense("pooler.dense", H, H)

    def pretraining_shapes(self) -> Shapes:
        """{name: shape} of a `BertForPreTraining`.

        The matrix that predicts words is that of the word embeddings, so
        that it does not come a second time.
        """
        H = self.hidden_size
        return (self._body() | {"cls.predictions.bias": (self.vocab_size,)}
                | _dense("cls.predictions.transform.dense", H, H)
                | _norm("cls.predictions.transform.LayerNorm", H)
                | _dense("cls.seq_relationship", H, 2))

    def classification_shapes(self, num_labels: int | None = None) -> Shapes:
        """{name: shape} of a `BertForSequenceClassification`."""
        return self._body() | _dense(
            "classifier", self.hidden_size,
            self.num_labels if num_labels is None else num_labels)

    def _body(self) -> Shapes:
        return {f"bert.{name}": size for name, size in self.shapes().items()}


def num_parameters(shapes: Shapes) -> int:
    """How many numbers {name: shape} hold; nothing is allocated."""
    return sum(map(prod, shapes.values()))


def _check(name: str, kind: Any, value: Any) -> None:
    if kind == float | None:
        kind = float if value is not None else None
    is_number = (isinstance(value, (int, float) if kind is float else int)
                 and not isinstance(value, bool))
    if kind is int and not (is_number and value >= 1):
        raise ValueError(f"{name} is {value!r:.99}, not a whole number from 1")
    if kind is float and not (is_number and 0 <= value < 1):
        raise ValueError(f"{name} is {value!r:.99}, not a number from 0 to 1")


def _check_problem(problem_type: Any, num_names: int) -> None:
    if problem_type is not None and problem_type not in PROBLEMS:
        raise ValueError(f"problem_type is {problem_type!r:.100}, not one of "
                         f"{', '.join(PROBLEMS)}")
    if problem_type == "single_label_classification" and num_names == 1:
        raise ValueError(
            f"problem_type is {problem_type!r} with one label, so that there "
            "is nothing to choose: give 2 labels, or 'regression'")


def _names(labels: Any) -> tuple[str | int, ...]:
    """The names of labels, or as many as a number says, checked."""
    if isinstance(labels, Integral) and not isinstance(labels, bool):
        number = int(labels)
        if not 1 <= number <= _MAX_LABELS:
            raise ValueError(f"num_labels is {number}, not from 1 to "
                             f"{_MAX_LABELS}: is num_labels right?")
        return tuple(f"LABEL_{i}" for i in range(number))
    if isinstance(labels, (list, tuple)) and all(
            type(name) in (str, int) for name in labels):
        return tuple(labels)
    raise ValueError(f"the labels are {labels!r:.100}, not a number from 1 or "
                     "a list of names")


def _inverse(names: Iterable[str | int]) -> dict[str | int, int]:
    return {name: i for i, name in enumerate(names)}


def _read_names(values: Mapping[str, Any]) -> tuple[str | int, ...]:
    """The labels of a config.json; empty where it does not name them."""
    named, number = values.get("id2label"), values.get("num_labels")
    if named is None:
        return () if number is None else _names(number)
    if not isinstance(named, dict):
        raise ValueError(f"id2label is {named!r:.100}, not an object of names")
    named = {str(key): name for key, name in named.items()}
    keys = [str(i) for i in range(len(named))]
    if named.keys() != set(keys):
        raise ValueError(f"id2label numbers {', '.join(named)!s:.100}, not "
                         f"0 to {len(named) - 1}")
    if number not in (None, len(named)):
        raise ValueError(f"num_labels is {number!r:.100}, but id2label has "
                         f"{len(named)} names")
    return _names([named[key] for key in keys])


def _read_rest(values: Mapping[str, Any], known: Iterable[str]) -> str:
    """What is neither ours nor told by the saved model, as JSON."""
    told = {*known, *_FIXED, *_TOLD, "id2label", "num_labels"}
    rest = {key: x for key, x in values.items() if key not in told}
    ids = rest.get("label2id")
    if not isinstance(ids, dict | None):
        raise ValueError(f"label2id is {ids!r:.100}, not an object of numbers")
    # A name with a number of its own is kept; the usual ones follow from
    # id2label, whatever it becomes
    if not ids or ids == _inverse(_read_names(values)):
        rest.pop("label2id", None)
    return json.dumps(rest, indent=2)  # as it will be written


def _dense(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _norm(name: str, size: int) -> Shapes:
    return {f"{name}.weight": (size,), f"{name}.bias": (size,)}
