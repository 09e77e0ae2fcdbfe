"""What a training run leaves: losses, accuracies, times and curves."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from d2lbert.training.interrupts import first_interrupt_noted
from d2lbert.training.plotting import Animator
from d2lbert.training.resuming import Checkpoint
from d2lbert.training.steps import Batch, StepLog
from d2lbert.training.workers import Workers

WAITING = "first steps may compile"
NO_BATCH = "there is nothing to evaluate: the iterator gives no batch"


def last_tenth(losses: Sequence[float]) -> float:
    """The mean over the last tenth of the steps, one step at least."""
    return float(np.mean(losses[-max(1, len(losses) // 10):]))


class LossLog(StepLog):
    """Losses, throughput, curves and progress bar of a training run.

    Attributes:
        losses: a list for each name, of floats, one a step.
    """

    def __init__(self, num_steps: int, names: Sequence[str] = ("loss",),
                 precision: str = "float32",
                 workers: Workers | None = None) -> None:
        super().__init__(num_steps, precision, workers)
        self.names = names
        self.losses: list[list[float]] = [[] for _ in names]
        self._plot = Animator(
            xlabel="step", ylabel="loss", xlim=[1, num_steps],
            legend=list(names) if len(names) > 1 else None,
            ncols=len(names), figsize=(3.5 * len(names), 2.5),
            is_shown=self._workers.is_first)

    @property
    def loss(self) -> list[float]:
        """The list of the only loss, or of the first one."""
        return self.losses[0]

    def _begin(self) -> None:
        self._plot.wait(f"step 0 of {self.num_steps},\n{WAITING}")

    def _take(self, rows: list[tuple[float, ...]]) -> None:
        for losses, values in zip(self.losses, zip(*rows)):
            losses.extend(values)
        while len(self.loss) - self._shown >= self._every:
            self._show(self._shown + self._every)

    def _rows_so_far(self) -> list[list[float]]:
        return self.losses

    def _restore(self, checkpoint: Checkpoint, loader: Any) -> None:
        super()._restore(checkpoint, loader)
        for losses, values in zip(self.losses, checkpoint.rows.tolist()):
            losses.extend(values)

    def _end(self) -> None:
        if self._shown < len(self.loss):
            self._show(len(self.loss))
        self._bar.close()

    def _show(self, end: int) -> None:
        means = [np.mean(losses[self._shown:end]) for losses in self.losses]
        self._shown = end
        self._plot.add(self._shown, tuple(means))
        self._bar.set_postfix({name: f"{mean:.3f}" for name, mean
                               in zip(self.names, means)})

    def _summary(self, device: Any) -> list[str]:
        """The last loss, and the throughput.

        The loss is the mean over the last tenth of the steps.
        """
        return [f"loss {last_tenth(self.loss):.3f}",
                f"{self.per_sec:.1f} examples/sec on {self._where(device)}"]


class TrainingLog(LossLog):
    """The `LossLog` of d2l's pretraining, with its two losses.

    Attributes:
        mlm, nsp: lists of floats, one a step.
    """

    def __init__(self, num_steps: int, precision: str = "float32",
                 workers: Workers | None = None) -> None:
        super().__init__(num_steps, ("masked LM", "next sentence"), precision,
                         workers)
        self.mlm, self.nsp = self.losses

    @property
    def pairs_per_sec(self) -> float:
        """Sentence pairs a second, warm-up steps left out."""
        return self.per_sec

    def _summary(self, device: Any) -> list[str]:
        """The last losses and the throughput.

        The losses are means over the last tenth of the steps; d2l's are
        means over all of them.
        """
        return [f"MLM loss {last_tenth(self.mlm):.3f}, "
                f"NSP loss {last_tenth(self.nsp):.3f}",
                f"{self.pairs_per_sec:.1f} sentence pairs/sec on "
                f"{self._where(device)}"]


class FineTuningLog(StepLog):
    """Loss, accuracies, throughput and curves of fine-tuning, by epoch.

    `watch` is called in each of `epochs`, and `add` with the sum of the
    losses, the number of right answers and the number of examples of each
    batch.

    Attributes:
        loss, train_acc: lists, means over the examples of each epoch.
        dev_acc: a list, accuracy on dev after each epoch; empty without dev.
        kept: the number of the epoch, from 0, whose weights are kept: the
            best on dev, or the last.
        test_acc: accuracy on test, computed once, or None.
        points: (epochs so far, loss, train acc) at every point of the plot.

    Raises:
        ValueError: for less than one epoch or one batch.
    """
    _RATE = "{:.3g} of the trainer's learning rate"
    _NOTED = (*StepLog._NOTED, "loss", "train_acc", "dev_acc", "kept",
              "points", "_epoch_start")

    def __init__(self, num_epochs: int, num_batches: int,
                 precision: str = "float32") -> None:
        if (not isinstance(num_epochs, (int, np.integer))
                or min(num_epochs, num_batches) < 1):
            raise ValueError(
                f"{num_epochs!r:.99} epochs of {num_batches} batches are no "
                "training: give a whole number of each, from 1")
        super().__init__(num_epochs * num_batches, precision)
        self.num_epochs, self.num_batches = num_epochs, num_batches
        self.loss: list[float] = []
        self.train_acc: list[float] = []
        self.dev_acc: list[float] = []
        self.kept, self.test_acc = 0, None
        self.points: list[tuple[float, float, float]] = []
        self._rows: list[tuple[float, ...]] = []
        self._epoch_start = 0  # number of rows
        self._plot = Animator(
            xlabel="epoch", xlim=[0, num_epochs], ylim=[0, 1.2],
            legend=["train loss", "train acc", "dev acc"])

    @property
    def examples_per_sec(self) -> float:
        """Examples a second, warm-up steps left out."""
        return self.per_sec

    def epochs(self) -> Iterator[int]:
        """The epochs' numbers, from 0; none follows one that was stopped."""
        with first_interrupt_noted(self._stop):
            for epoch in range(len(self.loss), self.num_epochs):
                if not self.stopped:
                    yield epoch
                    if self.step == (epoch + 1) * self.num_batches:
                        self._save()  # with what the evaluation gave

    def watch(self, batches: Iterable[Batch],
              copy_weights: Callable[[], Any] | None = None
              ) -> Iterator[Batch]:
        """The batches of an epoch, after those that a killed run has had.

        Args:
            copy_weights: as in `StepLog`.
        """
        return super().watch(islice(batches, self.step - self._epoch_start,
                                    None), copy_weights)

    def is_best(self, dev_acc: float) -> bool:
        """Note the epoch's accuracy on dev; is it better than all before?"""
        is_best = dev_acc > max(self.dev_acc, default=-1)
        if is_best:
            self.kept = len(self.dev_acc)
        self.dev_acc.append(dev_acc)
        self._plot.add(len(self.dev_acc), (None, None, dev_acc))
        return is_best

    def _begin(self) -> None:
        if not self._added:
            self._plot.wait(f"epoch 0 of {self.num_epochs},\n{WAITING}")

    def _take(self, rows: list[tuple[float, ...]]) -> None:
        self._rows += rows
        while len(self._rows) - self._shown >= self._every:
            self._show(self._shown + self._every)

    def _rows_so_far(self) -> list[tuple[float, ...]]:
        return self._rows

    def _restore(self, checkpoint: Checkpoint, loader: Any) -> None:
        super()._restore(checkpoint, loader)
        self._rows = list(map(tuple, checkpoint.rows.tolist()))
        self.points = [(x, loss, acc) for x, loss, acc in self.points]
        if hasattr(loader, "skip_epochs"):
            loader.skip_epochs(len(self.loss))

    def _end(self) -> None:
        if self._shown < len(self._rows):
            self._show(len(self._rows))
        loss, train_acc = _means(self._rows[self._epoch_start:])
        self.loss.append(loss)
        self.train_acc.append(train_acc)
        self._epoch_start = len(self._rows)
        if not self.dev_acc:
            self.kept = len(self.loss) - 1
        if self.stopped or len(self.loss) == self.num_epochs:
            self._bar.close()

    def _show(self, end: int) -> None:
        loss, train_acc = _means(self._rows[self._shown:end])
        self._shown = end
        point = self._shown / self.num_batches, loss, train_acc
        self.points.append(point)
        self._plot.add(point[0], (loss, train_acc, None))
        self._bar.set_postfix(loss=f"{loss:.3f}", acc=f"{train_acc:.3f}")

    def _summary(self, device: Any) -> list[str]:
        """Losses, accuracies and throughput."""
        line = (f"loss {self.loss[self.kept]:.3f}, "
                f"train acc {self.train_acc[self.kept]:.3f}")
        if self.dev_acc:
            line += f", dev acc {self.dev_acc[self.kept]:.3f}"
        if self.test_acc is not None:
            line += f", test acc {self.test_acc:.3f}"
        lines = [line, f"{self.examples_per_sec:.1f} examples/sec on "
                 f"{self._where(device)},"
                 f" after {self.warmup_seconds:.1f} s of compilation and "
                 "first steps"]
        if self.dev_acc:
            lines.append(f"kept epoch {self.kept + 1} of {self.num_epochs}, "
                         "the best on dev")
        return lines


