"""Results as a Markdown table and as curves."""

import numpy as np


def markdown_table(columns, rows):
    """A Markdown table whose columns line up in a terminal as well.

    Args:
        columns: their names; rows: lists of as many str.
    """
    widths = [max(map(len, column)) for column in zip(columns, *rows)]
    lines = [columns, ["-" * width for width in widths], *rows]
    return "\n".join("| " + " | ".join(
        cell.ljust(width) for cell, width in zip(line, widths)) + " |"
        for line in lines)


def thinned(values, points=60):
    """At most so many means of neighbouring values."""
    return [float(np.mean(part)) for part in
            np.array_split(values, min(points, len(values)))]
