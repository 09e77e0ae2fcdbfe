"""The slides of a chapter for one backend, from its slide cells.

A slide is a part of a Markdown cell tagged `slide`, from a heading `## …` to
the next:

    ## One idea

    * a few words, $formulas$, and
    {output:first-loss}

    ***

    {drawing:bert-block}

    Note: what the speaker says.

Lines `***` divide it: two parts are columns; of three, the first stands
above the columns, and a fourth below.
"""

import math
import re
from dataclasses import dataclass, field
from functools import partial
from html import escape
from pathlib import Path

from nbformat import NotebookNode

from d2lbert.backends import BACKENDS
from d2lbert.book.config import Book, BookError, Target, collect
from d2lbert.book.exercises import headings, tags
from d2lbert.book.site.markup import (
    GAP,
    Picture,
    Pre,
    render,
    render_inline,
    set_code,
)
from d2lbert.book.site.pulls import START, Material, gather, pull
from d2lbert.book.source import (
    CHAPTER,
    SLIDE,
    is_for,
    prose,
    read_cells,
    title,
)
from d2lbert.book.times import Times

NOTE = re.compile(r"^Note:[ \n]", re.M)
ABLE = re.compile(r"^[*-] \*\*You will be able to\*\*(.*?)^[*-] \*\*",
                  re.M | re.S)
QUESTION = re.compile(r"^\d+\. (\*.*?\?\*)\s+(.*?)(?=^\d+\. |\Z)",
                      re.M | re.S)
DIVIDER = re.compile(r"^\*\*\*$", re.M)
DISPLAY = re.compile(r"\$\$.*?\$\$", re.S)
FORMULA = re.compile(r"\$[^$]+\$")
WIDTH, HEIGHT = 1160, 530  # px of a slide's body
FORMULA_HEIGHT = 110
BETWEEN = 40  # px from column to column
TEXTS = 36, 32, 29  # px of text
LETTER, LEADING = 0.52, 1.35  # of text, as shares of its size
AFTER = 12  # px below a paragraph


@dataclass(frozen=True)
class Text:
    """A piece of Markdown, and what it is as HTML."""
    text: str
    html: str


Block = Text | Pre | Picture


@dataclass(frozen=True)
class Slide:
    """One slide; its parts are HTML."""
    title: str
    body: str
    notes: str
    size: int = TEXTS[-1]  # px of its text
    kind: str = ""  # "first" or "last" of those that are not written


@dataclass(frozen=True)
class Deck:
    """The slides of a chapter, and the pictures that they show."""
    chapter: str
    backend: str
    title: str
    slides: list[Slide]
    pictures: dict[str, bytes] = field(default_factory=dict)


def make_deck(book: Book, chapter: str, backend: str) -> Deck:
    """The deck of a chapter.

    Raises:
        BookError: with all that is wrong in it.
    """
    def name(problem: str) -> str:
        return f"slides of {backend}/{chapter}: {problem}"

    try:
        found = gather(book, chapter, backend)
        slides = collect(lambda make: make(), [
            partial(_first, found),
            *(partial(_slide, found, text) for text in _texts(found)),
            partial(_last, found)])
    except BookError as error:
        raise BookError(*map(name, error.args)) from None
    return Deck(chapter, backend, title(book, chapter, backend), slides,
                found.pictures)


def deck_name(book: Book, of: "Deck | Target") -> str:
    """The file of a deck, in the folder of its backend."""
    target = Target(of.chapter, of.backend)
    return Path(book.file_name(target)).with_suffix(".html").name


def has_slides(book: Book, chapter: str) -> bool:
    """Does a chapter have slide cells?"""
    return any(SLIDE in tags(cell) for cell in read_cells(book, chapter))


def _texts(found: Material) -> list[str]:
    """What is written of each slide."""
    cells = [cell for cell in read_cells(found.book, found.chapter)
             if SLIDE in tags(cell) and is_for(found.backend, cell)]
    return [text for texts in collect(_cut, cells) for text in texts]


