"""The backends: the only table that lists them."""

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

# OpenMP's threads spin while they wait, and crawl where others want the cores
QUIET = {"OMP_WAIT_POLICY": "PASSIVE"}
Steps = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Backend:
    """One framework in which BERT is written.

    Attributes:
        name: of its module, its folder of notebooks, its cells' tag and its
            value on the command line.
        title: as people write it.
        distributions: the packages that its outputs depend on.
        steps: (pattern, replacement), one after another, from the
            framework's own name of a weight to the shared one.
    """
    name: str
    title: str
    distributions: tuple[str, ...]
    steps: Steps = ()


TORCH = Backend("torch", "PyTorch", ("torch",))
MXNET = Backend("mxnet", "MXNet", ("mxnet",), (
    (r"\bgamma$", "weight"),
    (r"\bbeta$", "bias"),
    (r"^hidden\.", "hidden.0."),
    # Gluon's first Dense holds its ReLU, so that the later layers move up.
    (r"^mlm\.mlp\.2\.", "mlm.mlp.3."),
    (r"^mlm\.mlp\.1\.", "mlm.mlp.2."),
))
JAX = Backend("jax", "JAX", ("jax", "flax", "optax"), (
    (r"/", "."),
    (r"\b(blks|layer)_(\d+)", r"\1.\2"),
    (r"\bLayerNorm_0\b", "ln"),
    (r"^hidden\.", "hidden.0."),
    (r"^mlm\.mlp\.layers_", "mlm.mlp."),
    (r"\b(kernel|scale|embedding)$", "weight"),
))
BACKENDS = {backend.name: backend for backend in (TORCH, MXNET, JAX)}


def load_backend(name: str) -> ModuleType:
    """The module d2lbert.<name>.

    Raises:
        ValueError: for an unknown name.
        ImportError: if its framework is not installed; says what to do.
    """
    if name not in BACKENDS:
        raise ValueError(f"unknown backend {name!r}: choose from "
                         f"{', '.join(BACKENDS)}")
    return import_module(f"d2lbert.{name}")
