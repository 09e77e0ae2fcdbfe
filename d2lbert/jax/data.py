"""Shared batches as JAX arrays."""

import jax.numpy as jnp

from d2lbert.batches import wiki_loaders


def to_tensors(batch):
    """A NumPy batch as JAX arrays: int32, and float32 for the weights."""
    return tuple(map(jnp.asarray, batch))


load_data_wiki, load_held_out_wiki = wiki_loaders(to_tensors)
