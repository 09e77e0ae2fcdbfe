"""Checkpoints of Hugging Face: read, fitted and written, in NumPy.

A checkpoint is a folder with config.json, the weights in one file or in
shards, and the tokenizer's files. Source: the formats that `transformers`
writes, https://huggingface.co/docs/transformers/models.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path, PureWindowsPath

import numpy as np

from d2lbert.backends import Steps
from d2lbert.checkpoints.params import (
    Params,
    Shapes,
    fit_params,
    initial_params,
    load_params,
    rename,
    save_params,
)
from d2lbert.checks import CheckpointError
from d2lbert.files import model_folder, read_json, write_whole
from d2lbert.original.config import BertConfig, num_parameters

CONFIG = "config.json"
# In the order in which they are looked for: one of them is enough.
WEIGHTS = ("model.safetensors", "model.safetensors.index.json",
           "pytorch_model.bin", "pytorch_model.bin.index.json")

# Names in a checkpoint -> today's, in steps that are taken one after another.
_NAME_STEPS = (
    (r"\bLayerNorm\.gamma$", "LayerNorm.weight"),  # TensorFlow's
    (r"\bLayerNorm\.beta$", "LayerNorm.bias"),
    # The decoder is tied: it has the word embeddings and the head's bias.
    (r"^cls\.predictions\.decoder\.weight$",
     "bert.embeddings.word_embeddings.weight"),
    (r"^cls\.predictions\.decoder\.bias$", "cls.predictions.bias"),
    # Buffers that count positions: no weights, so they get no name.
    (r"^(.*\.)?embeddings\.(position|token_type)_ids$", ""),
)
# A small file that asks for all memory is an attack.
_MAX_EXPANSION = 64
# Parts that one task has and another has not.
_HEADS = ("cls.predictions", "cls.seq_relationship", "classifier",
          "qa_outputs", "bert.pooler", "pooler")
# Architecture -> the shapes of its weights.
SHAPES: dict[str, Callable[..., Shapes]] = {
    "BertModel": BertConfig.shapes,
    "BertForPreTraining": BertConfig.pretraining_shapes,
    "BertForSequenceClassification": BertConfig.classification_shapes,
}


def read_config(folder: str | Path) -> BertConfig:
    """The `BertConfig` in a checkpoint's config.json.

    Raises:
        FileNotFoundError: if there is none.
        CheckpointError: if it is not that of a BERT which can be built here.
    """
    path = Path(folder, CONFIG)
    values = read_json(path, dict)
    try:
        return BertConfig.from_dict(values)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


def read_weights(folder: str | Path) -> Params:
    """All tensors of a checkpoint, under today's names.

    Returns:
        {name: array} without buffers and without the tied decoder.

    Raises:
        FileNotFoundError: if the folder holds no weights.
        CheckpointError: if a file is damaged, a shard or a tensor in it is
            missing, or two names of one tensor have different values.
    """
    paths = [Path(folder, name) for name in WEIGHTS]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        raise FileNotFoundError(f"{folder} holds no weights: looked for "
                                f"{', '.join(WEIGHTS)}")
    read = _read_shards if path.suffix == ".json" else load_params
    return _renamed(read(path), _NAME_STEPS)


def _read_shards(index: Path) -> Params:
    params: Params = {}
    problems: list[str] = []
    for shard, names in read_index(index).items():
        path = index.with_name(shard)
        if not path.is_file():
            problems.append(f"{shard} is missing, with {_some(names)}")
            continue
        tensors = load_params(path)
        lacking = [name for name in names if name not in tensors]
        if lacking:
            problems.append(f"{shard} lacks {_some(lacking)}")
        params |= {n: tensors[n] for n in names if n in tensors}
    if problems:
        raise CheckpointError(f"the checkpoint of {index} is not whole: "
                              f"{'; '.join(problems)}. Fetch it again")
    return params


def read_index(path: str | Path) -> dict[str, list[str]]:
    """{shard: names of its tensors}, from the index of a checkpoint."""
    weight_map = read_json(path, dict).get("weight_map")
    shards: dict[str, list[str]] = {}
    if not isinstance(weight_map, dict) or not all(
            isinstance(shard, str) for shard in weight_map.values()):
        raise CheckpointError(f"{path} has no weight_map from tensors to the "
                              "names of files")
    for name, shard in weight_map.items():
        # A Windows path knows drives and both kinds of slash.
        if shard in ("", "..") or PureWindowsPath(shard).name != shard:
            raise CheckpointError(
                f"{path} looks for {name} in {shard!r}, which is no file "
                "name: a shard lies in the folder of its index")
        shards.setdefault(shard, []).append(name)
    return shards


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _renamed(params: Params, steps: Steps) -> Params:
    """Rename all tensors; those that get the same name must be equal."""
    renamed: Params = {}
    origins: dict[str, str] = {}
    problems: list[str] = []
    for name, array in params.items():
        target = rename(name, steps)
        if not target:
            continue
        origin = origins.setdefault(target, name)
        twin = renamed.setdefault(target, array)
        if twin is not array and not np.array_equal(
                twin, array, equal_nan=True):
            problems.append(f"{origin} and {name} are not tied")
    if problems:
        raise CheckpointError(
            f"{'; '.join(problems)}: in this model they are one tensor, but "
            "in the checkpoint their values differ")
    return renamed


def fit_checkpoint(params: Params, shapes: Shapes,
                   new: str | Iterable[str] = ()) -> Params:
    """Choose from a checkpoint what a model needs.

    The encoder's names may begin with `bert.` or not, in the checkpoint and
    in the model. Heads that the model does not have are left out.

    Args:
        params: {name: array} of `read_weights`; shapes: {name: shape}.
        new: beginnings of names, such as ('cls.seq_relationship',), whose
            tensors get initial values where the checkpoint lacks them.

    Returns:
        {name: float32 array}.

    Raises:
        CheckpointError: naming all tensors that do not fit (`fit_params`),
            and how to start missing heads anew.
    """
    prefix = "bert." if any(n.startswith("bert.") for n in shapes) else ""
    params = _renamed(params, ((
        r"^(bert\.)?(?=(embeddings|encoder|pooler)\.)", prefix),))
    spare = tuple(f"{head}." for head in _HEADS if not _within(head, shapes))
    params = {n: a for n, a in params.items() if not n.startswith(spare)}
    lacking = {n: shape for n, shape in shapes.items() if n not in params}
    begun = {n: shape for n, shape in lacking.items()
             if n.startswith(prefixes(new))}
    _check_room(num_parameters(begun), sum(a.size for a in params.values()))
    try:
        return fit_params(params | initial_params(begun), shapes)
    except CheckpointError as error:
        heads = tuple(head for head in _HEADS
                      if _within(head, lacking.keys() - begun.keys()))
        hint = f". To start what is missing anew: new={heads}" if heads else ""
        raise CheckpointError(f"{error}{hint}") from None


def _check_room(num_new: int, num_read: int) -> None:
    if num_new > _MAX_EXPANSION * num_read:
        raise CheckpointError(
            f"{num_new} new values are asked for beside the {num_read} of the "
            "checkpoint: is num_labels right?")


def _within(head: str, names: Iterable[str]) -> bool:
    return any(name.startswith(f"{head}.") for name in names)


def prefixes(new: str | Iterable[str]) -> tuple[str, ...]:
    # A str would be taken for its letters, each the beginning of some name.
    return (new,) if isinstance(new, str) else tuple(new)


def save_checkpoint_folder(folder: str | Path, config: BertConfig,
                           params: Params, architecture: str) -> None:
    """Write config.json and model.safetensors as `transformers` reads them.

    A process that dies meanwhile leaves the model that was there, or none.

    Args:
        folder: made where there is none.
        config: a `BertConfig`. A classifier with another number of outputs
            has lost its names of the labels.
        params: {name: array}, see `SHAPES`.
        architecture: the name of the class in `transformers`.
    """
    if "classifier.bias" in params:
        config = config.with_labels(len(params["classifier.bias"]))
    values = {**config.to_dict(), "architectures": [architecture]}
    with model_folder(folder, CONFIG) as draft:
        save_params(draft / WEIGHTS[0], params, metadata={"format": "pt"})
        write_whole(draft / CONFIG, json.dumps(values, indent=2) + "\n")
