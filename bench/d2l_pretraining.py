"""Time the BERT pretraining of d2l 1.0.3 itself, on the CPU.

    .venv-d2l/bin/python bench/d2l_pretraining.py torch FOLDER --steps 20

FOLDER holds `wiki.train.tokens` of WikiText-2. The model, the data set, the
loss and the timer are the library's; the loop and its settings are those of
the book (d2l 15.10), which does not keep `train_bert` in its library. As in
the book the timer covers the losses, the gradients and the update, and not
the loading. The first step is a warm-up and is not counted.

Four things differ from a reader's run: the data come from FOLDER, since the
book's address is dead; they are loaded in this process instead of four
others, which would share the CPU with the timed steps; MXNet's queue is empty
when the timer starts and stops; nothing is drawn.
"""

import argparse
import importlib
import json
import random
import sys
from itertools import chain, islice, repeat
from time import perf_counter
from unittest.mock import MagicMock

BATCH_SIZE, MAX_LEN = 512, 64
SIZES = {"num_hiddens": 128, "ffn_num_hiddens": 256, "num_heads": 2,
         "num_blks": 2, "dropout": 0.2}
LEARNING_RATE = 0.01


def import_d2l(backend):
    """Import d2l.torch or d2l.mxnet without torchvision."""
    sys.modules["torchvision"] = MagicMock()
    d2l = importlib.import_module(f"d2l.{backend}")
    if backend == "mxnet":
        d2l.npx.set_np()  # as each of the book's chapters begins
    return d2l


def load_data(d2l, folder):
    """d2l's loader of WikiText-2, reading `folder`, and the vocabulary."""
    d2l.download_extract = lambda *_: folder
    d2l.get_dataloader_workers = lambda: 0
    return d2l.load_data_wiki(BATCH_SIZE, MAX_LEN)


def torch_steps(d2l, train_iter, vocab):
    """The model and the two halves of a step in PyTorch.

    The first half belongs outside the timer, the second inside.
    """
    import torch
    torch.manual_seed(0)
    devices = [torch.device("cpu")]  # try_all_gpus() is empty on a CPU
    net = d2l.BERTModel(len(vocab), **SIZES)
    net(*next(iter(train_iter))[:4])
    net = torch.nn.DataParallel(net, device_ids=devices).to(devices[0])
    loss = torch.nn.CrossEntropyLoss()
    trainer = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)

    def prepare(batch):
        trainer.zero_grad()
        return [x.to(devices[0]) for x in batch]

    def step(batch):
        mlm_l, nsp_l, both = d2l._get_batch_loss_bert(
            net, loss, len(vocab), *batch)
        both.backward()
        trainer.step()
        return mlm_l.item(), nsp_l.item()

    return net.module, prepare, step


def mxnet_steps(d2l, train_iter, vocab):
    """The model and the two halves of a step in MXNet."""
    from mxnet import autograd, gluon, init, npx
    npx.random.seed(0)
    devices = [npx.cpu()]
    net = d2l.BERTModel(len(vocab), **SIZES)
    net.initialize(init.Xavier(), ctx=devices)
    loss = gluon.loss.SoftmaxCELoss()
    trainer = gluon.Trainer(net.collect_params(), "adam",
                            {"learning_rate": LEARNING_RATE})

    def prepare(batch):
        shards = [gluon.utils.split_and_load(x, devices, even_split=False)
                  for x in batch]
        npx.waitall()  # the loading must not end inside the timer
        return shards

    def step(shards):
        with autograd.record():
            mlm_ls, nsp_ls, ls = d2l._get_batch_loss_bert(
                net, loss, len(vocab), *shards)
        autograd.backward(ls)
        trainer.step(1)
        npx.waitall()  # nor the update outside it
        return mlm_ls[0].item(), nsp_ls[0].item()

    return net, prepare, step


STEPS = {"torch": torch_steps, "mxnet": mxnet_steps}


def timed(d2l, train_iter, prepare, step):
    """Step through epoch after epoch.

    Yields:
        seconds of a step, number of its examples, what step() returned.
    """
    timer = d2l.Timer()
    for batch in chain.from_iterable(repeat(train_iter)):
        inputs = prepare(batch)
        timer.start()
        result = step(inputs)
        yield timer.stop(), len(batch[0]), result


def speed(steps, num_steps):
    """Take a step of warm-up and num_steps more.

    Returns:
        Examples a second, the same with the loading, what each step gave.
    """
    warmup = next(steps)
    started = perf_counter()
    seconds, examples, results = zip(*islice(steps, num_steps))
    elapsed = perf_counter() - started
    return (sum(examples) / sum(seconds), sum(examples) / elapsed,
            [warmup[-1], *results])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("backend", choices=STEPS)
    parser.add_argument("folder", help="holds wiki.train.tokens")
    parser.add_argument("--steps", type=int, default=20)
    args = parser.parse_args()
    random.seed(0)
    d2l = import_d2l(args.backend)
    train_iter, vocab = load_data(d2l, args.folder)
    _, *halves = STEPS[args.backend](d2l, train_iter, vocab)
    rate, with_loading, losses = speed(
        timed(d2l, train_iter, *halves), args.steps)
    mlm, nsp = zip(*losses)
    print(json.dumps({"vocab": len(vocab), "pairs_per_sec": rate,
                      "with_loading": with_loading, "mlm": mlm, "nsp": nsp}))


if __name__ == "__main__":
    main()
