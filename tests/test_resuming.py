"""A training that is killed goes on, and ends as if nothing had been."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from harness import (
    VOCAB as PAIR_VOCAB,
    V,
    each_backend,
    make_batch,
    only,
    random_pairs,
    small_bert,
    small_classifier,
)
from killed import KILLS, VOCAB, paragraphs

from d2lbert.data.batches import PretrainingBatches, take
from d2lbert.data.pairs import PairBatches, SNLIBERTDataset
from d2lbert.original.config import BertConfig
from d2lbert.run.models import make_original
from d2lbert.training import resuming
from d2lbert.training.logs import FineTuningLog, LossLog
from d2lbert.training.resuming import Checkpoints

HERE = Path(__file__).parent


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes of Unix")
@each_backend()
def test_twenty_kills_change_no_bit(backend, tmp_path):
    with only(backend):
        done = subprocess.run(
            [sys.executable, HERE / "killed.py", backend, tmp_path],
            capture_output=True, text=True, env={
                **os.environ, "OMP_NUM_THREADS": "1",
                # Its own: a kill can leave half of what is written
                "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache"),
                "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"})
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert all(found["equal"])
    assert sum(found["met"].values()) == KILLS
    inside = sum(found["met"].get(name, 0)
                 for name in ("fsync", "replace", "unlink"))
    assert inside >= 5 and found["met"]["batch"] >= 5


# Stopped at any step, each trainer in each backend

class Died(BaseException):
    """What ends a training here, in place of a signal."""


class Mortal:
    """A loader that dies before one of its batches.

    Args:
        after: so many batches.
    """

    def __init__(self, loader, after):
        self.loader, self.left = loader, after

    def __getattr__(self, name):
        return getattr(self.loader, name)

    def __setattr__(self, name, value):
        own = name in ("loader", "left")
        object.__setattr__(self if own else self.loader, name, value)

    def __len__(self):
        return len(self.loader)

    def __iter__(self):
        return self.mortal(iter(self.loader))

    def trimmed(self):
        return self.mortal(self.loader.trimmed())

    def mortal(self, batches):
        for batch in batches:
            self.left -= 1
            if self.left < 0:
                raise Died
            yield batch


def pretrain(backend, resume=None, after=999, **changes):
    """Weights and log of `train_bert`, 20 steps of 6 or 7 an epoch."""
    bert = small_bert(backend, dropout=0.3, num_blks=1)
    loader = PretrainingBatches(paragraphs(), VOCAB, 6, 16, seed=1,
                                as_tensors=bert.d2l.to_tensors)
    log = bert.train(Mortal(loader, after), V, 20, **{
        "seed": 3, "resume": resume, "save_every": 3, **changes})
    return bert.export_params(), [log.losses, log._plot.X, loader.epoch]


def fine_tune(backend, resume=None, after=999, after_dev=999, **changes):
    """Weights and log of `train_ch13`, 4 epochs of 4 steps.

    The rate is so high that the best epoch need not be the last.
    """
    net = small_classifier(backend, dropout=0.3, num_blks=1)
    data = SNLIBERTDataset(random_pairs(32, longest=8), 16, PAIR_VOCAB,
                           net.d2l.to_tensors)
    loader = PairBatches(data, 8, seed=1)
    dev = Mortal(PairBatches(data, 8, is_train=False), after_dev)
    log = net.fine_tune(Mortal(loader, after), dev, dev, 4, 0.03, **{
        "warmup": 0.1, "seed": 3, "resume": resume, "save_every": 3,
        **changes})
    assert 0 < log.seconds + log.warmup_seconds
    return net.export_params(), [
        log.loss, log.train_acc, log.dev_acc, log.kept, log.test_acc,
        log.points, log._plot.X, log._plot.Y, loader.epoch]


class MortalList(Mortal):
    trimmed = property()  # which lists do not have


CONFIG = BertConfig(
    vocab_size=V, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
    intermediate_size=16, max_position_embeddings=20, hidden_dropout_prob=0.3)


def fit(backend, resume=None, after=999, **changes):
    """Weights and log of `fit`, 12 steps on a list of 5 batches."""
    net = make_original(backend, "BertForSequenceClassification", CONFIG)
    batches = []
    for seed in range(5):
        tokens, segments, *_, labels = make_batch(seed)
        batches.append(net.d2l.to_tensors({
            "input_ids": tokens, "token_type_ids": segments,
            "labels": labels}))
    log = net.fit(MortalList(batches, after), 12, 0.01, **{
        "seed": 3, "resume": resume, "save_every": 3, **changes})
    return net.export_params(), [log.losses, log._plot.X]


def assert_same(found, expected):
    assert found[1] == expected[1]  # what the log says
    for name in expected[0]:
        np.testing.assert_array_equal(found[0][name], expected[0][name])


@each_backend()
@pytest.mark.parametrize("train, stops", [
    (pretrain, [4, 13, 2]), (fine_tune, [2, 7, 9]), (fit, [1, 8, 4])])
def test_any_step_may_be_the_last(backend, train, stops, tmp_path, capsys):
    whole = train(backend)
    for after in stops:  # batches that a life is given
        with pytest.raises(Died):
            train(backend, tmp_path, after)
    assert_same(train(backend, tmp_path), whole)
    assert "goes on after step " in capsys.readouterr().out
    # One that has come to its end gives what it gave
    assert_same(train(backend, tmp_path), whole)
    assert len(list(tmp_path.iterdir())) == 2


@each_backend()
@pytest.mark.parametrize("after_dev", [2, 6, 16])
def test_a_kill_during_an_evaluation(backend, after_dev, tmp_path):
    """On dev in the first or second epoch, or on test at the end."""
    whole = fine_tune(backend, save_every=99)
    with pytest.raises(Died):
        fine_tune(backend, tmp_path, after_dev=after_dev, save_every=99)
    assert_same(fine_tune(backend, tmp_path, save_every=99), whole)


@each_backend()
def test_what_is_done_is_not_evaluated_again(backend, tmp_path):
    """But for the test pairs, once a call."""
    whole = fine_tune(backend, tmp_path)
    assert_same(fine_tune(backend, tmp_path, after=0, after_dev=4), whole)


def in_another_type(backend):
    """A small model whose numbers are not float32."""
    bert = small_bert(backend, dropout=0.3, num_blks=1)
    if backend == "torch":
        bert.net.bfloat16()
    elif backend == "mxnet":
        bert.net.cast("float64")
    else:  # which the first step makes float32
        import jax
        bert.params = jax.tree.map(lambda x: x.astype("bfloat16"), bert.params)
    return bert


@each_backend()
def test_numbers_keep_their_type(backend, tmp_path):
    def train(resume, after=999):
        bert = in_another_type(backend)
        data = [bert.d2l.to_tensors(make_batch(seed)) for seed in range(5)]
        log = bert.train(MortalList(data, after), V, 12, seed=3,
                         resume=resume, save_every=1)
        return bert.export_params(), log.losses

    whole = train(None)
    with pytest.raises(Died):
        train(tmp_path, 9)
    assert_same(train(tmp_path), whole)


@each_backend()
def test_resume_changes_no_number(backend, tmp_path):
    for number, train in enumerate((pretrain, fine_tune, fit)):
        assert_same(train(backend, tmp_path / str(number)), train(backend))


@each_backend()
def test_another_recipe_is_refused(backend, tmp_path):
    pretrain(backend, tmp_path)
    with pytest.raises(ValueError) as error:
        pretrain(backend, tmp_path, lr=1e-2, seed=4, clip=0.5)
    for part in (str(tmp_path), "lr is 0.003 there and 0.01 here",
                 "seed is 3 there and 4 here",
                 "clip is None there and 0.5 here",
                 "another folder starts anew"):
        assert part in str(error.value)
    with pytest.raises(ValueError, match="the training is TrainingLog there "
                       "and LossLog here"):
        fit(backend, tmp_path)
    bert = small_bert(backend)
    with pytest.raises(ValueError, match=r"number of batches is 6 there and 1 "
                       r"here; the shape of .*[a-z]+ is not given there and \("
                       r".*\) here; .*; and \d+ more\. Repeat"):
        bert.train([bert.d2l.to_tensors(make_batch())], V, 20, seed=3,
                   resume=tmp_path)  # a block more


@each_backend()
@pytest.mark.parametrize("at, epochs, step", [(9, 2, 6), (6, 1, 4)])
def test_what_was_learned_until_ctrl_c_goes_on(
        backend, at, epochs, step, tmp_path):
    """In the second epoch's second batch; in the first evaluation."""
    whole, batches_so_far = fine_tune(backend), count()

    class Interrupted(Mortal):
        def mortal(self, batches):
            for batch in batches:
                if next(batches_so_far) == at:
                    signal.raise_signal(signal.SIGINT)
                yield batch

    signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "Mortal", Interrupted)
        _, (losses, *_) = fine_tune(backend, tmp_path, save_every=99)
    assert len(losses) == epochs and steps_in(tmp_path)[-1] == step
    assert_same(fine_tune(backend, tmp_path, save_every=99), whole)


