"""What the drawings are made of: boxes, arrows, text.

Lengths are inches of the page and y points upwards; the place of a box or a
row is the place of its centre.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Line

from d2lbert.training.plotting import COLORS

BLUE, RED, GREEN, PINK, YELLOW, SKY = COLORS
INK, GREY, PALE = "#222222", "#767676", "#c8c8c8"
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans", "font.size": 11, "text.color": INK,
    "svg.fonttype": "path", "svg.hashsalt": "d2lbert",
}
MONO = "DejaVu Sans Mono"


def page(width: float, height: float) -> tuple[Figure, Axes]:
    """An empty drawing of so many inches: figure, axes."""
    figure = Figure((width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.axis("off")
    return figure, axes


def label(axes: Axes, x: float, y: float, text: object,
          **font: Any) -> None:
    """Text centred at (x, y); **font as in Matplotlib's `Axes.text`."""
    font = {"ha": "center", "va": "center", "linespacing": 1.35, **font}
    axes.text(x, y, str(text), **font)


def box(axes: Axes, x: float, y: float, text: object = "",
        color: str = GREY, width: float = 0.66, height: float = 0.38,
        **font: Any) -> None:
    """A rounded box of a light tint of the colour, with text in it."""
    tint = [1 - 0.18 * (1 - part) for part in to_rgb(color)]
    axes.add_patch(FancyBboxPatch(
        (x - width / 2, y - height / 2), width, height, facecolor=tint,
        edgecolor=color, linewidth=1.2,
        boxstyle="round,pad=0,rounding_size=0.05"))
    label(axes, x, y, text, **font)


def row(axes: Axes, xs: Sequence[float], y: float, texts: Iterable[object],
        colors: str | Sequence[str], **box_style: Any) -> None:
    """A box for each text; colors is one colour or one for each."""
    if isinstance(colors, str):
        colors = [colors] * len(xs)
    for x, text, color in zip(xs, texts, colors):
        box(axes, x, y, text, color, **box_style)


def arrow(axes: Axes, *points: tuple[float, float], color: str = GREY,
          head: str = "-|>") -> None:
    """A line through the points, with an arrow head at the last."""
    axes.add_patch(FancyArrowPatch(
        path=Line(points), arrowstyle=head, color=color, mutation_scale=11,
        linewidth=1.3, capstyle="butt", joinstyle="miter"))


def bracket(axes: Axes, start: float, end: float, y: float, text: str,
            color: str) -> None:
    """A line over start..end that names what is below."""
    for x in (start, end):
        arrow(axes, (x, y - 0.08), (x, y), color=color, head="-")
    arrow(axes, (start, y), (end, y), color=color, head="-")
    label(axes, (start + end) / 2, y + 0.16, text)
