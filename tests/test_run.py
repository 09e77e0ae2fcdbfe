"""`make run` and what a newcomer may type wrong."""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from harness import each_backend, installed, write_snli

from d2lbert.backends import BACKENDS, SETTINGS, load_backend
from d2lbert.checkpoints.d2l import BERT_MINI
from d2lbert.checkpoints.params import initial_params, load_params
from d2lbert.data.corpora import load_corpus
from d2lbert.data.counting import Neighbours
from d2lbert.data.snli import LABELS
from d2lbert.original.config import BertConfig
from d2lbert.original.huggingface import save_checkpoint_folder
from d2lbert.original.tokenizer import BertTokenizer
from d2lbert.run import nli, pretraining, sentiment, variants
from d2lbert.run.__main__ import arguments, main
from d2lbert.run.record import GAPS, predictions, record
from d2lbert.run.report import markdown_table
from d2lbert.run.resume import checkpoints
from d2lbert.run.workers import Turns, be_worker
from d2lbert.training.recorded import recorded_run
from d2lbert.training.steps import StepLog

WORDS = "encoder.token_embedding.weight"


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
        assert f"notebooks/{backend}/03-bert-pretraining.ipynb" in done.stdout
        d2l = load_backend(backend)
        sizes = pretraining.RECIPES["mini-wiki"].sizes
        bert, vocab, *_ = d2l.load_pretrained_model(
            str(tmp_path / backend), **sizes, dropout=0.1,
            devices=d2l.try_all_gpus())
        assert len(vocab) == numbers["vocab_size"]
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert "Unigram entropy" in done.stdout
    assert not list(tmp_path.glob("*.part"))


