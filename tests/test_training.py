"""Schedules, and the log of a training run: what is read and timed when."""

import hashlib
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from harness import (
    V,
    each_backend,
    make_batch,
    only,
    small_bert,
    small_classifier,
)

from d2lbert.backends import load_backend
from d2lbert.data.batches import PretrainingBatches
from d2lbert.data.pretraining import RESERVED_TOKENS
from d2lbert.data.vocab import Vocab
from d2lbert.training import steps
from d2lbert.training.logs import FineTuningLog, TrainingLog
from d2lbert.training.schedules import rates


class Clock:
    """Seconds that pass when told to."""
    now = 0.0

    def __call__(self):
        return self.now


class Loss:
    """A loss on a device: reading it is noted."""
    reads = 0

    def __float__(self):
        type(self).reads += 1
        return 1.5


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(steps, "perf_counter", clock)
    return clock


def batch(columns, rows=4):
    return (np.zeros((rows, columns)),)


def test_the_rate_rises_then_falls():
    rising_then_falling = rates(100, 2.0)
    top = rising_then_falling.index(2.0)
    assert max(rising_then_falling) == 2.0 and top in (9, 10)
    assert rising_then_falling[0] == pytest.approx(0.2)
    assert 0 < rising_then_falling[-1] < 0.03
    changes = np.diff(rising_then_falling)
    assert changes[:9].min() > 0 > changes[10:].max()
    assert rates(10, 1.0, 0.2)[:2] == [0.5, 1.0]
    assert rates(1, 2.0) == [2.0] and rates(3, 2.0, None) == [2.0] * 3


def run(log, batches, step):
    for batch in log.watch(batches):
        log.add(*step(batch))
    return log


def test_losses_are_read_in_bunches():
    Loss.reads, reads = 0, []

    def step(batch):
        reads.append(Loss.reads)
        return Loss(), Loss()

    log = run(TrainingLog(500), [batch(8)] * 500, step)
    assert log.mlm == [1.5] * 500 == log.nsp
    assert Loss.reads == 1000
    assert len(set(reads)) < 60  # not once a step


def test_steps_of_a_new_shape_are_not_timed(clock):
    costs = iter([100, 1, 1, 50, 2, 1])  # the first of a shape compiles

    def step(batch):
        clock.now += next(costs)
        return 0.0, 0.0

    log = run(TrainingLog(6), map(batch, [8, 8, 8, 16, 16, 8]), step)
    assert log.warmup_seconds == 150 and log.seconds == 5
    assert log.pairs_per_sec == 4 * 4 / 5


def test_every_point_of_the_plot_is_the_mean_of_many_steps():
    # Shapes that alternate make the log read often; the curve stays smooth.
    losses = iter(np.arange(500.0))
    log = TrainingLog(500)
    run(log, map(batch, [8, 16, 24, 32] * 125),
        lambda batch: (next(losses), 0.0))
    steps, means = log._plot.X[0], log._plot.Y[0]
    widths = np.diff([0, *steps])
    assert steps[-1] == 500 and widths[:-1].min() >= 10
    assert means[0] == np.arange(steps[0]).mean()


def test_the_best_epoch_is_kept_not_the_last():
    log, best = FineTuningLog(4, 1), []
    for epoch, dev_acc in enumerate([0.2, 0.7, 0.7, 0.5]):
        run(log, [batch(3, rows=2)], lambda batch: (1, 1, 2))
        if log.is_best(dev_acc):
            best.append(epoch)
    assert best == [0, 1] and log.kept == 1
    assert log.dev_acc == [0.2, 0.7, 0.7, 0.5]
    assert log.loss == [0.5] * 4 == log.train_acc


def test_an_interrupted_loop_leaves_the_log_so_far():
    log = TrainingLog(500)

    def step(batch):
        if len(log.mlm) + len(log._unread) == 123:
            raise KeyboardInterrupt
        return 1.0, 0.5

    with pytest.raises(KeyboardInterrupt):
        run(log, [batch(8)] * 500, step)
    assert log.mlm == [1.0] * 123 and log._plot.X[0][-1] == 123


# Ctrl-C, which is Stop in Jupyter

def interrupted_at(number):
    """A step; during that one the signal comes."""
    steps = count()

    def step(batch):
        if next(steps) == number:
            signal.raise_signal(signal.SIGINT)
        return 1.0, 0.5

    return step


def test_ctrl_c_ends_the_loop_after_its_step(capsys):
    log = run(TrainingLog(500), [batch(8)] * 500, interrupted_at(122))
    assert log.stopped and log.mlm == [1.0] * 123
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    log.report("cpu")
    assert "stopped after step 123 of 500\n" in capsys.readouterr().out


