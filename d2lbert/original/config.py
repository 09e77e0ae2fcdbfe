"""The sizes of the original BERT, in Hugging Face's names (config.json)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from math import prod
from typing import Any, Self

from d2lbert.checkpoints.params import Shapes
from d2lbert.checks import CheckpointError

# What our model does, where a config.json could ask for something else
_FIXED = {"model_type": "bert", "hidden_act": "gelu", "is_decoder": False,
          "position_embedding_type": "absolute", "tie_word_embeddings": True}


@dataclass(frozen=True)
class BertConfig:
    """The sizes of a BERT; the defaults are those of bert-base-uncased.

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

    Raises:
        ValueError: naming a size that cannot be.
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

    def __post_init__(self) -> None:
        for field in fields(self):
            _check(field.name, field.type, getattr(self, field.name))
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size={self.hidden_size} cannot be split into "
                f"num_attention_heads={self.num_attention_heads} equal heads")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The configuration in a config.json, whose other keys are left out.

        Raises:
            CheckpointError: for another architecture, or a size that is
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
        known = {field.name for field in fields(cls)}
        try:
            return cls(**{k: v for k, v in values.items() if k in known})
        except ValueError as error:
            raise CheckpointError(f"the configuration says: {error}"
                                  ) from error

    def to_dict(self) -> dict[str, Any]:
        """What a config.json holds, so that `transformers` reads it."""
        return {**asdict(self), **_FIXED}

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

    def classification_shapes(self, num_labels: int = 2) -> Shapes:
        """{name: shape} of a `BertForSequenceClassification`."""
        return self._body() | _dense(
            "classifier", self.hidden_size, num_labels)

    def _body(self) -> Shapes:
        return {f"bert.{name}": size for name, size in self.shapes().items()}


def num_parameters(shapes: Shapes) -> int:
    """How many numbers {name: shape} hold; nothing is allocated."""
    return sum(map(prod, shapes.values()))


def _check(name: str, kind: Any, value: Any) -> None:
    is_number = (isinstance(value, (int, float) if kind is float else int)
                 and not isinstance(value, bool))
    if kind is int and not (is_number and value >= 1):
        raise ValueError(f"{name} is {value!r}, not a whole number from 1")
    if kind is float and not (is_number and 0 <= value < 1):
        raise ValueError(f"{name} is {value!r}, not a number from 0 to 1")


def _dense(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _norm(name: str, size: int) -> Shapes:
    return {f"{name}.weight": (size,), f"{name}.bias": (size,)}
