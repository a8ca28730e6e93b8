"""`<shard>.index.parquet`: where each sample of a shard lies in its tar, and its catalogue row.

Written with the tar, in its order, so that whoever needs single samples, or labels alone, need not
go through the tar. The sample of a row is called by its `spectrum_id`.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.dataset as ds

from specvit.catalog.schema import CATALOG_SCHEMA
from specvit.config.data import Split
from specvit.errors import DataError
from specvit.io import UNREADABLE, VERIFIED, read_json, sha256_file, write_parquet
from specvit.plan import KEY, Plan, one_plan

KINDS = ("png", "npy", "json")
"""The members of a sample, in their order in the tar."""
PARTS = (("offset", pa.int64()), ("size", pa.int64()), ("crc32", pa.uint32()))
INDEX_SCHEMA = pa.schema(
    [
        # First byte of each member's content in the tar, bytes of it, and their checksum.
        *((f"{kind}_{part}", type_) for kind in KINDS for part, type_ in PARTS),
        ("flux_scale", pa.float64()),  # times the flux array: flux
        *CATALOG_SCHEMA,
    ]
)


SUMMARY = "shards.json"
"""Beside the shards: what each of them holds."""
_LISTED = {"bytes": "bytes", "spectra": "spectra", "index_sha256": "as the index's hash"}


def index_path(tar: Path) -> Path:
    """Where the index of a shard lies: beside it."""
    return tar.with_suffix(".index.parquet")


def place_columns(kind: str) -> tuple[str, ...]:
    """Columns that say where one kind of member lies, and its checksum."""
    return tuple(f"{kind}_{part}" for part, _ in PARTS)


@dataclass
class IndexWriter:
    """Collects the rows of one shard's index while its tar is written."""

    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, row: dict[str, Any], members: Mapping[str, tuple[int, bytes]]) -> None:
        """Append a sample: its json's values, and first byte and content of each member."""
        where = {
            column: value
            for kind, (offset, data) in members.items()
            for column, value in zip(
                place_columns(kind), (offset, len(data), zlib.crc32(data)), strict=True
            )
        }
        self.rows.append({**where, **row})

    def write(self, tar: Path, size: int, render: str, plan: Plan) -> None:
        """Write the index of a tar of this size whose pictures have this render hash."""
        table = pa.Table.from_pylist(self.rows, schema=INDEX_SCHEMA)
        about = {"tar_bytes": str(size), "render": render, **plan.metadata}
        write_parquet(index_path(tar), table, about)


@dataclass(frozen=True)
class Index:
    """Samples of some shards, in the order of shards and of samples in them."""

    tars: tuple[Path, ...]
    sizes: npt.NDArray[np.int64]
    """Samples of each shard, (shards,)."""
    tar_bytes: tuple[int, ...]
    """Size of each shard's tar."""
    renders: tuple[str, ...]
    """Render hash of each shard's pictures."""
    plan: Plan
    """The plan that all shards are of."""
    table: pa.Table
    """One row a sample, with the columns asked for."""

    def check(self, dealt: Split, render: str) -> Plan:
        """The shards' plan; DataError where it, or their plots, are of other settings than these.

        `render` is the hash of the plots that are needed. Raises DataError, too, where the shards
        are not those that `shards.json` lists.
        """
        self.plan.check_settings(dealt, index_path(self.tars[0]))
        self.check_plots(render)
        self.check_listed()
        return self.plan

    def check_listed(self) -> None:
        """Raise DataError where a shard has not the sizes and samples that `shards.json` gives.

        A tar and an index that were cut to the same half agree with each other. Indexes are read
        for their hash, too: pages have checksums, but what stands between them has none.
        """
        summary = self.tars[0].parent / SUMMARY
        try:
            listed = {shard["shard"]: shard for shard in read_json(summary)["shards"]}
            recorded = [[listed[t.stem][key] for key in _LISTED] for t in self.tars]
        except (KeyError, TypeError) as error:
            raise DataError(f"{summary} does not list every shard whole: {error}") from error
        for tar, wanted, samples in zip(self.tars, recorded, self.sizes, strict=True):
            found = (_size(tar), int(samples), sha256_file(index_path(tar)))
            for what, a, b in zip(_LISTED.values(), found, wanted, strict=True):
                if a != b:
                    raise DataError(
                        f"{tar} or its index was cut off or changed: {a} {what} where {summary} "
                        f"says {b}; make the shard again with specvit shards"
                    )

    def check_plots(self, render: str) -> None:
        """Raise DataError where a shard has other plots than those of this render hash."""
        for tar, found in zip(self.tars, self.renders, strict=True):
            if found != render:
                raise DataError(
                    f"{tar} has other plots ({found}) than are needed ({render}): make the shards "
                    "again"
                )

    def contents(self, kind: str, rows: Iterable[int] | None = None) -> Iterator[bytes]:
        """Read one kind of member of all samples, or of some rows of the table.

        The table must have `place_columns(kind)`. Raises DataError where a tar is missing or is not
        the one that was indexed, and for a member that has not its checksum.
        """
        offsets, sizes, sums = (self.table[name].to_numpy() for name in place_columns(kind))
        ends = np.cumsum(self.sizes)
        shard, descriptor = -1, -1
        try:
            for row in range(len(self.table)) if rows is None else rows:
                if (wanted := int(np.searchsorted(ends, row, side="right"))) != shard:
                    if descriptor >= 0:
                        os.close(descriptor)
                    descriptor = -1  # also where the next one cannot be opened
                    descriptor = open_tar(self.tars[wanted], self.tar_bytes[wanted])
                    shard = wanted
                data = os.pread(descriptor, int(sizes[row]), int(offsets[row]))
                if zlib.crc32(data) != sums[row]:
                    raise DataError(
                        f"shard {self.tars[shard]}: the {kind} at byte {offsets[row]} has not the "
                        "checksum of its index: it was changed; make the shard again with specvit "
                        "shards"
                    )
                yield data
        finally:
            if descriptor >= 0:
                os.close(descriptor)


