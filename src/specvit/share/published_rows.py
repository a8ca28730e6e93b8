"""The rows that a published run is made of: catalogue, flux and predictions of each spectrum."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from specvit.catalog.schema import CATALOG_SCHEMA
from specvit.errors import DataError, on_one_line
from specvit.io import UNREADABLE, VERIFIED, read_parquet
from specvit.metrics.answers import answers
from specvit.paths import RunPaths
from specvit.plan import Plan
from specvit.predict.calibrated import Calibration
from specvit.predictions import check_weights, prob_columns, weights_of
from specvit.shards.index import Index, place_columns, read_index
from specvit.shards.npy import parse_npy
from specvit.tasks import Task

ROWS = 500
"""Rows in memory at a time, and of a parquet file's row groups: some 8 MB of flux."""
PLACE = "_healpix_29"
"""Column with the HEALPix pixel of order 29, nested: HATS's name for it."""
NOWHERE = np.iinfo(np.int64).max
"""Sorts spectra without a position behind all others."""
INSIDE = ("source", "shard")
"""Columns of the catalogue that mean something inside a run alone."""
CATALOGUE = pa.schema([field for field in CATALOG_SCHEMA if field.name not in INSIDE])


def places(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.int64]:
    """HEALPix pixels of order 29 of positions in degrees, (n,); NOWHERE for what is none."""
    from hats.pixel_math import compute_spatial_index

    found = np.full(len(ra), NOWHERE)
    known = (ra >= 0) & (ra <= 360) & (np.abs(dec) <= 90)  # nan is none
    if known.any():
        found[known] = compute_spatial_index(ra[known], dec[known])
    return found


@dataclass(frozen=True)
class Answers:
    """The predictions of one model of a run, for val and test."""

    name: str
    tasks: tuple[Task, ...]
    """Those that the model answers."""
    files: dict[str, Path]
    """Its predictions by split."""
    calibration: Calibration

    @classmethod
    def of(cls, paths: RunPaths, name: str, tasks: Iterable[Task], is_network: bool) -> Answers:
        """Of a run's files. Raises DataError where they do not belong together."""
        files = {split: paths.predictions(name, split) for split in ("val", "test")}
        plan = Plan.of_parquet(paths.catalog)
        for path in files.values():
            Plan.of_parquet(path).check_same(path, plan, paths.catalog)
            if is_network:
                check_weights(path, paths.model_dir(name) / "training.json")
        told = [task for task in tasks if _answered(files["test"], task)]
        calibration = Calibration.read(paths.model_dir(name), weights_of(files["test"]))
        return cls(name, tuple(told), files, calibration)

    @property
    def schema(self) -> pa.Schema:
        """Columns, named as in `specvit.predictions` behind the model's name."""
        return pa.schema(
            [
                (f"{self.name}_{column}", pa.string() if is_text else pa.float32())
                for task in self.tasks
                for column, is_text in _columns(task).items()
            ]
        )

    def rows(self, split: str, ids: Sequence[str]) -> pa.Table:
        """Calibrated answers about spectra of one split, in their order; null where there is none.

        Reads no more of the file than these spectra: what is in memory does not grow with it.
        """
        columns = [column for task in self.tasks for column in _columns(task)]
        frame = pd.DataFrame(columns=["spectrum_id", *columns])
        if split in self.files:
            # An interval's factor is that of the class that the model predicts.
            frame = _filtered(self.files[split], list(frame.columns), ids)
            frame = self.calibration.applied(frame, self.tasks)
        frame = frame.set_index("spectrum_id").reindex(ids)
        arrays = [
            pa.Array.from_pandas(frame[column].astype(object), type=field.type)
            for column, field in zip(columns, self.schema, strict=True)
        ]
        return pa.table(arrays, schema=self.schema)


def _answered(path: Path, task: Task) -> bool:
    column = f"{task.name}_pred"
    is_there = column in pq.read_schema(path).names
    return is_there and answers(read_parquet(path, [column]), task)


def _columns(task: Task) -> dict[str, bool]:
    """Columns of a task's answers, and whether each holds text."""
    if task.kind == "classification":
        return {f"{task.name}_pred": True, **dict.fromkeys(prob_columns(task), False)}
    return {f"{task.name}_{part}": False for part in ("pred", "lo", "hi")}


def _filtered(path: Path, columns: list[str], ids: Sequence[str]) -> pd.DataFrame:
    try:
        wanted = [("spectrum_id", "in", list(ids))]
        return pd.read_parquet(path, columns=columns, filters=wanted, **VERIFIED)
    except UNREADABLE as error:
        raise DataError(f"{path} cannot be read: {on_one_line(error)}") from error


@dataclass(frozen=True)
class Rows:
    """All rows of a run, shard by shard, in one schema."""

    paths: RunPaths
    label: str
    """The set of plots whose shards hold the flux (the same in all sets)."""
    models: tuple[Answers, ...]

    @property
    def schema(self) -> pa.Schema:
        """Catalogue, flux and its scale, answers of each model, the place on the sky."""
        answered = [field for model in self.models for field in model.schema]
        flux = pa.schema([("flux", pa.list_(pa.float32())), ("flux_scale", pa.float64())])
        return pa.schema([*CATALOGUE, *flux, *answered, pa.field(PLACE, pa.int64())])

    def of(self, shard: str) -> Iterator[pa.Table]:
        """Rows of a shard by their place on the sky, ROWS at a time.

        Raises DataError where the shard, or its index, is not what the run's files say it is.
        """
        index = self._index(shard)
        ids = index.table["spectrum_id"].to_pylist()
        split = shard.rpartition("-")[0]
        where = places(*(index.table[name].to_numpy() for name in ("ra", "dec")))
        order = np.argsort(where, kind="stable")
        told = index.table.select([*CATALOGUE.names, "flux_scale"])
        answered = [model.rows(split, ids) for model in self.models]
        place = pa.array(where, mask=where == NOWHERE)
        for start in range(0, len(order), ROWS):
            rows = order[start : start + ROWS]
            columns = {PLACE: place.take(pa.array(rows)), "flux": self._flux(index, rows)}
            for table in (told, *answered):
                part = table.take(pa.array(rows))
                columns |= dict(zip(part.column_names, part.columns, strict=True))
            yield pa.table({name: columns[name] for name in self.schema.names}, self.schema)

    def _index(self, shard: str) -> Index:
        columns = [*CATALOGUE.names, "flux_scale", *place_columns("npy")]
        index = read_index([self.paths.shard(self.label, shard)], columns)
        plan = Plan.of_parquet(self.paths.catalog)
        index.plan.check_same(index.tars[0], plan, self.paths.catalog)
        index.check_listed()
        return index

    def _flux(self, index: Index, rows: NDArray[np.int64]) -> pa.Array:
        read = [parse_npy(data, index.tars[0]) for data in index.contents("npy", rows)]
        offsets = np.cumsum([0, *map(len, read)], dtype=np.int32)
        return pa.ListArray.from_arrays(offsets, np.concatenate(read).astype(np.float32))
