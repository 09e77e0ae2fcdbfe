"""Keep the numbers of `make run` for a chapter that shows them:

    python -m d2lbert.run.record results/wikitext-2 "one NVIDIA H100"

Results of further backends are added to those that are recorded already. Of
a model that lies beside its numbers, as `make run` leaves it, what it predicts
is kept as well.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from d2lbert.backends import BACKENDS
from d2lbert.checkpoints.d2l import load_pretrained_params
from d2lbert.data.batches import PretrainingBatches, corpus_vocab
from d2lbert.data.corpora import Corpus, load_corpus
from d2lbert.data.counting import Neighbours
from d2lbert.data.pretraining import RESERVED_TOKENS, get_tokens_and_segments
from d2lbert.data.vocab import Vocab
from d2lbert.run.models import Model, make_bert
from d2lbert.run.report import thinned
from d2lbert.training.recorded import FOLDER, recorded_run, write_recorded

EVERY = 10  # steps of which a mean is kept
# Sentences of which the model has not read one, and the word that is hidden
GAPS = (("she was born in new <mask> in 1912 .", "york"),
        ("the film was directed by a <mask> man from london .", "young"),
        ("the song reached number <mask> on the chart .", "one"),
        ("the storm reached the coast , and the <mask> fell for two days .",
         "rain"),
        ("during the war the ship was hit by a <mask> and sank .",
         "torpedo"),
        ("after the game the <mask> said that his team had played well .",
         "coach"),
        ("the river rises in the <mask> and flows to the sea .",
         "mountains"),
        ("the church was built of <mask> in the 13th century .", "stone"))
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


def predictions(name: str | Path, corpus: Corpus, max_len: int,
                backend: str = "torch") -> dict[str, Any]:
    """What a pretrained model says of hidden words, beside its neighbours.

    Args:
        name: of the model, as `load_pretrained_params` takes it.
        backend: that computes; the weights are the same in all.

    Returns:
        `right`: {rival or "BERT": share of hidden words}, of `words`; and
        `gaps`, for each of GAPS its `text`, `word`, what both `neighbours`
        say, and the five `best` with their `chances`.
    """
    params, vocab, sizes = load_pretrained_params(name)
    bert = make_bert(backend, len(vocab), dropout=0.0, **sizes)
    bert.import_params(params)
    rivals = Neighbours(vocab[["<cls>", *sentence, "<sep>"]]
                        for paragraph in corpus.train
                        for sentence in paragraph)
    right = [row for batch in PretrainingBatches(
        corpus.held_out, vocab, 256, max_len, is_train=False)
        for row in _right(bert, batch, rivals, vocab["<mask>"])]
    names = *Neighbours.rivals, "BERT"
    return {"right": dict(zip(names, np.mean(right, 0).tolist())),
            "words": len(right),
            "gaps": [_fill(bert, vocab, rivals, *gap) for gap in GAPS]}


def _right(bert: Model, batch: Sequence[np.ndarray], rivals: Neighbours,
           mask: int) -> Iterator[np.ndarray]:
    """Of each slot whose token is hidden, whether the rivals are right."""
    tokens, _, _, positions, weights, labels, _ = batch
    hidden = np.take_along_axis(tokens, positions, 1) == mask
    guesses = bert.word_logits(bert.d2l.to_tensors(batch)).argmax(2)
    for b, p in zip(*np.logical_and(weights, hidden).nonzero()):
        at = positions[b, p]
        said = rivals(int(tokens[b, at - 1]), int(tokens[b, at + 1]))
        yield np.equal([*said, guesses[b, p]], labels[b, p])


def _fill(bert: Model, vocab: Vocab, rivals: Neighbours, text: str, word: str
          ) -> dict[str, Any]:
    tokens, segments = get_tokens_and_segments(text.split())
    at = tokens.index("<mask>")
    batch = bert.d2l.to_tensors(tuple(np.array(x, "int32") for x in (
        [vocab[tokens]], [segments], [len(tokens)], [[at]])))
    chances = np.exp(bert.word_logits(batch)[0, 0].astype("float64"))
    best = [int(i) for i in chances.argsort()[::-1][:5]]
    *_, said = rivals(*vocab[[tokens[at - 1], tokens[at + 1]]])
    return {"text": text, "word": word,
            "neighbours": vocab.to_tokens([said])[0],
            "best": vocab.to_tokens(best),
            "chances": (chances[best] / chances.sum()).tolist()}


def main(folder: str, device: str) -> None:
    """Record the results that `make run` has left in a folder."""
    files = [Path(folder, f"{backend}.json") for backend in BACKENDS]
    results = [json.loads(file.read_text("utf-8")) for file in files
               if file.exists()]
    path = record(results, device)
    run = recorded_run(path.stem)
    corpus, max_len = load_corpus(run["corpus"]), run["recipe"]["max_len"]
    run["shared_word_accuracy"] = shared_word(corpus, max_len)
    for backend in BACKENDS:
        if Path(folder, backend).is_dir():
            run["predictions"] = {"weights": backend} | predictions(
                Path(folder, backend), corpus, max_len)
            break
    write_recorded(path.stem, run)
    print(path, *recorded_run(path.stem)["runs"])


if __name__ == "__main__":
    main(*sys.argv[1:])
