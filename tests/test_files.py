"""The files of a model are one unit: no death between them leaves a mixture.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from d2lbert.checkpoints.d2l import (
    bert_shapes,
    load_pretrained_params,
    save_pretrained_model,
)
from d2lbert.checkpoints.params import initial_params
from d2lbert.data.pretraining import RESERVED_TOKENS
from d2lbert.data.vocab import Vocab
from d2lbert.files import model_folder
from d2lbert.original.config import BertConfig
from d2lbert.original.find import load_checkpoint_folder
from d2lbert.original.huggingface import CONFIG, save_checkpoint_folder
from d2lbert.original.tokenizer import BertTokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


class Died(BaseException):
    """What ends a process here, in place of a signal."""


def d2ls(seed):
    """Write and read one of two models of d2l's kind, of equal shapes."""
    vocab = Vocab([[f"w{seed}"]], reserved_tokens=RESERVED_TOKENS)
    sizes = {"num_hiddens": 4, "ffn_num_hiddens": 4, "num_blks": 1,
             "num_heads": 1 + seed, "max_len": 8}
    params = initial_params(bert_shapes(len(vocab), **sizes), seed)

    def read(folder):
        params, vocab, sizes = load_pretrained_params(str(folder))
        return params, [vocab.idx_to_token, sizes]

    return (lambda folder: save_pretrained_model(
        folder, params, vocab, **sizes), read,
        (params, [vocab.idx_to_token, sizes]))


def papers(seed):
    """The same for the paper's BERT, with its tokenizer."""
    config = BertConfig(
        vocab_size=6, hidden_size=4, num_hidden_layers=1,
        num_attention_heads=1 + seed, intermediate_size=4)
    params = initial_params(config.classification_shapes(), seed)
    tok = BertTokenizer([*SPECIAL, f"w{seed}"], lowercase=bool(seed))

    def write(folder):
        with model_folder(folder, CONFIG) as draft:
            save_checkpoint_folder(draft, config, params,
                                   "BertForSequenceClassification")
            tok.save(draft)

    def read(folder):
        config, params, _ = load_checkpoint_folder(
            folder, "BertForSequenceClassification")
        tok = BertTokenizer.from_pretrained(folder)
        return params, [tok.tokens, tok.lowercase, config.num_attention_heads]

    return write, read, (
        params, [tok.tokens, bool(seed), config.num_attention_heads])


def papers_weights(seed):
    """The paper's BERT without a tokenizer."""
    config = BertConfig(
        vocab_size=6, hidden_size=4, num_hidden_layers=1,
        num_attention_heads=1 + seed, intermediate_size=4)
    params = initial_params(config.classification_shapes(), seed)

    def read(folder):
        config, params, _ = load_checkpoint_folder(
            folder, "BertForSequenceClassification")
        return params, [config.num_attention_heads]

    return (lambda folder: save_checkpoint_folder(
        folder, config, params, "BertForSequenceClassification"), read,
        (params, [1 + seed]))


def is_model(found, expected):
    return found[1] == expected[1] and all(
        np.array_equal(found[0][name], expected[0][name])
        for name in expected[0])


@pytest.mark.parametrize("kind", [d2ls, papers, papers_weights])
def test_no_death_leaves_a_mixture(kind, tmp_path, monkeypatch):
    """Killed at each change of a name and each removal, one after another."""
    (write_old, read, old), (write, _, new) = kind(0), kind(1)
    seen = set()
    for number in range(30):
        folder = tmp_path / str(number)
        write_old(folder)
        changes = []

        def dying(function, changes=changes, number=number):
            def change(*args, **kwargs):
                changes.append(args)
                if len(changes) > number:  # nothing more is done
                    raise Died
                return function(*args, **kwargs)
            return change

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", dying(os.replace))
            patch.setattr(Path, "unlink", dying(Path.unlink))
            try:
                write(folder)
            except Died:
                pass
        try:
            found = read(folder)
        except FileNotFoundError as error:
            assert "there is no " in str(error)
            seen.add("none")
        else:
            assert is_model(found, old) or is_model(found, new)
            seen.add("old" if is_model(found, old) else "new")
        if len(changes) <= number:
            break
    assert seen == {"old", "none", "new"} and is_model(read(folder), new)


def test_an_error_leaves_the_folder_as_it_was(tmp_path):
    write, read, old = d2ls(0)
    write(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OSError), model_folder(tmp_path, "config.json") as at:
        (at / "config.json").write_text("{}")
        raise OSError("No space left on device")
    assert is_model(read(tmp_path), old)
    assert sorted(os.listdir(tmp_path)) == [
        "config.json", "notes.txt", "pretrained.params", "vocab.json"]


def test_drafts_of_a_writer_that_died_are_removed(tmp_path):
    (tmp_path / ".model-xyz").mkdir()
    (tmp_path / ".model-xyz" / "pretrained.params").write_text("half")
    d2ls(0)[0](tmp_path)
    assert not list(tmp_path.glob(".*"))
