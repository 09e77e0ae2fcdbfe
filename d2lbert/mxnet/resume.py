"""The state of a training in MXNet, in and out of checkpoints.

MXNet does not tell the state of its generator, so every step draws its dropout
from the seed and its own number.
"""

import numpy
from mxnet import np, random

from d2lbert.mxnet.checkpoint import named_parameters
from d2lbert.training.workers import step_seed


def seed_step(seed, step, workers=None):
    """Fix what MXNet draws in a step; a seed of None changes nothing.

    Each of several workers draws numbers of its own.
    """
    if seed is not None:
        ranks = [workers.rank] if workers and workers.size > 1 else []
        random.seed(step_seed(seed, step, *ranks))


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
    names = names_of(net, trainer)
    for device, updater in enumerate(updaters_of(trainer)):
        for i, state in updater.states.items():
            arrays |= {f"optimizer.{device}.{j}.{names[i]}": leaf.asnumpy()
                       for j, leaf in enumerate(leaves(state))}
    return arrays | counts_of(trainer.optimizer, names)


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
    names = names_of(net, trainer)
    put_optimizer(beginning_with("optimizer.", saved), trainer, names)
    set_counts(beginning_with("counts.", saved), trainer.optimizer, names)
    return {parameters[name]: np.array(array) for name, array
            in beginning_with("best.", saved).items()} or None


def names_of(net, trainer):
    """The name of each of a trainer's parameters, a list.

    A trainer numbers them in the order of Gluon's own names, in which the
    tenth layer that a program makes comes before its ninth.
    """
    names = {p: name for name, p in named_parameters(net).items()}
    return [names.get(p, p.name) for p in trainer._params]


def put_optimizer(saved, trainer, names):
    """Put the arrays of an optimiser into a trainer of the loaded weights."""
    trainer._reset_kvstore()  # which may hold other weights
    trainer._init_kvstore()
    trainer._init_params()
    for device, updater in enumerate(updaters_of(trainer)):
        for i, name in enumerate(names):
            if f"{device}.0.{name}" not in saved:  # not updated yet
                continue
            weight = trainer._params[i].list_data()[device].as_nd_ndarray()
            state = trainer.optimizer.create_state_multi_precision(i, weight)
            for j, leaf in enumerate(leaves(state)):
                leaf[:] = saved[f"{device}.{j}.{name}"]
            updater.states[i], updater.states_synced[i] = state, True


def updaters_of(trainer):
    """What holds an optimiser's states: one a device, or the store's."""
    if trainer._kv_initialized and trainer._update_on_kvstore:
        return [trainer._kvstore._updater]
    return trainer._updaters


def counts_of(optimizer, names):
    """How often each weight was updated, {name: number}."""
    counts = {f"counts.{device}.{names[i]}": numpy.array(number)
              for device, of in optimizer._all_index_update_counts.items()
              for i, number in of.items()}
    return counts | {"counts.all": numpy.array(optimizer.num_update)}


def set_counts(saved, optimizer, names):
    """Make the counts what they were."""
    optimizer.num_update = int(saved.pop("all"))
    for key, number in saved.items():
        device, _, name = key.partition(".")
        of = optimizer._all_index_update_counts.setdefault(int(device), {})
        of[names.index(name)] = int(number)


def beginning_with(prefix, saved):
    """{rest of the name: array} of the names that begin so."""
    return {name.removeprefix(prefix): array for name, array in saved.items()
            if name.startswith(prefix)}


def leaves(state):
    """The arrays of an optimiser's state: None, one, or tuples of them."""
    if isinstance(state, (tuple, list)):
        return [leaf for part in state for leaf in leaves(part)]
    return [] if state is None else [state]
