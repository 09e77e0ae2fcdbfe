"""Shared batches as MXNet arrays."""

from functools import partialmethod
from types import MethodType

import numpy
from mxnet import cpu, np
from mxnet.gluon.data import ArrayDataset, DataLoader

from d2lbert.data import d2l, loaders, pairs


def to_tensors(batch):
    """A NumPy batch as MXNet arrays on the CPU, of the same types.

    Args:
        batch: a tuple, or a dict, which stays one; tensors are taken too.
    """
    if isinstance(batch, dict):
        return dict(zip(batch, to_tensors(batch.values())))
    return tuple(x.as_in_ctx(cpu()) if isinstance(x, np.ndarray)
                 else np.array(_known(x), ctx=cpu()) for x in batch)


def _known(x):
    """The same integers in a type that MXNet knows."""
    is_odd = (isinstance(x, numpy.ndarray) and x.dtype.kind in "iu"
              and x.dtype not in (numpy.int32, numpy.int64))
    return x.astype(numpy.int64) if is_odd else x


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
    return DataLoader(
        ArrayDataset(*data_arrays), batch_size, shuffle=is_train)
