"""MathJax for pages without a network: one script, from its package."""

import shutil
from importlib.metadata import distribution
from pathlib import Path

PACKAGE = "sphinx-mathjax-offline"
# All of TeX; it draws its letters, so that it needs no fonts
SCRIPT = "tex-svg-full.js"


def copy_mathjax(folder: Path) -> None:
    """Put the script into a folder."""
    files = distribution(PACKAGE).files or []
    (script,) = (file for file in files if file.name == SCRIPT)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(str(script.locate()), folder / SCRIPT)
