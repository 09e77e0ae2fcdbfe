"""Data sets that a grammar writes, as folders of text files in the cache."""

import os
import tempfile
from hashlib import sha1
from importlib import resources
from pathlib import Path

from d2lbert import hub


def bundled_folder(name, sources, write):
    """A folder in the cache, under a name that the grammar decides.

    Args:
        name: of the data set.
        sources: the package's files that decide its contents.
        write: (folder) -> None, called each time.

    Returns:
        A `Path`.
    """
    package = resources.files("d2lbert")
    digest = sha1(b"".join(package.joinpath(source).read_bytes()
                           for source in sources)).hexdigest()
    folder = hub.cache_dir() / f"{name}-{digest[:12]}"
    write(folder)
    return folder


def write_files(folder, names, make_texts):
    """Write text files into a new folder.

    A folder that has them all is left as it is; another gets its name in one
    move, so that an interrupted run leaves nothing half-written.

    Args:
        names: of the files; make_texts: () -> their texts, in that order.

    Raises:
        OSError: if there is a folder with something else in it.
    """
    folder = Path(folder)
    if _has_all(folder, names):
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
            prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        whole = Path(scratch, "whole")
        whole.mkdir()
        for name, text in zip(names, make_texts()):
            Path(whole, name).write_text(text, encoding="utf-8", newline="\n")
        try:
            os.replace(whole, folder)
        except OSError:
            if not _has_all(folder, names):  # or else another was quicker
                raise


def _has_all(folder, names):
    return all(Path(folder, name).is_file() for name in names)
