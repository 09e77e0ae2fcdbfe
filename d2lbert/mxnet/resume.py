"""The state of a training in MXNet, in and out of checkpoints.

MXNet does not tell the state of its generator, so every step draws its dropout
from the seed and its own number.
"""

import numpy
from mxnet import nd, np, random

from d2lbert.mxnet.checkpoint import named_parameters


def seed_step(seed, step):
    """Fix what MXNet draws in a step; a seed of None changes nothing."""
    if seed is not None:
        words = numpy.random.SeedSequence([seed % 2 ** 32, step])
        random.seed(int(words.generate_state(1)[0] >> 1))


def state_arrays(net, trainer, best=None):
    """Weights and optimiser as they are now, {name: array}.

    Args:
        best: further weights, as `copy_weights` gives them, or None.
    """
    parameters = {name: p for name, p in named_parameters(net).items()
                  if min(p.shape) > 0}  # the others get their size later
    arrays = {f"weights.{name}": p.list_data()[0].asnumpy()
              for name, p in parameters.items()}
    arrays |= {f"best.{name}": best[p].asnumpy()
               for name, p in parameters.items() if best and p in best}
    for device, updater in enumerate(updaters_of(trainer)):
        for i, state in updater.states.items():
            arrays |= {f"optimizer.{device}.{i}.{j}": leaf.asnumpy()
                       for j, leaf in enumerate(leaves(state))}
    return arrays | counts_of(trainer.optimizer)


def put_state(saved, net, trainer):
    """Put what `state_arrays` gave where it was; nothing for {}.

    Returns:
        The `best` weights; None if there were none.
    """
    if not saved:
        return None
    parameters = named_parameters(net)
    for name, array in beginning_with("weights.", saved).items():
        parameters[name].set_data(np.array(array))
    put_optimizer(beginning_with("optimizer.", saved), trainer)
    set_counts(beginning_with("counts.", saved), trainer.optimizer)
    return {parameters[name]: np.array(array) for name, array
            in beginning_with("best.", saved).items()} or None


def put_optimizer(saved, trainer):
    """Put the arrays of an optimiser into a trainer of the loaded weights."""
    trainer._reset_kvstore()  # which may hold other weights
    trainer._init_kvstore()
    trainer._init_params()
    for device, updater in enumerate(updaters_of(trainer)):
        indices = {int(name.split(".")[1]) for name in saved
                   if name.startswith(f"{device}.")}
        for i in indices:
            weight = trainer._params[i].list_data()[device]
            state = trainer.optimizer.create_state_multi_precision(i, weight)
            for j, leaf in enumerate(leaves(state)):
                leaf[:] = nd.array(saved[f"{device}.{i}.{j}"], leaf.ctx,
                                   leaf.dtype)
            updater.states[i], updater.states_synced[i] = state, True


def updaters_of(trainer):
    """What holds an optimiser's states: one a device, or the store's."""
    if trainer._kv_initialized and trainer._update_on_kvstore:
        return [trainer._kvstore._updater]
    return trainer._updaters


def counts_of(optimizer):
    """How often each weight was updated, {name: (N, 2) array}."""
    counts = {f"counts.{device}": numpy.array([*of.items()], "int64")
              for device, of in optimizer._all_index_update_counts.items()}
    return counts | {"counts.all": numpy.array([[0, optimizer.num_update]])}


def set_counts(saved, optimizer):
    """Make the counts what they were."""
    optimizer.num_update = int(saved["all"][0, 1])
    for device in saved.keys() - {"all"}:
        of = optimizer._all_index_update_counts.setdefault(int(device), {})
        of.update((int(i), int(t)) for i, t in saved[device].reshape(-1, 2))


def beginning_with(prefix, saved):
    """{rest of the name: array} of the names that begin so."""
    return {name.removeprefix(prefix): array for name, array in saved.items()
            if name.startswith(prefix)}


def leaves(state):
    """The arrays of an optimiser's state: None, one, or tuples of them."""
    if isinstance(state, (tuple, list)):
        return [leaf for part in state for leaf in leaves(part)]
    return [] if state is None else [state]
