"""The drawings of the chapter on subwords."""

from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from d2lbert.book.figures.drawing import (
    BLUE,
    GREEN,
    GREY,
    MONO,
    PALE,
    RED,
    arrow,
    box,
    label,
    page,
    row,
)
from d2lbert.data.subwords import get_max_freq_pair, merge_symbols

FREQS = {"f a s t _": 4, "f a s t e r _": 3, "t a l l _": 5,
         "t a l l e r _": 4}  # d2l 15.6.2
LETTER = 0.3  # inches
WORD, PIECES = "unbreakable", {"un", "##break", "##able"}


def bpe_merges() -> Figure:
    """Eight merges, and what they make of two words (d2l 15.6.2)."""
    figure, axes = page(9, 4.6)
    columns = ((3, 3.2), (1, 6.3))  # number of the word, where it begins
    freqs, y = dict(FREQS), 3.95
    label(axes, 0.2, 4.37, "most frequent pair", ha="left", fontsize=12)
    for number, x in columns:
        word, count = list(FREQS.items())[number]
        label(axes, x, 4.37, f"“{word.replace(' ', '')}”, {count} times",
              ha="left", fontsize=12)
        _symbols(axes, x, y, word.split())
    for step in range(1, 9):
        pair = get_max_freq_pair(freqs)
        count = sum(n * list(pairwise(word.split())).count(pair)
                    for word, n in freqs.items())
        freqs = merge_symbols(pair, freqs, [])
        y -= 0.45
        label(axes, 0.2, y, f"{step}.  {pair[0]} + {pair[1]}", ha="left",
              family=MONO)
        label(axes, 2.7, y, f"{count} times", ha="right")
        for number, x in columns:
            _symbols(axes, x, y, list(freqs)[number].split(), "".join(pair))
    return figure


def _symbols(axes: Axes, x: float, y: float, symbols: list[str],
             new: str | None = None) -> None:
    """A word, a box for each symbol as wide as its letters."""
    for symbol in symbols:
        width = LETTER * len(symbol)
        color = RED if symbol == new else BLUE if len(symbol) > 1 else PALE
        box(axes, x + width / 2, y, symbol, color, width - 0.05, 0.34,
            family=MONO)
        x += width


def greedy_wordpiece() -> Figure:
    """The longest piece first, tried one by one (BERT paper, 4.1)."""
    figure, axes = page(9, 4.9)
    left, step, y = 1.2, 0.6, 4.55
    row(axes, [left + step * (i + 0.5) for i in range(len(WORD))], y, WORD,
        GREY, width=step - 0.08, family=MONO, fontsize=13)
    start, y = 0, y - 0.1
    while start < len(WORD):
        for end in range(len(WORD), start, -1):
            y -= 0.265
            piece = "##" * (start > 0) + WORD[start:end]
            found = piece in PIECES
            middle, width = (start + end) / 2, end - start
            box(axes, left + step * middle, y, piece,
                GREEN if found else PALE, step * width - 0.08, 0.22,
                family=MONO, fontsize=10)
            if found:
                break
        label(axes, left + step * end + 0.1, y, "in the vocabulary",
              ha="left", fontsize=10) if end < len(WORD) else None
        start = end
    arrow(axes, (0.75, 4.3), (0.75, 0.25))
    label(axes, 0.5, 2.3, "one try after another", rotation=90)
    return figure


SUBWORD_FIGURES = {"bpe-merges.svg": bpe_merges,
                   "greedy-wordpiece.svg": greedy_wordpiece}
