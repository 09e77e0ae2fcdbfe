"""A loss that is no number any more, and the weights from before that."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any


def first_bad(rows: Sequence[Sequence[float]]) -> int:
    """The index of the first row with NaN or infinity; len(rows) if none."""
    return next((i for i, row in enumerate(rows)
                 if not all(map(isfinite, row))), len(rows))


def describe(step: int, row: Sequence[float], rate: str) -> str:
    """What went wrong at a step, from 1, and what to try.

    Args:
        row: what the step gave; empty if it is the weights that it left.
    """
    what = next((f"loss of step {step}, at {rate}, is {value}"
                 for value in row if not isfinite(value)),
                f"weights after step {step}, at {rate}, are not finite")
    return (f"the {what}: training ends and goes back to the last weights "
            "with a finite loss; try a lower learning rate or a longer "
            "warm-up")


class Keeper:
    """Copies of the weights of which a finite loss is known.

    The loss of a step tells of the weights before it, and nothing of those
    that the step leaves. So the newest copy is good once a loss has followed.

    Args:
        copy: gives a copy of the weights as they are now.

    Attributes:
        good: the copy to go back to.
    """

    def __init__(self, copy: Callable[[], Any]) -> None:
        self._copy = copy
        self.good = self._newest = copy()

    def renew(self) -> None:
        """Finite losses have followed the newest copy: make another one."""
        self.good, self._newest = self._newest, None  # never three at a time
        self._newest = self._copy()

    def newest_is_finite(self) -> bool:
        """Whether all weights of the newest copy are finite."""
        return all(isfinite(float(weight.sum()))
                   for weight in _leaves(self._newest))

    def close(self, has_finite_loss: bool) -> None:
        """No more copies; did a finite loss follow the newest one?"""
        if has_finite_loss:
            self.good = self._newest


def _leaves(weights: Any) -> Iterator[Any]:
    """The arrays in a dict of arrays or of such dicts."""
    for value in weights.values():
        yield from _leaves(value) if isinstance(value, Mapping) else (value,)
