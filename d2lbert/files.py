"""Files written whole or not at all, and JSON of a known kind."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from d2lbert.checks import CheckpointError

Kind = TypeVar("Kind")
SEAL = ".sealed.json"  # {file of its folder: [size in bytes, SHA-1]}


@contextmanager
def draft_of(path: str | Path) -> Iterator[Path]:
    """A place beside `path` to write a file or a folder at.

    It gets its final name in one move when the block ends; an error or a
    killed process leaves `path` as it was.

    Args:
        path: of a file, or of a folder that does not exist or is empty.

    Raises:
        OSError: if there is a folder with something in it at `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
            prefix=f".{path.name}-", dir=path.parent) as scratch:
        draft = Path(scratch, path.name)
        yield draft
        os.replace(draft, path)


@contextmanager
def model_folder(folder: str | Path, last: str) -> Iterator[Path]:
    """A place to write the files of a model at, which come into a folder
    together.

    A process that dies leaves in the folder what was there, or a part of the
    new files and none by the name `last`, without which nobody reads the
    others. An error leaves the folder as it was.

    Args:
        folder: made where there is none; other files in it stay.
        last: the file without which the folder is no model.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for draft in folder.glob(".model-*"):  # of a writer that died
        shutil.rmtree(draft, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".model-", dir=folder) as scratch:
        yield Path(scratch)
        names = sorted(os.listdir(scratch), key=lambda name: name == last)
        (folder / last).unlink(missing_ok=True)
        for name in names:
            os.replace(Path(scratch, name), folder / name)


def seal(folder: Path) -> None:
    """Note in a folder which files it holds, so that damage can be seen."""
    marks = {path.relative_to(folder).as_posix(): _mark(path)
             for path in sorted(folder.rglob("*")) if path.is_file()}
    (folder / SEAL).write_text(json.dumps(marks, indent=0), encoding="utf-8")


def damage(folder: Path) -> str:
    """What is wrong with a sealed folder, in words; "" if nothing is.

    One without a seal, which somebody else has made, is taken as it is, and
    so are files that came into it later.
    """
    if not (folder / SEAL).is_file():
        return ""
    try:
        marks = read_json(folder / SEAL, dict)
    except CheckpointError as error:
        return str(error)
    for name, mark in marks.items():
        if not (folder / name).is_file():
            return f"{name} is missing"
        if _mark(folder / name) != mark:
            return f"{name} is not as it was written"
    return ""


def _mark(path: Path) -> list:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha1").hexdigest()
    return [path.stat().st_size, digest]


def write_whole(path: str | Path, data: str | bytes) -> None:
    """Write a file whole or not at all; a str as UTF-8 with line feeds."""
    with draft_of(path) as draft, draft.open("wb") as file:
        file.write(data.encode() if isinstance(data, str) else data)
        file.flush()
        os.fsync(file.fileno())  # its new name must not come before its bytes


def read_json(path: str | Path, kind: type[Kind]) -> Kind:
    """The value in a JSON file, which has to be a `kind`: dict or list.

    Raises:
        FileNotFoundError: if there is no such file.
        CheckpointError: if it is not JSON, or a value of another kind.
    """
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"there is no {path}") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not JSON ({error})") from error
    if not isinstance(value, kind):
        raise CheckpointError(f"{path} holds a JSON {type(value).__name__}, "
                              f"not a {kind.__name__}")
    return value
