"""One face for the models of all backends, for programs that compare them."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from d2lbert.backends import load_backend
from d2lbert.checkpoints.d2l import bert_shapes, classifier_shapes
from d2lbert.checkpoints.params import Params, initial_params, save_params
from d2lbert.data.vocab import Vocab
from d2lbert.original.config import BertConfig
from d2lbert.original.find import load_checkpoint_folder
from d2lbert.original.huggingface import SHAPES
from d2lbert.training.logs import FineTuningLog, LossLog, TrainingLog

Pairs = Sequence[tuple]  # of sentences; the second may be None


class Model:
    """A net of any backend, with its weights.

    PyTorch and MXNet keep the weights in the net and their functions take
    the net. Flax keeps them beside the net: functions take both, and those
    that train return new weights.

    Attributes:
        d2l: the backend's module; net: its model.
        params: {'params': …} of a Flax net, None in the other backends.
    """

    def __init__(self, d2l: ModuleType, net: Any, params: Params) -> None:
        self.d2l, self.net = d2l, net
        self.import_params(params)

    def import_params(self, params: Params) -> None:
        """Take over {name: array}."""
        self.params = self.d2l.import_params(self.net, params)

    def export_params(self) -> Params:
        """The weights as {name: array}."""
        return self.d2l.export_params(self.holder)

    @property
    def holder(self) -> Any:
        """What holds the weights: the net or, in JAX, {'params': …}."""
        return self.net if self.params is None else self.params

    @property
    def parts(self) -> tuple:
        """What functions take as their first arguments."""
        return (self.net,) if self.params is None else (self.net, self.params)

    def save(self, path: str | Path) -> None:
        """Write the weights as safetensors."""
        save_params(path, self.export_params())

    def _learn(self, function: Callable[..., Any], *args: Any, **recipe: Any
               ) -> Any:
        if self.params is None:
            return function(*args, **recipe)
        self.params, log = function(*args, params=self.params, **recipe)
        return log

    # d2l's BERT

    def train(self, train_iter: Iterable[Any], vocab_size: int, num_steps: int,
              devices: Any = None, **recipe: Any) -> TrainingLog:
        """`train_bert` with the backend's cross-entropy, by default on all
        devices."""
        return self._learn(
            self.d2l.train_bert, train_iter, self.net,
            self.d2l.cross_entropy(), vocab_size,
            devices or self.d2l.try_all_gpus(), num_steps, **recipe)

    def evaluate(self, data_iter: Iterable[Any]) -> tuple[float, float, float]:
        """Masked-LM loss, next-sentence loss and accuracy."""
        return self.d2l.evaluate_bert(*self.parts, data_iter)

    def encode(self, pairs: Pairs, vocab: Vocab) -> np.ndarray:
        """Encodings (N, L, H) of sentences and pairs."""
        return self.d2l.encode(*self.parts, pairs, vocab)

    def word_logits(self, batch: Sequence[Any]) -> np.ndarray:
        """Logits (B, P, V) of the words at a batch's prediction slots."""
        return self.d2l.word_logits(*self.parts, batch)

    # A classifier of pairs

    def fine_tune(self, train_iter: Iterable[Any],
                  dev_iter: Iterable[Any] | None,
                  test_iter: Iterable[Any] | None, num_epochs: int, lr: float,
                  **recipe: Any) -> FineTuningLog:
        """`train_ch13` with Adam and the backend's cross-entropy."""
        return self._learn(
            self.d2l.train_ch13, self.net, train_iter, test_iter,
            self.d2l.cross_entropy(), self.d2l.adam(self.net, lr), num_epochs,
            self.d2l.try_all_gpus(), dev_iter=dev_iter, **recipe)

    def predict(self, data_iter: Iterable[Any]
                ) -> tuple[np.ndarray, np.ndarray]:
        """Predicted and true classes, two (N,) arrays."""
        return self.d2l.predict(*self.parts, data_iter)

    def classify(self, pairs: Pairs, vocab: Vocab) -> np.ndarray:
        """Probabilities (N, 3) of the labels of pairs of sentences."""
        return self.d2l.classify(*self.parts, pairs, vocab)

    # The original BERT

    def fit(self, batches: Iterable[Any], num_steps: int, lr: float,
            **recipe: Any) -> LossLog:
        """Train on the model's own loss; a `LossLog`."""
        return self._learn(
            self.d2l.fit, self.net, batches, num_steps, lr, **recipe)

    def infer(self, batch: dict[str, Any], **options: bool) -> Any:
        """The outputs for a dict of arrays or tensors, as NumPy arrays."""
        return self.d2l.infer(*self.parts, batch, **options)

    def predict_classes(self, batches: Iterable[Any]
                        ) -> tuple[np.ndarray, np.ndarray]:
        """Predicted and true classes, two (N,) arrays."""
        return self.d2l.predict_classes(*self.parts, batches)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write a folder that Hugging Face's `transformers` reads."""
        self.net.save_pretrained(folder, *self.parts[1:])


def make_bert(backend: str, vocab_size: int, seed: int = 0, **sizes: Any
              ) -> Model:
    """A `BERTModel` with the shared initial weights.

    Args:
        backend: a name in `d2lbert.backends.BACKENDS`.
        sizes: num_hiddens, ffn_num_hiddens, num_heads, num_blks, dropout
            and, if wanted, max_len.
    """
    d2l = load_backend(backend)
    params = initial_params(bert_shapes(vocab_size, **sizes), seed)
    return Model(d2l, d2l.BERTModel(vocab_size, **sizes), params)


def make_classifier(backend: str, vocab_size: int, seed: int = 0,
                    pretrained: Params | None = None, **sizes: Any) -> Model:
    """A `BERTClassifier` of pairs.

    Args:
        pretrained: {name: array} of a BERT, whose encoder and hidden layer
            are taken over; without it all weights are new.
        sizes: as in `make_bert`.
    """
    d2l = load_backend(backend)
    params = initial_params(classifier_shapes(3, vocab_size, **sizes), seed)
    params |= {name: array for name, array in (pretrained or {}).items()
               if name in params}
    bert = d2l.BERTModel(vocab_size, **sizes)
    return Model(d2l, d2l.BERTClassifier(bert), params)


def make_original(backend: str, architecture: str, config: BertConfig,
                  params: Params | None = None, seed: int = 0, **sizes: int
                  ) -> Model:
    """An original BERT.

    Args:
        architecture: 'BertModel', 'BertForPreTraining' or
            'BertForSequenceClassification'.
        params: {name: array}; None for the shared initial weights.
        sizes: num_labels of a classifier.
    """
    d2l = load_backend(backend)
    if params is None:
        params = initial_params(SHAPES[architecture](config, **sizes), seed)
    return Model(d2l, getattr(d2l, architecture)(config, **sizes), params)


def load_original(backend: str, architecture: str, source: str | Path,
                  **options: Any) -> Model:
    """`make_original` with the weights of a checkpoint of Hugging Face.

    Args:
        source: a folder or a name; see `find_checkpoint`.
        options: of `load_checkpoint_folder`.
    """
    config, params, sizes = load_checkpoint_folder(
        source, architecture, **options)
    return make_original(backend, architecture, config, params, **sizes)
