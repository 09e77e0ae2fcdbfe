"""Programs as d2l 1.0.3's readers write them, after changing the import.

Arguments stand by their order, as in d2l.
"""

import copy
import pickle
import random

import numpy as np
import pytest
from harness import each_backend, installed, random_pairs, to_numpy

from d2lbert.backends import BACKENDS, load_backend
from d2lbert.data.corpora import load_corpus
from d2lbert.data.pretraining import RESERVED_TOKENS, ordinary_words
from d2lbert.data.vocab import Vocab

needs_torch = pytest.mark.skipif(not installed("torch"), reason="no PyTorch")
needs_mxnet = pytest.mark.skipif(not installed("mxnet"), reason="no MXNet")
needs_jax = pytest.mark.skipif(not installed("jax"), reason="no JAX")
close = np.testing.assert_allclose


def wiki(num=60):
    """Paragraphs as d2l's `_read_wiki` gives them: lists of str."""
    return [[" ".join(sentence) for sentence in paragraph]
            for paragraph in load_corpus("mini-wiki").train[:num]]


def run(backend, module, *inputs):
    """What a new module gives for NumPy arrays, and its weights' names."""
    d2l = load_backend(backend)
    X = [None if x is None else d2l.to_tensors((x,))[0] for x in inputs]
    if backend == "jax":
        import jax
        params = module.init(jax.random.key(0), *X)
        return (module.apply(params, *X),
                {name.replace("/", ".") for name in d2l.export_params(params)})
    if backend == "mxnet":
        module.initialize(force_reinit=True)
        return module(*X), set(module._collect_params_with_prefix())
    module.eval()
    return module(*X), set(dict(module.named_parameters()))


def output(backend, module, *inputs):
    """The vectors, which JAX's attention and blocks give with weights."""
    Y, names = run(backend, module, *inputs)
    if isinstance(Y, tuple):
        Y, weights = Y
        assert weights.ndim == 3
    return to_numpy(Y), names


# The blocks


@each_backend()
@pytest.mark.parametrize("bias", [False, True])
def test_attention_of_queries_and_other_keys(backend, bias):
    d2l = load_backend(backend)
    keyword = "use_bias" if backend == "mxnet" else "bias"
    for attention in (d2l.MultiHeadAttention(20, 5, 0.5, bias),
                      d2l.MultiHeadAttention(20, 5, 0.5, **{keyword: bias})):
        X, Y = np.ones((2, 4, 7), "float32"), np.ones((2, 6, 9), "float32")
        Z, names = output(backend, attention, X, Y, Y, np.array([3, 2]))
        assert Z.shape == (2, 4, 20)
        assert names == {f"W_{w}.{part}" for w in "qkvo"
                         for part in ["weight", "bias"][:1 + bias]}


@each_backend()
def test_no_bias_by_default(backend):
    d2l = load_backend(backend)
    X = np.ones((2, 3, 8), "float32")
    attention = d2l.MultiHeadAttention(8, 2, 0.1)
    assert not any("bias" in name for name in
                   output(backend, attention, X, X, X, None)[1])
    for bias in (False, True):
        for blk in (d2l.TransformerEncoderBlock(8, 16, 2, 0.5, bias),
                    d2l.TransformerEncoderBlock(8, 16, 2, 0.5, use_bias=bias)):
            Y, names = output(backend, blk, X, np.array([3, 2]))
            assert Y.shape == X.shape
            assert ("attention.W_o.bias" in names) == bias
    blk = d2l.TransformerEncoderBlock(8, 16, 2, 0.5)
    assert not any("W_" in name and "bias" in name
                   for name in output(backend, blk, X, None)[1])
    with pytest.raises(ValueError, match="equal heads"):
        run(backend, d2l.MultiHeadAttention(8, 3, 0.1), X, X, X, None)


