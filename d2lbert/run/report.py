"""Results as a Markdown table and as curves."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from d2lbert.backends import BACKENDS

FAILED = "failed"  # in a result: why there is no other


def markdown_table(columns: Sequence[str], results: Sequence[dict[str, Any]],
                   rows: Callable[[dict[str, Any]], list[list[str]]]) -> str:
    """A Markdown table whose columns line up in a terminal as well.

    Args:
        columns: their names, the backend's first.
        rows: the rows of a result, lists of as many str. A result that
            failed has one, with its reason.
    """
    lines: list[Sequence[str]] = []
    widths = list(map(len, columns))
    for result in results:
        if FAILED in result:  # its reason may be longer than a column
            lines.append(_failed_row(columns, result))
        for row in [] if FAILED in result else rows(result):
            lines.append(row)
            widths = list(map(max, widths, map(len, row)))
    return "\n".join("| " + " | ".join(
        cell.ljust(width) for cell, width in zip(line, widths)) + " |"
        for line in [columns, ["-" * width for width in widths], *lines])


def number(value: float | None, spec: str) -> str:
    """A number for a table; a dash for one that there is not."""
    return "–" if value is None else format(value, spec)


def mean_and_range(values: Sequence[float], spec: str = ".3f") -> str:
    """As in '0.870 (0.850 to 0.900)'."""
    mean, low, high = (format(f(values), spec) for f in (
        np.mean, np.min, np.max))
    return f"{mean} ({low} to {high})"


def _failed_row(columns: Sequence[str], result: dict[str, Any]) -> list[str]:
    reason = " ".join(result[FAILED].split()).replace("|", "\\|")
    return [BACKENDS[result["backend"]].title, f"failed: {reason}",
            *[""] * (len(columns) - 2)]


def thinned(values: Sequence[float], points: int = 60) -> list[float]:
    """At most so many means of neighbouring values."""
    return [float(np.mean(part)) for part in
            np.array_split(values, min(points, len(values)))]
