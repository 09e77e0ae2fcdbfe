"""What a slide pulls in by name: code, outputs, plots and drawings.

    {code:NAME}           a shown object, or the cell with the label NAME
    {code:NAME|A|B}       only its lines from the one with A to that with B
    {code:NAME.forward}   the method that computes, whatever its framework
                          calls it
    {output:LABEL}        what a cell printed; also with |A|B
    {plot:LABEL|words}    its picture, with an alternative text; without it
                          that of the cell, :alt:
    {drawing:NAME}        notebooks/img/NAME, with the chapter's own words
"""

import ast
import base64
import re
import textwrap
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from nbformat import NotebookNode

from d2lbert.book.config import Book, BookError
from d2lbert.book.exercises import roles, tags
from d2lbert.book.include import find_source
from d2lbert.book.notebook import read_notebook
from d2lbert.book.pictures import png_size, svg_size
from d2lbert.book.site.markup import Picture, Pre
from d2lbert.book.site.outputs import COLOURS
from d2lbert.book.source import DRAWING, INCLUDE, LABEL, chapter_cells

PULL = re.compile(r"\{(code|output|plot|drawing):([\w.-]+)(?:\|(.*))?\}")
START = re.compile(r"\{(?:code|output|plot|drawing)\b")
FOLDER = "img"  # of the pictures, beside a deck
FORWARD = "forward", "hybrid_forward", "__call__"


@dataclass
class Material:
    """What the slides of a chapter may name, for one backend.

    Attributes:
        shown: {name of a shown object: its module}.
        cells: {label: the cell in the chapter}.
        ran: {id: the executed cell of the committed notebook}.
        alts: {file name of a drawing: its words in the chapter}.
        pictures: {file name: bytes} of those that have been pulled in.
    """
    book: Book
    chapter: str
    backend: str
    shown: dict[str, str] = field(default_factory=dict)
    cells: dict[str, NotebookNode] = field(default_factory=dict)
    ran: dict[str, NotebookNode] = field(default_factory=dict)
    alts: dict[str, str] = field(default_factory=dict)
    pictures: dict[str, bytes] = field(default_factory=dict)


def gather(book: Book, chapter: str, backend: str) -> Material:
    """Read a chapter and its notebook.

    Raises:
        BookError: for a label that stands twice, or without a notebook.
    """
    found = Material(book, chapter, backend)
    problems = []
    for cell in chapter_cells(book, chapter, backend):
        if cell.cell_type == "markdown":
            found.alts |= {name: " ".join(alt.split())
                           for alt, name in DRAWING.findall(cell.source)}
            continue
        if not roles(cell) - {"carry"}:
            text = cell.source.replace("{backend}", backend)
            found.shown |= {name: module
                            for module, name in INCLUDE.findall(text)}
        for tag in tags(cell):
            if (label := tag.removeprefix(LABEL)) != tag:
                if label in found.cells:
                    problems.append(f"two cells have the label {label!r}")
                found.cells[label] = cell
    path = book.notebook(chapter, backend)
    try:
        found.ran = {cell.id: cell for cell in read_notebook(path).cells}
    except BookError as error:
        problems.append(f"{path.name} {error}; run `make build`")
    if problems:
        raise BookError(*problems)
    return found


def pull(found: Material, line: str) -> Pre | Picture:
    """What a line of a slide asks for.

    Raises:
        BookError: if there is no such thing.
    """
    match = PULL.fullmatch(line.strip())
    if not match:
        raise BookError(f"{line.strip()}: write it as {{code:NAME}}, "
                        "{code:NAME|from|to}, {output:LABEL}, "
                        "{plot:LABEL|words} or {drawing:NAME}, alone in its "
                        "line")
    kind, name, more = match.groups()
    kinds: dict[str, Callable[[Material, str, str], Pre | Picture]] = {
        "code": _code, "output": _output, "plot": _plot, "drawing": _drawing}
    try:
        return kinds[kind](found, name, more or "")
    except (BookError, ValueError, LookupError) as error:
        raise BookError(f"{{{kind}:{name}}}: {error.args[0]}") from None


