"""One face for the three backends, for programs that compare them."""

from importlib import import_module

from d2lbert.checkpoint import (
    bert_shapes, classifier_shapes, initial_params, save_params)
from d2lbert.huggingface import SHAPES
from d2lbert.modelhub import load_checkpoint_folder

BACKENDS = {"torch": "PyTorch", "mxnet": "MXNet", "jax": "JAX"}


def load_backend(name):
    """The module d2lbert.<name>.

    Raises:
        ValueError: for an unknown name.
        ImportError: if its framework is not installed; says what to do.
    """
    if name not in BACKENDS:
        raise ValueError(f"unknown backend {name!r}: choose from "
                         f"{', '.join(BACKENDS)}")
    return import_module(f"d2lbert.{name}")


def make_bert(backend, vocab_size, seed=0, **sizes):
    """A `Bert` or, for JAX, a `FlaxBert`, from the shared initial weights.

    Args:
        backend: 'torch', 'mxnet' or 'jax'.
        sizes: num_hiddens, ffn_num_hiddens, num_heads, num_blks, dropout
            and, if wanted, max_len.
    """
    d2l = load_backend(backend)
    params = initial_params(bert_shapes(vocab_size, **sizes), seed)
    kind = FlaxBert if backend == "jax" else Bert
    return kind(d2l, d2l.BERTModel(vocab_size, **sizes), params)


def make_classifier(backend, vocab_size, seed=0, pretrained=None, **sizes):
    """A `Classifier` of pairs or, for JAX, a `FlaxClassifier`.

    Args:
        pretrained: {name: array} of a BERT, whose encoder and hidden layer
            are taken over; without it all weights are new.
        sizes: as in `make_bert`.
    """
    d2l = load_backend(backend)
    params = initial_params(classifier_shapes(3, vocab_size, **sizes), seed)
    params |= {name: array for name, array in (pretrained or {}).items()
               if name in params}
    kind = FlaxClassifier if backend == "jax" else Classifier
    bert = d2l.BERTModel(vocab_size, **sizes)
    return kind(d2l, d2l.BERTClassifier(bert), params)


def make_original(backend, architecture, config, params=None, seed=0,
                  **sizes):
    """An `Original` or, for JAX, a `FlaxOriginal`.

    Args:
        architecture: 'BertModel', 'BertForPreTraining' or
            'BertForSequenceClassification'.
        config: a `BertConfig`; sizes: num_labels of a classifier.
        params: {name: array}; None for the shared initial weights.
    """
    d2l = load_backend(backend)
    if params is None:
        params = initial_params(SHAPES[architecture](config, **sizes), seed)
    kind = FlaxOriginal if backend == "jax" else Original
    return kind(d2l, getattr(d2l, architecture)(config, **sizes), params)


def load_original(backend, architecture, source, **sizes):
    """`make_original` with the weights of a checkpoint of Hugging Face.

    Args:
        source: a folder or a name; see `d2lbert.modelhub`.
    """
    config, params, sizes = load_checkpoint_folder(
        source, architecture, **sizes)
    return make_original(backend, architecture, config, params, **sizes)


class Bert:
    """A model of PyTorch or MXNet, which holds its weights itself."""

    def __init__(self, d2l, net, params):
        self.d2l, self.net = d2l, net
        self.import_params(params)

    def import_params(self, params):
        """Take over {name: array}."""
        self.d2l.import_params(self.net, params)

    def export_params(self):
        """The weights as {name: array}."""
        return self.d2l.export_params(self.net)

    def save(self, path):
        """Write the weights as safetensors."""
        save_params(path, self.export_params())

    def train(self, train_iter, vocab_size, num_steps, **recipe):
        """`train_bert` with the backend's cross-entropy and devices."""
        return self.d2l.train_bert(
            train_iter, self.net, self.d2l.cross_entropy(), vocab_size,
            self.d2l.try_all_gpus(), num_steps, **recipe)

    def evaluate(self, data_iter):
        """Masked-LM loss, next-sentence loss and accuracy."""
        return self.d2l.evaluate_bert(self.net, data_iter)

    def encode(self, pairs, vocab):
        """Encodings (N, L, H) of sentences and pairs, a NumPy array."""
        return self.d2l.encode(self.net, pairs, vocab)


