"""Keep the numbers of `make run` for a chapter that shows them:

    python -m d2lbert.run.record results/wikitext-2 "one NVIDIA H100"

Results of further backends are added to those that are recorded already.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from d2lbert.backends import BACKENDS
from d2lbert.data.batches import PretrainingBatches, corpus_vocab
from d2lbert.data.corpora import Corpus, load_corpus
from d2lbert.data.pretraining import RESERVED_TOKENS
from d2lbert.run.report import thinned
from d2lbert.training.recorded import FOLDER, recorded_run, write_recorded

EVERY = 10  # steps of which a mean is kept
SCORES = ("held_out_mlm", "held_out_nsp", "held_out_accuracy")


def record(results: list[dict[str, Any]], device: str,
           folder: str | Path = FOLDER) -> Path:
    """Add results of a corpus to its recorded run.

    Args:
        results: of `d2lbert.run.pretraining.pretrain`, a backend each.
        device: in words.

    Raises:
        ValueError: if what is recorded has another recipe.
    """
    first = results[0]
    name, steps = first["corpus"], first["recipe"]["num_steps"]
    path = Path(folder, f"{name}.json")
    run = json.loads(path.read_text("utf-8")) if path.exists() else {
        "command": f"make run CORPUS={name} STEPS={steps}", "every": EVERY,
        **{key: first[key] for key in (
            "corpus", "recipe", "vocab_size", "unigram_entropy")},
        "runs": {}}
    for result in results:
        if result["recipe"] != run["recipe"]:
            raise ValueError(
                f"{result['backend']} was trained by {result['recipe']}, and "
                f"{path} has {run['recipe']}: train it so, or delete the file")
        run["runs"][result["backend"]] = {
            "device": device, **{key: result[key] for key in SCORES},
            **{key: thinned(result[key], steps // EVERY)
               for key in ("mlm", "nsp")}}
    run["runs"] = {backend: run["runs"][backend] for backend in BACKENDS
                   if backend in run["runs"]}
    return write_recorded(name, run, folder)


def shared_word(corpus: Corpus, max_len: int, frequent: int = 20) -> float:
    """The accuracy of a rule on held-out pairs: next if a word is in both.

    Args:
        frequent: so many of the most frequent words do not count.
    """
    vocab = corpus_vocab(corpus)
    first = 1 + len(RESERVED_TOKENS) + frequent  # after <unk> and those
    right = []
    for tokens, segments, *_, is_next in PretrainingBatches(
            corpus.held_out, vocab, 256, max_len, is_train=False):
        for row, second, label in zip(tokens, segments == 1, is_next):
            both = np.intersect1d(row[~second], row[second])
            right.append((both >= first).any() == label)
    return float(np.mean(right))


def main(folder: str, device: str) -> None:
    """Record the results that `make run` has left in a folder."""
    files = [Path(folder, f"{backend}.json") for backend in BACKENDS]
    results = [json.loads(file.read_text("utf-8")) for file in files
               if file.exists()]
    path = record(results, device)
    run = recorded_run(path.stem)
    run["shared_word_accuracy"] = shared_word(
        load_corpus(run["corpus"]), run["recipe"]["max_len"])
    write_recorded(path.stem, run)
    print(path, *recorded_run(path.stem)["runs"])


if __name__ == "__main__":
    main(*sys.argv[1:])
