"""SDSS catalogues: specObj (DR17: legacy, SEGUE, BOSS, eBOSS) and spAll-lite (DR19: SDSS-V BOSS).

Names, columns and paths follow the data models of the releases (data.sdss.org/datamodel,
dr17 SPECTRO_REDUX/specObj, dr19 BOSS_SPECTRO_REDUX/spAll-lite) and the paths of sdss_access.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

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
    labelled,
    numbers,
)
from specvit.surveys.sdss import SdssSelect, SdssSettings
from specvit.surveys.sdss.paths import legacy_path, sdss5_path

# The column SURVEY of specObj for each part of SDSS that users name.
SURVEY_COLUMN = {
    "legacy": (b"sdss",),
    "segue": (b"segue1", b"segue2"),
    "boss": (b"boss",),
    "eboss": (b"eboss",),
}


TEXT, WHOLE, NUMBER = "A", "BIJK", "BIJKED"
# Letters of the TFORM that each column may have: what is made of it holds for no other.
CODES = {
    **dict.fromkeys(("CLASS", "SUBCLASS", "RUN2D", "SURVEY", "PROGRAMNAME", "TARGETTYPE"), TEXT),
    **dict.fromkeys(("PLATE", "MJD", "FIBERID", "FIELD", "CATALOGID", "SDSS_ID"), WHOLE),
    **dict.fromkeys(("Z", "Z_ERR", "SN_MEDIAN_ALL", "ZWARNING", "SPECPRIMARY"), NUMBER),
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


def _find(columns: Columns, names: tuple[str, str, str], wanted: frozenset[str]) -> Found:
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


def _common(piece: Columns, ra: str, dec: str) -> Columns:
    z_err = numbers(piece["Z_ERR"])
    z_err[z_err < 0] = np.nan  # a fit that failed
    columns: Columns = {
        "z": numbers(piece["Z"]),
        "z_err": z_err,
        "snr": numbers(piece["SN_MEDIAN_ALL"]),
        "ra": numbers(piece[ra]),
        "dec": numbers(piece[dec]),
        "run2d": piece["RUN2D"],
    }
    for name in ("ZWARNING", "SPECPRIMARY", "SURVEY", "PROGRAMNAME", "TARGETTYPE", "SPECOBJID"):
        if name in piece:
            columns[name.lower()] = piece[name]
    return labelled(columns, piece["CLASS"], piece["SUBCLASS"])


def _one_of(column: str, allowed: tuple[bytes, ...]) -> Any:
    return lambda columns: np.isin(np.strings.lower(columns[column]), allowed)


class SdssCatalogue(SurveyCatalogue):
    """What both catalogues have in common; each names its columns and paths."""

    columns: ClassVar[tuple[str, ...]]
    _LABELS = ("CLASS", "SUBCLASS", "Z", "Z_ERR", "SN_MEDIAN_ALL", "RUN2D")

    def __init__(self, path: Path, settings: SdssSettings) -> None:
        self.settings = settings
        self.table = FitsTable(path, [*self._LABELS, *self.columns, *_asked_for(settings.select)])
        self.table.check_codes(CODES)

    @property
    def rows(self) -> int:
        """Number of rows of the table."""
        return self.table.rows

    def own_cuts(self) -> list[Cut]:
        """ZWARNING, SPECPRIMARY, science targets, parts of the survey, programmes."""
        select, cuts = self.settings.select, []
        if select.surveys is not None:
            texts = tuple(text for name in select.surveys for text in SURVEY_COLUMN[name])
            cuts.append(Cut(f"survey is {' or '.join(select.surveys)}", _one_of("survey", texts)))
        if select.programs is not None:
            programs = tuple(name.strip().lower().encode() for name in select.programs)
            name = f"programme is {' or '.join(select.programs)}"
            cuts.append(Cut(name, _one_of("programname", programs)))
        if select.science_only:
            cuts.append(Cut("science target", lambda columns: columns["targettype"] == b"SCIENCE"))
        if select.primary_only:
            cuts.append(Cut("SPECPRIMARY = 1", lambda columns: columns["specprimary"] == 1))
        if select.zwarning_zero:
            cuts.append(Cut("ZWARNING = 0", lambda columns: columns["zwarning"] == 0))
        return cuts


def _asked_for(select: SdssSelect) -> list[str]:
    """Columns that only this selection needs."""
    asked = {
        "SURVEY": select.surveys is not None,
        "PROGRAMNAME": select.programs is not None,
        "TARGETTYPE": select.science_only,
        "SPECPRIMARY": select.primary_only,
        "ZWARNING": select.zwarning_zero,
        "SPECOBJID": select.ids is not None,
    }
    return [name for name, needed in asked.items() if needed]


class SpecObj(SdssCatalogue):
    """DR17's specObj: one row a spectrum, named by plate, MJD and fiber."""

    columns = ("PLATE", "MJD", "FIBERID", "PLUG_RA", "PLUG_DEC", "BESTOBJID")
    kept = ("plate", "mjd", "fiber", "run2d", "bestobjid")

    def pieces(self) -> Iterator[Columns]:
        """Yield the table; BESTOBJID as a 64-bit integer."""
        for piece in self.table.pieces():
            own: Columns = {
                "plate": piece["PLATE"].astype(np.int32),
                "mjd": piece["MJD"].astype(np.int32),
                "fiber": piece["FIBERID"].astype(np.int32),
                "bestobjid": _whole(piece["BESTOBJID"]),
            }
            yield own | _common(piece, "PLUG_RA", "PLUG_DEC")

    def find(self, columns: Columns, wanted: frozenset[str]) -> Found:
        """By plate-mjd-fiber, spectrum_id or specObjID."""
        return _find(columns, ("plate", "mjd", "fiber"), wanted)

    def sort_keys(self, columns: Columns) -> tuple[NDArray[Any], ...]:
        """Plate, MJD, fiber."""
        return columns["plate"], columns["mjd"], columns["fiber"]

    def group_keys(self, columns: Columns) -> list[NDArray[np.int64]]:
        """BESTOBJID: the photometric object at the fiber's position (0: none)."""
        return [np.maximum(columns["bestobjid"], 0)]

    def spectrum_ids(self, columns: Columns) -> list[str]:
        """Plates are padded to five digits, so that text sorts as numbers do."""
        rows = _rows(columns, "plate", "mjd", "fiber")
        return [f"sdss-{plate:05d}-{mjd}-{fiber:04d}" for plate, mjd, fiber in rows]

    def describe(self, columns: Columns) -> Mapping[str, Any]:
        """Path of the lite file, and plate-mjd-fiber."""
        rows = list(_rows(columns, "plate", "mjd", "fiber", "run2d"))
        return {
            "survey": "sdss",
            "release": "dr17",
            "path": [legacy_path(*row) for row in rows],
            "identity": [f"{plate}-{mjd}-{fiber}" for plate, mjd, fiber, _ in rows],
        }