def test_a_loss_that_is_not_finite_leaves_no_model(tmp_path):
    backend = next(filter(installed, BACKENDS))
    recipe = replace(pretraining.RECIPES["mini-wiki"], lr=1e20, num_steps=4)
    with pytest.raises(ValueError, match="loss of step 2, .* is nan"):
        pretraining.pretrain(backend, "mini-wiki", recipe, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_json_stays_json(tmp_path, monkeypatch):
    backend = next(filter(installed, BACKENDS))
    args = argparse.Namespace(backend=[backend], results=tmp_path)
    bad = {**result(backend), "pairs_per_sec": float("nan"),
           "nsp": [0.7, float("inf")]}
    monkeypatch.setattr(pretraining, "describe", str)
    monkeypatch.setattr(pretraining, "work", lambda *_: bad)
    assert be_worker(pretraining, args) is bad
    text = (tmp_path / f"{backend}.json").read_text()
    numbers = json.loads(text, parse_constant=lambda name: pytest.fail(name))
    assert numbers["nsp"] == [0.7, None]
    table = markdown_table(pretraining.COLUMNS, [numbers], pretraining.rows)
    assert "nan" not in table and "| –" in table


def test_the_chapter_on_pairs(tmp_path):
    backend = next(filter(installed, ("torch", "jax", "mxnet")))
    done = run("--chapter", "nli-bert", "--backend", backend, "--steps", 1,
               "--results", tmp_path)
    assert done.returncode == 0, done.stderr
    numbers = json.loads((tmp_path / f"{backend}.json").read_text())
    for start in nli.STARTS:
        assert 0.2 < numbers[start]["test_acc"] < 1
        words = load_params(tmp_path / backend / f"{start}.safetensors")[WORDS]
        known = load_params(BERT_MINI / "pretrained.params")[WORDS]
        likeness = np.corrcoef(words.ravel(), known.ravel())[0, 1]
        # bert.mini's own start is ours: a fifth of it can still be seen
        assert likeness > 0.9 if start == "pretrained" else likeness < 0.4
    assert done.stdout.count(f"notebooks/{backend}/06-nli-bert.ipynb") == 2
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_the_chapter_on_the_original_bert(tmp_path):
    """From random weights, and then from what that left, on own sentences."""
    backend = next(filter(installed, ("torch", "jax", "mxnet")))
    common = ["--chapter", "bert-from-scratch", "--backend", backend,
              "--steps", 1, "--results"]
    done = run(*common, tmp_path / "a")
    assert done.returncode == 0, done.stderr
    numbers = json.loads((tmp_path / "a" / f"{backend}.json").read_text())
    assert [r["start"] for r in numbers["runs"]] == [
        sentiment.MODEL, sentiment.PRETRAINED]
    for r in numbers["runs"]:
        assert 0.2 < r["test_acc"] < 0.8 and len(r["loss"]) == 1
    assert len(numbers["baselines"]) == 12
    assert (tmp_path / "a" / backend / sentiment.MODEL / "vocab.txt").exists()
    for split in ("train", "dev"):
        (tmp_path / f"{split}.tsv").write_text(
            "sentence\tlabel\nthe lake was lovely\t1\nit was awful\t0\n")
    done = run(*common, tmp_path / "b", "--model", tmp_path / "a" / backend,
               "--corpus", tmp_path)
    assert done.returncode == 0, done.stderr
    numbers = json.loads((tmp_path / "b" / f"{backend}.json").read_text())
    (r,) = numbers["runs"]
    assert r["test_acc"] is None and "–" in done.stdout
    assert (tmp_path / "b" / backend / "vocab.txt").exists()


def test_sentiment_starts_from_a_classifier_of_another_task(tmp_path):
    """Neither a score nor three classes are a start for praise and blame."""
    backend = next(filter(installed, ("torch", "jax", "mxnet")))
    tok = BertTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"])
    tok.save(tmp_path)
    args = argparse.Namespace(corpus=sentiment.CORPUS, model=str(tmp_path))
    for names in (["score"], ["a", "b", "c"], ["blame", "praise"]):
        config = BertConfig(
            vocab_size=6, hidden_size=4, num_hidden_layers=1,
            num_attention_heads=1, intermediate_size=4, label_names=names)
        params = initial_params(config.classification_shapes(), seed=1)
        save_checkpoint_folder(
            tmp_path, config, params, "BertForSequenceClassification")
        sentiment.check(args)
        _, net = sentiment._start(backend, args, args.model)
        assert net.net.config.problem == "single_label_classification"
        weights = net.export_params()["classifier.weight"]
        assert weights.shape == (2, 4)
        if len(names) == 2:  # the right task: what it knows is kept
            np.testing.assert_array_equal(
                weights, params["classifier.weight"])


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
    (["--model", "bert.mini"], "takes no --model"),
])
def test_wrong_arguments(args, said, capsys):
    with pytest.raises(SystemExit):
        arguments(args)
    assert said in capsys.readouterr().err


def test_table_is_markdown_with_a_row_a_backend():
    head, rule, torch, jax = markdown_table(
        pretraining.COLUMNS,
        [result(), {k: v for k, v in result("jax").items()
                    if k not in ("probe", "static")}],
        pretraining.rows).splitlines()
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


def test_a_long_run_on_real_text_has_a_recipe_of_its_own():
    def recipe(*args):
        return pretraining._recipe_of(arguments(args))

    assert recipe("--corpus", "wikitext-2").num_steps == 50
    short = recipe("--corpus", "wikitext-2", "--steps", "999")
    assert (short.batch_size, short.lr, short.dropout) == (512, 5e-3, 0.2)
    long = recipe("--corpus", "wikitext-2", "--steps", "3000")
    assert (long.batch_size, long.lr, long.dropout) == (256, 3e-3, 0.1)
    assert long.num_steps == 3000
    assert recipe("--steps", "3000").batch_size == 64  # mini-wiki


# Numbers that chapters show

