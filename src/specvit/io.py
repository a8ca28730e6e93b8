"""Files that are whole or absent: written beside their final name, synced and renamed."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote, unquote_to_bytes

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from specvit.errors import DataError, LockedError, MachineError, machine_says, on_one_line

# What pyarrow and what is made of its columns raise for a damaged file, after FileNotFoundError.
UNREADABLE = (pa.ArrowException, OSError, ValueError, KeyError, TypeError, MemoryError)
FORMULA = ("=", "+", "-", "@", "\t", "\r")

if TYPE_CHECKING:  # a second to import, and jobs by the hundred never need it
    import pandas as pd


PARQUET: dict[str, Any] = {"compression": "zstd", "write_page_checksum": True}
"""How parquet files are written: who reads them with VERIFIED is told of a changed byte."""
VERIFIED: dict[str, Any] = {"page_checksum_verification": True}


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it there if the block succeeds.

    The temporary file is removed on any exception, so a reader sees the old file, the new file or
    none, never a part. Raises MachineError when the disk is full or not writable.
    """
    with machine_says(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
        # Two writers of one name are kept apart; the last rename wins, both are whole.
        temporary = _temporary(path)
        try:
            yield temporary
            with temporary.open("rb+") as handle:
                os.fsync(handle.fileno())
            temporary.replace(path)
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`, empty; rename it there if the block succeeds.

    `path` is new or an empty folder. Raises LockedError while another process of this host makes
    it, MachineError when it cannot be made: the disk is full, or something else is there by then.
    """
    path = path.resolve()  # a link cannot be replaced
    if path.is_mount() or path == Path.cwd():
        raise MachineError(f"{path} cannot be replaced by another: name a folder in it")
    with machine_says(path), scratch_folder(path) as temporary:
        for other, process in _others(path):
            if other != temporary:
                raise LockedError(
                    f"{path} is being made by process {process}: wait for it, or stop it and "
                    f"remove {other}"
                )
        yield temporary
        temporary.replace(path)


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path` for what is on its way there; removed at the end.

    Those that killed processes of this host left are removed first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path)
    temporary = _temporary(path)
    # Left by an earlier process of this number: containers number theirs alike.
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _temporary(path: Path) -> Path:
    """Where this process writes what will be `path`."""
    return path.with_name(f".{path.name}.{socket.gethostname()}-{os.getpid()}.tmp")


def _others(path: Path) -> Iterator[tuple[Path, int]]:
    """What processes of this host write, or have left, that was to be `path`; and which each is."""
    prefix, ending = f".{path.name}.{socket.gethostname()}-", ".tmp"
    for name in os.listdir(path.parent):  # noqa: PTH208 (names only: folders may be large)
        process = name[len(prefix) : -len(ending)]
        if name.startswith(prefix) and name.endswith(ending) and process.isdigit():
            yield path.parent / name, int(process)


def _remove_abandoned(path: Path) -> None:
    """Remove what writers of this name left that were killed with -9 on this host."""
    for left, process in _others(path):
        if psutil.pid_exists(process):
            continue
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


@contextmanager
def atomic_open(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a file for writing that appears under its name only when the block succeeds."""
    encoding = None if "b" in mode else "utf-8"
    with atomic_path(path) as temporary, temporary.open(mode, encoding=encoding) as handle:
        yield handle


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_open(path, "w") as handle:
        handle.write(text)


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """CSV text; None is an empty field."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([harmless(cell) for cell in row] for row in (header, *rows))
    return text.getvalue()


def harmless(cell: Any) -> Any:
    """The cell, with a quote before text that spreadsheets would run as a formula.

    File names and labels come from outside, and a table is opened by whoever gets it.
    """
    if not isinstance(cell, str) or not cell.startswith(FORMULA):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, keys sorted so that equal values give equal bytes."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON; DataError where the file is missing or broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not valid JSON: {on_one_line(error)}") from error


def write_parquet(
    path: Path, table: pa.Table | pd.DataFrame, metadata: Mapping[str, str] | None = None
) -> None:
    """Write a parquet file atomically; the same table and metadata give the same bytes."""
    if not isinstance(table, pa.Table):
        table = pa.Table.from_pandas(table, preserve_index=False)
    # pandas' own metadata holds library versions: dropped, so that bytes depend on content alone.
    table = table.replace_schema_metadata(metadata)
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, **PARQUET)


def read_parquet(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read a parquet file; DataError where it is missing or broken."""
    import pandas as pd

    try:
        return pd.read_parquet(path, columns=columns, **VERIFIED)
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist") from error
    except UNREADABLE as error:
        raise DataError(f"{path} is not a readable parquet file: {on_one_line(error)}") from error


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def stable_hash(value: Any) -> str:
    """12 hex digits that depend on the value alone, not on key order or the Python process."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def as_text(path: str) -> str:
    """A path as text that any file can hold.

    Linux names are bytes. Those that are not UTF-8 are written with percent signs, as in a URL.
    """
    try:
        path.encode()
    except UnicodeEncodeError:
        return quote(os.fsencode(path), safe="/ ")
    return path


def from_text(text: str, root: Path) -> Path:
    """The path below `root` that `as_text` wrote."""
    path = root / text
    if "%" in text and not path.exists():
        path = root / os.fsdecode(unquote_to_bytes(text))
    return path
