"""The catalog stage: group what the surveys selected by object, split, deal to shards."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from specvit.catalog.cluster import by_shard
from specvit.catalog.group import components, first_of, sky_pairs
from specvit.catalog.schema import CATALOG_SCHEMA, SURVEY_SCHEMA
from specvit.catalog.split import check_filled, shard_codes, split_codes
from specvit.catalog.stats import Counts, stats_csv
from specvit.catalog.together import ALONE, Files, dealt
from specvit.config import Config
from specvit.errors import DataError
from specvit.io import PARQUET, UNREADABLE, VERIFIED, atomic_path, write_text
from specvit.logs import get_logger, progress
from specvit.paths import SPLITS, shard_name
from specvit.plan import Plan
from specvit.registry import surveys

ROWS_A_PIECE = 100_000

log = get_logger(__name__)


@dataclass
class Deal:
    """What the stage decides for each row, rows in naming order: survey by survey, then by id."""

    starts: dict[str, int]
    """First row of each survey."""
    first: NDArray[np.int64]
    """For each row, the first row of the same object."""
    split: NDArray[np.int8]
    file: NDArray[np.int32]
    """Which rows are dealt as one, since their spectra are in one file; ALONE for the others."""
    shard: NDArray[np.int32]
    ids: pa.Array


def build_catalog(config: Config) -> Counts:
    """Write catalog.parquet and catalog_stats.csv from the survey tables.

    The catalogue is ordered by shard, then spectrum_id; each shard is a row group of its own.

    An object is what its surveys group together or what lies within `split.match_arcsec` on the
    sky, over any number of spectra and surveys. Its object_id is the spectrum_id of its first
    spectrum in naming order. Raises DataError where a split or a shard would be empty.
    """
    deal = deal_rows(config)
    counts = _count_shards(deal, config)
    check_filled(counts, dealt(deal.file, deal.split))
    with progress("catalogue", len(deal.first)) as tick, atomic_path(config.paths.catalog) as path:
        tally = Counts()
        sizes = [int(n) for split in SPLITS for n in counts[split]]
        tables = _counted(config, deal, tally)
        selected = (config.paths.survey_table(key) for key in config.surveys.active)
        plan = Plan.dealt(config.split, selected, np.packbits(deal.file != ALONE).tobytes())
        schema = CATALOG_SCHEMA.with_metadata(plan.metadata)
        with pq.ParquetWriter(path, schema, **PARQUET) as writer:
            for table in by_shard(tables, sizes, config.shard_names(), config.paths.root):
                writer.write_table(table)
                tick.advance(len(table))
    tally.objects = _objects(deal)
    write_text(config.paths.catalog_stats, stats_csv(tally, config))
    log.info("catalogue: %s", tally.sentence())
    return tally


def deal_rows(config: Config) -> Deal:
    """Read what grouping needs of the survey tables, and decide object, split and shard."""
    keys = list(config.surveys.active)  # in naming order, which is the registry's
    files = Files()
    parts = [_Rows.read(config, key, files) for key in keys]
    starts = np.cumsum([0, *(len(part.ids) for part in parts)]).tolist()
    own = [part.own_pairs() + start for part, start in zip(parts, starts[:-1], strict=True)]
    ra, dec = (np.concatenate([getattr(part, name) for part in parts]) for name in ("ra", "dec"))
    ids = pa.concat_arrays([part.ids for part in parts])
    file = np.concatenate([part.file for part in parts])
    del parts
    pairs = np.concatenate([*own, sky_pairs(ra, dec, config.split.match_arcsec)])
    first = first_of(components(len(ids), pairs))
    named, places = np.unique(first, return_inverse=True)
    split = split_codes(config.split.seed, _texts(ids.take(pa.array(named))), config.split)[places]
    file = files.worthwhile(file, split)
    shard = shard_codes(config.split.seed, files.keys(file, _texts(ids)), split, config.split)
    return Deal(dict(zip(keys, starts[:-1], strict=True)), first, split, file, shard, ids)


@dataclass
class _Rows:
    """What grouping needs of one survey's table."""

    ids: pa.Array
    ra: NDArray[np.float64]
    dec: NDArray[np.float64]
    again: NDArray[np.int64]
    """Rows that repeat the object of another row, which their object_id names."""
    named: pa.Array
    """That row's spectrum_id, for each row of `again`."""
    file: NDArray[np.int32]
    """The file that a row shares with others."""

    @classmethod
    def read(cls, config: Config, key: str, files: Files) -> _Rows:
        """Read a survey table in pieces; DataError where it is missing, broken or out of order."""
        path = config.paths.survey_table(key)
        survey = surveys().get(key)
        shared = None if survey is None else survey.shared(config.surveys.active[key])
        parts: list[tuple[pa.Array, pa.Array, pa.Array, pa.Array, pa.Array]] = []
        numbers: list[NDArray[np.int32]] = []
        row = 0
        try:
            with pq.ParquetFile(path, **VERIFIED) as file:
                columns = ["spectrum_id", "object_id", "ra", "dec"]
                asked = columns if shared is None else [*columns, "path"]
                for batch in file.iter_batches(ROWS_A_PIECE, columns=asked):
                    ids, objects, ra, dec = (batch.column(name) for name in columns)
                    again = np.flatnonzero(np.asarray(pc.not_equal(ids, objects)))
                    parts.append((ids, ra, dec, pa.array(again + row), objects.take(again)))
                    numbers.append(
                        np.full(len(batch), ALONE, np.int32)
                        if shared is None
                        else files.numbers(batch.column("path").to_pylist(), shared)
                    )
                    row += len(batch)
        except FileNotFoundError as error:
            raise DataError(f"{path} is missing: run `specvit survey --survey {key}`") from error
        except UNREADABLE as error:
            raise DataError(f"{path} is not a readable parquet file: {error}") from error
        ids, ra, dec, again, named = (
            pa.concat_arrays(arrays) for arrays in zip(*parts, strict=True)
        )
        if pc.any(pc.greater_equal(ids[:-1], ids[1:])).as_py():
            raise DataError(f"{path} is not ordered by spectrum_id: run `specvit survey` again")
        ra, dec = (np.asarray(values.fill_null(np.nan)) for values in (ra, dec))
        return cls(ids, ra, dec, np.asarray(again), named, np.concatenate(numbers))

    def own_pairs(self) -> NDArray[np.int64]:
        """Pairs of rows that the survey itself takes for one object, shape (m, 2)."""
        names = self.named.unique()
        place = pc.index_in(self.ids, value_set=names)  # null but for the rows that are named
        rows = np.flatnonzero(np.asarray(place.is_valid()))
        found = np.empty(len(names), np.int64)
        found[np.asarray(place.drop_null())] = rows
        first = found[np.asarray(pc.index_in(self.named, value_set=names))]
        return np.stack([first, self.again], axis=1)


