"""FITS blocks assembled directly: a hundred times faster than building HDU objects for each file.

Layout after the FITS standard 4.0 (Pence et al. 2010, A&A 524, A42); tests read every layout back
with astropy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from specvit.spectrum.fits_layout import BLOCK, CARD, END_CARD, parse_form


def _literal(value: str | bool | int | float) -> str:
    if isinstance(value, bool):
        return f"{'T' if value else 'F':>20}"
    if isinstance(value, str):
        quoted = value.replace("'", "''")
        return f"'{quoted:<8}'".ljust(20)
    if isinstance(value, int):
        return f"{value:>20}"
    # repr is the shortest text that gives the number back; FITS wants a capital E.
    return f"{repr(value).upper():>20}"


# Most cards are the same in every file of a survey. The key tells True from 1 and 1 from 1.0.
@lru_cache(maxsize=4096, typed=True)
def card(key: str, value: str | bool | int | float, comment: str = "") -> bytes:
    """Return one 80-character header card; a long comment is cut, as the surveys' writers do."""
    text = f"{key:<8}= {_literal(value)}"
    return f"{text} / {comment}"[:CARD].ljust(CARD).encode("ascii")


def remark(text: str, key: str = "COMMENT") -> bytes:
    """Return a COMMENT or HISTORY card."""
    return f"{key:<8}{text}"[:CARD].ljust(CARD).encode("ascii")


def header(cards: Iterable[bytes]) -> bytes:
    """Join cards, END and padding to whole blocks."""
    return padded(b"".join(cards) + END_CARD, b" ")


def padded(data: bytes, fill: bytes = b"\0") -> bytes:
    """Fill up to a whole number of 2880-byte blocks."""
    return data + fill * (-len(data) % BLOCK)


@dataclass(frozen=True)
class Column:
    """A column of a binary table: its TFORM and, for 2-D cells, its shape as in TDIM."""

    name: str
    form: str
    dim: tuple[int, ...] = ()

    @property
    def field(self) -> tuple[str, str, tuple[int, ...]]:
        """The field of the row's structured dtype."""
        _, kind, repeat, _ = parse_form(self.form)
        return (self.name, kind, () if repeat == 1 else (repeat,))


def row_dtype(columns: Sequence[Column]) -> np.dtype[np.void]:
    """Return the packed big-endian dtype of a table with these columns."""
    return np.dtype([column.field for column in columns])


def table_header(
    columns: Sequence[Column], rows: int, name: str | None, extra: Iterable[bytes] = ()
) -> bytes:
    """Return the header of a binary table; without EXTNAME where `name` is None."""
    cards = [
        b"XTENSION= 'BINTABLE'           / binary table extension".ljust(CARD),
        card("BITPIX", 8, "array data type"),
        card("NAXIS", 2, "number of array dimensions"),
        card("NAXIS1", row_dtype(columns).itemsize, "length of dimension 1"),
        card("NAXIS2", rows, "length of dimension 2"),
        card("PCOUNT", 0, "number of group parameters"),
        card("GCOUNT", 1, "number of groups"),
        card("TFIELDS", len(columns), "number of table fields"),
    ]
    for number, column in enumerate(columns, 1):
        cards.append(card(f"TTYPE{number}", column.name))
        cards.append(card(f"TFORM{number}", column.form))
        if column.dim:
            cards.append(card(f"TDIM{number}", f"({','.join(map(str, column.dim))})"))
    if name is not None:
        cards.append(card("EXTNAME", name))
    return header([*cards, *extra])


def table(head: bytes, rows: NDArray[np.void]) -> bytes:
    """Return header and data of a binary table; `rows` is packed and big-endian."""
    # Joined once: a whole catalogue is too big to copy more often.
    return b"".join((head, rows.tobytes(), b"\0" * (-rows.nbytes % BLOCK)))


def image(name: str, values: NDArray[np.number], unit: str = "") -> bytes:
    """Return header and data of an image extension; `values` are big-endian, of any shape."""
    kind, bits = values.dtype.kind, 8 * values.dtype.itemsize
    sizes = values.shape[::-1]
    cards = [
        b"XTENSION= 'IMAGE   '           / image extension".ljust(CARD),
        card("BITPIX", -bits if kind == "f" else bits, "array data type"),
        card("NAXIS", len(sizes), "number of array dimensions"),
        *(card(f"NAXIS{axis}", size) for axis, size in enumerate(sizes, 1)),
        card("PCOUNT", 0, "number of group parameters"),
        card("GCOUNT", 1, "number of groups"),
        card("EXTNAME", name),
        *([card("BUNIT", unit)] if unit else []),
    ]
    return header(cards) + padded(values.tobytes())


def text_field(values: NDArray[np.str_] | Sequence[str] | str, width: int) -> NDArray[np.bytes_]:
    """Text of a table column: padded with spaces as FITS wants it, not with NUL as numpy does."""
    padded_text: NDArray[np.bytes_] = np.char.ljust(np.asarray(values).astype(f"S{width}"), width)
    return padded_text