def test_a_second_ctrl_c_is_as_everywhere():
    def step(batch):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(TrainingLog(500), [batch(8)] * 500, step)


def test_a_loop_that_was_left_by_an_error_does_not_catch_the_next_one_s():
    left = TrainingLog(500).watch([batch(8)] * 500)
    next(left)  # and a traceback holds it
    log = run(TrainingLog(500), [batch(8)] * 500, interrupted_at(2))
    assert log.stopped and len(log.mlm) == 3
    left.close()


def test_who_handles_interrupts_keeps_doing_so():
    seen = []
    signal.signal(signal.SIGINT, lambda *_: seen.append(1))
    try:
        log = run(TrainingLog(500), [batch(8)] * 3, interrupted_at(0))
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    assert seen == [1] and not log.stopped and len(log.mlm) == 3


@pytest.mark.parametrize("during", ["a step", "the evaluation"])
def test_ctrl_c_ends_the_epochs_after_this_one(during):
    log = FineTuningLog(9, 5)
    for epoch in log.epochs():
        step = interrupted_at(1 if (during, epoch) == ("a step", 2) else None)
        run(log, [batch(3)] * 5, lambda batch: (*step(batch), 4))
        if (during, epoch) == ("the evaluation", 2):
            signal.raise_signal(signal.SIGINT)
        log.is_best(0.5 + 0.1 * epoch)
    assert log.stopped and len(log.loss) == len(log.dev_acc) == 3
    assert log.kept == 2 and all(np.isfinite(log.loss))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_last_epoch_is_kept_without_dev():
    log = FineTuningLog(9, 5)
    for epoch in log.epochs():
        step = interrupted_at(0 if epoch == 1 else None)
        run(log, [batch(3)] * 5, lambda batch: (*step(batch), 4))
    assert log.kept == 1 == len(log.loss) - 1


@each_backend()
def test_what_was_learned_until_ctrl_c_can_be_used(backend, capsys):
    bert = small_bert(backend)
    before = bert.export_params()["hidden.0.bias"]

    def batches():
        for seed in range(100):
            if seed == 2:
                signal.raise_signal(signal.SIGINT)
            yield bert.d2l.to_tensors(make_batch(seed))

    log = bert.train(Stream(batches), V, 50)
    assert len(log.mlm) == 3 and log.stopped
    assert "stopped after step 3 of 50\n" in capsys.readouterr().out
    assert not np.allclose(bert.export_params()["hidden.0.bias"], before)
    assert np.isfinite(bert.evaluate([bert.d2l.to_tensors(make_batch())])
                       ).all()


class Stream:
    """An iterable from a function that makes an iterator."""

    def __init__(self, start):
        self.start = start

    def __iter__(self):
        return self.start()


def test_report_speaks_d2ls_words(capsys):
    log = run(TrainingLog(1), [batch(8)], lambda batch: (1.23456, 0.5))
    capsys.readouterr()
    log.report(["cpu"])
    assert capsys.readouterr().out == (
        "MLM loss 1.235, NSP loss 0.500\n"
        "nan sentence pairs/sec on ['cpu']\n")


def test_an_epoch_is_arrays_not_examples():
    words = [f"w{i}" for i in range(50)]
    vocab = Vocab(words, reserved_tokens=RESERVED_TOKENS)
    rng = np.random.default_rng(0)
    paragraphs = [[[words[i] for i in rng.integers(50, size=9)]
                   for _ in range(3)] for _ in range(500)]
    batches = PretrainingBatches(paragraphs, vocab, 512, 32)
    arrays = [x for b in batches for x in b]
    assert len(arrays) == 7 * len(batches)
    # The corpus stays one array of tokens; batches are made as they are used.
    assert batches.sentences.tokens.shape == (500 * 3 * 9,)
    assert sum(x.nbytes for x in arrays) < 600 * batches.num_examples


@each_backend()
def test_each_step_of_pretraining_drops_other_activations(backend):
    def losses(**sizes):
        bert = small_bert(backend, **sizes)
        batch = bert.d2l.to_tensors(make_batch())
        return bert.train([batch], V, 3, lr=0.0).mlm

    still, dropped = losses(), losses(dropout=0.5)
    assert still == pytest.approx([still[0]] * 3, abs=1e-6)
    assert np.diff(sorted([still[0], *dropped])).min() > 1e-4


