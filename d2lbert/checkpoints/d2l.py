"""d2l's BERT: the shapes of its weights, and pretrained models by name.

A pretrained model is a folder with weights, vocabulary and sizes (d2l 16.7.1).
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from d2lbert.checkpoints.params import (
    Params,
    Shapes,
    fit_params,
    load_params,
    save_params,
)
from d2lbert.checks import CheckpointError, check_layers
from d2lbert.data import hub
from d2lbert.data.vocab import Vocab
from d2lbert.files import model_folder, read_json, write_whole

# d2l 16.7.1. The weights do not tell the number of heads, so that it stands
# here; our own folders have a config.json.
SIZES = {
    "bert.small": {"num_hiddens": 256, "ffn_num_hiddens": 512,
                   "num_heads": 4, "num_blks": 2, "max_len": 512},
    "bert.base": {"num_hiddens": 768, "ffn_num_hiddens": 3072,
                  "num_heads": 12, "num_blks": 12, "max_len": 512},
}
_SIZE_NAMES = tuple(SIZES["bert.base"])
BERT_MINI = Path(__file__).parent / "bert_mini"
_VOCAB, _PARAMS, _CONFIG = "vocab.json", "pretrained.params", "config.json"


def bert_shapes(vocab_size: int, num_hiddens: int, ffn_num_hiddens: int,
                num_heads: int, num_blks: int, dropout: float = 0.0,
                max_len: int = 1000) -> Shapes:
    """{name: shape} of a `BERTModel` built with the same arguments."""
    H, F = num_hiddens, ffn_num_hiddens

    def dense(name: str, outputs: int, inputs: int = H) -> Shapes:
        return {f"{name}.weight": (outputs, inputs),
                f"{name}.bias": (outputs,)}

    def norm(name: str) -> Shapes:
        return {f"{name}.weight": (H,), f"{name}.bias": (H,)}

    shapes: Shapes = {
        "encoder.token_embedding.weight": (vocab_size, H),
        "encoder.segment_embedding.weight": (2, H),
        "encoder.pos_embedding": (1, max_len, H)}
    for blk in (f"encoder.blks.{i}" for i in range(num_blks)):
        for projection in "qkvo":
            shapes |= dense(f"{blk}.attention.W_{projection}", H)
        shapes |= norm(f"{blk}.addnorm1.ln")
        shapes |= dense(f"{blk}.ffn.dense1", F)
        shapes |= dense(f"{blk}.ffn.dense2", H, F)
        shapes |= norm(f"{blk}.addnorm2.ln")
    return (shapes | dense("hidden.0", H) | dense("mlm.mlp.0", H)
            | norm("mlm.mlp.2") | dense("mlm.mlp.3", vocab_size)
            | dense("nsp.output", 2))


def classifier_shapes(num_outputs: int, *sizes: int, **named_sizes: Any
                      ) -> Shapes:
    """{name: shape} of a `BERTClassifier`; sizes as in `bert_shapes`."""
    shapes = {name: shape
              for name, shape in bert_shapes(*sizes, **named_sizes).items()
              if name.startswith(("encoder.", "hidden."))}
    (H,) = shapes["hidden.0.bias"]
    return shapes | {"output.weight": (num_outputs, H),
                     "output.bias": (num_outputs,)}


def find_pretrained(name: str | Path, **sizes: int) -> tuple[Path, Vocab]:
    """Where a pretrained model's weights are, and its vocabulary.

    Args:
        name: 'bert.mini' (bundled), 'bert.small' or 'bert.base' (downloaded
            on first use, hash checked), another name in DATA_HUB, or a
            folder with vocab.json and pretrained.params.
        sizes: what the caller will build: num_hiddens, ffn_num_hiddens,
            num_heads, num_blks and max_len.

    Returns:
        The path of the weights and a `Vocab`.

    Raises:
        ValueError: for a name that is neither in DATA_HUB nor a folder.
        CheckpointError: for other sizes than the model was trained with, or
            a vocabulary that is not a list of tokens.
        DownloadError, ArchiveError: see `d2lbert.data.hub.download_extract`.
    """
    folder, known = _folder(name), pretrained_sizes(name)
    wrong = [f"{key}={known[key]}, not {size}"
             for key, size in sizes.items() if known.get(key, size) != size]
    if wrong:
        raise CheckpointError(f"{name} was trained with {', '.join(wrong)}: "
                              "ask for the sizes that it has")
    return folder / _PARAMS, _read_vocab(folder / _VOCAB)


def load_pretrained_params(name: str | Path
                           ) -> tuple[Params, Vocab, dict[str, int]]:
    """A pretrained model's weights, vocabulary and sizes, by its own words.

    Args:
        name: as in `find_pretrained`.

    Returns:
        {name: array}, a `Vocab`, and the sizes of the `BERTModel`.

    Raises:
        CheckpointError: if it does not say its sizes, or its weights have
            others; and what `find_pretrained` raises.
    """
    sizes = pretrained_sizes(name)
    missing = [key for key in _SIZE_NAMES if key not in sizes]
    if missing:
        raise CheckpointError(
            f"{name} does not say its {', '.join(missing)}: write them into "
            f"its {_CONFIG}, as save_pretrained_model does")
    path, vocab = find_pretrained(name, **sizes)
    params = load_params(path)
    check_layers(sizes["num_blks"], len(params))
    shapes = bert_shapes(len(vocab), **sizes)
    return fit_params(params, shapes), vocab, sizes


def pretrained_sizes(name: str | Path) -> dict[str, int]:
    """{name: size} that a pretrained model has, as far as it is known.

    Args:
        name: as in `find_pretrained`.

    Raises:
        CheckpointError: if one of them cannot be.
    """
    if name in SIZES:
        return dict(SIZES[name])
    config = _folder(name) / _CONFIG
    sizes = read_json(config, dict) if config.is_file() else {}
    sizes = {key: sizes[key] for key in _SIZE_NAMES if key in sizes}
    for key, size in sizes.items():
        if type(size) is not int or size < 1:
            raise CheckpointError(f"{config} says that {key} is {size!r}, "
                                  "not a whole number from 1")
    return sizes


def _folder(name: str | Path) -> Path:
    if name == "bert.mini":
        return BERT_MINI
    if name in hub.DATA_HUB:
        return Path(hub.download_extract(name, data_dir=hub.cache_dir()))
    if Path(name).is_dir():
        return Path(name)
    raise ValueError(
        f"unknown model {name!r}: use bert.mini, {', '.join(SIZES)} or a "
        f"folder with {_VOCAB} and {_PARAMS}")


def _read_vocab(path: str | Path) -> Vocab:
    """The `Vocab` in a JSON file that is a list of tokens.

    Raises:
        FileNotFoundError, CheckpointError: if there is none.
    """
    tokens = read_json(path, list)
    if not all(isinstance(t, str) for t in tokens) or "<unk>" not in tokens:
        raise CheckpointError(f"{path} is no vocabulary: expected a JSON list "
                              "of tokens, <unk> among them")
    vocab = Vocab()
    vocab.idx_to_token = tokens
    vocab.token_to_idx = {token: i for i, token in enumerate(tokens)}
    return vocab


def save_pretrained_model(folder: str | Path, params: Params, vocab: Vocab,
                          **sizes: int) -> None:
    """Write weights, vocabulary and sizes as `find_pretrained` reads them.

    A process that dies meanwhile leaves the model that was there, or none.
    """
    with model_folder(folder, _PARAMS) as draft:
        save_params(draft / _PARAMS, params)
        for name, value in ((_VOCAB, vocab.idx_to_token), (_CONFIG, sizes)):
            write_whole(draft / name, json.dumps(value, indent=0) + "\n")


def pretrained_loader(bert_model: Callable[..., Any],
                      load: Callable[..., tuple]) -> Callable[..., tuple]:
    """Make a backend's `load_pretrained_model`.

    Args:
        bert_model: the backend's `BERTModel`.
        load: (bert, vocab, path, devices) -> what the function returns.
    """
    def load_pretrained_model(pretrained_model: str | Path, num_hiddens: int,
                              ffn_num_hiddens: int, num_heads: int,
                              num_blks: int, dropout: float, max_len: int,
                              devices: Sequence[Any]) -> tuple:
        """Load a pretrained BERT and its vocabulary (d2l 16.7.1).

        Args:
            pretrained_model: 'bert.mini', 'bert.small', 'bert.base' or a
                folder; see `d2lbert.checkpoints.d2l.find_pretrained`.
            num_hiddens, ffn_num_hiddens, num_heads, num_blks, max_len: the
                sizes that the model was trained with.
            dropout: of the model from now on.
            devices: a list; the model is put on the first of them, in MXNet
                on all.

        Returns:
            The `BERTModel` and the `Vocab`; in JAX also {'params': …}.

        Raises:
            ValueError: for an unknown name.
            CheckpointError: if sizes and file do not fit, naming the tensors.
            DownloadError, ArchiveError: if the file cannot be fetched.
        """
        sizes = dict(num_hiddens=num_hiddens, num_heads=num_heads,
                     ffn_num_hiddens=ffn_num_hiddens, num_blks=num_blks,
                     max_len=max_len)
        path, vocab = find_pretrained(pretrained_model, **sizes)
        bert = bert_model(len(vocab), dropout=dropout, **sizes)
        return load(bert, vocab, path, devices)

    return load_pretrained_model
