"""A tiny BERT checkpoint, made on the spot by `transformers`.

It stands in for bert-base-uncased where neither a network nor a folder gives
the real one: the same files from the same library, but a BERT of two layers,
trained for seconds on the part of mini-wiki that is about cranes and banks.

    python -m d2lbert.original.tiny_checkpoint FOLDER
"""

import argparse
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from d2lbert.data.batches import PretrainingBatches, take
from d2lbert.data.corpora import TRAIN_PARAGRAPHS, Paragraphs
from d2lbert.data.mini.bundled import bundled_folder, write_folder
from d2lbert.data.mini.wiki import mini_wiki
from d2lbert.data.pretraining import mask_tokens
from d2lbert.files import draft_of
from d2lbert.original.outputs import to_bert_batch
from d2lbert.original.tokenizer import BertTokenizer
from d2lbert.training.schedules import rates

TOPICS = ("crane (bird)", "crane (machine)", "bank (river)", "bank (money)")
_FILES = ("config.json", "model.safetensors", "tokenizer_config.json",
          "vocab.txt")
_VOCAB_SIZE = 1000  # at most: so large that every word of the text is a piece
_SIZES = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
          "intermediate_size": 128, "max_position_embeddings": 64,
          "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
          # BERT's 0.02 suits 768 hidden units; with 64, training is faster
          # from larger weights.
          "initializer_range": 0.08}
_BATCH_SIZE, _MAX_LEN, _PEAK_RATE = 32, 32, 5e-3


def make_tiny_checkpoint(folder: str | Path, num_steps: int = 1000,
                         seed: int = 0) -> Path:
    """Pretrain a tiny BERT and save it as `transformers` saves any other.

    On one machine a seed gives the same bytes, with any number of threads.
    PyTorch's random state and its number of threads are left as they were.

    Args:
        folder: where config.json, model.safetensors, vocab.txt and
            tokenizer_config.json are written; new or empty.
        num_steps: of training, each on 32 pairs; 1000 take about 10 seconds.
        seed: of the initial weights, the pairs, their order and the masks.

    Returns:
        The folder, a `Path`.

    Raises:
        FileExistsError: if there is something in the folder already.
        ValueError: if num_steps is not positive.
        ImportError: if torch or transformers is not installed.
    """
    folder = Path(folder)
    _check_new(folder)
    if num_steps < 1:
        raise ValueError(f"num_steps is {num_steps}, not 1 or more")
    torch, transformers = _libraries()
    paragraphs = tiny_paragraphs()
    tok = BertTokenizer.train(
        (" ".join(s) for p in paragraphs for s in p), _VOCAB_SIZE)
    batches = PretrainingBatches(
        paragraphs, tok.vocab, _BATCH_SIZE, _MAX_LEN, seed,
        as_tensors=batch_for_transformers)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = transformers.BertForPreTraining(
            transformers.BertConfig(vocab_size=len(tok), **_SIZES))
    with _one_thread():
        _train(model, list(take(batches, num_steps)))
    _save(folder, model.eval(), tok)
    return folder


def find_tiny_checkpoint() -> Path:
    """The folder of a tiny BERT in the cache, made when it is first needed.

    One that is damaged is made again.

    Raises:
        FileExistsError: if something else is in that folder.
        ImportError: if it has to be made, and torch or transformers is not
            installed.
    """
    makers: tuple[Callable[..., Any], ...] = (
        mini_wiki, BertTokenizer, PretrainingBatches, mask_tokens,
        to_bert_batch, rates)
    return bundled_folder(
        "tiny-bert", (__file__, "wiki.toml", *map(inspect.getfile, makers)),
        lambda folder: write_folder(folder, _FILES, make_tiny_checkpoint))


def tiny_paragraphs() -> Paragraphs:
    """The paragraphs of mini-wiki that the tiny BERT is trained on.

    Returns:
        A list of paragraphs, lists of sentences (lists of words).
    """
    return [paragraph.sentences for paragraph in mini_wiki(TRAIN_PARAGRAPHS)
            if paragraph.topic in TOPICS]


def batch_for_transformers(batch: Sequence[np.ndarray]) -> dict[str, Any]:
    """A batch of `PretrainingBatches` as their `BertForPreTraining` reads it.

    Args:
        batch: as for `to_bert_batch`.
    """
    arrays = to_bert_batch(batch)
    del arrays["masked_lm_positions"]  # which their BERT does not know
    torch, _ = _libraries()
    return {name: torch.from_numpy(array).long()
            for name, array in arrays.items()}


def _train(model: Any, batches: list[dict[str, Any]]) -> None:
    torch, _ = _libraries()
    trainer = torch.optim.AdamW(model.parameters(), fused=True)
    for batch, rate in zip(batches, rates(len(batches), _PEAK_RATE)):
        trainer.param_groups[0]["lr"] = rate
        trainer.zero_grad()
        _loss(model, **batch).backward()
        trainer.step()


def _loss(model: Any, labels: Any, next_sentence_label: Any, **inputs: Any
          ) -> Any:
    """That of model(…).loss, with the words of masked positions alone."""
    torch, _ = _libraries()
    cross_entropy = torch.nn.functional.cross_entropy
    encoded, pooled = model.bert(**inputs, return_dict=False)[:2]
    masked = labels != -100
    words, is_next = model.cls(encoded[masked], pooled)
    return (cross_entropy(words, labels[masked])
            + cross_entropy(is_next, next_sentence_label))


def _libraries() -> tuple[Any, Any]:
    try:
        import torch
        import transformers
    except ImportError as error:
        raise ImportError("the tiny checkpoint is made by transformers and "
                          "PyTorch: pip install 'd2lbert[test]'") from error
    return torch, transformers


def _check_new(folder: Path) -> None:
    if folder.exists() and not (folder.is_dir()
                                and not any(folder.iterdir())):
        raise FileExistsError(f"{folder} is there already and not an empty "
                              "folder: name a new one, or delete it")


def _save(folder: Path, model: Any, tok: BertTokenizer) -> None:
    with draft_of(folder) as draft, _no_progress_bar():
        model.save_pretrained(draft)
        tok.save(draft)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums depend on how many threads share them, so one makes them all."""
    torch, _ = _libraries()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    _, transformers = _libraries()
    logging = transformers.utils.logging
    was_enabled = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_enabled:
            logging.enable_progress_bar()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m d2lbert.original.tiny_checkpoint",
        description="Make a tiny BERT checkpoint with transformers.")
    parser.add_argument("folder", help="a new or empty folder")
    try:
        print(make_tiny_checkpoint(parser.parse_args().folder))
    except (FileExistsError, ImportError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
