"""The drawing of the chapter on scaling up."""

from matplotlib.figure import Figure

from d2lbert.book.figures.drawing import (
    BLUE,
    GREEN,
    GREY,
    PINK,
    RED,
    arrow,
    box,
    label,
    page,
    row,
)


def data_parallel() -> Figure:
    """A batch, two workers with a model each, and what they exchange."""
    figure, axes = page(9, 4.5)
    colors = [GREEN, PINK] * 4
    xs = [4.5 + 0.52 * (i - 3.5) for i in range(8)]
    label(axes, 1.3, 4.15, "a batch of 8 pairs")
    row(axes, xs, 4.15, range(1, 9), colors, width=0.44)
    for x, color, pairs in ((2.3, GREEN, (1, 3, 5, 7)),
                            (6.7, PINK, (2, 4, 6, 8))):
        worker = [x + 0.52 * (i - 1.5) for i in range(4)]
        arrow(axes, (4.5, 3.9), (4.5, 3.68), (x, 3.68), (x, 3.42))
        row(axes, worker, 3.2, pairs, color, width=0.44)
        arrow(axes, (x, 2.98), (x, 2.72))
        box(axes, x, 2.42, "the same weights", BLUE, 2.4, 0.56)
        arrow(axes, (x, 2.12), (x, 1.86))
        box(axes, x, 1.58, "losses × shares,\ngradients", RED, 2.4, 0.56)
        arrow(axes, (x, 0.98), (x, 0.72))
        box(axes, x, 0.44, "the same step of Adam", BLUE, 2.4, 0.5)
        arrow(axes, (x, 1.3), (x, 0.98), head="-")
    arrow(axes, (2.3, 1.12), (6.7, 1.12), color=RED, head="<|-|>")
    label(axes, 4.5, 1.3, "sum of the gradients")
    label(axes, 0.55, 2.42, "worker 0", color=GREY)
    label(axes, 8.45, 2.42, "worker 1", color=GREY)
    return figure
