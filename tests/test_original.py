"""The original BERT is that of `transformers`, in all three backends.

Random models of `transformers` are written to a folder, loaded by each
backend, and compared layer by layer; and the way back. float32, dropout off.
"""

from functools import cache

import numpy as np
import pytest
from harness import each_backend, installed, to_numpy

from d2lbert.backends import load_backend
from d2lbert.checkpoints.params import initial_params
from d2lbert.checks import CheckpointError
from d2lbert.original.config import BertConfig, num_parameters
from d2lbert.original.outputs import to_bert_batch
from d2lbert.run.models import load_original, make_original

TOLERANCE = 1e-5
SIZES = [  # the last one has as many heads as hidden units in a head
    dict(vocab_size=99, hidden_size=32, num_hidden_layers=3,
         num_attention_heads=4, intermediate_size=48,
         max_position_embeddings=20),
    dict(vocab_size=41, hidden_size=24, num_hidden_layers=1,
         num_attention_heads=1, intermediate_size=16,
         max_position_embeddings=14, type_vocab_size=3,
         layer_norm_eps=1e-3),
    dict(vocab_size=60, hidden_size=16, num_hidden_layers=2,
         num_attention_heads=4, intermediate_size=64,
         max_position_embeddings=12)]
LARGE = BertConfig(hidden_size=1024, num_hidden_layers=24,
                   num_attention_heads=16, intermediate_size=4096)
close = pytest.approx


def without_dropout(**sizes):
    return BertConfig(**{**SIZES[0], "num_hidden_layers": 1,
                         "hidden_dropout_prob": 0.0,
                         "attention_probs_dropout_prob": 0.0, **sizes})


def make_batch(config, seed=0, B=5, L=12):
    """Ragged texts with labels; id 0, which `transformers` treats apart, is
    for padding only."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(1, config.vocab_size, (B, L))
    lens = rng.permutation([L, *rng.integers(3, L, B - 1)])
    mask = np.arange(L) < lens[:, None]
    labels = np.where(mask & (rng.random((B, L)) < 0.3), rng.integers(
        1, config.vocab_size, (B, L)), -100)
    labels[0, 1] = 5
    batch = {"input_ids": np.where(mask, ids, 0), "attention_mask": mask,
             "token_type_ids": rng.integers(
                 0, config.type_vocab_size, (B, L)), "labels": labels,
             "next_sentence_label": rng.integers(0, 2, B)}
    return {name: x.astype(np.int32) for name, x in batch.items()}


def inputs(batch):
    return {name: batch[name] for name in (
        "input_ids", "attention_mask", "token_type_ids")}


def theirs(architecture, sizes, folder, seed=0, **kinds):
    """A random model of `transformers`, with noise, saved to a folder."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(seed)
    model = getattr(transformers, architecture)(transformers.BertConfig(
        **sizes, **kinds, attn_implementation="eager")).eval()
    with torch.no_grad():
        for p in model.parameters():
            p += 0.1 * torch.randn_like(p)
    model.save_pretrained(folder)
    return model


def their_tensors(batch):
    import torch
    tensors = {name: torch.from_numpy(x) for name, x in batch.items()}
    return {name: x if x.is_floating_point() else x.long()
            for name, x in tensors.items()}


def loss_and_grads(net, batch):
    """The loss and {name: its gradient}, in evaluation mode."""
    d2l = net.d2l
    tensors = d2l.to_tensors(batch)
    backend = d2l.__name__.rpartition(".")[2]
    if backend == "torch":
        import torch
        net.net.eval()
        net.net.zero_grad()
        loss = net.net(**tensors).loss
        loss.backward()
        return loss.item(), {
            n: to_numpy(torch.zeros_like(p) if p.grad is None else p.grad)
            for n, p in net.net.named_parameters()}
    if backend == "mxnet":
        from mxnet import autograd

        from d2lbert.mxnet.checkpoint import named_parameters
        net.net.collect_params().zero_grad()
        with autograd.record(train_mode=False):
            loss = net.net(**tensors).loss
        loss.backward()
        return float(loss), {n: p.grad().asnumpy().copy() for n, p
                             in named_parameters(net.net).items()}
    loss, grads = compiled()(net.net, net.params, tensors)
    return float(loss), d2l.export_params(grads)


