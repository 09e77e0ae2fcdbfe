"""Pretrain and fine-tune with d2l 1.0.3 in PyTorch, for so many minutes.

    .venv-d2l/bin/python bench/d2l_snli.py WIKI SNLI \\
        --minutes-pretrain 15 --minutes-finetune 5

WIKI holds `wiki.train.tokens`, SNLI the pairs. Model, losses, batches and
rates are those of the book's sections 15.10 and 16.7, whose loops go on until
the minutes are over. Loading and evaluation do not count.
"""

import argparse
import json
import os
import random
import sys
from tempfile import TemporaryDirectory

import numpy as np
from d2l_finetuning import (
    LEARNING_RATE,
    load_pairs,
    torch_steps as finetuning_steps,
)
from d2l_pretraining import (
    import_d2l,
    load_data,
    timed,
    torch_steps as pretraining_steps,
)


def for_minutes(steps, minutes):
    """Take steps until their seconds make up the minutes.

    Returns:
        The seconds taken and what each step gave, one list a quantity.
    """
    seconds, results = 0.0, []
    while seconds < 60 * minutes:
        taken, _, result = next(steps)
        seconds += taken
        results.append(result)
    return seconds, list(zip(*results))


def last_tenth(values):
    """The mean over the last tenth of the steps."""
    return float(np.mean(values[-max(1, len(values) // 10):]))


def pretrain(d2l, folder, minutes):
    """BERT, its vocabulary and the report of WikiText-2."""
    train_iter, vocab = load_data(d2l, folder)
    bert, *halves = pretraining_steps(d2l, train_iter, vocab)
    seconds, (mlm, nsp) = for_minutes(
        timed(d2l, train_iter, *halves), minutes)
    return bert, vocab, {
        "pretrain_seconds": seconds, "pretrain_steps": len(mlm),
        "mlm": last_tenth(mlm), "nsp": last_tenth(nsp)}


def finetune(d2l, bert, train_iter, minutes, lr):
    """The classifier and the report of SNLI's training pairs."""
    net, *halves = finetuning_steps(d2l, bert, lr)
    seconds, (loss, acc) = for_minutes(
        timed(d2l, train_iter, *halves), minutes)
    return net, {
        "finetune_seconds": seconds, "finetune_steps": len(loss),
        "loss": last_tenth(loss), "train_acc": last_tenth(acc)}


def load_dev(d2l, folder, vocab):
    """The dev pairs, which d2l's reader knows nothing of."""
    with TemporaryDirectory() as disguise:
        os.symlink(os.path.join(folder, "snli_1.0_dev.txt"),
                   os.path.join(disguise, "snli_1.0_test.txt"))
        return load_pairs(d2l, disguise, False, vocab)


def accuracy(d2l, net, batches):
    """d2l's accuracy in evaluation mode."""
    return d2l.evaluate_accuracy_gpu(net, ((X, y) for *X, y in batches))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("wiki", help="holds wiki.train.tokens")
    parser.add_argument("snli", help="holds snli_1.0_{train,dev,test}.txt")
    parser.add_argument("--minutes-pretrain", type=float, default=15)
    parser.add_argument("--minutes-finetune", type=float, default=5)
    parser.add_argument("--lr", type=float, default=LEARNING_RATE,
                        help="of fine-tuning")
    args = parser.parse_args()
    random.seed(0)
    d2l = import_d2l("torch")
    bert, vocab, pretraining = pretrain(
        d2l, args.wiki, args.minutes_pretrain)
    print("d2l:", pretraining, file=sys.stderr)
    net, finetuning = finetune(
        d2l, bert, load_pairs(d2l, args.snli, True, vocab),
        args.minutes_finetune, args.lr)
    print(json.dumps({
        **pretraining, **finetuning,
        "dev_acc": accuracy(d2l, net, load_dev(d2l, args.snli, vocab)),
        "test_acc": accuracy(
            d2l, net, load_pairs(d2l, args.snli, False, vocab))}))


if __name__ == "__main__":
    main()
