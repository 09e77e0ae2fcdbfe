"""Training on several devices and by several processes, in JAX.

The devices of all processes form a mesh. A batch is divided among them by its
rows, and each computes its part, or several parts one after another. The loss
of the batch is the sum of the parts' losses, each times its share, and its
gradient is the sum of theirs: what comes out is what one device would have
computed from the whole batch.

A mesh may have a second axis, among which the vocabulary is divided: the
embeddings and the layer that projects onto it. XLA then puts the exchange into
the step by itself (Xu et al., 2021).
"""

import os
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.tree_util import keystr, tree_map_with_path

from d2lbert.jax.fast import fused_batch_loss
from d2lbert.training.workers import Workers, settings

HEARTBEAT = 30  # seconds after which a worker that is silent counts as dead
ROWS, VOCAB = "batch", "vocab"  # the axes of a mesh
# What has the vocabulary as one of its axes
DIVIDED = {
    "params.encoder.token_embedding.embedding": PartitionSpec(VOCAB, None),
    "params.mlm.mlp.layers_3.kernel": PartitionSpec(None, VOCAB),
    "params.mlm.mlp.layers_3.bias": PartitionSpec(VOCAB),
}


class Processes(Workers):
    """The processes of `jax.distributed`; all see the devices of all."""

    def __init__(self):
        self.rank, self.size = jax.process_index(), jax.process_count()

    def own(self, devices):
        """Those of all devices that belong to this process."""
        return [x for x in devices if x.process_index == self.rank]

    def total(self, counts):
        """The sums over all processes, on the host."""
        counts = np.array(counts, np.float32)
        return tuple(map(float, multihost_utils.process_allgather(
            counts).sum(0)))

    def summed(self, array):
        """The sum of an array over all processes."""
        firsts = {x.process_index: x for x in reversed(jax.devices())}
        mesh = Mesh([firsts[rank] for rank in range(self.size)], ROWS)
        rows = jax.make_array_from_process_local_data(
            NamedSharding(mesh, PartitionSpec(ROWS)), np.asarray(array)[None])
        return _sum_of_rows(rows, NamedSharding(mesh, PartitionSpec()))


@partial(jax.jit, static_argnums=1)
def _sum_of_rows(rows, place):
    """(n, ...) -> (...), everywhere."""
    return jax.lax.with_sharding_constraint(rows.sum(0), place)


def join_workers():
    """The processes that share a training; this one alone without others.

    They know one another by JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and
    JAX_PROCESS_ID. To be called before anything is computed.

    Raises:
        ValueError: if one of them is not set.
    """
    if "JAX_NUM_PROCESSES" not in os.environ:
        return Workers()
    if not jax.distributed.is_initialized():
        size, address, rank = settings(
            "JAX_NUM_PROCESSES", "JAX_COORDINATOR_ADDRESS", "JAX_PROCESS_ID")
        jax.distributed.initialize(address, int(size), int(rank),
                                   heartbeat_timeout_seconds=HEARTBEAT)
    return Processes()


def mesh_of(devices):
    """A mesh as it is, or one of a list of devices, which divide rows."""
    return devices if isinstance(devices, Mesh) else Mesh(
        np.array(devices), (ROWS,))


def vocab_mesh(devices, parts):
    """A mesh in which so many devices divide the vocabulary among them.

    Args:
        devices: a list, of a multiple of parts.

    Raises:
        ValueError: if the devices cannot be divided so.
    """
    check_multiple(len(devices), parts, f"{len(devices)} devices",
                   "parts of the vocabulary")
    grid = np.array(devices).reshape(-1, parts)
    for row in grid:  # computes the same rows, which one process has
        if len({device.process_index for device in row}) > 1:
            raise ValueError(
                f"{parts} parts of the vocabulary are on devices of several "
                "processes: a process divides it among its own devices")
    return Mesh(grid, (ROWS, VOCAB))


def check_multiple(number, parts, what, among):
    """Raise ValueError unless so many things can be divided evenly."""
    if number % parts:
        raise ValueError(f"{what} cannot be divided among {parts} {among}: "
                         "choose a multiple")


def check_rows(x, devices):
    """Raise ValueError unless the rows of x can be divided evenly."""
    check_multiple(len(x), len(devices), f"a batch of {len(x)} examples",
                   "devices")


def placements(devices):
    """Two shardings: rows divided among devices; the same on each."""
    mesh = mesh_of(devices)
    return (NamedSharding(mesh, PartitionSpec(ROWS)),
            NamedSharding(mesh, PartitionSpec()))


