"""Shared batches as MXNet arrays."""

from functools import partialmethod

from mxnet import cpu, np

from d2lbert.data import pairs
from d2lbert.data.loaders import Loaders


def to_tensors(batch):
    """A NumPy batch as MXNet arrays on the CPU, of the same types.

    Args:
        batch: a tuple, or a dict, which stays one.
    """
    if isinstance(batch, dict):
        return dict(zip(batch, to_tensors(batch.values())))
    return tuple(np.array(x, ctx=cpu()) for x in batch)


class SNLIBERTDataset(pairs.SNLIBERTDataset):
    __doc__ = pairs.SNLIBERTDataset.__doc__
    __init__ = partialmethod(
        pairs.SNLIBERTDataset.__init__, as_tensors=to_tensors)


class SNLIDataset(pairs.SNLIDataset):
    __doc__ = pairs.SNLIDataset.__doc__
    __init__ = partialmethod(
        pairs.SNLIDataset.__init__, as_tensors=to_tensors)


_loaders = Loaders(to_tensors)
load_data_wiki = _loaders.load_data_wiki
load_held_out_wiki = _loaders.load_held_out_wiki
load_data_snli = _loaders.load_data_snli
load_data_snli_bert = _loaders.load_data_snli_bert
load_data_sst2 = _loaders.load_data_sst2
