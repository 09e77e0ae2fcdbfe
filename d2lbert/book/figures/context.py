"""The drawing that sets ELMo, GPT and BERT side by side."""

from collections.abc import Iterable

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from d2lbert.book.figures.drawing import (
    BLUE,
    GREEN,
    MONO,
    PALE,
    RED,
    arrow,
    box,
    label,
    page,
    row,
)

WORDS = "a crane driver came".split()
CRANE = 1  # whose vector is followed
TOKENS, EMBEDDINGS, VECTORS, TASK = 0.78, 1.32, 3.34, 4.02  # heights
Node = tuple[str, int, int]  # stack, layer, position
Edge = tuple[Node, Node]


def elmo_gpt_bert() -> Figure:
    """What each model's vector of crane depends on (BERT paper, figure 3)."""
    figure, axes = page(9, 5.2)
    everywhere = range(len(WORDS))
    left = [(j, i) for i in everywhere for j in everywhere if j <= i]
    both = [(j, i) for i in everywhere for j in everywhere]
    _panel(axes, 1.5, "ELMo", "two directions, side by side",
           _recurrent(), "network built for the task", "weights frozen")
    _panel(axes, 4.5, "GPT", "left to right", _attending(left),
           "dense layer", "all weights fine-tuned")
    _panel(axes, 7.5, "BERT", "both directions, in every layer",
           _attending(both), "dense layer", "all weights fine-tuned")
    return figure


def _recurrent() -> list[Edge]:
    """Two LSTMs of two layers, one a direction, on the same embeddings."""
    edges: list[Edge] = []
    for stack, step in (("forward", 1), ("backward", -1)):
        for i in range(len(WORDS)):
            edges += [(("", 0, i), (stack, 1, i)),
                      ((stack, 1, i), (stack, 2, i))]
            if 0 <= i - step < len(WORDS):
                edges += [((stack, layer, i - step), (stack, layer, i))
                          for layer in (1, 2)]
    return edges


def _attending(pairs: list[tuple[int, int]]) -> list[Edge]:
    """Two layers in which position i reads position j, for each (j, i)."""
    return [(("", layer, j), ("", layer + 1, i))
            for layer in (0, 1) for j, i in pairs]


def _read(edges: list[Edge]) -> list[Edge]:
    """Those of the edges on which the vector of crane depends."""
    found = {node for edge in edges for node in edge
             if node[1:] == (2, CRANE)}
    while more := {a for a, b in edges if b in found} - found:
        found |= more
    return [edge for edge in edges if edge[1] in found]


def _panel(axes: Axes, middle: float, name: str, context: str,
           edges: list[Edge], task: str, training: str) -> None:
    """One model over the words, and what a task adds to it."""
    xs = [middle + 0.66 * (i - 1.5) for i in range(len(WORDS))]
    label(axes, middle, 4.98, name, fontsize=14)
    label(axes, middle, 4.68, context)
    row(axes, xs, TOKENS, WORDS, [RED if i == CRANE else PALE
                                  for i in range(len(WORDS))],
        width=0.6, height=0.32, family=MONO, fontsize=10)
    label(axes, middle, 0.36, training)
    read = _read(edges)
    _lines(axes, xs, (e for e in edges if e not in read), PALE, 0.8)
    _lines(axes, xs, read, RED, 1.3)
    for node in sorted({node for edge in edges for node in edge}):
        axes.plot(*_place(xs, node), "o", markersize=6.5, zorder=3,
                  color=GREEN if node[0] == "backward" else BLUE)
    for i, x in enumerate(xs):
        arrow(axes, (x, TOKENS + 0.17), (x, EMBEDDINGS - 0.06))
        tops = sorted({b for _, b in edges if b[1:] == (2, i)})
        _vector(axes, x, len(tops) == 2)
        for node in tops:
            start = _place(xs, node)
            arrow(axes, (start[0], start[1] + 0.06),
                  (start[0], VECTORS - 0.13),
                  color=RED if i == CRANE else PALE, head="-")
        arrow(axes, (x, VECTORS + 0.13), (x, TASK - 0.26))
    box(axes, middle, TASK, task, RED, 2.6, 0.5)


def _vector(axes: Axes, x: float, is_joined: bool) -> None:
    """What the model gives for a position; in two halves if joined."""
    if is_joined:
        box(axes, x - 0.13, VECTORS, color=BLUE, width=0.25, height=0.24)
        box(axes, x + 0.13, VECTORS, color=GREEN, width=0.25, height=0.24)
    else:
        box(axes, x, VECTORS, color=BLUE, width=0.5, height=0.24)


def _lines(axes: Axes, xs: list[float], edges: Iterable[Edge], color: str,
           width: float) -> None:
    for edge in edges:
        axes.plot(*zip(*(_place(xs, node) for node in edge)), color=color,
                  linewidth=width)


def _place(xs: list[float], node: Node) -> tuple[float, float]:
    """Where a node is drawn; ELMo's two stacks stand beside each other."""
    stack, layer, i = node
    side = {"": 0, "forward": -1, "backward": 1}[stack]
    return xs[i] + 0.13 * side, EMBEDDINGS + 0.77 * layer + 0.13 * side