def _cut(cell: NotebookNode) -> list[str]:
    lines = cell.source.split("\n")
    starts = [number for number, level, _ in headings(cell.source)
              if level == 2]
    if not starts or starts[0]:
        raise BookError(f"the cell {lines[0][:40]!r} does not begin with a "
                        "heading `## …`")
    return ["\n".join(lines[start:end]).strip("\n")
            for start, end in zip(starts, [*starts[1:], len(lines)])]


def _slide(found: Material, text: str) -> Slide:
    heading, _, text = text.partition("\n")
    heading = heading.removeprefix("##").strip()
    body, *notes = NOTE.split(text)
    try:
        if len(notes) != 1 or not notes[0].strip():
            raise BookError("it has no line `Note: …` for the speaker, or "
                            "several")
        html, size = _body(found, body)
        return Slide(render_inline(_filled(found, heading)), html,
                     render(_filled(found, notes[0])), size)
    except BookError as error:
        raise BookError(*(f"{heading!r}: {problem}"
                          for problem in error.args)) from None


def _filled(found: Material, text: str) -> str:
    """With names and links to chapters; a speaker's way to another page."""
    def link(match: re.Match[str]) -> str:
        if match[1] not in found.book.chapters:
            raise BookError(f"{match[0]}: there is no such chapter")
        words = match[2] or title(found.book, match[1], found.backend)
        return f"[{words}]({page(match[1], found.backend)})"

    text = text.replace("{Backend}", BACKENDS[found.backend].title)
    return CHAPTER.sub(link, text)


def page(chapter: str, backend: str) -> str:
    """The link from a deck to the page of a chapter."""
    return f"../../{chapter}.html?framework={backend}"


def _body(found: Material, text: str) -> tuple[str, int]:
    """The HTML of a slide's body, and the size of its text in px."""
    parts = [part.strip("\n") for part in DIVIDER.split(text)]
    if len(parts) > 4:
        raise BookError("it has more than three lines `***`")
    if len(parts) == 1:
        blocks = _pulled(found, text)
        size = _text_size(blocks)
        return _column(blocks, WIDTH, HEIGHT, size), size
    narrow = (WIDTH - BETWEEN) // 2
    above, left, right, below = (
        ["", *parts, ""] if len(parts) == 2 else [*parts, ""])[:4]
    taken = sum(_text_height(part, WIDTH) for part in (above, below))
    columns = collect(
        lambda part: _column(_pulled(found, part), narrow, HEIGHT - taken),
        (left, right))
    return (_html(found, above) + '<div class="columns">'
            + "".join(f'<div class="column">{column}</div>'
                      for column in columns)
            + "</div>" + _html(found, below)), TEXTS[-1]


def _text_size(blocks: list[Block]) -> int:
    """Larger where little stands on a slide, and no picture."""
    if any(isinstance(block, Picture) for block in blocks):
        return TEXTS[-1]
    code = [block for block in blocks if isinstance(block, Pre)]
    lines = sum(len(block.wrapped(WIDTH).lines) for block in code)
    for size in TEXTS[1:] if code else TEXTS:
        taken = sum(_text_height(block.text, WIDTH, size)
                    for block in blocks if isinstance(block, Text))
        if taken + lines * 34 + 52 * len(code) <= HEIGHT - 40:
            return size
    return TEXTS[-1]


def _column(blocks: list[Block], width: int, height: int,
            size: int = TEXTS[-1]) -> str:
    """Text and what it pulls in, from top to bottom."""
    has_picture = any(isinstance(block, Picture) for block in blocks)
    taken = sum(_text_height(block.text, width, size)
                for block in blocks if isinstance(block, Text))
    code = [block for block in blocks if isinstance(block, Pre)]
    try:
        made = iter(set_code(code, width, height - taken, has_picture))
    except ValueError as error:
        raise BookError(error.args[0]) from None
    return "\n".join(next(made) if isinstance(block, Pre) else block.html
                     for block in blocks)


def _pulled(found: Material, text: str) -> list[Block]:
    """Text, code and pictures, as they stand in a column."""
    return collect(partial(_block, found), _blocks(text))


