"""The files of the book's package, as they are and as git has them."""

import io
import subprocess
import tarfile
from pathlib import Path, PurePosixPath

Files = dict[str, bytes]  # path from the root of the book -> what it holds
PACKAGE = "d2lbert"


def present_files(root: Path) -> Files:
    """The package's files as they are now."""
    paths = (path for path in (root / PACKAGE).rglob("*") if path.is_file())
    named = ((path.relative_to(root).as_posix(), path) for path in paths)
    return {name: path.read_bytes() for name, path in named if _counts(name)}


def committed_files(root: Path) -> Files:
    """The files of the package and all notebooks as they are in git's HEAD.

    There are none if they are not committed, or this is no git checkout.
    """
    command = ["git", "archive", "--format=tar", "HEAD", PACKAGE, "notebooks"]
    try:
        made = subprocess.run(command, cwd=root, capture_output=True)
    except FileNotFoundError:  # git is not installed
        return {}
    if made.returncode:
        return {}
    with tarfile.open(fileobj=io.BytesIO(made.stdout)) as archive:
        files = {member.name: archive.extractfile(member)
                 for member in archive if member.isfile()}
        return {name: file.read() for name, file in files.items()
                if file and _counts(name)}


def _counts(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return "__pycache__" not in parts and not parts[-1].startswith(".")
