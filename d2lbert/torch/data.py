"""Shared batches as PyTorch tensors."""

import torch

from d2lbert.data import pairs
from d2lbert.data.batches import wiki_loaders


def to_tensors(batch):
    """A NumPy batch as tensors: integers become int64, weights stay float.

    Args:
        batch: a tuple, or a dict, which stays one.
    """
    if isinstance(batch, dict):
        return dict(zip(batch, to_tensors(batch.values())))
    tensors = map(torch.from_numpy, batch)
    return tuple(t if t.is_floating_point() else t.long() for t in tensors)


load_data_wiki, load_held_out_wiki = wiki_loaders(to_tensors)


class SNLIBERTDataset(pairs.SNLIBERTDataset):
    __doc__ = pairs.SNLIBERTDataset.__doc__
    as_tensors = staticmethod(to_tensors)


class SNLIDataset(pairs.SNLIDataset):
    __doc__ = pairs.SNLIDataset.__doc__
    as_tensors = staticmethod(to_tensors)


load_data_snli, load_data_snli_bert = pairs.snli_loaders(
    SNLIDataset, SNLIBERTDataset)
