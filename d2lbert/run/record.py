"""Keep the numbers of `make run` for a chapter that shows them:

    python -m d2lbert.run.record results/wikitext-2 "one NVIDIA H100"

Results of further backends are added to those that are recorded already.
"""

import json
import sys
from pathlib import Path
from typing import Any

from d2lbert.backends import BACKENDS
from d2lbert.run.report import thinned
from d2lbert.training.recorded import FOLDER, recorded_run, write_recorded

EVERY = 10  # steps of which a mean is kept
SCORES = ("held_out_mlm", "held_out_nsp", "held_out_accuracy")


def record(results: list[dict[str, Any]], device: str,
           folder: str | Path = FOLDER) -> Path:
    """Add results of a corpus to its recorded run.

    Args:
        results: of `d2lbert.run.pretraining.pretrain`, a backend each.
        device: in words.

    Raises:
        ValueError: if what is recorded has another recipe.
    """
    first = results[0]
    name, steps = first["corpus"], first["recipe"]["num_steps"]
    path = Path(folder, f"{name}.json")
    run = json.loads(path.read_text("utf-8")) if path.exists() else {
        "command": f"make run CORPUS={name} STEPS={steps}", "every": EVERY,
        **{key: first[key] for key in (
            "corpus", "recipe", "vocab_size", "unigram_entropy")},
        "runs": {}}
    for result in results:
        if result["recipe"] != run["recipe"]:
            raise ValueError(
                f"{result['backend']} was trained by {result['recipe']}, and "
                f"{path} has {run['recipe']}: train it so, or delete the file")
        run["runs"][result["backend"]] = {
            "device": device, **{key: result[key] for key in SCORES},
            **{key: thinned(result[key], steps // EVERY)
               for key in ("mlm", "nsp")}}
    run["runs"] = {backend: run["runs"][backend] for backend in BACKENDS
                   if backend in run["runs"]}
    return write_recorded(name, run, folder)


def main(folder: str, device: str) -> None:
    """Record the results that `make run` has left in a folder."""
    files = [Path(folder, f"{backend}.json") for backend in BACKENDS]
    results = [json.loads(file.read_text("utf-8")) for file in files
               if file.exists()]
    path = record(results, device)
    print(path, *recorded_run(path.stem)["runs"])


if __name__ == "__main__":
    main(*sys.argv[1:])
