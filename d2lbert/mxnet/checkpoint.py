"""A Gluon model's weights in and out of the shared checkpoint format."""

from mxnet import np

from d2lbert.backends import MXNET
from d2lbert.checkpoints.d2l import pretrained_loader
from d2lbert.checkpoints.params import (
    fit_params,
    load_params,
    rename,
    save_params,
)
from d2lbert.mxnet.model import BERTModel


def named_parameters(net):
    """The Gluon parameters of a net by their shared names."""
    return {rename(name, MXNET.steps): parameter for name, parameter
            in net._collect_params_with_prefix().items()}


def is_initialized(net):
    """Whether net has weights, on whatever device."""
    try:
        return all(p.list_ctx() for p in net.collect_params().values())
    except RuntimeError:
        return False


def export_params(net):
    """The weights of net as {name: array}, copied to the host."""
    return {name: parameter.list_data()[0].asnumpy()
            for name, parameter in named_parameters(net).items()}


def import_params(net, params):
    """Put {name: array} into net, which need not be initialized.

    Raises:
        CheckpointError: naming every tensor that does not fit; net is then
            unchanged.
    """
    parameters = named_parameters(net)
    params = fit_params(
        params, {name: p.shape for name, p in parameters.items()})
    if not is_initialized(net):
        net.initialize()
    for name, parameter in parameters.items():
        parameter.set_data(np.array(params[name]))


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
    bert.initialize(ctx=devices)
    load_checkpoint(bert, path)
    return bert, vocab


load_pretrained_model = pretrained_loader(BERTModel, _load)
