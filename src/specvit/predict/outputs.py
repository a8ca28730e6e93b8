"""Rows of spectra as CSV, parquet or JSON, written as they come: memory does not grow."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from specvit.errors import ConfigError
from specvit.io import PARQUET, atomic_open, atomic_path, harmless

GROUP_ROWS = 16_384
"""Rows of a parquet file's groups: some MB in memory."""


class Sink(Protocol):
    """What takes rows."""

    def add(self, frame: pd.DataFrame) -> None:
        """Write these rows behind the others."""


class CsvSink:
    """CSV with a header; numbers in nine significant digits, nothing where there is none."""

    def __init__(self, handle: IO[str], schema: pa.Schema) -> None:
        self._writer = csv.writer(handle, lineterminator="\n")
        self._writer.writerow(schema.names)

    def add(self, frame: pd.DataFrame) -> None:
        """See Sink."""
        for row in frame.itertuples(index=False):
            self._writer.writerow([_cell(value) for value in row])


class JsonSink:
    """A JSON array of objects, one a line."""

    def __init__(self, handle: IO[str], schema: pa.Schema) -> None:
        self._handle, self._names = handle, schema.names
        self._before = "[\n"

    def add(self, frame: pd.DataFrame) -> None:
        """See Sink."""
        for row in frame.itertuples(index=False):
            values = dict(zip(self._names, map(_plain, row), strict=True))
            self._handle.write(self._before + json.dumps(values, allow_nan=False))
            self._before = ",\n"

    def close(self) -> None:
        """End the array."""
        self._handle.write("\n]\n" if self._before != "[\n" else "[]\n")


class ParquetSink:
    """Parquet in groups of rows."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._schema, self._waiting, self._rows = schema, [schema.empty_table()], 0
        self._writer = pq.ParquetWriter(path, schema, **PARQUET)

    def add(self, frame: pd.DataFrame) -> None:
        """See Sink."""
        self._waiting.append(pa.Table.from_pandas(frame, self._schema, preserve_index=False))
        self._rows += len(frame)
        if self._rows >= GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        """Write what is left and end the file."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        joined = pa.concat_tables(self._waiting).replace_schema_metadata(None)
        self._writer.write_table(joined)
        self._waiting, self._rows = [self._schema.empty_table()], 0


KINDS = (".csv", ".parquet", ".json")


def check_output(path: Path) -> None:
    """Raise ConfigError for a file whose ending says no format."""
    if path.suffix.lower() not in KINDS:
        raise ConfigError(f"--output {path}: the ending must be one of {', '.join(KINDS)}")


@contextmanager
def opened(path: Path, schema: pa.Schema) -> Iterator[Sink]:
    """What writes rows to a file of the format that its ending says; whole or absent."""
    check_output(path)
    with ExitStack() as stack:
        if path.suffix.lower() == ".parquet":
            temporary = stack.enter_context(atomic_path(path))
            parquet = ParquetSink(temporary, schema)
            yield parquet
            parquet.close()
            return
        handle = stack.enter_context(atomic_open(path, "w"))
        if path.suffix.lower() == ".csv":
            yield CsvSink(handle, schema)
            return
        array = JsonSink(handle, schema)
        yield array
        array.close()


def _plain(value: Any) -> Any:
    """What JSON can say: None in place of nan."""
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value


def _cell(value: Any) -> Any:
    value = _plain(value)
    return f"{value:.9g}" if isinstance(value, float) else harmless(value)
