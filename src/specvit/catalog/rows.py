"""The catalogue's rows of one shard, in time and memory that do not grow with the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from specvit.errors import DataError
from specvit.io import UNREADABLE, VERIFIED

READ_BYTES = 1 << 20


def shard_rows(catalog: Path, shard: str, columns: Sequence[str]) -> pa.Table:
    """Columns of the rows of one shard, by spectrum_id. Raises DataError."""
    try:
        # In this thread, without reading ahead: both take memory by the size of the file.
        options = {"buffer_size": READ_BYTES, "pre_buffer": False, **VERIFIED}
        with pq.ParquetFile(catalog, **options) as file:
            read = list(dict.fromkeys([*columns, "shard"]))
            groups = file.read_row_groups(_may_have(file, shard), read, use_threads=False)
            rows = groups.filter(pc.equal(groups["shard"], shard)).select(columns)
    except FileNotFoundError as error:
        raise DataError(f"{catalog} does not exist: run `specvit catalog` first") from error
    except UNREADABLE as error:
        raise DataError(f"{catalog} is not a catalogue: {error}") from error
    return rows.sort_by("spectrum_id")


def _may_have(file: pq.ParquetFile, shard: str) -> list[int]:
    """Row groups that may hold rows of a shard: one, where each shard was written as a group."""
    names = file.schema_arrow.names
    if "shard" not in names:
        raise KeyError("it has no column shard")
    column, found = names.index("shard"), []
    for group in range(file.metadata.num_row_groups):
        known = file.metadata.row_group(group).column(column).statistics
        if known is None or not known.has_min_max or known.min <= shard <= known.max:
            found.append(group)
    return found
