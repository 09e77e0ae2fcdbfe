"""What came out of a cell, as MyST Markdown and files of pictures."""

import base64
import hashlib
import re
from pathlib import Path

from nbformat import NotebookNode

from d2lbert.book.config import BookError
from d2lbert.book.pictures import png_size
from d2lbert.files import write_whole

COLOURS = re.compile(r"\x1b\[[0-9;]*m")  # of a terminal
FENCE = "`" * 4


class Pictures:
    """A folder of plots; equal ones are one file, named by its content."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, data: str) -> tuple[str, int, int]:
        """Keep a PNG in base64: its file name, width and height in pixels."""
        png = base64.b64decode(data)
        name = hashlib.sha256(png).hexdigest()[:16] + ".png"
        if not (self.folder / name).exists():
            write_whole(self.folder / name, png)
        return name, *png_size(png)


def output_text(outputs: list[NotebookNode], pictures: Pictures,
                alt: str) -> str:
    """The outputs of a cell, one below the other; "" if there are none.

    Args:
        outputs: as the notebook has them: text and PNG.
        alt: what its picture shows.

    Raises:
        BookError: for a picture of which nothing says what it shows.
    """
    return "\n\n".join(filter(None, (
        _one(output, pictures, alt) for output in outputs)))


def _one(output: NotebookNode, pictures: Pictures, alt: str) -> str:
    data = output.get("data", {})
    if "image/png" in data:
        if not alt:
            raise BookError("a plot has neither a caption in italics below "
                            "it nor a line `:alt:` in its cell")
        name, width, height = pictures.add(data["image/png"])
        size = output.metadata.get("image/png", {})
        return (f"{FENCE}{{image}} /plots/{name}\n:alt: {alt}\n"
                f":width: {size.get('width', width)}\n"
                f":height: {size.get('height', height)}\n"
                f":class: plot\n{FENCE}")
    text = output.get("text", data.get("text/plain", ""))
    if output.output_type == "error":
        text = f"{output.ename}: {output.evalue}"
    text = COLOURS.sub("", text).rstrip("\n")
    return f"{FENCE}{{code-block}} text\n:class: output\n\n{text}\n{FENCE}"
