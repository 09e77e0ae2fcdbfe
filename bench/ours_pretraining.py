"""Time this project's BERT pretraining at the sizes of `d2l_pretraining.py`.

    .venv/bin/python bench/ours_pretraining.py jax --steps 20

It trains as a reader does, by `load_data_wiki` and `train_bert`, on the
WikiText-2 that these find. What is timed includes making the batches; the
first step of every batch shape is a warm-up and is not counted. `matrix_share`
is the speed of the products that valid tokens need, as a share of that of
plain products of the same shapes, which are timed afterwards.
"""

import argparse
import json
from itertools import islice

import numpy as np
from d2l_pretraining import BATCH_SIZE, MAX_LEN, SIZES
from matrices import matrix_speed, pair_flops

from d2lbert.backends import BACKENDS, load_backend
from d2lbert.run.models import make_bert


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("backend", choices=BACKENDS)
    parser.add_argument("--steps", type=int, default=20)
    args = parser.parse_args()
    d2l = load_backend(args.backend)
    train_iter, vocab = d2l.load_data_wiki(BATCH_SIZE, MAX_LEN)
    bert = make_bert(args.backend, len(vocab), **SIZES)
    log = bert.train(train_iter, len(vocab), args.steps)
    flops = log.pairs_per_sec * sum(pair_flops(*valid(train_iter)).values())
    print(json.dumps({
        "vocab": len(vocab), "pairs_per_sec": log.pairs_per_sec,
        "precision": log.precision, "gflops": flops / 1e9,
        "matrix_share": flops / matrix_speed(args.backend, log.precision),
        "warmup_seconds": log.warmup_seconds,
        "mlm": log.mlm, "nsp": log.nsp}))


def valid(train_iter, batches=20):
    """Mean numbers of valid tokens and of predicted slots of a pair."""
    train_iter.as_tensors = tuple
    lens, slots = zip(*((batch[2].mean(), batch[4].sum(1).mean())
                        for batch in islice(train_iter, batches)))
    return float(np.mean(lens)), float(np.mean(slots))


if __name__ == "__main__":
    main()
