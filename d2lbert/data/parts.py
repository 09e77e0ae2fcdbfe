"""A batch divided among workers, each of which takes some of its rows.

Worker `rank` of `size` takes the rows rank, rank + size, and so on.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

Part = tuple[int, int]  # rank, size
WHOLE: Part = (0, 1)


def part_of(batch: Any, part: Part, is_even: bool = False) -> Any:
    """The rows rank, rank + size, … of a batch.

    Args:
        batch: an array or a tensor, or a tuple, list or dict of them.
        part: (rank, size).
        is_even: whether all parts have to have as many rows.

    Raises:
        ValueError: if the batch has fewer than `size` rows, or they cannot
            be divided evenly where they have to.
        TypeError: if something in it has no rows.
    """
    if isinstance(batch, Mapping):
        return {name: part_of(value, part, is_even)
                for name, value in batch.items()}
    if isinstance(batch, (tuple, list)):
        parts = [part_of(value, part, is_even) for value in batch]
        if hasattr(batch, "_fields"):  # a named tuple
            return type(batch)(*parts)
        return type(batch)(parts)
    if not getattr(batch, "shape", ()):
        raise TypeError(f"a batch holds {str(batch)[:60]!r}, which has no "
                        "rows to divide: give arrays or tensors")
    check_part(part, batch.shape[0], is_even)
    return batch[part[0]::part[1]]


def parts_of(batch: Any, size: int) -> list[Any]:
    """A batch in so many parts; see `part_of`."""
    return [part_of(batch, (rank, size)) for rank in range(size)]


def check_part(part: Part, rows: int, is_even: bool = False) -> None:
    """Raise ValueError unless so many rows can be divided so."""
    rank, size = part
    if not 0 <= rank < size:
        raise ValueError(f"worker {rank} of {size} cannot be: give a rank "
                         "from 0 to size - 1")
    if rows < size:
        raise ValueError(
            f"a batch of {rows} examples cannot be divided into {size} parts: "
            "give a larger batch, or fewer workers, devices or parts")
    if is_even and rows % size:
        raise ValueError(f"a batch of {rows} examples cannot be divided into "
                         f"{size} equal parts: choose a multiple")


class DatasetPart:
    """A data set that gives a part of each batch, as wide as the whole one.

    Args:
        dataset: with `lengths`, `batch` and a length, as `PairBatches` takes.
    """

    def __init__(self, dataset: Any, part: Part) -> None:
        self.dataset, self.part = dataset, part

    @property
    def lengths(self) -> np.ndarray:
        """(N,) of all examples."""
        return self.dataset.lengths

    def batch(self, rows: np.ndarray) -> Any:
        """The part of the batch of some examples."""
        return part_of(self.dataset.batch(rows), self.part)

    def __len__(self) -> int:
        return len(self.dataset)


class RowChance:
    """The chance of a part's rows, drawn for all rows of the batch.

    A row then meets the same chance whoever makes it. It stands in for the
    Generator that `mask_tokens` takes.

    Args:
        num_rows: of the whole batch.
    """

    def __init__(self, rng: np.random.Generator, num_rows: int, part: Part
                 ) -> None:
        self.rng, self.num_rows = rng, num_rows
        self.rows = slice(part[0], None, part[1])

    def random(self, shape: tuple[int, int]) -> np.ndarray:
        return self.rng.random((self.num_rows, shape[1]))[self.rows]

    def integers(self, high: int, size: tuple[int, int]) -> np.ndarray:
        return self.rng.integers(
            high, size=(self.num_rows, size[1]))[self.rows]