def _means(rows: list[tuple[float, ...]]) -> tuple[float, float]:
    """Loss and accuracy from (sum of losses, number right, examples)."""
    if not rows:  # interrupted before the first step ended
        return float("nan"), float("nan")
    loss, right, examples = np.sum(rows, axis=0)
    return float(loss / examples), float(right / examples)


def means_of(sums: Any) -> tuple[float, float, float]:
    """Masked-LM loss, next-sentence loss and accuracy, from their sums.

    Args:
        sums: array of the masked-LM loss, the slots of weight 1, the
            next-sentence loss, the right answers and the pairs; 0 where
            there was no batch.

    Raises:
        ValueError: for no batch.
    """
    if np.ndim(sums) == 0:
        raise ValueError(NO_BATCH)
    mlm, slots, nsp, right, pairs = sums.tolist()
    return mlm / slots if slots else 0.0, nsp / pairs, right / pairs


def gather(batches: Iterable[tuple[np.ndarray, np.ndarray]],
           ) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and true classes of all batches, two (N,) arrays.

    Args:
        batches: (y_hat (B,), y (B,)) of each batch, on the host.

    Raises:
        ValueError: for no batches.
    """
    batches = list(batches)
    if not batches:
        raise ValueError(NO_BATCH)
    y_hat, y = zip(*batches)
    return np.concatenate(y_hat).astype(int), np.concatenate(y).astype(int)
