"""The contract of `d2lbert.inputs` for JAX's arrays."""

import jax
import numpy as np

from d2lbert.inputs import Given, not_a_tensor


def check(rule, *tensors, **sizes):
    """Raise ValueError where arrays break a rule of `d2lbert.inputs`.

    Nothing is looked at while a graph is traced: what calls a compiled
    function checks before it.
    """
    if not any(isinstance(x, jax.core.Tracer) for x in tensors):
        rule(*map(given, tensors), **sizes)


def given(x):
    """What is known of an array or None.

    Loaders put batches on an accelerator at once, so values are copied back
    from there, which waits for that array and for no step.
    """
    if x is None:
        return None
    if not isinstance(x, (jax.Array, np.ndarray)):
        raise not_a_tensor(x, "jax.Array")
    return Given(x.shape, np.dtype(x.dtype).name, np.asarray(x))