# What every trainer does, on a training in NumPy

def train(folder, num_steps=12, save_every=3, at=None, **recipe):
    """A training whose weights are sums; `at` is called after each step."""
    weights = {"weights.w": np.zeros(50), "optimizer.m": np.ones(3)}
    batches = [(np.full((4, 2), i),) for i in range(5)]
    log = LossLog(num_steps)
    weights |= log.resume(folder, lambda: weights, batches, save_every,
                          **recipe)
    for batch, in log.watch(take(batches, num_steps, log.step)):
        weights["weights.w"] = weights["weights.w"] * 0.5 + batch.mean()
        log.add(float(weights["weights.w"][0]))
        if at:
            at(log, weights)
    return log, weights["weights.w"]


def dies_at(step):
    def at(log, weights):
        if log.step == step:
            raise Died
    return at


def steps_in(folder):
    return [int(path.stem.split("-")[1]) for path in sorted(folder.iterdir())]


def test_the_last_two_are_kept(tmp_path):
    for step, kept in ((3, []), (4, [3]), (8, [3, 6]), (11, [6, 9])):
        with pytest.raises(Died):
            train(tmp_path, at=dies_at(step))
        assert steps_in(tmp_path) == kept
    train(tmp_path, at=None)
    assert steps_in(tmp_path) == [9, 12]


