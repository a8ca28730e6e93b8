"""What every survey's catalogue offers: compact columns in pieces, cuts of its own, finished rows.

A selection holds millions of rows at once, so it works on numbers and short byte strings; text for
people and paths is made from them at the end, a piece at a time.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from specvit.spectrum.fits_table import Columns
from specvit.tasks import ALL_CLASSES, CLASSES, NONE, STELLAR_TYPES

UNKNOWN, NOTHING = -1, ALL_CLASSES.index(NONE)
# Bits of SDSS's ZWARNING: SKY and UNPLUGGED.
NOTHING_BITS = 1 << 0 | 1 << 7
SAID_NOTHING = b"UNKNOWN"
# What surveys write into text columns where they have nothing.
NO_TEXT = (b"", b"Non", b"Unknown", b"NULL", b"null", b"-9999")
# The letter that starts an MK type, after a prefix for dwarfs, giants and subdwarfs (dM2, gM1,
# sdM1, sd:F0). What follows must belong to a type (A0p, F5Ib, Am, G5/G6IVw): "OB" says O or B, so
# it is neither, and Carbon, CV, WD, L and T are no type of the list.
_SPECTRAL_TYPE = re.compile(r"(?:[eu]?sd:?|d|g)?([OBAFGKM])(?=$|[\d.:/+ IV]|[mpne](?![a-z]))")


@dataclass(frozen=True)
class Cut:
    """One condition of a selection: rows where `keep` is true stay."""

    name: str
    keep: Callable[[Columns], NDArray[np.bool_]]
    of_objects: bool = False
    """Whether it asks for what only an object has: rows of nothing (class NONE) then stay."""


def stellar_type(subclass: str) -> str | None:
    """Spectral type (O B A F G K M) from a star's subclass as SDSS or LAMOST writes it, or None."""
    match = _SPECTRAL_TYPE.match(subclass.strip())
    return match[1] if match else None


def codes_of(texts: NDArray[np.bytes_], allowed: tuple[str, ...]) -> NDArray[np.int8]:
    """Position of each text in `allowed`, UNKNOWN where it is not there; shape as `texts`."""
    codes = np.full(len(texts), UNKNOWN, np.int8)
    for code, name in enumerate(allowed):
        codes[texts == name.encode()] = code
    return codes


def stellar_codes(subclass: NDArray[np.bytes_], is_star: NDArray[np.bool_]) -> NDArray[np.int8]:
    """Position in STELLAR_TYPES for stars, UNKNOWN elsewhere and for what is no spectral type."""
    codes = np.full(len(subclass), UNKNOWN, np.int8)
    texts, places = np.unique(subclass[is_star], return_inverse=True)
    types = [stellar_type(text.decode("ascii", "replace")) for text in texts]
    table = np.array([STELLAR_TYPES.index(t) if t else UNKNOWN for t in types], np.int8)
    if len(texts):
        codes[is_star] = table[places]
    return codes


def without_placeholders(texts: NDArray[np.bytes_]) -> NDArray[np.bytes_]:
    """Empty text where the survey wrote a placeholder such as "Non"."""
    return np.where(np.isin(texts, NO_TEXT), b"", texts)


def numbers(column: NDArray[Any], sentinels: tuple[float, ...] = (-9999.0,)) -> NDArray[Any]:
    """Floats with nan for the survey's sentinels and infinities."""
    values = column.astype(np.float32 if column.dtype == np.float32 else np.float64)
    values[~np.isfinite(values) | np.isin(values, sentinels)] = np.nan
    return values


def is_nothing(
    class_text: NDArray[np.bytes_], zwarning: NDArray[np.int64] | None = None
) -> NDArray[np.bool_]:
    """Where the survey says that there is nothing: class Unknown, or ZWARNING SKY or UNPLUGGED."""
    said: NDArray[np.bool_] = np.strings.upper(class_text) == SAID_NOTHING
    return said if zwarning is None else said | (zwarning & NOTHING_BITS != 0)


def labelled(
    columns: Columns,
    class_text: NDArray[Any],
    subclass: NDArray[Any],
    nothing: NDArray[np.bool_] | None = None,
) -> Columns:
    """Add the columns `class`, `subclass` and `stellar_type` made from the survey's text.

    Rows of `nothing` are of class NONE, whatever the text says, and lose their redshift.
    """
    class_codes = codes_of(class_text, CLASSES)
    text = without_placeholders(subclass)
    if nothing is not None:
        class_codes[nothing] = NOTHING
        text = np.where(nothing, b"", text)
        lost = {name: np.where(nothing, np.nan, columns[name]) for name in ("z", "z_err")}
        columns = {**columns, **lost}
    types = stellar_codes(text, class_codes == CLASSES.index("STAR"))
    return {**columns, "class": class_codes, "subclass": text, "stellar_type": types}


