"""What the drawings are made of: boxes, arrows, text.

Lengths are inches of the page and y points upwards; the place of a box or a
row is the place of its centre.
"""

from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Line

from d2lbert.training.plotting import COLORS

BLUE, RED, GREEN, PINK, YELLOW, SKY = COLORS
INK, GREY, PALE = "#222222", "#767676", "#c8c8c8"
STYLE = {
    "font.family": "DejaVu Sans", "font.size": 11, "text.color": INK,
    "svg.fonttype": "path", "svg.hashsalt": "d2lbert",
}
MONO = "DejaVu Sans Mono"


def page(width, height):
    """An empty drawing of so many inches: figure, axes."""
    figure = Figure((width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.axis("off")
    return figure, axes


def label(axes, x, y, text, **font):
    """Text centred at (x, y); **font as in Matplotlib's `Axes.text`."""
    font = {"ha": "center", "va": "center", "linespacing": 1.35, **font}
    axes.text(x, y, text, **font)


def box(axes, x, y, text="", color=GREY, width=0.66, height=0.38, **font):
    """A rounded box of a light tint of the colour, with text in it."""
    tint = [1 - 0.18 * (1 - part) for part in to_rgb(color)]
    axes.add_patch(FancyBboxPatch(
        (x - width / 2, y - height / 2), width, height, facecolor=tint,
        edgecolor=color, linewidth=1.2,
        boxstyle="round,pad=0,rounding_size=0.05"))
    label(axes, x, y, text, **font)


def row(axes, xs, y, texts, colors, **box_style):
    """A box for each text; colors is one colour or one for each."""
    if isinstance(colors, str):
        colors = [colors] * len(xs)
    for x, text, color in zip(xs, texts, colors):
        box(axes, x, y, text, color, **box_style)


def arrow(axes, *points, color=GREY, head="-|>"):
    """A line through the points, with an arrow head at the last."""
    axes.add_patch(FancyArrowPatch(
        path=Line(points), arrowstyle=head, color=color, mutation_scale=11,
        linewidth=1.3, capstyle="butt", joinstyle="miter"))


def bracket(axes, start, end, y, text, color):
    """A line over start..end that names what is below."""
    for x in (start, end):
        arrow(axes, (x, y - 0.08), (x, y), color=color, head="-")
    arrow(axes, (start, y), (end, y), color=color, head="-")
    label(axes, (start + end) / 2, y + 0.16, text)
