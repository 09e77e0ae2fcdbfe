"""`make run` and what a newcomer may type wrong."""

import json
import os
import subprocess
import sys

import pytest
from harness import installed

from d2lbert.backends import load_backend
from d2lbert.run import nli, pretraining
from d2lbert.run.__main__ import arguments, main


def run(*args, **env):
    return subprocess.run(
        [sys.executable, "-m", "d2lbert.run", *map(str, args)],
        capture_output=True, text=True, env={**os.environ, **env})


def result(backend="torch"):
    return {"backend": backend, "mlm": [6.0, 5.0, 2.0], "nsp": [0.7] * 3,
            "held_out_mlm": 2.1, "held_out_nsp": 0.4, "pairs_per_sec": 99.6,
            "held_out_accuracy": 0.875, "seconds": 3.2, "warmup_seconds": 1,
            "probe": 0.99, "static": 0.5}


def test_the_whole_command(tmp_path):
    backends = [b for b in ("torch", "jax") if installed(b)]
    done = run("--backend", ",".join(backends), "--steps", 3, "--results",
               tmp_path)
    assert done.returncode == 0, done.stderr
    for backend in backends:
        numbers = json.loads((tmp_path / f"{backend}.json").read_text())
        assert len(numbers["mlm"]) == 3 and 0 <= numbers["probe"] <= 1
        assert numbers["static"] == 0.5
        assert f"notebooks/{backend}/bert-pretraining.ipynb" in done.stdout
        d2l = load_backend(backend)
        sizes = pretraining.RECIPES["mini-wiki"].sizes
        bert, vocab, *_ = d2l.load_pretrained_model(
            str(tmp_path / backend), **sizes, dropout=0.1,
            devices=d2l.try_all_gpus())
        assert len(vocab) == numbers["vocab_size"]
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert "Unigram entropy" in done.stdout
    assert not list(tmp_path.glob("*.part"))


def test_the_chapter_on_pairs(tmp_path):
    backend = next(filter(installed, ("torch", "jax", "mxnet")))
    done = run("--chapter", "nli-bert", "--backend", backend, "--steps", 1,
               "--results", tmp_path)
    assert done.returncode == 0, done.stderr
    numbers = json.loads((tmp_path / f"{backend}.json").read_text())
    for start in nli.STARTS:
        assert 0.2 < numbers[start]["test_acc"] < 1
        assert (tmp_path / backend / f"{start}.safetensors").exists()
    assert done.stdout.count(f"notebooks/{backend}/nli-bert.ipynb") == 2
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_the_chapter_on_the_original_bert(tmp_path):
    """From random weights, and then from what that left, on own sentences."""
    backend = next(filter(installed, ("torch", "jax", "mxnet")))
    common = ["--chapter", "bert-from-scratch", "--backend", backend,
              "--steps", 1, "--results"]
    done = run(*common, tmp_path / "a")
    assert done.returncode == 0, done.stderr
    numbers = json.loads((tmp_path / "a" / f"{backend}.json").read_text())
    assert 0.2 < numbers["test_acc"] < 0.8 and len(numbers["loss"]) == 1
    for split in ("train", "dev"):
        (tmp_path / f"{split}.tsv").write_text(
            "sentence\tlabel\nthe lake was lovely\t1\nit was awful\t0\n")
    done = run(*common, tmp_path / "b", "--model", tmp_path / "a" / backend,
               "--corpus", tmp_path)
    assert done.returncode == 0, done.stderr
    numbers = json.loads((tmp_path / "b" / f"{backend}.json").read_text())
    assert numbers["test_acc"] is None and "–" in done.stdout
    assert (tmp_path / "b" / backend / "vocab.txt").exists()


def test_a_backend_that_is_not_installed_is_left_out(tmp_path):
    (tmp_path / "mxnet.py").write_text("raise ImportError('no wheel')")
    done = run("--backend", "mxnet", "--steps", 1, "--results",
               tmp_path / "out", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "MXNet is left out" in done.stderr
    assert "PyTorch and JAX backends work without it" in done.stderr.replace(
        "\n", " ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("args, said", [
    (["--corpus", "wikitext-3"], "unknown corpus 'wikitext-3'"),
    (["--corpus", "./nowhere.txt"], "there is no file"),
    (["--chapter", "nli-bert", "--corpus", "multinli"],
     "unknown corpus 'multinli'"),
    (["--chapter", "nli-bert", "--model", "bert.huge"],
     "unknown model 'bert.huge'"),
    (["--chapter", "bert-from-scratch", "--corpus", "sst-9"],
     "unknown corpus 'sst-9'"),
    (["--chapter", "bert-from-scratch", "--model", "./no/bert"],
     "there is no folder './no/bert'"),
])
def test_wrong_corpus_is_one_sentence(args, said, tmp_path, capsys):
    assert main([*args, "--results", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


@pytest.mark.parametrize("args, said", [
    (["--backend", "tensorflow"], "unknown backend 'tensorflow'"),
    (["--steps", "0"], "--steps is 0"),
    (["--chapter", "bert"], "chapter 'bert' has no experiment"),
])
def test_wrong_arguments(args, said, capsys):
    with pytest.raises(SystemExit):
        arguments(args)
    assert said in capsys.readouterr().err


def test_table_is_markdown_with_a_row_a_backend():
    head, rule, torch, jax = pretraining.table(
        [result(), {k: v for k, v in result("jax").items()
                    if k not in ("probe", "static")}]).splitlines()
    assert len({len(line) for line in (head, rule, torch, jax)}) == 1
    assert "| PyTorch" in torch and "6.00 → 2.00" in torch and "0.99" in torch
    assert "| JAX" in jax and "–" in jax and set(rule) == set("|- ")


def test_picture_has_both_losses_of_every_backend(tmp_path):
    pretraining.draw([result(b) for b in ("torch", "mxnet", "jax")],
                     tmp_path / "loss.png")
    assert (tmp_path / "loss.png").stat().st_size > 10_000


def test_mini_wiki_is_the_default_and_both_corpora_have_recipes():
    assert arguments([]).corpus == "mini-wiki"
    assert set(pretraining.RECIPES) == {"mini-wiki", "wikitext-2"}


def test_importing_d2lbert_imports_no_framework():
    code = ("import sys, d2lbert, d2lbert.data.batches, d2lbert.run.__main__; "
            "print({'torch', 'mxnet', 'jax', 'flax'} & set(sys.modules))")
    done = subprocess.run([sys.executable, "-c", code], text=True,
                          capture_output=True)
    assert done.stdout.strip() == "set()", done.stderr