@pytest.mark.parametrize("num_steps", [12, 160])  # of 160, points of three
def test_a_log_is_whole_again(num_steps, tmp_path):
    whole, weights = train(None, num_steps)
    with pytest.raises(Died):
        train(tmp_path, num_steps, 4, at=dies_at(9))
    log, again = train(tmp_path, num_steps, 4)
    assert log.losses == whole.losses and (again == weights).all()
    assert log.step == num_steps  # and the first after a start may compile
    assert log.examples == whole.examples - 4
    assert log._plot.X == whole._plot.X and log._plot.Y == whole._plot.Y


@pytest.mark.parametrize("harm", [
    lambda data: data[:-9], lambda data: b"", lambda data: data[:9],
    lambda data: data[:-2] + bytes([data[-2] ^ 1]) + data[-1:],
    lambda data: data.replace(b"LossLog", b"LostLog")])
def test_a_damaged_file_is_passed_over(harm, tmp_path):
    whole = train(None)
    with pytest.raises(Died):
        train(tmp_path, at=dies_at(8))
    newest = tmp_path / "step-0000006.safetensors"
    newest.write_bytes(harm(newest.read_bytes()))
    with pytest.warns(UserWarning, match="step-0000006.safetensors is damag"):
        log, weights = train(tmp_path, at=lambda log, _: log.step == 4 or None)
    assert log.losses == whole[0].losses and (weights == whole[1]).all()


def test_a_file_from_a_later_step_that_is_damaged_goes(tmp_path):
    """Else it would be taken for one of the last two."""
    train(tmp_path)
    for path in tmp_path.iterdir():
        if "12" in path.name:
            path.write_bytes(b"")
    with pytest.warns(UserWarning, match="damaged"), pytest.raises(Died):
        train(tmp_path, save_every=1, at=dies_at(12))
    assert steps_in(tmp_path) == [10, 11]


def test_drafts_of_a_killed_writer_are_removed(tmp_path):
    draft = tmp_path / ".step-0000003.safetensors-xyz"
    draft.mkdir()
    (draft / "step-0000003.safetensors").write_bytes(bytes(1000))
    train(tmp_path)
    assert steps_in(tmp_path) == [9, 12]


def no_room(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_is_full_costs_a_warning(tmp_path, monkeypatch):
    whole = train(None)

    def at(log, weights):
        if log.step == 5:
            monkeypatch.setattr(os, "fsync", no_room)
        if log.step == 10:  # there is room again
            assert steps_in(tmp_path) == [3]
            monkeypatch.undo()

    with pytest.warns(UserWarning) as warned:
        log, weights = train(tmp_path, at=at)
    assert [str(w.message) for w in warned] == [
        "no checkpoint of step 6 is written ([Errno 28] No space left on "
        "device): training goes on, and later ones are tried"]
    assert warned[0].filename == __file__
    assert log.losses == whole[0].losses and steps_in(tmp_path) == [3, 12]


Usage = namedtuple("Usage", "total used free")


def test_no_room_is_noticed_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(9e9, 9e9, 4000))
    for save_every in (3, 100):
        with pytest.raises(OSError, match="room for 0.0 MB, and the check"):
            train(tmp_path, at=lambda *_: pytest.fail("trains"),
                  save_every=save_every)
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(9e9, 0, 9e9))
    train(tmp_path)


