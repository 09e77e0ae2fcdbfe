"""Write a text that may be larger than memory as shards to pretrain on.

The text is a file, or a folder of .txt and .tokens files, with a paragraph a
line and ' . ' between sentences. `make run CORPUS=FOLDER` takes the folder.
"""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from d2lbert.data.batches import MIN_FREQ
from d2lbert.data.sharding import MEGABYTES, write_shards
from d2lbert.data.shards import HELD_OUT, TRAIN, Shard
from d2lbert.training.plotting import progress

_MOST = 1024.0  # megabytes a shard; token numbers are 32 bits wide


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m d2lbert.run.shards",
        description=(__doc__ or "").splitlines()[0])
    parser.add_argument("text", metavar="TEXT", type=Path, help="a file, or a "
                        "folder of .txt and .tokens files: a paragraph a "
                        "line, ' . ' between sentences")
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="to "
                        "write; shards that it holds are replaced in the end")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1,
                        help="default as many as there are cores; the shards "
                        "do not depend on it")
    parser.add_argument("--min-freq", type=int, default=MIN_FREQ,
                        help="rarer words are read as <unk>; default 5")
    parser.add_argument("--max-words", type=int, help="so many words, the "
                        "most frequent ones, have a number; default all")
    parser.add_argument("--shard-megabytes", type=float, default=MEGABYTES,
                        help="of text a shard, default 32; a process takes "
                        "some ten times as much memory")
    args = parser.parse_args(argv)
    for name in ("processes", "min_freq", "max_words"):
        value = getattr(args, name)
        if value is not None and value < 1:
            parser.error(f"--{name.replace('_', '-')} is {value}, not 1 or "
                         "more")
    if not 0 < args.shard_megabytes <= _MOST:
        parser.error(f"--shard-megabytes is {args.shard_megabytes:g}, not "
                     f"above 0 and at most {_MOST:g}")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Write the shards and say what there is. Returns an exit code."""
    args = arguments(argv)
    try:
        shards, left_out = write_shards(
            args.text, args.folder, args.processes, args.min_freq,
            args.max_words, args.shard_megabytes, _watch)
    except BrokenProcessPool:
        print("error: a process died, perhaps for want of memory: try fewer "
              "--processes or smaller --shard-megabytes", file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: no shards are written", file=sys.stderr)
        return 130
    print(_summary(args.folder, shards, left_out))
    return 0


def _watch(items: Iterator[Any], total: int, name: str) -> Iterable[Any]:
    return progress(items, total=total, desc=name, unit="shard")


def _summary(folder: Path, shards: dict[str, list[Shard]], left_out: int
             ) -> str:
    tokens = {part: sum(shard.tokens for shard in found)
              for part, found in shards.items()}
    lines = [f"{folder}: {len(shards[TRAIN])} shards of "
             f"{tokens[TRAIN]:,} tokens to train on and "
             f"{tokens[HELD_OUT]:,} held out"]
    if left_out:
        lines.append(f"left out: {left_out} pieces of the text, of which no "
                     "pairs can be made")
    return "\n".join([*lines, f"train with: make run CORPUS={folder}"])


if __name__ == "__main__":
    sys.exit(main())
