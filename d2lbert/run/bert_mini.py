"""Pretrain bert.mini and write it: `python -m d2lbert.run.bert_mini [FOLDER]`.

By default into its place in the package, from which `load_pretrained_model`
takes it. It takes a few minutes on two cores.
"""

import json
import sys
from pathlib import Path

from d2lbert.checkpoints.d2l import BERT_MINI
from d2lbert.run.pretraining import Recipe, pretrain

# Without dropout, as in the chapter on pretraining, but for four times as many
# pairs.
RECIPE = Recipe(batch_size=128, max_len=64, num_steps=4000, lr=3e-3,
                dropout=0.0, positions=64)


def main(folder: str | Path = BERT_MINI) -> None:
    """Pretrain by RECIPE in PyTorch, write the model, print its scores."""
    result = pretrain("torch", "mini-wiki", RECIPE, folder)
    print(json.dumps({name: round(result[name], 3) for name in (
        "held_out_mlm", "held_out_nsp", "held_out_accuracy", "probe")}))


if __name__ == "__main__":
    main(*sys.argv[1:])
