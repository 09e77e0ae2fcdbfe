"""Record what the chapter on scaling up shows of two workers:

    make run CORPUS=wikitext-2 BACKEND=torch STEPS=2000 WORKERS=2
    python -m d2lbert.run.scaling results/wikitext-2/torch.json "two cores"

It measures a step of two workers in each backend and adds the run of that
file.
"""

import sys
from pathlib import Path

from d2lbert.backends import BACKENDS
from d2lbert.files import read_json
from d2lbert.run.measure import measure_step
from d2lbert.run.record import EVERY, SCORES
from d2lbert.run.report import thinned
from d2lbert.training.recorded import write_recorded

NAME = "two-workers"


def main(file: str, device: str) -> None:
    """Measure and record.

    Args:
        file: the result of a run by two workers, as `make run` leaves it.
        device: that measures, in words.
    """
    result = read_json(Path(file), dict)
    steps = result["recipe"]["num_steps"]
    run = {key: result[key] for key in (
        "corpus", "recipe", "workers", "backend", *SCORES)} | {
        key: thinned(result[key], steps // EVERY) for key in ("mlm", "nsp")}
    path = write_recorded(NAME, {
        "command": f"make run CORPUS={result['corpus']} "
        f"BACKEND={result['backend']} STEPS={steps} "
        f"WORKERS={result['workers']}",
        "device": device, "every": EVERY, "run": run,
        "steps": {backend: measure_step(backend) for backend in BACKENDS},
        "one_process": {backend: measure_step(backend, 1)["joint"]
                        for backend in BACKENDS}})
    print(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
