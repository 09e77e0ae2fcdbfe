"""Fine-tuning in every backend: the classifier, its training, its answers."""

import numpy as np
import pytest
import reference
from harness import (
    SIZES,
    VOCAB,
    V,
    each_backend,
    installed,
    logits,
    random_pairs,
    small_classifier,
    to_numpy,
)

from d2lbert.backends import load_backend
from d2lbert.checkpoints.d2l import classifier_shapes
from d2lbert.data.pairs import PairBatches
from d2lbert.data.snli import LABELS
from d2lbert.data.vocab import Vocab

MAX_LEN = SIZES["max_len"]
close = pytest.approx


def data(backend, num=300, seed=0, longest=10):
    d2l = load_backend(backend)
    return d2l.SNLIBERTDataset(random_pairs(num, longest, seed), MAX_LEN,
                               VOCAB)


def one_step(bert, batches, lr=1e-3, epochs=1, **recipe):
    return bert.fine_tune(batches, None, None, epochs, lr, **recipe)


@each_backend()
def test_logits_are_those_of_numpy(backend):
    bert = small_classifier(backend)
    (tokens, segments, valid_lens), _ = next(iter(PairBatches(
        data(backend), 20)))
    X = [to_numpy(x).astype(int) for x in (tokens, segments, valid_lens)]
    p = {k: v.astype(np.float64) for k, v in bert.export_params().items()}
    assert set(p) == set(classifier_shapes(3, V, **SIZES))
    encoded = reference.encode(p, *X, SIZES["num_heads"])[-1]
    expected = reference.dense(
        p, "output", np.tanh(reference.dense(p, "hidden.0", encoded[:, 0])))
    np.testing.assert_allclose(logits(bert, X), expected, atol=1e-5)


@each_backend()
def test_trimmed_batches_are_the_padded_ones(backend):
    """Logits and, by a step of plain gradients, what is learned."""
    dataset = data(backend)
    batches = PairBatches(dataset, 50)
    rows = [np.flatnonzero(dataset.lengths < 10)[:50]]
    (X, y), = [dataset.batch(r) for r in rows]
    assert X[0].shape[1] < MAX_LEN
    whole = dataset.as_tensors((*dataset.inputs(rows[0]),
                                dataset.targets[rows[0]]))
    short = [to_numpy(x) for x in X]
    full = [to_numpy(x) for x in whole[:3]]
    assert full[0].shape[1] == MAX_LEN
    bert = small_classifier(backend)
    np.testing.assert_allclose(logits(bert, short), logits(bert, full),
                               atol=1e-5)
    learned = []
    for batch in ((X, y), (tuple(whole[:3]), whole[3])):
        bert = small_classifier(backend)
        log = one_step(bert, [batch])
        learned.append((bert.export_params(), log.loss[0]))
    assert learned[0][1] == close(learned[1][1], abs=1e-5)
    for name in learned[0][0]:
        if not name.endswith("W_k.bias"):  # see test_parity
            np.testing.assert_allclose(
                learned[0][0][name], learned[1][0][name], atol=1e-5)
    assert len(batches) == 6


@pytest.mark.skipif(not installed("torch"), reason="compared with PyTorch")
@each_backend()
def test_an_epoch_agrees_between_backends(backend):
    """The same loss, accuracies and weights after the same batches."""
    logs, weights = [], []
    for name in ("torch", backend):
        bert = small_classifier(name)
        logs.append(bert.fine_tune(
            PairBatches(data(name), 50), PairBatches(
                data(name, 90, 1), 40, is_train=False),
            PairBatches(data(name, 80, 2), 40, is_train=False), 2, 1e-3,
            warmup=0.2))
        weights.append(bert.export_params())
    theirs, ours = logs
    assert ours.loss == close(theirs.loss, rel=1e-4)
    assert ours.train_acc == close(theirs.train_acc, abs=0.004)
    assert ours.dev_acc == close(theirs.dev_acc, abs=0.012)
    assert ours.test_acc == close(theirs.test_acc, abs=0.013)
    for name in weights[0]:
        if not name.endswith("W_k.bias"):
            np.testing.assert_allclose(weights[1][name], weights[0][name],
                                       atol=1e-4)


@each_backend()
def test_pairs_are_learned(backend):
    """Which sentence has w1 in it: an easy lesson, and dropout is on."""
    rng = np.random.default_rng(0)
    noise = [" ".join(rng.choice(["w2", "w3", "w4"], 3)) for _ in range(192)]
    labels = rng.integers(0, 3, 192).tolist()
    pairs = ([n + " w1" * (y == 0) for n, y in zip(noise, labels)],
             [n + " w1" * (y == 1) for n, y in zip(noise, labels)], labels)
    d2l = load_backend(backend)
    batches = PairBatches(d2l.SNLIBERTDataset(pairs, MAX_LEN, VOCAB), 32)
    bert = small_classifier(backend, noise=0.1, dropout=0.1)
    log = bert.fine_tune(batches, None, None, 10, 1e-2)
    assert log.loss[0] > 0.5 and log.loss[-1] < 0.3
    assert log.train_acc[-1] > 0.9 and len(log.loss) == 10
    assert LABELS[0] == answer(bert, "w2 w3 w4 w1", "w2 w3 w4")
    assert LABELS[1] == answer(bert, "W2 W3 W4", "w2 w3 w4 W1")


