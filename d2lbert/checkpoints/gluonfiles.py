"""Gluon's parameter files, read without MXNet.

`save_parameters` writes a list of arrays and then a list of their names, all
little-endian. MXNet's own reader believes the lengths in a file, and a file
that lies ends the process; here every length is held against what is left.
Source: NDArray::Save in MXNet's src/ndarray/ndarray.cc.
"""

import math
import struct
from pathlib import Path

import numpy as np

from d2lbert.checks import CheckpointError

MAGIC = struct.pack("<Q", 0x112)  # with which such a file begins
# An array's own first four bytes, and the number of dimensions of none
_NO_ARRAY = {0xF993FAC9: 0, 0xF993FACA: -1}
_DENSE = 0
_TYPES = ("<f4", "<f8", "<f2", "u1", "<i4", "i1", "<i8", "?")
_MAX_DIMS = 32  # NumPy's own limit


def read_gluon_file(path: str | Path) -> dict[str, np.ndarray]:
    """Read the named arrays that `save_parameters` wrote.

    Returns:
        {Gluon's name: array} in the file's order.

    Raises:
        FileNotFoundError: if there is no such file.
        CheckpointError: if it is cut or damaged, or holds anything but dense
            arrays with a name each.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}")
    try:
        return _read(_Bytes(path.read_bytes()))
    except _Wrong as error:
        raise CheckpointError(
            f"{path} is not a whole file of save_parameters ({error}): write "
            "it again") from error


class _Wrong(Exception):
    """Why a file cannot be read."""


class _Bytes:
    """The bytes of a file, taken one piece after another."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = memoryview(data), 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, size: int) -> memoryview:
        if size > self.left:
            raise _Wrong(f"{size} bytes are announced and {self.left} there")
        self._at += size
        return self._data[self._at - size:self._at]

    def number(self, code: str) -> int:
        """An integer, by its code in `struct`."""
        (value,) = struct.unpack(
            f"<{code}", self.take(struct.calcsize(f"<{code}")))
        return value

    def count(self) -> int:
        """How many things follow, of a byte each at least."""
        count = self.number("Q")
        if count > self.left:
            raise _Wrong(f"{count} things are announced in {self.left} bytes")
        return count


def _read(file: _Bytes) -> dict[str, np.ndarray]:
    if file.take(16)[:8] != MAGIC:
        raise _Wrong("it does not begin as such a file does")
    arrays = [_array(file) for _ in range(file.count())]
    names = [_name(file) for _ in range(file.count())]
    if len(set(names)) != len(arrays) or len(names) != len(arrays):
        raise _Wrong(f"it has {len(arrays)} arrays and {len(set(names))} "
                     "different names")
    if file.left:
        raise _Wrong(f"{file.left} bytes are left over")
    return dict(zip(names, arrays))


def _array(file: _Bytes) -> np.ndarray:
    magic, kind, dims = file.number("I"), file.number("i"), file.number("i")
    if magic not in _NO_ARRAY or kind != _DENSE:
        raise _Wrong("it holds an array that is sparse, or of a format that "
                     "MXNet 1.9 does not write")
    if dims == _NO_ARRAY[magic] or not 0 <= dims <= _MAX_DIMS:
        raise _Wrong(f"it holds an array of {dims} dimensions")
    shape = [file.number("q") for _ in range(dims)]
    if min(shape, default=1) < 1:
        raise _Wrong(f"it holds an array of shape {shape}")
    file.take(8)  # the device that it was on
    code = file.number("i")
    if not 0 <= code < len(_TYPES):
        raise _Wrong(f"it holds an array of the unknown type {code}")
    dtype = np.dtype(_TYPES[code])
    data = file.take(math.prod(shape) * dtype.itemsize)
    return np.frombuffer(data, dtype).reshape(shape).copy()


def _name(file: _Bytes) -> str:
    try:
        return str(file.take(file.count()), "utf-8")
    except UnicodeDecodeError:
        raise _Wrong("a name is not UTF-8") from None
