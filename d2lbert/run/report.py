"""Results as a Markdown table and as curves."""

from collections.abc import Sequence

import numpy as np


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]
                   ) -> str:
    """A Markdown table whose columns line up in a terminal as well.

    Args:
        columns: their names; rows: lists of as many str.
    """
    widths = [max(map(len, column)) for column in zip(columns, *rows)]
    lines: list[Sequence[str]] = [
        columns, ["-" * width for width in widths], *rows]
    return "\n".join("| " + " | ".join(
        cell.ljust(width) for cell, width in zip(line, widths)) + " |"
        for line in lines)


def thinned(values: Sequence[float], points: int = 60) -> list[float]:
    """At most so many means of neighbouring values."""
    return [float(np.mean(part)) for part in
            np.array_split(values, min(points, len(values)))]
