"""PyTorch's checkpoint files, read without PyTorch.

`torch.save` writes a pickle, which says what the tensors are called and how
they lie in their storages, and the bytes of the storages: today as members
of an uncompressed zip archive, formerly one after the other, as in d2l's
hosted files. Source: PyTorch's serialization notes,
https://docs.pytorch.org/docs/stable/notes/serialization.html.
"""

import io
import math
import mmap
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from d2lbert.checkpoints.pickles import load_pickle
from d2lbert.checks import CheckpointError

LEGACY_MAGIC, LEGACY_VERSION = 0x1950A86A20F9469CFC6C, 1001
_MAX_DIMS = 32  # NumPy's own limit
# Shared and expanded tensors may need more memory than their file has bytes,
# but a small file that asks for all memory is an attack.
_MAX_EXPANSION = 64
_Order = Literal["<", ">"]
_ORDERS: dict[str, _Order] = {"little": "<", "big": ">"}


def read_torch_file(path: str | Path) -> dict[str, np.ndarray]:
    """Read the dict of tensors that `torch.save` wrote, in either format.

    Args:
        path: a file of torch.save(net.state_dict(), path).

    Returns:
        {name: array} in the file's order. Arrays are contiguous and own
        their memory; bfloat16, which NumPy lacks, becomes float32.

    Raises:
        FileNotFoundError: if there is no such file.
        CheckpointError: if it is cut or damaged, or asks for anything but
            tensors; nothing in it is run.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}")
    cause: Exception | None = None
    with open(path, "rb") as file:
        try:
            is_zip = file.read(2) == b"PK"
            return _read_zip(file) if is_zip else _read_legacy(file)
        except CheckpointError as error:
            reason = str(error)
        except Exception as error:  # the parsers raise many kinds
            reason = f"it is cut or damaged ({error!r:.200})"
            cause = error
    raise CheckpointError(
        f"{path} cannot be read: {reason}. Expected is a whole file that "
        "torch.save(net.state_dict(), path) wrote: save or fetch it again"
        ) from cause


def _read_zip(file: BinaryIO) -> dict[str, np.ndarray]:
    size = file.seek(0, io.SEEK_END)
    with zipfile.ZipFile(file) as archive:
        top = _top_folder(archive.infolist(), size)
        state = load_pickle(io.BytesIO(archive.read(f"{top}data.pkl")),
                            _NAMES, _storage)
        order = "little"
        if f"{top}byteorder" in archive.namelist():
            order = archive.read(f"{top}byteorder").decode()
        tensors = _tensors(state, size)
        keys = dict.fromkeys(t.storage.key for t in tensors.values())
        storages = ((k, archive.read(f"{top}data/{k}")) for k in keys)
        return _arrays(tensors, storages, _ORDERS[order])


def _top_folder(members: list[zipfile.ZipInfo], size: int) -> str:
    """Where data.pkl is, if the sizes of all members can be believed."""
    tops = [m.filename.removesuffix("data.pkl") for m in members
            if re.fullmatch("[^/]+/data.pkl", m.filename)]
    if len(tops) != 1:
        raise CheckpointError("it is a zip archive of another kind")
    if any(m.compress_type != zipfile.ZIP_STORED
           or m.compress_size != m.file_size for m in members):
        raise CheckpointError("its members are compressed")
    if sum(m.file_size for m in members) > size:
        raise CheckpointError("its members claim more bytes than it has")
    return tops[0]


def _read_legacy(file: BinaryIO) -> dict[str, np.ndarray]:
    # A map's read(n) never asks for more memory than the file has bytes.
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        magic, version = (load_pickle(data, {}) for _ in range(2))
        if magic != LEGACY_MAGIC or version != LEGACY_VERSION:
            raise CheckpointError("it is a pickle of another kind")
        load_pickle(data, {})  # the writer's sizes of C types: not used
        tensors = _tensors(load_pickle(data, _NAMES, _storage), len(data))
        keys = load_pickle(data, {})
        return _arrays(tensors, _legacy_storages(data, keys, tensors), "<")


def _legacy_storages(data: mmap.mmap, keys: Any, tensors: dict[str, "_Tensor"]
                     ) -> Iterator[tuple[str, bytes]]:
    """(key, bytes) of each storage; its length stands before it."""
    storages = {t.storage.key: t.storage for t in tensors.values()}
    for key in keys:
        if type(key) is not str or key not in storages:
            raise CheckpointError("it has a storage that no tensor uses")
        count = int.from_bytes(data.read(8), "little", signed=True)
        if count != storages[key].count:
            raise CheckpointError(f"storage {key!r:.100} has {count} elements "
                                  f"instead of {storages[key].count}")
        yield key, data.read(count * storages[key].type.stored.itemsize)


def _tensors(state: Any, file_size: int) -> dict[str, "_Tensor"]:
    """The unpickled object, if it is {name: tensor} of a bearable size."""
    if type(state) is not dict:
        raise CheckpointError(f"it holds {type(state).__name__}, not a dict")
    for name, tensor in state.items():
        if type(name) is not str or type(tensor) is not _Tensor:
            raise CheckpointError(
                f"it holds {type(tensor).__name__} as {name!r:.100}, not "
                "only tensors under names")
    claimed = sum(math.prod(t.size) * t.storage.type.stored.itemsize
                  for t in state.values())
    if claimed > _MAX_EXPANSION * file_size:
        raise CheckpointError(f"its tensors claim more than {_MAX_EXPANSION} "
                              "times its size")
    return state


def _arrays(tensors: dict[str, "_Tensor"],
            storages: Iterable[tuple[str, bytes]], order: _Order
            ) -> dict[str, np.ndarray]:
    """{name: array}, with one storage in memory at a time."""
    arrays: dict[str, np.ndarray] = {}
    names: dict[str, list[str]] = {}
    for name, tensor in tensors.items():
        names.setdefault(tensor.storage.key, []).append(name)
    for key, data in storages:
        for name in names.pop(key):
            arrays[name] = tensors[name].cut(data, order)
    if names:
        raise CheckpointError(f"storage {next(iter(names))!r:.100} is missing")
    return {name: arrays[name] for name in tensors}


@dataclass(frozen=True)
class _Type:
    stored: np.dtype  # in the file
    given: np.dtype  # in the array


@dataclass(frozen=True)
class _Storage:
    key: str
    type: _Type
    count: int  # elements in the file
    first: int  # elements that a view of it leaves out (in old files)
    size: int  # elements from there on


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int  # in elements from the storage's start, as the strides
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def cut(self, data: bytes, order: _Order) -> np.ndarray:
        """The array, from its storage's bytes and their byte order."""
        stored = self.storage.type.stored.newbyteorder(order)
        elements = np.frombuffer(data, stored, self.storage.count)
        view = np.lib.stride_tricks.as_strided(
            elements[self.offset:], self.size,
            [n * stored.itemsize for n in self.stride])
        if self.storage.type is not _BFLOAT16:
            return view.astype(self.storage.type.given, order="C")
        array = np.empty(self.size, np.float32)  # bfloat16 is its upper half
        np.left_shift(view, 16, out=array.view(np.uint32), dtype=np.uint32)
        return array