@each_backend()
def test_the_batch_loss_that_is_passed_is_trained(backend):
    batches = [make_batch(seed) for seed in range(4)]

    def train(batch_loss, **sizes):
        bert = small_bert(backend, **sizes)
        data = [bert.d2l.to_tensors(batch) for batch in batches]
        log = bert.train(data, V, 4, batch_loss=batch_loss)
        return log, bert.export_params()

    d2l = load_backend(backend)

    def next_sentence_alone(*args):
        mlm_l, nsp_l, _ = d2l._get_batch_loss_bert(*args)
        return mlm_l, nsp_l, nsp_l

    fast, clear, edited = map(
        train, (None, d2l._get_batch_loss_bert, next_sentence_alone))
    assert clear[0].mlm == pytest.approx(fast[0].mlm, rel=1e-4)
    assert clear[0].nsp == pytest.approx(fast[0].nsp, rel=1e-4)
    before = small_bert(backend).export_params()
    moved = {name for name in before
             if not np.allclose(before[name], edited[1][name], atol=1e-7)}
    assert not [name for name in moved if name.startswith("mlm.")]
    assert "nsp.output.weight" in moved and len(edited[0].mlm) == 4


# A loss that is no number

def losses_of(values):
    values = iter(values)
    return lambda batch: (next(values), 0.5)


def test_a_loss_that_is_not_finite_ends_the_loop(capsys):
    values = [*[1.0] * 122, float("nan"), *[1.0] * 400]
    log = TrainingLog(500)
    step = losses_of(values)
    for batch_ in log.watch([batch(8)] * 500):
        log.add(*step(batch_), rate=0.25)
    assert log.stopped and log.mlm == [1.0] * 122 == [2 * x for x in log.nsp]
    assert log._added < 140  # read soon, though not at once
    log.report("cpu")
    told = capsys.readouterr().out
    assert "loss of step 123, at a learning rate of 0.25, is nan: " in told
    assert "try a lower" in told and "MLM loss 1.000" in told


@pytest.mark.parametrize("bad, good", [
    (0, 0), (1, 0), (10, 0), (22, 10), (24, 22)])
def test_the_weights_kept_are_those_of_a_finite_loss(bad, good):
    """Weights after a step may be bad though its own loss was not."""
    # Read every three steps, copied after ten or more
    log, weights = TrainingLog(150), count()
    now = [next(weights)]
    for _ in log.watch([batch(8)] * 150, lambda: now[0]):
        loss = float("inf") if now[0] >= bad else 1.0
        now[0] = next(weights)  # the step
        log.add(loss, 0.5, rate=1.0)
    assert log.diverged and log.weights == good


def test_nothing_to_say_of_a_run_that_went_wrong_at_once(capsys):
    log = run(TrainingLog(9), [batch(8)] * 9, losses_of([float("nan")] * 9))
    log.report("cpu")
    told = capsys.readouterr().out
    assert "loss of step 1, " in told and "MLM" not in told


@each_backend()
def test_training_that_goes_wrong_leaves_weights_to_use(backend, capsys):
    bert, one = small_bert(backend), make_batch()
    data = [bert.d2l.to_tensors(one)]
    log = bert.train(data, V, 40, lr=1e20)
    assert "loss of step 2, at a learning rate of 5e+19, " in log.diverged
    assert log.diverged in capsys.readouterr().out and len(log.mlm) == 1
    assert bert.evaluate(data)[0] == pytest.approx(log.mlm[0], rel=1e-5)

    bert = small_bert(backend)  # the last step, whose weights have no loss
    log = bert.train(data, V, 1, lr=float("inf"))
    assert "weights after step 1, at a learning rate of inf, " in log.diverged
    assert np.isfinite(bert.evaluate(data)).all()

    net = small_classifier(backend)
    X, y = one[:3], one[6]
    data = [(bert.d2l.to_tensors(X), bert.d2l.to_tensors((y,))[0])] * 3
    log = net.fine_tune(data, data, None, 3, 1e20)
    assert ("loss of step 2, at 1 of the trainer's learning rate, is"
            in log.diverged)
    assert len(log.loss) == len(log.dev_acc) == 1 and log.loss[0] < 99
    assert all(np.isfinite(x).all() for x in net.export_params().values())


# Seeds

def trained(backend, seed):
    """The digest of a model's weights after 30 steps with dropout."""
    bert = small_bert(backend, dropout=0.3)
    data = [bert.d2l.to_tensors(make_batch(i)) for i in range(3)]
    bert.train(data, V, 30, seed=seed)
    params = bert.export_params()
    return hashlib.sha1(b"".join(
        params[name].tobytes() for name in sorted(params))).hexdigest()


@each_backend()
def test_a_seed_fixes_every_weight(backend):
    here = [trained(backend, 5) for _ in range(2)]
    with only(backend):
        there = subprocess.run(
            [sys.executable, "-c", "import test_training as t; "
             f"print(t.trained({backend!r}, 5))"], cwd=Path(__file__).parent,
            capture_output=True, text=True, check=True).stdout.split()[-1]
    assert here == [there] * 2
    assert trained(backend, 6) != there
