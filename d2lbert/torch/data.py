"""Shared batches as PyTorch tensors."""

from functools import partialmethod
from types import MethodType

import torch
from torch.utils.data import DataLoader, TensorDataset

from d2lbert.data import d2l, loaders, pairs


def to_tensors(batch):
    """A NumPy batch as tensors: integers become int64, weights stay float.

    Args:
        batch: a tuple, or a dict, which stays one; tensors are taken too.
    """
    if isinstance(batch, dict):
        return dict(zip(batch, to_tensors(batch.values())))
    tensors = map(torch.as_tensor, batch)
    return tuple(t if t.is_floating_point() or t.dtype == torch.bool
                 else t.long() for t in tensors)


def to_numpy(tensor):
    """A tensor as an array on the host; bfloat16 becomes float32."""
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16
            else tensor).numpy()


class SNLIBERTDataset(pairs.SNLIBERTDataset):
    __doc__ = pairs.SNLIBERTDataset.__doc__
    __init__ = partialmethod(
        pairs.SNLIBERTDataset.__init__, as_tensors=to_tensors)


class SNLIDataset(pairs.SNLIDataset):
    __doc__ = pairs.SNLIDataset.__doc__
    __init__ = partialmethod(
        pairs.SNLIDataset.__init__, as_tensors=to_tensors)


class _WikiTextDataset(d2l._WikiTextDataset):
    __doc__ = d2l._WikiTextDataset.__doc__
    __init__ = partialmethod(
        d2l._WikiTextDataset.__init__, as_tensors=to_tensors)


# Bound, so that help() shows signature and text
_pad_bert_inputs = MethodType(d2l._pad_bert_inputs, to_tensors)
load_data_wiki = MethodType(loaders.load_data_wiki, to_tensors)
load_held_out_wiki = MethodType(loaders.load_held_out_wiki, to_tensors)
load_data_snli = MethodType(loaders.load_data_snli, to_tensors)
load_data_snli_bert = MethodType(loaders.load_data_snli_bert, to_tensors)
load_data_nli = MethodType(loaders.load_data_nli, to_tensors)
load_data_sst2 = MethodType(loaders.load_data_sst2, to_tensors)


def load_array(data_arrays, batch_size, is_train=True):
    """Batches of arrays, shuffled afresh each epoch (d2l 3.3.3).

    Args:
        data_arrays: a tuple of arrays of N rows each.
        is_train: False keeps the order.
    """
    dataset = TensorDataset(*map(torch.as_tensor, data_arrays))
    return DataLoader(dataset, batch_size, shuffle=is_train)
