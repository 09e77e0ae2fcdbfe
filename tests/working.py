"""Train by the workers of an engine: `python working.py BACKEND OUT CASE…`.

Each case is a JSON dict of arguments for `train_bert`, "join" of those for
`join_workers`. The first worker writes the weights and losses of all cases.
"""

import json
import sys

import numpy as np
from harness import SIZES, make_batch, noisy

from d2lbert.backends import load_backend
from d2lbert.checkpoints.params import save_params
from d2lbert.run.models import make_bert

STEPS, V = 10, 56  # a vocabulary that devices can divide
BATCHES = [make_batch(seed, B=8) for seed in range(3)]


def trained(backend, workers=None, vocab_parts=None, **arguments):
    """Weights and losses after ten steps without dropout.

    Args:
        arguments: of `train_bert`; vocab_parts: those of a `vocab_mesh`.
    """
    d2l = load_backend(backend)
    if vocab_parts:
        arguments["devices"] = d2l.vocab_mesh(d2l.try_all_gpus(), vocab_parts)
    bert = noisy(make_bert(backend, V, **SIZES), 0, 0.3)
    batches = [d2l.to_tensors(batch) for batch in BATCHES]
    log = bert.train(batches, V, STEPS, lr=1e-3, seed=0, workers=workers,
                     **arguments)
    return bert.export_params() | {"log.losses": np.array(log.losses)}


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
