"""Measure what a step of several workers is made of, on this machine:

    python -m d2lbert.run.measure torch --workers 2

Each worker computes its part of a batch by itself, at the same time as the
others; then they add up arrays of the size of the gradients; then they train
together. The batch is random, of the sizes of WikiText-2.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from d2lbert.backends import BACKENDS, load_backend
from d2lbert.checkpoints.d2l import bert_shapes
from d2lbert.data.batches import random_batch
from d2lbert.files import read_json, write_whole
from d2lbert.original.config import num_parameters
from d2lbert.run.models import make_bert
from d2lbert.run.together import Together
from d2lbert.training.workers import Workers

SIZES = {"num_hiddens": 128, "ffn_num_hiddens": 256, "num_heads": 2,
         "num_blks": 2}
VOCAB_SIZE, BATCH_SIZE, MAX_LEN = 20_256, 256, 64
STEPS, TIMES = 4, 5


def measure_step(backend: str, workers: int = 2,
                 batch_size: int = BATCH_SIZE) -> dict[str, float]:
    """Seconds of a step by so many workers of this machine, and of its parts.

    Args:
        batch_size: of the joint batch.

    Returns:
        `alone`: of a worker's part of the batch, without the others' gradients
        but while they compute theirs; `exchange`: of adding up an array of
        the gradients' `bytes`; `joint`: of a step of all. And `workers`,
        `batch_size`.

    Raises:
        ValueError: for a backend without workers, or if one has failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "seconds.json")
        failure = Together(
            [sys.executable, "-m", "d2lbert.run.measure", backend, "--out",
             str(out), "--batch-size", str(batch_size)], backend, workers,
            is_quiet=True).wait()
        if failure:
            raise ValueError(f"nothing is measured: {failure}")
        return read_json(out, dict)


def be_worker(backend: str, batch_size: int) -> dict[str, float]:
    """What `measure_step` returns, in each of the workers."""
    d2l = load_backend(backend)
    workers = d2l.join_workers()
    batch = d2l.to_tensors(random_batch(VOCAB_SIZE, batch_size, MAX_LEN))
    part = [x[workers.rank::workers.size] for x in batch]
    size = num_parameters(bert_shapes(VOCAB_SIZE, **SIZES))
    ones = d2l.to_tensors([np.ones(size, np.float32)])[0]
    alone = _step_seconds(backend, part, Workers(),
                          workers.own(d2l.try_all_gpus()))
    exchange = min(_seconds(workers, ones) for _ in range(TIMES))
    joint = _step_seconds(backend, batch, workers)
    return {"alone": alone, "exchange": exchange, "joint": joint,
            "bytes": 4 * size, "workers": workers.size,
            "batch_size": batch_size}


def _step_seconds(backend: str, batch: Any, workers: Workers,
                  devices: Any = None) -> float:
    """The mean over some steps of `train_bert`, without the first."""
    bert = make_bert(backend, VOCAB_SIZE, dropout=0.0, **SIZES)
    log = bert.train([batch], VOCAB_SIZE, STEPS, seed=0, devices=devices,
                     precision="float32", workers=workers)
    return log.seconds / (STEPS - 1)


def _seconds(workers: Workers, array: Any) -> float:
    """Of one addition over all workers, which begin together."""
    workers.total((0.0,))
    start = perf_counter()
    float(workers.summed(array)[0])
    return perf_counter() - start


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and print or write what came out as JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m d2lbert.run.measure",
        description=(__doc__ or "").splitlines()[0])
    parser.add_argument("backend", choices=list(BACKENDS))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=BATCH_SIZE)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if not args.out:
        print(json.dumps(measure_step(
            args.backend, args.workers, args.batch_size), indent=1))
        return
    result = be_worker(args.backend, args.batch_size)
    if load_backend(args.backend).join_workers().is_first:
        write_whole(args.out, json.dumps(result))


if __name__ == "__main__":
    main()
