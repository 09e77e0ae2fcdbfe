"""Time and memory of the pretraining examples of d2l 1.0.3.

    .venv-d2l/bin/python bench/d2l_examples.py FOLDER

FOLDER holds `wiki.train.tokens` of WikiText-2. The data set is the library's
`_WikiTextDataset`, which makes all examples, and a loader goes through it.
"""

import argparse
import json
import resource
from time import perf_counter

from d2l_pretraining import BATCH_SIZE, MAX_LEN, import_d2l


def measured(make):
    """Seconds, megabytes beyond those before, and what make() returns."""
    before, start = peak(), perf_counter()
    examples = make()
    return {"seconds": perf_counter() - start, "megabytes": peak() - before,
            "examples": examples}


def peak():
    """The most memory that this process has taken so far, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", help="holds wiki.train.tokens")
    folder = parser.parse_args().folder
    d2l = import_d2l("torch")
    from torch.utils.data import DataLoader
    paragraphs = d2l._read_wiki(folder)

    def make():
        data = d2l._WikiTextDataset(paragraphs, MAX_LEN)
        return sum(len(batch[0]) for batch in DataLoader(
            data, BATCH_SIZE, shuffle=True))

    print(json.dumps(measured(make)))


if __name__ == "__main__":
    main()
