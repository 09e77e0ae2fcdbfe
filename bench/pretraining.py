"""Compare the speed of BERT pretraining with that of d2l 1.0.3.

    .venv/bin/python bench/pretraining.py --rounds 3 --steps 20

On WikiText-2 with batches of 512 pairs of at most 64 tokens, the two libraries
take turns, each run in a process of its own, so that whatever else the
machine does hits both. A ratio is taken in every round and the median is
reported. Nobody sets a number of threads: each library runs as its reader
starts it. d2l's JAX code has no BERT, so JAX is compared with d2l's PyTorch.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

from d2lbert import hub
from d2lbert.corpora import load_corpus

HERE = Path(__file__).resolve().parent
D2L_PYTHON = HERE.parent / ".venv-d2l" / "bin" / "python"
REFERENCE = {"torch": "torch", "mxnet": "mxnet", "jax": "torch"}
THREAD_SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS",
                   "OPENBLAS_NUM_THREADS")
MIN_STEPS = 8  # the first step of each batch shape is not counted


def pairs_per_sec(python, worker, *args):
    """Run a worker and return the sentence pairs a second it measured."""
    env = {name: value for name, value in os.environ.items()
           if name not in THREAD_SETTINGS}
    command = [python, HERE / worker, *args]
    run = subprocess.run([str(part) for part in command], env=env,
                         check=False, stdout=subprocess.PIPE,
                         text=True)
    if run.returncode:
        sys.exit(f"{worker} {args[0]} failed with status {run.returncode}; "
                 "its own message stands above")
    return json.loads(run.stdout.splitlines()[-1])["pairs_per_sec"]


def one_round(backends, folder, steps):
    """{backend: (ours, theirs)} in pairs a second, run one by one."""
    theirs, speeds = {}, {}
    for backend in backends:
        other = REFERENCE[backend]
        if other not in theirs:
            theirs[other] = pairs_per_sec(
                D2L_PYTHON, "d2l_worker.py", other, folder, "--steps", steps)
        ours = pairs_per_sec(
            sys.executable, "ours_worker.py", backend, "--steps", steps)
        speeds[backend] = ours, theirs[other]
        print(f"{backend}: {ours:.1f}, d2l {other}: {theirs[other]:.1f} "
              "pairs/s", file=sys.stderr)
    return speeds


def table(rounds):
    """The rounds as lines of a Markdown table."""
    numbers = range(1, len(rounds) + 1)
    yield "| ours | theirs | " + " | ".join(
        f"round {i}" for i in numbers) + " | median ratio |"
    yield "|---" * (len(rounds) + 3) + "|"
    for backend in rounds[0]:
        speeds = [speed[backend] for speed in rounds]
        ratio = median(ours / theirs for ours, theirs in speeds)
        cells = [backend, f"d2l {REFERENCE[backend]}",
                 *(f"{ours:.1f} / {theirs:.1f}" for ours, theirs in speeds),
                 f"{ratio:.2f}"]
        yield f"| {' | '.join(cells)} |"


def wikitext2():
    """The folder of WikiText-2, complete, or one sentence and the end."""
    try:
        folder = hub.download_extract("wikitext-2", "wikitext-2",
                                      hub.cache_dir())
        load_corpus("wikitext-2")  # counts its lines and words
    except (OSError, ValueError) as error:
        sys.exit(f"the benchmark needs WikiText-2: {error}")
    return folder


def at_least(least):
    """An argparse type: an integer not below `least`."""
    def integer(text):
        if int(text) < least:
            raise argparse.ArgumentTypeError(f"{text} is below {least}")
        return int(text)
    return integer


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=at_least(1), default=3)
    parser.add_argument("--steps", type=at_least(MIN_STEPS), default=20)
    parser.add_argument("--backend", nargs="+", choices=REFERENCE,
                        default=list(REFERENCE))
    args = parser.parse_args()
    if not D2L_PYTHON.exists():
        sys.exit("d2l's environment .venv-d2l is missing: `make bench` "
                 "builds it")
    folder = wikitext2()
    rounds = [one_round(args.backend, folder, args.steps)
              for _ in range(args.rounds)]
    print("Sentence pairs a second, ours / theirs:\n")
    print(*table(rounds), sep="\n")


if __name__ == "__main__":
    main()
