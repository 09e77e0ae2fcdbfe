"""A Flax model's weights in and out of the shared checkpoint format."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.traverse_util import flatten_dict, unflatten_dict

from d2lbert.backends import JAX
from d2lbert.checkpoints.d2l import pretrained_loader
from d2lbert.checkpoints.params import (
    fit_params,
    load_params,
    rename,
    save_params,
)
from d2lbert.jax.model import BERTModel, init_params


def named_leaves(params):
    """The leaves of {'params': …} by their shared names.

    Returns:
        {name: (path in the Flax tree, leaf)}.
    """
    leaves = flatten_dict(params["params"], sep="/")
    return {rename(path, JAX.steps): (path, leaf)
            for path, leaf in leaves.items()}


def _turned(path, array):
    """The array as the other side has it: a kernel is a weight's transpose."""
    return array.T if path.endswith("/kernel") else array


def export_params(params):
    """The weights in {'params': …} as {name: array}, copied to the host."""
    return {name: np.array(_turned(path, leaf))
            for name, (path, leaf) in named_leaves(params).items()}


def import_params(net, params):
    """Make {'params': …} for net from {name: array}.

    Args:
        net: a BERT, or its {'params': …} of arrays or of shapes.

    Raises:
        CheckpointError: naming every tensor that does not fit.
    """
    if isinstance(net, nn.Module):
        net = jax.eval_shape(lambda key: init_params(net, key),
                             jax.random.key(0))
    leaves = named_leaves(net)
    params = fit_params(params, {
        name: leaf.shape[::-1] if path.endswith("/kernel") else leaf.shape
        for name, (path, leaf) in leaves.items()})
    return {"params": unflatten_dict(
        {path: jnp.array(_turned(path, params[name]))
         for name, (path, _) in leaves.items()}, sep="/")}


def save_checkpoint(params, path):
    """Write the weights in {'params': …} as safetensors, for any backend."""
    save_params(path, export_params(params))


def load_checkpoint(net, path):
    """Read weights that any backend, torch.save or Gluon wrote for net.

    Returns:
        {'params': …}.

    Raises:
        CheckpointError: for a damaged file or one of another shape.
    """
    return import_params(net, load_params(path))


def _load(bert, vocab, path, devices):
    params = load_checkpoint(bert, path)
    return bert, vocab, jax.device_put(params, devices[0])


load_pretrained_model = pretrained_loader(BERTModel, _load)
