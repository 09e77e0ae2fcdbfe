"""The drawings of the chapters on the model, its data and its tasks."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from d2lbert.book.figures.drawing import (
    BLUE,
    GREEN,
    GREY,
    MONO,
    PALE,
    PINK,
    RED,
    YELLOW,
    arrow,
    box,
    bracket,
    label,
    page,
    row,
)

TOKENS = ("<cls> a crane driver came <sep> he just left <sep>").split()
MASKED = [3, 8]  # the positions chosen for prediction
HIDDEN = ["<mask>" if i in MASKED else t for i, t in enumerate(TOKENS)]
SEGMENTS = [GREEN] * 6 + [PINK] * 4


def bert_input() -> Figure:
    """Token, segment and position embeddings add up (BERT paper, 3)."""
    figure, axes = page(9, 4.45)
    xs = [1.98 + 0.73 * i for i in range(10)]
    bracket(axes, xs[0] - 0.33, xs[5] + 0.33, 4.08, "sentence A", GREEN)
    bracket(axes, xs[6] - 0.33, xs[9] + 0.33, 4.08, "sentence B", PINK)
    rows = ((3.72, "tokens", TOKENS, PALE),
            (2.87, "token\nembedding", TOKENS, BLUE),
            (2.17, "segment\nembedding", "A" * 6 + "B" * 4, SEGMENTS),
            (1.47, "position\nembedding", range(10), YELLOW))
    for y, name, texts, colors in rows:
        label(axes, 0.2, y, name, ha="left", fontsize=12)
        row(axes, xs, y, texts, colors, family=MONO)
    for x in xs:
        arrow(axes, (x, 3.51), (x, 3.09))
        label(axes, x, 2.52, "+", fontsize=13)
        label(axes, x, 1.82, "+", fontsize=13)
        arrow(axes, (x, 1.26), (x, 0.8))
    label(axes, 0.2, 0.55, "sum", ha="left", fontsize=12)
    box(axes, (xs[0] + xs[9]) / 2, 0.55, "encoder input: one vector of "
        "length H for each token", BLUE, xs[9] - xs[0] + 0.66, 0.46,
        fontsize=12)
    return figure


def bert_tasks() -> Figure:
    """Both pretraining tasks on one encoder (BERT paper, 3.1)."""
    figure, axes = page(9, 5.3)
    xs = [0.87 + 0.8067 * i for i in range(10)]
    colors = [RED if i in MASKED else PALE for i in range(10)]
    row(axes, xs, 0.4, HIDDEN, colors, width=0.72, family=MONO)
    box(axes, 4.5, 1.67, color=BLUE, width=8.26, height=1.5)
    label(axes, 4.5, 2.21, "encoder", fontsize=13)
    _attention(axes, xs, 1.18, 1.92)
    kept = {0: YELLOW, **dict.fromkeys(MASKED, RED)}
    for i, x in enumerate(xs):
        arrow(axes, (x, 0.61), (x, 0.9))
        arrow(axes, (x, 2.44), (x, 2.68))
        box(axes, x, 2.84, color=kept.get(i, PALE), width=0.5, height=0.24)
        if i in kept:
            arrow(axes, (x, 2.98), (x, 3.42), color=kept[i])
    box(axes, 1.27, 3.7, "next sentence\nprediction", YELLOW, 1.8, 0.56)
    box(axes, 5.31, 3.7, "masked language model", RED, 5.2, 0.56)
    row(axes, (0.87, 1.8), 4.45, ("IsNext", "NotNext"), (YELLOW, PALE),
        width=0.86)
    for x in (0.87, 1.8):
        arrow(axes, (x, 4.0), (x, 4.24), color=YELLOW)
    for i in MASKED:
        arrow(axes, (xs[i], 4.0), (xs[i], 4.24), color=RED)
        box(axes, xs[i], 4.45, TOKENS[i], RED, 0.86, family=MONO)
    label(axes, 1.34, 4.94, "Does B follow A?", fontsize=12)
    label(axes, 5.31, 4.94, "Which words were here?", fontsize=12)
    return figure


def _attention(axes: Axes, xs: list[float], low: float,
               high: float) -> None:
    """Each position sees all others; stressed for the first hidden word."""
    for end in xs:
        for start in xs:
            axes.plot((start, end), (low, high), color=PALE, linewidth=0.5)
    for start in xs:
        axes.plot((start, xs[MASKED[0]]), (low, high), color=RED,
                  linewidth=1.2)
    for y in (low, high):
        axes.plot(xs, [y] * len(xs), "o", color=BLUE, markersize=6)


def bert_masking() -> Figure:
    """The three fates of a chosen word, and the slots of the loss."""
    figure, axes = page(9, 5.3)
    xs = [1.98 + 0.73 * i for i in range(10)]
    label(axes, 0.2, 4.9, "15 % of the\nwords are chosen", ha="left")
    row(axes, xs, 4.9, TOKENS,
        [RED if i in MASKED else PALE for i in range(10)], family=MONO)
    fates = ((4.0, "80 %", "<mask>", "hidden"),
             (3.45, "10 %", "lake", "a random word instead"),
             (2.9, "10 %", "driver", "left as it is"))
    for y, share, word, fate in fates:
        label(axes, 1.86, y, share, ha="right", fontsize=14)
        row(axes, xs[1:5], y, ("a", "crane", word, "came"),
            (PALE, PALE, RED, PALE), family=MONO)
        label(axes, 5.4, y, fate, ha="left")
        arrow(axes, (7.28, y), (7.62, 3.45 + (y - 3.45) / 4))
    arrow(axes, (xs[3], 4.69), (xs[3], 4.21), color=RED)
    box(axes, 8.1, 3.45, "driver", RED, 0.86, family=MONO)
    label(axes, 8.1, 3.83, "label")
    slots = ((1.6, "pred_positions_X", ("3", "8", "0")),
             (1.05, "mlm_weights_X", ("1", "1", "0")),
             (0.5, "mlm_Y", ("driver", "left", "–")))
    for y, name, values in slots:
        label(axes, 0.2, y, name, ha="left", family=MONO)
        row(axes, xs[1:4], y, values, (RED, RED, PALE), family=MONO)
    bracket(axes, xs[1] - 0.33, xs[3] + 0.33, 2.03, "P slots", GREY)
    label(axes, 5.4, 1.6, "where to look", ha="left")
    label(axes, 5.4, 1.05, "0: a spare slot, not in the loss", ha="left")
    label(axes, 5.4, 0.5, "what was there", ha="left")
    return figure


def bert_block() -> Figure:
    """One post-norm encoder block (d2l 11.7, BERT paper, 3)."""
    figure, axes = page(9, 3.7)
    axes.add_patch(FancyBboxPatch(
        (0.95, 0.2), 7.1, 3.3, facecolor="#f7f7f7", edgecolor=GREY,
        linestyle="--", boxstyle="round,pad=0,rounding_size=0.1"))
    xs, y, half = (2.0, 3.75, 5.5, 7.25), 1.85, 0.52
    steps = (("multi-head\nattention", BLUE,
              "each token looks at\nall others; padding\nis hidden"),
             ("add &\nnorm", YELLOW, "Y = LayerNorm(\nX + attention(X))"),
             ("feed-\nforward", GREEN, "two dense layers,\nthe same for\n"
              "every token"),
             ("add &\nnorm", YELLOW, "LayerNorm(\nY + ffn(Y))"))
    for x, (name, color, note) in zip(xs, steps):
        box(axes, x, y, name, color, 2 * half, 0.8)
        label(axes, x, y - 0.55, note, va="top", fontsize=10)
    starts, ends = (0.1, *(x + half for x in xs)), (*xs, 9.42)
    for start, end in zip(starts, ends):
        arrow(axes, (start, y), (end - half, y))
    for start, end in ((1.22, xs[1]), (4.44, xs[3])):
        arrow(axes, (start, y), (start, 2.85), (end, 2.85), (end, y + 0.4))
    for x in (0.47, 8.53):
        label(axes, x, y + 0.2, "(B, L, H)", family=MONO, fontsize=9)
    label(axes, 7.95, 0.4, "× num_blks", ha="right", family=MONO)
    return figure


def text_to_batch() -> Figure:
    """The way of a paragraph into seven arrays (d2l 15.9)."""
    figure, axes = page(9, 4.6)
    y = 4.1
    label(axes, 0.2, y, "paragraph", ha="left", fontsize=12)
    box(axes, 5.3, y, "a crane driver came . he just left . …", PALE, 6.2,
        0.42, family=MONO)
    label(axes, 0.2, 3.25, "pair of sentences", ha="left", fontsize=12)
    box(axes, 3.7, 3.25, "a crane driver came", GREEN, 2.6, 0.42, family=MONO)
    box(axes, 6.3, 3.25, "he just left", PINK, 2.2, 0.42, family=MONO)
    label(axes, 7.6, 3.25, "is next: 1", ha="left")
    xs = [1.98 + 0.73 * i for i in range(10)]
    label(axes, 0.2, 2.4, "tokens and\nsegments", ha="left", fontsize=12)
    row(axes, xs, 2.4, TOKENS, SEGMENTS, family=MONO)
    label(axes, 0.2, 1.55, "masked", ha="left", fontsize=12)
    colors = [RED if i in MASKED else c for i, c in enumerate(SEGMENTS)]
    row(axes, xs, 1.55, HIDDEN, colors, family=MONO)
    for start in (3.87, 3.02, 2.17):
        arrow(axes, (5.3, start), (5.3, start - 0.38))
    label(axes, 0.2, 0.62, "batch", ha="left", fontsize=12)
    arrays = (("tokens_X\nsegments_X", "(B, L)", BLUE),
              ("valid_lens_x", "(B,)", BLUE),
              ("pred_positions_X\nmlm_weights_X\nmlm_Y", "(B, P)", RED),
              ("nsp_y", "(B,)", YELLOW))
    widths = (1.4, 1.55, 2.05, 1.1)
    x = 1.66
    for (names, shape, color), width in zip(arrays, widths):
        box(axes, x + width / 2, 0.62, f"{names}\n{shape}", color, width,
            1.02, family=MONO, fontsize=10)
        x += width + 0.33
    arrow(axes, (5.3, 1.34), (5.3, 1.16))
    return figure