@each_backend()
@pytest.mark.parametrize("keep_weights", [False, True])
def test_valid_lengths_of_each_query(backend, keep_weights):
    """(B, L) lengths, here those of text read from left to right."""
    d2l = load_backend(backend)
    attention = d2l.MultiHeadAttention(8, 2, 0.0)
    if backend == "jax":
        attention = d2l.MultiHeadAttention(
            8, 2, 0.0, keep_weights=keep_weights)
    else:
        attention.keep_weights = keep_weights
    X = np.random.default_rng(0).normal(size=(3, 5, 8)).astype("float32")
    lens = np.tile(np.arange(1, 6), (3, 1))
    Y = to_numpy(first(run(backend, attention, X, X, X, lens)[0]))
    changed = X.copy()
    changed[:, 3:] += 1
    if backend == "jax":  # whose weights stand beside
        Z = first(run(backend, attention, changed, changed, changed, lens)[0])
    else:
        Z = attention(*d2l.to_tensors((changed,) * 3 + (lens,)))
    close(to_numpy(Z)[:, :3], Y[:, :3], atol=1e-6)
    assert abs(to_numpy(Z)[:, 3:] - Y[:, 3:]).max() > 1e-5


def first(result):
    return result[0] if isinstance(result, tuple) else result


@each_backend()
def test_the_small_parts(backend):
    d2l = load_backend(backend)
    X = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
    Y, _ = output(backend, d2l.PositionWiseFFN(4, 8), X)
    assert Y.shape == (2, 3, 8)
    norm = d2l.AddNorm(4, 0.5) if backend == "torch" else d2l.AddNorm(0.5)
    close(output(backend, norm, X, X)[0].mean(-1), np.zeros((2, 3)),
          atol=1e-6)
    Z, _ = output(backend, d2l.MaskLM(50, 6), X, np.array([[1, 2], [0, 1]]))
    assert Z.shape == (2, 2, 50)
    assert output(backend, d2l.NextSentencePred(), X[:, 0])[0].shape == (2, 2)


@each_backend()
def test_encoder_and_model(backend):
    d2l = load_backend(backend)
    tokens = np.random.default_rng(0).integers(0, 100, (2, 8))
    segments = np.array([[0] * 4 + [1] * 4, [0] * 5 + [1] * 3])
    encoder = d2l.BERTEncoder(100, 24, 32, 4, 2, 0.2)
    X, names = output(backend, encoder, tokens, segments, None)
    assert X.shape == (2, 8, 24)
    assert {f"blks.1.attention.W_{w}.bias" for w in "qkvo"} <= names
    net = d2l.BERTModel(100, 24, 32, 4, 2, 0.2, 16)
    outputs, _ = run(backend, net, tokens, segments, np.array([8, 5]),
                     np.array([[1, 5, 2], [6, 1, 5]]))
    assert [x.shape for x in outputs] == [(2, 8, 24), (2, 3, 100), (2, 2)]
    assert run(backend, net, tokens, segments)[0][1] is None


@needs_jax
def test_jax_gives_output_and_weights():
    import jax
    import jax.numpy as jnp

    from d2lbert import jax as d2l
    X = jax.random.normal(jax.random.key(0), (2, 5, 8))
    lens = jnp.array([3, 2])
    attention = d2l.MultiHeadAttention(8, 4, 0.5)
    blk = d2l.TransformerEncoderBlock(8, 16, 4, 0.5)
    for module, inputs in ((attention, (X, X, X)), (blk, (X,))):
        (out, weights), params = module.init_with_output(
            jax.random.key(1), *inputs, lens)
        assert out.shape == X.shape and weights.shape == (8, 5, 5)
        close(weights.sum(-1), 1, rtol=1e-5)
        assert not weights[:4, :, 3:].any() and not weights[4:, :, 2:].any()
        trained, _ = module.apply(params, *inputs, lens, training=True,
                                  rngs={"dropout": jax.random.key(2)})
        assert abs(trained - out).max() > 1e-3
        fast = module.clone(keep_weights=False)
        same, none = fast.apply(params, *inputs, lens)
        close(same, out, atol=1e-5)
        assert none is None
        (_, kept), state = fast.apply(
            params, *inputs, lens, mutable=["intermediates"])
        close(kept, weights, atol=1e-6)
        kept, = jax.tree.leaves(state)
        close(kept.reshape(8, 5, 5), weights, atol=1e-6)


