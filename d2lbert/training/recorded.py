"""Runs that a chapter shows and that were made elsewhere, as numbers."""

import json
from pathlib import Path
from typing import Any

from d2lbert.files import read_json, write_whole

FOLDER = Path(__file__).with_name("recorded")


def recorded_run(name: str) -> dict[str, Any]:
    """What was measured in a run that takes too long for a chapter.

    Args:
        name: "wikitext-2", written by `d2lbert.run.record`, "mini-wiki",
            by `d2lbert.run.variants`, or "two-workers", by
            `d2lbert.run.scaling`.

    Returns:
        A dict with the `command` that repeats the run, the `device` or
        devices, the `recipe`, and `runs`: {name: numbers of a run}. Losses
        there are means of `every` steps.

    Raises:
        ValueError: for a name of which nothing is recorded.
    """
    path = FOLDER / f"{name}.json"
    names = sorted(file.stem for file in FOLDER.glob("*.json"))
    if name not in names:
        raise ValueError(f"no run {name!r} is recorded: choose from "
                         f"{', '.join(names)}")
    return read_json(path, dict)


def write_recorded(name: str, run: dict[str, Any],
                   folder: str | Path = FOLDER) -> Path:
    """Write what `recorded_run` reads; numbers get four digits."""
    path = Path(folder, f"{name}.json")
    write_whole(path, json.dumps(_rounded(run), indent=1,
                                 ensure_ascii=False) + "\n")
    return path


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, 4) if isinstance(value, float) else value
