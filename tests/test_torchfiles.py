"""PyTorch's files are read without PyTorch, and hostile ones are refused."""

import copyreg
import functools
import io
import os
import pickle
import random
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path
from struct import pack

import numpy as np
import pytest
from safetensors.numpy import load_file

from d2lbert.checkpoints.torchfiles import LEGACY_MAGIC, read_torch_file
from d2lbert.checks import CheckpointError

DATA = Path(__file__).parent / "data"
DTYPES = ("float32", "float64", "float16", "bfloat16", "int8", "int16",
          "int32", "int64", "uint8", "bool")
each_format = pytest.mark.parametrize("is_zip", [True, False],
                                      ids=["zip", "legacy"])


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.fixture
def saved(torch, tmp_path):
    """Function from an object to a file of it by the real torch.save."""
    def save(state, is_zip, protocol=2):
        path = tmp_path / "saved.pt"
        torch.save(state, path, pickle_protocol=protocol,
                   _use_new_zipfile_serialization=is_zip)
        return path
    return save


def assert_same_bits(arrays, tensors):
    """Arrays as PyTorch gives them, whole, in memory of their own."""
    assert list(arrays) == list(tensors)
    for name, tensor in tensors.items():
        tensor = tensor.detach()
        is_bfloat16 = str(tensor.dtype) == "torch.bfloat16"
        expected = (tensor.float() if is_bfloat16 else tensor).numpy()
        array = arrays[name]
        assert array.dtype == expected.dtype and array.dtype.isnative
        assert array.shape == expected.shape
        assert array.tobytes() == expected.tobytes(), name
        assert array.flags.owndata and array.flags.c_contiguous


# What torch.save writes

@each_format
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_dtype(torch, saved, is_zip, protocol):
    bits = torch.arange(-32, 32, dtype=torch.int64) * 2 ** 26 // 7
    state = {dtype: bits.to(getattr(torch, dtype)) for dtype in DTYPES}
    state["odd values"] = torch.tensor(
        [0.0, -0.0, float("inf"), float("nan"), 1e-40, 3e38],
        dtype=torch.bfloat16)
    assert_same_bits(read_torch_file(saved(state, is_zip, protocol)), state)


@each_format
def test_strides_and_offsets(torch, saved, is_zip):
    X = torch.arange(60.0).reshape(3, 4, 5)
    Y = X.transpose(0, 2)
    state = {"transposed": Y, "sliced": X[1:, ::2, 3],
             "expanded": X[:1, :, :1].expand(2, 4, 3), "0-d": X[2, 3, 4],
             "empty": X[:0], "empty from the end": X[3:, :, 2:],
             "bfloat16": Y.bfloat16()[4, ::3], "bool": (Y > 9)[1:],
             "0-d bfloat16": X.bfloat16()[1, 1, 1],
             "nothing": torch.empty(0)}
    assert_same_bits(read_torch_file(saved(state, is_zip)), state)


@each_format
def test_shared_storages_and_parameters(torch, saved, is_zip):
    tied = torch.nn.Parameter(torch.randn(4, 3))
    state = {"embedding": tied, "decoder": tied, "rows": tied.data[1:3],
             "frozen": torch.nn.Parameter(torch.ones(2), False)}
    arrays = read_torch_file(saved(state, is_zip))
    assert_same_bits(arrays, state)
    arrays["embedding"][:] = 0
    assert arrays["decoder"].any() and arrays["rows"].any()


@each_format
def test_bert(torch, saved, is_zip):
    from d2lbert.torch import BERTModel
    net = BERTModel(40, 8, 12, 2, 2, 0.1, max_len=16)
    state = net.state_dict()
    assert_same_bits(read_torch_file(saved(state, is_zip)), state)


@pytest.mark.parametrize("name", ["d2l_torch_zip", "d2l_torch_legacy"])
def test_files_of_d2l(name):
    arrays = read_torch_file(DATA / f"{name}.params")
    expected = load_file(DATA / "d2l_torch.safetensors")
    expected = {name.removeprefix("params/"): array
                for name, array in expected.items() if "params/" in name}
    assert arrays.keys() == expected.keys() and len(arrays) > 30
    for name, array in expected.items():
        np.testing.assert_array_equal(arrays[name], array, strict=True)


def test_pytorch_is_not_needed():
    code = f"""
        import sys
        sys.modules["torch"] = None  # an import would fail
        from d2lbert.checkpoints.torchfiles import read_torch_file
        for kind in ("zip", "legacy"):
            read_torch_file(rf"{DATA}/d2l_torch_{{kind}}.params")
        assert not any(m.startswith("torch.") for m in sys.modules)
        """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


# What it no longer writes, or only elsewhere: files made by hand

