"""Shared batches as JAX arrays."""

from functools import partialmethod
from types import MethodType

import jax
import jax.numpy as jnp
import numpy as np

from d2lbert.data import d2l, loaders, pairs


def to_tensors(batch):
    """A NumPy batch as JAX arrays: int32, and float32 for the weights.

    Args:
        batch: a tuple, or a dict, which stays one; tensors are taken too.
    """
    if isinstance(batch, dict):
        return dict(zip(batch, to_tensors(batch.values())))
    return tuple(map(_as_array, batch))


def _as_array(x):
    x = jnp.asarray(x)
    is_odd = (jnp.issubdtype(x.dtype, jnp.integer)
              and x.dtype not in (jnp.int32, jnp.int64))
    return x.astype(jnp.int32) if is_odd else x


def to_numpy(array):
    """A JAX array as NumPy's, a copy; bfloat16 becomes float32."""
    is_short = array.dtype == jnp.bfloat16  # NumPy has no such type
    return np.array(array, np.float32 if is_short else None)


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


class load_array:
    """Batches of arrays, shuffled afresh each epoch (d2l 3.3.3).

    Args:
        data_arrays: a tuple, possibly nested, of arrays of N rows each.
        is_train: False keeps the order.
    """

    def __init__(self, data_arrays, batch_size, is_train=True, seed=0):
        self.arrays = jax.tree.map(np.asarray, data_arrays)
        self.num_rows = len(jax.tree.leaves(self.arrays)[0])
        self.batch_size, self.is_train = batch_size, is_train
        self.rng = np.random.default_rng(seed)

    def __len__(self):
        return -(-self.num_rows // self.batch_size)

    def __iter__(self):
        order = np.arange(self.num_rows)
        if self.is_train:
            self.rng.shuffle(order)
        for start in range(0, len(order), self.batch_size):
            rows = order[start:start + self.batch_size]
            yield jax.tree.map(lambda x: jnp.asarray(x[rows]), self.arrays)
