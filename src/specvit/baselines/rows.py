"""Flux and labels of a split, straight from its shards: the same rows that the ViT reads.

Labels come from the shards' indexes, flux from the `.npy` members; pictures are not touched.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from specvit.errors import DataError
from specvit.logs import progress
from specvit.predictions import IDENTITY
from specvit.shards.index import place_columns, read_index
from specvit.shards.npy import parse_npy
from specvit.shards.subset import ALL, Subset
from specvit.tasks import TASKS, Task

COLUMNS = tuple(dict.fromkeys([*IDENTITY, *(task.column for task in TASKS.values())]))
"""What is kept of each spectrum's row: identity, then every task's label."""

_NUMBERS = {"snr", *(task.column for task in TASKS.values() if task.kind != "classification")}


@dataclass(frozen=True)
class Rows:
    """Spectra of a split in the order of their shards."""

    table: pd.DataFrame
    """n rows of COLUMNS; a missing number is nan, a missing text None."""
    flux: NDArray[np.float16]
    """(n, pixels) on the common grid, in units of each spectrum's scale; nan where no data."""

    def __len__(self) -> int:
        return len(self.table)

    def take(self, rows: NDArray[np.intp] | slice) -> Rows:
        """Return some of the rows."""
        return Rows(self.table.iloc[rows].reset_index(drop=True), self.flux[rows])


def labels_of(table: pd.DataFrame, task: Task) -> NDArray[Any]:
    """Labels of a task: text or None (classification), else float64 with nan where unknown.

    Raises DataError for a label that the task does not have.
    """
    column = table[task.column]
    if task.kind != "classification":
        return np.asarray(column, dtype=np.float64)
    values = np.asarray(column, dtype=object)
    wrong = set(values[column.notna()]) - set(task.labels)
    if wrong:
        raise DataError(f"{task.column} {sorted(wrong)} is not one of {', '.join(task.labels)}")
    return values


def objects_of(table: pd.DataFrame) -> NDArray[Any]:
    """Object of each spectrum, (n,); one that no object is known of is its own."""
    return np.asarray(table["object_id"].fillna(table["spectrum_id"]), dtype=object)


def known(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Which rows have a label, (n,)."""
    return np.asarray(pd.notna(labels), dtype=bool)


def read_rows(paths: Iterable[Path], label: str, subset: Subset = ALL) -> Rows:
    """Read the spectra of some shards that are of a subset; memory is theirs and one shard's more.

    Raises DataError where a shard is missing, damaged, or differs from the others in its pixels.
    """
    parts = []
    paths = list(paths)
    with progress(f"{label}: shards", len(paths), "shards") as tick:
        for path in paths:
            parts.append(read_shard(path, subset))
            tick.advance()
    parts = [part for part in parts if len(part)]
    if not parts:
        return Rows(label_table([]), np.empty((0, 0), dtype=np.float16))
    pixels = {part.flux.shape[1] for part in parts}
    if len(pixels) > 1:
        raise DataError(
            f"the shards in {paths[0].parent} hold flux arrays of {sorted(pixels)} pixels: make "
            "them again from one configuration"
        )
    table = pd.concat([part.table for part in parts], ignore_index=True)
    flux = np.empty((len(table), pixels.pop()), dtype=np.float16)
    row = len(table)
    while parts:  # each part is freed when it is copied
        part = parts.pop()
        flux[row - len(part) : row] = part.flux
        row -= len(part)
    return Rows(table, flux)


def read_shard(path: Path, subset: Subset = ALL) -> Rows:
    """Read the spectra of one shard that are of a subset."""
    columns = dict.fromkeys([*COLUMNS, *place_columns("npy"), *subset.columns])
    index = read_index([path], columns)
    taken = np.flatnonzero(subset.mask(index.table))
    arrays = [parse_npy(data, path) for data in index.contents("npy", taken)]
    if len({len(array) for array in arrays}) > 1:
        raise DataError(f"{path} holds flux arrays of several lengths: make the shard again")
    table = label_table(index.table.select(COLUMNS).take(taken).to_pylist())
    return Rows(table, np.stack(arrays) if arrays else np.empty((0, 0), dtype=np.float16))


def label_table(values: list[dict[str, Any]]) -> pd.DataFrame:
    """Make a table of COLUMNS from the spectra's rows."""
    columns = {
        name: pd.Series(
            [value.get(name) for value in values],
            dtype=np.float64 if name in _NUMBERS else object,
        )
        for name in COLUMNS
    }
    return pd.DataFrame(columns)
