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
from d2lbert.data.subwords import (
    character_ngrams,
    get_max_freq_pair,
    merge_symbols,
    ngram_bucket,
)

FREQS = {"f a s t _": 4, "f a s t e r _": 3, "t a l l _": 5,
         "t a l l e r _": 4}  # d2l 15.6.2
LETTER = 0.3  # inches
BAG = "where"  # Bojanowski et al., 2017, 3.2
BUCKETS = 10_000
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
    """The longest piece first, tried one by one."""
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


def fasttext_bag() -> Figure:
    """The n-grams of a word, the rows of a table, their sum."""
    figure, axes = page(9, 3.35)
    *grams, whole = character_ngrams(BAG)
    label(axes, 0.2, 3.05, f"n-grams of {whole}", ha="left", fontsize=12)
    label(axes, 5.35, 3.05, "table of vectors", fontsize=12)
    y = 2.55
    for n in range(3, 7):
        label(axes, 0.2, y, f"n = {n}", ha="left")
        x = 1.0
        for gram in (gram for gram in grams if len(gram) == n):
            width = 0.13 * n + 0.16
            box(axes, x + width / 2, y, gram, BLUE, width - 0.06, 0.32,
                family=MONO, fontsize=9)
            x += width
        y -= 0.5
    label(axes, 0.2, y - 0.25, "word", ha="left")
    box(axes, 1.6, y - 0.25, whole, GREEN, 1.1, 0.32, family=MONO,
        fontsize=9)
    for i, gram in enumerate([*grams[:3], "…", grams[-1]]):
        row_y, dots = 2.55 - 0.375 * i, gram == "…"
        text = "…" if dots else f"bucket {ngram_bucket(gram, BUCKETS):,}"
        box(axes, 5.35, row_y, text, PALE if dots else BLUE, 1.6, 0.3,
            fontsize=10)
    box(axes, 5.35, y - 0.25, f"row of “{BAG}”", GREEN, 1.6, 0.3,
        fontsize=10)
    arrow(axes, (3.75, 1.8), (4.45, 1.8))
    label(axes, 4.1, 1.97, "hash", fontsize=10)
    arrow(axes, (2.25, y - 0.25), (4.45, y - 0.25))
    label(axes, 3.3, y, "number of the word", fontsize=10)
    for start in (1.8, y - 0.25):
        arrow(axes, (6.25, start), (7.35, 1.2))
    label(axes, 6.95, 1.8, "sum", fontsize=10)
    box(axes, 8.05, 1.2, f"vector of\n“{BAG}”", RED, 1.3, 0.7)
    return figure


SUBWORD_FIGURES = {"fasttext-bag.svg": fasttext_bag,
                   "bpe-merges.svg": bpe_merges,
                   "greedy-wordpiece.svg": greedy_wordpiece}
