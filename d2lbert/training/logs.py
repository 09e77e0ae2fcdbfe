"""What training in the three backends shares: schedules and logs."""

from time import perf_counter

import numpy as np

from d2lbert.training.plotting import Animator, progress


def warmup_linear(step, num_steps, peak, warmup=0.1):
    """Learning rate of a step: linear warm-up, then linear decay to 0.

    The BERT paper's schedule (A.2) with the warm-up as a share of the run.

    Args:
        step: 0 … num_steps - 1.
        peak: the highest rate, reached after warmup · num_steps steps.
    """
    rising = max(1, round(warmup * num_steps))
    if step < rising:
        return peak * (step + 1) / rising
    return peak * (num_steps - step) / max(1, num_steps - rising + 1)


def last_tenth(losses):
    """The mean over the last tenth of the steps, one step at least."""
    return float(np.mean(losses[-max(1, len(losses) // 10):]))


def rate_factor(step, num_steps, warmup=None):
    """What a step's learning rate is a multiple of the trainer's by.

    1 without a warm-up, else `warmup_linear`.
    """
    if warmup is None:
        return 1.0
    return warmup_linear(step, num_steps, 1.0, warmup)


class StepLog:
    """Run steps, time them, and read what they return in bunches.

    Values stay on the device as the backend gives them and are read every
    few steps, so that no step waits for the one before. A step that brings a
    new batch shape may compile; its time counts as `warmup_seconds`, not as
    training.

    Attributes:
        seconds: time of the counted steps; warmup_seconds: of the others.
        examples: number of examples in the counted steps.
    """

    def __init__(self, num_steps):
        if num_steps < 1:
            raise ValueError(f"num_steps is {num_steps}, not 1 or more")
        self.num_steps, self.examples = num_steps, 0
        self.seconds, self.warmup_seconds = 0.0, 0.0
        self._every = max(1, num_steps // 50)
        self._unread, self._shapes, self._started = [], set(), None
        self._bar = progress(None, total=num_steps, unit="step")

    @property
    def per_sec(self):
        """Examples a second, warm-up steps left out."""
        return self.examples / self.seconds if self.seconds else float("nan")

    def _follow(self, batches, step):
        """Call step(batch) for each batch."""
        for batch in batches:
            shape = _tokens(batch).shape
            is_new = tuple(shape) not in self._shapes
            self._shapes.add(tuple(shape))
            (self._warm_up if is_new else self._count)(batch, step)
        self._read()
        self._stop_clock()

    def _warm_up(self, batch, step):
        self._read()
        self._stop_clock()
        start = perf_counter()
        self._add(step(batch))
        self._read()
        self.warmup_seconds += perf_counter() - start

    def _count(self, batch, step):
        if self._started is None:
            self._started = perf_counter()
        self._add(step(batch))
        self.examples += len(_tokens(batch))

    def _stop_clock(self):
        if self._started is not None:
            self.seconds += perf_counter() - self._started
        self._started = None

    def _add(self, values):
        self._unread.append(values)
        if len(self._unread) >= self._every:
            self._read()

    def _read(self):
        rows = [tuple(map(float, values)) for values in self._unread]
        self._unread = []
        if rows:
            self._bar.update(len(rows))
            self._take(rows)


def _tokens(batch):
    while isinstance(batch, (list, tuple, dict)):
        batch = next(iter(
            batch.values() if isinstance(batch, dict) else batch))
    return batch


class LossLog(StepLog):
    """Losses, throughput, curves and progress bar of a training run.

    Attributes:
        losses: a list for each name, of floats, one a step.
    """

    def __init__(self, num_steps, names=("loss",)):
        super().__init__(num_steps)
        self.names, self.losses = names, [[] for _ in names]
        self._shown = 0  # steps that the plot knows of
        self._plot = Animator(
            xlabel="step", ylabel="loss", xlim=[1, num_steps],
            legend=list(names) if len(names) > 1 else None)

    @property
    def loss(self):
        """The list of the only loss, or of the first one."""
        return self.losses[0]

    def run(self, batches, step):
        """Call step(batch) for each batch; log the losses it returns."""
        with self._bar:
            self._follow(batches, step)
            if self._shown < len(self.loss):
                self._show()
        return self

    def _take(self, rows):
        for losses, values in zip(self.losses, zip(*rows)):
            losses.extend(values)
        if len(self.loss) - self._shown >= self._every:
            self._show()

    def _show(self):
        means = [np.mean(losses[self._shown:]) for losses in self.losses]
        self._shown = len(self.loss)
        self._plot.add(self._shown, tuple(means))
        self._bar.set_postfix({name: f"{mean:.3f}" for name, mean
                               in zip(self.names, means)})

    def report(self, device):
        """Print the last loss, and the throughput.

        The loss is the mean over the last tenth of the steps.
        """
        print(f"loss {last_tenth(self.loss):.3f}")
        print(f"{self.per_sec:.1f} examples/sec on {device}")


class TrainingLog(LossLog):
    """The `LossLog` of d2l's pretraining, with its two losses.

    Attributes:
        mlm, nsp: lists of floats, one a step.
    """

    def __init__(self, num_steps):
        super().__init__(num_steps, ("masked LM", "next sentence"))
        self.mlm, self.nsp = self.losses

    @property
    def pairs_per_sec(self):
        """Sentence pairs a second, warm-up steps left out."""
        return self.per_sec

    def report(self, device):
        """Print the last losses and the throughput, in d2l's words.

        The losses are means over the last tenth of the steps; d2l's are
        means over all of them.
        """
        print(f"MLM loss {last_tenth(self.mlm):.3f}, "
              f"NSP loss {last_tenth(self.nsp):.3f}")
        print(f"{self.pairs_per_sec:.1f} sentence pairs/sec on {device}")


class FineTuningLog(StepLog):
    """Loss, accuracies, throughput and curves of fine-tuning, by epoch.

    Attributes:
        loss, train_acc: lists, means over the examples of each epoch.
        dev_acc: a list, accuracy on dev after each epoch; empty without dev.
        kept: the number of the epoch, from 0, whose weights are kept: the
            best on dev, or the last.
        test_acc: accuracy on test, computed once, or None.
        points: (epochs so far, loss, train acc) at every point of the plot.
    """

    def __init__(self, num_epochs, num_batches):
        if num_epochs < 1 or num_batches < 1:
            raise ValueError(f"{num_epochs} epochs of {num_batches} batches "
                             "are no training: give one or more of each")
        super().__init__(num_epochs * num_batches)
        self.num_epochs, self.num_batches = num_epochs, num_batches
        self.loss, self.train_acc, self.dev_acc = [], [], []
        self.kept, self.test_acc, self.points = num_epochs - 1, None, []
        self._rows, self._shown = [], 0  # (loss sum, right, examples)
        self._plot = Animator(
            xlabel="epoch", xlim=[0, num_epochs], ylim=[0, 1.2],
            legend=["train loss", "train acc", "dev acc"])

    @property
    def examples_per_sec(self):
        """Examples a second, warm-up steps left out."""
        return self.per_sec

    def run(self, train_iter, step, evaluate=None, snapshot=None):
        """Train for all epochs and choose the best on dev.

        Args:
            step: batch -> (sum of losses, number right, examples).
            evaluate: () -> accuracy on dev; None to keep the last epoch.
            snapshot: () -> a copy of the weights.

        Returns:
            The snapshot of the best epoch, None without `evaluate`.
        """
        best = None
        with self._bar:
            for epoch in range(self.num_epochs):
                self._run_epoch(train_iter, step)
                if evaluate is None:
                    continue
                accuracy = evaluate()
                if accuracy > max(self.dev_acc, default=-1):
                    best, self.kept = snapshot(), epoch
                self.dev_acc.append(accuracy)
                self._plot.add(epoch + 1, (None, None, accuracy))
        return best

    def _run_epoch(self, train_iter, step):
        first = len(self._rows)
        self._follow(train_iter, step)
        if self._shown < len(self._rows):
            self._show()
        loss, train_acc = _means(self._rows[first:])
        self.loss.append(loss)
        self.train_acc.append(train_acc)

    def _take(self, rows):
        self._rows += rows
        if len(self._rows) - self._shown >= self._every:
            self._show()

    def _show(self):
        loss, train_acc = _means(self._rows[self._shown:])
        self._shown = len(self._rows)
        point = self._shown / self.num_batches, loss, train_acc
        self.points.append(point)
        self._plot.add(point[0], (loss, train_acc, None))
        self._bar.set_postfix(loss=f"{loss:.3f}", acc=f"{train_acc:.3f}")

    def report(self, device):
        """Print losses, accuracies and throughput, in d2l's words."""
        line = (f"loss {self.loss[self.kept]:.3f}, "
                f"train acc {self.train_acc[self.kept]:.3f}")
        if self.dev_acc:
            line += f", dev acc {self.dev_acc[self.kept]:.3f}"
        if self.test_acc is not None:
            line += f", test acc {self.test_acc:.3f}"
        print(line)
        print(f"{self.examples_per_sec:.1f} examples/sec on {device}, "
              f"after {self.warmup_seconds:.1f} s of compilation and first "
              "steps")
        if self.dev_acc:
            print(f"kept epoch {self.kept + 1} of {self.num_epochs}, the "
                  "best on dev")


def _means(rows):
    loss, right, examples = np.sum(rows, axis=0)
    return float(loss / examples), float(right / examples)


def gather(batches):
    """Predicted and true classes of all batches, two (N,) NumPy arrays.

    Args:
        batches: (y_hat (B,), y (B,)) of each batch, on the host.

    Raises:
        ValueError: for no batches.
    """
    batches = list(batches)
    if not batches:
        raise ValueError("there is nothing to evaluate: the iterator gives "
                         "no batch")
    y_hat, y = zip(*batches)
    return np.concatenate(y_hat).astype(int), np.concatenate(y).astype(int)
