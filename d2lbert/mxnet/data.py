"""Shared batches as MXNet arrays."""

import os

from mxnet import cpu, np

from d2lbert.batches import load_wiki


def to_tensors(batch):
    """A NumPy batch as MXNet arrays on the CPU, of the same types."""
    return tuple(np.array(x, ctx=cpu()) for x in batch)


def load_data_wiki(batch_size, max_len, corpus="wikitext-2", seed=0):
    """Load a corpus for pretraining (d2l 15.9.3).

    Args:
        corpus: 'wikitext-2', 'mini-wiki' (bundled) or a path to a text with
            a paragraph a line.
        seed: fixes pairs, masks and order, epoch by epoch.

    Returns:
        train_iter, an iterable of 7-tuples of arrays (see
        `d2lbert.batches`), and the vocabulary.
    """
    train_iter, _, vocab = load_wiki(
        batch_size, max_len, corpus, seed, to_tensors)
    return train_iter, vocab


def load_held_out_wiki(batch_size, max_len, corpus="wikitext-2", seed=0):
    """The held-out paragraphs of the same corpus, the same epoch each time.

    Numbered with the vocabulary of `load_data_wiki`.
    """
    return load_wiki(batch_size, max_len, corpus, seed, to_tensors)[1]


def get_dataloader_workers():
    """How many processes read data: all but one of the CPU's cores."""
    return max(1, (os.cpu_count() or 1) - 1)
