"""A FITS binary table of any size, read in pieces: only the columns asked for, in flat memory.

Catalogues such as specObj-dr17.fits have 1.2 kB in each of 6 million rows, of which a selection
needs some 100 bytes. Rows are read into one buffer again and again (not mapped: pages of a map
count as resident memory), and the columns copied out of it.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from specvit.errors import DataError
from specvit.spectrum.fits_layout import (
    BLOCK,
    CARD,
    END_CARD,
    Cards,
    Field,
    TableLayout,
    UnusualFitsError,
    blocks,
    row_dtype,
    table_layout,
)

Columns = dict[str, NDArray[Any]]

ROWS_A_PIECE = 50_000  # some 60 MB of specObj


def open_plain(path: Path) -> BinaryIO:
    """Open a file, gzipped or not, for reading; DataError where it does not exist."""
    try:
        with path.open("rb") as handle:
            zipped = handle.read(2) == b"\x1f\x8b"
    except OSError as error:
        raise DataError(f"catalogue file {path}: {error.strerror}") from error
    return cast(BinaryIO, gzip.open(path)) if zipped else path.open("rb", buffering=0)


def _read_header(stream: BinaryIO, path: Path) -> Cards | None:
    """Read the header that starts here; None at the end of the file."""
    text = b""
    while not any(
        text[at : at + CARD] == END_CARD for at in range(len(text) - BLOCK, len(text), CARD)
    ):
        block = stream.read(BLOCK)
        if not text and not block:
            return None
        if len(block) < BLOCK or (not text and not block.startswith((b"SIMPLE", b"XTENSION"))):
            raise DataError(f"{path} is not a FITS file, or cut off in a header")
        text += block
    return Cards(text)


class FitsTable:
    """The first binary table of a FITS file, plain or gzipped.

    Parameters
    ----------
    path
        The file.
    wanted
        Upper-case names of columns that must be there. Raises DataError naming those that are not.
        Unsigned integers are read as such; scaled columns and those of a heap count as absent.
    """

    def __init__(self, path: Path, wanted: Sequence[str]) -> None:
        self.path = path
        self.wanted = tuple(dict.fromkeys(wanted))
        with open_plain(path) as stream:
            try:
                self.layout, self.rows, self._start = _first_table(stream, path)
            except UnusualFitsError as error:
                raise DataError(f"{path} has a header that cannot be read: {error}") from error
        fields = {name: self.layout.fields.get(name) for name in self.wanted}
        self._fields = {name: f for name, f in fields.items() if f is not None and f.is_array}
        missing = [name for name in self.wanted if name not in self._fields]
        if missing:
            raise DataError(f"{path} has no column {', '.join(missing)}")

    def pieces(self, rows: int = ROWS_A_PIECE) -> Iterator[Columns]:
        """Yield the wanted columns of consecutive rows: native byte order, text stripped.

        Raises DataError where the file ends before its last row.
        """
        dtype = row_dtype(self._fields.items(), self.layout.row_bytes)
        buffer = bytearray(min(rows, self.rows) * self.layout.row_bytes)
        with open_plain(self.path) as stream:
            _skip(stream, self._start)
            for first in range(0, self.rows, rows):
                count = min(rows, self.rows - first)
                view = memoryview(buffer)[: count * self.layout.row_bytes]
                read = _fill(stream, view, self.path)
                if read < len(view):
                    whole = first + read // self.layout.row_bytes
                    raise DataError(
                        f"{self.path} is cut off: {whole} of {self.rows} rows; "
                        "remove it and start again to fetch it anew"
                    )
                table = np.frombuffer(view, dtype)
                yield {name: _values(table[name], field) for name, field in self._fields.items()}


def _first_table(stream: BinaryIO, path: Path) -> tuple[TableLayout, int, int]:
    """Layout, number of rows, and where they start."""
    start = 0
    while (header := _read_header(stream, path)) is not None:
        start += len(header.text)
        if header.value("XTENSION") == "BINTABLE" and header.whole("NAXIS1"):
            return table_layout(header.text), header.whole("NAXIS2"), start
        data = blocks(header.data_bytes())
        _skip(stream, data)
        start += data
    raise DataError(f"{path} has no binary table")


def _skip(stream: BinaryIO, count: int) -> None:
    stream.seek(count, io.SEEK_CUR)


def _fill(stream: BinaryIO, view: memoryview, path: Path) -> int:
    done = 0
    try:
        while done < len(view):
            read = stream.readinto(view[done:])  # type: ignore[attr-defined]
            if not read:
                break
            done += read
    except (EOFError, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is a broken gzip file: {error}") from error
    return done


def _values(column: NDArray[Any], field: Field) -> NDArray[Any]:
    """Copy a column out of the buffer, since the next piece overwrites it."""
    if column.dtype.kind == "S":
        return np.strings.strip(column)
    native = column.astype(column.dtype.newbyteorder("="))
    if not field.unsigned:
        return native
    # Stored with the middle of its range at 0: exact in integers, where floats would round.
    unsigned = native.view(native.dtype.str.replace("i", "u"))
    top = unsigned.dtype.type(1 << (8 * unsigned.dtype.itemsize - 1))
    values: NDArray[Any] = unsigned ^ top
    return values
