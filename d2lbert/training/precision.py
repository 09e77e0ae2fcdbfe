"""In which precision products of matrices are computed, in training.

Weights, sums and what the optimiser keeps have 32 bits in any case.
"""

from collections.abc import Callable, Iterable
from math import prod
from time import perf_counter
from typing import Any

PRECISIONS = ("float32", "bfloat16")
WIDE, LARGE = 256, 2**20  # inputs and outputs; numbers in a matrix
ROWS, TIMES = 512, 3
GAIN = 1.5  # times faster, or the conversions cost what is won
_chosen: dict[tuple, str] = {}


def choose_precision(precision: str | None, shapes: Iterable[tuple[int, int]],
                     product: Callable[[int, int, str], Callable[[], Any]],
                     device: Any) -> str:
    """The precision that was asked for, or the one that is faster here.

    It is measured once a process and device, with ROWS rows and the largest
    matrix; small matrices gain nothing and are not measured.

    Args:
        precision: "float32", "bfloat16", or None for the faster one.
        shapes: (inputs, outputs) of the net's linear layers.
        product: (inputs, outputs, precision) -> a function that multiplies
            ROWS rows by such a matrix and waits for the result.

    Raises:
        ValueError: for another precision.
    """
    _check(precision)
    if precision is not None:
        return precision
    large = [s for s in shapes if min(s) >= WIDE or prod(s) >= LARGE]
    if not large:
        return "float32"
    key = str(device), *max(large, key=prod)
    if key not in _chosen:
        _chosen[key] = _faster(product, *key[1:])
    return _chosen[key]


def single_precision(precision: str | None, why: str) -> str:
    """"float32", for a backend or device that has nothing else.

    Args:
        precision: what was asked for.
        why: there is nothing else, a clause.

    Raises:
        ValueError: if something else was asked for.
    """
    _check(precision)
    if precision == "bfloat16":
        raise ValueError(f"precision is 'bfloat16', and {why}: choose "
                         "'float32' or None")
    return "float32"


def _check(precision: str | None) -> None:
    if precision not in (None, *PRECISIONS):
        raise ValueError(f"precision is {precision!r}: choose "
                         f"{' or '.join(map(repr, PRECISIONS))}, or None "
                         "for the one that is faster here")


def _faster(product: Callable[[int, int, str], Callable[[], Any]],
            inputs: int, outputs: int) -> str:
    single, half = (_seconds(product(inputs, outputs, precision))
                    for precision in PRECISIONS)
    return "bfloat16" if GAIN * half < single else "float32"


def _seconds(function: Callable[[], Any]) -> float:
    """The shortest of TIMES calls, after one that may compile."""
    function()
    return min(map(_time_of, [function] * TIMES))


def _time_of(function: Callable[[], Any]) -> float:
    start = perf_counter()
    function()
    return perf_counter() - start
