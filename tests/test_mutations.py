"""The tests notice when BERT is broken.

Each mutation breaks a copy of the package in one place; named tests, run on
the copy in a process of their own, must then fail.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from harness import installed

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

# file, what stands there, what is put in its place, test that must fail
MUTATIONS = [
    ("torch/model.py", "if valid_lens is not None:", "if False:", PADDING),
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
    ("jax/model.py", "if valid_lens is not None:", "if False:", PADDING),
    ("jax/model.py", " / Q.shape[-1] ** 0.5", "", ATTENTION),
    ("jax/fast.py", "Q, K, V, mask=mask)", "Q, K, V, mask=mask, scale=1.0)",
     ATTENTION),
    ("jax/model.py", "epsilon=1e-5", "epsilon=1e-6", EPSILON),
    ("jax/train.py", "(per_slot * weights).sum()", "per_slot.sum()", WEIGHTS),
    ("jax/fast.py", "weights = take(mlm_weights_X)",
     "weights = take(mlm_weights_X) + 1", FUSED),
    ("torch/finetune.py", "encoded_X[:, 0]", "encoded_X[:, 1]", LOGITS),
    ("torch/finetune.py", "if best:", "if False:", BEST),
    ("mxnet/finetune.py", "encoded_X[:, 0]", "encoded_X[:, 1]", LOGITS),
    ("mxnet/finetune.py", "(best or {})", "{}", BEST),
    ("jax/finetune.py", "encoded_X[:, 0]", "encoded_X[:, 1]", LOGITS),
    ("jax/finetune.py", "best or params", "params", BEST),
    ("torch/original/model.py", "self.output(self.intermediate(X), X)",
     "self.output(self.intermediate(X), 0 * X)", LAYERS),
    ("torch/original/model.py",
     "eps=config.layer_norm_eps)\n        self.dropout = "
     "nn.Dropout(config.hidden_dropout_prob)\n\n    def forward(self, Y",
     "eps=1e-5)\n        self.dropout = "
     "nn.Dropout(config.hidden_dropout_prob)\n\n    def forward(self, Y",
     LAYERS),
    ("mxnet/original/model.py", "V, F.np.expand_dims(mask, 1)",
     "V, F.np.ones_like(F.np.expand_dims(mask, 1))", UNREAD),
    ("mxnet/original/heads.py", "labels != -100", "labels != -101", IGNORED),
    ("jax/original/model.py", "approximate=False", "approximate=True", LAYERS),
    ("jax/original/heads.py", "labels != -100", "labels != -101", IGNORED),
]


@pytest.mark.parametrize("file, old, new, test", MUTATIONS, ids=[
    f"{file}-{test}" for file, _, _, test in MUTATIONS])
def test_a_broken_copy_turns_red(file, old, new, test, tmp_path):
    backend = file.partition("/")[0]
    if not installed(backend):
        pytest.skip(f"{backend} is not installed")
    for part in ("d2lbert", "tests"):
        shutil.copytree(ROOT / part, tmp_path / part,
                        ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / "d2lbert" / file
    source = path.read_text()
    assert source.count(old) == 1, f"{file} no longer has {old!r} once"
    path.write_text(source.replace(old, new))
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p",
         "no:cacheprovider", "tests/test_parity.py",
         "tests/test_behaviour.py", "tests/test_finetune.py",
         "tests/test_original.py",
         "-k", f"{test} and {backend}"],
        cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert re.search(f"FAILED .*{test}", found.stdout), found.stdout[-2000:]
    assert found.returncode == 1
