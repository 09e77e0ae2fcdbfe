"""A PyTorch model's weights in and out of the shared checkpoint format."""

import torch

from d2lbert.checkpoint import fit_params, load_params, save_params
from d2lbert.pretrained import find_pretrained
from d2lbert.torch.model import BERTModel


def export_params(net):
    """The weights of net as {name: array}, copied to the host."""
    return {name: tensor.detach().cpu().numpy().copy()
            for name, tensor in net.state_dict().items()}


def import_params(net, params):
    """Put {name: array} into net.

    Raises:
        CheckpointError: naming every tensor that does not fit; net is then
            unchanged.
    """
    state = net.state_dict()
    params = fit_params(
        params, {name: t.shape for name, t in state.items()})
    net.load_state_dict(
        {name: torch.from_numpy(a.copy()) for name, a in params.items()})


def save_checkpoint(net, path):
    """Write the weights of net as safetensors, for any backend."""
    save_params(path, export_params(net))


def load_checkpoint(net, path):
    """Read weights that any backend, or torch.save, wrote into net.

    Raises:
        CheckpointError: for a damaged file or one of another shape.
    """
    import_params(net, load_params(path))


def load_pretrained_model(pretrained_model, num_hiddens, ffn_num_hiddens,
                          num_heads, num_blks, dropout, max_len, devices):
    """A pretrained BERT and its vocabulary (d2l 16.7.1).

    Args:
        pretrained_model: 'bert.mini', 'bert.small', 'bert.base' or a folder;
            see `d2lbert.pretrained.find_pretrained`.
        num_hiddens … max_len: the sizes that the model was trained with.
        dropout: of the model from now on.
        devices: the model is put on the first of them.

    Returns:
        The `BERTModel` and the `Vocab`.

    Raises:
        CheckpointError: if sizes and file do not fit, naming the tensors.
        DownloadError, ArchiveError: if the file cannot be fetched.
    """
    path, vocab = find_pretrained(
        pretrained_model, num_hiddens=num_hiddens,
        ffn_num_hiddens=ffn_num_hiddens, num_heads=num_heads,
        num_blks=num_blks, max_len=max_len)
    bert = BERTModel(len(vocab), num_hiddens, ffn_num_hiddens, num_heads,
                     num_blks, dropout, max_len)
    load_checkpoint(bert, path)
    return bert.to(devices[0]), vocab
