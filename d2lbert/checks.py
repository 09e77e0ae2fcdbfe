"""Checks of what a reader passes in, with one clear sentence each."""

from typing import Any

import numpy as np


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


def check_length(length: int, max_len: int) -> None:
    """Raise ValueError if a sequence is longer than the model allows."""
    if length > max_len:
        raise ValueError(
            f"the sequences have {length} tokens, but this model was built "
            f"with max_len={max_len}: cut them or build a longer model")


def check_ids(tokens: Any, vocab_size: int) -> None:
    """Raise ValueError if a token id is outside 0 … vocab_size - 1.

    Args:
        tokens: integer array of any shape, on the host.
    """
    tokens = np.asarray(tokens)
    if tokens.size and not 0 <= tokens.min() <= tokens.max() < vocab_size:
        raise ValueError(
            f"token ids go from {tokens.min()} to {tokens.max()}, but the "
            f"model knows 0 to {vocab_size - 1}: was the text numbered with "
            "another vocabulary?")
