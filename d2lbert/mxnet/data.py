"""Shared batches as MXNet arrays."""

from mxnet import cpu, np

from d2lbert.data import pairs
from d2lbert.data.batches import wiki_loaders


def to_tensors(batch):
    """A NumPy batch as MXNet arrays on the CPU, of the same types.

    Args:
        batch: a tuple, or a dict, which stays one.
    """
    if isinstance(batch, dict):
        return dict(zip(batch, to_tensors(batch.values())))
    return tuple(np.array(x, ctx=cpu()) for x in batch)


load_data_wiki, load_held_out_wiki = wiki_loaders(to_tensors)


class SNLIBERTDataset(pairs.SNLIBERTDataset):
    __doc__ = pairs.SNLIBERTDataset.__doc__
    as_tensors = staticmethod(to_tensors)


class SNLIDataset(pairs.SNLIDataset):
    __doc__ = pairs.SNLIDataset.__doc__
    as_tensors = staticmethod(to_tensors)


load_data_snli, load_data_snli_bert = pairs.snli_loaders(
    SNLIDataset, SNLIBERTDataset)
