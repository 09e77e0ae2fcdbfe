"""Is there something to see in a picture, and how large is it?"""

import base64
import io
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image

POINT = 96 / 72  # pixels; a drawing is measured in points
SMALLEST = 16  # pixels; nothing drawn for a reader is smaller


def picture_problem(data: str) -> str:
    """What is wrong with a PNG in base64; "" if nothing is."""
    try:
        with Image.open(io.BytesIO(base64.b64decode(data)),
                        formats=["PNG"]) as image:
            picture = image.convert("RGBA")
    except (ValueError, OSError, SyntaxError) as error:  # as Pillow has it
        return f"holds a PNG that does not decode ({error})"
    if min(picture.size) < SMALLEST:
        return "holds a PNG of {} x {} pixels".format(*picture.size)
    paper = Image.new("RGBA", picture.size, "white")
    shown = Image.alpha_composite(paper, picture).convert("RGB")
    is_blank = shown.getcolors(maxcolors=1) is not None
    return "holds a blank PNG" if is_blank else ""


def png_size(data: bytes) -> tuple[int, int]:
    """(width, height) of a PNG in pixels.

    Raises:
        ValueError: if it is none.
    """
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            return image.size
    except (OSError, SyntaxError):
        raise ValueError("is no PNG picture") from None


def svg_size(data: bytes) -> tuple[float, float]:
    """(width, height) of a drawing, in the units of its `viewBox`.

    Raises:
        ValueError: if it has none.
    """
    try:
        box = ElementTree.fromstring(data).attrib["viewBox"].split()
        return float(box[2]), float(box[3])
    except (ElementTree.ParseError, KeyError, IndexError) as error:
        raise ValueError(f"is no drawing with a viewBox: {error}") from None


def size(path: Path) -> tuple[int, int]:
    """(width, height) in pixels of a PNG or of one of our drawings."""
    if path.suffix != ".svg":
        return png_size(path.read_bytes())
    width, height = svg_size(path.read_bytes())
    return round(width * POINT), round(height * POINT)
