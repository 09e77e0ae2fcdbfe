"""Data sets that a grammar writes, as folders of text files in the cache."""

import shutil
import tomllib
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha1
from importlib import resources
from pathlib import Path
from typing import Any

from d2lbert.data import hub
from d2lbert.files import damage, draft_of, seal

_HERE = resources.files(__package__)


def read_grammar(name: str) -> dict[str, Any]:
    """The tables of a grammar, a .toml in this folder."""
    return tomllib.loads(_HERE.joinpath(name).read_text(encoding="utf-8"))


def bundled_folder(name: str, sources: Sequence[str],
                   write: Callable[[Path], None]) -> Path:
    """A folder in the cache, under a name that the grammar decides.

    One that is damaged is made again.

    Args:
        name: of the data set.
        sources: the files that decide its contents, here or by whole paths.
        write: (folder) -> None, called each time.
    """
    digest = sha1(b"".join(_HERE.joinpath(source).read_bytes()
                           for source in sources)).hexdigest()
    folder = hub.cache_dir() / f"{name}-{digest[:12]}"
    if damage(folder):
        shutil.rmtree(folder, ignore_errors=True)
    write(folder)
    return folder


def write_files(folder: str | Path, names: Sequence[str],
                make_texts: Callable[[], Iterable[str]]) -> None:
    """Write text files into a new folder, as `write_folder`.

    Args:
        names: of the files; make_texts: () -> their texts, in that order.
    """
    def write(draft: Path) -> None:
        draft.mkdir()
        for name, text in zip(names, make_texts()):
            Path(draft, name).write_text(text, encoding="utf-8", newline="\n")

    write_folder(folder, names, write)


def write_folder(folder: str | Path, names: Sequence[str],
                 write: Callable[[Path], object]) -> None:
    """Have a new folder written, all of its files or none, and seal it.

    A folder that has them all is left as it is.

    Args:
        names: of the files.
        write: makes a folder with them at the path that it gets.

    Raises:
        FileExistsError: if there is a folder with something else in it, or
            with files that are no longer as they were written.
    """
    folder = Path(folder)
    if _has_all(folder, names):
        return
    if folder.is_dir() and any(folder.iterdir()):
        reason = damage(folder) or f"it lacks one of {', '.join(names)}"
        raise FileExistsError(f"{folder} is not what was written ({reason}): "
                              "delete it, or name another folder")
    try:
        with draft_of(folder) as draft:
            write(draft)
            seal(draft)
    except OSError:
        if not _has_all(folder, names):  # or else another was quicker
            raise


def _has_all(folder: Path, names: Sequence[str]) -> bool:
    return (all(Path(folder, name).is_file() for name in names)
            and not damage(folder))