def recordable(backend, **changes):
    recipe = {"num_steps": 20, "lr": 1e-3}
    return {"backend": backend, "corpus": "some", "recipe": recipe,
            "vocab_size": 9, "unigram_entropy": 2.0, "held_out_mlm": 1.23456,
            "held_out_nsp": 0.5, "held_out_accuracy": 0.75,
            "mlm": [*range(20)], "nsp": [0.5] * 20, **changes}


def test_results_of_backends_are_recorded_one_after_another(tmp_path):
    record([recordable("jax")], "a GPU", tmp_path)
    path = record([recordable("torch")], "two cores", tmp_path)
    run = json.loads(path.read_text())
    assert [*run["runs"]] == ["torch", "jax"]  # the order of the backends
    assert run["command"] == "make run CORPUS=some STEPS=20"
    assert run["runs"]["jax"]["device"] == "a GPU"
    assert run["runs"]["jax"]["mlm"] == [4.5, 14.5] and run["every"] == 10
    assert run["runs"]["torch"]["held_out_mlm"] == 1.2346
    with pytest.raises(ValueError, match="mxnet was trained by"):
        record([recordable("mxnet", recipe={"num_steps": 30})], "", tmp_path)


@each_backend()
def test_predictions_are_recorded_beside_their_rivals(backend):
    corpus = load_corpus("mini-wiki")
    result = predictions("bert.mini", corpus, 32, backend)
    right = result["right"]
    assert right["BERT"] > max(
        share for name, share in right.items() if name != "BERT")
    assert 0.1 < right["most frequent word"] < right["both neighbours"]
    assert result["words"] > 1000 and len(result["gaps"]) == len(GAPS)
    for gap, (text, word) in zip(result["gaps"], GAPS):
        assert (gap["text"], gap["word"]) == (text, word)
        assert gap["chances"] == sorted(gap["chances"], reverse=True)
        assert len(gap["best"]) == 5 and 0 < sum(gap["chances"]) <= 1


def test_what_is_recorded_can_be_repeated_by_its_command():
    run = recorded_run("wikitext-2")
    command = run["command"].split()
    assert command[:2] == ["make", "run"]
    options = [word.lower().split("=") for word in command[2:]]
    args = arguments([part for name, value in options
                      for part in (f"--{name}", value)])
    assert asdict(pretraining._recipe_of(args)) == run["recipe"]
    steps = run["recipe"]["num_steps"] // run["every"]
    for numbers in run["runs"].values():
        assert len(numbers["mlm"]) == len(numbers["nsp"]) == steps
        assert numbers["held_out_mlm"] < run["unigram_entropy"] - 1
        assert numbers["held_out_accuracy"] > 0.7
    assert [*run["runs"]] == [*BACKENDS]
    said = run["predictions"]
    assert [*said["right"]] == [*Neighbours.rivals, "BERT"]
    assert [(gap["text"], gap["word"]) for gap in said["gaps"]] == [*GAPS]


def test_variants_of_pretraining_are_recorded():
    run = recorded_run("mini-wiki")
    assert set(run["runs"]) <= set(variants.VARIANTS)
    assert "both losses" in run["runs"]
    for numbers in run["runs"].values():
        assert len(numbers["mlm"]) == variants.STEPS // variants.EVERY
        assert 0.4 < numbers["probe"]["3 known"] < 1


@pytest.mark.skipif(not installed("torch"), reason="needs PyTorch")
@pytest.mark.parametrize("name", ["masked LM alone", "left to right"])
def test_a_variant_is_trained(name, monkeypatch):
    monkeypatch.setattr(variants, "STEPS", 10)
    monkeypatch.setattr(variants, "EVERY", 10)
    monkeypatch.setattr(variants, "BATCH", 4)
    result = variants.train(**variants.VARIANTS[name])
    assert result["losses"] == variants.VARIANTS[name]["loss"]
    assert len(result["mlm"]) == 1 and 5 < result["mlm"][0] < 9


def test_what_is_not_recorded_is_an_error():
    with pytest.raises(ValueError, match="no run 'x' .* wikitext-2"):
        recorded_run("x")


