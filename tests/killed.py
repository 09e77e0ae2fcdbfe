"""Kill a training again and again: `python killed.py BACKEND FOLDER`.

Each life of the training is a process forked from one that has imported the
framework and computed nothing. It gets SIGKILL at a random moment: at a batch,
or inside the writing of a checkpoint, or a little later. At the end what came
out is compared with a training that was never killed, byte by byte.
"""

import gc
import importlib
import json
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

import numpy as np
from harness import SIZES

from d2lbert.backends import load_backend
from d2lbert.checkpoints.params import save_params
from d2lbert.data.batches import PretrainingBatches
from d2lbert.data.pretraining import RESERVED_TOKENS
from d2lbert.data.vocab import Vocab
from d2lbert.run.models import make_bert

KILLS, STEPS, SAVE_EVERY = 20, 40, 3
WORDS = [f"w{i}" for i in range(30)]
VOCAB = Vocab([WORDS], reserved_tokens=RESERVED_TOKENS)


def paragraphs(count=20):
    """Sentences of five words, so that all batches have one shape."""
    rng = np.random.default_rng(0)
    return [[[WORDS[i] for i in rng.integers(30, size=5)] for _ in range(3)]
            for _ in range(count)]


def train(backend, folder, out, moment=lambda name: None):
    """Train with dropout; write weights and losses.

    Args:
        folder: of the checkpoints, or None.
        moment: is called where a life may end.
    """
    def as_tensors(batch):
        moment("batch")
        return d2l.to_tensors(batch)

    d2l = load_backend(backend)
    batches = PretrainingBatches(paragraphs(), VOCAB, 6, 16, seed=1,
                                 as_tensors=as_tensors)
    bert = make_bert(backend, len(VOCAB), **SIZES | {
        "dropout": 0.3, "num_blks": 1})
    log = bert.train(batches, len(VOCAB), STEPS, seed=3, resume=folder,
                     save_every=SAVE_EVERY)
    save_params(out, bert.export_params(), {"log": json.dumps(
        [log.losses, log._plot.X, log._plot.Y, batches.epoch])})


class Life:
    """A process that trains, and is killed at one of its moments.

    Args:
        number: of that moment; 0 for a life without end.
        delay: seconds from the moment to the kill, None for at once.
    """

    def __init__(self, number, delay):
        self.number, self.delay = number, delay
        self.count, self.ends = 0, os.pipe()

    def moment(self, name):
        """Count, and die if it is time."""
        self.count += 1
        if self.count == self.number:
            os.write(self.ends[1], name.encode())
            if self.delay is None:
                os.kill(os.getpid(), signal.SIGKILL)

    def watch(self):
        """Name each moment inside the writing of a checkpoint."""
        for place, name in ((os, "fsync"), (os, "replace"), (Path, "unlink")):
            function = getattr(place, name)

            def at_moment(*args, name=name, function=function, **kwargs):
                self.moment(name)
                return function(*args, **kwargs)

            setattr(place, name, at_moment)

    def run(self, *args):
        """Live. Returns the moment of the kill; None for a natural end."""
        pid = os.fork()
        if pid == 0:
            try:
                sys.stdout = open(os.devnull, "w")
                self.watch()
                train(*args, self.moment)
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        os.close(self.ends[1])
        name = os.read(self.ends[0], 9).decode()  # nothing at a natural end
        os.close(self.ends[0])
        if name and self.delay is not None:
            time.sleep(self.delay)
            os.kill(pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert code in (0, -signal.SIGKILL), code
        return name if code else None


def main(backend, folder):
    """Print as JSON what the kills met, and if all weights were equal."""
    load_backend(backend)
    if backend == "torch":  # which its first step imports
        importlib.import_module("torch._dynamo")
    gc.freeze()  # what is imported is not looked through in each life
    folder, rng = Path(folder), random.Random(backend)
    whole, out = folder / "whole", folder / "out"
    assert Life(0, None).run(backend, None, whole) is None
    met, equal, trainings = Counter(), [], 0
    while met.total() < KILLS:
        trainings, name = trainings + 1, ""
        while name is not None:
            number = rng.randint(1, 13) if met.total() < KILLS else 0
            delay = rng.choice([None, rng.uniform(0, 0.004)])
            name = Life(number, delay).run(
                backend, folder / f"checkpoints {trainings}", out)
            met.update([name] if name else [])
        equal.append(out.read_bytes() == whole.read_bytes())
    print(json.dumps({"met": met, "equal": equal}))


if __name__ == "__main__":
    main(*sys.argv[1:])