class SpAllLite(SdssCatalogue):
    """DR19's spAll-lite: one row a spectrum, named by field, MJD and catalogid."""

    columns = ("FIELD", "MJD", "CATALOGID", "SDSS_ID", "RACAT", "DECCAT", "PLUG_RA", "PLUG_DEC")
    kept = ("field", "mjd", "catalogid", "sdss_id", "run2d")

    def pieces(self) -> Iterator[Columns]:
        """Yield the table.

        The position is the target's, since fibers may be offset from it by design (FIBER_OFFSET);
        where the catalogue has none, the fiber's.
        """
        for piece in self.table.pieces():
            missing = ~((piece["RACAT"] >= 0) & (piece["RACAT"] <= 360))
            for target, fiber in (("RACAT", "PLUG_RA"), ("DECCAT", "PLUG_DEC")):
                piece[target] = np.where(missing, piece[fiber], piece[target])
            own: Columns = {
                "field": piece["FIELD"].astype(np.int64),
                "mjd": piece["MJD"].astype(np.int32),
                "catalogid": piece["CATALOGID"].astype(np.int64),
                "sdss_id": piece["SDSS_ID"].astype(np.int64),
            }
            yield own | _common(piece, "RACAT", "DECCAT")

    def own_cuts(self) -> list[Cut]:
        """Fibers without a target (negative CATALOGID) have no file of their own name."""
        assigned = Cut("has a catalogid", lambda columns: columns["catalogid"] > 0)
        return [assigned, *super().own_cuts()]

    def find(self, columns: Columns, wanted: frozenset[str]) -> Found:
        """By field-mjd-catalogid, spectrum_id or SPECOBJID."""
        return _find(columns, ("field", "mjd", "catalogid"), wanted)

    def sort_keys(self, columns: Columns) -> tuple[NDArray[Any], ...]:
        """Field, MJD, catalogid."""
        return columns["field"], columns["mjd"], columns["catalogid"]

    def group_keys(self, columns: Columns) -> list[NDArray[np.int64]]:
        """SDSS_ID and CATALOGID (negative: none)."""
        return [np.maximum(columns[name], 0) for name in ("sdss_id", "catalogid")]

    def spectrum_ids(self, columns: Columns) -> list[str]:
        """Numbers are padded, so that text sorts as numbers do."""
        rows = _rows(columns, "field", "mjd", "catalogid")
        return [f"sdss-{field:06d}-{mjd}-{catalogid:017d}" for field, mjd, catalogid in rows]

    def describe(self, columns: Columns) -> Mapping[str, Any]:
        """Path of the lite file, and field-mjd-catalogid."""
        rows = list(_rows(columns, "field", "mjd", "catalogid", "run2d"))
        return {
            "survey": "sdss",
            "release": "dr19",
            "path": [sdss5_path(*row) for row in rows],
            "identity": [f"{field}-{mjd}-{catalogid}" for field, mjd, catalogid, _ in rows],
        }
