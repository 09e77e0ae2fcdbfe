"""The contract of `d2lbert.inputs` for NumPy's arrays."""

from d2lbert.inputs import Given


def check(rule, *arrays, **sizes):
    """Raise ValueError where arrays break a rule of `d2lbert.inputs`."""
    rule(*(None if x is None else Given.of(x) for x in arrays), **sizes)
