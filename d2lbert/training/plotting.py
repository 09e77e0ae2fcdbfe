"""Times, sums and curves of a training run (d2l 3.2, 3.6 and 12.5)."""

import base64
import io
import math
import os
import sys
import time
from collections.abc import Iterable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from tqdm import tqdm

# Colours that colour-blind readers tell apart (Okabe and Ito, 2008).
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_LINES = ("-", "--", "-.", ":")
_STYLE: dict[Any, Any] = {
    "axes.axisbelow": True, "axes.edgecolor": "#666666", "axes.grid": True,
    "axes.spines.right": False, "axes.spines.top": False, "font.size": 9,
    "grid.color": "#e8e8e8", "legend.edgecolor": "none",
    "legend.fontsize": 8, "lines.linewidth": 1.6,
    "xtick.labelsize": 8, "ytick.labelsize": 8,
}
_DPI = 100  # of the picture as shown; it is drawn twice as fine
PAUSE = 0.5  # seconds at least between drawings, or rows without xlim
_Point = tuple[int, float, float]  # the curve's number, x, y


class Timer:
    """Record running times, in seconds; it starts when it is made."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.start()

    def start(self) -> None:
        """Start the timer."""
        self.tik = time.perf_counter()

    def stop(self) -> float:
        """Record and return the time since the last start."""
        self.times.append(time.perf_counter() - self.tik)
        return self.times[-1]

    def avg(self) -> float:
        """The mean of the recorded times."""
        return self.sum() / len(self.times)

    def sum(self) -> float:
        """The sum of the recorded times."""
        return sum(self.times)

    def cumsum(self) -> list[float]:
        """The sums up to each recorded time, a list."""
        return list(accumulate(self.times))


class Accumulator:
    """Running sums of n quantities.

    Values become floats, so `add` waits for a device that is still computing
    them: add every few steps rather than at each.
    """

    def __init__(self, n: int) -> None:
        self.data = [0.0] * n

    def add(self, *args: Any) -> None:
        """Add a value to each sum.

        Raises:
            ValueError: if there are not as many values as sums.
        """
        if len(args) != len(self.data):
            raise ValueError(f"{len(args)} values for an Accumulator of "
                             f"{len(self.data)}: give one for each sum")
        self.data = [a + float(b) for a, b in zip(self.data, args)]

    def reset(self) -> None:
        """Set the sums to zero."""
        self.data = [0.0] * len(self.data)

    def __getitem__(self, idx: int) -> float:
        return self.data[idx]


class Animator:
    """Plot curves while they grow.

    In Jupyter the figure is redrawn while its cell runs; where D2LBERT_BUILD
    is set, it is drawn once at the end of the cell. Outside of Jupyter the
    points are printed, about ten of each curve over xlim.

    Args:
        xlabel, ylabel: of the axes.
        legend: the names of the curves.
        xlim, ylim: (low, high).
        xscale, yscale: Matplotlib's, such as "linear" or "log".
        fmts: a Matplotlib format for each curve.
        nrows, ncols: of the panels; curve i goes into panel i (d2l draws
            all curves into the first).
        figsize: width and height in inches.
        is_shown: False only collects the points.

    Attributes:
        X, Y: the points added so far, a list for each curve.
    """

    def __init__(self, xlabel: str | None = None, ylabel: str | None = None,
                 legend: Sequence[str] | None = None,
                 xlim: Sequence[float] | None = None,
                 ylim: Sequence[float] | None = None, xscale: str = "linear",
                 yscale: str = "linear", fmts: Sequence[str] | None = None,
                 nrows: int = 1, ncols: int = 1,
                 figsize: tuple[float, float] = (3.5, 2.5),
                 is_shown: bool = True) -> None:
        self.xlabel, self.ylabel, self.legend = xlabel, ylabel, legend or []
        self.xlim, self.ylim = xlim, ylim
        self.xscale, self.yscale, self.fmts = xscale, yscale, fmts
        self.nrows, self.ncols, self.figsize = nrows, ncols, figsize
        self.X: list[list[float]] = []
        self.Y: list[list[float]] = []
        self._waiting = ""
        self._display: _Display | _Rows = (
            _Display(self) if _kernel_shell() and not _is_captured()
            else _Rows(self))
        self._is_shown = is_shown

    def add(self, x: Any, y: Any) -> None:
        """Add a point to each curve.

        Args:
            x: a number, or one for each curve.
            y: a number, or one for each curve, None where there is none.
        """
        ys = _as_list(y)
        xs = _as_list(x) * (1 if _is_many(x) else len(ys))
        while len(self.X) < len(ys):
            self.X.append([])
            self.Y.append([])
        points = [(i, float(a), float(b)) for i, (a, b)
                  in enumerate(zip(xs, ys))
                  if a is not None and b is not None]
        for i, a, b in points:
            self.X[i].append(a)
            self.Y[i].append(b)
        if points and self._is_shown:
            self._display.show(points)

    def wait(self, words: str) -> None:
        """In a notebook, show the axes with some words, before any point."""
        if not self.X and self._is_shown:
            self._waiting = words
            self._display.wait()

    def restore(self, X: list[list[float]], Y: list[list[float]]) -> None:
        """Take over the points of a plot that was begun elsewhere."""
        self.X, self.Y = X, Y
        if X and self._is_shown:
            self._display.wait()

    def savefig(self, path: str | Path) -> None:
        """Write the picture; the name's ending chooses the format."""
        self._save(path)

    def _save(self, file: Any, **options: Any) -> Any:
        import matplotlib
        # Some of the style is only looked up while the figure is drawn.
        with matplotlib.rc_context(_STYLE):
            figure = self._figure()
            figure.savefig(file, dpi=2 * _DPI, **options)
        return figure

    def _figure(self) -> Any:
        from matplotlib.figure import Figure  # no pyplot: no global state
        figure = Figure(self.figsize, dpi=_DPI, layout="constrained")
        panels = figure.subplots(self.nrows, self.ncols, squeeze=False)
        panels = panels.ravel()
        for i, (x, y) in enumerate(zip(self.X, self.Y)):
            if not x:  # the legend would name a curve that is not there
                continue
            fmts = self.fmts or _LINES
            line, = panels[i % len(panels)].plot(
                x, y, fmts[i % len(fmts)], label=self._name(i))
            if not self.fmts:
                line.set_color(COLORS[i % len(COLORS)])
            if len(x) == 1:  # a line of one point would not be seen
                line.set_marker(".")
        for axes in panels:
            axes.set(xlabel=self.xlabel, ylabel=self.ylabel,
                     xscale=self.xscale, yscale=self.yscale,
                     xlim=_apart(self.xlim), ylim=_apart(self.ylim))
            if self.legend and axes.lines:
                axes.legend()
            if self._waiting and not self.X:
                axes.text(0.5, 0.5, self._waiting, ha="center", va="center",
                          transform=axes.transAxes)
        return figure

    def _name(self, i: int) -> str:
        return self.legend[i] if i < len(self.legend) else self.ylabel or "y"


