"""Ctrl-C, and Stop in Jupyter, which is the same signal."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import Any


@contextmanager
def first_interrupt_noted(note: Callable[[], None]) -> Iterator[None]:
    """Inside, a first Ctrl-C, or Stop in Jupyter, calls note.

    A second one is a KeyboardInterrupt, as everywhere. Where somebody else
    handles interrupts, and in threads, nothing is changed.
    """
    raises = signal.default_int_handler
    if (signal.getsignal(signal.SIGINT) is not raises
            or current_thread() is not main_thread()):
        yield
        return

    def handle(*_: Any) -> None:
        signal.signal(signal.SIGINT, raises)
        note()

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, raises)
