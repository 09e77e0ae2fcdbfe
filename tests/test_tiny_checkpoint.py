"""The checkpoint that stands in for a real one."""

import functools
import random
import shutil
import sys

import numpy as np
import pytest
import torch
import transformers

from d2lbert.data.batches import PretrainingBatches
from d2lbert.data.mini.wiki import mini_wiki
from d2lbert.original import tiny_checkpoint
from d2lbert.original.tiny_checkpoint import (
    TOPICS,
    batch_for_transformers,
    find_tiny_checkpoint,
    make_tiny_checkpoint,
    tiny_paragraphs,
)
from d2lbert.original.tokenizer import BertTokenizer

FILES = ["config.json", "model.safetensors", "tokenizer_config.json",
         "vocab.txt"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return make_tiny_checkpoint(tmp_path_factory.mktemp("tiny"), num_steps=40)


def load(folder):
    model, info = transformers.BertForPreTraining.from_pretrained(
        folder, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    return model.eval()


def held_out_batch(vocab):
    paragraphs = [p.sentences for p in mini_wiki(300, seed=1)
                  if p.topic in TOPICS]
    batches = PretrainingBatches(paragraphs, vocab, 64, 32, is_train=False)
    return batch_for_transformers(next(iter(batches)))


def test_transformers_reads_the_files(checkpoint):
    assert sorted(file.name for file in checkpoint.iterdir()) == FILES
    theirs = transformers.BertTokenizer.from_pretrained(checkpoint)
    ours = BertTokenizer.from_pretrained(checkpoint)
    text = "A crane is [MASK] over the unbreakable lighthouse ."
    assert ours(text)["input_ids"].tolist() == [theirs(text)["input_ids"]]
    assert load(checkpoint).config.vocab_size == len(ours)


def test_every_word_it_is_trained_on_is_a_piece(checkpoint):
    tok = BertTokenizer.from_pretrained(checkpoint)
    words = {w for p in tiny_paragraphs() for s in p for w in s}
    assert {"crane", "bank", "pell"} <= words <= set(tok.tokens)


def test_training_lowers_the_held_out_loss(checkpoint, tmp_path):
    untrained = make_tiny_checkpoint(tmp_path, num_steps=1)
    vocab = BertTokenizer.from_pretrained(checkpoint).vocab
    batch = held_out_batch(vocab)
    with torch.no_grad():
        before, after = (float(load(folder)(**batch).loss)
                         for folder in (untrained, checkpoint))
    assert after < before - 1


def test_the_loss_is_that_of_transformers(checkpoint):
    model = load(checkpoint)
    vocab = BertTokenizer.from_pretrained(checkpoint).vocab
    batch = held_out_batch(vocab)
    ours = tiny_checkpoint._loss(model, **batch)
    assert float(ours.detach()) == pytest.approx(
        float(model(**batch).loss.detach()), abs=1e-5)


@pytest.fixture
def set_threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_a_seed_decides_and_all_else_is_left_alone(
        tmp_path, capfd, set_threads):
    def state():
        return (random.getstate(), np.random.get_state()[1].tolist(),
                torch.get_rng_state().tolist(), torch.get_num_threads(),
                torch.is_grad_enabled(),
                transformers.utils.logging.is_progress_bar_enabled())

    def make(name, seed, num_threads):
        torch.manual_seed(num_threads)
        set_threads(num_threads)
        before = state()
        folder = make_tiny_checkpoint(tmp_path / name, num_steps=2, seed=seed)
        assert state() == before
        return folder

    transformers.utils.logging.enable_progress_bar()
    first, again, other = make("1", 0, 1), make("2", 0, 2), make("3", 1, 1)
    assert capfd.readouterr() == ("", "")
    assert all((first / name).read_bytes() == (again / name).read_bytes()
               for name in FILES)
    weights = [(folder / "model.safetensors").read_bytes()
               for folder in (first, other)]
    assert weights[0] != weights[1]


def test_nothing_is_overwritten(checkpoint, tmp_path):
    before = (checkpoint / "model.safetensors").read_bytes()
    with pytest.raises(FileExistsError, match="not an empty folder"):
        make_tiny_checkpoint(checkpoint, num_steps=1)
    assert (checkpoint / "model.safetensors").read_bytes() == before
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(FileExistsError, match="not an empty folder"):
        make_tiny_checkpoint(file, num_steps=1)
    assert file.read_text() == "mine"


def test_nothing_is_half_written(tmp_path, monkeypatch):
    def full_disk(*_):
        raise OSError("no space left")

    monkeypatch.setattr(BertTokenizer, "save", full_disk)
    with pytest.raises(OSError, match="no space left"):
        make_tiny_checkpoint(tmp_path, num_steps=1)
    assert not list(tmp_path.iterdir())


def test_it_is_made_once(empty_cache, monkeypatch):
    made = []

    def quickly(folder):
        made.append(folder)
        return make_tiny_checkpoint(folder, num_steps=1)

    monkeypatch.setattr(tiny_checkpoint, "make_tiny_checkpoint", quickly)
    folder = find_tiny_checkpoint()
    assert {*FILES} < {file.name for file in folder.iterdir()}
    assert find_tiny_checkpoint() == folder and len(made) == 1
    harm = [lambda: (folder / "model.safetensors").write_bytes(b"half of it"),
            lambda: (folder / "vocab.txt").unlink(),
            lambda: shutil.rmtree(folder) or folder.mkdir()]
    for number, do in enumerate(harm, 2):
        do()
        assert find_tiny_checkpoint() == folder and len(made) == number
        assert load(folder).config.hidden_size == 64
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="delete it, or name another"):
        find_tiny_checkpoint()
    assert (folder / "notes.txt").read_text() == "mine"


def test_bad_input(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="num_steps is 0"):
        make_tiny_checkpoint(tmp_path / "new", num_steps=0)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r"pip install 'd2lbert\[test\]'"):
        make_tiny_checkpoint(tmp_path / "new")
    assert not list(tmp_path.iterdir())


def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tiny_checkpoint, "make_tiny_checkpoint",
                        functools.partial(make_tiny_checkpoint, num_steps=1))
    monkeypatch.setattr(sys, "argv", ["tiny_checkpoint", str(tmp_path)])
    tiny_checkpoint.main()
    assert capsys.readouterr().out == f"{tmp_path}\n"
    with pytest.raises(SystemExit):
        tiny_checkpoint.main()
    assert "not an empty folder" in capsys.readouterr().err
