"""Is there something to see in a picture, and how large is it?"""

import base64
import io
import re
from pathlib import Path

from PIL import Image

POINT = 96 / 72  # pixels
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


def size(path: Path) -> tuple[int, int]:
    """Width and height of a PNG or of one of our drawings, in pixels."""
    if path.suffix != ".svg":
        with Image.open(path) as image:
            return image.size
    head = path.read_text("utf-8")[:2000]
    width, height = (
        re.findall(rf'<svg[^>]*\s{name}="([\d.]+)pt"', head)[0]
        for name in ("width", "height"))
    return round(float(width) * POINT), round(float(height) * POINT)
