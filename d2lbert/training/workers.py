"""The processes that share a training, and what they have to agree in.

A backend's `parallel.py` makes them of its own engine. Rank 0 is the one that
shows progress, reports and writes; all of them stop after the same step.
"""

import os
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

Counts = tuple[float, ...]


class Workers:
    """One process alone; the classes of several have the same methods.

    Attributes:
        rank: the number of this process, from 0; size: how many there are.
    """
    rank, size = 0, 1

    @property
    def is_first(self) -> bool:
        """Whether this is the process that reports and writes."""
        return self.rank == 0

    @property
    def part(self) -> tuple[int, int]:
        """Which part of each batch is this process's: (rank, size)."""
        return self.rank, self.size

    def own(self, devices: list[Any]) -> list[Any]:
        """Those of a machine's devices that this process computes on."""
        return devices

    def total(self, counts: Counts) -> Counts:
        """The sums over all processes, which all of them have to ask for."""
        return counts

    def summed(self, tensor: Any) -> Any:
        """The sum of a tensor over all processes, where it is."""
        return tensor

    def exchange(self, model: Any, is_last: bool) -> None:
        """Let the next backward pass exchange gradients, if it is the last.
        """

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in one process at least."""
        return self.total((float(flag),))[0] > 0

    def seed(self, seed: int | None) -> int | None:
        """Where several draw dropout, a seed is needed: 0 for None."""
        return 0 if seed is None and self.size > 1 else seed


def settings(*names: str) -> list[str]:
    """What an engine has to tell a worker, in environment variables.

    Raises:
        ValueError: for one that is not set.
    """
    missing = [name for name in names if name not in os.environ]
    if missing:
        raise ValueError(
            f"{names[0]} is set, so this is a worker, and {missing[0]} is "
            f"not: start it by its launcher, or set {', '.join(names)}")
    return [os.environ[name] for name in names]


def step_seed(*numbers: int) -> int:
    """A seed of 31 bits for what is drawn in a step, from some integers."""
    words = [number % 2 ** 32 for number in numbers]
    return int(np.random.SeedSequence(words).generate_state(1)[0] >> 1)


def shares(parts: Sequence[Counts], workers: Workers) -> list[Counts]:
    """What part of the joint batch the mean of each part counts for.

    The loss of a batch is the sum of its parts' losses, each times its share:
    a mean over prediction slots counts by slots, one over pairs by pairs.

    Args:
        parts: so many things of each kind there are in a part of this
            process; all processes have to call at the same time.
    """
    totals = workers.total(tuple(map(sum, zip(*parts))))
    return [tuple(n / max(total, 1e-8) for n, total in zip(counts, totals))
            for counts in parts]


def agreed(precision: str, workers: Workers) -> str:
    """The precision of all: "float32" if one of them has chosen it."""
    return "float32" if workers.any(precision == "float32") else precision


def check_parts(accumulate: int, clip: float | None) -> None:
    """Raise ValueError for less than one part, or a norm not positive."""
    if not isinstance(accumulate, (int, np.integer)) or accumulate < 1:
        raise ValueError(f"accumulate is {accumulate!r}, not a whole number "
                         "from 1: the parts in which a batch is computed")
    if clip is not None and not (isinstance(clip, Real) and clip > 0):
        raise ValueError(f"clip is {clip!r}, not a positive norm, or None to "
                         "leave gradients as they are")
