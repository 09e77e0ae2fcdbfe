"""Run a chapter's experiment in every backend and print one table.

Each backend works in a process of its own, so that the frameworks do not
compete for threads and memory. Results go to results/<corpus>/: the numbers
as JSON, the weights, the curves as a picture. A run that was stopped or killed
goes on from its checkpoints; they are removed when it comes to its end.
"""

import argparse
import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Sequence
from os.path import expanduser
from pathlib import Path
from types import ModuleType

from d2lbert.backends import BACKENDS
from d2lbert.run import nli, pretraining, sentiment
from d2lbert.run.report import FAILED, markdown_table
from d2lbert.run.resume import forget
from d2lbert.run.workers import Result, Turns, be_worker

_CHAPTERS: dict[str, ModuleType] = {
    "bert-pretraining": pretraining, "nli-bert": nli,
    "bert-from-scratch": sentiment}


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m d2lbert.run",
        description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--chapter", default="bert-pretraining",
                        help=" or ".join(_CHAPTERS))
    parser.add_argument("--corpus", help="bert-pretraining: mini-wiki, "
                        "wikitext-2, a path to a text, a paragraph a line, or "
                        "a folder that make shards has written; "
                        "nli-bert: mini-nli, snli or a folder with pairs; "
                        "bert-from-scratch: mini-sentiment or a folder with "
                        "train.tsv and dev.tsv in SST-2's format")
    parser.add_argument("--model", help="nli-bert: the pretrained model, a "
                        "name or a folder; bert-from-scratch: a checkpoint "
                        "of Hugging Face, a name or a folder; default "
                        "random weights")
    parser.add_argument("--backend", default=",".join(BACKENDS),
                        type=lambda names: names.split(","),
                        help="one or more of torch,mxnet,jax")
    parser.add_argument("--steps", type=int, help="instead of the recipe's")
    parser.add_argument("--results", type=Path, help="folder for weights, "
                        "numbers and picture; default results/<corpus>")
    parser.add_argument("--workers", type=int, default=1, help="processes "
                        "of this machine that share each batch; default 1")
    parser.add_argument("--fresh", action="store_true", help="start anew "
                        "where an earlier run was stopped or killed, instead "
                        "of going on")
    parser.add_argument("--worker", action="store_true",
                        help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    _check(parser, args)
    args.corpus = args.corpus or _CHAPTERS[args.chapter].CORPUS
    args.model = args.model or _CHAPTERS[args.chapter].MODEL
    # Where no shell has done it, as behind the = of CORPUS=~/text.txt
    args.corpus, args.model = map(expanduser, (args.corpus, args.model))
    args.results = Path(args.results or Path(
        "results", Path(args.corpus).stem)).expanduser()
    return args


def _check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    if args.chapter not in _CHAPTERS:
        parser.error(f"chapter {args.chapter!r} has no experiment: choose "
                     f"from {', '.join(_CHAPTERS)}")
    for name in args.backend:
        if name not in BACKENDS:
            parser.error(f"unknown backend {name!r}: choose from "
                         f"{', '.join(BACKENDS)}")
    if (args.chapter == "bert-pretraining"
            and args.model not in (None, pretraining.MODEL)):
        parser.error("bert-pretraining starts from random weights and takes "
                     "no --model: choose nli-bert or bert-from-scratch")
    if args.workers < 1:
        parser.error(f"--workers is {args.workers}, not 1 or more")
    if args.workers > 1 and args.chapter != "bert-pretraining":
        parser.error(f"{args.chapter} trains in one process: --workers is "
                     "for bert-pretraining")
    engine = _engine()
    if engine and not args.worker and args.backend != [engine]:
        parser.error(f"{BACKENDS[engine].marker} is set, so this is a worker "
                     f"of {BACKENDS[engine].title}: give --backend {engine}")
    if args.steps is not None and args.steps < 1:
        parser.error(f"--steps is {args.steps}, not 1 or more")


def _problem(args: argparse.Namespace) -> str:
    """What stands in the way of training, in a sentence, or nothing."""
    try:
        args.results.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=args.results).close()
    except OSError as error:
        return f"nothing can be written into {args.results} ({error})"
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # workers say it, too
            _CHAPTERS[args.chapter].check(args)
    except (ImportError, OSError, ValueError) as error:
        return str(error)
    return ""


def main(argv: Sequence[str] | None = None) -> int:
    """Work, print the table, draw the curves. Returns an exit code."""
    args = arguments(argv)
    chapter = _CHAPTERS[args.chapter]
    if args.worker:
        return int(FAILED in be_worker(chapter, args))
    if problem := _problem(args):  # complain once, before anything trains
        print(f"error: {problem}", file=sys.stderr)
        return 1
    for backend in args.backend if args.fresh else ():
        forget(args.results / backend)
    if _engine():
        return _be_one_of_several(chapter, args)
    workers, is_shown = Turns(args), True
    try:
        workers.run()
        if not workers.was_interrupted:  # else the next run goes on with all
            _forget_good(workers.results, args.results)
    finally:  # what is finished is shown, whatever happened to the rest
        if workers.results:
            is_shown = _show(chapter, workers.results,
                             args.results / "curves.png")
    return workers.exit_code or int(not is_shown)


def _engine() -> str:
    """The backend whose engine, such as torchrun, has started this process.

    An empty str if none has.
    """
    return next((name for name, backend in BACKENDS.items()
                 if backend.marker in os.environ), "")


def _be_one_of_several(chapter: ModuleType, args: argparse.Namespace) -> int:
    """Share the training; the first shows the result. Returns an exit code.
    """
    result = be_worker(chapter, args)
    is_shown = True
    if result:
        _forget_good([result], args.results)
        is_shown = _show(chapter, [result], args.results / "curves.png")
    return int(FAILED in result or not is_shown)


def _forget_good(results: list[Result], folder: Path) -> None:
    for result in results:
        if FAILED not in result and not result.get("stopped"):
            forget(folder / result["backend"])


def _show(chapter: ModuleType, results: list[Result], picture: Path) -> bool:
    """Print the table and draw the curves; False if there is no room."""
    print(f"\n{markdown_table(chapter.COLUMNS, results, chapter.rows)}\n")
    good = [r for r in results if FAILED not in r]
    try:
        if good:
            print(chapter.remarks(good))
            chapter.draw(good, picture)
            print(f"Curves: {picture}", flush=True)
    except OSError as error:
        print(f"error: {picture} is not written ({error})", file=sys.stderr)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
