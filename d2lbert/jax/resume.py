"""The state of a training in JAX, in and out of checkpoints.

There is no random state: a step's key is folded from the seed and its number.
"""

import jax
import numpy as np
from jax.tree_util import keystr, tree_map_with_path


def state_arrays(params, state, best=None):
    """Weights and optimiser as they are now, {name: array}.

    Args:
        best: further weights, or None.
    """
    trees = {"weights": params, "optimizer": state, "best": best}
    arrays = {}
    for prefix, tree in trees.items():
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            arrays[name_of(prefix, path)] = to_array(leaf)
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
        return tree_map_with_path(lambda path, leaf: placed_like(
            leaf, saved[name_of(prefix, path)]), like)

    has_best = any(name.startswith("best.") for name in saved)
    return (tree_of("weights", params), tree_of("optimizer", state),
            tree_of("best", params) if has_best else None)


def name_of(prefix, path):
    """The name of a leaf, such as `weights.params.hidden.bias`."""
    return f"{prefix}.{keystr(path, simple=True, separator='.')}"


def to_array(leaf):
    """A NumPy array; of bfloat16, exactly, as float32."""
    array = np.asarray(leaf)
    return array if array.dtype.kind in "fiub" else array.astype("float32")


def placed_like(leaf, array):
    """An array with the type and on the devices of a leaf."""
    # A step reuses the memory of its arguments, so it gets copies
    return jax.device_put(np.array(array, leaf.dtype), leaf.sharding,
                          may_alias=False)
