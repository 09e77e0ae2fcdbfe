"""The tests notice when BERT is broken.

Each mutation breaks a copy of the package in one place; named tests, run on
the copy in a process of their own, must then fail.
"""

import re
import shutil
from pathlib import Path

import pytest
from forked import run_tests
from harness import installed

from d2lbert.backends import BACKENDS

ROOT = Path(__file__).parent.parent
PADDING = "test_padding_changes_nothing"
WEIGHTS = "test_weight_zero_slots_change_nothing"
SCALE = "test_activations_layer_by_layer"
ATTENTION = "test_attention_written_out_and_fused"
FUSED = "test_five_steps_of_train_bert"
EPSILON = "test_layer_norm_epsilon"
LOGITS = "test_logits_are_those_of_numpy"
BEST = "test_the_weights_of_the_best_epoch_come_back"
LAYERS = "test_layer_by_layer"
UNREAD = "test_padding_is_neither_read_nor_learned"
IGNORED = "test_labels_of_minus_100_are_ignored"
DECAY = "test_matrices_decay_and_vectors_do_not"
DROPS = "drops_other_activations"
# Who else draws with the seed of a step does so only beside other workers
USED_BY = {"training/workers.py": "mxnet"}
TESTS = {path: path.read_text(encoding="utf-8")
         for path in sorted((ROOT / "tests").glob("test_*.py"))
         if path.name != Path(__file__).name}

# file, what stands there, what is put in its place, test that must fail
MUTATIONS = [
    ("torch/model.py", "if valid_lens is None:", "if True:", PADDING),
    ("torch/fast.py", "attn_mask=mask,", "attn_mask=mask, scale=1.0,", SCALE),
    ("torch/model.py", " / Q.shape[-1] ** 0.5", "", ATTENTION),
    ("torch/model.py", "norm_shape, eps=1e-5", "norm_shape, eps=1e-6",
     EPSILON),
    ("torch/train.py", "(per_slot * weights).sum() / weights.sum()",
     "per_slot.sum() / weights.sum()", WEIGHTS),
    ("torch/fast.py", "weights / weights.sum()",
     "weights / mlm_weights_X.numel()", FUSED),
    ("mxnet/fast.py", "scores, lens, use_length=True,", "scores,", PADDING),
    ("mxnet/model.py", "scores - 1e9 * (1 - mask)", "scores", ATTENTION),
    ("mxnet/model.py", "(num_hiddens / num_heads)**0.5", "1.0", SCALE),
    ("mxnet/model.py", "epsilon=1e-5", "epsilon=1e-6", EPSILON),
    ("mxnet/train.py", "(per_slot * weights).sum()", "per_slot.sum()",
     WEIGHTS),
    ("jax/model.py", "if valid_lens is None:", "if True:", PADDING),
    ("jax/model.py", " / Q.shape[-1] ** 0.5", "", ATTENTION),
    ("jax/fast.py", "Q, K, V, mask=mask)", "Q, K, V, mask=mask, scale=1.0)",
     ATTENTION),
    ("jax/model.py", "epsilon=1e-5", "epsilon=1e-6", EPSILON),
    ("jax/train.py", "(per_slot * weights).sum()", "per_slot.sum()", WEIGHTS),
    ("jax/fast.py", "weights = take(mlm_weights_X)",
     "weights = take(mlm_weights_X) + 1", FUSED),
    ("torch/finetune.py", "torch.zeros_like(tokens_X",
     "torch.ones_like(tokens_X", LOGITS),
    ("torch/finetune.py", "if best:", "if False:", BEST),
    ("mxnet/finetune.py", "np.zeros_like(tokens_X",
     "np.ones_like(tokens_X", LOGITS),
    ("mxnet/finetune.py", "if best:", "if False:", BEST),
    ("jax/finetune.py", "jnp.zeros_like(tokens_X",
     "jnp.ones_like(tokens_X", LOGITS),
    ("jax/finetune.py", "best or params", "params", BEST),
    ("torch/original/model.py", "self.output(self.intermediate(X), X)",
     "self.output(self.intermediate(X), 0 * X)", LAYERS),
    ("torch/original/model.py",
     "eps=config.layer_norm_eps)\n        self.dropout = "
     "Dropout(config.hidden_dropout_prob)\n\n    def forward(self, Y",
     "eps=1e-5)\n        self.dropout = "
     "Dropout(config.hidden_dropout_prob)\n\n    def forward(self, Y",
     LAYERS),
    ("mxnet/original/model.py", "V, F.np.expand_dims(mask, 1)",
     "V, F.np.ones_like(F.np.expand_dims(mask, 1))", UNREAD),
    ("mxnet/original/heads.py", "labels != -100", "labels != -101", IGNORED),
    ("jax/original/model.py", "approximate=False", "approximate=True", LAYERS),
    ("jax/original/heads.py", "labels != -100", "labels != -101", IGNORED),
    # optimisers
    ("torch/original/train.py", '"weight_decay": 0.0', '"weight_decay": 0.01',
     DECAY),
    ("torch/original/train.py", '"weight_decay": weight_decay',
     '"weight_decay": 0.0', DECAY),
    ("mxnet/original/train.py", "float(len(parameter.shape) > 1)", "1.0",
     DECAY),
    ("mxnet/original/train.py", "self._get_lr(index) * self._get_wd(index)",
     "0.0", DECAY),
    ("jax/original/train.py", "p.ndim > 1", "True", DECAY),
    ("jax/original/train.py", "weight_decay=weight_decay", "weight_decay=0.0",
     DECAY),
    # dropout
    ("torch/finetune.py", "    net.train()\n", "    net.eval()\n",
     f"fine_tuning_{DROPS}"),
    ("torch/train.py", "net.to(devices[0]).train()",
     "net.to(devices[0]).eval()", f"pretraining_{DROPS}"),
    ("torch/original/train.py", "net.to(device).train()",
     "net.to(device).eval()", f"fit_{DROPS}"),
    ("mxnet/finetune.py", "autograd.record()",
     "autograd.record(train_mode=False)", f"fine_tuning_{DROPS}"),
    ("mxnet/parallel.py", "autograd.record()",
     "autograd.record(train_mode=False)", f"pretraining_{DROPS}"),
    ("mxnet/original/train.py", "autograd.record()",
     "autograd.record(train_mode=False)", f"fit_{DROPS}"),
    ("jax/finetune.py", "jax.random.fold_in(key, log.step)", "key",
     f"fine_tuning_{DROPS}"),
    ("jax/train.py", "jax.random.fold_in(key, log.step)", "key",
     f"pretraining_{DROPS}"),
    ("jax/original/train.py", "jax.random.fold_in(key, log.step)", "key",
     f"fit_{DROPS}"),
    # what the backends share
    ("data/loaders.py", "texts.held_out", "texts.train",
     "test_held_out_is_what_was_not_trained_on"),
    ("data/pretraining.py", "MASK_RATE = 0.15", "MASK_RATE = 0.25",
     "test_fifteen_percent_are_chosen_and_never_a_special_token"),
    ("data/pretraining.py", "fate < 0.9", "fate < 0.8",
     "test_the_80_10_10_split"),
    ("data/pretraining.py", "np.where(draw >= first, size, 0)", "0",
     "test_false_next_sentences_come_from_other_paragraphs"),
    ("data/batches.py", "[self.seed, self.epoch]", "[self.seed]",
     "test_same_seed_same_bytes_and_a_second_epoch_differs"),
    ("inputs.py", "valid_lens, 1, length", "valid_lens, 1, 10 ** 9",
     "test_training_evaluation_and_loss_say_what_is_wrong"),
    ("training/divergence.py", "if has_finite_loss:", "if True:",
     "test_the_weights_kept_are_those_of_a_finite_loss"),
    ("torch/train.py", "torch.manual_seed(seed)", "pass",
     "test_a_seed_fixes_every_weight"),
    ("training/workers.py", "SeedSequence(words)", "SeedSequence()",
     "test_a_seed_fixes_every_weight"),
    ("torch/original/heads.py", 'problem == "regression"', "False",
     "test_classifier_loss_and_gradients"),
    ("run/workers.py", "None if is_bad else value", "value",
     "test_json_stays_json"),
    ("run/nli.py", "(None, params)", "(params, params)",
     "test_the_chapter_on_pairs"),
    ("book/pictures.py", "min(picture.size) < SMALLEST", "False",
     "test_check_finds"),
    ("book/digest.py", "fields.pop(\"returns\", None)", "fields.clear()",
     "test_an_edit_of_the_package_runs_what_reaches_it"),
]


