"""The contract of `d2lbert.inputs` for MXNet's arrays."""

import numpy
from mxnet import np

from d2lbert.inputs import Given, not_a_tensor


def check(rule, *tensors, **sizes):
    """Raise ValueError where arrays break a rule of `d2lbert.inputs`.

    No value is looked at that lies on another device than the host.
    """
    rule(*map(given, tensors), **sizes)


def given(x):
    """What is known of an MXNet array or None.

    MXNet's arrays are float32 unless told otherwise, so that its whole floats
    count as integers.
    """
    if x is None:
        return None
    if not isinstance(x, np.ndarray):
        raise not_a_tensor(x, "mxnet.np.ndarray")
    dtype = numpy.dtype(x.dtype).name
    if x.ctx.device_type != "cpu":  # looking there would make us wait
        return Given(x.shape, dtype, None)
    values = x.asnumpy()
    if dtype == "float32" and (values == numpy.floor(values)).all():
        dtype = "int32"
    return Given(x.shape, dtype, values)
