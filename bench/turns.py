"""What the benchmarks share: our workers and those of others, run in turns.

A worker is a program that prints one line of JSON at its end. Each runs in a
process of its own, one after the other, so that whatever else the machine
does hits all libraries. Nobody sets a number of threads: each library runs
as its reader starts it. d2l's JAX code has no BERT, and transformers has none
but PyTorch's, so those are what a backend without a rival is compared with.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

from d2lbert.backends import BACKENDS
from d2lbert.data import hub
from d2lbert.data.corpora import load_corpus
from d2lbert.files import write_whole

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "results" / "bench"
D2L_PYTHON = HERE.parent / ".venv-d2l" / "bin" / "python"
# A rival's name, and the backend that each of ours is compared with
REFERENCES = {"d2l": {"torch": "torch", "mxnet": "mxnet", "jax": "torch"},
              "transformers": dict.fromkeys(BACKENDS, "torch")}
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


def compare(args, unit, ours, rivals):
    """Run the rounds and print the table.

    Args:
        args: what `arguments` returned.
        unit: of the speeds, as the workers' reports name it.
        ours: the worker and its arguments after the backend.
        rivals: the same for each rival, {name: (worker, ...)}.
    """
    notes = {}
    rounds = [one_round(args, unit, ours, rivals, notes)
              for _ in range(args.rounds)]
    text = "\n".join([f"{unit.replace('_', ' ')}, ours / theirs:", "",
                      *table(rounds), "", *notes.values()]).rstrip()
    print(text)
    name = ours[0].removeprefix("ours_").removesuffix(".py")
    RESULTS.mkdir(parents=True, exist_ok=True)
    write_whole(RESULTS / f"{name}.md", text + "\n")
    draw(rounds, unit, RESULTS / f"{name}.png")
    print(f"\nwritten: {RESULTS / name}.md and .png")


def one_round(args, unit, ours, rivals, notes):
    """{(backend, rival, its backend): (ours, theirs)}, run one by one.

    Args:
        notes: gets a sentence about each backend.
    """
    def report(worker, backend, *rest):
        return run_worker(worker, backend, *rest, "--steps", args.steps)

    theirs, speeds = {}, {}
    for backend in args.backend:
        mine = report(ours[0], backend, *ours[1:])
        print(f"{backend}: {mine[unit]:.1f} {unit}, after "
              f"{mine['warmup_seconds']:.1f} s of compilation and first "
              "steps", file=sys.stderr)
        if "matrix_share" in mine:
            notes[backend] = (
                f"{backend}, {mine['precision']}: {mine['gflops']:.0f} "
                f"GFLOP/s for valid tokens, {mine['matrix_share']:.2f} of "
                "what plain products of these shapes reach")
        for rival, (worker, *rest) in rivals.items():
            key = rival, REFERENCES[rival][backend]
            if key not in theirs:
                theirs[key] = report(worker, key[1], *rest)[unit]
                print(f"{' '.join(key)}: {theirs[key]:.1f}", file=sys.stderr)
            speeds[backend, *key] = mine[unit], theirs[key]
    return speeds


def draw(rounds, unit, path):
    """Bars: the median speed of each library, as a PNG picture."""
    from matplotlib.figure import Figure
    speeds = {}
    for backend, rival, theirs in rounds[0]:
        pairs = [speed[backend, rival, theirs] for speed in rounds]
        for name, values in ((f"d2lbert, {backend}", [a for a, _ in pairs]),
                             (f"{rival}, {theirs}", [b for _, b in pairs])):
            speeds[name] = median(values)
    figure = Figure((6, 0.5 + 0.4 * len(speeds)), layout="constrained")
    axes = figure.subplots()
    names = sorted(speeds, key=speeds.get)
    bars = axes.barh(names, [speeds[name] for name in names])
    axes.bar_label(bars, fmt="{:,.0f}", padding=3)
    axes.set_xlabel(unit.replace("_", " "))
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


def table(rounds):
    """The rounds as lines of a Markdown table."""
    numbers = range(1, len(rounds) + 1)
    yield "| ours | theirs | " + " | ".join(
        f"round {i}" for i in numbers) + " | median ratio |"
    yield "|---" * (len(rounds) + 3) + "|"
    for pair in rounds[0]:
        speeds = [speed[pair] for speed in rounds]
        ratio = median(ours / theirs for ours, theirs in speeds)
        cells = [pair[0], f"{pair[1]} {pair[2]}",
                 *(f"{ours:.1f} / {theirs:.1f}" for ours, theirs in speeds),
                 f"{ratio:.2f}"]
        yield f"| {' | '.join(cells)} |"


def arguments(doc, min_steps):
    """Parse the command line of a comparison of speeds."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--rounds", type=at_least(1), default=3)
    parser.add_argument("--steps", type=at_least(min_steps), default=20)
    parser.add_argument("--backend", nargs="+", choices=BACKENDS,
                        default=list(BACKENDS))
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
