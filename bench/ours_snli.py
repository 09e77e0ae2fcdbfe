"""Pretrain and fine-tune with this project's PyTorch, for so many minutes.

    .venv/bin/python bench/ours_snli.py \\
        --minutes-pretrain 15 --minutes-finetune 5

The rates rise and fall with the number of steps, which must be known at the
start: a few steps of another model tell the speed, and their time is counted
in the minutes. Making the batches counts too, evaluation does not.
"""

import argparse
import json
import sys
from itertools import chain, islice, repeat

import torch

from d2lbert import torch as d2l
from d2lbert.run.models import make_bert, make_classifier
from d2lbert.training.logs import last_tenth

SIZES = {"num_hiddens": 128, "ffn_num_hiddens": 256, "num_heads": 2,
         "num_blks": 2, "max_len": 128}
PRETRAINING = {"batch_size": 256, "max_len": 64, "lr": 3e-3, "dropout": 0.0}
FINETUNING = {"batch_size": 128, "max_len": 128, "lr": 1e-3, "dropout": 0.2,
              "warmup": 0.1}
TRIAL = 40  # steps to measure the speed
SHARE = 0.97  # of the minutes is planned: the trial may have been quicker


class Part:
    """The next so many batches, epoch after epoch: an epoch of train_ch13."""

    def __init__(self, batches, size):
        self.stream = chain.from_iterable(repeat(batches))
        self.size = size

    def __len__(self):
        return self.size

    def __iter__(self):
        return islice(self.stream, self.size)


def pretrain(minutes):
    """The weights, the vocabulary and the report of WikiText-2."""
    train_iter, vocab = d2l.load_data_wiki(
        PRETRAINING["batch_size"], PRETRAINING["max_len"])

    def train(num_steps):
        torch.manual_seed(0)
        bert = make_bert("torch", len(vocab),
                         dropout=PRETRAINING["dropout"], **SIZES)
        return bert, bert.train(train_iter, len(vocab), num_steps,
                                lr=PRETRAINING["lr"])

    trial = train(TRIAL)[1]
    bert, log = train(steps_left(trial, minutes, PRETRAINING))
    return bert.export_params(), vocab, {
        "pretrain_seconds": seconds(trial, log),
        "pretrain_steps": len(log.mlm),
        "mlm": last_tenth(log.mlm), "nsp": last_tenth(log.nsp)}


def finetune(params, vocab, minutes):
    """The report of SNLI's training pairs, the best on dev kept."""
    batches, dev_iter, test_iter = d2l.load_data_snli_bert(
        FINETUNING["batch_size"], FINETUNING["max_len"], vocab)
    trial = train_classifier(params, vocab, Part(batches, TRIAL), 1)
    num_steps = steps_left(trial, minutes, FINETUNING)
    num_epochs = max(1, round(num_steps / len(batches)))
    part = Part(batches, max(1, num_steps // num_epochs))
    log = train_classifier(
        params, vocab, part, num_epochs, dev_iter, test_iter)
    return {"finetune_seconds": seconds(trial, log),
            "finetune_steps": len(part) * num_epochs,
            "loss": log.loss[-1], "train_acc": log.train_acc[-1],
            "dev_acc": log.dev_acc[log.kept], "test_acc": log.test_acc}


def train_classifier(params, vocab, train_iter, num_epochs, dev_iter=None,
                     test_iter=None):
    """Fine-tune a classifier that starts from `params`; return the log."""
    torch.manual_seed(0)
    net = make_classifier("torch", len(vocab), pretrained=params,
                          dropout=FINETUNING["dropout"], **SIZES)
    return net.fine_tune(train_iter, dev_iter, test_iter, num_epochs,
                   lr=FINETUNING["lr"], warmup=FINETUNING["warmup"])


def seconds(*logs):
    """What the training took, first steps of a shape included."""
    return sum(log.seconds + log.warmup_seconds for log in logs)


def steps_left(trial, minutes, recipe):
    """How many steps the trial leaves of the minutes."""
    left = SHARE * 60 * minutes - seconds(trial)
    return max(1, int(left * trial.per_sec / recipe["batch_size"]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes-pretrain", type=float, default=15)
    parser.add_argument("--minutes-finetune", type=float, default=5)
    args = parser.parse_args()
    params, vocab, pretraining = pretrain(args.minutes_pretrain)
    print("d2lbert:", pretraining, file=sys.stderr)
    print(json.dumps({**pretraining,
                      **finetune(params, vocab, args.minutes_finetune)}))


if __name__ == "__main__":
    main()
