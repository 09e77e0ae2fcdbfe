"""The drawing of the chapter on the original BERT."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from d2lbert.book.figures.drawing import (
    BLUE,
    GREEN,
    GREY,
    MONO,
    PALE,
    RED,
    SKY,
    YELLOW,
    arrow,
    box,
    label,
    page,
    row,
)

WORDS = "[CLS] i like [MASK] [SEP] cats like milk [SEP]".split()
MASK, CLS = 3, 0  # positions


def bert_original() -> Figure:
    """The paper's model, bottom to top, with its tied word embeddings."""
    figure, axes = page(9, 7.6)
    xs = [1.0 + 0.78 * i for i in range(len(WORDS))]
    middle, width = (xs[0] + xs[-1]) / 2, xs[-1] - xs[0] + 0.72
    row(axes, xs, 0.3, WORDS, [RED if i == MASK else PALE
                               for i in range(len(WORDS))],
        width=0.72, family=MONO, fontsize=10)
    _tables(axes, middle, width)
    box(axes, middle, 2.1, "LayerNorm, dropout", YELLOW, width, 0.36)
    arrow(axes, (middle, 1.69), (middle, 1.92))
    _layer(axes, middle, width)
    for i, x in enumerate(xs):
        color = {CLS: YELLOW, MASK: RED}.get(i, PALE)
        arrow(axes, (x, 4.64), (x, 4.84))
        box(axes, x, 4.98, color=color, width=0.5, height=0.22)
    _heads(axes, xs)
    return figure


def _tables(axes: Axes, middle: float, width: float) -> None:
    """The three embeddings, added."""
    third = (width - 0.7) / 3
    names = (("word\nembeddings", BLUE), ("position\nembeddings", SKY),
             ("segment\nembeddings", GREEN))
    arrow(axes, (middle, 0.5), (middle, 1.02))
    for i, (name, color) in enumerate(names):
        x = middle + (i - 1) * (third + 0.35)
        box(axes, x, 1.33, name, color, third, 0.58)
        if i:
            label(axes, x - third / 2 - 0.175, 1.33, "+", fontsize=14)


def _layer(axes: Axes, middle: float, width: float) -> None:
    """One layer in its frame: two sublayers, each with a residual line."""
    axes.add_patch(FancyBboxPatch(
        (middle - width / 2, 2.48), width, 2.12, facecolor="#f7f7f7",
        edgecolor=GREY, linestyle="--",
        boxstyle="round,pad=0,rounding_size=0.1"))
    arrow(axes, (middle, 2.29), (middle, 2.68))
    parts = ((2.86, "self-attention, dense, dropout", BLUE),
             (3.36, "add, LayerNorm", YELLOW),
             (3.88, "dense, GELU, dense, dropout", GREEN),
             (4.38, "add, LayerNorm", YELLOW))
    for (y, name, color), above in zip(parts, (3.36, 3.88, 4.38, None)):
        box(axes, middle, y, name, color, 3.6, 0.34)
        if above:
            arrow(axes, (middle, y + 0.18), (middle, above - 0.18))
    for start, end in ((2.57, 3.36), (3.62, 4.38)):
        arrow(axes, (middle, start), (middle + 2.3, start),
              (middle + 2.3, end), (middle + 1.81, end))
    label(axes, middle - width / 2 + 0.15, 2.7, "× num_hidden_layers",
          ha="left", family=MONO, fontsize=9)


def _heads(axes: Axes, xs: list[float]) -> None:
    """Pooler and next sentence; transform and, tied, masked words."""
    steps = ((5.62, "pooler: dense, tanh", 1.9, "dense, GELU, LayerNorm"),
             (6.3, "dense", 1.9, "× word embeddings + bias"))
    left, right = xs[0] + 0.59, xs[MASK] + 2.2
    for y, pooled, width, words in steps:
        box(axes, left, y, pooled, YELLOW, width, 0.38)
        box(axes, right, y, words, RED, 3.2, 0.38)
    arrow(axes, (xs[CLS], 5.1), (xs[CLS], 5.42), color=YELLOW)
    arrow(axes, (xs[MASK], 5.1), (xs[MASK], 5.26), (right, 5.26),
          (right, 5.42), color=RED)
    for x, color in ((left, YELLOW), (right, RED)):
        arrow(axes, (x, 5.82), (x, 6.1), color=color)
        arrow(axes, (x, 6.5), (x, 6.78), color=color)
    row(axes, (left - 0.47, left + 0.47), 6.99, ("next", "not next"),
        (YELLOW, PALE), width=0.88)
    row(axes, (right - 0.47, right + 0.47), 6.99, ("cats", "dogs"),
        (RED, PALE), width=0.88, family=MONO)
    side = 8.4
    for a, b in (((right + 1.6, 6.3), (side, 6.3)), ((side, 6.3),
                 (side, 0.82)), ((side, 0.82), (1.74, 0.82)),
                 ((1.74, 0.82), (1.74, 1.04))):
        axes.plot(*zip(a, b), color=BLUE, linewidth=1.3, linestyle="--")
    label(axes, side + 0.13, 3.6, "the same matrix", rotation=90,
          color=BLUE)
    label(axes, left, 7.35, "next sentence")
    label(axes, right, 7.35, "masked word")
