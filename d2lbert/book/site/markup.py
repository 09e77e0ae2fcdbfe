"""Pieces of a page: Markdown, code, text and pictures as HTML.

Nothing that comes from a chapter or from an output is taken as HTML.
"""

import functools
import textwrap
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from itertools import chain
from typing import Any

from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers.python import PythonLexer

SIZES = 28, 26, 24, 22, 20  # px of code, the smallest that the last row reads
ADVANCE = 0.61  # of a letter of code, as a share of its size
LEADING = 1.3  # from line to line, as CSS has it
FRAME = 36  # px around the code of a block, in either direction
GAP = 16  # px between blocks
ABOUT = "≈ "  # stands on the line of its number


@dataclass(frozen=True)
class Pre:
    """Text in a fixed width.

    Attributes:
        kind: "code", which is highlighted, or "output".
        text: its lines.
    """
    kind: str
    text: str

    @property
    def lines(self) -> list[str]:
        """One or more."""
        return self.text.split("\n")

    def wrapped(self, width: int, size: int = SIZES[-1]) -> "Pre":
        """With the lines of an output broken where `width` px end.

        Code is not broken: whoever writes the slide chooses its lines.
        """
        if self.kind == "code":
            return self
        most = _columns(width, size)
        pieces = [textwrap.wrap(line.replace(ABOUT, ABOUT.strip() + "\0"),
                                most, subsequent_indent="    ") or [""]
                  for line in self.lines]
        return Pre(self.kind, "\n".join(chain.from_iterable(pieces)).replace(
            "\0", " "))

    def html(self, size: int) -> str:
        """With the size of its letters in px."""
        inner = (highlight(self.text, PythonLexer(stripnl=False),
                           HtmlFormatter(nowrap=True)).rstrip("\n")
                 if self.kind == "code" else escape(self.text))
        return (f'<pre class="{self.kind}" style="font-size: {size}px" '
                f'tabindex="0"><code>{inner}</code></pre>')


@dataclass(frozen=True)
class Picture:
    """An image file beside the page, with its size in px."""
    link: str
    alt: str
    width: float
    height: float

    @property
    def html(self) -> str:
        """Pixels are drawn no coarser than twice their size."""
        limit = ("" if self.link.endswith(".svg")
                 else f' style="--most: {2 * self.width:.0f}px"')
        return (f'<figure><img src="{escape(self.link)}" '
                f'alt="{escape(self.alt)}" width="{self.width:.0f}" '
                f'height="{self.height:.0f}"{limit}></figure>')


def _formula(text: str, how: dict[str, Any]) -> str:
    """In the delimiters that MathJax looks for."""
    first, last = (r"\[", r"\]") if how["display_mode"] else (r"\(", r"\)")
    return first + escape(text) + last


@functools.cache
def _markdown() -> MarkdownIt:
    return (MarkdownIt("commonmark", {"html": False}).enable("table")
            .use(dollarmath_plugin, allow_labels=False, allow_space=False,
                 renderer=_formula))


def render(text: str) -> str:
    """Paragraphs, lists, tables and formulas."""
    return _markdown().render(text).strip()


def render_inline(text: str) -> str:
    """What fits in a heading."""
    return _markdown().renderInline(text).strip()


def set_code(blocks: list[Pre], width: int, height: int,
             is_tight: bool = False) -> list[str]:
    """The HTML of blocks above each other, as large as they fit.

    An output of one or two lines is broken earlier, if that makes the
    smallest letters larger and the room is not `is_tight`.

    Raises:
        ValueError: if they do not fit.
    """
    if not blocks:
        return []
    usual = [block.wrapped(width) for block in blocks]
    best = usual, code_sizes(usual, width, height)
    early = [block.wrapped(width, SIZES[1 if len(block.lines) < 3 else -1])
             for block in blocks]
    if not is_tight:
        with suppress(ValueError):
            sizes = code_sizes(early, width, height)
            best = max(best, (early, sizes), key=lambda pair: min(pair[1]))
    return [block.html(size) for block, size in zip(*best)]


def code_sizes(blocks: list[Pre], width: int, height: int) -> list[int]:
    """The largest sizes in px with which blocks above each other fit.

    Raises:
        ValueError: if they do not even with the smallest.
    """
    most = _columns(width)
    columns = [max(map(len, block.lines)) for block in blocks]
    if max(columns) > most:
        raise ValueError(f"a line of {max(columns)} characters is too long, "
                         f"{most} fit")
    widest = [next(size for size in SIZES if count * ADVANCE * size + FRAME
                   <= width or size == SIZES[-1]) for count in columns]
    rows = [len(block.lines) for block in blocks]
    room = height - len(blocks) * (FRAME + GAP)
    for size in SIZES:
        sizes = [min(size, limit) for limit in widest]
        if sum(n * LEADING * px for n, px in zip(rows, sizes)) <= room:
            return sizes
    raise ValueError(
        f"{sum(rows)} lines of code and output are too many: beside the "
        f"text {max(int(room / LEADING / SIZES[-1]), 0)} fit")


def _columns(width: int, size: int = SIZES[-1]) -> int:
    """How many letters of a size fit into px."""
    return int((width - FRAME) / ADVANCE / size)