def place_batch(batch, mesh, workers):
    """A process's part of a batch as its part of global arrays.

    Raises:
        ValueError: for rows that cannot be divided among the devices.
    """
    by_row = NamedSharding(mesh, PartitionSpec(ROWS))
    check_rows(batch[0], mesh.devices[:mesh.shape[ROWS] // workers.size])
    if workers.size == 1:
        return jax.device_put(batch, by_row)
    return [jax.make_array_from_process_local_data(by_row, np.asarray(x))
            for x in batch]


def place_params(params, mesh, workers):
    """The first worker's weights, copied onto the devices of a mesh.

    Raises:
        ValueError: for a vocabulary that cannot be divided among its parts.
    """
    if workers.size > 1:
        params = multihost_utils.broadcast_one_to_all(params)
    return jax.tree.map(partial(jax.device_put, may_alias=False), params,
                        shardings(params, mesh))


def shardings(params, mesh):
    """A `NamedSharding` for each weight: everywhere, or by the vocabulary."""
    def sharding(path, leaf):
        spec = DIVIDED.get(keystr(path, simple=True, separator="."))
        if spec is None or VOCAB not in mesh.axis_names:
            return NamedSharding(mesh, PartitionSpec())
        number = leaf.shape[spec.index(VOCAB)]
        check_multiple(number, mesh.shape[VOCAB],
                       f"a vocabulary of {number} tokens", "devices")
        return NamedSharding(mesh, spec)

    return tree_map_with_path(sharding, params)


def place_state(trainer, params, mesh):
    """A new state of an optimiser, placed as its weights are."""
    state = trainer.init(params)
    places = optax.tree_map_params(
        trainer, lambda _, sharding: sharding, state, shardings(params, mesh),
        transform_non_params=lambda _: NamedSharding(mesh, PartitionSpec()))
    return jax.device_put(state, places)


def whole(leaf):
    """All of an array that may be divided among processes, in NumPy."""
    if leaf.is_fully_addressable or leaf.is_fully_replicated:
        return np.asarray(leaf)
    return multihost_utils.process_allgather(leaf, tiled=True)


def local(params, workers):
    """The weights as arrays of this process alone."""
    if workers.size == 1:
        return params
    return jax.tree.map(lambda leaf: jnp.asarray(whole(leaf)), params)


@dataclass(frozen=True)  # a step is compiled once for equal ones
class Gradients:
    """Losses of batches and their gradients, computed in parts.

    Attributes:
        net, batch_loss, loss, vocab_size: as in `train_bert`.
        mesh: of devices; accumulate: so many parts of its rows each of them
            computes one after another.
    """
    net: Any
    batch_loss: Any
    loss: Any
    vocab_size: int
    mesh: Mesh
    accumulate: int = 1

    def __call__(self, params, key, batch):
        """Weights, a key for dropout, a batch -> gradients, and masked-LM and
        next-sentence loss.
        """
        if self.batch_loss is not fused_batch_loss or self.mesh.size == 1:
            return self.of_rows(params, key, batch)
        # Each device by itself: XLA could not divide what is fused
        return jax.shard_map(
            self.of_device, mesh=self.mesh,
            in_specs=(PartitionSpec(), PartitionSpec(), PartitionSpec(ROWS)),
            out_specs=PartitionSpec(), check_vma=False)(params, key, batch)

    def of_device(self, params, key, batch):
        """What `__call__` gives, from a device's own rows."""
        def add(x):
            return jax.lax.psum(x, ROWS)

        key = jax.random.fold_in(key, jax.lax.axis_index(ROWS))
        return add(self.of_rows(
            params, key, batch, add(slots_and_pairs(batch))))

    def of_rows(self, params, key, batch, totals=None):
        """What `__call__` gives, of some rows.

        Args:
            totals: slots and pairs of the joint batch; None for those of
                these rows.
        """
        if self.accumulate == 1 and totals is None:
            return jax.grad(self.total_loss, has_aux=True)(
                params, key, batch, None)
        check_multiple(len(batch[0]), self.accumulate,
                       f"{len(batch[0])} examples of a device", "parts")
        if totals is None:
            totals = slots_and_pairs(batch)

        def add_part(sums, part):
            i, rows = part
            grads, losses = jax.grad(self.total_loss, has_aux=True)(
                params, jax.random.fold_in(key, i), rows, totals)
            return jax.tree.map(jnp.add, sums, (grads, losses)), None

        zeros = jax.tree.map(jnp.zeros_like, params), (jnp.zeros(()),) * 2
        parts = [x.reshape(-1, self.accumulate, *x.shape[1:]).swapaxes(0, 1)
                 for x in batch]
        return jax.lax.scan(
            add_part, zeros, (jnp.arange(self.accumulate), parts))[0]

    def total_loss(self, params, key, batch, totals):
        """What is minimised, and the masked-LM and next-sentence loss.

        Of a part they are its share in the losses of the joint batch.
        """
        mlm_l, nsp_l, l = self.batch_loss(
            self.net, params, key, self.loss, self.vocab_size, *batch)
        if totals is None:
            return l, (mlm_l, nsp_l)
        slots, pairs = (n / jnp.maximum(total, 1e-8) for n, total
                        in zip(slots_and_pairs(batch), totals))
        return (slots * mlm_l + pairs * nsp_l,
                (slots * mlm_l, pairs * nsp_l))


def slots_and_pairs(batch):
    """How many slots of weight 1 and how many pairs a 7-tuple has."""
    *_, mlm_weights_X, _, nsp_y = batch
    return mlm_weights_X.sum(), jnp.float32(len(nsp_y))
