"""Train by the workers of an engine: `python working.py BACKEND OUT CASE…`.

Each case is a JSON dict of arguments for `trained`, and "join" of those for
`join_workers`. The first worker writes the weights and losses of all cases.
"""

import json
import os
import signal
import sys
from contextlib import contextmanager
from importlib import import_module
from unittest.mock import patch

import numpy as np
from harness import SIZES, make_batch, noisy

from d2lbert.backends import load_backend
from d2lbert.checkpoints.params import save_params
from d2lbert.run.models import make_bert
from d2lbert.training.workers import Workers

STEPS, V = 10, 56  # a vocabulary that devices can divide
BATCHES = [make_batch(seed, B=8) for seed in range(3)]


def trained(backend, workers=None, vocab_parts=None, dropout=0.0, send=None,
            alike=0, num_devices=None, **arguments):
    """Weights and losses after ten steps, and what share of them was held.

    Args:
        vocab_parts: those of a `vocab_mesh`.
        alike: so many rows, all the same, that each batch has instead.
        num_devices: only so many of the devices.
        send: the name of a signal that the last worker gets at its 6th batch.
        arguments: of `train_bert`.
    """
    d2l = load_backend(backend)
    if vocab_parts:
        arguments["devices"] = d2l.vocab_mesh(d2l.try_all_gpus(), vocab_parts)
    if num_devices:
        arguments["devices"] = d2l.try_all_gpus()[:num_devices]
    bert = noisy(make_bert(backend, V, **SIZES | {
        "num_blks": 1, "dropout": dropout}), 0, 0.3)
    arrays = [[x[:1].repeat(alike, 0) for x in batch] if alike else batch
              for batch in BATCHES]
    batches = Batches([d2l.to_tensors(batch) for batch in arrays],
                      send if (workers or Workers()).part[0] else None)
    with weights_watched(backend) as held:
        log = bert.train(batches, V, STEPS, lr=1e-3, seed=0, workers=workers,
                         **arguments)
    return bert.export_params() | {
        "log.losses": np.array(log.losses), "held": np.array(held[0])}


class Batches(list):
    """Batches, of which the sixth comes with a signal."""

    def __init__(self, batches, send):
        super().__init__(batches)
        self.send, self.count = send, 0

    def __iter__(self):
        for batch in super().__iter__():
            self.count += 1
            if self.send and self.count == 6:
                os.kill(os.getpid(), getattr(signal, self.send))
            yield batch


@contextmanager
def weights_watched(backend):
    """A list that will hold the share of the weights that is in this process
    or, in JAX, on the first of the devices.
    """
    held = []
    name, share = {"torch": ("adam", share_in_torch),
                   "jax": ("local", share_in_jax)}.get(
                       backend, ("adam", lambda net: 1.0))
    module = import_module(f"d2lbert.{backend}.train")
    function = getattr(module, name)

    def watched(weights, other):
        held.append(share(weights))
        return function(weights, other)

    with patch.object(module, name, watched):
        yield held


def share_in_torch(net):
    local = [getattr(p, "_local_tensor", p) for p in net.parameters()]
    return (sum(p.numel() for p in local)
            / sum(p.numel() for p in net.parameters()))


def share_in_jax(params):
    from jax import tree
    leaves = tree.leaves(params)
    return (sum(x.addressable_shards[0].data.size for x in leaves)
            / sum(x.size for x in leaves))


def main(backend, out, *cases):
    """Train all cases; the first worker writes what came out."""
    # A program that a shell has started with & ignores Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
    join, arrays = load_backend(backend).join_workers, {}
    for i, case in enumerate(map(json.loads, cases)):
        workers = join(**case.pop("join", {}))
        arrays |= {f"{i}.{name}": array for name, array
                   in trained(backend, workers, **case).items()}
    if workers.is_first:
        save_params(out, arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
