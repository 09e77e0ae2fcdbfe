"""Checkpoints of `make run`: where they are, and what they must agree in."""

import hashlib
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from d2lbert.training.resuming import Checkpoints

_FOLDER = "checkpoints"


def checkpoints(folder: str | Path, name: str, **facts: Any) -> Checkpoints:
    """Those of one training.

    Args:
        folder: of a backend's results.
        name: of the training, where an experiment has several.
        facts: what has to be equal to go on.
    """
    return Checkpoints(Path(folder, _FOLDER, name), facts,
                       anew="FRESH=1 starts anew")


def forget(folder: str | Path) -> None:
    """Remove the checkpoints of all trainings of a backend."""
    shutil.rmtree(Path(folder, _FOLDER), ignore_errors=True)


def fingerprint(*parts: Iterable[str] | np.ndarray | Mapping[str, np.ndarray]
                ) -> str:
    """A few letters that tell texts, arrays and weights from others."""
    digest = hashlib.sha1()
    for part in parts:
        if isinstance(part, Mapping):
            part = np.concatenate([part[name].ravel() for name in
                                   sorted(part)] or [np.zeros(0)])
        digest.update(part.tobytes() if isinstance(part, np.ndarray)
                      else "\n".join(part).encode())
    return digest.hexdigest()[:8]
