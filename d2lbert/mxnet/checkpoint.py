"""A Gluon model's weights in and out of the shared checkpoint format."""

from mxnet import np

from d2lbert.checkpoint import (
    GLUON_NAMES, bert_shapes, check_params, load_params, rename, save_params)


def named_parameters(net):
    """The Gluon parameters of a `BERTModel` by their shared names."""
    parameters = net._collect_params_with_prefix()
    names = bert_shapes(1, 1, 1, 1, num_blks=len(net.encoder.blks))
    return {name: parameters[rename(name, GLUON_NAMES)] for name in names}


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
    check_params(params, {name: p.shape for name, p in parameters.items()})
    if not is_initialized(net):
        net.initialize()
    for name, parameter in parameters.items():
        parameter.set_data(np.array(params[name]))


def save_checkpoint(net, path):
    """Write the weights of net as safetensors, for any backend."""
    save_params(path, export_params(net))


def load_checkpoint(net, path):
    """Read weights that any backend saved into net.

    Raises:
        CheckpointError: for a damaged file or one of another shape.
    """
    import_params(net, load_params(path))
