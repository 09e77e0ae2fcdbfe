"""Is there something to see in a picture?"""

import base64
import io

from PIL import Image

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
