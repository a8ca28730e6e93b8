"""The catalog stage: group what the surveys selected by object, split, deal to shards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from specvit.catalog.group import components, first_of, key_pairs, sky_pairs
from specvit.catalog.schema import CATALOG_SCHEMA, SURVEY_SCHEMA
from specvit.catalog.split import check_filled, shard_codes, split_codes
from specvit.catalog.stats import Counts, stats_csv
from specvit.config import Config
from specvit.errors import DataError
from specvit.io import atomic_path, write_text
from specvit.logs import get_logger, progress
from specvit.paths import SPLITS, shard_name

ROWS_A_PIECE = 100_000
# Whose spectrum names an object seen by several surveys: a survey added to a run then leaves the
# objects, and so the splits, of those before it in this list as they were.
NAMING_ORDER = ("sdss", "lamost", "files")

log = get_logger(__name__)


@dataclass
class Plan:
    """What the stage decides for each row, rows in naming order: survey by survey, then by id."""

    starts: dict[str, int]
    """First row of each survey."""
    first: NDArray[np.int64]
    """For each row, the first row of the same object."""
    split: NDArray[np.int8]
    shard: NDArray[np.int32]
    ids: pa.Array


def build_catalog(config: Config) -> Counts:
    """Write catalog.parquet (ordered by spectrum_id) and catalog_stats.csv from the survey tables.

    An object is what its surveys group together or what lies within `split.match_arcsec` on the
    sky, over any number of spectra and surveys. Its object_id is the spectrum_id of its first
    spectrum in naming order. Raises DataError where a split or a shard would be empty.
    """
    plan = make_plan(config)
    counts = _count_shards(plan, config)
    check_filled(counts)
    with progress("catalogue", len(plan.first)) as tick, atomic_path(config.paths.catalog) as path:
        tally = Counts()
        with pq.ParquetWriter(path, CATALOG_SCHEMA, compression="zstd") as writer:
            for key in sorted(plan.starts):  # ids start with their survey's key
                for table in _finished(config, key, plan):
                    writer.write_table(table)
                    tally.add(key, table)
                    tick.advance(len(table))
    tally.add_objects(_objects(plan))
    write_text(config.paths.catalog_stats, stats_csv(tally, config))
    log.info("catalogue: %s", tally.sentence())
    return tally


def make_plan(config: Config) -> Plan:
    """Read what grouping needs of the survey tables, and decide object, split and shard."""
    keys = [key for key in NAMING_ORDER if key in config.surveys.active]
    tables = [_columns(config, key, ["spectrum_id", "object_id", "ra", "dec"]) for key in keys]
    starts = np.cumsum([0, *(len(table) for table in tables)])
    whole = pa.concat_tables(tables).combine_chunks()
    ids = whole["spectrum_id"].combine_chunks()
    first = _group(whole, starts, config.split.match_arcsec)
    named, places = np.unique(first, return_inverse=True)
    split = split_codes(config.seed, _texts(ids.take(pa.array(named))), config.split)[places]
    shard = shard_codes(config.seed, _texts(ids), split, config.split)
    return Plan(dict(zip(keys, starts[:-1].tolist(), strict=True)), first, split, shard, ids)


def _texts(column: pa.Array) -> Iterator[str]:
    """The texts one by one, a piece of the column at a time."""
    for start in range(0, len(column), ROWS_A_PIECE):
        yield from column[start : start + ROWS_A_PIECE].to_pylist()


def _columns(config: Config, key: str, columns: list[str]) -> pa.Table:
    path = config.paths.survey_table(key)
    try:
        table = pq.read_table(path, columns=columns)
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist: run `specvit survey --survey {key}`") from error
    except pa.ArrowInvalid as error:
        raise DataError(f"{path} is not a readable parquet file: {error}") from error
    ids = table["spectrum_id"].combine_chunks()
    if pc.any(pc.greater_equal(ids[:-1], ids[1:])).as_py():
        raise DataError(f"{path} is not ordered by spectrum_id: run `specvit survey` again")
    return table


def _group(whole: pa.Table, starts: NDArray[np.int64], arcsec: float) -> NDArray[np.int64]:
    """The first row of each row's object: the surveys' own groups, then positions."""
    names = whole["object_id"].combine_chunks().dictionary_encode().indices
    ra, dec = (np.asarray(whole[name].combine_chunks().fill_null(np.nan)) for name in ("ra", "dec"))
    own = key_pairs(np.asarray(names, np.int64) + 1)
    return first_of(components(len(whole), np.concatenate([own, sky_pairs(ra, dec, arcsec)])))


def _count_shards(plan: Plan, config: Config) -> dict[str, NDArray[np.int64]]:
    return {
        name: np.bincount(plan.shard[plan.split == code], minlength=config.split.shards.of(name))
        for code, name in enumerate(SPLITS)
    }


def _finished(config: Config, key: str, plan: Plan) -> Iterator[pa.Table]:
    row = plan.starts[key]
    names = [[shard_name(s, i) for i in range(config.split.shards.of(s))] for s in SPLITS]
    offsets = np.cumsum([0, *(len(part) for part in names)])[:-1]
    shards = pa.array([name for part in names for name in part])
    splits = pa.array(SPLITS)
    with pq.ParquetFile(config.paths.survey_table(key)) as file:
        for batch in file.iter_batches(ROWS_A_PIECE):
            rows = slice(row, row + len(batch))
            row += len(batch)
            numbers = offsets[plan.split[rows]] + plan.shard[rows]
            table = pa.Table.from_batches([batch]).cast(SURVEY_SCHEMA)
            place = table.schema.get_field_index("object_id")
            objects = plan.ids.take(pa.array(plan.first[rows]))
            table = table.set_column(place, SURVEY_SCHEMA.field("object_id"), objects)
            table = table.append_column("split", splits.take(pa.array(plan.split[rows])))
            yield table.append_column("shard", shards.take(pa.array(numbers))).cast(CATALOG_SCHEMA)


def _objects(plan: Plan) -> pd.DataFrame:
    """One row an object: its split, how many spectra it has, and of how many surveys."""
    survey = np.searchsorted(
        np.array(list(plan.starts.values())), np.arange(len(plan.first)), "right"
    )
    frame = pd.DataFrame({"object": plan.first, "split": plan.split, "survey": survey})
    grouped = frame.groupby("object", sort=True)
    return pd.DataFrame(
        {
            "split": grouped["split"].first(),
            "spectra": grouped.size(),
            "surveys": grouped["survey"].nunique(),
        }
    )
