"""A PyTorch model's weights in and out of the shared checkpoint format."""

import re

import torch

from d2lbert.checkpoints.d2l import pretrained_loader
from d2lbert.checkpoints.params import fit_params, load_params, save_params
from d2lbert.torch.data import to_numpy
from d2lbert.torch.model import BERTModel


def export_params(net):
    """The weights of net as {name: array}, copied to the host.

    The names are those without torch.compile and DataParallel; bfloat16
    becomes float32, which has all its numbers.
    """
    return {_plain(name): to_numpy(tensor).copy()
            for name, tensor in net.state_dict().items()}


def import_params(net, params):
    """Put {name: array} into net.

    Raises:
        CheckpointError: naming every tensor that does not fit; net is then
            unchanged.
    """
    state = net.state_dict()
    params = fit_params(
        params, {_plain(name): t.shape for name, t in state.items()})
    net.load_state_dict(
        {name: torch.from_numpy(params[_plain(name)].copy())
         for name in state})


def _plain(name):
    """A weight's name without what torch.compile and DataParallel add."""
    return re.sub(r"(^|\.)(_orig_mod|module)\.", r"\1", name)


def save_checkpoint(net, path):
    """Write the weights of net as safetensors, for any backend."""
    save_params(path, export_params(net))


def load_checkpoint(net, path):
    """Read weights that any backend, torch.save or Gluon wrote into net.

    Raises:
        CheckpointError: for a damaged file or one of another shape.
    """
    import_params(net, load_params(path))


def _load(bert, vocab, path, devices):
    load_checkpoint(bert, path)
    return bert.to(devices[0]), vocab


load_pretrained_model = pretrained_loader(BERTModel, _load)
