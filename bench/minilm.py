"""Fine-tune MiniLM as its chapter does, in PyTorch, over several seeds.

    .venv/bin/python bench/minilm.py --seeds 3

prints a Markdown table of accuracies on test, the mean and the range of the
seeds: MiniLM, the same network from random weights, and bert.mini, each
after the same number of examples. A seed changes the order of the batches,
the dropout and the new weights.
"""

import argparse
from collections.abc import Callable

import numpy as np

from d2lbert import torch as d2l
from d2lbert.run.report import mean_and_range

CHECKPOINT = "all-minilm-l6-v2"
TASKS = {"mini-sentiment": 2, "mini-nli": 3}  # labels
MINI = dict(num_hiddens=128, ffn_num_hiddens=256, num_heads=2, num_blks=2,
            dropout=0.0, max_len=64)


def original(task, args, seed, pretrained):
    """Accuracy on test of MiniLM, or of its network from random weights."""
    load = {"mini-sentiment": d2l.load_data_sst2,
            "mini-nli": d2l.load_data_nli}[task]
    tokenizer = d2l.BertTokenizer.from_pretrained(CHECKPOINT)
    train, _, test = load(args.batch_size, tokenizer, max_length=48,
                          seed=seed)
    net = d2l.BertForSequenceClassification.from_pretrained(
        CHECKPOINT, new="classifier", num_labels=TASKS[task])
    shapes = net.config.classification_shapes()
    if pretrained:
        shapes = {n: s for n, s in shapes.items()
                  if n.startswith("classifier.")}
    d2l.import_params(net, d2l.export_params(net)
                      | d2l.initial_params(shapes, seed))
    d2l.fit(net, train, args.steps, args.lr, seed=seed)
    guesses, truth = d2l.predict_classes(net, test)
    return float(np.mean(guesses == truth))


def minilm(task, args, seed):
    return original(task, args, seed, pretrained=True)


def random_weights(task, args, seed):
    return original(task, args, seed, pretrained=False)


def bert_mini(task, args, seed):
    """Accuracy on test of bert.mini."""
    devices = d2l.try_all_gpus()[:1]
    bert, vocab = d2l.load_pretrained_model("bert.mini", **MINI,
                                            devices=devices)
    net = d2l.BERTClassifier(bert, TASKS[task])
    d2l.import_params(net, d2l.export_params(net) | d2l.initial_params(
        {"output.weight": (TASKS[task], 128),
         "output.bias": (TASKS[task],)}, seed))
    train, test = (batches(task, split, vocab, args.batch_size, seed)
                   for split in ("train", "test"))
    while len(train) < args.steps:
        seed += 100
        train += batches(task, "train", vocab, args.batch_size, seed)
    log = d2l.train_ch13(net, train[:args.steps], test, d2l.cross_entropy(),
                         d2l.adam(net, args.lr_mini), 1, devices, warmup=0.1,
                         seed=seed)
    return log.test_acc


def batches(task, split, vocab, size, seed):
    """The batches of an epoch for bert.mini, shuffled in training."""
    if task == "mini-nli":
        examples = d2l.read_snli(d2l.nli_folder(task), split=split)
    else:
        sentences, labels = d2l.read_sst2(
            d2l.sentiment_folder(task) / f"{split}.tsv")
        examples = sentences, [None] * len(sentences), labels
    *X, = d2l.pad_inputs([(a.split(), b and b.split())
                          for a, b, _ in zip(*examples)], vocab)
    y = np.array(examples[2], np.int32)
    rows = np.arange(len(y))
    if split == "train":
        rows = np.random.default_rng(seed).permutation(rows)
        rows = rows[:len(rows) - len(rows) % size]
    found = []
    for start in range(0, len(rows), size):
        some = rows[start:start + size]
        *features, labels = d2l.to_tensors([*(x[some] for x in X), y[some]])
        found.append((tuple(features), labels))
    return found


STARTS: dict[str, Callable] = {
    "random weights": random_weights, "bert.mini": bert_mini,
    "MiniLM": minilm}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tasks", nargs="+", choices=TASKS,
                        default=[*TASKS])
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--lr", type=float, default=2e-4)
    parser.add_argument("--lr-mini", type=float, default=1e-3)
    parser.add_argument("--starts", nargs="+", choices=STARTS,
                        default=[*STARTS])
    args = parser.parse_args()
    cells = {(name, task): [STARTS[name](task, args, seed)
                            for seed in range(args.seeds)]
             for name in args.starts for task in args.tasks}
    print(f"| accuracy on test, {args.steps} batches of {args.batch_size} | "
          f"{' | '.join(args.tasks)} |")
    print("| --- " * (len(args.tasks) + 1) + "|")
    for name in args.starts:
        print(f"| {name} | " + " | ".join(
            mean_and_range(cells[name, task], ".2f")
            for task in args.tasks) + " |")


if __name__ == "__main__":
    main()