def _code(found: Material, name: str, part: str) -> Pre:
    module = found.shown.get(name.partition(".")[0])
    if module:
        text = _short_docstrings(_source(found.book.root, module, name))
    elif name in found.cells:
        text = _without_magic(found.cells[name].source)
    else:
        raise BookError(
            f"the chapter shows no object {name} and has no cell with the "
            f"tag label-{name}; it has {_some([*found.shown, *found.cells])}")
    return Pre("code", textwrap.dedent(_lines(text, part)))


def _source(root: Path, module: str, name: str) -> str:
    owner, _, method = name.rpartition(".")
    if owner and method == "forward":
        for method in FORWARD:
            with suppress(LookupError):
                return find_source(root, module, f"{owner}.{method}")
    return find_source(root, module, name)


def _without_magic(text: str) -> str:
    lines = [line for line in text.split("\n") if not line.startswith("%")]
    return "\n".join(lines).strip("\n")


def _short_docstrings(text: str) -> str:
    """Of docstrings with several lines, the first."""
    lines = text.split("\n")
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(
        node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node)]
    for node in sorted(nodes, key=lambda n: -n.body[0].lineno):
        first, last = node.body[0].lineno - 1, node.body[0].end_lineno
        if last and last - first > 1:
            lines[first:last] = [lines[first].rstrip() + '"""']
    return "\n".join(lines)


def _output(found: Material, label: str, part: str) -> Pre:
    pieces = []
    for output in _ran(found, label).outputs:
        if output.get("name") == "stdout":
            pieces.append(output.text)
        elif "image/png" not in output.get("data", {}):
            pieces.append(output.get("data", {}).get("text/plain", ""))
    text = COLOURS.sub("", "".join(pieces)).strip("\n")
    if not text.strip():
        raise BookError("the cell printed no text")
    return Pre("output", _lines(text, part))


def _plot(found: Material, label: str, alt: str) -> Picture:
    pictures = [output.data["image/png"]
                for output in _ran(found, label).outputs
                if "image/png" in output.get("data", {})]
    if not pictures:
        raise BookError("the cell has no picture")
    alt = alt or found.cells[label].metadata.get("alt", "")
    if len(alt.split()) < 4:
        raise BookError("say after a | what the picture shows, or in the "
                        "cell with :alt:")
    data = base64.b64decode(pictures[-1])
    name = f"{found.chapter}-{label}.png"
    found.pictures[name] = data
    return Picture(f"{FOLDER}/{name}", alt, *png_size(data))


def _ran(found: Material, label: str) -> NotebookNode:
    """The executed cell with a label."""
    if label not in found.cells:
        raise BookError(f"no code cell has the tag label-{label}; there is "
                        + _some([*found.cells]))
    cell = found.ran.get(found.cells[label].id)
    if cell is None:
        raise BookError("the cell is not in the committed notebook; run "
                        "`make build`")
    return cell


def _drawing(found: Material, name: str, _: str) -> Picture:
    for file in (f"{name}.svg", f"{name}.png"):
        path = found.book.root / "notebooks" / "img" / file
        if file in found.alts and path.is_file():
            found.pictures[file] = data = path.read_bytes()
            size = (svg_size if path.suffix == ".svg" else png_size)(data)
            return Picture(f"{FOLDER}/{file}", found.alts[file], *size)
    raise BookError("the chapter shows no such drawing; it shows "
                    + _some([*found.alts]))


def _lines(text: str, part: str) -> str:
    """From the line that has one text to the next one that has another.

    The first text has to stand in one line only, so that an edit of the
    code cannot move the part unnoticed.
    """
    start, _, end = part.partition("|")
    lines = text.split("\n")
    first, last = 0, len(lines) - 1
    if start:
        places = [i for i, line in enumerate(lines) if start in line]
        if len(places) != 1:
            raise BookError(f"{start!r} stands in {len(places)} lines, and "
                            "has to stand in one")
        first = places[0]
    if end:
        places = [i for i in range(first, len(lines)) if end in lines[i]]
        if not places:
            raise BookError(f"{end!r} stands in no line from there on")
        last = places[0]
    return "\n".join(lines[first:last + 1]).strip("\n")


def _some(names: list[str]) -> str:
    return ", ".join(names) or "none"
