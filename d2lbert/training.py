"""What training in the three backends shares: the schedule and the log."""

from time import perf_counter

import numpy as np

from d2lbert.plotting import Animator, progress


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


class TrainingLog:
    """Losses, throughput, curve and progress bar of a training run.

    Losses stay on the device as the backend gives them and are read in
    bunches, so that no step waits for the one before. A step that brings a
    new batch shape may compile; its time counts as `warmup_seconds`, not as
    training.

    Attributes:
        mlm, nsp: lists of floats, one a step.
        pairs_per_sec: sentence pairs a second, warm-up steps left out.
        seconds: time of the counted steps; warmup_seconds: of the others.
    """

    def __init__(self, num_steps):
        if num_steps < 1:
            raise ValueError(f"num_steps is {num_steps}, not 1 or more")
        self.mlm, self.nsp, self.warmup_seconds = [], [], 0.0
        self.pairs_per_sec = float("nan")
        self._unread, self._shapes, self._pairs = [], set(), 0
        self._shown = 0  # steps that the plot knows of
        self._every = max(1, num_steps // 50)
        self.seconds, self._started = 0.0, None
        self._bar = progress(None, total=num_steps, unit="step")
        self._plot = Animator(xlabel="step", ylabel="loss", xlim=[
            1, num_steps], legend=["masked LM", "next sentence"])

    def run(self, batches, step):
        """Call step(batch) -> (mlm_l, nsp_l) for each batch and log it."""
        with self._bar:
            for batch in batches:
                shape = tuple(batch[0].shape)
                is_new = shape not in self._shapes
                self._shapes.add(shape)
                (self._warm_up if is_new else self._count)(batch, step)
            self._read()
            self._stop_clock()
            if self._shown < len(self.mlm):
                self._show()
        if self.seconds:
            self.pairs_per_sec = self._pairs / self.seconds
        return self

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
        self._pairs += len(batch[0])

    def _stop_clock(self):
        if self._started is not None:
            self.seconds += perf_counter() - self._started
        self._started = None

    def _add(self, losses):
        self._unread.append(losses)
        if len(self._unread) >= self._every:
            self._read()

    def _read(self):
        if not self._unread:
            return
        for mlm_l, nsp_l in self._unread:
            self.mlm.append(float(mlm_l))
            self.nsp.append(float(nsp_l))
        self._bar.update(len(self._unread))
        self._unread = []
        if len(self.mlm) - self._shown >= self._every:
            self._show()

    def _show(self):
        mlm = np.mean(self.mlm[self._shown:])
        nsp = np.mean(self.nsp[self._shown:])
        self._shown = len(self.mlm)
        self._plot.add(self._shown, (mlm, nsp))
        self._bar.set_postfix(mlm=f"{mlm:.3f}", nsp=f"{nsp:.3f}")

    def report(self, device):
        """Print the last losses and the throughput, in d2l's words.

        The losses are means over the last tenth of the steps; d2l's are
        means over all of them.
        """
        print(f"MLM loss {last_tenth(self.mlm):.3f}, "
              f"NSP loss {last_tenth(self.nsp):.3f}")
        print(f"{self.pairs_per_sec:.1f} sentence pairs/sec on {device}")
