"""Checks of what a reader passes in, with one clear sentence each."""

import sys
import warnings
from collections.abc import Iterable
from numbers import Integral, Real
from pathlib import Path
from typing import Any


class CheckpointError(ValueError):
    """A checkpoint that cannot be read or does not fit the model."""


def warn(message: str) -> None:
    """Warn of the line that called the package, not of one inside it."""
    package, depth, frame = str(Path(__file__).parent), 1, sys._getframe()
    while frame.f_back and frame.f_code.co_filename.startswith(package):
        frame, depth = frame.f_back, depth + 1
    warnings.warn(message, stacklevel=depth)


def check_tokens(*sentences: Any) -> None:
    """Raise ValueError for a str where a list of tokens belongs.

    Python would take it for the list of its letters.
    """
    for sentence in sentences:
        if isinstance(sentence, str):
            raise ValueError(f"a sentence is {sentence[:60]!r}, not a list of "
                             "tokens: split it with tokenize([...])[0]")


def warn_of_unknown(sentences: Iterable[Iterable[str]], known: Any) -> None:
    """Warn if words of a reader's sentences are not in a vocabulary.

    Args:
        known: its tokens, a dict or a set.
    """
    new = list(dict.fromkeys(
        word for sentence in sentences for word in sentence
        if word not in known))
    if new:
        rest = f" and {len(new) - 5} more" if len(new) > 5 else ""
        warn(f"{', '.join(map(repr, new[:5]))}{rest}: not among the "
             f"{len(known)} tokens of this vocabulary, so read as <unk>")


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


def check_steps(num_steps: int) -> None:
    """Raise ValueError for what is no whole number of steps from 1."""
    if not isinstance(num_steps, Integral) or num_steps < 1:
        raise ValueError(
            f"num_steps is {num_steps}, not a whole number from 1")


def check_rate(lr: float) -> None:
    """Raise ValueError for what is no learning rate."""
    if not isinstance(lr, Real) or not lr >= 0:  # NaN, too
        raise ValueError(
            f"the learning rate is {lr!r:.99}, not a number from 0; over the "
            "steps, warmup changes it")


def check_schedule(num_steps: int, peak: float,
                   warmup: float | None) -> None:
    """Raise ValueError for what `d2lbert.training.schedules.rates` refuses."""
    check_steps(num_steps)
    check_rate(peak)
    if warmup is not None and not (
            isinstance(warmup, Real) and 0 <= warmup <= 1):
        raise ValueError(
            f"warmup is {warmup!r:.99}, not a share of the steps from 0 to "
            "1, or None for a constant learning rate")


def no_such_name(backend: str, name: str) -> AttributeError:
    """The error for a name that a backend's module does not have.

    Args:
        backend: the module's name.
    """
    framework = backend.rpartition(".")[2]
    return AttributeError(
        f"{backend} has no {name!r}: of d2l it has what BERT needs; take the "
        f"rest from d2l itself (from d2l import {framework})")