def _texts(column: pa.Array) -> Iterator[str]:
    """The texts one by one, a piece of the column at a time."""
    for start in range(0, len(column), ROWS_A_PIECE):
        yield from column[start : start + ROWS_A_PIECE].to_pylist()


def _count_shards(deal: Deal, config: Config) -> dict[str, NDArray[np.int64]]:
    return {
        name: np.bincount(deal.shard[deal.split == code], minlength=config.split.shards.of(name))
        for code, name in enumerate(SPLITS)
    }


def _counted(config: Config, deal: Deal, tally: Counts) -> Iterator[pa.Table]:
    """The finished rows of all surveys, counted on the way."""
    for key in deal.starts:
        for table in _finished(config, key, deal):
            tally.add(key, table)
            yield table


def _finished(config: Config, key: str, deal: Deal) -> Iterator[pa.Table]:
    row = deal.starts[key]
    names = [[shard_name(s, i) for i in range(config.split.shards.of(s))] for s in SPLITS]
    offsets = np.cumsum([0, *(len(part) for part in names)])[:-1]
    shards = pa.array([name for part in names for name in part])
    splits = pa.array(SPLITS)
    with pq.ParquetFile(config.paths.survey_table(key), **VERIFIED) as file:
        for batch in file.iter_batches(ROWS_A_PIECE):
            rows = slice(row, row + len(batch))
            row += len(batch)
            numbers = offsets[deal.split[rows]] + deal.shard[rows]
            table = pa.Table.from_batches([batch]).cast(SURVEY_SCHEMA)
            place = table.schema.get_field_index("object_id")
            objects = deal.ids.take(pa.array(deal.first[rows]))
            table = table.set_column(place, SURVEY_SCHEMA.field("object_id"), objects)
            table = table.append_column("split", splits.take(pa.array(deal.split[rows])))
            yield table.append_column("shard", shards.take(pa.array(numbers))).cast(CATALOG_SCHEMA)


def _objects(deal: Deal) -> dict[str, list[int]]:
    """Objects by split: all, those with several spectra, those seen by several surveys."""
    named, places = np.unique(deal.first, return_inverse=True)
    split = deal.split[named]
    spectra = np.bincount(places)
    starts = [*deal.starts.values(), len(places)]
    surveys = np.zeros(len(named), np.int64)
    for start, end in itertools.pairwise(starts):
        surveys += np.bincount(places[start:end], minlength=len(named)) > 0
    return {
        name: np.bincount(split[mask], minlength=len(SPLITS)).tolist()
        for name, mask in (
            ("objects", spectra > 0),
            ("objects with several spectra", spectra > 1),
            ("objects in several surveys", surveys > 1),
        )
    }
