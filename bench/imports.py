"""Compare how long `import d2lbert.torch` takes with `import torch`.

    .venv/bin/python bench/imports.py --rounds 5

The same for the other two, each in a new process, in turns; the shortest of
the rounds counts. MXNet has to be imported through `d2lbert.mxnet` on NumPy 2,
so it has no rival there.
"""

import argparse
import subprocess
import sys
from time import perf_counter

RIVALS = {"d2lbert.torch": "torch", "d2lbert.jax": "flax.linen, optax",
          "d2lbert.mxnet": None, "d2lbert": None}


def seconds(modules):
    """The time of a process that imports modules and ends."""
    start = perf_counter()
    subprocess.run([sys.executable, "-c", f"import {modules}"], check=True)
    return perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    names = [name for pair in RIVALS.items() for name in pair if name]
    times = [{name: seconds(name) for name in names} for _ in range(rounds)]
    print("| import | seconds | rival | seconds | ratio |")
    print("| --- | --- | --- | --- | --- |")
    for ours, theirs in RIVALS.items():
        mine, other = (min(row[name] for row in times) if name else None
                       for name in (ours, theirs))
        rest = [theirs, f"{other:.2f}", f"{mine / other:.2f}"] if theirs else [
            "", "", ""]
        print(f"| {' | '.join([ours, f'{mine:.2f}', *rest])} |")


if __name__ == "__main__":
    main()
