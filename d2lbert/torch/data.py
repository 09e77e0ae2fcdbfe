"""Shared batches as PyTorch tensors."""

import torch

from d2lbert import nli
from d2lbert.batches import wiki_loaders


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


class SNLIBERTDataset(nli.SNLIBERTDataset):
    __doc__ = nli.SNLIBERTDataset.__doc__
    as_tensors = staticmethod(to_tensors)


class SNLIDataset(nli.SNLIDataset):
    __doc__ = nli.SNLIDataset.__doc__
    as_tensors = staticmethod(to_tensors)


load_data_snli, load_data_snli_bert = nli.snli_loaders(
    SNLIDataset, SNLIBERTDataset)
