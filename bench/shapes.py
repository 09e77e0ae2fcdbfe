"""The chapter on fine-tuning with other seeds: its table, mean and range.

It runs the chapter's own cells, up to its summary, once for each seed:

    python bench/shapes.py --seeds 3 --backend torch
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from IPython.core.interactiveshell import InteractiveShell

from d2lbert.book.config import load_book
from d2lbert.book.source import make_notebook

CHAPTER, SEED = "fine-tuning", "seed = 0\n"
COLUMNS = ("chance", "labels", "mini-wiki", "random", "pretrained")


def main() -> None:
    """Run the seeds and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--backend", default="torch")
    args = parser.parse_args()
    cells = chapter_code(args.backend)
    tables = [run(cells, seed) for seed in range(args.seeds)]
    print(f"| task | {' | '.join(COLUMNS)} |\n" + "| --- " * 6 + "|")
    for task, row in tables[0].items():
        values = [mean_and_range([table[task][name] for table in tables])
                  if name in row else "" for name in COLUMNS]
        print(f"| {task} | {' | '.join(values)} |")


def chapter_code(backend: str) -> list[str]:
    """The code cells of the chapter before its summary."""
    book = load_book(Path(__file__).parent.parent)
    found = []
    for cell in make_notebook(book, CHAPTER, backend).cells:
        if "## Summary" in cell.source:
            break
        if cell.cell_type == "code":
            found.append(cell.source)
    if sum(SEED in source for source in found) != 1:
        sys.exit(f"{CHAPTER} has no cell with {SEED!r}")
    return found


def run(cells: list[str], seed: int) -> dict[str, dict[str, float]]:
    """{task: {column: score}} of the cells with another seed."""
    shell = InteractiveShell.instance()
    shell.reset()
    for source in cells:
        source = source.replace(SEED, f"seed = {seed}\n")
        shell.run_cell(source).raise_error()
    return shell.user_ns["table"]


def mean_and_range(values: list[float]) -> str:
    """'0.87 (0.85 to 0.90)'; one number where all are the same."""
    low, mean, high = min(values), np.mean(values), max(values)
    return f"{mean:.2f}" + (f" ({low:.2f} to {high:.2f})" if low < high
                            else "")


if __name__ == "__main__":
    main()
