"""Shared batches as MXNet arrays."""

from mxnet import cpu, np

from d2lbert.batches import wiki_loaders


def to_tensors(batch):
    """A NumPy batch as MXNet arrays on the CPU, of the same types."""
    return tuple(np.array(x, ctx=cpu()) for x in batch)


load_data_wiki, load_held_out_wiki = wiki_loaders(to_tensors)
