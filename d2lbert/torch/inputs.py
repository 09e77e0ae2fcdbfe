"""The contract of `d2lbert.inputs` for PyTorch's tensors."""

import torch

from d2lbert.inputs import Given, not_a_tensor
from d2lbert.torch.data import to_numpy


def check(rule, *tensors, **sizes):
    """Raise ValueError where tensors break a rule of `d2lbert.inputs`.

    Nothing is looked at while a graph is traced, and no value that lies on
    another device than the host.
    """
    if not (torch.compiler.is_compiling() or torch.jit.is_tracing()):
        rule(*map(given, tensors), **sizes)


def given(x):
    """What is known of a tensor or None."""
    if x is None:
        return None
    if not isinstance(x, torch.Tensor):
        raise not_a_tensor(x, "torch.Tensor")
    return Given(x.shape, str(x.dtype).removeprefix("torch."), _values(x))


def _values(x):
    if x.device.type != "cpu":  # looking there would make us wait
        return None
    try:
        return to_numpy(x)
    except RuntimeError:  # inside torch.func, or a tensor without memory
        return None