def read_index(tars: Sequence[Path], columns: Iterable[str]) -> Index:
    """Read some columns of the indexes of these shards.

    Raises DataError where one is missing or is no index.
    """
    tars = tuple(tars)
    if not tars:
        raise DataError("there are no shards to read")
    paths = [str(index_path(tar)) for tar in tars]
    sizes, about = [], []
    try:
        verified = ds.ParquetFragmentScanOptions(**VERIFIED)
        form = ds.ParquetFileFormat(default_fragment_scan_options=verified)
        files = ds.dataset(paths, schema=INDEX_SCHEMA, format=form)
        for fragment in files.get_fragments():
            fragment.ensure_complete_metadata()
            metadata = fragment.metadata
            # Of an older version's index, what is missing would be read as null.
            fragment.physical_schema.field("npy_crc32")
            sizes.append(metadata.num_rows)
            about.append(metadata.metadata)
        table = files.to_table(columns=list(columns))
        tar_bytes = tuple(int(values[b"tar_bytes"]) for values in about)
        _check_places(tars, table, np.repeat(tar_bytes, sizes))
        return Index(
            tars=tars,
            sizes=np.array(sizes, dtype=np.int64),
            tar_bytes=tar_bytes,
            renders=tuple(values[b"render"].decode() for values in about),
            plan=_plan_of(tars, about),
            table=table,
        )
    except FileNotFoundError as error:
        missing = next(path for path in paths if not Path(path).exists())
        raise DataError(f"{missing} does not exist: make it with specvit shards") from error
    except UNREADABLE as error:
        raise DataError(
            f"the indexes of {len(tars)} shards in {tars[0].parent} cannot be read, make the "
            f"shards again: {error}"
        ) from error


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist: make it with specvit shards") from error


def _check_places(tars: Sequence[Path], table: pa.Table, tar_bytes: npt.NDArray[np.int64]) -> None:
    """Raise DataError where a member lies outside its tar; `tar_bytes` has one value a sample."""
    for kind in KINDS:
        names = [f"{kind}_{part}" for part in ("offset", "size")]
        if not set(names) <= set(table.column_names):
            continue
        offset, size = (np.asarray(table[name].fill_null(-1)) for name in names)
        inside = (offset >= 0) & (size > 0) & (offset <= tar_bytes) & (size <= tar_bytes - offset)
        if not inside.all():
            row = int(np.argmin(inside))
            raise DataError(
                f"an index in {tars[0].parent} says that a {kind} of {size[row]} bytes begins at "
                f"byte {offset[row]} of a tar of {tar_bytes[row]}: make the shards again"
            )


def _plan_of(tars: Sequence[Path], about: Sequence[dict[bytes, bytes]]) -> Plan:
    # Most often all have one, so that it is read once.
    texts = [values.get(KEY.encode(), b"null") for values in about]
    paths = {text: index_path(tar) for text, tar in zip(texts, tars, strict=True)}
    return one_plan((path, Plan.of(json.loads(text), path)) for text, path in paths.items())


def open_tar(tar: Path, size: int) -> int:
    """A descriptor of a tar. Raises DataError where it is missing or has not this size."""
    try:
        descriptor = os.open(tar, os.O_RDONLY)
    except FileNotFoundError as error:
        raise DataError(f"shard {tar} does not exist: make it with specvit shards") from error
    found = os.fstat(descriptor).st_size
    if found != size:
        os.close(descriptor)
        raise DataError(
            f"shard {tar} has {found} bytes where its index says {size}: it was cut off or "
            "changed; make it again with specvit shards"
        )
    return descriptor
