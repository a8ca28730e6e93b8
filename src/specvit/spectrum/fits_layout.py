"""Where things lie in a FITS file: blocks, cards, columns of a table.

Shared by all that read or write FITS here without astropy, after the standard 4.0 (Pence et al.
2010, A&A 524, A42).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from specvit.errors import SpectrumError

BLOCK = 2880
CARD = 80
END_CARD = b"END".ljust(CARD)

# TFORM code -> numpy type of one element (table 18). Bits (X) and heaps (P, Q) are no array.
FORMATS = {
    "L": "S1",
    "B": "u1",
    "I": ">i2",
    "J": ">i4",
    "K": ">i8",
    "A": "S1",
    "E": ">f4",
    "D": ">f8",
    "C": ">c8",
    "M": ">c16",
}
DESCRIPTORS = {"P": 8, "Q": 16}
# TZERO that tells an integer column without a sign from one with (section 5.2.5).
UNSIGNED = {"I": 2.0**15, "J": 2.0**31, "K": 2.0**63}
IMAGE_TYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}

Value = str | int | float | bool | None

_TFORM = re.compile(r"(\d*)([A-Z])")
_COLUMN_CARD = re.compile(rb"(TTYPE|TFORM|TSCAL|TZERO|TNULL)([1-9]\d*) *")
# A value in the forms that all agree on (4.2), and a comment; what else there is, astropy knows.
_VALUE = re.compile(
    rb" *(?:'(?P<text>(?:[^']|'')*)'|(?P<logical>[TF])|(?P<whole>[+-]?\d+)"
    rb"|(?P<real>[+-]?(?:\d+\.?\d*|\.\d+)(?:[ED][+-]?\d+)?))? *(?:/.*)?"
)
_STRUCTURE = frozenset(
    key.ljust(8)
    for key in b"SIMPLE XTENSION BITPIX NAXIS NAXIS1 NAXIS2 PCOUNT GCOUNT TFIELDS".split()
)
_PRINTABLE = bytes(range(32, 127))
_IN_KEYWORDS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_ "

# The standard's own limits (4.4.1.1, 7.3.1); a loop up to what a broken file says may take days.
MOST = 999
_COUNT_CARD = re.compile(rb"(NAXIS   |TFIELDS )= *'? *([-+0-9.DE]+)")
_NEGATIVE_CARD = re.compile(rb"(NAXIS\d* *|PCOUNT  |GCOUNT  )= *'? *(-[0-9]*[1-9])")


class UnusualFitsError(Exception):
    """Legal FITS, perhaps, but nothing that the quick way is sure of."""


def blocks(size: int) -> int:
    """Size with the padding that fills up its last block."""
    return -(-size // BLOCK) * BLOCK


def check_header(text: bytes) -> None:
    """Raise UnusualFitsError where a header has letters that no header should have (4.1.2)."""
    keywords = b"".join(text[place::CARD] for place in range(8))
    if text.translate(None, _PRINTABLE) or keywords.translate(None, _IN_KEYWORDS):
        raise UnusualFitsError("letters that no header should have")


def check_limits(data: bytes) -> None:
    """Raise SpectrumError where a header announces more axes or columns than FITS allows.

    Or fewer data than none, from which astropy goes backwards through a file, for ever.
    """
    for match in _COUNT_CARD.finditer(data):
        if match.start() % CARD == 0:
            _within_limits(match[1].decode().strip(), match[2].decode())
    for match in _NEGATIVE_CARD.finditer(data):
        if match.start() % CARD == 0:
            key, value = match[1].decode().strip(), match[2].decode()
            raise SpectrumError(f"{key} = {value}, and FITS allows none below 0")


def _within_limits(key: str, value: Any) -> None:
    try:
        count = float(value)
    except ValueError:
        return
    if not count <= MOST:
        raise SpectrumError(f"{key} = {value}, and FITS allows at most {MOST}")


@lru_cache(maxsize=1024)
def _card(key: str) -> re.Pattern[bytes]:
    # A pattern: bytes.find takes four times as long for keys that are mostly blanks.
    return re.compile(re.escape(_start(key)))


@lru_cache(maxsize=1024)
def _start(key: str) -> bytes:
    return key.encode("ascii").ljust(8) + b"= "


class Cards:
    """The cards of one header, found by key; the first of two with one key counts."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self._places: dict[bytes, int] | None = None

    def value(self, key: str) -> Value:
        """Value of the card with this key; None where absent or empty."""
        if self._places is not None:
            return self._at(self._places.get(_start(key)))
        for match in _card(key).finditer(self.text):
            if match.start() % CARD == 0:  # else the same letters inside another card
                return self._at(match.start())
        return None

    def values(self, keys: tuple[str, ...]) -> dict[str, Value]:
        """Values of several keys: from a few on, one pass over all cards is the faster way."""
        if self._places is None:
            text = self.text
            # Backwards, so that the first card of a key is the one kept.
            self._places = {text[at : at + 10]: at for at in range(len(text) - CARD, -1, -CARD)}
        return {key: self._at(self._places.get(_start(key))) for key in keys}

    def _at(self, place: int | None) -> Value:
        return None if place is None else _parse(self.text[place + 10 : place + CARD])

    def whole(self, key: str) -> int:
        """Value of a card that must hold a whole number of at least 0."""
        value = self.value(key)
        if type(value) is not int or value < 0:
            raise UnusualFitsError(f"{key} = {value!r}")
        return value

    def check_structure(self) -> None:
        """Raise UnusualFitsError where a keyword that says where data lie is there twice.

        Readers differ in which of the two counts.
        """
        keys = [self.text[at : at + 8] for at in range(0, len(self.text), CARD)]
        keys = [key for key in keys if key in _STRUCTURE]
        if len(keys) > len(set(keys)):
            raise UnusualFitsError("a keyword that says where data lie is there twice")

    def data_bytes(self) -> int:
        """Size of the data behind this header, without padding (section 4.4.1)."""
        bitpix = self._mandatory(1, b"BITPIX  ")
        if bitpix not in IMAGE_TYPES:
            raise UnusualFitsError(f"BITPIX = {bitpix}")
        axes = self._mandatory(2, b"NAXIS   ")
        if axes == 0:
            return 0
        _within_limits("NAXIS", axes)
        counts = [self._mandatory(2 + axis, b"NAXIS%-3d" % axis) for axis in range(1, axes + 1)]
        heap, groups = 0, 1
        if self.text.startswith(b"XTENSION"):
            heap = self._mandatory(3 + axes, b"PCOUNT  ")
            groups = self._mandatory(4 + axes, b"GCOUNT  ")
        if min(*counts, heap, groups) < 0:
            raise UnusualFitsError("negative size")
        size = groups * (heap + math.prod(counts))
        return abs(bitpix) // 8 * size

    def _mandatory(self, card: int, key: bytes) -> int:
        """Whole number of a card that must stand at this place."""
        at = card * CARD
        digits = self.text[at + 10 : at + CARD].partition(b"/")[0].strip()
        if self.text[at : at + 10] != key + b"= " or not digits.removeprefix(b"-").isdigit():
            raise UnusualFitsError(f"card {card} is not {key.decode().strip()}, or no number")
        return int(digits)