class Name:
    """Pickled as nothing but a module and a name, of protocol 2."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Handmade(pickle._Pickler):
    """Writes tuples that begin with "storage" as persistent ids."""

    def persistent_id(self, obj):
        is_id = isinstance(obj, tuple) and obj[:1] == ("storage",)
        return obj if is_id else None

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Name):
            self.write(f"c{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, Call):
            for part in (obj.function, obj.arguments):
                self.save(part)
            self.write(pickle.REDUCE)
        else:
            super().save(obj, save_persistent_id)


class Call:
    def __init__(self, name, *arguments):
        self.function = Name("torch._utils", name)
        self.arguments = arguments


def storage(count, *views, kind="FloatStorage", tag="storage", key="7"):
    return (tag, Name("torch", kind), key, "cpu", count, *views)


def pickled(state):
    file = io.BytesIO()
    Handmade(file, 2).dump(state)
    return file.getvalue()


def write_zip(path, state, elements=b"", order=b"little", **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        archive.writestr("any name/data.pkl", state)
        archive.writestr("any name/byteorder", order)
        archive.writestr("any name/data/7", elements)
    return path


def write_legacy(path, state, elements=b"", count=0, keys=("7",)):
    parts = [pickle.dumps(part, 2) for part in (LEGACY_MAGIC, 1001, {})]
    parts += [state, pickle.dumps(list(keys), 2), pack("<q", count), elements]
    path.write_bytes(b"".join(parts))
    return path


def refused(path):
    """What is said of a file that must not be read."""
    with pytest.raises(CheckpointError) as error:
        read_torch_file(path)
    assert str(path) in str(error.value)
    return str(error.value)


FOUR = np.arange(4, dtype="<f4")


def test_views_of_storages_in_old_files(tmp_path):
    state = pickled({
        "view": Call("_rebuild_tensor", storage(4, ("8", 1, 3)), 1, (2,),
                     (1,)),
        "all": Call("_rebuild_tensor", storage(4, None), 0, (2, 2), (1, 2))})
    path = write_legacy(tmp_path / "old", state, FOUR.tobytes(), 4)
    arrays = read_torch_file(path)
    np.testing.assert_array_equal(arrays["view"], FOUR[2:4])
    np.testing.assert_array_equal(arrays["all"], FOUR.reshape(2, 2).T)


@pytest.mark.parametrize("kind, dtype, expected", [
    ("FloatStorage", ">f4", [0, 1, 2, 3]), ("LongStorage", ">i8", [0, 1, 2]),
    ("BFloat16Storage", ">u2", np.array([0, 65536, 131072], "u4").view("f4"))])
def test_big_endian_files(tmp_path, kind, dtype, expected):
    n = len(expected)
    state = pickled({"a": Call("_rebuild_tensor_v2", storage(n, kind=kind),
                               0, (n,), (1,), False, None)})
    path = write_zip(tmp_path / "big", state,
                     np.arange(n).astype(dtype).tobytes(), b"big")
    array = read_torch_file(path)["a"]
    assert array.dtype.isnative
    np.testing.assert_array_equal(array, expected)


def test_booleans_are_zero_or_one(tmp_path):
    state = pickled({"a": Call("_rebuild_tensor",
                               storage(3, kind="BoolStorage"), 0, (3,), (1,))})
    path = write_zip(tmp_path / "bool", state, bytes([0, 1, 7]))
    assert read_torch_file(path)["a"].view("u1").tolist() == [0, 1, 1]


# What holds something else

@each_format
@pytest.mark.parametrize("state, holds", [
    ([1, 2], "list"), ({"epoch": 3, "loss": 0.5, "state_dict": {}}, "epoch"),
    ({1: None}, "NoneType"), ("weights", "str")])
def test_no_state_dict(saved, is_zip, state, holds):
    message = refused(saved(state, is_zip))
    assert holds in message and "net.state_dict()" in message


@each_format
def test_a_whole_module_is_refused(torch, saved, is_zip):
    message = refused(saved(torch.nn.Linear(2, 2), is_zip))
    assert "torch.nn.modules.linear.Linear" in message


def test_files_of_another_kind(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing here"):
        read_torch_file(tmp_path / "nothing here")
    path = tmp_path / "file"
    for content in (b"", b"P", b"PK", b"\x80", b"text", bytes(100),
                    pickle.dumps({"a": 1}, 2)):
        path.write_bytes(content)
        refused(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("pretrained.params", b"")
    assert "another kind" in refused(path)


# Hostile files

def touch(marker):
    return f"\"{sys.executable}\" -c \"open(r'{marker}', 'w')\""


class Reduced:
    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


def hostile_pickles(marker):
    """{what it tries: pickle}; all of them write the file marker."""
    def text(line):
        return b"X" + pack("<I", len(line)) + line.encode()

    command = text(touch(marker))
    system = f"c{os.system.__module__}\nsystem\n".encode()
    partial = functools.partial(os.system, touch(marker))
    write = f"open(r'{marker}', 'w')"
    pickles = {f"system {n}": pickle.dumps(
        Reduced(os.system, (touch(marker),)), n) for n in range(6)}
    pickles |= {f"eval {n}": pickle.dumps(Reduced(eval, (write,)), n)
                for n in (2, 4)}
    return pickles | {
        "partial": pickle.dumps(Reduced(partial, ()), 2),
        "value": pickle.dumps({"a": Reduced(eval, (write,))}, 2),
        "key": pickle.dumps({Reduced(eval, (write,)): 1}, 2),
        "STACK_GLOBAL": b"\x80\x04" + text("os") + text("system") + b"\x93"
                        + command + b"\x85R.",
        "INST": b"(" + command + b"ios\nsystem\n.",
        "OBJ": b"(" + system + command + b"o.",
        "EXT1": b"\x80\x02\x82\xf0" + command + b"\x85R."}


@pytest.fixture
def extension():
    """Code 240 stands for os.system, as a program may have arranged."""
    copyreg.add_extension("os", "system", 240)
    yield
    copyreg.remove_extension("os", "system", 240)


def test_nothing_hostile_runs(tmp_path, extension):
    marker = tmp_path / "marker"
    for what, content in hostile_pickles(marker).items():
        pickle.loads(content)
        assert marker.exists(), f"{what} is harmless"
        marker.unlink()
        for write in (write_zip, write_legacy):
            message = refused(write(tmp_path / "hostile", content))
            assert not marker.exists(), what
            assert "it asks for" in message or "instruction" in message


@pytest.mark.parametrize("module, name", [
    ("this", "d"), ("collections", "Counter"), ("collections", "abc"),
    ("torch", "load"), ("torch._utils", "_import_dotted_name"),
    ("torch._utils", "_rebuild_tensor_v2.__globals__"),
    ("numpy.core.multiarray", "_reconstruct"), ("torch", "FloatTensor")])
def test_names_off_the_list(tmp_path, module, name):
    sys.modules.pop("this", None)
    for write in (write_zip, write_legacy):
        state = pickled({"a": Name(module, name)})
        assert f"{module}.{name}" in refused(write(tmp_path / "a", state))
    assert "this" not in sys.modules


def test_messages_do_not_command_the_terminal(tmp_path):
    for state in (Name("\x1b[2J", "x"), {"\x1b[2J": 1}):
        message = refused(write_zip(tmp_path / "a", pickled(state)))
        assert message.isprintable() and "[2J" in message


def test_attributes_of_functions_stay(tmp_path):
    """BUILD could give our own functions other defaults or code."""
    state = (b"\x80\x02ctorch._utils\n_rebuild_tensor\n"
             b"N}X\x0c\x00\x00\x00__defaults__)s\x86b.")
    for write in (write_zip, write_legacy):
        message = refused(write(tmp_path / "build", state))
        assert "only dict can be" in message


def test_called_are_only_functions(tmp_path):
    for what in (b"(K\x01K\x02t", b"ctorch\nFloatStorage\n", b"}", b"N"):
        path = write_zip(tmp_path / "call", b"\x80\x02" + what + b")R.")
        assert "only function can be" in refused(path)


# Bounds

BAD_TENSORS = {
    "longer": (storage(4), 0, (5,), (1,)),
    "offset": (storage(4), 1, (4,), (1,)),
    "strides": (storage(4), 0, (2, 2), (3, 1)),
    "negative stride": (storage(4), 3, (2,), (-1,)),
    "negative offset": (storage(4), -1, (2,), (1,)),
    "negative size": (storage(4), 0, (-1, -1), (1, 1)),
    "fewer strides": (storage(4), 0, (2, 2), (1,)),
    "dimensions": (storage(4), 0, (1,) * 33, (1,) * 33),
    "fractions": (storage(4), 0, (2.0,), (1,)),
    "truth": (storage(4), 0, (True,), (1,)),
    "expansion": (storage(4), 0, (10 ** 6, 10 ** 6), (0, 0)),
    "infinity": (storage(4), 0, (0, 10 ** 40), (10 ** 40, 1)),
    "no storage": (None, 0, (1,), (1,)),
    "no type": (("storage", "torch", "7", "cpu", 4), 0, (1,), (1,)),
    "no key": (storage(4, key=7), 0, (1,), (1,)),
    "other key": (storage(4, key="../8"), 0, (1,), (1,)),
    "claimed storage": (storage(5), 0, (1,), (1,)),
    "huge storage": (storage(10 ** 15), 0, (1,), (1,)),
    "beyond all": (storage(2 ** 200), 0, (1,), (1,)),
    "negative storage": (storage(-1), 0, (0,), (1,)),
    "view": (storage(4, ("8", 2, 2)), 0, (3,), (1,)),
    "view outside": (storage(4, ("8", 3, 2)), 0, (1,), (1,)),
    "view before": (storage(4, ("8", -1, 2)), 0, (1,), (1,))}


@pytest.mark.parametrize("what", BAD_TENSORS)
def test_tensors_stay_within_their_storage(tmp_path, what):
    state = pickled({"a": Call("_rebuild_tensor", *BAD_TENSORS[what])})
    count = BAD_TENSORS[what][0][4] if BAD_TENSORS[what][0] else 4
    refused(write_zip(tmp_path / "zip", state, FOUR.tobytes()))
    refused(write_legacy(tmp_path / "old", state, FOUR.tobytes(),
                         min(count, 2 ** 62)))


def test_storages_are_as_the_tensors_say(tmp_path):
    state = pickled({"a": Call("_rebuild_tensor", storage(4), 0, (4,), (1,))})
    path = tmp_path / "old"
    for keys, reason in (((), "missing"), (("8",), "no tensor uses"),
                         ((("7",),), "no tensor uses")):
        assert reason in refused(write_legacy(path, state, keys=keys))
    write_legacy(path, state, FOUR.tobytes() * 2, 5)
    assert "5 elements" in refused(path)


def test_shared_storages_do_not_multiply(tmp_path):
    size = 10 ** 5
    tensor = Call("_rebuild_tensor", storage(size), 0, (size,), (1,))
    path = tmp_path / "shared"
    few, many = ({str(i): tensor for i in range(n)} for n in (30, 2000))
    write_zip(path, pickled(few), bytes(4 * size))
    assert len(read_torch_file(path)) == 30
    write_zip(path, pickled(many), bytes(4 * size))
    assert "times its size" in refused(path)


def test_archives_do_not_unpack_to_more(tmp_path):
    tensor = Call("_rebuild_tensor", storage(10 ** 6), 0, (10 ** 6,), (1,))
    path = write_zip(tmp_path / "zip", pickled({"a": tensor}),
                     bytes(4 * 10 ** 6), compression=zipfile.ZIP_DEFLATED)
    assert "compressed" in refused(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("any/data.pkl", pickled({}))
        archive.writestr("any/data/7", bytes(10 ** 4))
        archive.filelist += archive.filelist[1:] * 50  # of the same bytes
    assert "claim" in refused(path)


NESTED = b"\x80\x02)" + b"\x85" * 2 * 10 ** 5


@pytest.mark.parametrize("state", [
    pytest.param(NESTED + b".", id="deep"),
    pytest.param(b"\x80\x02}" + NESTED[2:] + b"K\x01s.", id="deep key"),
    pytest.param(b"\x80\x02})" + b"q\x00h\x00\x86" * 99 + b"K\x01s.",
                 id="key without end"),
    pytest.param(b"\x80\x02]q\x00h\x00a.", id="list of itself"),
    pytest.param(b"\x80\x02}r\xff\xff\xff\xff.X\xff\xff\xff\xff", id="memo"),
    pytest.param(b"\x80\x02X\xff\xff\xff\xffa.", id="long string"),
    pytest.param(b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7fa.", id="long bytes"),
    pytest.param(b"\x80\x02\x8b\xff\xff\xff\x7f1.", id="long integer")])
def test_bombs(tmp_path, state):
    for write in (write_zip, write_legacy):
        try:
            assert read_torch_file(write(tmp_path / "bomb", state)) == {}
        except CheckpointError:
            pass


# Damage

@pytest.fixture
def small(torch, saved):
    """Function that gives the bytes and the tensors of a small file."""
    def make(is_zip):
        state = torch.nn.Linear(3, 2).state_dict()
        state["steps"] = torch.arange(6).reshape(2, 3).T
        return saved(state, is_zip).read_bytes(), state
    return make


@each_format
def test_cut_files(tmp_path, small, is_zip):
    content, state = small(is_zip)
    path = tmp_path / "cut"
    path.write_bytes(content)
    assert_same_bits(read_torch_file(path), state)
    for length in {*range(0, len(content), 5), *range(1, 40),
                   *range(len(content) - 60, len(content))}:
        path.write_bytes(content[:length])
        refused(path)


@each_format
def test_changed_bytes(tmp_path, small, is_zip):
    content, state = small(is_zip)
    rng = random.Random(0)
    path = tmp_path / "damaged"
    outcomes = []
    for _ in range(500):
        damaged = bytearray(content)
        damaged[rng.randrange(len(content))] ^= rng.randrange(1, 256)
        path.write_bytes(damaged)
        try:
            arrays = read_torch_file(path)
        except CheckpointError:
            outcomes.append("refused")
        else:
            outcomes.append("read")
            if is_zip:  # its checksums see any change of what is read
                assert_same_bits(arrays, state)
    assert {"refused", "read"} == set(outcomes)