def _blocks(text: str) -> list[str]:
    """Pieces of Markdown, and the lines between them that pull things in."""
    blocks = [""]
    for line in text.split("\n"):
        if START.match(line):
            blocks += [line, ""]
        else:
            blocks[-1] += line + "\n"
    return [block.strip("\n") for block in blocks if block.strip()]


def _block(found: Material, text: str) -> Block:
    if START.match(text):
        return pull(found, text)
    return Text(text, _html(found, text))


def _html(found: Material, text: str) -> str:
    if match := START.search(text):
        raise BookError(f"{match[0]}:…}} does not stand alone in its line, "
                        "or above or below columns")
    if "](img/" in text:
        raise BookError("shows an image: write {drawing:NAME}")
    return render(_filled(found, text))


def _text_height(text: str, width: int, size: int = TEXTS[-1]) -> int:
    """Roughly, in px: it decides the size of the code below."""
    formulas = len(DISPLAY.findall(text))
    text = FORMULA.sub("formula", DISPLAY.sub("", text)).strip()
    if not text:
        return formulas * FORMULA_HEIGHT
    paragraphs = re.split(r"\n(?=[*-] |\d+\. |\|)|\n\n", text)
    rows = sum(_rows(part, width / (LETTER * size))
               for part in paragraphs if part.strip())
    return (int(rows * LEADING * size) + len(paragraphs) * AFTER + GAP
            + formulas * FORMULA_HEIGHT)


def _rows(part: str, letters: float) -> int:
    """In lines of so many letters; the longest cell counts in a table."""
    if part.startswith("|"):
        cells = part.strip("|").split("|")
        part, letters = max(cells, key=len), letters / len(cells)
    return max(1, math.ceil(len(part) / letters))


# The two slides that nobody writes

def _first(found: Material) -> Slide:
    """The title, what one learns, and the time."""
    book, chapter, backend = found.book, found.chapter, found.backend
    texts = prose(book, chapter, backend)
    match = ABLE.search("\n\n".join(texts))
    if not match:
        raise BookError("the chapter has no entry **You will be able to**")
    able = " ".join(match[1].split())
    time = Times(book).sentence(chapter, texts, [backend])
    name = BACKENDS[backend].title
    body = (f'<p class="framework {backend}">{name}</p>'
            f'<p class="able">You will be able to</p>'
            f"{render(_filled(found, able))}"
            f'<p class="time">The chapter: {escape(time)}.</p>')
    return Slide(render_inline(title(book, chapter, backend)), body,
                 render(_filled(found, _plan(found))), kind="first")


def _plan(found: Material) -> str:
    """From the page for those who teach: what it says first, and 45 minutes.
    """
    text = _teaching(found)
    first = text.partition("\n")[2].partition("\n## ")[0].strip()
    return "\n\n".join([first, "**45 minutes**",
                        _section(text, "45 minutes")])


def _teaching(found: Material) -> str:
    path = found.book.root / "notebooks" / "teaching" / f"{found.chapter}.md"
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise BookError(
            f"there is no notebooks/teaching/{path.name}") from None


def _section(text: str, name: str) -> str:
    found = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    if not found:
        raise BookError(f"its page for those who teach has no `## {name}`")
    return found[1].strip()


def _last(found: Material) -> Slide:
    """Questions; the answers are in the notes."""
    text = _section(_teaching(found), "Five questions for the room")
    asked = QUESTION.findall(text)
    if len(asked) != len(re.findall(r"^\d+\. ", text, re.M)) or not asked:
        raise BookError("a question for the room is not written as "
                        "`1. *question?* answer`")
    questions, answers = zip(*asked)
    plain = [" ".join(question.replace("*", "").split())
             for question in questions]
    asked_too = Text(_numbered(plain), render(_numbered(plain)))
    return Slide("Questions for the room", asked_too.html,
                 render(_numbered([" ".join(text.split())
                                   for text in answers])),
                 _text_size([asked_too]), "last")


def _numbered(items: list[str]) -> str:
    return "\n".join(f"{i}. {item}" for i, item in enumerate(items, 1))