@cache
def compiled():
    """JAX's loss and gradients, compiled once for all tests of one net."""
    import jax
    return jax.jit(jax.value_and_grad(
        lambda net, params, batch: net.apply(params, **batch).loss,
        argnums=1), static_argnums=0)


ALL = dict(output_hidden_states=True, output_attentions=True)


def assert_close(ours, theirs, tolerance=TOLERANCE):
    theirs = to_numpy(theirs)
    scale = max(1.0, np.abs(theirs).max())
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * scale)


def assert_layers_close(ours, theirs):
    for name in ("hidden_states", "attentions"):
        for a, b in zip(getattr(ours, name), theirs[name], strict=True):
            assert_close(a, b)


# Against transformers

@pytest.mark.parametrize("sizes", SIZES, ids=["deep", "narrow", "heads"])
@each_backend()
def test_layer_by_layer(backend, sizes, tmp_path):
    model = theirs("BertModel", sizes, tmp_path)
    net = load_original(backend, "BertModel", tmp_path)
    batch = make_batch(net.net.config)
    expected = model(**their_tensors(inputs(batch)), **ALL)
    got = net.infer(inputs(batch), **ALL)
    assert len(got.hidden_states) == sizes["num_hidden_layers"] + 1
    assert_layers_close(got, expected)
    assert_close(got.last_hidden_state, expected.last_hidden_state)
    assert_close(got.pooler_output, expected.pooler_output)


@pytest.mark.parametrize("sizes", SIZES, ids=["deep", "narrow", "heads"])
@each_backend()
def test_both_heads_loss_and_gradients(backend, sizes, tmp_path):
    model = theirs("BertForPreTraining", sizes, tmp_path)
    net = load_original(backend, "BertForPreTraining", tmp_path)
    batch = make_batch(net.net.config)
    expected = model(**their_tensors(batch))
    expected.loss.backward()
    got = net.infer(batch)
    assert_close(got.prediction_logits, expected.prediction_logits)
    assert_close(got.seq_relationship_logits,
                 expected.seq_relationship_logits)
    loss, grads = loss_and_grads(net, batch)
    assert loss == close(expected.loss.item(), rel=TOLERANCE)
    wanted = {n: p.grad for n, p in model.named_parameters()}
    assert set(grads) == set(wanted)
    for name in wanted:
        assert_close(grads[name], wanted[name])


@pytest.mark.parametrize("architecture", [
    "BertForPreTraining", "BertForSequenceClassification"])
@each_backend()
def test_heads_give_the_layers_that_are_asked_for(
        backend, architecture, tmp_path):
    model = theirs(architecture, SIZES[2], tmp_path)
    net = load_original(backend, architecture, tmp_path)
    batch = inputs(make_batch(net.net.config))
    assert_layers_close(net.infer(batch, **ALL),
                        model(**their_tensors(batch), **ALL))


@each_backend()
def test_layers_are_given_to_those_who_ask(backend):
    net = make_original(backend, "BertForSequenceClassification",
                        without_dropout())
    batch = inputs(make_batch(net.net.config))
    for asked in ({}, {"output_attentions": True},
                  {"output_hidden_states": True}):
        got = net.infer(batch, **asked)
        for name in ("hidden_states", "attentions"):
            assert (getattr(got, name) is not None) == (
                f"output_{name}" in asked)


SCORES = np.array([0.7, -1.2, 4.0, 0.0, 2.5], np.float32)
YES_NO = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0], [0, 0, 1]])


