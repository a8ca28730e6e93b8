"""Rows of one shard beside one another, whatever order they come in, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from specvit.errors import machine_says
from specvit.io import scratch_folder

BUCKET_ROWS = 500_000  # of one file of a first coarse sort, and so in memory at a time


def by_shard(
    tables: Iterable[pa.Table], sizes: Sequence[int], names: Sequence[str], scratch: Path
) -> Iterator[pa.Table]:
    """One table for each shard, in the order of `names`, its rows by spectrum_id.

    `tables` are pieces with a column `shard`; `sizes` are the rows of each shard. A job then reads
    its shard's rows alone. Two passes: into files of some shards each below `scratch`, and from
    these.
    """
    starts = np.cumsum([0, *sizes])
    bucket_of = starts[:-1] // BUCKET_ROWS
    buckets, shards = np.unique(bucket_of), pa.array(names)
    with scratch_folder(scratch / "catalog") as folder:
        paths = {bucket: folder / f"{bucket}.parquet" for bucket in buckets}
        with ExitStack() as stack:
            writers: dict[int, pq.ParquetWriter] = {}
            for table in tables:
                mine = bucket_of[np.asarray(pc.index_in(table["shard"], shards))]
                for bucket in np.unique(mine):
                    if bucket not in writers:
                        writer = pq.ParquetWriter(paths[bucket], table.schema, compression="lz4")
                        writers[bucket] = stack.enter_context(writer)
                    with machine_says(paths[bucket]):
                        writers[bucket].write_table(table.filter(pa.array(mine == bucket)))
        for bucket in buckets:
            table = pq.read_table(paths[bucket])
            place = pc.index_in(table["shard"], shards)
            order = table.append_column("place", place).sort_by(
                [("place", "ascending"), ("spectrum_id", "ascending")]
            )
            sorted_rows, first = order.drop_columns("place"), 0
            for shard in np.flatnonzero(bucket_of == bucket).tolist():
                yield sorted_rows.slice(first, sizes[shard])
                first += sizes[shard]
