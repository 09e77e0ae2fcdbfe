"""What a model is given: right, or one sentence, the same in every backend."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from harness import (
    PAIR_WORDS,
    SIZES,
    VOCAB,
    V,
    each_backend,
    forward,
    installed,
    look,
    losses_and_grads,
    make_batch,
    small_bert,
    small_classifier,
    to_numpy,
)

from d2lbert.backends import BACKENDS, load_backend
from d2lbert.data.snli import LABELS, label_of
from d2lbert.original.config import BertConfig
from d2lbert.run.models import make_original

BACKENDS_HERE = list(filter(installed, BACKENDS))
B, L, P = 6, 13, 4
NAMES = ("tokens", "segments", "valid_lens", "pred_positions", "mlm_weights",
         "mlm_Y", "nsp_y")


def first(value):
    """What puts a value into the first place of an array."""
    def put(array):
        array = array.astype(np.result_type(array, type(value)))
        array.flat[0] = value
        return array
    return put


def flatten(array):
    return array[0]


# What is done to an array of a batch, and what is said of it
WRONG = [
    ("tokens", first(V), f"go from .* to {V}, .*another vocabulary"),
    ("tokens", first(-1), "go from -1 to"),
    ("tokens", first(0.5), "are float.*, not integers"),
    ("tokens", lambda x: x > 3, "are bool, not integers"),
    ("tokens", flatten, r"is \(13,\), not \(B, L\)"),
    ("tokens", lambda x: x[:0], r"is \(0, 13\), .*one row and one column"),
    ("segments", first(2), "go from 0 to 2, .*can be 0 to 1"),
    ("segments", first(-1), "go from -1 to 1"),
    ("segments", lambda x: x[:, :-1], r"is \(6, 12\), not \(6, 13\)"),
    ("segments", flatten, r"is \(13,\), not \(6, 13\)"),
    ("valid_lens", first(L + 1), "go from .* to 14, .*13 columns.*1 to 13"),
    ("valid_lens", first(10 ** 6), "go from .* to 1000000, "),
    ("valid_lens", first(0), "go from 0 to "),
    ("valid_lens", first(-3), "go from -3 to "),
    ("valid_lens", lambda x: x > 3, "are bool, not integers"),
    ("valid_lens", lambda x: x[:-1], r"is \(5,\), not \(6,\)"),
    ("pred_positions", first(L), "go from 0 to 13, .*can be 0 to 12"),
    ("pred_positions", first(-1), "go from -1 to "),
    ("pred_positions", first(2 ** 30), "go from 0 to 1073741824, "),
    ("pred_positions", first(1.5), "are float.*, not integers"),
    ("pred_positions", lambda x: x[:, :0], r"is \(6, 0\), not \(6, P\)"),
    ("pred_positions", flatten, r"is \(4,\), not \(6, P\)"),
    ("pred_positions", lambda x: x[1:], r"is \(5, 4\), not \(6, P\)"),
    ("mlm_weights", first(-1.0), "go from -1.0 to 1.0, "),
    ("mlm_weights", first(np.nan), "are not all finite"),
    ("mlm_weights", lambda x: x > 0, "are bool, not numbers"),
    ("mlm_weights", flatten, r"is \(4,\), not \(6, 4\)"),
    ("mlm_Y", first(V), f"go from .* to {V}, .*53 words.*0 to 52"),
    ("mlm_Y", first(-1), "go from -1 to"),
    ("mlm_Y", first(1.5), "are float.*, not integers"),
    ("mlm_Y", lambda x: x.ravel(), r"is \(24,\), not \(6, 4\)"),
    ("nsp_y", first(2), "go from 0 to 2, .*2 classes.*0 to 1"),
    ("nsp_y", first(-1), "go from -1 to 1"),
    ("nsp_y", lambda x: x > 0, "are bool, not integers"),
    ("nsp_y", first(0.5), "are float.*, not integers"),
    ("nsp_y", lambda x: x[:, None], r"is \(6, 1\), not \(6,\)"),
]


def wrong_batches():
    """A batch with one array spoilt, its name and what is to be said."""
    for name, spoil, told in WRONG:
        batch = list(make_batch())
        batch[NAMES.index(name)] = spoil(batch[NAMES.index(name)])
        yield tuple(batch), name, f"(shape|values) of {name} {told}"


@each_backend()
def test_the_net_says_what_is_wrong(backend):
    bert = small_bert(backend)
    for batch, name, told in wrong_batches():
        if name in NAMES[:4]:
            for use in (partial(forward, bert),
                        lambda b: bert.word_logits(bert.d2l.to_tensors(b))):
                with pytest.raises(ValueError, match=told):
                    use(batch)


@each_backend()
def test_training_evaluation_and_loss_say_what_is_wrong(backend):
    bert = small_bert(backend)
    before = bert.export_params()
    for batch, _, told in wrong_batches():
        tensors = bert.d2l.to_tensors(batch)
        for use in (lambda t: bert.train([t], V, 1),
                    lambda t: bert.evaluate([t])):
            with pytest.raises(ValueError, match=told):
                use(tensors)
    after = bert.export_params()
    assert all((after[name] == before[name]).all() for name in before)


@each_backend(without="jax")  # whose step is compiled, and checked before
def test_the_loss_says_what_is_wrong(backend):
    bert = small_bert(backend)
    for batch, _, told in wrong_batches():
        with pytest.raises(ValueError, match=told):
            losses_and_grads(bert, batch)


@each_backend()
def test_batches_of_another_form(backend):
    bert, batch = small_bert(backend), make_batch()
    tensors = bert.d2l.to_tensors(batch)
    for wrong, told in ((tensors[:6], "of 6 arrays was given, not the 7"),
                        ((*tensors, tensors[0]), "of 8 arrays")):
        with pytest.raises(ValueError, match=told):
            bert.train([wrong], V, 1)
    first_half = (tensors[0], tensors[1], bert.d2l.to_tensors(
        (first(2.5)(batch[2]),))[0])
    with pytest.raises(ValueError, match="valid_lens holds 2.5, not only"):
        run(bert, *first_half)
    with pytest.raises(ValueError, match="segments is None, where an array"):
        run(bert, tensors[0], None, tensors[2])
    with pytest.raises(ValueError, match="gives no batch"):
        bert.evaluate([])
    with pytest.raises(ValueError, match="no batch after 1 of 3 and cannot"):
        bert.train(iter([tensors]), V, 3)
    for number in (2.5, float("nan"), 0):
        with pytest.raises(ValueError, match=f"num_steps is {number}, not a"):
            bert.train([tensors], V, number)
    with pytest.raises(ValueError, match=f"vocab_size is {V + 9}, but .*{V}"):
        bert.train([tensors], V + 9, 1)


@each_backend()
def test_batches_of_numpy_are_taken(backend):
    batch = make_batch()
    bert, other = small_bert(backend), small_bert(backend)
    log = bert.train([batch], V, 2)
    assert log.mlm == other.train([bert.d2l.to_tensors(batch)], V, 2).mlm
    assert bert.evaluate([batch]) == other.evaluate(
        [bert.d2l.to_tensors(batch)])


@each_backend()
def test_loaders_take_integers_of_any_size(backend):
    batch = make_batch()
    short = tuple(x.astype(np.int16) if x.dtype == np.int32 else x
                  for x in batch)
    assert losses_and_grads(small_bert(backend), short)[:2] == (
        losses_and_grads(small_bert(backend), batch)[:2])


@each_backend()
def test_slots_may_weigh_what_they_like(backend):
    batch = list(make_batch())
    batch[4] = batch[4] * np.linspace(0.1, 2, batch[4].size).reshape(
        batch[4].shape).astype(np.float32)
    bert = small_bert(backend)
    clear = losses_and_grads(bert, tuple(batch))[0]
    log = bert.train([bert.d2l.to_tensors(tuple(batch))], V, 1)
    assert log.mlm[0] == pytest.approx(clear, rel=1e-5)
    assert clear == pytest.approx(losses_and_grads(
        small_bert(BACKENDS_HERE[0]), tuple(batch))[0], rel=1e-5)


@each_backend()
def test_lengths_may_be_whole_floats_and_a_column(backend):
    bert, batch = small_bert(backend), make_batch()
    losses = losses_and_grads(bert, batch)[:2]
    for lens in (batch[2].astype(np.float32), batch[2][:, None]):
        other = (*batch[:2], lens, *batch[3:])
        assert losses_and_grads(bert, other)[:2] == pytest.approx(losses)
        assert bert.train([bert.d2l.to_tensors(other)], V, 1).mlm[0] == (
            pytest.approx(losses[0], rel=1e-5))
        bert = small_bert(backend)


@each_backend()
def test_a_block_alone_says_what_is_wrong(backend):
    bert = small_bert(backend)
    X = np.random.default_rng(0).normal(size=(2, 4, 16)).astype(np.float32)

    def attend(lens):
        tensors = bert.d2l.to_tensors((X, np.array(lens)))
        return to_numpy(look(bert).run_block(bert, *tensors))

    assert attend([4, 3]).shape == X.shape == attend([[4] * 4] * 2).shape
    for lens, told in (([5, 3], "go from .* to 5.*, but with 4 keys"),
                       ([0, 3], "go from 0"), ([-5, 3], "go from -5"),
                       ([2.5, 3], "holds 2.5"),
                       ([3], r"is \(1,\), not \(2,\)"),
                       ([[4] * 5] * 2, r"is \(2, 5\), not \(2, 4\)")):
        with pytest.raises(ValueError, match=told):
            attend(lens)


def test_no_length_reaches_past_the_memory_of_mxnet():
    """In a compiled block nobody looks: it has to be right by itself."""
    mxnet = pytest.importorskip("d2lbert.mxnet")
    bert = small_bert("mxnet")
    X = np.random.default_rng(0).normal(size=(2, 4, 16)).astype(np.float32)
    block = bert.net.encoder.blks[0]
    block.hybridize()

    def attend(lens):
        return block(*mxnet.to_tensors((X, np.array(lens)))).asnumpy()

    for lens, same in (([99.0, 3], [4.0, 3]), ([np.inf, 3], [4.0, 3])):
        np.testing.assert_array_equal(attend(lens), attend(same))
    for lens in ([-5.0, 3], [np.nan, 3], [-2.0 ** 63, 3]):
        assert np.isfinite(attend(lens)).all()


@each_backend()
def test_labels_have_names_where_there_are_three(backend):
    net = small_classifier(backend)
    assert net.d2l.predict_snli(*net.parts, VOCAB, "w1 w2", "w3") in LABELS
    with pytest.raises(ValueError, match="a sentence is None, not a str"):
        net.d2l.predict_snli(*net.parts, VOCAB, None, "w3")
    with pytest.raises(ValueError, match="has 2 outputs, and SNLI 3 labels"):
        label_of(np.ones((1, 2)))


@each_backend()
def test_arrays_of_another_kind_are_refused(backend):
    bert, batch = small_bert(backend), make_batch()
    for other in ([[1, 2], [3, 4]], "ab", 3):
        tensors = list(bert.d2l.to_tensors(batch)[:3])
        tensors[0] = other
        with pytest.raises(ValueError, match="was given, where a .* belongs"):
            run(bert, *tensors)
    for name in set(BACKENDS_HERE) - {backend}:
        theirs = load_backend(name).to_tensors(batch)[:3]
        with pytest.raises(ValueError, match="was given, where a .* belongs"):
            run(bert, *theirs)


def run(bert, *tensors):
    if bert.params is None:
        return bert.net(*tensors)
    return bert.net.apply(bert.params, *tensors)


@each_backend()
def test_labels_of_a_classifier(backend):
    net = small_classifier(backend)
    *X, y = make_batch()[:3], np.array([0, 1, 2, 0, 1, 2], np.int32)
    X = X[0]

    def batches(y):
        return [(net.d2l.to_tensors(X), net.d2l.to_tensors((y,))[0])]

    for wrong, told in ((y + 1, "go from 1 to 3, .*3 classes.*0 to 2"),
                        (y - 1, "go from -1 to 1"),
                        (y > 0, "are bool, not integers"),
                        (y + 0.5, "are float.*, not integers"),
                        (y[:, None], r"is \(6, 1\), not \(6,\)")):
        with pytest.raises(ValueError, match=f"the labels {told}"):
            net.fine_tune(batches(wrong), None, None, 1, 1e-3)
        with pytest.raises(ValueError, match=f"the labels {told}"):
            net.predict(batches(wrong))
        with pytest.raises(ValueError, match=f"the labels {told}"):
            net.d2l.accuracy(*net.d2l.to_tensors(
                (np.zeros((6, 3), np.float32), wrong)))
    X = (X[0], X[1], X[2] + 99)
    with pytest.raises(ValueError, match="valid_lens go from .*13 columns"):
        net.fine_tune(batches(y), None, None, 1, 1e-3)
    with pytest.raises(ValueError, match="valid_lens go from .*13 columns"):
        net.predict(batches(y))


@each_backend()
def test_nothing_to_encode_or_to_classify(backend):
    bert = small_bert(backend)
    with pytest.raises(ValueError, match="there is no sentence"):
        bert.encode([], VOCAB)
    net = small_classifier(backend)
    for pairs in ([], ("w1 w2", "w3 w4"), [(PAIR_WORDS,)]):
        with pytest.raises(ValueError, match="is not a list of pairs"):
            net.classify(pairs, VOCAB)


# The original BERT

CONFIG = BertConfig(vocab_size=V, hidden_size=16, num_hidden_layers=1,
                    num_attention_heads=2, intermediate_size=16,
                    max_position_embeddings=20)
IDS = np.arange(8, dtype=np.int32).reshape(2, 4)
NAMED = {"input_ids": IDS, "attention_mask": np.ones_like(IDS),
         "token_type_ids": np.zeros_like(IDS)}
WRONG_NAMED = [
    ("input_ids", IDS + V, f"go from {V} to .*vocab_size={V}"),
    ("input_ids", IDS - 1, "go from -1 to 6"),
    ("input_ids", IDS[0], r"is \(4,\), not \(B, L\)"),
    ("input_ids", IDS[:0], r"is \(0, 4\)"),
    ("input_ids", IDS + 0.5, "are float.*, not integers"),
    ("token_type_ids", IDS, "go from 0 to 7, .*type_vocab_size=2"),
    ("token_type_ids", IDS[:, 1:], r"is \(2, 3\), not \(2, 4\)"),
    ("attention_mask", IDS * 0, "row 0 of attention_mask is 0 everywhere"),
    ("attention_mask", IDS, "go from 0 to 7, .*1 for a token"),
    ("attention_mask", IDS[:, None], r"is \(2, 1, 4\), not \(2, 4\)"),
]
WRONG_WORDS = [
    ("labels", IDS + V, f"go from .* to {V + 7}, .*53 words"),
    ("labels", IDS - 1, "go from -1 to 6, .*-100 is not counted"),
    ("labels", IDS[0], r"is \(4,\), not \(2, 4\)"),
    ("labels", IDS + 0.5, "are float.*, not integers"),
    ("next_sentence_label", np.array([0, 2]), "go from 0 to 2"),
    ("next_sentence_label", np.array([[0], [1]]), r"is \(2, 1\), not \(2,\)"),
    ("next_sentence_label", np.array([True, False]), "are bool"),
]
WRONG_CLASSES = [
    ("labels", np.array([0, 3]), "go from 0 to 3, .*3 classes"),
    ("labels", np.array([0, -1]), "go from -1 to 0, .*-100 is not counted"),
    ("labels", np.array([[0, 1], [1, 0]]), r"is \(2, 2\), not \(2,\)"),
    ("labels", np.array([False, True]), "are bool, not integers"),
    ("labels", IDS, r"is \(2, 4\), not \(2,\)"),
]


@each_backend()
@pytest.mark.parametrize("architecture, wrong, sizes", [
    ("BertForPreTraining", WRONG_NAMED + WRONG_WORDS, {}),
    ("BertForSequenceClassification", WRONG_NAMED + WRONG_CLASSES,
     {"num_labels": 3})], ids=["pretraining", "classification"])
def test_the_original_bert_says_what_is_wrong(backend, architecture, wrong,
                                              sizes):
    bert = make_original(backend, architecture, CONFIG, **sizes)
    right = {**NAMED, "labels": IDS if not sizes else np.array([0, 2])}
    assert np.isfinite(bert.infer(right).loss)
    for name, array, told in wrong:
        batch = {**right, name: np.asarray(array)}
        with pytest.raises(ValueError, match=told) as error:
            bert.infer(batch)
        assert name in str(error.value)
        with pytest.raises(ValueError, match=told):
            bert.fit([batch], 1, 1e-3)
        if backend != "jax" or name in NAMED:  # as a reader calls the net
            with pytest.raises(ValueError, match=told):
                call(bert, batch)
    with pytest.raises(ValueError, match="attention_mask, .* no input_ids"):
        bert.infer({k: v for k, v in right.items() if k != "input_ids"})


NUMBERS = np.array([[0.5], [-2.0]], np.float32)
YES = np.array([[1, 0, 1], [0, 0, 1]])


@each_backend()
@pytest.mark.parametrize("config, right, wrong", [
    (replace(CONFIG, label_names=["score"]),
     [NUMBERS, NUMBERS[:, 0], YES[0, :2]],
     [(NUMBERS * np.inf, "are not all finite"), (NUMBERS > 0, "are bool"),
      (NUMBERS[:1], r"is \(1, 1\), not \(2,\)"),
      (YES, r"is \(2, 3\), not \(2,\): this is a regression")]),
    (replace(CONFIG, label_names=["a", "b", "c"],
             problem_type="multi_label_classification"),
     [YES, YES > 0, YES * 0.5],
     [(YES * 2, "go from 0 to 2, .*else 0"), (YES - 1, "go from -1 to 0"),
      (YES[:, 0], r"is \(2,\), not \(2, 3\): this is a multi_label")]),
], ids=["regression", "several labels"])
def test_labels_that_are_no_classes(backend, config, right, wrong):
    bert = make_original(backend, "BertForSequenceClassification", config)
    for labels in right:
        assert np.isfinite(bert.infer({**NAMED, "labels": labels}).loss)
    for labels, told in wrong:
        with pytest.raises(ValueError, match=told):
            bert.infer({**NAMED, "labels": labels})
        with pytest.raises(ValueError, match=told):
            bert.fit([{**NAMED, "labels": labels}], 1, 1e-3)


def call(bert, batch):
    """The net itself, called with tensors."""
    tensors = bert.d2l.to_tensors(batch)
    if bert.params is None:
        return bert.net(**tensors)
    return bert.net.apply(bert.params, **tensors)


@each_backend()
def test_what_is_no_batch_of_named_arrays(backend):
    bert = make_original(
        backend, "BertForSequenceClassification", CONFIG, num_labels=3)
    right = {**NAMED, "labels": np.array([0, 2])}
    for wrong, told in (
            (NAMED, "token_type_ids, but no labels"),
            (tuple(right.values()), "a batch is a tuple, not a dict"),
            ({**right, "special_tokens_mask": IDS}, "holds special_tokens_mas"
             "k, but a BertForSequenceClassification reads input_ids"),
            ({**right, "attention_mask": None}, "attention_mask is None")):
        with pytest.raises(ValueError, match=told):
            bert.fit([wrong], 1, 1e-3)
        with pytest.raises(ValueError, match=told):
            bert.predict_classes([wrong])
    assert bert.infer(NAMED).loss is None


@each_backend()
def test_rates_and_epochs_that_cannot_be(backend):
    bert, classifier = small_bert(backend), small_classifier(backend)
    original = make_original(backend, "BertForPreTraining", CONFIG)
    for lr in (-1.0, np.nan, "1e-3", None, lambda step: 1e-3):
        for train in (lambda lr: bert.train([], V, 1, lr=lr),
                      lambda lr: classifier.fine_tune([], None, None, 1, lr),
                      lambda lr: original.fit([], 1, lr),
                      lambda lr: original.d2l.adamw(original.net, lr)):
            with pytest.raises(ValueError, match="the learning rate is .*, "
                               "not a number from 0"):
                train(lr)
    batches = [(make_batch()[:3], np.zeros(6, np.int32))]
    for warmup in (-0.1, 1.1, np.nan, "0.1"):
        for train in (lambda w: bert.train([], V, 1, warmup=w),
                      lambda w: original.fit([], 1, 1e-3, warmup=w),
                      lambda w: classifier.fine_tune(
                          batches, None, None, 1, 1e-3, warmup=w)):
            with pytest.raises(ValueError, match=f"warmup is {warmup!r}, not "
                               "a share of the steps from 0 to 1"):
                train(warmup)
    for number in (0, 1.5, "2", None):
        with pytest.raises(ValueError, match=f"{number!r} epochs of 1 batches "
                           "are no training"):
            classifier.fine_tune(batches, None, None, number, 1e-3)


def test_a_net_with_its_params_is_no_net():
    if not installed("jax"):
        pytest.skip("JAX is not installed")
    bert = make_original("jax", "BertForPreTraining", CONFIG)
    both = bert.net, bert.params
    for train in (lambda: bert.d2l.fit(both, [], 1, 1e-3),
                  lambda: bert.d2l.train_bert(
                      [], both, bert.d2l.cross_entropy(), V,
                      bert.d2l.try_all_gpus(), 1)):
        with pytest.raises(TypeError, match="net is a tuple, not a Flax "
                           "module") as told:
            train()
        assert len(str(told.value)) < 200


@each_backend()
def test_classes_are_compared_row_by_row(backend):
    bert = make_original(
        backend, "BertForSequenceClassification", CONFIG, num_labels=3)
    guess = bert.infer(NAMED).logits.argmax(1)
    column = {**NAMED, "labels": guess[:, None].astype(np.int32)}
    some = {**NAMED, "labels": np.array([-100, guess[1]])}
    for batches, number in (([column], 2), ([some], 1), ([some, column], 3)):
        y_hat, y = bert.predict_classes(batches)
        assert y_hat.shape == y.shape == (number,) and (y_hat == y).all()


@each_backend()
def test_masks_may_be_of_any_type(backend):
    bert = make_original(backend, "BertModel", CONFIG)
    mask = np.array([[1, 1, 1, 0], [1, 1, 0, 0]])
    one, *others = (
        bert.infer({**NAMED, "attention_mask": mask.astype(kind)})
        .pooler_output for kind in ("int32", "bool", "float32", "int64"))
    for other in others:
        np.testing.assert_array_equal(one, other)


# PyTorch's graphs, in which no check may stand

torch = pytest.importorskip("torch") if installed("torch") else None
in_torch = pytest.mark.skipif(torch is None, reason="torch is not installed")


def nets_and_inputs():
    """Both models in PyTorch and inputs of theirs."""
    d2l = load_backend("torch")
    batch = make_batch()
    yield d2l.BERTModel(V, **SIZES).eval(), d2l.to_tensors(batch)[:4]
    ids = torch.tensor(batch[0])
    yield (d2l.BertForPreTraining(CONFIG).eval(),
           (ids.long(), (ids > 5).long(), torch.zeros_like(ids).long()))


def logits_of(outputs):
    """The tensors among the outputs of a net."""
    return [x for x in outputs if isinstance(x, torch.Tensor)]


def assert_alike(ours, theirs):
    assert len(ours) == len(theirs) > 1
    for one, other in zip(ours, theirs):
        np.testing.assert_allclose(one, other, atol=1e-5)


@in_torch
@pytest.mark.parametrize("number", [0, 1], ids=["d2l", "original"])
class TestGraphs:

    @pytest.fixture
    def net(self, number):
        return list(nets_and_inputs())[number]

    def test_export_takes_other_sizes(self, net):
        net, inputs = net
        rows, columns = torch.export.Dim("B"), torch.export.Dim("L", max=20)
        shapes = [{0: rows, 1: columns}] * 3
        if len(inputs) == 4:
            shapes = [*shapes[:2], {0: rows}, {0: rows}]
        graph = torch.export.export(
            net, inputs, dynamic_shapes=tuple(shapes)).module()
        for x in (inputs, [x[:3, ...] for x in inputs]):
            with torch.no_grad():
                assert_alike(logits_of(graph(*x)), logits_of(net(*x)))

    def test_onnx_gives_the_same(self, net, tmp_path):
        runtime = pytest.importorskip("onnxruntime")
        net, inputs = net
        path = tmp_path / "bert.onnx"
        torch.onnx.export(net, inputs, path, dynamo=True, verbose=False)
        session = runtime.InferenceSession(path)
        theirs = session.run(None, {
            wanted.name: x.numpy()
            for wanted, x in zip(session.get_inputs(), inputs)})
        with torch.no_grad():
            assert_alike(theirs, logits_of(net(*inputs)))

    def test_compiles_as_one_graph(self, net):
        net, inputs = net
        compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
        with torch.no_grad():
            assert_alike(logits_of(compiled(*inputs)),
                         logits_of(net(*inputs)))

    def test_functional_gradients(self, net):
        net, inputs = net
        params = dict(net.named_parameters())

        def total(params, *inputs):
            outputs = torch.func.functional_call(net, params, inputs)
            return sum((x ** 2).sum() for x in logits_of(outputs))

        grads = torch.func.grad(total)(
            {name: p.detach() for name, p in params.items()}, *inputs)
        total(params, *inputs).backward()
        for name, p in params.items():
            np.testing.assert_allclose(grads[name], p.grad, atol=1e-4)