def test_importing_d2lbert_imports_no_framework():
    code = ("import sys, d2lbert, d2lbert.data.batches, d2lbert.run.__main__; "
            "print({'torch', 'mxnet', 'jax', 'flax'} & set(sys.modules))")
    done = subprocess.run([sys.executable, "-c", code], text=True,
                          capture_output=True)
    assert done.stdout.strip() == "set()", done.stderr


# Turns

def workers(monkeypatch, tmp_path, **scripts):
    """Turns whose processes run these programs, by backend."""
    args = arguments(["--backend", ",".join(scripts), "--results",
                      str(tmp_path)])
    monkeypatch.setattr(Turns, "_command", lambda self, backend: [
        sys.executable, "-c", "import os, signal, sys, time\n"
        f"path = {str(tmp_path / backend)!r} + '.json'\n"
        "def leave(text='{\"backend\": \"torch\"}'):\n"
        "    open(path, 'w').write(text)\n" + scripts[backend]])
    return Turns(args)


def test_a_worker_that_dies_leaves_the_others_alone(monkeypatch, tmp_path):
    work = workers(monkeypatch, tmp_path, torch="sys.exit(3)",
                   mxnet="os.kill(os.getpid(), signal.SIGSEGV)", jax="leave()")
    work.run()
    assert work.results == [
        {"backend": "torch", "failed": "exit status 3"},
        {"backend": "mxnet", "failed": "killed by SIGSEGV"},
        {"backend": "torch"}]
    assert work.exit_code == 1
    lines = markdown_table(pretraining.COLUMNS, [*work.results[:2], result()],
                           pretraining.rows).splitlines()
    assert lines[2].startswith("| PyTorch | failed: exit status 3 ")
    assert "failed: killed by SIGSEGV" in lines[3] and "6.00 →" in lines[4]
    assert {line.count("|") for line in lines} == {
        1 + len(pretraining.COLUMNS)}


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
@pytest.mark.parametrize("interrupts, expected", [
    (1, {"backend": "torch"}),
    (2, {"backend": "torch", "failed": "killed by SIGTERM"})])
def test_ctrl_c_waits_for_the_one_that_trains(
        interrupts, expected, monkeypatch, tmp_path):
    # A program that a shell has started with & ignores Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
    stubborn = ("def note(*_):\n"
                f"    if {interrupts} == 1:\n"
                "        leave()\n"
                "        sys.exit()\n"
                "    os.kill(os.getppid(), signal.SIGINT)\n"
                "signal.signal(signal.SIGINT, note)\n"
                "os.kill(os.getppid(), signal.SIGINT)\n"
                "time.sleep(60)")
    work = workers(monkeypatch, tmp_path, torch=stubborn, jax="leave()")
    work.run()
    assert work.results == [expected] and work.exit_code == 130
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGQUIT"])
def test_what_ends_the_run_ends_the_worker_too(name, monkeypatch, tmp_path):
    signal.signal(getattr(signal, name), signal.SIG_DFL)
    work = workers(monkeypatch, tmp_path, torch="leave()", jax=(
        f"os.kill(os.getppid(), signal.{name})\ntime.sleep(60)"))
    with pytest.raises(SystemExit, match=str(128 + getattr(signal, name))):
        work.run()
    assert work._running.wait() == "killed by SIGTERM"
    assert work.results == [{"backend": "torch"}]  # which main still shows


def test_an_error_of_a_worker_is_its_row(tmp_path, monkeypatch):
    def work(*args):
        raise OSError("No space left on device")
    backend = next(filter(installed, BACKENDS))
    monkeypatch.setattr(pretraining, "work", work)
    assert main(["--worker", "--backend", backend, "--results",
                 str(tmp_path)]) == 1
    assert json.loads((tmp_path / f"{backend}.json").read_text()) == {
        "backend": backend, "failed": "No space left on device"}


