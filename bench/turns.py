"""What the benchmarks share: our workers and d2l's, run in turns.

A worker is a program that prints one line of JSON at its end. Each runs in a
process of its own, one after the other, so that whatever else the machine
does hits both libraries. Nobody sets a number of threads: each library runs
as its reader starts it. d2l's JAX code has no BERT, so JAX is compared with
d2l's PyTorch.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

from d2lbert.data import hub
from d2lbert.data.corpora import load_corpus

HERE = Path(__file__).resolve().parent
D2L_PYTHON = HERE.parent / ".venv-d2l" / "bin" / "python"
REFERENCE = {"torch": "torch", "mxnet": "mxnet", "jax": "torch"}
THREAD_SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS",
                   "OPENBLAS_NUM_THREADS")


def run_worker(worker, *args):
    """Run a worker, d2l_* in d2l's environment; return what it reports."""
    env = {name: value for name, value in os.environ.items()
           if name not in THREAD_SETTINGS}
    python = D2L_PYTHON if worker.startswith("d2l_") else sys.executable
    command = [str(part) for part in (python, HERE / worker, *args)]
    run = subprocess.run(command, env=env, check=False,
                         stdout=subprocess.PIPE, text=True)
    if run.returncode:
        sys.exit(f"{' '.join(command[1:])} failed with status "
                 f"{run.returncode}; its own message stands above")
    return json.loads(run.stdout.splitlines()[-1])


def compare(args, unit, ours, theirs):
    """Run the rounds and print the table.

    Args:
        args: what `arguments` returned.
        unit: of the speeds, as the workers' reports name it.
        ours, theirs: the worker and the arguments after the backend.
    """
    rounds = [one_round(args, unit, ours, theirs) for _ in range(args.rounds)]
    print(f"{unit.replace('_', ' ')}, ours / theirs:\n")
    print(*table(rounds), sep="\n")


def one_round(args, unit, ours, theirs):
    """{backend: (ours, theirs)}, run one by one."""
    def report(worker, backend, *rest):
        return run_worker(worker, backend, *rest, "--steps", args.steps)

    references, speeds = {}, {}
    for backend in args.backend:
        other = REFERENCE[backend]
        if other not in references:
            references[other] = report(theirs[0], other, *theirs[1:])[unit]
        mine = report(ours[0], backend, *ours[1:])
        speeds[backend] = mine[unit], references[other]
        print(f"{backend}: {mine[unit]:.1f}, d2l {other}: "
              f"{references[other]:.1f} {unit}; before that ours took "
              f"{mine['warmup_seconds']:.1f} s for compilation and first "
              "steps", file=sys.stderr)
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


def arguments(doc, min_steps):
    """Parse the command line of a comparison of speeds."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--rounds", type=at_least(1), default=3)
    parser.add_argument("--steps", type=at_least(min_steps), default=20)
    parser.add_argument("--backend", nargs="+", choices=REFERENCE,
                        default=list(REFERENCE))
    return parser.parse_args()


def at_least(least):
    """An argparse type: an integer not below `least`."""
    def integer(text):
        if int(text) < least:
            raise argparse.ArgumentTypeError(f"{text} is below {least}")
        return int(text)
    return integer


def check_d2l():
    """End with a sentence unless d2l's environment is there."""
    if not D2L_PYTHON.exists():
        sys.exit("d2l's environment .venv-d2l is missing: `make bench` "
                 "builds it")


def data_folder(name):
    """The folder of 'wikitext-2' or 'SNLI', or one sentence and the end."""
    folder = {"wikitext-2": "wikitext-2", "SNLI": "snli_1.0"}[name]
    try:
        if name == "wikitext-2":
            load_corpus(name)  # counts its lines and words
        return hub.download_extract(name, folder, hub.cache_dir())
    except (OSError, ValueError) as error:
        sys.exit(f"the benchmark needs {name}: {error}")