class FlaxBert(Bert):
    """A Flax model, whose weights stand beside it."""

    def import_params(self, params):
        self.params = self.d2l.import_params(self.net, params)

    def export_params(self):
        return self.d2l.export_params(self.params)

    def train(self, train_iter, vocab_size, num_steps, **recipe):
        self.params, log = self.d2l.train_bert(
            train_iter, self.net, self.d2l.cross_entropy(), vocab_size,
            self.d2l.try_all_gpus(), num_steps, params=self.params, **recipe)
        return log

    def evaluate(self, data_iter):
        return self.d2l.evaluate_bert(self.net, self.params, data_iter)

    def encode(self, pairs, vocab):
        return self.d2l.encode(self.net, self.params, pairs, vocab)


class Classifier(Bert):
    """A `BERTClassifier` of PyTorch or MXNet."""

    def fit(self, train_iter, dev_iter, test_iter, num_epochs, lr, **recipe):
        """`train_ch13` with Adam and the backend's cross-entropy."""
        return self.d2l.train_ch13(
            self.net, train_iter, test_iter, self.d2l.cross_entropy(),
            self.d2l.adam(self.net, lr), num_epochs, self.d2l.try_all_gpus(),
            dev_iter=dev_iter, **recipe)

    def predict(self, data_iter):
        """Predicted and true classes, two (N,) arrays."""
        return self.d2l.predict(self.net, data_iter)

    def classify(self, pairs, vocab):
        """Probabilities (N, 3) of the labels of pairs of sentences."""
        return self.d2l.classify(self.net, pairs, vocab)


class FlaxClassifier(FlaxBert):
    """A `BERTClassifier` of Flax."""

    def fit(self, train_iter, dev_iter, test_iter, num_epochs, lr, **recipe):
        self.params, log = self.d2l.train_ch13(
            self.net, train_iter, test_iter, self.d2l.cross_entropy(),
            self.d2l.adam(self.net, lr), num_epochs, self.d2l.try_all_gpus(),
            dev_iter=dev_iter, params=self.params, **recipe)
        return log

    def predict(self, data_iter):
        return self.d2l.predict(self.net, self.params, data_iter)

    def classify(self, pairs, vocab):
        return self.d2l.classify(self.net, self.params, pairs, vocab)


class Original(Bert):
    """An original BERT of PyTorch or MXNet."""

    def fit(self, batches, num_steps, lr, **recipe):
        """Train on the model's own loss; a `LossLog`."""
        return self.d2l.fit(self.net, batches, num_steps, lr, **recipe)

    def infer(self, batch):
        """The outputs for a dict of NumPy arrays, as NumPy arrays."""
        return self.d2l.infer(self.net, batch)

    def predict_classes(self, batches):
        """Predicted and true classes, two (N,) arrays."""
        return self.d2l.predict_classes(self.net, batches)

    def save_pretrained(self, folder):
        """Write a folder that Hugging Face's `transformers` reads."""
        self.net.save_pretrained(folder)


class FlaxOriginal(FlaxBert):
    """An original BERT of Flax."""

    def fit(self, batches, num_steps, lr, **recipe):
        self.params, log = self.d2l.fit(
            self.net, batches, num_steps, lr, params=self.params, **recipe)
        return log

    def infer(self, batch):
        return self.d2l.infer(self.net, self.params, batch)

    def predict_classes(self, batches):
        return self.d2l.predict_classes(self.net, self.params, batches)

    def save_pretrained(self, folder):
        self.net.save_pretrained(folder, self.params)