@pytest.mark.parametrize("labels, options", [
    (np.array([0, 2, 1, 1, 0], np.int32), dict(num_labels=3)),
    (SCORES, dict(num_labels=1)),
    (SCORES[:, None] * YES_NO.astype(np.float32),
     dict(num_labels=3, problem_type="regression")),
    (YES_NO.astype(np.float32),
     dict(num_labels=3, problem_type="multi_label_classification")),
    (YES_NO[:, :1].astype(np.float32),
     dict(num_labels=1, problem_type="multi_label_classification"))],
    ids=["classes", "score", "scores", "multi-label", "yes-no"])
@each_backend()
def test_classifier_loss_and_gradients(backend, labels, options, tmp_path):
    model = theirs("BertForSequenceClassification", SIZES[1], tmp_path,
                   **options)
    net = load_original(backend, "BertForSequenceClassification", tmp_path)
    batch = inputs(make_batch(net.net.config)) | {"labels": labels}
    expected = model(**their_tensors(batch))
    expected.loss.backward()
    assert_close(net.infer(batch).logits, expected.logits)
    column = labels.reshape(5, -1)  # (5, 1) says the same as (5,)
    assert net.infer(batch | {"labels": column}).loss == close(
        expected.loss.item(), rel=TOLERANCE)
    loss, grads = loss_and_grads(net, batch)
    assert loss == close(expected.loss.item(), rel=TOLERANCE)
    for name, p in model.named_parameters():
        assert_close(grads[name], p.grad)


@pytest.mark.parametrize("architecture, sizes", [
    ("BertModel", {}), ("BertForPreTraining", {}),
    ("BertForSequenceClassification", {"num_labels": 4})])
@each_backend()
def test_the_way_back(backend, architecture, sizes, tmp_path):
    transformers = pytest.importorskip("transformers")
    net = make_original(backend, architecture, without_dropout(), **sizes)
    net.save_pretrained(tmp_path)
    model, told = getattr(transformers, architecture).from_pretrained(
        tmp_path, output_loading_info=True)
    assert not any(told[key] for key in (
        "missing_keys", "unexpected_keys", "mismatched_keys"))
    batch = make_batch(net.net.config)
    expected = model.eval()(**their_tensors(inputs(batch)))
    for ours, wanted in zip(
            [x for x in net.infer(inputs(batch)) if isinstance(
                x, np.ndarray)], expected.to_tuple(), strict=True):
        assert_close(ours, wanted)
    again = load_original(backend, architecture, tmp_path)
    for name, array in net.export_params().items():
        np.testing.assert_array_equal(again.export_params()[name], array)


# Sizes, ties, masks

@pytest.mark.parametrize("config, number", [
    (BertConfig(), 109_482_240), (LARGE, 335_141_888)], ids=["base", "large"])
@each_backend()
def test_the_papers_models_have_their_sizes(backend, config, number):
    d2l = load_backend(backend)
    if backend == "torch":
        import torch
        with torch.device("meta"):
            net = d2l.BertModel(config)
        shapes = {n: tuple(p.shape) for n, p in net.named_parameters()}
    elif backend == "mxnet":  # nothing is allocated before `initialize`
        from d2lbert.mxnet.checkpoint import named_parameters
        shapes = {n: p.shape for n, p in named_parameters(
            d2l.BertModel(config)).items()}
    else:
        import jax

        from d2lbert.jax.checkpoint import named_leaves
        from d2lbert.jax.model import init_params
        tree = jax.eval_shape(lambda key: init_params(
            d2l.BertModel(config), key), jax.random.key(0))
        shapes = {name: leaf.shape[::-1] if path.endswith("kernel")
                  else leaf.shape
                  for name, (path, leaf) in named_leaves(tree).items()}
    assert shapes == config.shapes()
    assert num_parameters(shapes) == number


