"""Checkpoints of a training, so that it goes on after it was killed.

A checkpoint is one file of safetensors, `step-0000600.safetensors`. It holds
a backend's weights, optimiser and random state, the log's rows, and, as JSON
in its metadata, the recipe and what else the log needs. It is written whole or
not at all, the last two are kept, and reading one runs nothing that it holds.
"""

import json
import shutil
import tempfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from d2lbert.checks import warn
from d2lbert.files import write_whole

Arrays = dict[str, np.ndarray]

_ENDING = ".safetensors"
_WEIGHTS = "weights."  # what the names of weights begin with
_ROWS = "log.rows"
_FACTS = ("batch_size", "max_len", "seed", "num_examples")  # of a loader
_MAX_PROBLEMS = 8  # named in one message


@dataclass
class Checkpoint:
    """A training after some of its steps.

    Attributes:
        arrays: {name: array} of the backend; rows: what the steps gave.
        notes: the recipe, and what the log notes, values of JSON.
    """
    step: int
    arrays: Arrays
    rows: np.ndarray
    notes: dict[str, Any]


class Checkpoints:
    """The checkpoints of one training, in a folder.

    Args:
        folder: made where there is none.
        facts: what has to be equal to go on, beside what the trainer says.
        anew: a clause that says how to start anew.
    """

    def __init__(self, folder: str | Path,
                 facts: Mapping[str, Any] | None = None,
                 anew: str = "another folder starts anew") -> None:
        self.folder, self.facts, self.anew = Path(folder), facts or {}, anew

    @classmethod
    def of(cls, resume: Any) -> "Checkpoints":
        """Those in a folder, of which a path may be given."""
        return resume if isinstance(resume, cls) else cls(resume)

    def paths(self) -> list[Path]:
        """The files, the newest first."""
        return sorted(self.folder.glob(f"step-*{_ENDING}"), reverse=True)

    def prepare(self, size: int) -> None:
        """Make the folder; complain now if it will not take checkpoints.

        Args:
            size: of one, in bytes.

        Raises:
            ValueError: if there is a file at its place.
            OSError: if nothing can be written there, or there is no room.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"resume={str(self.folder)!r} is a file: name a "
                             "folder, which is made if there is none")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.folder).close()
            free = shutil.disk_usage(self.folder).free
        except OSError as error:
            raise OSError(f"no checkpoint can be written into {self.folder} "
                          f"({error}): name another folder") from error
        needed = size * (3 - min(2, len(self.paths())))
        if free < needed:
            raise OSError(
                f"{self.folder} has room for {free / 1e6:.1f} MB, and the "
                f"checkpoints need {needed / 1e6:.1f} MB: make room or name "
                "another folder")
        for draft in self.folder.glob(".step-*"):  # of a writer that died
            shutil.rmtree(draft, ignore_errors=True)

    def newest(self) -> Checkpoint | None:
        """The newest that can be read; a warning names those that cannot."""
        for path in self.paths():
            try:
                return _read(path)
            except (SafetensorError, OSError, KeyError, ValueError) as error:
                warn(f"{path} is damaged ({error!r:.100}): the one before is "
                     "taken, if there is one")
        return None

    def check(self, checkpoint: Checkpoint, recipe: dict[str, Any]) -> None:
        """Raise ValueError, naming what differs, for another recipe."""
        there, here = checkpoint.notes["recipe"], recipe
        problems = [
            f"{key} is {_said(there, key)} there and {_said(here, key)} here"
            for key in {**here, **there}
            if there.get(key) != here.get(key)]
        if problems:
            more = len(problems) - _MAX_PROBLEMS
            raise ValueError(
                f"{self.folder} holds a training by another recipe: "
                + "; ".join(problems[:_MAX_PROBLEMS])
                + (f"; and {more} more" if more > 0 else "")
                + f". Repeat its recipe to go on; {self.anew}")

    def write(self, checkpoint: Checkpoint) -> None:
        """Write one, and remove all but the one before it.

        Raises:
            OSError: if there is no room; the others are left as they were.
        """
        path = self.folder / f"step-{checkpoint.step:07d}{_ENDING}"
        write_whole(path, _to_bytes(checkpoint))
        before = [other for other in self.paths() if other < path]
        for other in self.paths():
            if other not in (path, *before[:1]):
                other.unlink(missing_ok=True)


class Saver:
    """Writes the checkpoints of a training that runs.

    Args:
        checkpoints: where to.
        arrays: gives the backend's {name: array} as they are now.
        loader: of the batches; its facts are part of the recipe, and its
            epoch, if it counts them, is set to go on.
        every: steps from one checkpoint to the next.
        recipe: what else has to be equal to go on.
        is_writer: False for a process that only reads what another writes.
    """

    def __init__(self, checkpoints: Checkpoints,
                 arrays: Callable[[], Arrays], loader: Any, every: int,
                 recipe: dict[str, Any], is_writer: bool = True) -> None:
        if not isinstance(every, (int, np.integer)) or every < 1:
            raise ValueError(
                f"save_every is {every}, not a whole number from 1")
        self._checkpoints, self._arrays = checkpoints, arrays
        self._loader, self._every = loader, every
        self._is_writer = is_writer
        self._epoch, self._has_warned = getattr(loader, "epoch", 0), False
        self._recipe = _as_json({**recipe, **_facts(loader),
                                 **checkpoints.facts})

    def begin(self) -> Checkpoint | None:
        """The checkpoint to go on from, if there is one.

        Raises:
            ValueError: for one of another recipe, naming what differs, or a
                file in the folder's place.
            OSError: if the folder cannot be written, or has no room.
        """
        arrays = self._arrays()
        self._recipe |= {f"the shape of {name.removeprefix(_WEIGHTS)}":
                         str(array.shape) for name, array in arrays.items()
                         if name.startswith(_WEIGHTS)}
        if self._is_writer:
            self._checkpoints.prepare(_size(arrays))
        checkpoint = self._checkpoints.newest()
        if checkpoint:
            self._checkpoints.check(checkpoint, self._recipe)
            self._epoch = checkpoint.notes["epoch"]
            if hasattr(self._loader, "epoch"):
                self._loader.epoch = self._epoch
        return checkpoint

    def is_due(self, step: int) -> bool:
        """Is this one of every so many steps?"""
        return step % self._every == 0

    def save(self, step: int, rows: Any, notes: dict[str, Any]) -> None:
        """Write a checkpoint, if its weights are finite.

        Where there is no room, a warning says so, once; training goes on.
        """
        arrays = self._arrays()  # in all processes: each may have a part
        if not self._is_writer:
            return
        if not all(np.isfinite(a).all() for a in arrays.values()
                   if a.dtype.kind == "f"):
            return  # the log will notice
        notes = {**notes, "recipe": self._recipe, "epoch": self._epoch}
        try:
            self._checkpoints.write(
                Checkpoint(step, arrays, np.array(rows, float), notes))
        except OSError as error:
            if not self._has_warned:
                warn(f"no checkpoint of step {step} is written ({error}): "
                     "training goes on, and later ones are tried")
            self._has_warned = True


def _size(arrays: Arrays) -> int:
    """Bytes that a checkpoint will take at most, by those of the weights.

    An optimiser may not have its two moments yet, nor an epoch been the best.
    """
    return 4 * sum(array.nbytes for name, array in arrays.items()
                   if name.startswith(_WEIGHTS))


def _facts(loader: Any) -> dict[str, Any]:
    """{name: value} of what is known of a loader."""
    places = loader, getattr(loader, "dataset", None)
    facts = {f"the loader's {name}": next(
        (getattr(place, name) for place in places if hasattr(place, name)),
        None) for name in _FACTS}
    if hasattr(loader, "__len__"):
        facts["the loader's number of batches"] = len(loader)
    return {name: fact for name, fact in facts.items() if fact is not None}


def _as_json(recipe: dict[str, Any]) -> dict[str, Any]:
    """The same as JSON gives it back; values it does not know by their type.
    """
    def plain(value: Any) -> Any:
        return value.item() if hasattr(value, "item") else type(value).__name__

    return json.loads(json.dumps(recipe, default=plain))


def _said(recipe: dict[str, Any], key: str) -> str:
    return str(recipe[key]) if key in recipe else "not given"


def _read(path: Path) -> Checkpoint:
    """Read a checkpoint; any error means that it is not whole."""
    with safe_open(path, "np") as file:
        metadata = file.metadata()
        arrays = {name: file.get_tensor(name) for name in file.keys()}
    if metadata["crc"] != _crc(arrays, metadata["notes"]):
        raise ValueError("its checksum is another")
    notes = json.loads(metadata["notes"])
    return Checkpoint(notes.pop("step"), arrays, arrays.pop(_ROWS), notes)


def _to_bytes(checkpoint: Checkpoint) -> bytes:
    notes = json.dumps({**checkpoint.notes, "step": checkpoint.step})
    arrays = {name: np.asarray(array, order="C") for name, array
              in {**checkpoint.arrays, _ROWS: checkpoint.rows}.items()}
    return save(arrays, {"notes": notes, "crc": _crc(arrays, notes)})


def _crc(arrays: Arrays, notes: str) -> str:
    crc = zlib.crc32(notes.encode())
    for name in sorted(arrays):
        crc = zlib.crc32(name.encode(), crc)
        crc = zlib.crc32(arrays[name].tobytes(), crc)
    return str(crc)
