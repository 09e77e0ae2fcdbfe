"""Pretrain BERT on mini-wiki in other ways and keep the numbers:

    python -m d2lbert.run.variants [NAME …]

`recorded_run("mini-wiki")` gives them to the chapter on pretraining, whose
text and exercises ask what becomes of a run without one of the losses, at
another rate, and so on. PyTorch; about a minute a run on two cores.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from d2lbert.backends import load_backend
from d2lbert.data.mini.probe import Probe, context_probe, few_known
from d2lbert.data.vocab import Vocab
from d2lbert.run.models import Model, make_bert
from d2lbert.run.report import thinned
from d2lbert.training.recorded import FOLDER, write_recorded

STEPS, EVERY, BATCH, MAX_LEN = 2000, 20, 64, 32
SIZES = {"num_hiddens": 128, "ffn_num_hiddens": 256, "num_heads": 2,
         "num_blks": 2, "dropout": 0.0}
# Name of a run: what it changes
VARIANTS: dict[str, dict[str, Any]] = {
    "both losses": {}, "both losses, seed 1": {"seed": 1},
    "both losses, seed 2": {"seed": 2},
    "next sentence alone": {"loss": "next sentence"},
    "masked LM alone": {"loss": "masked LM"},
    "next sentence alone, seed 1": {"loss": "next sentence", "seed": 1},
    "both losses, rate 3e-4": {"lr": 3e-4},
    "next sentence alone, rate 3e-4": {"loss": "next sentence", "lr": 3e-4},
    "left to right": {"loss": "left to right"},
    "both losses, rate 1e-3": {"lr": 1e-3},
    "both losses, rate 1e-2": {"lr": 1e-2},
    "one block": {"num_blks": 1},
}


def main(*names: str) -> None:
    """Train the variants and add them to the file, one after another."""
    path = FOLDER / "mini-wiki.json"
    run: dict[str, Any] = (
        json.loads(path.read_text("utf-8")) if path.exists() else {
        "command": "python -m d2lbert.run.variants",
        "device": "two cores, AMD EPYC, PyTorch", "every": EVERY,
        "recipe": SIZES | {"batch_size": BATCH, "max_len": MAX_LEN,
                           "num_steps": STEPS, "lr": 3e-3}, "runs": {}})
    for name in names or VARIANTS:
        run["runs"][name] = train(**VARIANTS[name])
        run["runs"] = {key: run["runs"][key] for key in VARIANTS
                       if key in run["runs"]}
        write_recorded("mini-wiki", run)


def train(loss: str = "", lr: float = 3e-3, seed: int = 0, **changes: Any
          ) -> dict[str, Any]:
    """Train one variant; its losses, held-out scores and probes."""
    d2l = load_backend("torch")
    where = {"corpus": "mini-wiki", "seed": seed}
    train_iter, vocab = d2l.load_data_wiki(BATCH, MAX_LEN, **where)
    held_out = d2l.load_held_out_wiki(BATCH, MAX_LEN, **where)
    bert = make_bert("torch", len(vocab), seed, **SIZES | changes)
    untrained = scores(bert, vocab)
    log = bert.train(train_iter, len(vocab), STEPS, lr=lr, seed=seed,
                     batch_loss=_only(loss, vocab, d2l) if loss else None)
    result = {
        "losses": "both" if not loss else loss, "seed": seed,
        "mlm": thinned(log.mlm, STEPS // EVERY),
        "nsp": thinned(log.nsp, STEPS // EVERY),
        "probe": scores(bert, vocab), "untrained": untrained}
    if loss != "left to right":
        result |= zip(("held_out_mlm", "held_out_nsp", "held_out_accuracy"),
                      bert.evaluate(held_out))
    return result


def scores(bert: Model, vocab: Vocab) -> dict[str, Any]:
    """Shares of the probe for crane: with 200 known, with three known."""
    probe: Probe = context_probe(
        lambda pairs: bert.encode(pairs, vocab),
        bert.export_params()["encoder.token_embedding.weight"], vocab)
    shares = few_known(probe)
    return {"200 known": probe.contextual, "3 known": float(np.mean(shares))}


def _only(loss: str, vocab: Vocab, d2l: Any) -> Callable[..., Any]:
    """A batch loss of which one part is trained, or another language model.
    """
    def batch_loss(*args: Any) -> tuple:
        mlm_l, nsp_l, _ = d2l.fused_batch_loss(*args)
        return mlm_l, nsp_l, mlm_l if loss == "masked LM" else nsp_l

    def left_to_right(net: Any, loss: Any, vocab_size: int, tokens: Any,
                      segments: Any, valid_lens: Any, positions: Any,
                      weights: Any, labels: Any, nsp_y: Any) -> tuple:
        rows, slots = weights.nonzero(as_tuple=True)
        tokens = tokens.clone()  # without the masks
        tokens[rows, positions[rows, slots]] = labels[rows, slots]
        ends = tokens.new_ones(tokens.shape).cumsum(1)  # 1 … L
        encoder = net.encoder
        X = (encoder.token_embedding(tokens)
             + encoder.segment_embedding(segments)
             + encoder.pos_embedding[:, :tokens.shape[1]])
        for blk in encoder.blks:  # each query sees what is not after it
            X = blk(X, ends)
        logits = net.mlm(X, ends[:, :-1] - 1)
        nsp_hat = net.nsp(net.hidden(X[:, 0]))
        target = tokens[:, 1:]
        counted = ((ends[:, :-1] < valid_lens[:, None])
                   & (target != vocab["<sep>"])).float()
        chances = logits.log_softmax(-1).gather(2, target[..., None].long())
        lm_l = -(chances[..., 0] * counted).sum() / counted.sum()
        return lm_l, loss(nsp_hat, nsp_y), lm_l

    return left_to_right if loss == "left to right" else batch_loss


if __name__ == "__main__":
    main(*sys.argv[1:])
