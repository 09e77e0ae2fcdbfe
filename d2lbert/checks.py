"""Checks of what a reader passes in, with one clear sentence each."""


class CheckpointError(ValueError):
    """A checkpoint that cannot be read or does not fit the model."""


def check_layers(number: int, num_tensors: int) -> None:
    """Raise CheckpointError if a file asks for more layers than it can have.

    A few bytes that ask for a million of them would take minutes and all
    memory before anything is found to be missing.
    """
    if number > num_tensors:
        raise CheckpointError(
            f"the configuration asks for {number} layers, and the weights "
            f"are {num_tensors} tensors: they are not of one model")


def check_heads(num_hiddens: int, num_heads: int) -> None:
    """Raise ValueError if the heads do not divide the hidden size."""
    if num_heads < 1 or num_hiddens % num_heads:
        raise ValueError(
            f"num_hiddens={num_hiddens} cannot be split into "
            f"num_heads={num_heads} equal heads")


def no_such_name(backend: str, name: str) -> AttributeError:
    """The error for a name that a backend's module does not have.

    Args:
        backend: the module's name.
    """
    framework = backend.rpartition(".")[2]
    return AttributeError(
        f"{backend} has no {name!r}: of d2l it has what BERT needs; take the "
        f"rest from d2l itself (from d2l import {framework})")
