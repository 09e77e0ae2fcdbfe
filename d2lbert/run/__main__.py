"""Run a chapter's experiment in every backend and print one table.

Each backend works in a process of its own, so that the frameworks do not
compete for threads and memory. Results go to results/<corpus>/: the numbers
as JSON, the weights, the curves as a picture.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from d2lbert.backends import BACKENDS, load_backend
from d2lbert.files import read_json, write_whole
from d2lbert.run import nli, pretraining, sentiment

_CHAPTERS: dict[str, ModuleType] = {
    "bert-pretraining": pretraining, "nli-bert": nli,
    "bert-from-scratch": sentiment}


def _run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Work on each backend in a process of its own.

    A backend whose framework is not installed is passed over with a
    sentence that says so.

    Returns:
        The results, in order.
    """
    results = []
    for backend in args.backend:
        file = args.results / f"{backend}.json"
        file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "d2lbert.run", "--worker",
                   "--chapter", args.chapter, "--backend", backend,
                   "--corpus", args.corpus, "--model", args.model,
                   "--results", args.results]
        if args.steps:
            command += ["--steps", str(args.steps)]
        subprocess.run(command, check=True)
        if file.exists():
            results.append(read_json(file, dict))
    return results


def _work(backend: str, args: argparse.Namespace) -> None:
    """Do one backend's part here and write what `_run` reads."""
    try:
        load_backend(backend)
    except ImportError as error:
        print(f"{BACKENDS[backend].title} is left out: {error}",
              file=sys.stderr)
        return
    chapter = _CHAPTERS[args.chapter]
    print(f"{BACKENDS[backend].title}: {chapter.describe(args)}", flush=True)
    result = chapter.work(backend, args, args.results / backend)
    write_whole(args.results / f"{backend}.json", json.dumps(result))


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m d2lbert.run",
        description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--chapter", default="bert-pretraining",
                        help=" or ".join(_CHAPTERS))
    parser.add_argument("--corpus", help="bert-pretraining: mini-wiki, "
                        "wikitext-2 or a path to a text, a paragraph a line; "
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
    parser.add_argument("--worker", action="store_true",
                        help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    _check(parser, args)
    args.corpus = args.corpus or _CHAPTERS[args.chapter].CORPUS
    args.model = args.model or _CHAPTERS[args.chapter].MODEL
    args.results = args.results or Path("results", Path(args.corpus).stem)
    return args


def _check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    if args.chapter not in _CHAPTERS:
        parser.error(f"chapter {args.chapter!r} has no experiment: choose "
                     f"from {', '.join(_CHAPTERS)}")
    for name in args.backend:
        if name not in BACKENDS:
            parser.error(f"unknown backend {name!r}: choose from "
                         f"{', '.join(BACKENDS)}")
    if args.steps is not None and args.steps < 1:
        parser.error(f"--steps is {args.steps}, not 1 or more")


def main(argv: Sequence[str] | None = None) -> int:
    """Work, print the table, draw the curves. Returns an exit code."""
    args = arguments(argv)
    chapter = _CHAPTERS[args.chapter]
    args.results.mkdir(parents=True, exist_ok=True)
    if args.worker:
        _work(args.backend[0], args)
        return 0
    try:
        chapter.check(args)  # complain once, before anything trains
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    results = _run(args)
    if not results:
        return 1
    picture = args.results / "curves.png"
    chapter.draw(results, picture)
    print(f"\n{chapter.table(results)}\n\n{chapter.remarks(results)}\n"
          f"Curves: {picture}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
