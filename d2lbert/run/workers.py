"""Each backend at work in a process of its own.

What becomes of one does not touch the others: a worker that fails, or is
killed, leaves a result that says why.
"""

import argparse
import json
import signal
import sys
from math import isfinite
from types import FrameType, ModuleType
from typing import Any

from d2lbert.backends import BACKENDS, load_backend
from d2lbert.files import read_json, write_whole
from d2lbert.run.report import FAILED
from d2lbert.run.together import Together

Result = dict[str, Any]
# What ends a program: from `kill`, a closed terminal, Ctrl-\\
_ENDS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGQUIT")
         if hasattr(signal, name)]


class Turns:
    """Backends at work, one after another.

    A first Ctrl-C lets the one that is training save and measure what it has
    learned, and starts no other; a second one ends it. SIGTERM and a closed
    terminal end it, too.

    Attributes:
        results: of those that have come to an end, in order.
        exit_code: 0 if there are results and all of them are good.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self._args, self._interrupts = args, 0
        self._running: Together | None = None
        self.results: list[Result] = []

    @property
    def was_interrupted(self) -> bool:
        """Whether there was a Ctrl-C."""
        return self._interrupts > 0

    @property
    def exit_code(self) -> int:
        """As a shell expects it: 130 after Ctrl-C."""
        if self.was_interrupted:
            return 130
        return int(not self.results or any(FAILED in r for r in self.results))

    def run(self) -> None:
        """Work on each backend; its result is in `results` at once."""
        handlers = {signal.SIGINT: self._interrupt,
                    **dict.fromkeys(_ENDS, self._terminate)}
        before = {number: signal.signal(number, handler)
                  for number, handler in handlers.items()
                  # whoever ignores them, as nohup does, goes on ignoring them
                  if signal.getsignal(number) is not signal.SIG_IGN}
        try:
            for backend in self._args.backend:
                if not self._interrupts and (result := self._run_one(backend)):
                    self.results.append(result)
        finally:
            if self._running:
                self._running.end()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _run_one(self, backend: str) -> Result | None:
        """A worker's result; None if its framework is not installed."""
        file = self._args.results / f"{backend}.json"
        file.unlink(missing_ok=True)
        self._running = Together(
            self._command(backend), backend, self._args.workers)
        failure = self._running.wait()
        if file.exists():
            return read_json(file, dict)
        return {"backend": backend, FAILED: failure} if failure else None

    def _command(self, backend: str) -> list[str]:
        args = self._args
        command = [sys.executable, "-m", "d2lbert.run", "--worker",
                   f"--chapter={args.chapter}", f"--backend={backend}",
                   f"--corpus={args.corpus}", f"--model={args.model}",
                   f"--results={args.results}"]
        return command + [f"--steps={args.steps}"] * bool(args.steps)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._interrupts += 1
        if self._running:
            self._running.send_signal(
                signal.SIGINT if self._interrupts == 1 else signal.SIGTERM)

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)


def be_worker(chapter: ModuleType, args: argparse.Namespace) -> Result:
    """Do one backend's part here and leave its result, which is returned.

    It is empty where there is none: a backend whose framework is not
    installed is passed over with a sentence that says so, and of several that
    share a training the first has the result.
    """
    (backend,) = args.backend
    try:
        result = _work(backend, chapter, args)
    except KeyboardInterrupt:
        result = {"backend": backend, FAILED: "stopped"}
    except (OSError, ValueError, MemoryError) as error:
        result = {"backend": backend,
                  FAILED: str(error) or type(error).__name__}
    if result:
        write_whole(args.results / f"{backend}.json",
                    json.dumps(_finite(result), allow_nan=False))
    return result


def _finite(value: Any) -> Any:
    """The same with None for NaN and infinity, which JSON does not know."""
    if isinstance(value, dict):
        return {key: _finite(x) for key, x in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(x) for x in value]
    is_bad = isinstance(value, float) and not isfinite(value)
    return None if is_bad else value


def _work(backend: str, chapter: ModuleType, args: argparse.Namespace
          ) -> Result:
    title = BACKENDS[backend].title
    try:
        load_backend(backend)
    except ImportError as error:
        print(f"{title} is left out: {error}", file=sys.stderr)
        return {}
    print(f"{title}: {chapter.describe(args)}", flush=True)
    return chapter.work(backend, args, args.results / backend)