def test_a_picture_that_cannot_be_written_does_not_hide_the_table(
        tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Turns, "run", lambda self: self.results.append(
        result() | {"unigram_entropy": 5.24}))
    (tmp_path / "curves.png").mkdir()
    assert main(["--backend", "torch", "--results", str(tmp_path)]) == 1
    out, error = capsys.readouterr()
    assert "6.00 → 2.00" in out and "curves.png is not written" in error


def test_a_folder_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["--results", str(tmp_path / "file" / "results")]) == 1
    assert "nothing can be written into" in capsys.readouterr().err


def test_home_is_found_where_no_shell_does_it(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    args = arguments(["--chapter", "nli-bert", "--corpus", "~/pairs",
                      "--model", "~/bert"])
    assert (args.corpus, args.model) == ("/home/me/pairs", "/home/me/bert")


@pytest.mark.skipif(not shutil.which("make"), reason="there is no make")
def test_make_passes_any_name_on(tmp_path):
    fake = tmp_path / "bin" / "python"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\nprintf '%s\\n' \"$OMP_WAIT_POLICY\" "
                    "\"$GLIBC_TUNABLES\" \"$@\"\n")
    fake.chmod(0o755)
    (tmp_path / "installed").write_text("")
    plain = {k: v for k, v in os.environ.items() if k not in SETTINGS}
    for chosen in ({}, {"OMP_WAIT_POLICY": "ACTIVE"}):
        done = subprocess.run(
            ["make", "-s", "run", f"VENV={tmp_path}",
             "CORPUS=it's a text.txt", "MODEL=my model"],
            cwd=Path(__file__).parent.parent, capture_output=True, text=True,
            env=plain | chosen)
        assert done.stdout.splitlines() == [
            *(SETTINGS | chosen).values(), "-m", "d2lbert.run", "--corpus",
            "it's a text.txt", "--model", "my model"], done.stderr


# A run that was killed

class Died(BaseException):
    """What ends a worker here, in place of a signal."""


def dying_after(monkeypatch, steps):
    """Let training die after so many steps, all trainings together."""
    add, left = StepLog.add, [steps]

    def counting(self, *values, **rate):
        add(self, *values, **rate)
        left[0] -= 1
        if left[0] == 0:
            raise Died

    monkeypatch.setattr(StepLog, "add", counting)


def tiny_text(folder):
    path = folder / "text.txt"
    path.write_text("a crane is flying . it lands . it rests .\n" * 200)
    return ["--corpus", str(path), "--steps", "5"]


def tiny_pairs(folder):
    for split in ("train", "dev", "test"):
        write_snli(folder, *(
            f"{LABELS[i % 3]}\t( a crane )\t( w{i} )\tx" for i in range(150)),
            split=split)
    return ["--chapter", "nli-bert", "--corpus", str(folder), "--steps", "4"]


def tiny_opinions(folder):
    for split in ("train", "dev"):
        (folder / f"{split}.tsv").write_text("sentence\tlabel\n" + "".join(
            f"the lake was {'lovely' if i % 2 else 'awful'} {i}\t{i % 2}\n"
            for i in range(150)))
    return ["--chapter", "bert-from-scratch", "--corpus", str(folder),
            "--steps", "4"]


@pytest.mark.parametrize("chapter, make, stops", [
    (pretraining, tiny_text, [3, 1]),
    (nli, tiny_pairs, [3, 4]),  # in the first start, and in the second
    (sentiment, tiny_opinions, [2, 4, 6])])  # fine-tuning, pretraining, again