class Found(NamedTuple):
    """What a list of names is in some rows of a catalogue."""

    rows: NDArray[np.bool_]
    """Whether each row is named."""
    names: frozenset[str]
    """The names that name one."""


def is_int64(text: str) -> bool:
    """Whether the text is a whole number that a catalogue's integers can hold."""
    return text.isdecimal() and len(text) < 20 and int(text) < 2**63


def find_by(names: Mapping[str, Any], values: NDArray[Any]) -> Found:
    """Find rows by one column: `names` gives the value that each name stands for."""
    if not names:
        return Found(np.zeros(len(values), np.bool_), frozenset())
    # Numbers of the column's own kind: a list of some beyond 2^63 would become floats.
    kind = values.dtype if values.dtype.kind in "iu" else None
    rows = np.isin(values, np.array(list(names.values()), kind))
    there = set(values[rows].tolist())
    return Found(rows, frozenset(name for name, value in names.items() if value in there))


def either(*found: Found) -> Found:
    """Rows and names that any of several ways found."""
    rows = np.logical_or.reduce([one.rows for one in found])
    return Found(rows, frozenset().union(*(one.names for one in found)))


class SurveyCatalogue(ABC):
    """One survey's catalogue.

    Columns of a piece, all of shape (rows,): `class` and `stellar_type` (int8 positions in the
    lists of specvit.tasks, UNKNOWN), `subclass` (bytes, empty: none), `z`, `z_err`, `snr`, `ra`,
    `dec` (nan: none), and `teff`, `logg`, `feh` where the survey has them; further ones for the
    survey's own cuts and for `describe`.
    """

    kept: tuple[str, ...]
    """Further columns that `sort_keys`, `group_keys` and `describe` need."""

    listed: str = "in the catalogue"
    """What the rows are before any cut, in the table of cuts."""

    refused: list[tuple[str, str]] | None = None
    """Path and reason of each file that cannot be read, known when all pieces are; None where
    rows are not read from files."""

    @property
    def rows(self) -> int | None:
        """Number of rows of the catalogue, where it is known beforehand."""
        return None

    @abstractmethod
    def pieces(self) -> Iterator[Columns]:
        """Yield the whole catalogue, some ten thousand rows at a time."""

    @abstractmethod
    def own_cuts(self) -> list[Cut]:
        """Cuts that only this survey has."""

    @abstractmethod
    def find(self, columns: Columns, wanted: frozenset[str]) -> Found:
        """Rows that `wanted` names by any identifier that users of the survey know."""

    @abstractmethod
    def sort_keys(self, columns: Columns) -> tuple[NDArray[Any], ...]:
        """Numbers that order rows as their spectrum_id does, the first key first."""

    @abstractmethod
    def group_keys(self, columns: Columns) -> list[NDArray[np.int64]]:
        """Keys that repeat spectra of one object share, each of shape (rows,); 0 where none."""

    @abstractmethod
    def spectrum_ids(self, columns: Columns) -> list[str]:
        """The identifier of each row, [a-z0-9_-]+."""

    @abstractmethod
    def describe(self, columns: Columns) -> Mapping[str, Any]:
        """Further finished columns: survey, release, path, identity."""


def finished(catalogue: SurveyCatalogue, columns: Columns) -> pd.DataFrame:
    """Rows as SURVEY_SCHEMA has them, but for object_id, source and simulated."""
    ids = catalogue.spectrum_ids(columns)
    frame = pd.DataFrame({"spectrum_id": ids, **catalogue.describe(columns)})
    frame["class"] = _texts(columns["class"], ALL_CLASSES)
    frame["stellar_type"] = _texts(columns["stellar_type"], STELLAR_TYPES)
    text = pd.Series(columns["subclass"].astype("U")).astype(object)
    frame["subclass"] = text.where(text != "", None)
    for name in ("z", "z_err", "snr", "ra", "dec", "teff", "logg", "feh"):
        values = columns.get(name)
        frame[name] = np.nan if values is None else values.astype(np.float64)
    return frame


def _texts(codes: NDArray[np.int8], names: tuple[str, ...]) -> NDArray[Any]:
    return np.array([*names, None], dtype=object)[codes]
