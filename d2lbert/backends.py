"""The backends: the only table that lists them."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

# What a process that trains should be started with
SETTINGS = {
    # OpenMP's threads spin while they wait, and crawl where others want cores
    "OMP_WAIT_POLICY": "PASSIVE",
    # A step frees arrays of many megabytes and the next asks for the same:
    # glibc keeps them, where it would fetch them page by page from Linux, and
    # in one arena: threads free what others asked for
    "GLIBC_TUNABLES": "glibc.malloc.mmap_max=0:"
                      "glibc.malloc.trim_threshold=4294967296:"
                      "glibc.malloc.arena_max=1"}
Steps = tuple[tuple[str, str], ...]
Roles = list[tuple[str, dict[str, str]]]
LOCALHOST = "127.0.0.1"


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
        roles: (number of workers, free port) -> (name, environment) of each
            process that has to be started on this machine; None if there are
            no workers.
        marker: the variable by which a process knows that it is a worker.
    """
    name: str
    title: str
    distributions: tuple[str, ...]
    steps: Steps = ()
    roles: Callable[[int, int], Roles] | None = None
    marker: str = ""


def _torch_roles(number: int, port: int) -> Roles:
    """What torchrun says to its processes."""
    shared = {"MASTER_ADDR": LOCALHOST, "MASTER_PORT": str(port),
              "WORLD_SIZE": str(number)}
    return [(f"worker {rank}", shared | {"RANK": str(rank),
                                         "LOCAL_RANK": str(rank)})
            for rank in range(number)]


def _jax_roles(number: int, port: int) -> Roles:
    """What `jax.distributed.initialize` has to know."""
    shared = {"JAX_COORDINATOR_ADDRESS": f"{LOCALHOST}:{port}",
              "JAX_NUM_PROCESSES": str(number)}
    return [(f"worker {rank}", shared | {"JAX_PROCESS_ID": str(rank)})
            for rank in range(number)]


def _mxnet_roles(number: int, port: int) -> Roles:
    """What the parameter server has to know (Li et al., 2014)."""
    # A server unpickles what it is sent, so none may listen to the network
    shared = {"DMLC_PS_ROOT_URI": LOCALHOST, "DMLC_PS_ROOT_PORT": str(port),
              "DMLC_NODE_HOST": LOCALHOST,
              "DMLC_NUM_SERVER": "1", "DMLC_NUM_WORKER": str(number)}
    return [(f"{role} {i}", shared | {"DMLC_ROLE": role,
                                      "LOCAL_RANK": str(i)})
            for role, count in (("scheduler", 1), ("server", 1),
                                ("worker", number)) for i in range(count)]


TORCH = Backend("torch", "PyTorch", ("torch",), roles=_torch_roles,
                marker="WORLD_SIZE")
MXNET = Backend("mxnet", "MXNet", ("mxnet",), (
    (r"\bgamma$", "weight"),
    (r"\bbeta$", "bias"),
    (r"^hidden\.", "hidden.0."),
    # Gluon's first Dense holds its ReLU, so that the later layers move up.
    (r"^mlm\.mlp\.2\.", "mlm.mlp.3."),
    (r"^mlm\.mlp\.1\.", "mlm.mlp.2."),
), _mxnet_roles, "DMLC_ROLE")
JAX = Backend("jax", "JAX", ("jax", "flax", "optax"), (
    (r"/", "."),
    (r"\b(blks|layer)_(\d+)", r"\1.\2"),
    (r"\bLayerNorm_0\b", "ln"),
    (r"^hidden\.", "hidden.0."),
    (r"^mlm\.mlp\.layers_", "mlm.mlp."),
    (r"\b(kernel|scale|embedding)$", "weight"),
), _jax_roles, "JAX_NUM_PROCESSES")
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