@pytest.mark.parametrize("file, old, new, test", MUTATIONS, ids=[
    f"{file}-{test}" for file, _, _, test in MUTATIONS])
def test_a_broken_copy_turns_red(file, old, new, test, tmp_path):
    backend = USED_BY.get(file, file.partition("/")[0])
    if backend not in BACKENDS:  # one shows what breaks in what all share
        backend = next(filter(installed, BACKENDS))
    if not installed(backend):
        pytest.skip(f"{backend} is not installed")
    files = [path.relative_to(ROOT) for path, text in TESTS.items()
             if f"{test}(" in text]
    for part in ("d2lbert", "tests"):
        shutil.copytree(  # compiled, too, but for what is being written
            ROOT / part, tmp_path / part,
            ignore=shutil.ignore_patterns("*.pyc.*"))
    path = tmp_path / "d2lbert" / file
    source = path.read_text()
    assert source.count(old) == 1, f"{file} no longer has {old!r} once"
    path.write_text(source.replace(old, new))
    status, printed = run_tests(
        tmp_path, ["-qx", "-p", "no:xdist", "-p", "no:nbval", "-p",
                   "no:cacheprovider", *map(str, files), "-k", test],
        tmp_path / "printed", {
            "PYTHONPATH": str(tmp_path), "D2LBERT_TEST_BACKENDS": backend})
    assert re.search(f"FAILED .*{test}", printed), printed[-2000:]
    assert status == 1
