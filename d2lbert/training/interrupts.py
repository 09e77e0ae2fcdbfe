"""Ctrl-C, and Stop in Jupyter, which is the same signal."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import Any


class _Handler:
    """Calls note once, and then lets interrupts be what they are."""

    def __init__(self, note: Callable[[], None]) -> None:
        self.note = note

    def __call__(self, *_: Any) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.note()


@contextmanager
def first_interrupt_noted(note: Callable[[], None]) -> Iterator[None]:
    """Inside, a first Ctrl-C, or Stop in Jupyter, calls note.

    A second one is a KeyboardInterrupt, as everywhere. Where somebody else
    handles interrupts, and in threads, nothing is changed.
    """
    handler = signal.getsignal(signal.SIGINT)
    # One for something else is left over from a loop that ended in an error
    is_free = (handler is signal.default_int_handler
               or isinstance(handler, _Handler) and handler.note != note)
    if not is_free or current_thread() is not main_thread():
        yield
        return
    signal.signal(signal.SIGINT, _Handler(note))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
