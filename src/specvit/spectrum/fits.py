"""FITS straight from bytes: the few headers and columns a spectrum needs, without copying the rest.

Surveys write plain tables and images, of which a spectrum needs three columns. `BytesFits` finds
them by card and offset; whatever it does not know for sure raises `UnusualFitsError`, and the
reader then takes astropy (`specvit.spectrum.astropy_fits`), which knows the whole standard and
needs tens of milliseconds for a table as wide as SDSS's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from specvit.errors import SpectrumError

BLOCK = 2880
CARD = 80
END_CARD = b"END" + b" " * (CARD - 3)
MAX_HDUS = 512  # a full SDSS file has some 20; a loop over garbage must end

# TFORM code -> numpy type of the columns that are read here; all others are left to astropy,
# but their widths must be known to find what is behind them (FITS 4.0, table 18).
COLUMN_TYPES = {"B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8", "A": "S"}
OTHER_WIDTHS = {"L": 1, "C": 8, "M": 16, "P": 8, "Q": 16}
IMAGE_TYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}

_TABLE_CARD = re.compile(rb"(TTYPE|TFORM)(\d+) *= *'([^']*)'")
_SCALED_CARD = re.compile(rb"(?:TSCAL|TZERO|TNULL)(\d+) *=")


@lru_cache(maxsize=1024)
def _card(key: str) -> re.Pattern[bytes]:
    # A pattern: bytes.find takes four times as long for keys that are mostly blanks.
    return re.compile(re.escape(key.encode("ascii").ljust(8) + b"="))


Value = str | int | float | bool | None


class UnusualFitsError(Exception):
    """Legal FITS, perhaps, but nothing that the quick way is sure of."""


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
        """An image, shape (NAXIS2, NAXIS1)."""
        ...


@dataclass(frozen=True)
class TableLayout:
    """Where the columns of a binary table lie within a row."""

    row_bytes: int
    names: frozenset[str]
    """Upper-case names of all columns."""
    fields: dict[str, tuple[str, int, int]]
    """Name -> (numpy type, offset in the row, repeat) of what can be read here (nothing scaled)."""


class _Header:
    """The cards of one header, found by key; the first of two with one key counts."""

    def __init__(self, text: bytes) -> None:
        self.text = text

    def value(self, key: str) -> Value:
        """Value of the card with this key; None where absent or empty."""
        for match in _card(key).finditer(self.text):
            if match.start() % CARD == 0:  # else the same letters inside another card
                return _parse(self.text[match.end() : match.start() + CARD])
        return None

    def values(self, keys: tuple[str, ...]) -> dict[str, Value]:
        """Values of several keys: from a few on, one pass over all cards is the faster way."""
        text = self.text
        # Backwards, so that the first card of a key is the one kept.
        cards = {text[at : at + 9]: at for at in range(len(text) - CARD, -1, -CARD)}
        places = {key: cards.get(key.encode("ascii").ljust(8) + b"=") for key in keys}
        return {
            key: None if at is None else _parse(text[at + 9 : at + CARD])
            for key, at in places.items()
        }

    def whole(self, key: str) -> int:
        """Value of a card that must hold a whole number of at least 0."""
        value = self.value(key)
        if type(value) is not int or value < 0:
            raise UnusualFitsError(f"{key} = {value!r}")
        return value

    def data_bytes(self) -> int:
        """Size of the data behind this header, without padding (FITS 4.0, section 4.4.1)."""
        bitpix = self._mandatory(1, b"BITPIX  ")
        if bitpix not in IMAGE_TYPES:
            raise UnusualFitsError(f"BITPIX = {bitpix}")
        axes = self._mandatory(2, b"NAXIS   ")
        if axes == 0:
            return 0
        size = 1
        for axis in range(1, axes + 1):
            size *= self._mandatory(2 + axis, b"NAXIS%-3d" % axis)
        if self.text.startswith(b"XTENSION"):
            heap = self._mandatory(3 + axes, b"PCOUNT  ")
            size = self._mandatory(4 + axes, b"GCOUNT  ") * (heap + size)
        if size < 0:
            raise UnusualFitsError("negative size")
        return abs(bitpix) // 8 * size

    def _mandatory(self, card: int, key: bytes) -> int:
        """Value of a card that must stand at this place, in the fixed format."""
        at = card * CARD
        if self.text[at : at + 8] != key:
            raise UnusualFitsError(f"card {card} is not {key.decode()}")
        try:
            return int(self.text[at + 10 : at + 30])
        except ValueError as error:
            raise UnusualFitsError(key.decode()) from error


@dataclass(frozen=True)
class _Hdu:
    header: _Header
    start: int


def _parse(field: bytes) -> Value:
    text = field.decode("ascii", "replace").strip()
    if text.startswith("'"):
        # A doubled quote stands for one inside the text.
        match = re.match(r"'((?:[^']|'')*)'", text)
        if match is None:
            raise UnusualFitsError("unterminated text")
        return match[1].replace("''", "'").strip() or None
    text = text.split("/", 1)[0].strip()
    if text in ("T", "F"):
        return text == "T"
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text.replace("D", "E"))
    except ValueError as error:
        raise UnusualFitsError(f"value {text!r}") from error


def _header_end(data: bytes, start: int) -> int:
    """Offset behind the header that begins at `start`, padding included."""
    at = data.find(END_CARD, start)
    while at >= 0 and (at - start) % CARD:
        at = data.find(END_CARD, at + 1)
    if at < 0:
        raise SpectrumError("truncated: a header has no END")
    return start + -(-(at + CARD - start) // BLOCK) * BLOCK


@lru_cache(maxsize=256)
def table_layout(text: bytes) -> TableLayout:
    """Parse a binary table's header; cached, since the files of one pipeline share theirs."""
    header = _Header(text)
    cards: dict[tuple[bytes, int], str] = {}
    for match in _TABLE_CARD.finditer(text):
        if match.start() % CARD == 0:
            cards[match[1], int(match[2])] = match[3].decode("ascii", "replace").strip()
    scaled = {int(m[1]) for m in _SCALED_CARD.finditer(text) if m.start() % CARD == 0}
    fields: dict[str, tuple[str, int, int]] = {}
    names: set[str] = set()
    offset = 0
    for number in range(1, header.whole("TFIELDS") + 1):
        kind, repeat, width = _column_form(cards.get((b"TFORM", number), ""))
        name = cards.get((b"TTYPE", number), "").upper()
        names.add(name)
        if kind and number not in scaled:
            fields.setdefault(name, (kind, offset, repeat))
        offset += width
    if offset != header.whole("NAXIS1"):
        raise UnusualFitsError("row length")
    return TableLayout(offset, frozenset(names), fields)


