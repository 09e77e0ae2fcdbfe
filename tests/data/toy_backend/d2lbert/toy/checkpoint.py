"""The toy's weights in and out of the shared checkpoint format."""

from d2lbert.backends import TOY
from d2lbert.checkpoints.d2l import pretrained_loader
from d2lbert.checkpoints.params import (
    fit_params,
    load_params,
    rename,
    save_params,
)
from d2lbert.toy.model import BERTModel


def named_parameters(net):
    """{shared name: Tensor} of a net."""
    return {rename(path, TOY.steps): parameter
            for path, parameter in net.named_parameters().items()}


def export_params(net):
    """The weights of net as {name: array}, copies."""
    return {name: parameter.value.copy()
            for name, parameter in named_parameters(net).items()}


def import_params(net, params):
    """Put {name: array} into net.

    Raises:
        CheckpointError: naming every tensor that does not fit; net is then
            unchanged.
    """
    parameters = named_parameters(net)
    params = fit_params(
        params, {name: p.shape for name, p in parameters.items()})
    for name, parameter in parameters.items():
        parameter.value = params[name].copy()


def save_checkpoint(net, path):
    """Write the weights of net as safetensors, for any backend."""
    save_params(path, export_params(net))


def load_checkpoint(net, path):
    """Read weights that any backend, or torch.save, wrote into net.

    Raises:
        CheckpointError: for a damaged file or one of another shape.
    """
    import_params(net, load_params(path))


def _load(bert, vocab, path, devices):
    load_checkpoint(bert, path)
    return bert, vocab


load_pretrained_model = pretrained_loader(BERTModel, _load)