@each_backend()
def test_word_embeddings_stay_tied(backend, tmp_path):
    transformers = pytest.importorskip("transformers")
    config = without_dropout()
    net = make_original(backend, "BertForPreTraining", config)
    matrices = [n for n, a in net.export_params().items()
                if config.vocab_size in a.shape and a.ndim == 2]
    assert matrices == ["bert.embeddings.word_embeddings.weight"]
    # Words that no text has are learned all the same, as answers
    unread = 7
    batch = make_batch(config)
    batch["input_ids"][batch["input_ids"] == unread] = 8
    before = net.export_params()[matrices[0]][unread].copy()
    net.fit([batch], 3, 1e-2)
    assert np.abs(net.export_params()[matrices[0]][unread] - before).max() > 0
    net.save_pretrained(tmp_path)
    model = transformers.BertForPreTraining.from_pretrained(tmp_path)
    assert (model.cls.predictions.decoder.weight
            is model.bert.embeddings.word_embeddings.weight)
    assert_close(net.infer(batch).prediction_logits,
                 model.eval()(**their_tensors(batch)).prediction_logits)
    again = load_original(backend, "BertForPreTraining", tmp_path)
    again.fit([batch], 2, 1e-2)
    assert [n for n, a in again.export_params().items()
            if config.vocab_size in a.shape and a.ndim == 2] == matrices


@each_backend()
def test_padding_is_neither_read_nor_learned(backend):
    config = without_dropout()
    net = make_original(backend, "BertForSequenceClassification", config)
    batch = inputs(make_batch(config))
    batch["labels"] = np.array([0, 1, 1, 0, 1], np.int32)
    padding, padded = batch["attention_mask"] == 0, 17
    ids = batch["input_ids"]
    ids[ids == padded] = 18
    logits = net.infer(batch).logits
    ids[padding] = padded
    np.testing.assert_allclose(net.infer(batch).logits, logits, atol=1e-6)
    _, grads = loss_and_grads(net, batch)
    by_word = np.abs(grads["bert.embeddings.word_embeddings.weight"]).sum(1)
    assert by_word[padded] == 0
    assert (by_word[np.unique(ids[~padding])] > 0).all()
    by_place = grads["bert.embeddings.position_embeddings.weight"]
    assert (np.abs(by_place[12:]) == 0).all()


@each_backend()
def test_labels_of_minus_100_are_ignored(backend):
    config = without_dropout()
    net = make_original(backend, "BertForPreTraining", config)
    batch = make_batch(config)
    logits = net.infer(batch).prediction_logits
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    rows, columns = np.nonzero(batch["labels"] != -100)
    masked = -logs[rows, columns, batch["labels"][rows, columns]].mean()
    is_next = batch.pop("next_sentence_label")
    assert loss_and_grads(net, batch)[0] == close(masked, rel=1e-5)
    both = loss_and_grads(net, batch | {"next_sentence_label": is_next})[0]
    alone = {k: v for k, v in batch.items() if k != "labels"}
    only = loss_and_grads(net, alone | {"next_sentence_label": is_next})[0]
    assert both == close(masked + only, rel=1e-5)
    batch["labels"][:] = -100
    loss, grads = loss_and_grads(net, batch)
    assert loss == 0 and not any(g.any() for g in grads.values())
    assert net.infer(inputs(batch)).loss is None


@each_backend()
def test_words_are_predicted_where_they_are_asked(backend):
    net = make_original(backend, "BertForPreTraining", without_dropout())
    batch, positions = batch_and_positions(net.net.config)
    short = batch | {"masked_lm_positions": positions}
    logits = net.infer(batch).prediction_logits
    np.testing.assert_allclose(
        net.infer(short).prediction_logits,
        np.take_along_axis(logits, positions[..., None], 1), atol=1e-6)
    (loss, grads), (expected, wanted) = (
        loss_and_grads(net, x) for x in (short, batch))
    assert loss == close(expected, rel=1e-6)
    for name, grad in grads.items():
        np.testing.assert_allclose(grad, wanted[name], atol=1e-6)