def answer(bert, premise, hypothesis):
    return bert.d2l.predict_snli(*bert.parts, VOCAB, premise, hypothesis)


class Once:
    """Batches that count how often they are gone through."""

    def __init__(self, batches):
        self.batches, self.times = batches, 0

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        self.times += 1
        return iter(self.batches)


@each_backend()
def test_dev_chooses_and_test_is_asked_once(backend, capsys):  # [3]
    train = PairBatches(data(backend, 60), 20)
    dev, test = (Once(list(PairBatches(data(backend, 60, seed), 25,
                                       is_train=False))) for seed in (1, 2))
    bert = small_classifier(backend)
    capsys.readouterr()
    log = bert.fine_tune(train, dev, test, 6, 0.03)
    assert (dev.times, test.times) == (6, 1)
    assert log.kept == int(np.argmax(log.dev_acc)) and len(log.dev_acc) == 6
    y_hat, y = bert.predict(dev)
    assert np.mean(y_hat == y) == log.dev_acc[log.kept]
    y_hat, y = bert.predict(test)
    assert np.mean(y_hat == y) == log.test_acc
    printed = capsys.readouterr().out
    assert f"dev acc {max(log.dev_acc):.3f}, test acc" in printed
    assert "examples/sec on" in printed


@each_backend()
def test_the_weights_of_the_best_epoch_come_back(backend, monkeypatch):  # [3]
    scores = iter([0.7, 0.5, 0.6])
    for name in ("evaluate_accuracy_gpu", "evaluate_accuracy_gpus"):
        monkeypatch.setattr(f"d2lbert.{backend}.finetune.{name}",
                            lambda *_: next(scores), raising=False)
    dev = list(PairBatches(data(backend, 60, 1), 25, is_train=False))
    bert, once = small_classifier(backend), small_classifier(backend)
    log = bert.fine_tune(
        PairBatches(data(backend, 60), 20), dev, None, 3, 0.03)
    once.fine_tune(PairBatches(data(backend, 60), 20), None, None, 1, 0.03)
    assert log.kept == 0 and log.dev_acc == [0.7, 0.5, 0.6]
    for name, array in once.export_params().items():
        np.testing.assert_array_equal(bert.export_params()[name], array)


@each_backend()
@pytest.mark.parametrize("num", [1, 2, 4])
def test_any_number_of_batches_works(backend, num, capsys):  # [3]
    bert = small_classifier(backend)
    batches = list(PairBatches(data(backend, 20 * num), 20))
    log = one_step(bert, batches)
    assert len(batches) == num and len(log.loss) == 1
    assert "loss" in capsys.readouterr().out
    assert log.points[-1][0] == 1


@each_backend()
def test_nothing_to_train_or_to_evaluate_is_an_error(backend):
    bert = small_classifier(backend)
    with pytest.raises(ValueError, match="epochs of 0 batches"):
        one_step(bert, [])
    with pytest.raises(ValueError, match="gives no batch"):
        bert.predict([])


@each_backend()
def test_evaluation_is_without_dropout_and_changes_nothing(backend):
    bert = small_classifier(backend, dropout=0.5)
    before = bert.export_params()
    dev = PairBatches(data(backend, 50), 20, is_train=False)
    first, second = bert.predict(dev), bert.predict(dev)
    np.testing.assert_array_equal(first, second)
    for name, array in bert.export_params().items():
        np.testing.assert_array_equal(array, before[name])
    probs = bert.classify([("w1 w2", "w3")] * 2, VOCAB)
    np.testing.assert_array_equal(probs[0], probs[1])
    assert probs.shape == (2, 3)
    np.testing.assert_allclose(probs.sum(1), 1, atol=1e-6)


@each_backend()
def test_what_a_reader_may_type(backend):
    bert = small_classifier(backend)
    long = "w1 " * 500
    assert answer(bert, long, "w2") in LABELS  # cut, as in training
    assert answer(bert, "w1 w2".split(), ["w3"]) in LABELS
    assert answer(bert, "unheard of", "w1") in LABELS
    for pair in (("w1", ""), ("   ", "w1"), ([], ["w1"])):
        with pytest.raises(ValueError, match="is empty"):
            answer(bert, *pair)


@each_backend()
def test_ids_of_another_vocabulary_are_an_error(backend):
    many = Vocab([[f"w{i}" for i in range(100)]],
                 reserved_tokens=VOCAB.idx_to_token[1:5])
    bert = small_classifier(backend)
    d2l = bert.d2l
    pairs = (["w90 w91"] * 4, ["w92"] * 4, [0, 1, 2, 0])
    batches = PairBatches(d2l.SNLIBERTDataset(pairs, MAX_LEN, many), 4)
    with pytest.raises(ValueError, match="another vocabulary"):
        one_step(bert, batches)