# Next-sentence prediction without a size


@needs_torch
def test_next_sentence_prediction_learns_its_size():
    import torch
    from torch import nn

    from d2lbert import torch as d2l
    from d2lbert.torch.model import init_weights
    X = torch.randn(3, 64, generator=torch.manual_seed(0))

    def used(nsp):
        assert nsp(X).shape == (3, 2)
        assert type(nsp.output) is nn.Linear
        assert nsp.output.weight.std() < 0.03  # ours, not PyTorch's 0.07
        assert not nsp.output.bias.any()
        return nsp

    used(d2l.NextSentencePred())
    used(d2l.NextSentencePred().eval())
    used(d2l.NextSentencePred().apply(init_weights))
    used(copy.deepcopy(d2l.NextSentencePred()))
    used(pickle.loads(pickle.dumps(used(d2l.NextSentencePred()))))
    used(nn.Sequential(d2l.NextSentencePred()).to("cpu")[0])
    nsp = d2l.NextSentencePred()
    trainer = torch.optim.SGD(nsp.parameters(), 0.1)
    before = used(nsp).output.weight.detach().clone()
    nsp(X).sum().backward()
    trainer.step()
    assert (nsp.output.weight != before).any()
    for saved in (nsp.state_dict(), d2l.NextSentencePred(64).state_dict()):
        for net in (d2l.NextSentencePred(), used(d2l.NextSentencePred())):
            net.load_state_dict(saved)
            net(X)
            assert torch.equal(net.output.weight, saved["output.weight"])
    nsp = d2l.NextSentencePred()
    trainer = d2l.adam(nsp, 0.1)
    used(nsp)(X).sum().backward()
    trainer.step()


