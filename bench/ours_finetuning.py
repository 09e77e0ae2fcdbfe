"""Time this project's fine-tuning at the sizes of `d2l_finetuning.py`.

    .venv/bin/python bench/ours_finetuning.py jax FOLDER VOCAB --steps 20

It trains by `train_ch13` for one epoch of random pairs, of any length. What
is timed includes making the batches. A step of each batch shape comes before
the epoch and is not counted, so that an epoch's mix of lengths is.
"""

import argparse
import json
from itertools import chain

import numpy as np
from d2l_finetuning import (
    BATCH_SIZE,
    LEARNING_RATE,
    MAX_LEN,
    SIZES,
    load_vocab,
)

from d2lbert.backends import BACKENDS, load_backend
from d2lbert.data.pairs import PairBatches
from d2lbert.data.snli import read_snli
from d2lbert.run.models import make_classifier


class WarmedUp:
    """An epoch of `batches`, after one batch of each shape that is in it.

    The number of pairs is a multiple of the batch size, so that all epochs
    have the same shapes.
    """

    def __init__(self, batches):
        self.batches = batches
        self.first = {tuple(X[0].shape): (X, y) for X, y in batches}

    def __len__(self):
        return len(self.first) + len(self.batches)

    def __iter__(self):
        return chain(self.first.values(), self.batches)


def load_pairs(d2l, folder, vocab, num_steps):
    """The batches of num_steps * BATCH_SIZE random training pairs."""
    pairs = read_snli(folder, True)
    order = np.random.default_rng(0).permutation(len(pairs[0]))
    rows = order[:min(num_steps, len(order) // BATCH_SIZE) * BATCH_SIZE]
    pairs = [[column[row] for row in rows] for column in pairs]
    return PairBatches(d2l.SNLIBERTDataset(pairs, MAX_LEN, vocab), BATCH_SIZE)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("backend", choices=BACKENDS)
    parser.add_argument("folder", help="holds snli_1.0_train.txt")
    parser.add_argument("vocab", help="a JSON list of tokens")
    parser.add_argument("--steps", type=int, default=20)
    args = parser.parse_args()
    d2l = load_backend(args.backend)
    vocab = load_vocab(d2l, args.vocab)
    train_iter = WarmedUp(load_pairs(d2l, args.folder, vocab, args.steps))
    net = make_classifier(args.backend, len(vocab), **SIZES)
    log = net.fine_tune(train_iter, None, None, num_epochs=1, lr=LEARNING_RATE)
    print(json.dumps({
        "vocab": len(vocab), "examples_per_sec": log.examples_per_sec,
        "counted": log.examples, "warmup_seconds": log.warmup_seconds,
        "loss": log.loss, "acc": log.train_acc}))


if __name__ == "__main__":
    main()
