"""Shared batches as PyTorch tensors."""

import torch

from d2lbert.batches import wiki_loaders


def to_tensors(batch):
    """A NumPy batch as tensors: integers become int64, weights stay float."""
    tensors = map(torch.from_numpy, batch)
    return tuple(t if t.is_floating_point() else t.long() for t in tensors)


load_data_wiki, load_held_out_wiki = wiki_loaders(to_tensors)
