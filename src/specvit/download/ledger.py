"""What is asked for and what became of it: rows of a shard, outcomes, and the ledger's table."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa

Status = Literal["ok", "missing", "corrupt", "failed"]
BATCH_ROWS = 1000
STATUSES: tuple[Status, ...] = ("ok", "missing", "corrupt", "failed")

LEDGER_SCHEMA = pa.schema(
    [
        ("spectrum_id", pa.string()),
        ("url", pa.string()),  # never with a token
        ("status", pa.string()),
        ("reason", pa.string()),  # null where ok
        ("bytes", pa.int64()),  # as received: compressed where the survey compresses; 0 if not ok
        ("sha256", pa.string()),  # of those bytes; null where not ok
        ("attempts", pa.int32()),  # requests sent or files opened for this row
    ]
)


@dataclass(frozen=True)
class Wanted:
    """A spectrum to fetch: the catalogue's columns that say what and where."""

    spectrum_id: str
    survey: str
    release: str
    path: str
    identity: str | None
    source: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger."""

    spectrum_id: str
    url: str
    status: Status
    reason: str | None
    bytes: int
    sha256: str | None
    attempts: int

    def as_dict(self) -> dict[str, Any]:
        """The columns by name."""
        return {name: getattr(self, name) for name in LEDGER_SCHEMA.names}


@dataclass(frozen=True)
class Fetched:
    """What a transport brings back for a row: the bytes, or why there are none."""

    url: str
    status: Status
    attempts: int
    data: bytes = field(default=b"", repr=False)
    reason: str | None = None


class NotThereError(Exception):
    """The source says that it has no such spectrum; the message is the reason."""


class CorruptError(Exception):
    """Bytes arrived, but not those of this spectrum; the message is the reason."""


class RefusedError(Exception):
    """The source will not or cannot deliver, and asking again is pointless; with the reason."""


def ledger_table(entries: Iterable[Entry]) -> pa.Table:
    """The ledger as a table, in the order of the entries."""
    batches = []
    left = iter(entries)
    # A few at a time: as Python objects, the entries of a big shard would fill the memory.
    while some := list(itertools.islice(left, BATCH_ROWS)):
        columns = [
            pa.array([getattr(entry, field.name) for entry in some], field.type)
            for field in LEDGER_SCHEMA
        ]
        batches.append(pa.RecordBatch.from_arrays(columns, schema=LEDGER_SCHEMA))
    return pa.Table.from_batches(batches, schema=LEDGER_SCHEMA)
