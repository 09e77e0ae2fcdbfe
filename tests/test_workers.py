"""Several workers, devices and parts compute what one alone does."""

import json
import os
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from harness import each_backend, installed, only
from working import trained

from d2lbert.backends import BACKENDS, load_backend
from d2lbert.checkpoints.params import load_params
from d2lbert.run.__main__ import arguments
from d2lbert.run.together import Together, environment, roles

WORKING = Path(__file__).with_name("working.py")
CLIP = 3.0  # shorter than the gradient in every third step, and no other
PARTS = {"accumulate": 2, "clip": CLIP}
SHARDED = {"join": {"is_sharded": True}}


def work(backend, number, out, *cases):
    """The results of all cases by so many workers, a list of dicts."""
    with only(backend):
        failure = Together([sys.executable, str(WORKING), backend, str(out),
                            *map(json.dumps, cases)], backend, number).wait()
    assert not failure, failure
    return results_in(out, len(cases))


def results_in(out, number):
    arrays = load_params(out)
    return [{name.partition(".")[2]: array for name, array in arrays.items()
             if name.startswith(f"{i}.")} for i in range(number)]


def assert_same(ours, theirs, tolerance=1e-5):
    """Equal losses and weights, but for the keys' biases: their gradient is
    0, and Adam makes steps of its rounding errors."""
    for name in theirs.keys() - {"held"}:
        if not name.endswith("W_k.bias"):
            np.testing.assert_allclose(
                ours[name], theirs[name], rtol=0, atol=tolerance,
                err_msg=name)


@pytest.fixture(scope="module")
def alone():
    """What one worker computes from whole batches, by backend and clip."""
    known = {}

    def compute(backend, clip=None):
        if (backend, clip) not in known:
            known[backend, clip] = trained(backend, clip=clip)
        return known[backend, clip]

    return compute


@each_backend()
def test_parts_of_a_batch(backend, alone):
    assert_same(trained(backend, **PARTS), alone(backend, CLIP))
    start, clipped = (alone(backend, clip)["log.losses"]
                      for clip in (None, CLIP))
    assert abs(start - clipped).max() > 1e-4  # clipping does something


@each_backend()
def test_two_workers(backend, alone, tmp_path):
    """Ten steps; stopped by a Ctrl-C at one of them; gone on with."""
    drops = {"dropout": 0.3, "resume": str(tmp_path / "a"), "save_every": 2}
    cases = [{}, PARTS, {"dropout": 0.3}, drops | {"send": "SIGINT"}, drops]
    if backend == "torch":
        again = drops | SHARDED | {"resume": str(tmp_path / "b")}
        cases += [SHARDED | PARTS, SHARDED | {"dropout": 0.3},
                  again | {"send": "SIGINT"}, again]
    plain, parts, *others = work(backend, 2, tmp_path / "out", *cases)
    assert_same(plain, alone(backend))
    assert_same(parts, alone(backend, CLIP))
    if backend == "torch":
        assert_same(others.pop(3), alone(backend, CLIP))
        assert others[3]["held"] < 0.6 and plain["held"] == 1
    while others:
        through, stopped, resumed, *others = others
        assert stopped["log.losses"].shape[1] == 6
        assert resumed.keys() == through.keys()
        for name in through:
            assert (resumed[name] == through[name]).all(), name
        assert abs(through["log.losses"] - plain["log.losses"]).max() > 1e-3


@each_backend()
def test_four_workers(backend, alone, tmp_path):
    (result,) = work(backend, 4, tmp_path / "out", {"clip": CLIP})
    assert_same(result, alone(backend, CLIP))


@each_backend()
def test_a_worker_that_dies_ends_the_others(backend, tmp_path):
    start = time.monotonic()
    with pytest.raises(AssertionError, match=r"worker \d: killed by SIGKILL"):
        work(backend, 2, tmp_path / "out", {"send": "SIGKILL"})
    assert time.monotonic() - start < 60
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not installed("torch"), reason="torch is not installed")
def test_devices_in_pytorch(alone):
    import torch
    devices = [torch.device("cpu"), torch.device("cpu", 0)]  # not equal
    assert_same(trained("torch", devices=devices), alone("torch"))
    assert_same(trained("torch", devices=devices, **PARTS),
                alone("torch", CLIP))


@pytest.mark.skipif(not installed("mxnet"), reason="mxnet is not installed")
def test_devices_in_mxnet(alone):
    from mxnet import cpu
    devices = [cpu(0), cpu(1)]
    assert_same(trained("mxnet", devices=devices), alone("mxnet"))
    assert_same(trained("mxnet", devices=devices, **PARTS),
                alone("mxnet", CLIP))


@each_backend(without="jax")
def test_each_worker_draws_its_own_dropout(backend):
    module, draw = {
        "torch": ("parallel", lambda: import_module("torch").rand(9)),
        "mxnet": ("resume", lambda: import_module("mxnet").np.random.uniform(
            size=9).asnumpy())}[backend]
    seed_step = import_module(f"d2lbert.{backend}.{module}").seed_step

    def drawn(rank):
        seed_step(3, 5, SimpleNamespace(rank=rank, size=2))
        return draw().tolist()

    assert drawn(0) == drawn(0) != drawn(1)


