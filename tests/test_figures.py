"""The committed drawings are what the code draws."""

from pathlib import Path

import matplotlib
import pytest

from d2lbert.book.figures import FIGURES, draw, draw_all

IMG = Path(__file__).parent.parent / "notebooks" / "img"
PINNED = "3.11.2"  # of constraints.txt; others place glyphs differently


@pytest.mark.skipif(matplotlib.__version__ != PINNED,
                    reason=f"drawn with Matplotlib {PINNED}")
@pytest.mark.parametrize("name", FIGURES)
def test_committed_drawing_is_current(name):
    assert (IMG / name).read_bytes() == draw(name)


def test_every_drawing_is_drawn_here(tmp_path):
    draw_all(tmp_path)
    drawn = {path.name for path in tmp_path.iterdir()}
    assert drawn == set(FIGURES) == {p.name for p in IMG.glob("*.svg")}
