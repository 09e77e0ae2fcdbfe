"""Shared batches as PyTorch tensors."""

from functools import partialmethod

import torch

from d2lbert.data import pairs
from d2lbert.data.loaders import Loaders


def to_tensors(batch):
    """A NumPy batch as tensors: integers become int64, weights stay float.

    Args:
        batch: a tuple, or a dict, which stays one; tensors stay as they are.
    """
    if isinstance(batch, dict):
        return dict(zip(batch, to_tensors(batch.values())))
    tensors = map(torch.as_tensor, batch)
    return tuple(t if t.is_floating_point() else t.long() for t in tensors)


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
