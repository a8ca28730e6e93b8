"""What a shard of plots is made from: catalogue rows, the ledger, and the downloaded bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from specvit.catalog.rows import shard_rows
from specvit.catalog.schema import CATALOG_SCHEMA
from specvit.config.data import Split
from specvit.errors import DataError
from specvit.io import UNREADABLE, VERIFIED
from specvit.paths import RunPaths
from specvit.plan import Plan
from specvit.tar import read_members

BATCH = 512  # rows turned into Python objects at a time


@dataclass(frozen=True)
class Input:
    """One catalogue row with its file's bytes, or the reason why there are none."""

    row: dict[str, Any]
    data: bytes | None
    reason: str | None


@dataclass(frozen=True)
class ShardInputs:
    """The rows of one shard, ordered by spectrum_id; iterate for one `Input` a row."""

    tar: Path
    rows: pa.Table
    ledger: pa.Table
    plan: Plan

    @classmethod
    def of(cls, paths: RunPaths, shard: str, dealt: Split) -> ShardInputs:
        """Find a shard's inputs.

        Raises DataError where catalogue and ledger have different rows, or where they are not both
        of a plan with these settings.
        """
        plan = Plan.of_parquet(paths.catalog)
        plan.check_settings(dealt, paths.catalog)
        ledger_plan = Plan.of_parquet(paths.ledger(shard))
        ledger_plan.check_same(paths.ledger(shard), plan, paths.catalog)
        rows = shard_rows(paths.catalog, shard, CATALOG_SCHEMA.names)
        ledger = _read(paths.ledger(shard), ["spectrum_id", "status", "reason", "sha256"])
        if rows["spectrum_id"].to_pylist() != ledger["spectrum_id"].to_pylist():
            raise DataError(
                f"{paths.ledger(shard)} has other spectra than the catalogue has in {shard} "
                f"({len(ledger)} and {len(rows)}): run specvit download again"
            )
        return cls(paths.spectra(shard), rows, ledger, plan)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Input]:
        members = read_members(self.tar)
        for row, entry in zip(_objects(self.rows), _objects(self.ledger), strict=True):
            if entry["status"] != "ok":
                reason = entry["reason"] or "no reason given"
                yield Input(row, None, f"download {entry['status']}: {reason}")
                continue
            name, data = next(members, ("nothing", b""))
            if name.partition(".")[0] != row["spectrum_id"]:
                raise DataError(
                    f"{self.tar} has {name} where its ledger has {row['spectrum_id']}: "
                    "run specvit download again"
                )
            if hashlib.sha256(data).hexdigest() != entry["sha256"]:
                raise DataError(
                    f"{self.tar}: {name} has not the bytes that its ledger says: they were changed "
                    "or are another spectrum's; run specvit download again"
                )
            yield Input(row, data, None)
        extra = next(members, None)
        if extra is not None:
            raise DataError(f"{self.tar} has {extra[0]}, which its ledger does not name as ok")


def _objects(table: pa.Table) -> Iterator[dict[str, Any]]:
    for batch in table.to_batches(max_chunksize=BATCH):
        yield from batch.to_pylist()


def _read(path: Path, columns: list[str]) -> pa.Table:
    try:
        table = pq.read_table(path, columns=columns, **VERIFIED)
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist") from error
    except UNREADABLE as error:
        raise DataError(f"{path} is not what it should be: {error}") from error
    return table.take(pc.sort_indices(table["spectrum_id"]))
