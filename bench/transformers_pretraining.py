"""Time the pretraining of transformers' BertForPreTraining, on the CPU.

    .venv/bin/python bench/transformers_pretraining.py torch --steps 10

The sizes, the pairs and the masks are those of `ours_pretraining.py`; the
batches are padded to 64 columns and go into the model by its own names, as a
reader's would, who takes the loss that it computes and makes a step of Adam.
The first step is a warm-up and is not counted, nor is the loading.
"""

import argparse
import json

import torch
from d2l_pretraining import BATCH_SIZE, LEARNING_RATE, MAX_LEN, SIZES, speed
from transformers import BertConfig, BertForPreTraining

from d2lbert import torch as d2l
from d2lbert.training.plotting import Timer


def named(tokens, segments, valid_lens, positions, weights, labels, nsp_y):
    """A batch of d2l's as transformers names it; -100 is not asked for."""
    words = torch.full_like(tokens, -100)
    rows, slots = weights.nonzero(as_tuple=True)
    words[rows, positions[rows, slots]] = labels[rows, slots]
    mask = torch.arange(tokens.shape[1]) < valid_lens[:, None]
    return {"input_ids": tokens, "token_type_ids": segments,
            "attention_mask": mask.long(), "labels": words,
            "next_sentence_label": 1 - nsp_y}


def make_net(vocab_size):
    """A model of the sizes of `d2l_pretraining.py`, in training mode."""
    config = BertConfig(
        vocab_size=vocab_size, hidden_size=SIZES["num_hiddens"],
        intermediate_size=SIZES["ffn_num_hiddens"],
        num_attention_heads=SIZES["num_heads"],
        num_hidden_layers=SIZES["num_blks"],
        hidden_dropout_prob=SIZES["dropout"],
        attention_probs_dropout_prob=SIZES["dropout"])
    return BertForPreTraining(config).train()


def timed(net, train_iter):
    """Seconds of a step, number of its pairs, its loss; step by step."""
    trainer = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
    timer = Timer()
    for batch in train_iter:
        batch = named(*batch)
        timer.start()
        loss = net(**batch).loss
        trainer.zero_grad()
        loss.backward()
        trainer.step()
        yield timer.stop(), len(batch["input_ids"]), loss.item()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("backend", choices=["torch"])
    parser.add_argument("--steps", type=int, default=10)
    args = parser.parse_args()
    torch.manual_seed(0)
    train_iter, vocab = d2l.load_data_wiki(BATCH_SIZE, MAX_LEN)
    rate, _, losses = speed(timed(make_net(len(vocab)), train_iter),
                            args.steps)
    print(json.dumps({"vocab": len(vocab), "pairs_per_sec": rate,
                      "loss": losses}))


if __name__ == "__main__":
    main()
