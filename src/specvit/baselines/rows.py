"""Flux and labels of a split, straight from its shards: the same rows that the ViT reads.

Only the `.npy` and `.json` members are touched; pictures are stepped over. Extra noise
realisations (draw > 0) are left out: they are the picture networks' augmentation.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from specvit.errors import DataError
from specvit.logs import progress
from specvit.predictions import IDENTITY
from specvit.shards.tar import read_members
from specvit.tasks import TASKS, Task

COLUMNS = tuple(dict.fromkeys([*IDENTITY, *(task.column for task in TASKS.values())]))
"""What is kept of each spectrum's json: identity, then every task's label."""

Wanted = Callable[[dict[str, Any]], bool]
"""Whether the spectrum with this json is taken."""

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


def every_row(row: dict[str, Any]) -> bool:
    """Want every spectrum."""
    return True


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


def known(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Which rows have a label, (n,)."""
    return np.asarray(pd.notna(labels), dtype=bool)


def read_rows(paths: Iterable[Path], label: str, wanted: Wanted = every_row) -> Rows:
    """Read the wanted spectra of some shards; memory is theirs and one shard's more.

    Raises DataError where a shard is missing, damaged, or differs from the others in its pixels.
    """
    parts = []
    paths = list(paths)
    with progress(f"{label}: shards", len(paths), "shards") as tick:
        for path in paths:
            parts.append(read_shard(path, wanted))
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


def read_shard(path: Path, wanted: Wanted = every_row) -> Rows:
    """Read the wanted spectra of one shard."""
    values: list[dict[str, Any]] = []
    arrays: list[NDArray[np.float16]] = []
    waiting: dict[str, bytes] = {}
    for name, data in read_members(path):
        key, _, suffix = name.partition(".")
        if suffix == "npy":
            waiting[key] = data
        elif suffix == "json":
            value = _parse_json(data, path, key)
            if key not in waiting:
                raise DataError(f"{path}: {key}.json comes without {key}.npy: make the shard again")
            array = parse_npy(waiting.pop(key), path)
            if not value.get("draw") and wanted(value):
                values.append(value)
                arrays.append(array)
    if waiting:
        raise DataError(f"{path}: {next(iter(waiting))}.npy comes without a json: make it again")
    if len({len(array) for array in arrays}) > 1:
        raise DataError(f"{path} holds flux arrays of several lengths: make the shard again")
    if not arrays:
        return Rows(label_table([]), np.empty((0, 0), dtype=np.float16))
    return Rows(label_table(values), np.stack(arrays))


def label_table(values: list[dict[str, Any]]) -> pd.DataFrame:
    """Make a table of COLUMNS from the spectra's json."""
    columns = {
        name: pd.Series(
            [value.get(name) for value in values],
            dtype=np.float64 if name in _NUMBERS else object,
        )
        for name in COLUMNS
    }
    return pd.DataFrame(columns)


def _parse_json(data: bytes, path: Path, key: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError as error:
        raise DataError(f"{path}: {key}.json is not valid JSON: {error}") from error
    if not isinstance(value, dict) or not isinstance(value.get("spectrum_id"), str):
        raise DataError(f"{path}: {key}.json does not name its spectrum_id")
    return value


def parse_npy(data: bytes, path: Path) -> NDArray[np.float16]:
    """One float16 vector of a .npy file's bytes, faster than numpy's own reader."""
    try:
        if data[:6] != b"\x93NUMPY" or data[6] not in (1, 2):
            raise ValueError("these are not the bytes of a .npy file")
        width = 2 if data[6] == 1 else 4
        end = 8 + width + int.from_bytes(data[8 : 8 + width], "little")
        count = _pixels(data[8 + width : end])
        return np.frombuffer(data, np.float16, count=count, offset=end)
    except (ValueError, SyntaxError, KeyError, IndexError, TypeError) as error:
        raise DataError(f"{path}: a flux array cannot be read: {error}") from error


@cache  # all spectra of a run have the same header
def _pixels(header: bytes) -> int:
    value = ast.literal_eval(header.decode("latin1"))
    shape = value["shape"]
    if value["descr"] != "<f2" or len(shape) != 1:
        raise ValueError(f"it holds {value['descr']} of shape {shape}, not a float16 vector")
    return int(shape[0])