@each_backend()
def test_a_head_called_by_itself_says_what_is_wrong(backend):
    """`fit` and `infer` look at a batch before."""
    config = without_dropout()
    batch, positions = batch_and_positions(config)
    flat = {"input_ids": batch["input_ids"][0]}
    net = make_original(backend, "BertForPreTraining", config)
    for wrong, said in (
            (flat, "the shape of input_ids is"),
            ({"masked_lm_positions": positions[0]},
             "the shape of masked_lm_positions is"),
            ({"masked_lm_positions": positions + 99},
             "the values of masked_lm_positions go from 99 ")):
        with pytest.raises(ValueError, match=said):
            call(net, batch | wrong)
    net = make_original(backend, "BertForSequenceClassification", config)
    labels = batch["next_sentence_label"]
    with pytest.raises(ValueError, match="the shape of input_ids is"):
        call(net, inputs(batch) | flat | {"labels": labels})


def call(net, batch):
    """Not compiled: a compiled net knows no values and says nothing."""
    module, *params = net.parts
    function = module.apply if params else module
    return function(*params, **net.d2l.to_tensors(batch))


@each_backend()
def test_the_last_layer_is_computed_where_it_is_asked(backend):
    """And gives what it gives everywhere, also to a classifier."""
    config = without_dropout()
    net = make_original(backend, "BertModel", config)
    batch, positions = batch_and_positions(config)
    positions = np.pad(positions, ((0, 0), (1, 0)))
    whole = net.infer(inputs(batch))
    some = inputs(batch) | {"positions": positions}
    for options in {}, {"output_hidden_states": True}:
        got = net.infer(some, **options)
        np.testing.assert_allclose(
            got.last_hidden_state, np.take_along_axis(
                whole.last_hidden_state, positions[..., None], 1), atol=1e-6)
        np.testing.assert_allclose(
            got.pooler_output, whole.pooler_output, atol=1e-6)
    assert got.hidden_states[-1].shape == whole.last_hidden_state.shape
    for wrong, said in ((0 * positions + 99 * (positions > 0),
                         "positions go from 0 to 99, but"),
                        (positions[:, ::-1].copy(), "put 0 first")):
        for function in net.infer, lambda batch: call(net, batch):
            with pytest.raises(ValueError, match=said):
                function(some | {"positions": wrong})
    net = make_original(backend, "BertForSequenceClassification", config)
    np.testing.assert_allclose(
        net.infer(inputs(batch)).logits, net.infer(
            inputs(batch), output_hidden_states=True).logits, atol=1e-6)


def batch_and_positions(config):
    """A batch, and (B, P), where its labels are, filled up with 0."""
    batch = make_batch(config)
    batch["labels"][:, 0] = -100
    rows = [np.flatnonzero(row != -100) for row in batch["labels"]]
    return batch, np.array([np.pad(row, (0, max(map(len, rows)) - len(row)))
                            for row in rows], np.int32)


def test_the_fast_attention_of_pytorch_is_the_clear_one():
    if not installed("torch"):
        pytest.skip("torch is not installed")
    config = without_dropout()
    net = make_original("torch", "BertModel", config)
    batch = make_batch(config)
    clear = net.infer(inputs(batch), **ALL)
    fast = net.infer(inputs(batch), output_hidden_states=True)
    for a, b in zip(clear.hidden_states, fast.hidden_states):
        np.testing.assert_allclose(a, b, atol=1e-6)
    np.testing.assert_allclose(clear.attentions[0].sum(-1), 1, atol=1e-6)


# Training

def fitted(backend, batches, lr=1e-3):
    net = make_original(backend, "BertForPreTraining", without_dropout())
    log = net.fit(batches, len(batches), lr, warmup=0.4)
    return net.export_params(), log