@pytest.mark.skipif(not installed("jax"), reason="jax is not installed")
def test_devices_and_a_divided_vocabulary_in_jax(alone, tmp_path):
    # Equal rows: without dropout of its own no device would differ
    cases = [{}, PARTS, {"vocab_parts": 4, "clip": CLIP}, {"vocab_parts": 2},
             {"alike": 8, "dropout": 0.5},
             {"alike": 4, "dropout": 0.5, "num_devices": 2}]
    subprocess.run(
        [sys.executable, WORKING, "jax", tmp_path / "out",
         *map(json.dumps, cases)], check=True, env={**os.environ,
         "XLA_FLAGS": "--xla_force_host_platform_device_count=4"})
    rows, parts, four, two, *alike = results_in(tmp_path / "out", len(cases))
    for result in (rows, two):
        assert_same(result, alone("jax"))
    for result in (parts, four):
        assert_same(result, alone("jax", CLIP))
    assert four["held"] < two["held"] < rows["held"] == 1
    by_four, by_two = (result["log.losses"][0, 0] for result in alike)
    assert abs(by_four - by_two) > 1e-3


@each_backend()
def test_an_environment_that_lacks_something(backend, monkeypatch):
    marker = BACKENDS[backend].marker
    monkeypatch.setenv(marker, "2")
    with pytest.raises(ValueError, match=f"{marker} is set, so this is a "
                       "worker, and [A-Z_]+ is not"):
        load_backend(backend).join_workers()


@each_backend()
def test_only_threads_of_a_parameter_server_have_arenas(backend, monkeypatch):
    kept = "glibc.malloc.mmap_max=0"
    monkeypatch.setenv("GLIBC_TUNABLES", f"glibc.malloc.arena_max=1:{kept}")
    given = kept if backend == "mxnet" else os.environ["GLIBC_TUNABLES"]
    for _, role in roles(backend, 2):
        assert environment(2, role)["GLIBC_TUNABLES"] == given
    # One of this machine, whose others are elsewhere
    monkeypatch.setenv(BACKENDS[backend].marker, "worker")
    assert environment(1, {})["GLIBC_TUNABLES"] == given


@pytest.mark.skipif(not installed("jax"), reason="jax is not installed")
def test_jax_needs_equal_parts(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        f"import sys\nsys.path.insert(0, {str(WORKING.parent)!r})\n"
        "from working import trained\n"
        "from d2lbert import jax as d2l\nworkers = d2l.join_workers()\n"
        "try:\n    trained('jax', workers)\nexcept ValueError as error:\n"
        "    open(f'{sys.argv[1]}{workers.rank}', 'w').write(str(error))\n")
    failure = Together([sys.executable, str(program), str(tmp_path / "said")],
                       "jax", 3).wait()
    assert not failure, failure
    for rank in range(3):
        assert (tmp_path / f"said{rank}").read_text() == (
            "a batch of 8 examples cannot be divided into 3 equal parts: "
            "choose a multiple")


@pytest.mark.skipif(not installed("jax"), reason="jax is not installed")
def test_meshes_that_cannot_be():
    from d2lbert import jax as d2l
    devices = [SimpleNamespace(process_index=i) for i in (0, 0, 1, 1)]
    with pytest.raises(ValueError, match="4 devices cannot be divided among"):
        d2l.vocab_mesh(devices, 3)
    with pytest.raises(ValueError, match="4 parts .* of several processes"):
        d2l.vocab_mesh(devices, 4)


@pytest.mark.skipif(not installed("torch"), reason="torch is not installed")
@pytest.mark.parametrize("start", [
    ["d2lbert.run", "--workers", "2"],
    ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m",
     "d2lbert.run"]])
def test_a_run_by_two_workers(start, tmp_path):
    """By a command of ours, and by PyTorch's."""
    done = subprocess.run(
        [sys.executable, "-m", *start, "--backend", "torch", "--steps", "2",
         "--results", tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "torch.json").read_text("utf-8"))
    assert result["workers"] == 2 and len(result["mlm"]) == 2
    assert done.stdout.count("| PyTorch |") == 1
    assert "on 2 workers' [" in done.stdout
    assert not (tmp_path / "torch" / "checkpoints").exists()


@pytest.mark.parametrize("options, message", [
    (["--workers", "0"], "--workers is 0, not 1 or more"),
    (["--workers", "2", "--chapter", "nli-bert"],
     "nli-bert trains in one process")])
def test_workers_that_cannot_be(options, message, capsys):
    with pytest.raises(SystemExit):
        arguments(options)
    assert message in capsys.readouterr().err


def test_a_worker_of_an_engine_is_of_one_backend(monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SystemExit):
        arguments([])
    assert "a worker of PyTorch: give --backend torch" in (
        capsys.readouterr().err)


def test_other_programs_are_started(tmp_path):
    """Each knows its number; the first failure is the message."""
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys\nrank = os.environ['RANK']\n"
        "os.write(1, f'{rank} {sys.argv[1]}\\n'.encode())  # at once\n"
        "sys.exit(3 * int(rank))")
    done = subprocess.run(
        [sys.executable, "-m", "d2lbert.run.together", "torch", "2", program,
         "word"], capture_output=True, text=True)
    assert sorted(done.stdout.split("\n")) == ["", "0 word", "1 word"]
    assert done.returncode == 1
    assert done.stderr == "error: worker 1: exit status 3\n"


@each_backend()
@pytest.mark.parametrize("argument, message", [
    ({"accumulate": 0}, "accumulate is 0, not a whole number from 1"),
    ({"accumulate": 9}, "cannot be divided"),
    ({"clip": -1.0}, "clip is -1.0, not a positive norm"),
    ({"clip": "1"}, "clip is '1', not a positive norm")])
def test_parts_that_cannot_be(backend, argument, message):
    with pytest.raises(ValueError, match=message):
        trained(backend, **argument)
