"""Gluon's files, read without MXNet, and hostile ones."""

import struct
from pathlib import Path

import numpy as np
import pytest
from harness import installed

from d2lbert.checkpoints.gluonfiles import MAGIC, read_gluon_file
from d2lbert.checkpoints.params import load_params
from d2lbert.checks import CheckpointError

DATA = Path(__file__).parent / "data"


def u64(number):
    return struct.pack("<Q", number)


def packed(data=b"\0" * 8, magic=0xF993FACA, kind=0, dims=1, shape=(2,),
           code=0):
    """An array as Gluon writes it."""
    return (struct.pack("<Iii", magic, kind, dims)
            + b"".join(struct.pack("<q", n) for n in shape)
            + struct.pack("<iii", 1, 0, code) + data)


def archive(arrays, names=(b"a",), num_arrays=None, num_names=None):
    """A file of arrays, whose counts may lie."""
    lengths = [u64(len(name)) + name for name in names]
    return (MAGIC + u64(0) + u64(len(arrays) if num_arrays is None
                                 else num_arrays) + b"".join(arrays)
            + u64(len(names) if num_names is None else num_names)
            + b"".join(lengths))


@pytest.fixture
def read(tmp_path):
    def read(data):
        path = tmp_path / "x.params"
        path.write_bytes(data)
        return read_gluon_file(path)
    return read


@pytest.mark.skipif(not installed("mxnet"), reason="mxnet is not installed")
@pytest.mark.parametrize("dtype", [
    "float32", "float64", "float16", "uint8", "int32", "int8", "int64",
    "bool"])
def test_what_mxnet_writes_reads_the_same(dtype, tmp_path):
    from mxnet import np as mnp, npx
    rng = np.random.default_rng(0)
    arrays = {f"n\u00e4me.{i}": (9 * rng.normal(size=shape)).astype(dtype)
              for i, shape in enumerate([(), (3,), (2, 3), (1, 2, 3, 4)])}
    npx.save(str(tmp_path / "x"), {
        name: mnp.array(x, dtype=dtype) for name, x in arrays.items()})
    got = read_gluon_file(tmp_path / "x")
    assert got.keys() == arrays.keys()
    for name, x in arrays.items():
        assert got[name].dtype == x.dtype and got[name].flags.writeable
        np.testing.assert_array_equal(got[name], x)


def test_the_arrays_of_mxnet_before_numpys_shapes(read):
    values = np.arange(2, dtype=np.float32)
    old = packed(values.tobytes(), magic=0xF993FAC9)
    assert read(archive([old]))["a"].tolist() == [0, 1]


def test_a_safetensors_file_of_the_same_first_bytes(tmp_path):
    """Its header is as long as Gluon's number is high."""
    header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    (tmp_path / "x").write_bytes(
        MAGIC + header.ljust(0x112) + struct.pack("<f", 1))
    assert load_params(tmp_path / "x")["a"].tolist() == [1]


@pytest.mark.parametrize("data, said", [
    (archive([packed(dims=-1, shape=())]), "-1 dimensions"),
    (archive([packed(dims=-1, shape=(2,))]), "-1 dimensions"),
    (archive([packed(dims=0, shape=(), magic=0xF993FAC9)]), "0 dimensions"),
    (archive([packed(dims=2**31 - 1)]), "2147483647 dimensions"),
    (archive([packed(shape=(-2,))]), r"shape \[-2\]"),
    (archive([packed(shape=(0,), data=b"")]), r"shape \[0\]"),
    (archive([packed(dims=3, shape=(2**62,) * 3)]), "announced and"),
    (archive([packed(shape=(2**40,))]), "4398046511104 bytes are announced"),
    (archive([packed(code=99)]), "unknown type 99"),
    (archive([packed(code=-1)]), "unknown type -1"),
    (archive([packed(kind=1)]), "sparse"),
    (archive([packed(magic=7)]), "of a format that MXNet 1.9"),
    (archive([packed()], num_arrays=2**60), "1152921504606846976 things"),
    (archive([packed()], num_names=2**60), "1152921504606846976 things"),
    (archive([packed()], [b"a", b"b"]), "1 arrays and 2 different names"),
    (archive([packed()] * 2, [b"a", b"a"]), "2 arrays and 1 different names"),
    (archive([packed()], [b"\xff"]), "not UTF-8"),
    (archive([packed()]) + b"x", "1 bytes are left over"),
    (b"x" * 40, "does not begin")])
def test_a_file_that_lies_is_an_error(read, data, said):
    assert read(archive([packed()]))["a"].tolist() == [0, 0]
    with pytest.raises(CheckpointError, match=said):
        read(data)


def test_cut_anywhere_or_with_any_byte_changed(read):
    whole = archive([packed(), packed(shape=(1, 2), dims=2)], [b"a", b"bc"])
    for end in range(len(whole)):
        with pytest.raises(CheckpointError, match="not a whole file"):
            read(whole[:end])
    for at in range(len(whole)):
        for value in (0, 1, 127, 255):
            changed = bytearray(whole)
            changed[at] = value
            try:
                arrays = read(bytes(changed))
            except CheckpointError:
                continue
            assert len(arrays) == 2


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no checkpoint"):
        read_gluon_file(tmp_path / "none")