def _parse(field: bytes) -> Value:
    match = _VALUE.fullmatch(field)
    if match is None:
        raise UnusualFitsError(f"value {field!r}")
    value = match[match.lastgroup].decode("ascii") if match.lastgroup else ""
    match match.lastgroup:
        case "text":  # a doubled quote stands for one inside it
            return value.replace("''", "'").strip() or None
        case "logical":
            return value == "T"
        case "whole":
            return int(value)
        case "real":
            return float(value.replace("D", "E"))
        case _:
            return None


@dataclass(frozen=True)
class Field:
    """A column of a binary table within a row."""

    code: str
    """Letter of its TFORM."""
    kind: str
    """numpy type of one element; a column of text is one element. Empty: no array (X, P, Q)."""
    repeat: int
    offset: int
    scaled: bool = False
    """Whether stored numbers are not the values: TSCAL or TZERO."""
    unsigned: bool = False
    """Whether the only scaling is the TZERO of an integer without a sign."""
    has_null: bool = False
    """Whether TNULL names a number that stands for none."""

    @property
    def is_array(self) -> bool:
        """Whether numpy can read the column as it is stored, but for the sign."""
        return bool(self.kind and self.repeat) and (self.unsigned or not self.scaled)

    @property
    def dtype(self) -> tuple[str, tuple[int, ...]]:
        """Numpy type and shape of one cell."""
        return self.kind, () if self.repeat == 1 else (self.repeat,)


