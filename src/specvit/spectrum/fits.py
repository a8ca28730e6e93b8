"""FITS straight from bytes: the few headers and columns a spectrum needs, without copying the rest.

Surveys write plain tables and images, of which a spectrum needs three columns. `BytesFits` finds
them by card and offset; whatever it does not know for sure raises `UnusualFitsError`, and the
reader then takes astropy (`specvit.spectrum.astropy_fits`), which knows the whole standard and
needs tens of milliseconds for a table as wide as SDSS's.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from specvit.errors import SpectrumError
from specvit.spectrum.fits_layout import (
    CARD,
    END_CARD,
    IMAGE_TYPES,
    Cards,
    Field,
    UnusualFitsError,
    Value,
    blocks,
    check_header,
    row_dtype,
    table_layout,
)

MAX_HDUS = 512  # a full SDSS file has some 20; a loop over garbage must end
# Codes of the columns that are read here; all others are left to astropy.
READ_HERE = frozenset("BIJKEDA")


class FitsSource(Protocol):
    """What the survey readers ask of a file; HDUs by position, columns by upper-case name."""

    @property
    def count(self) -> int:
        """Number of HDUs."""
        ...

    def get(self, hdu: int, key: str) -> Value:
        """A header value, text without trailing blanks; None where the key is absent or empty."""
        ...

    def values(self, hdu: int, keys: tuple[str, ...]) -> dict[str, Value]:
        """Several header values at once; None for what is absent or empty."""
        ...

    def names(self, hdu: int) -> frozenset[str]:
        """Upper-case column names of a binary table; empty for any other HDU."""
        ...

    def column(self, hdu: int, name: str) -> NDArray[Any]:
        """A column, shape (rows,) or (rows, repeat)."""
        ...

    def first_row(self, hdu: int, names: tuple[str, ...]) -> dict[str, Any]:
        """The first row of those columns that a table has; text as bytes or str, no rows: empty."""
        ...

    def image(self, hdu: int) -> NDArray[Any]:
        """An image of one or two axes, shape (NAXIS2 or 1, NAXIS1)."""
        ...


class _Hdu:
    """A header and where its data start."""

    def __init__(self, header: Cards, start: int) -> None:
        self.header, self.start = header, start
        self._names: frozenset[str] | None = None

    @property
    def names(self) -> frozenset[str]:
        """Columns of a binary table; none for any other HDU."""
        if self._names is None:
            is_table = self.header.value("XTENSION") == "BINTABLE"
            self._names = _names(self.header.text) if is_table else frozenset()
        return self._names


def _header_end(data: bytes, start: int) -> int:
    """Offset behind the last card of the header that begins at `start`."""
    at = data.find(END_CARD, start)
    while at >= 0 and (at - start) % CARD:
        at = data.find(END_CARD, at + 1)
    if at < 0:
        raise SpectrumError("truncated: a header has no END")
    return at + CARD


def _is_plain(field: Field) -> bool:
    """Whether the column's bytes are its values."""
    return field.code in READ_HERE and field.is_array and not (field.scaled or field.has_null)


@lru_cache(maxsize=256)
def _names(text: bytes) -> frozenset[str]:
    return frozenset(table_layout(text).fields)


@lru_cache(maxsize=256)
def _first_row_type(text: bytes, names: tuple[str, ...]) -> np.dtype[np.void]:
    """Type of a row in which only these columns exist; UnusualFitsError if one is unusual."""
    layout = table_layout(text)
    fields = [(name, layout.fields[name]) for name in names if name in layout.fields]
    if not fields or any(not _is_plain(field) or field.repeat != 1 for _, field in fields):
        raise UnusualFitsError("first row")
    return row_dtype(fields, layout.row_bytes)


class BytesFits:
    """A FITS file in memory, read by offset.

    Raises SpectrumError where the bytes end before the headers say, UnusualFitsError where astropy
    should be asked.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._hdus: list[_Hdu] = []
        start = 0
        while start < len(data) and len(self._hdus) < MAX_HDUS:
            # The standard allows other records behind the last HDU.
            if start and not data.startswith(b"XTENSION", start):
                break
            end = _header_end(data, start)
            header = Cards(data[start:end])
            check_header(header.text)
            if not start and header.value("SIMPLE") is not True:
                raise UnusualFitsError("SIMPLE is not T")
            size = header.data_bytes()
            begin = start + blocks(end - start)
            end = begin + blocks(size)
            # Some writers leave out the last block's padding: all data are there.
            if begin + size > len(data):
                raise SpectrumError(
                    f"truncated: {len(data)} bytes, the headers announce at least {end}"
                )
            self._hdus.append(_Hdu(header, begin))
            start = end

    @property
    def count(self) -> int:
        """Number of HDUs."""
        return len(self._hdus)

    def get(self, hdu: int, key: str) -> Value:
        """See FitsSource."""
        return self._hdus[hdu].header.value(key) if hdu < self.count else None

    def values(self, hdu: int, keys: tuple[str, ...]) -> dict[str, Value]:
        """See FitsSource."""
        return self._hdus[hdu].header.values(keys)

    def names(self, hdu: int) -> frozenset[str]:
        """See FitsSource."""
        return self._hdus[hdu].names if hdu < self.count else frozenset()

    def column(self, hdu: int, name: str) -> NDArray[Any]:
        """See FitsSource."""
        entry = self._hdus[hdu]
        layout = table_layout(entry.header.text)
        field = layout.fields.get(name)
        if field is None or not _is_plain(field):
            raise UnusualFitsError(f"column {name}")
        array = np.ndarray(
            (entry.header.whole("NAXIS2"), field.repeat),
            dtype=field.kind,
            buffer=self._data,
            offset=entry.start + field.offset,
            strides=(layout.row_bytes, np.dtype(field.kind).itemsize),
        )
        return array[:, 0] if field.repeat == 1 else array

    def first_row(self, hdu: int, names: tuple[str, ...]) -> dict[str, Any]:
        """See FitsSource."""
        if not self.names(hdu):
            return {}
        entry = self._hdus[hdu]
        if entry.header.whole("NAXIS2") == 0:
            return {}
        kind = _first_row_type(entry.header.text, names)
        values = np.frombuffer(self._data, kind, 1, entry.start)[0].item()
        return dict(zip(kind.names or (), values, strict=True))

    def image(self, hdu: int) -> NDArray[Any]:
        """See FitsSource."""
        entry = self._hdus[hdu]
        entry.header.check_structure()
        if any(self.get(hdu, key) is not None for key in ("BSCALE", "BZERO", "BLANK")):
            raise UnusualFitsError("scaled image")
        axes = entry.header.whole("NAXIS")
        if self.get(hdu, "XTENSION") == "BINTABLE" or axes not in (1, 2):
            raise UnusualFitsError("a compressed image, or no image of one or two axes")
        shape = (entry.header.whole("NAXIS2") if axes == 2 else 1, entry.header.whole("NAXIS1"))
        kind = IMAGE_TYPES[int(self.get(hdu, "BITPIX") or 0)]
        return np.ndarray(shape, dtype=kind, buffer=self._data, offset=entry.start)
