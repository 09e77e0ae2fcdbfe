"""Processes that work together on this machine, and end together:

    python -m d2lbert.run.together jax 2 program.py

Each framework's own engine connects them; what it has to know stands in their
environment.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

from d2lbert.backends import BACKENDS, LOCALHOST, MXNET, SETTINGS

PAUSE = 0.1  # seconds from one look at the processes to the next
GRACE = 5.0  # seconds that the others have to end by themselves
TUNABLES = "GLIBC_TUNABLES"
_OUT_OF_MEMORY = " (out of memory?)"


class Together:
    """One process, or several that are one another's workers.

    Args:
        command: of each.
        backend: whose engine connects them.
        number: of workers.
        is_quiet: whether what they print is dropped.

    Raises:
        ValueError: for a backend whose engine is not known.
    """

    def __init__(self, command: Sequence[str], backend: str,
                 number: int = 1, is_quiet: bool = False) -> None:
        self._names: list[str] = []
        self._processes: list[subprocess.Popen] = []
        for name, role in roles(backend, number):
            self._names.append(name)
            # A session of its own: what the terminal sends reaches us alone
            self._processes.append(subprocess.Popen(
                command, env=environment(number, role),
                start_new_session=True,
                stdout=subprocess.DEVNULL if is_quiet else None))

    def wait(self) -> str:
        """Wait for the workers; why a process failed, or "" if none did.

        When one has failed the others are ended, too, and when all workers
        have ended, what served them.
        """
        while all(code in (None, 0) for code in self._codes()):
            if set(self._codes("worker")) == {0}:
                self.end()
                return ""
            time.sleep(PAUSE)
        # The one that was killed, before those that then miss it
        code, name = min((code, name) for code, name
                         in zip(self._codes(), self._names) if code)
        self.end()
        is_one = len(self._processes) == 1
        return reason_of(code) if is_one else f"{name}: {reason_of(code)}"

    def end(self) -> None:
        """End those that still run."""
        self.send_signal(signal.SIGTERM)
        end = time.monotonic() + GRACE
        while None in self._codes() and time.monotonic() < end:
            time.sleep(PAUSE)
        for process in self._processes:
            process.kill()
            process.wait()

    def send_signal(self, number: int) -> None:
        """Send a signal to all that run."""
        for process in self._processes:
            process.send_signal(number)

    def _codes(self, role: str = "") -> list[int | None]:
        return [process.poll() for name, process
                in zip(self._names, self._processes) if role in name]


def reason_of(code: int) -> str:
    """Why a process ended that left no result."""
    if code >= 0:
        return f"exit status {code}"
    name = signal.Signals(-code).name
    return f"killed by {name}" + _OUT_OF_MEMORY * (name == "SIGKILL")


def roles(backend: str, number: int) -> list[tuple[str, dict[str, str]]]:
    """(name, environment) of each process that is needed.

    Raises:
        ValueError: for a backend whose engine is not known.
    """
    if number == 1:
        return [("the worker", {})]
    known = BACKENDS[backend].roles
    if known is None:
        raise ValueError(f"{BACKENDS[backend].title} trains in one process "
                         f"alone, not in {number}")
    return known(number, free_port())


def environment(number: int, role: dict[str, str]) -> dict[str, str]:
    """What one of so many processes is started with."""
    env = {**SETTINGS, **threads(number), **os.environ, **role}
    if MXNET.marker in env:
        # Where all its threads share an arena, one of a hundred parameter
        # servers spoils its memory as it starts or ends, and dies or hangs
        env[TUNABLES] = ":".join(
            tunable for tunable in env[TUNABLES].split(":")
            if not tunable.startswith("glibc.malloc.arena_max"))
    return env


def threads(number: int) -> dict[str, str]:
    """An environment in which workers divide the processor cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(
        os, "sched_getaffinity") else os.cpu_count() or 1
    return {} if number == 1 else {
        "OMP_NUM_THREADS": str(max(1, cores // number))}


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as listener:
        listener.bind((LOCALHOST, 0))
        return listener.getsockname()[1]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a program by several workers. Returns an exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m d2lbert.run.together",
        description="Run a Python program by several workers of this "
                    "machine, which call join_workers().")
    parser.add_argument("backend", choices=list(BACKENDS))
    parser.add_argument("workers", type=int)
    parser.add_argument("program", nargs=argparse.REMAINDER,
                        help="and its arguments")
    args = parser.parse_args(argv)
    if args.workers < 1 or not args.program:
        parser.error("give one worker or more, and a program")
    together = Together([sys.executable, *args.program], args.backend,
                        args.workers)
    try:
        failure = together.wait()
    except KeyboardInterrupt:  # which they have not got, but may wait for
        together.send_signal(signal.SIGINT)
        failure = together.wait()
    finally:
        together.end()
    if failure:
        print(f"error: {failure}", file=sys.stderr)
    return int(bool(failure))


if __name__ == "__main__":
    sys.exit(main())
