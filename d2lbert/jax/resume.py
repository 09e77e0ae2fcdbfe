"""The state of a training in JAX, in and out of checkpoints.

There is no random state: a step's key is folded from the seed and its number.
"""

import jax
import numpy as np
from jax.tree_util import keystr, tree_leaves_with_path, tree_map_with_path

from d2lbert.jax.parallel import whole

BFLOAT16, SUFFIX = jax.numpy.bfloat16, ":bfloat16"


def state_arrays(params, state, best=None):
    """Weights and optimiser as they are now, {name: array}.

    Args:
        best: further weights, or None.
    """
    trees = {"weights": params, "optimizer": state, "best": best}
    arrays = {}
    for prefix, tree in trees.items():
        for path, leaf in tree_leaves_with_path(tree):
            array, name = whole(leaf), name_of(prefix, path)
            if array.dtype == BFLOAT16:  # which NumPy's files do not know
                array, name = array.view(np.uint16), name + SUFFIX
            arrays[name] = array
    return arrays


def put_state(saved, params, state):
    """What `state_arrays` gave, on the devices of params and of state.

    Returns:
        params, state, and the `best` weights; None if there were none. For {}
        params and state as they are.
    """
    if not saved:
        return params, state, None

    def tree_of(prefix, like):
        return tree_map_with_path(lambda path, leaf: jax.device_put(
            saved_array(saved, name_of(prefix, path)), leaf.sharding,
            may_alias=False), like)  # a step reuses their memory

    has_best = any(name.startswith("best.") for name in saved)
    return (tree_of("weights", params), tree_of("optimizer", state),
            tree_of("best", params) if has_best else None)


def name_of(prefix, path):
    """The name of a leaf, such as `weights.params.hidden.bias`."""
    return f"{prefix}.{keystr(path, simple=True, separator='.')}"


def saved_array(saved, name):
    """The array of that name, in the type that it had."""
    if name + SUFFIX in saved:
        return saved[name + SUFFIX].view(BFLOAT16)
    return saved[name]