def adamw(batches, lr=1e-3):
    """Five steps by hand, on the gradients of one backend."""
    net = make_original("torch", "BertForPreTraining", without_dropout())
    moments = {}
    for t, batch in enumerate(batches, 1):
        rate = lr * [1 / 2, 1, 3 / 4, 2 / 4, 1 / 4][t - 1]
        params, (_, grads) = net.export_params(), loss_and_grads(net, batch)
        norm = np.sqrt(sum((g.astype(float) ** 2).sum()
                           for g in grads.values()))
        for name, g in grads.items():
            g = g * min(1, 1 / norm)
            m, v = moments.get(name, (0, 0))
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            moments[name] = m, v
            update = m / (1 - 0.9 ** t) / (
                np.sqrt(v / (1 - 0.999 ** t)) + 1e-6)
            if g.ndim > 1:
                update = update + 0.01 * params[name]
            params[name] = (params[name] - rate * update).astype(np.float32)
        net.import_params(params)
    return net.export_params()


@pytest.mark.skipif(not installed("torch"), reason="compared with PyTorch")
@each_backend()
def test_five_steps_of_fit(backend):
    batches = [make_batch(without_dropout(), seed) for seed in range(5)]
    params, log = fitted(backend, batches)
    for name, wanted in adamw(batches).items():
        if not name.endswith("key.bias"):  # see test_parity
            np.testing.assert_allclose(params[name], wanted, atol=1e-4)
    assert log.loss == close(fitted("torch", batches)[1].loss, rel=1e-4)


@each_backend()
def test_matrices_decay_and_vectors_do_not(backend):
    """A first step of Adam has length 1; what is left over is the decay."""
    net, rng = make_original(
        backend, "BertForPreTraining", without_dropout()), (
            np.random.default_rng(0))
    before = {name: rng.normal(size=x.shape).astype(np.float32)
              for name, x in sorted(net.export_params().items())}
    net.import_params(before)
    batch = make_batch(without_dropout())
    _, grads = loss_and_grads(net, batch)
    net.fit([batch], 1, 0.1)
    for name, after in net.export_params().items():
        clear = np.abs(grads[name]) > 1e-2  # beside Adam's epsilon
        decay = (before[name] - after) / 0.1 - np.sign(grads[name])
        wanted = 0.01 * before[name] * (before[name].ndim > 1)
        np.testing.assert_allclose(decay[clear], wanted[clear], atol=2e-3)


@each_backend()
def test_each_step_of_fit_drops_other_activations(backend):
    batch = make_batch(without_dropout())

    def losses(**sizes):
        net = make_original(backend, "BertForPreTraining",
                            without_dropout(**sizes))
        return net.fit([batch], 3, 0.0).loss

    still, dropped = losses(), losses(hidden_dropout_prob=0.5)
    assert still == close([still[0]] * 3, abs=1e-5)
    assert np.diff(sorted([still[0], *dropped])).min() > 1e-4


@pytest.mark.skipif(not installed("jax"), reason="jax is not installed")
def test_a_step_is_compiled_once_in_jax():
    """What the second step gets lies where the first one's lay."""
    from d2lbert.jax.original.train import fit_step
    config = without_dropout(vocab_size=37)  # that of no other test
    net = make_original("jax", "BertForPreTraining", config)
    before = fit_step._cache_size()
    net.fit([make_batch(config)], 3, 1e-3)
    assert fit_step._cache_size() == before + 1


@each_backend()
def test_dropout_is_on_in_training_alone(backend):
    sizes = dict(hidden_dropout_prob=0.5, attention_probs_dropout_prob=0.5)
    batch = make_batch(without_dropout())
    net = make_original(backend, "BertForPreTraining",
                        without_dropout(**sizes))
    plain = make_original(backend, "BertForPreTraining", without_dropout())
    assert_close(net.infer(batch).prediction_logits,
                 plain.infer(batch).prediction_logits)
    expected = float(net.infer(batch).loss)
    assert abs(net.fit([batch], 1, 1e-3).loss[0] - expected) > 1e-4
    assert plain.fit([batch], 1, 1e-3).loss[0] == close(expected, rel=1e-5)


