"""Shared batches as JAX arrays."""

import jax
import jax.numpy as jnp
import numpy as np

from d2lbert.data import pairs
from d2lbert.data.batches import wiki_loaders


def to_tensors(batch):
    """A NumPy batch as JAX arrays: int32, and float32 for the weights.

    Args:
        batch: a tuple, or a dict, which stays one.
    """
    if isinstance(batch, dict):
        return dict(zip(batch, to_tensors(batch.values())))
    return tuple(map(jnp.asarray, batch))


load_data_wiki, load_held_out_wiki = wiki_loaders(to_tensors)


class SNLIBERTDataset(pairs.SNLIBERTDataset):
    __doc__ = pairs.SNLIBERTDataset.__doc__
    as_tensors = staticmethod(to_tensors)


class SNLIDataset(pairs.SNLIDataset):
    __doc__ = pairs.SNLIDataset.__doc__
    as_tensors = staticmethod(to_tensors)


load_data_snli, load_data_snli_bert = pairs.snli_loaders(
    SNLIDataset, SNLIBERTDataset)


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
