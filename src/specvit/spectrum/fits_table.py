"""A FITS binary table of any size, read in pieces: only the columns asked for, in flat memory.

Catalogues such as specObj-dr17.fits have 1.2 kB in each of 6 million rows, of which a selection
needs some 100 bytes. Rows are read into one buffer again and again (not mapped: pages of a map
count as resident memory), and the columns copied out of it.
"""

from __future__ import annotations

import gzip
import io
import itertools
import stat
import zlib
from collections.abc import Iterator, Mapping, Sequence
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
    check_header,
    row_dtype,
    table_layout,
)

Columns = dict[str, NDArray[Any]]

ROWS_A_PIECE = 50_000  # some 60 MB of specObj
MOST_PIECE = 128 * 2**20
MOST_ROW = 16 * 2**20  # specObj's have 1.2 kB
MOST_HEADER = 4 * 2**20  # of 999 columns with 50 cards each
COPIED = 2**20
# What a gzipped catalogue may unpack to: real ones to some 5 times their size, a bomb to 1000.
FREE_BYTES, MOST_RATIO = 128 * 2**20, 100
ANEW = "if it was fetched, remove it and start again to fetch it anew"


class _Unpacked(io.RawIOBase):
    """A gzipped catalogue as it was before; DataError where it is broken or no catalogue."""

    def __init__(self, path: Path) -> None:
        self._path, self._packed = path, path.open("rb")
        self._plain = gzip.GzipFile(fileobj=self._packed)

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, view: Any) -> int:
        """Fill `view` as far as there is something left."""
        try:
            count = self._plain.readinto(view)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(f"{self._path} is a broken gzip file ({error}); {ANEW}") from error
        if self._plain.tell() > FREE_BYTES + MOST_RATIO * self._packed.tell():
            raise DataError(
                f"{self._path} unpacks to more than {MOST_RATIO} times its size, which no "
                "catalogue does"
            )
        return count

    def close(self) -> None:
        """Close the file."""
        self._packed.close()
        super().close()


