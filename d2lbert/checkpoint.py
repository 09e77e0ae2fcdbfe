"""One checkpoint format for three backends: {name: array} in safetensors.

Names and orientation are those of the PyTorch model. The tables below say, as
data, how Flax's and Gluon's names become these. PyTorch's own files are read
as well, without PyTorch.
"""

import os
import re
import tempfile
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save

from d2lbert.checks import CheckpointError
from d2lbert.torchfiles import read_torch_file

# What Flax and Gluon call a tensor -> the shared name, in steps that are
# taken one after another.
FLAX_STEPS = (
    (r"/", "."),
    (r"\b(blks|layer)_(\d+)", r"\1.\2"),
    (r"\bLayerNorm_0\b", "ln"),
    (r"^hidden\.", "hidden.0."),
    (r"^mlm\.mlp\.layers_", "mlm.mlp."),
    (r"\b(kernel|scale|embedding)$", "weight"),
)
GLUON_STEPS = (
    (r"\bgamma$", "weight"),
    (r"\bbeta$", "bias"),
    (r"^hidden\.", "hidden.0."),
    # Gluon's first Dense holds its ReLU, so that the later layers move up.
    (r"^mlm\.mlp\.2\.", "mlm.mlp.3."),
    (r"^mlm\.mlp\.1\.", "mlm.mlp.2."),
)

SAFETENSORS_TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<f4", "I64": "<i8",
    "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?"}
MAX_PROBLEMS = 40  # named in one message


def rename(name, steps):
    """The shared name of a tensor that Flax or Gluon calls `name`."""
    for pattern, target in steps:
        name = re.sub(pattern, target, name)
    return name


def bert_shapes(vocab_size, num_hiddens, ffn_num_hiddens, num_heads,
                num_blks, dropout=0.0, max_len=1000):
    """{name: shape} of a `BERTModel` built with the same arguments."""
    H, F = num_hiddens, ffn_num_hiddens

    def dense(name, outputs, inputs=H):
        return {f"{name}.weight": (outputs, inputs),
                f"{name}.bias": (outputs,)}

    def norm(name):
        return {f"{name}.weight": (H,), f"{name}.bias": (H,)}

    shapes = {"encoder.token_embedding.weight": (vocab_size, H),
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


def classifier_shapes(num_outputs, *sizes, **named_sizes):
    """{name: shape} of a `BERTClassifier`; sizes as in `bert_shapes`."""
    shapes = {name: shape
              for name, shape in bert_shapes(*sizes, **named_sizes).items()
              if name.startswith(("encoder.", "hidden."))}
    (H,) = shapes["hidden.0.bias"]
    return shapes | {"output.weight": (num_outputs, H),
                     "output.bias": (num_outputs,)}


def initial_params(shapes, seed=0):
    """The initial weights that all backends use, from a seed.

    Matrices and embeddings from N(0, 0.02), biases 0, layer norms the
    identity (Google's BERT code).

    Args:
        shapes: {name: shape}, see `bert_shapes`.

    Returns:
        {name: float32 array}.
    """
    rng = np.random.default_rng(seed)

    def initial(name, shape):
        if len(shape) > 1:
            return rng.normal(0, 0.02, shape).astype(np.float32)
        is_scale = name.endswith(".weight")
        return np.full(shape, is_scale, np.float32)

    return {name: initial(name, shape) for name, shape in shapes.items()}


def fit_params(params, shapes):
    """{name: float32 array} for a model of these shapes, checked.

    Args:
        params: {name: array} as read; shapes: {name: shape} as expected.

    Raises:
        CheckpointError: naming the tensors that are missing, that the model
            does not have, or whose shape, type or values cannot be right.
    """
    problems = [f"{name} is missing" for name in shapes if name not in params]
    problems += [f"{name} is not part of the model"
                 for name in params if name not in shapes]
    problems += [f"{name} {problem}" for name, shape in shapes.items()
                 if name in params
                 for problem in _misfits(params[name], tuple(shape))]
    if problems:
        raise CheckpointError(
            "the checkpoint does not fit the model: "
            + "; ".join(problems[:MAX_PROBLEMS])
            + (f"; and {len(problems) - MAX_PROBLEMS} more"
               if len(problems) > MAX_PROBLEMS else ""))
    return {name: np.asarray(params[name], np.float32) for name in shapes}


def _misfits(array, shape):
    if array.shape != shape:
        yield f"has shape {array.shape}, the model's is {shape}"
    elif array.dtype.kind != "f":
        yield f"holds {array.dtype}, not floating-point numbers"
    elif not np.isfinite(array).all():
        yield "has values that are not finite (NaN or infinity)"


def save_params(path, params, metadata=None):
    """Write {name: array} as safetensors, whole or not at all.

    Args:
        metadata: {str: str} that the file keeps beside the tensors.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    params = {k: np.ascontiguousarray(v) for k, v in params.items()}
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        draft = Path(folder) / path.name
        # The library's own `save_file` makes it unreadable for others
        draft.write_bytes(save(params, metadata))
        os.replace(draft, path)


def load_params(path):
    """Read {name: array} from a safetensors file or one of PyTorch.

    The content tells what kind of file it is, not the name.

    Raises:
        FileNotFoundError: if there is no such file.
        CheckpointError: if it is neither, damaged, or a PyTorch file that
            holds something else than tensors (`read_torch_file`).
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}")
    start = _first_bytes(path, 9)
    # A safetensors file starts with a length of 8 bytes and a JSON object.
    if start[8:] != b"{" and start.startswith((b"PK", b"\x80")):
        return read_torch_file(path)
    try:
        tensors = deserialize(Path(path).read_bytes())
        return {name: _from_bytes(tensor) for name, tensor in tensors}
    except (SafetensorError, KeyError) as error:
        raise CheckpointError(
            f"{path} is neither a whole safetensors file nor one of PyTorch "
            f"({error}): write it again with save_params or torch.save"
            ) from error


def _first_bytes(path, count):
    with open(path, "rb") as file:
        return file.read(count)


def _from_bytes(tensor):
    data, name = tensor["data"], tensor["dtype"]
    if name == "BF16":  # NumPy has no such type; in float32 it is exact
        data = np.frombuffer(data, "<u2").astype("<u4") << 16
    array = np.frombuffer(data, SAFETENSORS_TYPES[name])
    return array.reshape(tensor["shape"]).copy()