@each_backend()
def test_folders_that_cannot_be(backend, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    bert = small_bert(backend, num_blks=1)
    data = [bert.d2l.to_tensors(make_batch())]

    def refusal(resume, save_every=3):
        with pytest.raises((ValueError, OSError)) as error:
            bert.train(data, V, 3, resume=resume, save_every=save_every)
        return str(error.value)

    place = str(tmp_path / "file")
    assert refusal(place) == (f"resume={place!r} is a file: name a folder, "
                              "which is made if there is none")
    assert "no checkpoint can be written into" in refusal(f"{place}/folder")
    assert refusal(tmp_path, 0) == (
        "save_every is 0, not a whole number from 1")
    monkeypatch.setattr(resuming.tempfile, "TemporaryFile", no_room)
    assert refusal(tmp_path).endswith("left on device): name another folder")


def test_weights_that_are_not_finite_are_never_kept(tmp_path):
    def at(log, weights):
        if log.step == 6:
            weights["weights.w"] = weights["weights.w"] * np.inf

    log, _ = train(tmp_path, at=at)
    assert log.diverged and steps_in(tmp_path) == [3]


def test_a_loss_that_is_not_finite_is_never_kept(tmp_path):
    log = LossLog(1000)
    log.resume(tmp_path, lambda: {"weights.w": np.zeros(3)}, [], 3)
    for _ in log.watch([(np.zeros((2, 2)),)] * 1000):  # read every 20 steps
        log.add(float("nan") if log.step == 4 else 1.0)
    assert log.diverged and steps_in(tmp_path) == [3]
    assert len(log.loss) == 4 and log.step == 6


def test_what_else_must_be_equal(tmp_path):
    with pytest.raises(Died):
        train(Checkpoints(tmp_path, {"corpus": "a"}), at=dies_at(8), lr=0.1)
    again = Checkpoints(tmp_path, {"corpus": "b"}, "FRESH=1 starts anew")
    with pytest.raises(ValueError) as error:
        train(again, num_steps=15)
    assert str(error.value) == (
        f"{tmp_path} holds a training by another recipe: num_steps is 12 "
        "there and 15 here; corpus is a there and b here; lr is 0.1 there and "
        "not given here. Repeat its recipe to go on; FRESH=1 starts anew")
    log, _ = train(Checkpoints(tmp_path, {"corpus": "a"}), lr=0.1,
                   save_every=1)  # how often may change
    assert log.step == 12


def test_every_twentieth_of_the_steps_by_default(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(resuming.Saver, "save",
                        lambda self, step, *_: seen.append(step))
    train(tmp_path, num_steps=100, save_every=None)
    assert seen == [*range(5, 101, 5)]


@pytest.mark.parametrize("start", [0, 1, 6, 7, 13, 20])
def test_batches_from_any_step_on(start):
    def loader():
        return PretrainingBatches(paragraphs(), VOCAB, 6, 16, seed=1)

    whole, rest, epochs = loader(), loader(), []
    monkey = rest._epoch
    rest._epoch = lambda: epochs.append(rest.epoch) or monkey()
    expected = [*take(whole, 20)][start:]
    found = [*take(rest, 20, start)]
    assert len(found) == 20 - start and rest.epoch == whole.epoch
    for a, b in zip(found, expected):
        for x, y in zip(a, b):
            np.testing.assert_array_equal(x, y)
    # Epochs before the start are not made
    assert epochs == [*range(start // len(whole), 20 // len(whole) + 1)]
    stream = iter_only([*range(7)])
    assert [*take(stream, 20, start)] == [i % 7 for i in range(start, 20)]


def iter_only(items):
    """An iterable without a length."""
    return type("Stream", (), {"__iter__": lambda self: iter(items)})()


@pytest.mark.parametrize("batches, dies, left", [(4, 8, 6), (50, 87, 66)])
def test_epochs_go_on_in_the_middle(batches, dies, left, tmp_path):
    """Of 150 batches, points of three."""
    def run(folder, dies=None):
        log, seen = FineTuningLog(3, batches), []
        log.resume(folder, lambda: {"weights.w": np.zeros(3)}, [], 3)
        for epoch in log.epochs():
            for batch, in log.watch([(np.full((2, 2), i),)
                                     for i in range(batches)]):
                seen.append((epoch, int(batch[0, 0])))
                log.add(1.0, 1, 2)
                if log.step == dies:
                    raise Died
            log.is_best(0.5 + epoch)
        return log, seen

    with pytest.raises(Died):
        run(tmp_path, dies)
    log, seen = run(tmp_path)
    assert seen == [(e, i) for e in range(3) for i in range(batches)][-left:]
    assert log.dev_acc == [0.5, 1.5, 2.5] and log.kept == 2
    assert log.points == run(None)[0].points