@lru_cache(maxsize=256)
def row_type(text: bytes, names: tuple[str, ...]) -> np.dtype[np.void]:
    """Type of a row in which only these columns exist; UnusualFitsError if one is unusual."""
    layout = table_layout(text)
    present = [name for name in names if name in layout.names]
    if not present or any(layout.fields.get(name, ("", 0, 0))[2] != 1 for name in present):
        raise UnusualFitsError("first row")
    formats, offsets, _ = zip(*(layout.fields[name] for name in present), strict=True)
    return np.dtype(
        {
            "names": present,
            "formats": list(formats),
            "offsets": list(offsets),
            "itemsize": layout.row_bytes,
        }
    )


def _column_form(form: str) -> tuple[str, int, int]:
    """Numpy type (empty where astropy must read it), repeat and bytes in a row of a TFORM."""
    match = re.match(r"(\d*)([A-Z])", form)
    if match is None:
        raise UnusualFitsError(f"TFORM {form!r}")
    repeat, code = int(match[1] or 1), match[2]
    if code == "A":
        return f"S{repeat}", 1, repeat
    if code == "X":
        return "", repeat, -(-repeat // 8)
    kind = COLUMN_TYPES.get(code, "")
    width = np.dtype(kind).itemsize if kind else OTHER_WIDTHS.get(code)
    if width is None:
        raise UnusualFitsError(f"TFORM {form!r}")
    return kind, repeat, width * repeat


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
            begin = _header_end(data, start)
            header = _Header(data[start:begin])
            end = begin + -(-header.data_bytes() // BLOCK) * BLOCK
            if end > len(data):
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
        if hdu >= self.count or self.get(hdu, "XTENSION") != "BINTABLE":
            return frozenset()
        return table_layout(self._hdus[hdu].header.text).names

    def column(self, hdu: int, name: str) -> NDArray[Any]:
        """See FitsSource."""
        entry = self._hdus[hdu]
        layout = table_layout(entry.header.text)
        if name not in layout.fields:
            raise UnusualFitsError(f"column {name}")
        kind, offset, repeat = layout.fields[name]
        rows = entry.header.whole("NAXIS2")
        item = np.dtype(kind).itemsize
        if item == 0 or repeat == 0:
            raise UnusualFitsError(f"empty column {name}")
        array = np.ndarray(
            (rows, repeat),
            dtype=kind,
            buffer=self._data,
            offset=entry.start + offset,
            strides=(layout.row_bytes, item),
        )
        return array[:, 0] if repeat == 1 else array

    def first_row(self, hdu: int, names: tuple[str, ...]) -> dict[str, Any]:
        """See FitsSource."""
        if not self.names(hdu):
            return {}
        entry = self._hdus[hdu]
        if entry.header.whole("NAXIS2") == 0:
            return {}
        kind = row_type(entry.header.text, names)
        values = np.frombuffer(self._data, kind, 1, entry.start)[0].item()
        return dict(zip(kind.names or (), values, strict=True))

    def image(self, hdu: int) -> NDArray[Any]:
        """See FitsSource."""
        entry = self._hdus[hdu]
        if any(self.get(hdu, key) is not None for key in ("BSCALE", "BZERO", "BLANK")):
            raise UnusualFitsError("scaled image")
        shape = (entry.header.whole("NAXIS2"), entry.header.whole("NAXIS1"))
        kind = IMAGE_TYPES[int(self.get(hdu, "BITPIX") or 0)]
        return np.ndarray(shape, dtype=kind, buffer=self._data, offset=entry.start)