def open_plain(path: Path) -> BinaryIO:
    """Open a file, gzipped or not, for reading.

    Raises DataError where it does not exist or is no file (a pipe or device would never end); also
    while a gzipped one is read.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise DataError(f"catalogue file {path} is not a regular file")
        with path.open("rb") as handle:
            zipped = handle.read(2) == b"\x1f\x8b"
    except OSError as error:
        raise DataError(f"catalogue file {path}: {error.strerror}") from error
    if zipped:
        return cast(BinaryIO, io.BufferedReader(_Unpacked(path), COPIED))
    return path.open("rb", buffering=0)


def next_header(stream: BinaryIO, path: Path) -> tuple[Cards, int] | None:
    """Read the header that starts here, and its bytes with padding; None at the end of the file."""
    text = bytearray()
    while len(text) < MOST_HEADER:
        block = stream.read(BLOCK)
        if not text and not block:
            return None
        if len(block) < BLOCK or (not text and not block.startswith((b"SIMPLE", b"XTENSION"))):
            raise DataError(f"{path} is not a FITS file, or cut off in a header")
        text += block
        for at in range(len(text) - BLOCK, len(text), CARD):
            if text[at : at + CARD] == END_CARD:
                header = bytes(text[: at + CARD])
                check_header(header)
                return Cards(header), len(text)
    raise DataError(f"{path} has a header without an end")


def extents(path: Path, most: int | None = None) -> Iterator[tuple[Cards, int]]:
    """Header of each HDU (of the first `most`) and the byte behind its data, there or not.

    Ends where the file does. Raises DataError or UnusualFitsError where it is broken.
    """
    with path.open("rb") as stream:
        for _ in itertools.count() if most is None else range(most):
            found = next_header(stream, path)
            if found is None:
                return
            cards, _ = found
            data = cards.data_bytes()
            yield cards, stream.tell() + data
            _skip(stream, blocks(data))


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

    def check_codes(self, allowed: Mapping[str, str]) -> None:
        """Raise DataError where a column's TFORM has another letter, or holds several values."""
        for name, field in self._fields.items():
            letters = allowed.get(name, field.code)
            if field.code not in letters or field.repeat != 1:
                raise DataError(
                    f"{self.path}: column {name} has TFORM {field.repeat}{field.code}, not one "
                    f"value of {' or '.join(letters)}"
                )

    def pieces(self, rows: int = ROWS_A_PIECE) -> Iterator[Columns]:
        """Yield the wanted columns of consecutive rows: native byte order, text stripped.

        Raises DataError where the file ends before its last row.
        """
        if not self.rows:
            return
        rows = max(1, min(rows, MOST_PIECE // self.layout.row_bytes))
        dtype = row_dtype(self._fields.items(), self.layout.row_bytes)
        buffer = bytearray(min(rows, self.rows) * self.layout.row_bytes)
        with open_plain(self.path) as stream:
            _skip(stream, self._start)
            for first in range(0, self.rows, rows):
                count = min(rows, self.rows - first)
                view = memoryview(buffer)[: count * self.layout.row_bytes]
                read = _fill(stream, view)
                if read < len(view):
                    whole = first + read // self.layout.row_bytes
                    raise DataError(f"{self.path} is cut off: {whole} of {self.rows} rows; {ANEW}")
                table = np.frombuffer(view, dtype)
                yield {name: _values(table[name], field) for name, field in self._fields.items()}


def _first_table(stream: BinaryIO, path: Path) -> tuple[TableLayout, int, int]:
    """Layout, number of rows, and where they start."""
    start = 0
    while (found := next_header(stream, path)) is not None:
        header, size = found
        start += size
        if header.value("XTENSION") == "BINTABLE" and header.whole("NAXIS1"):
            if header.whole("NAXIS1") > MOST_ROW:
                raise DataError(f"{path} has rows of {header.whole('NAXIS1')} bytes: no catalogue")
            return table_layout(header.text), header.whole("NAXIS2"), start
        data = blocks(header.data_bytes())
        _skip(stream, data)
        start += data
    raise DataError(f"{path} has no binary table")


def _skip(stream: BinaryIO, count: int) -> None:
    """Go on by so many bytes, or to the end."""
    if count >= 2**62:
        raise UnusualFitsError(f"{count} bytes of data")
    if stream.seekable():
        stream.seek(count, io.SEEK_CUR)
        return
    while count and (piece := stream.read(min(count, COPIED))):
        count -= len(piece)


def _fill(stream: BinaryIO, view: memoryview) -> int:
    done = 0
    while done < len(view):
        read = stream.readinto(view[done:])  # type: ignore[attr-defined]
        if not read:
            break
        done += read
    return done


def ascii_only(texts: NDArray[np.bytes_]) -> NDArray[np.bytes_]:
    """Text with ? for each byte that is not ASCII, which is in whatever encoding; any shape."""
    letters = np.frombuffer(np.ascontiguousarray(texts), np.uint8)
    if not (letters > 127).any():
        return texts
    changed = np.where(letters > 127, np.uint8(ord("?")), letters)
    cleaned: NDArray[np.bytes_] = changed.view(texts.dtype).reshape(texts.shape)
    return cleaned


def _values(column: NDArray[Any], field: Field) -> NDArray[Any]:
    """Copy a column out of the buffer, since the next piece overwrites it."""
    if column.dtype.kind == "S":
        return np.strings.strip(ascii_only(column))
    native = column.astype(column.dtype.newbyteorder("="))
    if not field.unsigned:
        return native
    # Stored with the middle of its range at 0: exact in integers, where floats would round.
    unsigned = native.view(native.dtype.str.replace("i", "u"))
    top = unsigned.dtype.type(1 << (8 * unsigned.dtype.itemsize - 1))
    values: NDArray[Any] = unsigned ^ top
    return values
