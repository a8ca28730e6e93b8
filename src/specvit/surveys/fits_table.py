"""A FITS binary table of any size, read in pieces: only the columns asked for, in flat memory.

Catalogues such as specObj-dr17.fits have 1.2 kB in each of 6 million rows, of which a selection
needs some 100 bytes. Rows are read into one buffer again and again (not mapped: pages of a map
count as resident memory), and the columns copied out of it.
"""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from specvit.errors import DataError

Columns = dict[str, NDArray[Any]]

BLOCK = 2880
ROWS_A_PIECE = 50_000  # some 60 MB of specObj
END_CARD = b"END".ljust(80)
# TFORM code -> numpy type and bytes of one element (FITS 4.0, table 18); X counts bits.
FORMATS = {
    "L": ("S", 1),
    "B": ("u1", 1),
    "I": (">i2", 2),
    "J": (">i4", 4),
    "K": (">i8", 8),
    "A": ("S", 1),
    "E": (">f4", 4),
    "D": (">f8", 8),
    "C": (">c8", 8),
    "M": (">c16", 16),
    "P": ("V", 8),
    "Q": ("V", 16),
}
_TFORM = re.compile(r"\s*(\d*)([LXBIJKAEDCMPQ])")


@dataclass(frozen=True)
class TableLayout:
    """Rows of a table and where each column lies in them."""

    rows: int
    row_bytes: int
    fields: dict[str, tuple[str, int]]
    """Upper-case name -> (numpy type, offset in the row)."""

    def dtype(self, names: Sequence[str]) -> np.dtype[Any]:
        """A row of which only these columns can be seen."""
        formats, offsets = zip(*(self.fields[name] for name in names), strict=True)
        return np.dtype(
            {
                "names": list(names),
                "formats": list(formats),
                "offsets": list(offsets),
                "itemsize": self.row_bytes,
            }
        )


def open_plain(path: Path) -> BinaryIO:
    """Open a file, gzipped or not, for reading; DataError where it does not exist."""
    try:
        with path.open("rb") as handle:
            zipped = handle.read(2) == b"\x1f\x8b"
    except OSError as error:
        raise DataError(f"catalogue file {path}: {error.strerror}") from error
    return cast(BinaryIO, gzip.open(path)) if zipped else path.open("rb", buffering=0)


def read_header(stream: BinaryIO, path: Path) -> tuple[fits.Header, int] | None:
    """Read the header that starts here, and its size in the file; None at the end of the file."""
    text = b""
    while not any(text[at : at + 80] == END_CARD for at in range(len(text) - BLOCK, len(text), 80)):
        block = stream.read(BLOCK)
        if not text and not block:
            return None
        if len(block) < BLOCK or (not text and not block.startswith((b"SIMPLE", b"XTENSION"))):
            raise DataError(f"{path} is not a FITS file, or cut off in a header")
        text += block
    return fits.Header.fromstring(text), len(text)


def table_layout(header: fits.Header, path: Path) -> TableLayout:
    """Where the columns lie. Scaled columns and those of a heap are left out."""
    fields: dict[str, tuple[str, int]] = {}
    offset = 0
    for number in range(1, int(header["TFIELDS"]) + 1):
        match = _TFORM.match(str(header[f"TFORM{number}"]))
        if match is None:
            raise DataError(f"{path}: column {number} has no known TFORM")
        repeat, code = int(match[1] or 1), match[2]
        size = -(-repeat // 8) if code == "X" else repeat * FORMATS[code][1]
        scaled = header.get(f"TSCAL{number}", 1) != 1 or header.get(f"TZERO{number}", 0) != 0
        if repeat and code not in "XPQ" and not scaled:
            kind = FORMATS[code][0]
            text = f"S{size}" if kind == "S" else f"({repeat},){kind}" if repeat > 1 else kind
            fields[str(header.get(f"TTYPE{number}", number)).strip().upper()] = (text, offset)
        offset += size
    if offset != int(header["NAXIS1"]):
        raise DataError(f"{path}: columns add up to {offset} bytes, NAXIS1 = {header['NAXIS1']}")
    return TableLayout(int(header["NAXIS2"]), offset, fields)


class FitsTable:
    """The first binary table of a FITS file, plain or gzipped.

    Parameters
    ----------
    path
        The file.
    wanted
        Upper-case names of columns that must be there. Raises DataError naming those that are not.
    """

    def __init__(self, path: Path, wanted: Sequence[str]) -> None:
        self.path = path
        self.wanted = tuple(dict.fromkeys(wanted))
        with open_plain(path) as stream:
            self.layout, self._start = _first_table(stream, path)
        missing = [name for name in self.wanted if name not in self.layout.fields]
        if missing:
            raise DataError(f"{path} has no column {', '.join(missing)}")

    def pieces(self, rows: int = ROWS_A_PIECE) -> Iterator[Columns]:
        """Yield the wanted columns of consecutive rows: native byte order, text stripped.

        Raises DataError where the file ends before its last row.
        """
        dtype = self.layout.dtype(self.wanted)
        buffer = bytearray(min(rows, self.layout.rows) * self.layout.row_bytes)
        with open_plain(self.path) as stream:
            _skip(stream, self._start)
            for first in range(0, self.layout.rows, rows):
                count = min(rows, self.layout.rows - first)
                view = memoryview(buffer)[: count * self.layout.row_bytes]
                read = _fill(stream, view, self.path)
                if read < len(view):
                    whole = first + read // self.layout.row_bytes
                    raise DataError(
                        f"{self.path} is cut off: {whole} of {self.layout.rows} rows; "
                        "remove it and start again to fetch it anew"
                    )
                table = np.frombuffer(view, dtype)
                yield {name: _native(table[name]) for name in self.wanted}


def _first_table(stream: BinaryIO, path: Path) -> tuple[TableLayout, int]:
    start = 0
    while (found := read_header(stream, path)) is not None:
        header, size = found
        start += size
        if header.get("XTENSION", "").strip() == "BINTABLE" and header["NAXIS1"]:
            return table_layout(header, path), start
        data = -(-header_data_bytes(header) // BLOCK) * BLOCK
        _skip(stream, data)
        start += data
    raise DataError(f"{path} has no binary table")


def header_data_bytes(header: fits.Header) -> int:
    """Size of the data behind a header, without padding (FITS 4.0, section 4.4.1)."""
    axes = [int(header[f"NAXIS{axis}"]) for axis in range(1, int(header["NAXIS"]) + 1)]
    size = int(np.prod(axes)) if axes else 0
    groups, heap = int(header.get("GCOUNT", 1)), int(header.get("PCOUNT", 0))
    return abs(int(header["BITPIX"])) // 8 * groups * (heap + size)


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


def _native(column: NDArray[Any]) -> NDArray[Any]:
    """Copy a column out of the buffer, since the next piece overwrites it."""
    if column.dtype.kind == "S":
        return np.strings.strip(column)
    return column.astype(column.dtype.newbyteorder("="))