@needs_torch
def test_d2l_s_own_layers_in_a_bert_of_ones_own():
    """The class of d2l's chapter, with its lazy layers, in our trainer."""
    import torch
    from torch import nn

    from d2lbert import torch as d2l

    class BERTModel(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = d2l.BERTEncoder(len(vocab), 8, 16, 2, 1, 0.1)
            self.hidden = nn.Sequential(nn.LazyLinear(8), nn.Tanh())
            self.mlm = d2l.MaskLM(len(vocab), 8)
            self.nsp = d2l.NextSentencePred()

        def forward(self, tokens, segments, valid_lens=None,
                    pred_positions=None):
            X = self.encoder(tokens, segments, valid_lens)
            return (X, self.mlm(X, pred_positions),
                    self.nsp(self.hidden(X[:, 0, :])))

    train_iter, vocab = d2l.load_data_wiki(32, 32, "mini-wiki")
    log = d2l.train_bert(train_iter, BERTModel(), nn.CrossEntropyLoss(),
                         len(vocab), [torch.device("cpu")], 2)
    assert log.mlm[0] == pytest.approx(np.log(len(vocab)), rel=0.05)


# The data


@each_backend()
def test_pieces_of_pretraining_data(backend, tmp_path):
    d2l = load_backend(backend)
    lines = ["", " = A title = ", *(" . ".join(p) + " ." for p in wiki())]
    (tmp_path / "wiki.train.tokens").write_text("\n".join(lines), "utf-8")
    random.seed(1)
    paragraphs = d2l._read_wiki(str(tmp_path))
    assert paragraphs != wiki()
    assert ({p[0] for p in paragraphs} == {p[0] for p in wiki()})
    paragraphs = [d2l.tokenize(p, token="word") for p in paragraphs]
    sentences = [s for p in paragraphs for s in p]
    vocab = d2l.Vocab(sentences, min_freq=5, reserved_tokens=[
        "<pad>", "<mask>", "<cls>", "<sep>"])
    examples = []
    for paragraph in paragraphs:
        examples.extend(d2l._get_nsp_data_from_paragraph(
            paragraph, paragraphs, vocab, 24))
    assert len(examples) == sum(len(p) - 1 for p in paragraphs)
    examples = [(d2l._get_mlm_data_from_tokens(tokens, vocab)
                 + (segments, is_next))
                for tokens, segments, is_next in examples]
    columns = d2l._pad_bert_inputs(examples, 24, vocab)
    N = len(examples)
    assert [tuple(x.shape) for x in columns] == [
        (N, 24), (N, 24), (N,), (N, 4), (N, 4), (N, 4), (N,)]
    assert type(columns[0]) is type(d2l.to_tensors((np.ones(1),))[0])
    (ids, positions, labels, segments, is_next) = examples[7]
    row = [to_numpy(x[7]) for x in columns]
    n, p = len(ids), len(positions)
    assert row[0].tolist() == ids + [vocab["<pad>"]] * (24 - n)
    assert row[1].tolist() == segments + [0] * (24 - n) and row[2] == n
    assert row[3].tolist() == positions + [0] * (4 - p)
    assert row[4].tolist() == [1] * p + [0] * (4 - p)
    assert row[5].tolist() == labels + [0] * (4 - p) and row[6] == is_next
    with pytest.raises(ValueError, match="max_len=8"):
        d2l._pad_bert_inputs(examples, 8, vocab)


def test_false_next_sentences_are_never_the_true_one():
    from d2lbert.data.d2l import (
        _get_next_sentence,
        _get_nsp_data_from_paragraph,
    )
    own = [["a"], ["b"], ["a"], ["c"]]
    paragraphs = [own, [["b"], ["d"]], [["a"], []], [["b"], ["a"]]]
    drawn = [_get_next_sentence(["a"], ["b"], paragraphs)
             for _ in range(400)]
    assert {tuple(b) for _, b, is_next in drawn if not is_next} == {("d",)}
    assert all(b == ["b"] for _, b, is_next in drawn if is_next)
    assert 120 < sum(is_next for *_, is_next in drawn) < 280
    with pytest.raises(ValueError, match="another paragraph"):
        for _ in range(50):
            _get_next_sentence(["a"], ["b"], [own])
    long = [[f"w{i}"] * 9 for i in range(4)]
    for tokens, segments, _ in _get_nsp_data_from_paragraph(
            long, [long, [["x"] * 4, ["y"]]], None, 12):
        assert len(tokens) == len(segments) <= 12
        assert tokens[0] == "<cls>" and tokens[-1] == "<sep>"


def test_replacements_are_never_special_tokens():
    from d2lbert.data.d2l import _SPECIAL, _replace_mlm_tokens
    for words in (["a"], [f"w{i}" for i in range(20)]):
        vocab = Vocab([words], reserved_tokens=RESERVED_TOKENS)
        assert len(ordinary_words(vocab)) == len(vocab) - len(_SPECIAL)
        tokens, candidates = ["<cls>", *["q"] * 2000, "<sep>"], [5, 3, 9, 7]
        hidden, chosen = _replace_mlm_tokens(tokens, candidates, 9, vocab)
        assert sorted(chosen) == [(i, "q") for i in (3, 5, 7, 9)]
        assert candidates == [5, 3, 9, 7] and tokens[5] == "q"
        hidden, chosen = _replace_mlm_tokens(
            tokens, list(range(1, 2001)), 1800, vocab)
        assert len({i for i, _ in chosen}) == 1800
        kinds = [hidden[i] for i, _ in chosen]
        assert set(kinds) <= {"<mask>", "q", *words}
        assert kinds.count("<mask>") / 1800 == pytest.approx(0.8, abs=0.04)
        assert kinds.count("q") / 1800 == pytest.approx(0.1, abs=0.03)
    with pytest.raises(ValueError, match="no word"):
        for _ in range(99):
            _replace_mlm_tokens(["q"], [0], 1, Vocab(
                reserved_tokens=RESERVED_TOKENS))


@each_backend()
def test_wiki_text_dataset_in_a_loader(backend):
    d2l = load_backend(backend)
    random.seed(2)
    train_set = d2l._WikiTextDataset(wiki(), 32)
    assert len(train_set) == sum(len(p) - 1 for p in wiki())
    assert train_set.all_mlm_labels.shape == (len(train_set), 5)
    assert int(train_set[3][2]) == int(train_set.valid_lens[3])
    shares = to_numpy(train_set.nsp_labels).mean()
    assert 0.3 < shares < 0.7
    if backend == "jax":
        batches = d2l.load_array(train_set[:], 16, True)
    else:
        batches = loader(backend, train_set, 16, True)
    shapes = [tuple(x.shape) for x in next(iter(batches))]
    assert shapes == [(16, 32), (16, 32), (16,), (16, 5), (16, 5), (16, 5),
                      (16,)]


def loader(backend, dataset, batch_size, shuffle):
    """Batches by the framework's own loader, as in d2l."""
    if backend == "torch":
        from torch.utils.data import DataLoader
    else:
        from mxnet.gluon.data import DataLoader
    return DataLoader(dataset, batch_size, shuffle=shuffle)


@each_backend()
def test_load_array_and_truncate_pad(backend):
    d2l = load_backend(backend)
    assert d2l.truncate_pad([1, 2, 3], 2, 0) == [1, 2]
    assert d2l.truncate_pad([1, 2], 4, 9) == [1, 2, 9, 9]
    X, y = d2l.to_tensors((np.arange(20).reshape(10, 2), np.arange(10)))
    batches = list(d2l.load_array((X, y), 4, False))
    assert [to_numpy(b[1]).tolist() for b in batches] == [
        [0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    batches = d2l.load_array((X, y), 4)
    epochs = [np.concatenate([to_numpy(b) for _, b in batches])
              for _ in range(3)]
    assert len({tuple(epoch) for epoch in epochs}) > 1
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    for A, b in batches:
        assert (to_numpy(A)[:, 0] == 2 * to_numpy(b)).all()


# Training


@each_backend()
def test_two_steps_of_pretraining(backend):
    d2l = load_backend(backend)
    train_iter, vocab = d2l.load_data_wiki(32, 32, "mini-wiki")
    net = d2l.BERTModel(len(vocab), 8, 16, 2, 1, 0.1, 32)
    devices = d2l.try_all_gpus()
    d2l.train_bert(train_iter, net, d2l.cross_entropy(), len(vocab), devices,
                   2)
    batch = next(iter(train_iter))
    if backend == "jax":
        return
    if backend == "mxnet":
        losses = d2l._get_batch_loss_bert(
            net, d2l.cross_entropy(), len(vocab), *([x] for x in batch))
        losses = [l[0] for l in losses]
    else:
        losses = d2l._get_batch_loss_bert(
            net, d2l.cross_entropy(), len(vocab), *batch)
    losses = [float(to_numpy(l)) for l in losses]
    assert losses[0] + losses[1] == pytest.approx(losses[2])


@each_backend()
@pytest.mark.parametrize("devices_are_given", [True, False])
def test_two_steps_of_fine_tuning(backend, devices_are_given, capsys):
    d2l = load_backend(backend)
    vocab = Vocab([f"w{i}" for i in range(30)],
                  reserved_tokens=RESERVED_TOKENS)
    sets = [d2l.SNLIBERTDataset(random_pairs(16, 8, seed), 24, vocab)
            for seed in (0, 1)]
    bert = d2l.BERTModel(len(vocab), 8, 16, 2, 1, 0.1, 24)
    more = [d2l.try_all_gpus()] if devices_are_given else []
    if backend == "jax":
        import optax
        iters = [d2l.load_array(s[:], 8, is_train)
                 for s, is_train in zip(sets, (True, False))]
        net, loss = d2l.BERTClassifier(bert), d2l.cross_entropy()
        d2l.train_ch13(net, *iters, loss, optax.adam(1e-3), 1, *more)
    else:
        iters = [loader(backend, s, 8, is_train)
                 for s, is_train in zip(sets, (True, False))]
        net, loss, trainer, options = classifier(backend, d2l, bert)
        d2l.train_ch13(net, *iters, loss, trainer, 1, *more,
                       *(options if more else []))
        assert 0 <= d2l.evaluate_accuracy_gpu(net, iters[1]) <= 1
    printed = capsys.readouterr().out
    assert "test acc" in printed and "examples/sec" in printed


def classifier(backend, d2l, bert):
    """A net with unused weights, loss, trainer, last argument of training."""
    if backend == "torch":
        import torch
        from torch import nn

        class BERTClassifier(nn.Module):
            def __init__(self):
                super().__init__()
                self.bert, self.output = bert, nn.LazyLinear(3)

            def forward(self, inputs):
                tokens_X, segments_X, valid_lens_x = inputs
                encoded_X = self.bert.encoder(
                    tokens_X, segments_X, valid_lens_x)
                return self.output(self.bert.hidden(encoded_X[:, 0, :]))

        net = BERTClassifier()
        return (net, nn.CrossEntropyLoss(reduction="none"),
                torch.optim.Adam(net.parameters(), lr=1e-4), [])
    from mxnet import gluon
    from mxnet.gluon import nn

    class GluonClassifier(nn.Block):
        def __init__(self):
            super().__init__()
            self.bert, self.output = bert, nn.Dense(3)

        def forward(self, inputs):
            tokens_X, segments_X, valid_lens_x = inputs
            encoded_X = self.bert.encoder(
                tokens_X, segments_X, valid_lens_x.reshape(-1))
            return self.output(self.bert.hidden(encoded_X[:, 0, :]))

    net = GluonClassifier()
    net.initialize()
    return (net, gluon.loss.SoftmaxCrossEntropyLoss(),
            gluon.Trainer(net.collect_params(), "adam",
                          {"learning_rate": 1e-4}),
            [d2l.split_batch_multi_inputs])


@each_backend()
def test_training_on_a_single_input(backend):
    """Images or features, X alone, by `load_array`."""
    d2l = load_backend(backend)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(12, 5)).astype("float32"), np.arange(12) % 3
    batches = d2l.load_array(d2l.to_tensors((X, y)), 4, False)
    if backend == "jax":
        import optax
        from flax import linen as nn

        class Net(nn.Module):
            @nn.compact
            def __call__(self, X, training=False):
                return nn.Dense(3)(X)

        _, log = d2l.train_ch13(Net(), batches, batches, d2l.cross_entropy(),
                                optax.sgd(0.1), 1)
    else:
        net, trainer = linear_net(backend, 0.1)
        log = d2l.train_ch13(net, batches, batches, d2l.cross_entropy(),
                             trainer, 1)
    assert 0 <= log.test_acc <= 1


def linear_net(backend, lr):
    if backend == "torch":
        import torch
        net = torch.nn.Linear(5, 3)
        return net, torch.optim.SGD(net.parameters(), lr)
    from mxnet import gluon
    net = gluon.nn.Dense(3, in_units=5)
    net.initialize()
    return net, gluon.Trainer(net.collect_params(), "sgd",
                              {"learning_rate": lr})


def losses_of(backend):
    """(loss, what its gradient is the sum of losses times) by backend."""
    N = 8
    if backend == "torch":
        from torch import nn
        from torch.nn import functional as F
        return [(nn.CrossEntropyLoss(reduction="none"), 1),
                (nn.CrossEntropyLoss(), 1 / N),
                (nn.CrossEntropyLoss(reduction="sum"), 1),
                (F.cross_entropy, 1 / N)]
    return [(load_backend(backend).cross_entropy(), 1 / N)]


@pytest.mark.parametrize("backend, case", [
    pytest.param(backend, case, marks=pytest.mark.skipif(
        not installed(backend), reason=f"{backend} is not installed"))
    for backend in BACKENDS for case in range(4 if backend == "torch" else 1)])
def test_a_step_is_that_of_the_formula(backend, case):
    """Plain gradients: W loses lr · share · X^T (softmax - one-hot)."""
    d2l = load_backend(backend)
    loss, share = losses_of(backend)[case]
    rng, lr = np.random.default_rng(0), 0.1
    X = rng.normal(size=(8, 5)).astype("float32")
    y = rng.integers(0, 3, 8)
    W, W_new, loss_sum, num_right = one_step(backend, d2l, X, y, loss, lr)
    logits = X @ W
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    close(W_new, W - lr * share * X.T @ (probs - np.eye(3)[y]), atol=1e-6)
    close(float(loss_sum), -np.log(probs[range(8), y]).sum(), rtol=1e-5)
    assert int(num_right) == (logits.argmax(1) == y).sum()


def one_step(backend, d2l, X, y, loss, lr):
    """Weights (5, 3) before and after, and what the step returns."""
    devices = d2l.try_all_gpus()
    tensors = d2l.to_tensors((X, y))
    if backend == "jax":
        import jax
        import optax
        from flax import linen as nn

        class Net(nn.Module):
            @nn.compact
            def __call__(self, X, training=False):
                return nn.Dense(3, use_bias=False)(X)

        net, trainer = Net(), optax.sgd(lr)
        params = net.init(jax.random.key(0), tensors[0])
        before = to_numpy(params["params"]["Dense_0"]["kernel"]).copy()
        params, _, *sums = d2l.train_batch_ch13(
            net, loss, trainer, params, trainer.init(params),
            jax.random.key(1), 1.0, tensors[:1], tensors[1])
        return before, to_numpy(params["params"]["Dense_0"]["kernel"]), *sums
    net, trainer = linear_net(backend, lr)

    def weight():
        weights = net.weight.data() if backend == "mxnet" else net.weight
        return to_numpy(weights).T.copy()

    if backend == "torch":
        net.bias.data.zero_()
    before = weight()
    sums = d2l.train_batch_ch13(net, *tensors, loss, trainer, devices)
    return before, weight(), *sums


# Names and ids


@pytest.mark.parametrize("order", ["frequency", "d2l"])
def test_ids_in_d2l_s_order(order):
    words = [w for p in wiki() for s in p for w in s.split()] + ["<unk>", "é"]
    vocab = Vocab([words], 5, list(RESERVED_TOKENS), order=order)
    kept = {w for w in words if words.count(w) >= 5}
    by_alphabet = sorted({"<unk>", *RESERVED_TOKENS, *kept})
    assert sorted(vocab.idx_to_token) == by_alphabet
    assert (vocab.idx_to_token == by_alphabet) == (order == "d2l")
    assert vocab["no-such-word"] == vocab.unk == vocab["<unk>"]
    with pytest.raises(ValueError, match="'frequency' or 'd2l'"):
        Vocab(["a"], order="alphabet")


@each_backend()
def test_loaders_take_d2l_s_order(backend):
    d2l = load_backend(backend)
    for train_iter, *_, vocab in (
            d2l.load_data_wiki(64, 32, "mini-wiki", order="d2l"),
            d2l.load_data_snli(64, 20, "mini-nli", order="d2l")):
        assert vocab.idx_to_token == sorted(vocab.idx_to_token)
        rows = next(iter(train_iter))[0]
        rows = to_numpy(rows[0] if isinstance(rows, tuple) else rows)
        assert (rows == vocab["<pad>"]).any()
    held_out = d2l.load_held_out_wiki(64, 32, "mini-wiki", order="d2l")
    assert held_out.vocab["<pad>"] == sorted(RESERVED_TOKENS).index(
        "<pad>") == 2
    assert d2l._WikiTextDataset(wiki(), 32, order="d2l").vocab["<cls>"] == 0


@each_backend()
def test_other_names_of_d2l_are_an_error_that_says_where_they_are(backend):
    d2l = load_backend(backend)
    with pytest.raises(AttributeError, match=f"from d2l import {backend}"):
        _ = d2l.FashionMNIST
    assert not hasattr(d2l, "FashionMNIST")
