"""Time and memory of an epoch of this project's pretraining examples.

    .venv/bin/python bench/ours_examples.py 4

makes them of 4 times the text of WikiText-2.
"""

import argparse
import json

from d2l_examples import measured
from d2l_pretraining import BATCH_SIZE, MAX_LEN

from d2lbert.data.batches import PretrainingBatches, corpus_vocab
from d2lbert.data.corpora import load_corpus


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("times", type=int)
    times = parser.parse_args().times
    corpus = load_corpus("wikitext-2")
    paragraphs = corpus.train * times

    def make():
        batches = PretrainingBatches(
            paragraphs, corpus_vocab(corpus), BATCH_SIZE, MAX_LEN)
        return sum(len(batch[0]) for batch in batches)

    print(json.dumps(measured(make)))


if __name__ == "__main__":
    main()