def test_a_run_that_was_killed_goes_on(
        chapter, make, stops, tmp_path, monkeypatch, capsys):
    backend = next(filter(installed, BACKENDS))
    options = make(tmp_path)
    text = load_corpus(tiny_text(tmp_path)[1])
    monkeypatch.setattr(sentiment, "CORPUS", str(tmp_path))  # pretrains, too
    monkeypatch.setattr(sentiment, "load_corpus", lambda name: text)
    args = arguments([*options, "--backend", backend])
    whole = chapter.work(backend, args, tmp_path / "whole")
    for steps in stops:
        with monkeypatch.context() as patch, pytest.raises(Died):
            dying_after(patch, steps)
            chapter.work(backend, args, tmp_path / "killed")
    capsys.readouterr()
    killed = chapter.work(backend, args, tmp_path / "killed")
    assert "; FRESH=1 starts anew" in capsys.readouterr().out

    def without_times(value):
        if isinstance(value, dict):
            return {key: without_times(x) for key, x in value.items()
                    if "sec" not in key}
        return [*map(without_times, value)] if isinstance(value, list) else (
            value)

    assert without_times(killed) == without_times(whole)
    names = [path.relative_to(tmp_path / "whole") for path
             in (tmp_path / "whole").rglob("*") if path.is_file()
             and "checkpoints" not in path.parts]
    assert len(names) >= 2
    for name in names:
        assert ((tmp_path / "killed" / name).read_bytes()
                == (tmp_path / "whole" / name).read_bytes()), name


def test_another_recipe_names_fresh(tmp_path, monkeypatch, capsys):
    backend = next(filter(installed, BACKENDS))
    args = arguments(["--steps", "5"])
    with monkeypatch.context() as patch, pytest.raises(Died):
        dying_after(patch, 3)
        pretraining.work(backend, args, tmp_path)
    args = arguments([*tiny_text(tmp_path)[:2], "--steps", "4"])
    with pytest.raises(ValueError, match="num_steps is 5 there and 4 here; "
                       r".*corpus is mini-wiki \(\w+\) there and .*text.txt "
                       r"\(\w+\) here; .*; FRESH=1 starts anew$"):
        pretraining.work(backend, args, tmp_path)


@pytest.mark.parametrize("options, results, interrupts, left", [
    ([], [{}, {}], 0, []),
    ([], [{}, {"failed": "killed"}], 0, ["jax"]),
    ([], [{}], 1, ["torch", "jax"]),
    (["--fresh"], [], 1, []),
])
def test_checkpoints_are_kept_until_a_run_has_come_to_its_end(
        options, results, interrupts, left, tmp_path, monkeypatch):
    backends = ["torch", "jax"]
    for backend in backends:
        checkpoints(tmp_path / backend, "a").folder.mkdir(parents=True)

    def run_workers(self):
        self.results += [result(backend) | more | {"unigram_entropy": 5.2}
                         for backend, more in zip(backends, results)]
        self._interrupts = interrupts

    monkeypatch.setattr(Turns, "run", run_workers)
    main(["--backend", ",".join(backends), "--results", str(tmp_path),
          *options])
    assert [backend for backend in backends
            if checkpoints(tmp_path / backend, "a").folder.exists()] == left


@pytest.mark.skipif(not shutil.which("make"), reason="there is no make")
@pytest.mark.parametrize("fresh, passed", [("1", True), ("0", False)])
def test_make_passes_fresh_on(fresh, passed, tmp_path):
    (tmp_path / "installed").write_text("")
    done = subprocess.run(
        ["make", "-sn", "run", f"VENV={tmp_path}", f"FRESH={fresh}"],
        cwd=Path(__file__).parent.parent, capture_output=True, text=True)
    assert (" --fresh" in done.stdout) == passed, done.stderr


def test_a_tokenizer_comes_with_its_weights(tmp_path, monkeypatch):
    """A death before it is written leaves no model that seems whole."""
    def dies(self, folder):
        raise Died

    backend = next(filter(installed, BACKENDS))
    args = arguments([*tiny_opinions(tmp_path), "--backend", backend])
    monkeypatch.setattr(BertTokenizer, "save", dies)
    with pytest.raises(Died):
        sentiment.work(backend, args, tmp_path / "model")
    assert not [*(tmp_path / "model").rglob("config.json")]