def _storage(persistent_id: Any) -> _Storage:
    """What a persistent id names; the oldest files add a view of it."""
    tag, kind, key, _, count, *views = persistent_id
    (_, first, size), = [v for v in views if v] or [(key, 0, count)]
    if tag != "storage" or type(kind) is not _Type or type(key) is not str:
        raise CheckpointError("it refers to something that is no storage")
    if not _naturals(count, first, size) or first + size > count:
        raise CheckpointError(f"storage {key!r:.100} has impossible bounds")
    return _Storage(key, kind, count, first, size)


def _tensor(storage: Any, offset: Any, size: Any, stride: Any,
            requires_grad: Any = False, hooks: Any = ()) -> _Tensor:
    """What torch._utils._rebuild_tensor* would make, within bounds."""
    if type(storage) is not _Storage:
        raise CheckpointError("it has a tensor without a storage")
    if (not _naturals(offset, *size, *stride)
            or not len(size) == len(stride) <= _MAX_DIMS):
        raise CheckpointError("it has a tensor of an impossible shape")
    end = offset + 1 + sum((n - 1) * s for n, s in zip(size, stride))
    if end > storage.size and 0 not in size:
        raise CheckpointError("it has a tensor that leaves its storage")
    return _Tensor(storage, storage.first + offset, tuple(size),
                   tuple(stride))


def _naturals(*numbers: object) -> bool:
    return all(type(n) is int and n >= 0 for n in numbers)


def _same(dtype: str) -> _Type:
    return _Type(np.dtype(dtype), np.dtype(dtype))


_BFLOAT16 = _Type(np.dtype("u2"), np.dtype("f4"))
# All that a pickle may mention, and what stands for it here.
_NAMES: dict[str, object] = {
    "torch FloatStorage": _same("f4"),
    "torch DoubleStorage": _same("f8"),
    "torch HalfStorage": _same("f2"),
    "torch BFloat16Storage": _BFLOAT16,
    "torch LongStorage": _same("i8"),
    "torch IntStorage": _same("i4"),
    "torch ShortStorage": _same("i2"),
    "torch CharStorage": _same("i1"),
    "torch ByteStorage": _same("u1"),
    "torch BoolStorage": _Type(np.dtype("u1"), np.dtype("?")),
    "collections OrderedDict": lambda: {},
    "torch._utils _rebuild_tensor": _tensor,
    "torch._utils _rebuild_tensor_v2": _tensor,
    "torch._utils _rebuild_parameter": lambda tensor, *_: tensor,
}