@each_backend()
def test_the_classifier_has_a_dropout_of_its_own(backend):
    """Where all other activations stay, it alone changes the loss."""
    config = without_dropout(classifier_dropout=0.5)
    net = make_original(backend, "BertForSequenceClassification", config)
    batch = inputs(make_batch(config))
    batch["labels"] = np.array([0, 1, 1, 0, 1], np.int32)
    losses = net.fit([batch], 4, 0.0).loss
    assert max(losses) - min(losses) > 1e-4


@each_backend()
def test_several_labels_at_once_are_learned(backend):
    """Which of two words are there, yes or no."""
    config = without_dropout(problem_type="multi_label_classification",
                             label_names=["A", "B"])
    batch = inputs(make_batch(config, B=16))
    truth = np.stack([np.arange(16) % 2, np.arange(16) // 2 % 2], 1)
    batch["input_ids"][:, 1:3] = 20 + 2 * truth
    batch["labels"] = truth.astype(np.float32)
    net = make_original(backend, "BertForSequenceClassification", config)
    net.fit([batch], 40, 3e-3)
    guess, labels = net.predict_classes([batch, batch])
    assert guess.shape == labels.shape == (32, 2)
    assert (guess == labels).all()


@each_backend()
def test_a_regression_has_no_classes(backend):
    config = without_dropout(label_names=["score"])
    net = make_original(backend, "BertForSequenceClassification", config)
    batch = inputs(make_batch(config)) | {"labels": SCORES}
    with pytest.raises(ValueError, match="a regression .* the logits"):
        net.predict_classes([batch])


@pytest.mark.parametrize("labels", [{"num_labels": 3}, {}])
@each_backend()
def test_a_net_knows_the_names_of_its_labels(backend, labels, tmp_path):
    config, kind = without_dropout(), "BertForSequenceClassification"
    net = make_original(backend, kind, config, **labels)
    assert net.net.config.num_labels == labels.get("num_labels", 2)
    assert net.net.config.id2label[1] == "LABEL_1"
    names = ["entailment", "neutral", "contradiction"]
    net = make_original(backend, kind, config.with_labels(names), **labels)
    net.save_pretrained(tmp_path)
    cls = getattr(net.d2l, kind)
    again = cls.from_pretrained(tmp_path)
    again = again[0] if isinstance(again, tuple) else again
    logits = net.infer(inputs(make_batch(config))).logits
    assert logits.shape == (5, 3)
    assert again.config.id2label[int(logits[0].argmax())] in names
    other = cls.from_pretrained(tmp_path, new="classifier", num_labels=1)
    other = other[0] if isinstance(other, tuple) else other
    assert other.config.problem == "regression"
    with pytest.raises(CheckpointError, match="3 outputs, not num_labels=2"):
        cls.from_pretrained(tmp_path, num_labels=2)


@each_backend()
def test_fine_tuning_learns(backend):
    """A word decides the label; the accuracy counts all examples."""
    config = without_dropout()
    batches = [inputs(make_batch(config, seed, B=16)) for seed in range(3)]
    for batch in batches:
        batch["labels"] = np.arange(16, dtype=np.int32) % 2
        batch["input_ids"][:, 1] = 20 + batch["labels"]
    net = make_original(backend, "BertForSequenceClassification", config)
    net.fit(batches, 40, 3e-3)
    guess, truth = net.predict_classes(batches)
    tensors = list(map(net.d2l.to_tensors, batches))
    assert net.predict_classes(tensors)[0].tolist() == guess.tolist()
    assert len(truth) == 48 and (guess == truth).mean() > 0.95


def test_batches_get_bert_s_names():
    tokens = np.array([[2, 9, 4, 3, 8, 3, 0], [2, 5, 3, 6, 7, 3, 0]])
    segments = np.array([[0, 0, 0, 0, 1, 1, 0], [0, 0, 0, 1, 1, 1, 0]])
    batch = (tokens, segments, np.array([6, 6]),
             np.array([[2, 4], [1, 1]]), np.array([[1., 1.], [1., 0.]]),
             np.array([[11, 8], [12, 0]]), np.array([1, 0]))
    got = to_bert_batch(batch)
    assert got["attention_mask"].tolist() == [[1] * 6 + [0]] * 2
    assert got["labels"].tolist() == [
        [-100, -100, 11, -100, 8, -100, -100], [-100, 12] + [-100] * 5]
    assert got["next_sentence_label"].tolist() == [0, 1]
    assert got["masked_lm_positions"].tolist() == [[2, 4], [1, 0]]
    assert got["input_ids"] is tokens and got["token_type_ids"] is segments


# Bad input

@each_backend()
def test_inputs_that_cannot_be_read(backend):
    config = without_dropout()
    net = make_original(backend, "BertModel", config)
    batch = inputs(make_batch(config))
    for name, value, message in (
            ("input_ids", 99, "go from .* to 99, but .* vocab_size=99"),
            ("input_ids", -1, "go from -1"),
            ("token_type_ids", 2, "type_vocab_size=2"),
            ("attention_mask", 0, "row 1 of attention_mask is 0")):
        wrong = {k: v.copy() for k, v in batch.items()}
        wrong[name][1] = value
        with pytest.raises(ValueError, match=message):
            net.infer(wrong)
    with pytest.raises(ValueError, match="21 tokens.*embeddings=20.*cut"):
        net.infer(inputs(make_batch(config, L=21)))


@each_backend()
def test_positions_that_leave_labels_out(backend):
    net = make_original(backend, "BertForPreTraining", without_dropout())
    batch, right = batch_and_positions(net.net.config)
    row, slot = np.argwhere(right)[-1]
    for value, message in (
            (0, f"row {row} has a label at position {right[row, slot]}, which"
                " is 0 times among its masked_lm_positions: .* fill up"),
            (12, "masked_lm_positions go from 0 to 12, but .* 12 columns")):
        wrong = right.copy()
        wrong[row, slot] = value
        with pytest.raises(ValueError, match=message):
            net.fit([batch | {"masked_lm_positions": wrong}], 1, 1e-3)
    twice = np.concatenate([right, right], 1)
    with pytest.raises(ValueError, match="which is 2 times"):
        net.fit([batch | {"masked_lm_positions": twice}], 1, 1e-3)
    with pytest.raises(ValueError, match=r"\(5, P\)"):
        net.infer(batch | {"masked_lm_positions": right[:4]})


@pytest.mark.parametrize("sizes, message", [
    ({"vocab_size": 0}, "vocab_size is 0"),
    ({"hidden_size": 8.0}, "hidden_size is 8.0, not a whole"),
    ({"num_attention_heads": 5}, "hidden_size=32 .* num_attention_heads=5"),
    ({"hidden_dropout_prob": 1.0}, "hidden_dropout_prob is 1.0"),
    ({"hidden_dropout_prob": "0.1"}, "hidden_dropout_prob is '0.1'"),
    ({"layer_norm_eps": True}, "layer_norm_eps is True")])
def test_sizes_that_cannot_be(sizes, message):
    with pytest.raises(ValueError, match=message):
        BertConfig(**{**SIZES[0], **sizes})


@each_backend()
def test_backends_start_alike(backend):
    config = without_dropout()
    params = make_original(backend, "BertForPreTraining", config,
                           seed=3).export_params()
    wanted = initial_params(config.pretraining_shapes(), 3)
    assert set(params) == set(wanted)
    for name, array in wanted.items():
        np.testing.assert_array_equal(params[name], array)


