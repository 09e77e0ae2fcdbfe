"""Compare the speed of fine-tuning BERT on SNLI with that of d2l 1.0.3.

    .venv/bin/python bench/finetuning.py --rounds 3 --steps 20

With 256 hidden units, two blocks, the words of WikiText-2 and batches of 512
pairs of at most 128 tokens, the two libraries take turns. A ratio is taken in
every round and the median is reported.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from turns import arguments, check_d2l, compare, data_folder

from d2lbert.data.batches import corpus_vocab
from d2lbert.data.corpora import load_corpus

MIN_STEPS = 8  # fewer batches would all be of much the same length


def main():
    args = arguments(__doc__, MIN_STEPS)
    check_d2l()
    data_folder("wikitext-2")
    folder = data_folder("SNLI")
    with TemporaryDirectory() as scratch:
        vocab = Path(scratch, "vocab.json")
        tokens = corpus_vocab(load_corpus("wikitext-2")).idx_to_token
        vocab.write_text(json.dumps(tokens), encoding="utf-8")
        compare(args, "examples_per_sec",
                ours=["ours_finetuning.py", folder, vocab],
                rivals={"d2l": ["d2l_finetuning.py", folder, vocab]})


if __name__ == "__main__":
    main()