@each_backend()
def test_d2ls_programs_run(backend, capsys):
    """The chapter's calls with the chapter's arguments, in its order."""
    d2l = load_backend(backend)
    train_iter = list(PairBatches(data(backend, 60), 20))
    test_iter = list(PairBatches(data(backend, 30), 20, is_train=False))
    devices, sizes = d2l.try_all_gpus(), {**SIZES, "dropout": 0.1}
    bert = d2l.BERTModel(V, **sizes)
    net = d2l.BERTClassifier(bert)
    if backend == "torch":
        import torch
        d2l.train_ch13(net, train_iter, test_iter, torch.nn.CrossEntropyLoss(
            reduction="none"), torch.optim.Adam(net.parameters(), lr=1e-4),
            2, devices)
        accuracy = d2l.evaluate_accuracy_gpu(net, test_iter)
    elif backend == "mxnet":
        from mxnet import gluon
        net.initialize(ctx=devices)
        trainer = gluon.Trainer(net.collect_params(), "adam",
                                {"learning_rate": 1e-4})
        d2l.train_ch13(net, train_iter, test_iter,
                       gluon.loss.SoftmaxCrossEntropyLoss(), trainer, 2,
                       devices, d2l.split_batch_multi_inputs)
        accuracy = d2l.evaluate_accuracy_gpus(
            net, test_iter, d2l.split_batch_multi_inputs)
    else:
        import optax
        params, _ = d2l.train_ch13(
            net, train_iter, test_iter, d2l.cross_entropy(),
            optax.adam(1e-4), 2, devices)
        accuracy = d2l.evaluate_accuracy_gpu(net, params, test_iter)
    assert f"test acc {accuracy:.3f}" in capsys.readouterr().out


@each_backend()
def test_accuracy_counts(backend):
    d2l = load_backend(backend)
    y_hat, y = d2l.to_tensors((np.eye(3, dtype=np.float32),
                               np.array([0, 1, 0], np.int32)))
    assert d2l.accuracy(y_hat, y) == 2.0


def test_a_small_classifier_takes_over_a_bert():
    params = small_classifier("torch", seed=3).export_params() if (
        installed("torch")) else None
    if params is None:
        pytest.skip("torch is not installed")
    from d2lbert.run.models import make_classifier
    bert = make_classifier("torch", V, pretrained=params, **SIZES)
    for name, array in bert.export_params().items():
        np.testing.assert_array_equal(array, params[name])


@each_backend()
def test_each_step_of_fine_tuning_drops_other_activations(backend):
    batch = next(iter(PairBatches(data(backend, 20), 20)))

    def losses(**sizes):
        return one_step(small_classifier(backend, **sizes), [batch], 0.0,
                        3).loss

    still, dropped = losses(), losses(dropout=0.5)
    assert still == close([still[0]] * 3, abs=1e-6)
    assert np.diff(sorted([still[0], *dropped])).min() > 1e-4


@pytest.mark.skipif(not installed("torch"), reason="torch is not installed")
@pytest.mark.parametrize("rows", [5, 1])
def test_devices_share_a_batch_in_pytorch(rows):
    """Unequal parts, and fewer rows than devices."""
    from torch import device, optim
    (X, y), = [data("torch").batch(np.arange(rows))]
    learned = []
    for devices in ([device("cpu")], [device("cpu"), device("cpu", 0)]):
        bert = small_classifier("torch")
        sums = bert.d2l.train_batch_ch13(
            bert.net, X, y, bert.d2l.cross_entropy(),
            optim.SGD(bert.net.parameters(), lr=1.0), devices)
        learned.append((bert.export_params(), [float(x) for x in sums]))
    (one, sums), (two, same) = learned
    assert same == close(sums, rel=1e-5)
    for name in one:
        np.testing.assert_allclose(two[name], one[name], atol=1e-5)


@pytest.mark.skipif(not installed("jax"), reason="jax is not installed")
def test_another_rate_compiles_no_step_again():
    """The rate of `adam` is an argument of the step; it is Optax's Adam."""
    import jax
    import optax

    from d2lbert.jax.finetune import train_batch_ch13
    batch, sizes = next(iter(PairBatches(data("jax", 20), 20))), []

    def learned(lr):
        bert = small_classifier("jax", seed=5)
        one_step(bert, [batch], lr, 2)
        sizes.append(train_batch_ch13._cache_size())
        return bert

    first, other = learned(1e-3).export_params(), learned(1e-2)
    assert sizes[0] == sizes[1]
    expected = small_classifier("jax", seed=5)
    params, _ = other.d2l.train_ch13(
        expected.net, [batch], None, other.d2l.cross_entropy(),
        optax.adam(1e-2), 2, params=expected.params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6),
                 other.params, params)
    assert abs(other.export_params()["output.weight"]
               - first["output.weight"]).max() > 1e-3
    grads = jax.tree.map(np.ones_like, params)
    ours, optaxs = (trainer.update(grads, trainer.init(params))[0]
                    for trainer in (other.d2l.adam(other.net, 1e-2),
                                    optax.adam(1e-2)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6),
                 ours, optaxs)
