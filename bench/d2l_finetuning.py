"""Time the fine-tuning of BERT by d2l 1.0.3 itself, on the CPU.

    .venv-d2l/bin/python bench/d2l_finetuning.py torch FOLDER VOCAB --steps 20

FOLDER holds SNLI's files, VOCAB is a JSON list of tokens. The encoder, the
reader of the pairs, the step and the timer are the library's. The book (d2l
16.7) keeps its classifier and its data set to itself; those here compute the
same: every pair is padded to 128 tokens, and `<cls>` goes through a hidden
layer of tanh into three outputs. The weights are random, since the time does
not depend on them. The first step is a warm-up and is not counted.
"""

import argparse
import json

import numpy as np
from d2l_pretraining import import_d2l, speed, timed

BATCH_SIZE, MAX_LEN = 512, 128
SIZES = {"num_hiddens": 256, "ffn_num_hiddens": 512, "num_heads": 4,
         "num_blks": 2, "dropout": 0.2}
LEARNING_RATE = 1e-4


def load_vocab(d2l, path):
    """The vocabulary in a JSON file, as the book loads bert.small's."""
    vocab = d2l.Vocab()
    with open(path, encoding="utf-8") as file:
        vocab.idx_to_token = json.load(file)
    vocab.token_to_idx = {t: i for i, t in enumerate(vocab.idx_to_token)}
    return vocab


def load_pairs(d2l, folder, is_train, vocab):
    """Batches of tokens (B, L), segments (B, L), valid_lens and labels."""
    premises, hypotheses, labels = d2l.read_snli(folder, is_train)
    sentences = (d2l.tokenize([s.lower() for s in part])
                 for part in (premises, hypotheses))
    rows = [encode(*pair, vocab, d2l) for pair in zip(*sentences)]
    columns = [np.array(column) for column in (*zip(*rows), labels)]
    # The dtypes of the book: Gluon's lengths and labels are floats.
    kinds = {"d2l.torch": ["int64"] * 4,
             "d2l.mxnet": ["int32", "int32", "float32", "float32"]}
    return d2l.load_array(
        [as_tensor(d2l, column.astype(kind)) for column, kind
         in zip(columns, kinds[d2l.__name__])], BATCH_SIZE, is_train)


def as_tensor(d2l, array):
    """An array as a tensor of d2l's backend, of the same dtype."""
    if d2l.__name__ == "d2l.torch":
        return d2l.torch.from_numpy(array)
    return d2l.np.array(array, dtype=array.dtype)


def encode(premise, hypothesis, vocab, d2l):
    """Token ids and segments, both padded to MAX_LEN, and the length."""
    while len(premise) + len(hypothesis) > MAX_LEN - 3:
        longer = premise if len(premise) > len(hypothesis) else hypothesis
        longer.pop()
    tokens, segments = d2l.get_tokens_and_segments(premise, hypothesis)
    padding = MAX_LEN - len(tokens)
    return (vocab[tokens] + [vocab["<pad>"]] * padding,
            segments + [0] * padding, len(tokens))


def classifier(base, bert, output):
    """The book's BERTClassifier; base is the framework's class of modules."""
    class BERTClassifier(base):
        def __init__(self):
            super().__init__()
            self.encoder, self.hidden = bert.encoder, bert.hidden
            self.output = output

        def forward(self, inputs):
            encoded_X = self.encoder(*inputs)
            return self.output(self.hidden(encoded_X[:, 0, :]))

    return BERTClassifier()


def torch_bert(d2l, vocab_size):
    """A BERT of random weights; lazy layers learn their sizes in a call."""
    import torch
    torch.manual_seed(0)
    bert = d2l.BERTModel(vocab_size, **SIZES)
    tokens = torch.zeros(1, 2, dtype=torch.int64)
    bert(tokens, tokens)
    return bert


def torch_steps(d2l, bert, lr=LEARNING_RATE):
    """The classifier and the two halves of a step in PyTorch.

    The first half belongs outside the timer, the second inside.
    """
    from torch import device, nn, optim
    devices = [device("cpu")]  # try_all_gpus() is empty on a CPU
    num_hiddens = bert.encoder.token_embedding.embedding_dim
    net = classifier(nn.Module, bert, nn.Linear(num_hiddens, 3))
    net = nn.DataParallel(net, device_ids=devices).to(devices[0])
    trainer = optim.Adam(net.parameters(), lr=lr)
    loss = nn.CrossEntropyLoss(reduction="none")

    def step(batch):
        *X, y = batch
        l, correct = d2l.train_batch_ch13(net, X, y, loss, trainer, devices)
        return l.item() / len(y), correct / len(y)

    return net, list, step


def mxnet_bert(d2l, vocab_size):
    """A BERT of random weights."""
    from mxnet import init, npx
    npx.random.seed(0)
    bert = d2l.BERTModel(vocab_size, **SIZES)
    bert.initialize(init.Xavier())
    return bert


def mxnet_steps(d2l, bert, lr=LEARNING_RATE):
    """The classifier and the two halves of a step in MXNet."""
    from mxnet import gluon, npx
    devices = [npx.cpu()]
    net = classifier(gluon.nn.Block, bert, gluon.nn.Dense(3))
    net.output.initialize(ctx=devices)
    trainer = gluon.Trainer(net.collect_params(), "adam",
                            {"learning_rate": lr})
    loss = gluon.loss.SoftmaxCrossEntropyLoss()

    def prepare(batch):
        npx.waitall()  # the loading must not end inside the timer
        return batch

    def step(batch):
        *X, y = batch
        l, correct = d2l.train_batch_ch13(net, X, y, loss, trainer, devices,
                                          d2l.split_batch_multi_inputs)
        npx.waitall()  # nor the update outside it
        return l / len(y), correct / len(y)

    return net, prepare, step


BERTS = {"torch": torch_bert, "mxnet": mxnet_bert}
STEPS = {"torch": torch_steps, "mxnet": mxnet_steps}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("backend", choices=STEPS)
    parser.add_argument("folder", help="holds snli_1.0_train.txt")
    parser.add_argument("vocab", help="a JSON list of tokens")
    parser.add_argument("--steps", type=int, default=20)
    args = parser.parse_args()
    d2l = import_d2l(args.backend)
    vocab = load_vocab(d2l, args.vocab)
    train_iter = load_pairs(d2l, args.folder, True, vocab)
    bert = BERTS[args.backend](d2l, len(vocab))
    _, *halves = STEPS[args.backend](d2l, bert)
    rate, with_loading, results = speed(
        timed(d2l, train_iter, *halves), args.steps)
    losses, accuracies = zip(*results)
    print(json.dumps({
        "vocab": len(vocab), "examples_per_sec": rate,
        "with_loading": with_loading, "loss": losses, "acc": accuracies}))


if __name__ == "__main__":
    main()