def parse_form(form: str) -> tuple[str, str, int, int]:
    """Code, numpy type, repeat and bytes in a row of a TFORM. Raises UnusualFitsError."""
    match = _TFORM.match(form.strip())
    if match is None:
        raise UnusualFitsError(f"TFORM {form!r}")
    repeat, code = int(match[1] or 1), match[2]
    if code == "A":
        return code, f"S{repeat}" if repeat else "", 1, repeat
    if code == "X":
        return code, "", repeat, -(-repeat // 8)
    if code in DESCRIPTORS:
        return code, "", repeat, DESCRIPTORS[code] * repeat
    if code not in FORMATS:
        raise UnusualFitsError(f"TFORM {form!r}")
    kind = FORMATS[code]
    return code, kind, repeat, np.dtype(kind).itemsize * repeat


def row_dtype(fields: Iterable[tuple[str, Field]], row_bytes: int) -> np.dtype[np.void]:
    """A row of which only these columns (name, field) can be seen."""
    named = list(fields)
    return np.dtype(
        {
            "names": [name for name, _ in named],
            "formats": [field.dtype for _, field in named],
            "offsets": [field.offset for _, field in named],
            "itemsize": row_bytes,
        }
    )


@dataclass(frozen=True)
class TableLayout:
    """Where the columns of a binary table lie within a row."""

    row_bytes: int
    fields: dict[str, Field]
    """By upper-case name; of two columns with one name, the first."""


@lru_cache(maxsize=256)
def table_layout(text: bytes) -> TableLayout:
    """Parse a binary table's header; cached, since the files of one pipeline share theirs.

    Raises UnusualFitsError where a column is of no known kind or they do not add up to a row.
    """
    header = Cards(text)
    header.check_structure()
    cards: dict[int, dict[bytes, Value]] = {}
    for at in range(0, len(text), CARD):
        match = _COLUMN_CARD.fullmatch(text, at, at + 8)
        if match and text[at + 8 : at + 10] == b"= ":
            value = _parse(text[at + 10 : at + CARD])
            cards.setdefault(int(match[2]), {}).setdefault(match[1], value)
    fields: dict[str, Field] = {}
    offset = 0
    columns = header.whole("TFIELDS")
    _within_limits("TFIELDS", columns)
    for number in range(1, columns + 1):
        own = cards.get(number, {})
        code, kind, repeat, width = parse_form(str(own.get(b"TFORM")))
        name = str(own.get(b"TTYPE") or "").upper()
        fields.setdefault(name, Field(code, kind, repeat, offset, **_scaling(code, own)))
        offset += width
    if offset != header.whole("NAXIS1"):
        raise UnusualFitsError(
            f"columns add up to {offset} bytes, NAXIS1 = {header.whole('NAXIS1')}"
        )
    return TableLayout(offset, fields)


def _scaling(code: str, cards: dict[bytes, Value]) -> dict[str, bool]:
    scale, zero = cards.get(b"TSCAL", 1), cards.get(b"TZERO", 0)
    return {
        "scaled": scale != 1 or zero != 0,
        "unsigned": scale == 1 and zero != 0 and zero == UNSIGNED.get(code),
        "has_null": b"TNULL" in cards,
    }
