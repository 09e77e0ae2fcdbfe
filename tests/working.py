"""Train by the workers of an engine: `python working.py BACKEND OUT CASE…`.

Each case is a JSON dict of arguments for `trained`, and "join" of those for
`join_workers`. The first worker writes the weights and losses of all cases.
"""

import json
import os
import signal
import sys

import numpy as np
from harness import SIZES, make_batch, noisy

from d2lbert.backends import load_backend
from d2lbert.checkpoints.params import save_params
from d2lbert.run.models import make_bert
from d2lbert.training.workers import Workers

STEPS, V = 10, 56  # a vocabulary that devices can divide
BATCHES = [make_batch(seed, B=8) for seed in range(3)]


def trained(backend, workers=None, vocab_parts=None, dropout=0.0, send=None,
            **arguments):
    """Weights and losses after ten steps, and what share of them was held.

    Args:
        vocab_parts: those of a `vocab_mesh`.
        send: the name of a signal that the last worker gets at its 6th batch.
        arguments: of `train_bert`.
    """
    d2l = load_backend(backend)
    if vocab_parts:
        arguments["devices"] = d2l.vocab_mesh(d2l.try_all_gpus(), vocab_parts)
    bert = noisy(make_bert(backend, V, **SIZES | {
        "num_blks": 1, "dropout": dropout}), 0, 0.3)
    held, batches = watch_weights(backend), Batches(
        [d2l.to_tensors(batch) for batch in BATCHES],
        send if (workers or Workers()).part[0] else None)
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


def watch_weights(backend):
    """A list that will hold the share of the weights that is in this process
    or, in JAX, on the first of the devices.
    """
    held = []
    if backend == "torch":
        from d2lbert.torch import train
        adam = train.adam

        def watched(net, lr):
            parts = [getattr(p, "_local_tensor", p) for p in net.parameters()]
            held.append(sum(p.numel() for p in parts)
                        / sum(p.numel() for p in net.parameters()))
            train.adam = adam
            return adam(net, lr)

        train.adam = watched
    elif backend == "jax":
        import jax

        from d2lbert.jax import train
        local = train.local

        def watched(params, workers):
            leaves = jax.tree.leaves(params)
            held.append(sum(x.addressable_shards[0].data.size for x in leaves)
                        / sum(x.size for x in leaves))
            train.local = local
            return local(params, workers)

        train.local = watched
    else:
        held.append(1.0)
    return held


def main(backend, out, *cases):
    """Train all cases; the first worker writes what came out."""
    join, arrays = load_backend(backend).join_workers, {}
    for i, case in enumerate(map(json.loads, cases)):
        workers = join(**case.pop("join", {}))
        arrays |= {f"{i}.{name}": array for name, array
                   in trained(backend, workers, **case).items()}
    if workers.is_first:
        save_params(out, arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