def _apart(limits: Sequence[float] | None) -> Sequence[float] | None:
    """Limits of an axis; None where they are one, as with a single step."""
    return limits if limits and limits[0] != limits[1] else None


class _Display:
    """Shows an Animator as one figure in the cell that adds the points."""

    def __init__(self, animator: Animator) -> None:
        self.animator = animator
        self.shell: Any = None
        self.handle: Any = None

    def wait(self) -> None:
        self.open()
        if not _is_build():
            self.draw()

    def open(self) -> None:
        if self.shell is None:  # the first to be drawn in this cell
            self.shell = _kernel_shell()
            self.next = -math.inf  # when to draw again
            self.shell.events.register("post_run_cell", self.finish)

    def show(self, points: list[_Point]) -> None:
        self.open()
        if not _is_build() and time.monotonic() >= self.next:
            import matplotlib.figure  # noqa: F401, slow the first time
            timer = Timer()
            self.draw()
            # Drawing takes at most a sixth of the time.
            self.next = time.monotonic() + max(PAUSE, 5 * timer.stop())

    def finish(self, result: Any) -> None:
        self.shell.events.unregister("post_run_cell", self.finish)
        self.draw()
        self.shell = self.handle = None  # another cell has another figure

    def draw(self) -> None:
        from IPython.display import display
        file = io.BytesIO()
        # Without the version of Matplotlib, equal curves give equal bytes.
        figure = self.animator._save(file, metadata={"Software": None})
        png = base64.b64encode(file.getvalue()).decode()
        width, height = figure.get_size_inches() * _DPI
        options = {"raw": True, "metadata": {
            "image/png": {"width": int(width), "height": int(height)}}}
        data = {"image/png": png, "text/plain": repr(figure)}
        if self.handle:
            self.handle.update(data, **options)
        else:
            self.handle = display(data, display_id=True, **options)


class _Rows:
    """Shows an Animator as rows of text, about ten for each curve."""

    def __init__(self, animator: Animator) -> None:
        self.animator = animator
        # The one that was last printed, for each curve
        self.slots: dict[int, float] = {}

    def wait(self) -> None:
        pass  # the progress bar shows it

    def show(self, points: list[_Point]) -> None:
        slot, animator = self.slot(points[0][1]), self.animator
        due = [(i, y) for i, _, y in points
               if slot > self.slots.get(i, -math.inf)]
        if due:
            self.slots.update((i, slot) for i, _ in due)
            row = [f"{animator.xlabel or 'x'} {round(points[0][1], 2):>5g}"]
            row += [f"{animator._name(i)} {y:.3f}" for i, y in due]
            tqdm.write("   ".join(row))  # above a progress bar

    def slot(self, x: float) -> float:
        """The tenth of xlim in which x lies; without xlim one of time."""
        if not self.animator.xlim:
            return time.monotonic() // PAUSE
        low, high = self.animator.xlim
        # 0.3 is to be in the fourth tenth of (0, 1), binary or not.
        return (10 * (x - low) / (high - low or 1) + 1e-9) // 1


def progress(iterable: Iterable | None, **kwargs: Any) -> tqdm:
    """tqdm, which takes the same arguments, but silent in notebooks.

    There the curves show how far it is. Where the output is no terminal, as
    in a log, there is no bar either.
    """
    silent = True if _is_build() or _kernel_shell() else None
    return tqdm(iterable, **{"disable": silent, **kwargs})


def _is_build() -> bool:
    return bool(os.environ.get("D2LBERT_BUILD"))


def _kernel_shell() -> Any:
    """IPython's shell if this runs in a notebook, else None."""
    ipython = sys.modules.get("IPython")
    shell = ipython and ipython.get_ipython()
    return shell if getattr(shell, "kernel", None) else None


def _is_captured() -> bool:
    """Does IPython's `capture_output`, or `%%capture`, take all outputs?"""
    from IPython.core.displaypub import CapturingDisplayPublisher
    return isinstance(_kernel_shell().display_pub, CapturingDisplayPublisher)


def _is_many(value: Any) -> bool:
    return isinstance(value, (list, tuple)) or getattr(value, "ndim", 0) > 0


def _as_list(value: Any) -> list:
    return list(value) if _is_many(value) else [value]
