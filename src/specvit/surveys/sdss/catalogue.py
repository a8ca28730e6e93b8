"""SDSS catalogues: specObj (DR17: legacy, SEGUE, BOSS, eBOSS), spAll and spAll-lite (SDSS-V).

What differs between releases is in specvit.surveys.sdss.paths.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specvit.errors import DataError, on_one_line
from specvit.spectrum.fits_table import Columns, FitsTable
from specvit.surveys.catalogue import (
    Cut,
    Found,
    SurveyCatalogue,
    either,
    find_by,
    is_int64,
    is_nothing,
    labelled,
    numbers,
)
from specvit.surveys.sdss import SdssSelect, SdssSettings
from specvit.surveys.sdss.paths import RELEASES
from specvit.surveys.sdss.stars import Stars, is_set

# The column SURVEY of specObj for each part of SDSS that users name.
SURVEY_COLUMN = {
    "legacy": (b"sdss",),
    "segue": (b"segue1", b"segue2"),
    "boss": (b"boss",),
    "eboss": (b"eboss",),
}


LABELS = ("CLASS", "SUBCLASS", "Z", "Z_ERR", "SN_MEDIAN_ALL", "RUN2D")
TEXT, WHOLE, NUMBER = "A", "BIJK", "BIJKED"
# Letters of the TFORM that each column may have: what is made of it holds for no other.
CODES = {
    **dict.fromkeys(("CLASS", "SUBCLASS", "RUN2D", "SURVEY", "PROGRAMNAME", "TARGETTYPE"), TEXT),
    **dict.fromkeys(("PLATE", "MJD", "FIBERID", "FIELD", "CATALOGID", "SDSS_ID"), WHOLE),
    **dict.fromkeys(("Z", "Z_ERR", "SN_MEDIAN_ALL", "ZWARNING"), NUMBER),
    "SPECPRIMARY": NUMBER + "L",
    **dict.fromkeys(("PLUG_RA", "PLUG_DEC", "RACAT", "DECCAT"), NUMBER),
    **dict.fromkeys(("BESTOBJID", "SPECOBJID"), TEXT + WHOLE),
}


def _whole(column: NDArray[Any]) -> NDArray[np.int64]:
    """64-bit integers, exact, whether the file holds them as numbers or as text."""
    if column.dtype.kind != "S":
        return column.astype(np.int64)
    try:
        return np.where(column == b"", b"0", column).astype(np.int64)
    except (ValueError, OverflowError) as error:
        raise DataError(f"an identifier of an object is no number: {on_one_line(error)}") from error


def _find(columns: Columns, names: tuple[str, ...], wanted: frozenset[str]) -> Found:
    """By three numbers (plate-mjd-fiber, also padded or with `sdss-` before), or by specObjID."""
    triples: dict[str, tuple[int, ...]] = {}
    for text in wanted:
        parts = text.removeprefix("sdss-").split("-")
        if len(parts) == 3 and all(is_int64(part) for part in parts):
            triples[text] = tuple(int(part) for part in parts)
    first = np.array([triple[0] for triple in triples.values()], np.int64)
    places = np.flatnonzero(np.isin(columns[names[0]], first))
    rows = list(zip(*(columns[name][places].tolist() for name in names), strict=True))
    asked, there = set(triples.values()), set(rows)
    named = np.zeros(len(columns[names[0]]), np.bool_)
    named[places] = [row in asked for row in rows]
    found = frozenset(text for text, triple in triples.items() if triple in there)
    return either(Found(named, found), _find_by_number(columns["specobjid"], wanted))


def _find_by_number(column: NDArray[Any], wanted: frozenset[str]) -> Found:
    """By a 64-bit identifier, which is text or a number, signed or not."""
    if column.dtype.kind == "S":
        return find_by({text: text.encode() for text in wanted if text.isascii()}, column)
    numbers = {text: int(text) for text in wanted if text.isdecimal() and len(text) <= 20}
    known = {text: number for text, number in numbers.items() if number < 2**64}
    return find_by(known, column.astype(np.uint64))


def _rows(columns: Columns, *names: str) -> Iterator[Any]:
    """Rows of these columns as Python numbers and text."""
    lists = (
        (c.astype("U") if c.dtype.kind == "S" else c).tolist() for c in (columns[n] for n in names)
    )
    return zip(*lists, strict=True)


def _position(piece: Columns, pairs: tuple[tuple[str, str], ...]) -> Columns:
    """The first of these pairs of columns that is on the sky."""
    ra, dec = (piece[name] for name in pairs[-1])
    for first, second in reversed(pairs[:-1]):
        known = (piece[first] >= 0) & (piece[first] <= 360)
        ra, dec = np.where(known, piece[first], ra), np.where(known, piece[second], dec)
    return {"ra": numbers(ra), "dec": numbers(dec)}


def _common(piece: Columns, takes_nothing: bool) -> Columns:
    z_err = numbers(piece["Z_ERR"])
    z_err[z_err < 0] = np.nan  # a fit that failed
    columns: Columns = {
        "z": numbers(piece["Z"]),
        "z_err": z_err,
        "snr": numbers(piece["SN_MEDIAN_ALL"]),
        "run2d": piece["RUN2D"],
    }
    for name in ("ZWARNING", "SPECPRIMARY", "SURVEY", "PROGRAMNAME", "TARGETTYPE", "SPECOBJID"):
        if name in piece:
            columns[name.lower()] = piece[name]
    nothing = is_nothing(piece["CLASS"], _whole(piece["ZWARNING"])) if takes_nothing else None
    return labelled(columns, piece["CLASS"], piece["SUBCLASS"], nothing)


def _one_of(column: str, allowed: tuple[bytes, ...]) -> Any:
    return lambda columns: np.isin(np.strings.lower(columns[column]), allowed)


class SdssCatalogue(SurveyCatalogue):
    """The catalogue of a release: one row a spectrum, with parameters of stars where given."""

    def __init__(self, path: Path, settings: SdssSettings, stars: Path | None = None) -> None:
        self.settings = settings
        self.release = RELEASES[settings.release]
        self.naming = tuple(name.lower() for name in self.release.naming)
        self.objects = tuple(name.lower() for name in self.release.objects)
        self.kept = tuple(dict.fromkeys([*self.naming, *self.objects, "run2d"]))
        positions = [name for pair in self.release.positions for name in pair]
        asked = [*LABELS, *self.release.naming, *self.release.objects, *positions]
        self.table = FitsTable(path, [*asked, *_asked_for(settings.select)])
        self.table.check_codes(CODES)
        self.stars = None if stars is None else Stars(stars)

    @property
    def rows(self) -> int:
        """Number of rows of the table."""
        return self.table.rows

    def pieces(self) -> Iterator[Columns]:
        """Yield the table."""
        for piece in self.table.pieces():
            first, mjd, third = (piece[name] for name in self.release.naming)
            own: Columns = dict(zip(self.naming, (first, mjd.astype(np.int32), third), strict=True))
            own |= {name.lower(): _whole(piece[name]) for name in self.release.objects}
            columns = own | _position(piece, self.release.positions)
            columns |= _common(piece, self.settings.select.takes_nothing)
            yield columns if self.stars is None else columns | self.stars.join(columns)

    def own_cuts(self) -> list[Cut]:
        """Targets, ZWARNING, SPECPRIMARY, parts of the survey, programmes."""
        select, cuts = self.settings.select, []
        if self.release.has_fields:
            # A fiber without a target (negative CATALOGID) has no file of its own name.
            cuts.append(Cut("has a catalogid", lambda columns: columns["catalogid"] > 0))
        if self.stars is not None:
            cuts.append(Cut(self.stars.sentence, lambda columns: np.ones(len(columns["z"]), bool)))
        if select.surveys is not None:
            texts = tuple(text for name in select.surveys for text in SURVEY_COLUMN[name])
            cuts.append(Cut(f"survey is {' or '.join(select.surveys)}", _one_of("survey", texts)))
        if select.programs is not None:
            programs = tuple(name.strip().lower().encode() for name in select.programs)
            name = f"programme is {' or '.join(select.programs)}"
            cuts.append(Cut(name, _one_of("programname", programs)))
        if select.science_only:
            cuts.append(
                Cut("science target", lambda c: c["targettype"] == b"SCIENCE", of_objects=True)
            )
        if select.primary_only:
            cuts.append(Cut("SPECPRIMARY = 1", lambda c: is_set(c["specprimary"]), of_objects=True))
        if select.zwarning_zero:
            cuts.append(Cut("ZWARNING = 0", lambda c: c["zwarning"] == 0, of_objects=True))
        return cuts

    def find(self, columns: Columns, wanted: frozenset[str]) -> Found:
        """By plate-mjd-fiber or field-mjd-catalogid, spectrum_id or SPECOBJID."""
        return _find(columns, self.naming, wanted)

    def sort_keys(self, columns: Columns) -> tuple[NDArray[Any], ...]:
        """The numbers that name a spectrum."""
        return tuple(columns[name] for name in self.naming)

    def group_keys(self, columns: Columns) -> list[NDArray[np.int64]]:
        """Numbers of the object (0 or negative: none)."""
        return [np.maximum(columns[name], 0) for name in self.objects]

    def spectrum_ids(self, columns: Columns) -> list[str]:
        """As the release pads them."""
        return [self.release.spectrum_id.format(*row) for row in _rows(columns, *self.naming)]

    def describe(self, columns: Columns) -> Mapping[str, Any]:
        """Path of the lite file, and the numbers that name the spectrum."""
        rows = list(_rows(columns, *self.naming, "run2d"))
        return {
            "survey": "sdss",
            "release": self.settings.release,
            "path": [self.release.path(*row) for row in rows],
            "identity": ["-".join(map(str, row[:3])) for row in rows],
        }


def _asked_for(select: SdssSelect) -> list[str]:
    """Columns that only this selection needs."""
    asked = {
        "SURVEY": select.surveys is not None,
        "PROGRAMNAME": select.programs is not None,
        "TARGETTYPE": select.science_only,
        "SPECPRIMARY": select.primary_only,
        "ZWARNING": select.zwarning_zero or select.takes_nothing,
        "SPECOBJID": select.ids is not None,
    }
    return [name for name, needed in asked.items() if needed]
