"""One checkpoint format for three backends: {name: array} in safetensors.

Names and orientation are those of the PyTorch model; `d2lbert.backends` has,
as data, how Flax's and Gluon's names become these. PyTorch's and Gluon's own
files are read as well, without PyTorch and MXNet.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save

from d2lbert.backends import MXNET, Steps
from d2lbert.checkpoints.gluonfiles import MAGIC, read_gluon_file
from d2lbert.checkpoints.torchfiles import read_torch_file
from d2lbert.checks import CheckpointError
from d2lbert.files import write_whole

Params = dict[str, np.ndarray]
Shapes = dict[str, tuple[int, ...]]

_SAFETENSORS_TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<f4", "I64": "<i8",
    "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?"}
_MAX_PROBLEMS = 40  # named in one message


def rename(name: str, steps: Steps) -> str:
    """The shared name of a tensor that a backend calls `name`."""
    for pattern, target in steps:
        name = re.sub(pattern, target, name)
    return name


def initial_params(shapes: Shapes, seed: int = 0) -> Params:
    """The initial weights that all backends use, from a seed.

    Matrices and embeddings from N(0, 0.02), biases 0, layer norms the
    identity (Google's BERT code).

    Args:
        shapes: {name: shape}, see `d2lbert.checkpoints.d2l`.

    Returns:
        {name: float32 array}.
    """
    rng = np.random.default_rng(seed)

    def initial(name: str, shape: tuple[int, ...]) -> np.ndarray:
        if len(shape) > 1:
            return rng.normal(0, 0.02, shape).astype(np.float32)
        is_scale = name.endswith(".weight")
        return np.full(shape, is_scale, np.float32)

    return {name: initial(name, shape) for name, shape in shapes.items()}


def fit_params(params: Params, shapes: Shapes) -> Params:
    """{name: float32 array} for a model of these shapes, checked.

    Args:
        params: {name: array} as read; shapes: {name: shape} as expected.

    Raises:
        CheckpointError: naming the tensors that are missing, that the model
            does not have, or whose shape, type or values cannot be right.
    """
    problems = [f"{name} is missing" for name in shapes if name not in params]
    problems += [f"{name} is not part of the model"
                 for name in params if name not in shapes]
    problems += [f"{name} {problem}" for name, shape in shapes.items()
                 if name in params
                 for problem in _misfits(params[name], tuple(shape))]
    if problems:
        raise CheckpointError(
            "the checkpoint does not fit the model: "
            + "; ".join(problems[:_MAX_PROBLEMS])
            + (f"; and {len(problems) - _MAX_PROBLEMS} more"
               if len(problems) > _MAX_PROBLEMS else ""))
    return {name: np.asarray(params[name], np.float32) for name in shapes}


def _misfits(array: np.ndarray, shape: tuple[int, ...]) -> Iterator[str]:
    if array.shape != shape:
        yield f"has shape {array.shape}, the model's is {shape}"
    elif array.dtype.kind != "f":
        yield f"holds {array.dtype}, not floating-point numbers"
    elif not np.isfinite(array).all():
        yield "has values that are not finite (NaN or infinity)"


def save_params(path: str | Path, params: Params,
                metadata: dict[str, str] | None = None) -> None:
    """Write {name: array} as safetensors, whole or not at all.

    Args:
        metadata: what the file keeps beside the tensors.

    Raises:
        CheckpointError: naming a tensor whose values are not finite, which
            no model would take back.
    """
    for name, array in params.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise CheckpointError(
                f"{name} has values that are not finite (NaN or infinity), "
                "so nothing is written: the training went wrong before")
    params = {k: np.ascontiguousarray(v) for k, v in params.items()}
    # The library's own `save_file` makes it unreadable for others
    write_whole(path, save(params, metadata))


def load_params(path: str | Path) -> Params:
    """Read {name: array} from a file of safetensors, PyTorch or Gluon.

    The content tells what kind of file it is, not the name.

    Raises:
        FileNotFoundError: if there is no such file.
        CheckpointError: if it is none of them, damaged, or one that holds
            something else than tensors (`read_torch_file`,
            `read_gluon_file`).
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}")
    start = _first_bytes(path, 9)
    # A safetensors file starts with a length of 8 bytes and a JSON object.
    if start[8:] != b"{" and start.startswith((b"PK", b"\x80")):
        return read_torch_file(path)
    if start[8:] != b"{" and start.startswith(MAGIC):
        return {rename(name, MXNET.steps): array
                for name, array in read_gluon_file(path).items()}
    try:
        tensors = deserialize(Path(path).read_bytes())
        return {name: _from_bytes(tensor) for name, tensor in tensors}
    except (SafetensorError, KeyError) as error:
        raise CheckpointError(
            f"{path} is no whole file of safetensors, PyTorch or Gluon "
            f"({error}): write it again with save_params or torch.save"
            ) from error


def _first_bytes(path: str | Path, count: int) -> bytes:
    with open(path, "rb") as file:
        return file.read(count)


def _from_bytes(tensor: dict[str, Any]) -> np.ndarray:
    data, name = tensor["data"], tensor["dtype"]
    if name == "BF16":  # NumPy has no such type; in float32 it is exact
        data = np.frombuffer(data, "<u2").astype("<u4") << 16
    array = np.frombuffer(data, _SAFETENSORS_TYPES[name])
    return array.reshape(tensor["shape"]).copy()
