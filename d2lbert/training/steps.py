"""A log that watches a loop.

It hands out the batches, times what is done with each, and is told what came
out of it:

    for batch in log.watch(batches):
        log.add(step(batch))
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import numpy as np

from d2lbert.checks import check_steps
from d2lbert.training.divergence import Keeper, describe, first_bad
from d2lbert.training.interrupts import first_interrupt_noted
from d2lbert.training.plotting import Animator, progress
from d2lbert.training.resuming import Checkpoint, Checkpoints, Saver
from d2lbert.training.workers import Workers

Batch = TypeVar("Batch")
LEAST_BETWEEN_COPIES = 10  # steps: a copy of large weights takes its time


class StepLog:
    """Time the steps of a loop, and read what they give in bunches.

    Values stay on the device as the backend gives them and are read every
    few steps, so that no step waits for the one before. A step that brings a
    new batch shape may compile; its time counts as `warmup_seconds`, not as
    training. A first Ctrl-C, or Stop in Jupyter, ends the loop after the step
    that runs, so that what has been learned can be used. So does a loss that
    is not finite, once it is read.

    With `resume` it goes on with a training that was killed. Where several
    processes share the steps, each has a log of the same values; that of the
    first shows and writes, and a Ctrl-C, in any of them, ends all loops after
    the same step, when values are read next.

    Attributes:
        step: how many steps have been made.
        stopped: whether the loop was ended before its time.
        diverged: what a loss that is not finite came with, in a sentence; ""
            while all are finite. The loop was then ended, too.
        weights: where `watch` was told how to copy them, those to go back to
            then: the last copy that gave a finite loss.
        precision: of products of matrices.
        seconds: time of the counted steps; warmup_seconds: of the others.
        examples: number of examples in the counted steps.

    Raises:
        ValueError: for less than one step.
    """

    _RATE = "a learning rate of {:.3g}"
    _NOTED: tuple[str, ...] = ("seconds", "warmup_seconds", "examples",
                               "_shown")
    _plot: Animator
    _shown = 0  # steps that the plot knows of

    def __init__(self, num_steps: int, precision: str = "float32",
                 workers: Workers | None = None) -> None:
        check_steps(num_steps)
        self.num_steps, self.examples = num_steps, 0
        self.precision, self._workers = precision, workers or Workers()
        self.seconds, self.warmup_seconds = 0.0, 0.0
        self.stopped, self.diverged, self._interrupted = False, "", False
        self._added, self._good, self._since_copy = 0, 0, 0  # steps
        self._every = max(1, num_steps // 50)
        self._copy_every = max(self._every, LEAST_BETWEEN_COPIES)
        self._unread: list[tuple[tuple, float]] = []
        self._keeper: Keeper | None = None
        self._saver: Saver | None = None
        self._last_rate = float("nan")
        self._shapes: set[tuple] = set()
        self._started: float | None = None
        hidden = {} if self._workers.is_first else {"disable": True}
        self._bar = progress(None, total=num_steps, unit="step", **hidden)

    @property
    def per_sec(self) -> float:
        """Examples a second, warm-up steps left out."""
        return self.examples / self.seconds if self.seconds else float("nan")

    @property
    def step(self) -> int:
        """How many steps have been made, before a kill as well."""
        return self._added

    @property
    def weights(self) -> Any:
        """Those to go back to; see the attributes of the class."""
        return self._keeper and self._keeper.good

    def resume(self, folder: str | Path | Checkpoints | None,
               arrays: Callable[[], dict[str, np.ndarray]], loader: Any,
               save_every: int | None = None, **recipe: Any
               ) -> dict[str, np.ndarray]:
        """Go on from the newest checkpoint in a folder; write more of them.

        Args:
            folder: None for neither.
            arrays: gives weights, optimiser and random state as they are now,
                {name: array}; names of weights begin with `weights.`.
            loader: of the batches.
            save_every: steps from one checkpoint to the next; by default a
                twentieth of all, 500 at most.
            recipe: what has to be equal to go on, beside the number of steps,
                the shapes of the weights and what the loader says.

        Returns:
            The arrays to go on from; empty if training begins.

        Raises:
            ValueError: for a checkpoint of another recipe, naming what
                differs, or a file in the folder's place.
            OSError: if the folder cannot be written, or has no room.
        """
        if folder is None:
            return {}
        checkpoints = Checkpoints.of(folder)
        if save_every is None:
            save_every = min(500, max(1, self.num_steps // 20))
        self._saver = Saver(checkpoints, arrays, loader, save_every, {
            "the training": type(self).__name__,
            "num_steps": self.num_steps, "precision": self.precision,
            **recipe}, is_writer=self._workers.is_first)
        checkpoint = self._saver.begin()
        if checkpoint is None:
            return {}
        self._restore(checkpoint, loader)
        if self._workers.is_first:
            print(f"goes on after step {self.step} of {self.num_steps}; "
                  f"{checkpoints.anew}", flush=True)
        return checkpoint.arrays

    def _restore(self, checkpoint: Checkpoint, loader: Any) -> None:
        self._added = self._good = checkpoint.step
        self._bar.update(checkpoint.step)
        notes = checkpoint.notes
        for name in self._NOTED:
            setattr(self, name, notes[name])
        self._plot.restore(notes["X"], notes["Y"])

    def _save(self) -> None:
        """Write a checkpoint, unless training went wrong."""
        if not self._saver:
            return
        self._stop_clock()
        if not self.diverged:
            self._saver.save(self.step, self._rows_so_far(), {
                "X": self._plot.X, "Y": self._plot.Y,
                **{name: getattr(self, name) for name in self._NOTED}})

    def watch(self, batches: Iterable[Batch],
              copy_weights: Callable[[], Any] | None = None
              ) -> Iterator[Batch]:
        """The batches, one after another; the work on each is timed.

        Args:
            copy_weights: gives a copy of the weights as they are now; called
                every few steps.
        """
        if copy_weights and not self._keeper:
            self._keeper = Keeper(copy_weights)
        self._begin()
        try:
            with first_interrupt_noted(self._stop):
                yield from self._watched(batches)
            self._stop_clock()
            self._check_weights()
        finally:
            self._stop_clock()
            self._end()

    def _watched(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        added = self._added
        for batch in batches:
            yield from self._timed(batch)
            if self._saver and (self.stopped or self.step == self.num_steps
                                or self._saver.is_due(self.step)):
                self._save()
            if self.stopped:
                break
        if self._added == added < self.num_steps:
            raise ValueError("the iterator gives no batch")

    def _stop(self) -> None:
        self._interrupted = True
        if self._workers.size == 1:
            self.stopped = True

    def _timed(self, batch: Batch) -> Iterator[Batch]:
        shape = tuple(_tokens(batch).shape)
        if shape in self._shapes:
            self._start_clock()
            yield batch
            self.examples += len(_tokens(batch)) * self._workers.size
        else:
            self._shapes.add(shape)
            self._stop_clock()
            start = perf_counter()
            yield batch
            self._read()
            self.warmup_seconds += perf_counter() - start

    def add(self, *values: Any, rate: float = float("nan")) -> None:
        """Note what a step gave: scalars on the device, or numbers.

        Args:
            rate: the learning rate of the step; in fine-tuning the share of
                the trainer's.
        """
        self._added, self._last_rate = self._added + 1, rate
        self._unread.append((values, rate))
        if len(self._unread) >= self._every:
            self._read()
            # All processes come here after the same step, and no other place
            self.stopped |= self._workers.any(self._interrupted)

    def report(self, device: Any) -> None:
        """Print what came out, in d2l's words, and if it was stopped."""
        if not self._workers.is_first:
            return
        if self.diverged:
            print(self.diverged)
        elif self.stopped:
            print(f"stopped after step {self._added} of {self.num_steps}")
        if self._good or not self.diverged:
            print(*self._summary(device), sep="\n")

    def _start_clock(self) -> None:
        if self._started is None:
            self._started = perf_counter()

    def _stop_clock(self) -> None:
        self._read()
        if self._started is not None:
            self.seconds += perf_counter() - self._started
        self._started = None

    def _read(self) -> None:
        rows = [tuple(map(float, values)) for values, _ in self._unread]
        rates = [rate for _, rate in self._unread]
        self._unread = []
        if self.diverged:  # the step that ran meanwhile
            return
        end = first_bad(rows)
        self._good, self._since_copy = (
            self._good + end, self._since_copy + end)
        if end < len(rows):
            self._diverge(self._added - len(rows) + end + 1, rows[end],
                          rates[end])
        elif self._keeper and self._since_copy >= self._copy_every:
            self._renew_copy(self._keeper)
        if end:
            self._bar.update(end)
            self._take(rows[:end])

    def _check_weights(self) -> None:
        """The last step has no loss that would tell of what it left."""
        if not self._keeper or self.diverged:
            return
        if self._since_copy:
            self._renew_copy(self._keeper)
        if not self._keeper.newest_is_finite():
            self._diverge(self._added, (), self._last_rate)

    def _renew_copy(self, keeper: Keeper) -> None:
        keeper.renew()
        self._since_copy = 0

    def _diverge(self, step: int, row: tuple[float, ...], rate: float
                 ) -> None:
        self.stopped = True
        self.diverged = describe(step, row, self._RATE.format(rate))
        if self._keeper:
            self._keeper.close(self._since_copy > 0)

    def _rows_so_far(self) -> Any:
        """What all steps gave, a table of numbers."""
        raise NotImplementedError

    def _begin(self) -> None:
        """Batches will be watched from now on."""
        raise NotImplementedError

    def _take(self, rows: list[tuple[float, ...]]) -> None:
        """Keep some rows of numbers, and show them when it is time."""
        raise NotImplementedError

    def _end(self) -> None:
        """All batches have been watched."""
        raise NotImplementedError

    def _summary(self, device: Any) -> list[str]:
        """The lines of the report."""
        raise NotImplementedError

    def _where(self, device: Any) -> str:
        """Workers, device and precision, those that are not the usual one."""
        size = self._workers.size
        return (f"{size} workers' " * (size > 1) + f"{device}"
                + f" in {self.precision}" * (self.precision != "float32"))


def _tokens(batch: Any) -> Any:
    while isinstance(batch, (list, tuple, dict)):
        batch = next(iter(
            batch.values() if isinstance(batch, dict) else batch))
    return batch
