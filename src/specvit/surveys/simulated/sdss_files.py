"""SDSS's own layouts: the lite spectrum file and the catalogue specObj."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specvit.spectrum.fits_write import (
    Column,
    card,
    header,
    remark,
    row_dtype,
    table,
    table_header,
    text_field,
)
from specvit.surveys.simulated.exposure import NOTICE, Exposure
from specvit.surveys.simulated.lines import SPZLINE
from specvit.surveys.simulated.objects import CLASS_NAMES, GALAXY, NONE, QSO, Structured
from specvit.surveys.simulated.observations import MISFILED_PLATE, PROGRAMS, Universe
from specvit.surveys.simulated.subclasses import sdss_subclass

BLOCK_ROWS = 256

# Columns of specObj that a catalogue of many rows can do without here: vectors and fits of stars.
_LEFT_OUT = (
    "OBJID", "TCOLUMN", "THETA", "FRACNSIGMA", "FRACNSIGHI", "FRACNSIGLO", "SPECTROFLUX",
    "SPECTROFLUX_IVAR", "SPECTROSYNFLUX", "SPECTROSYNFLUX_IVAR", "SPECTROSKYFLUX", "CALIBFLUX",
    "CALIBFLUX_IVAR", "TFILE", "ELODIE_FILENAME", "ELODIE_OBJECT", "ELODIE_SPTYPE", "ELODIE_BV",
    "ELODIE_TEFF", "ELODIE_LOGG", "ELODIE_FEH", "ELODIE_Z", "ELODIE_Z_ERR", "ELODIE_Z_MODELERR",
    "ELODIE_RCHI2", "ELODIE_DOF", "VDISPZ", "VDISPZ_ERR", "VDISPCHI2", "VDISPNPIX", "VDISPDOF",
)  # fmt: skip
# Columns that joined specObj after the lite files of run2d 26 were written, and wider ones.
_ADDED = (
    Column("SPECSDSS", "B"),
    Column("THING_ID", "J"),
    Column("EBOSS_TARGET0", "K"),
    Column("EBOSS_TARGET1", "K"),
    Column("EBOSS_TARGET2", "K"),
)
_WIDER = {"RUN2D": "7A", "RUN1D": "7A", "FIRSTRELEASE": "4A", "PLATEID": "20A"}
# Number of a reduction as packed into SPECOBJID.
_RUN2D_NUMBER = {"26": 26, "103": 103, "104": 104, "v5_13_2": 1302}


@lru_cache(maxsize=4)
def columns_of(name: str) -> tuple[Column, ...]:
    """Return the columns of a table of the lite files: SPECOBJ, SPALL or SPZLINE."""
    text = resources.files(__package__).joinpath("sdss_columns.txt").read_text("utf-8")
    # Below each table's name in brackets: name, format and, of arrays, shape.
    entries = text.split(f"[{name}]")[1].split("[")[0].split(",")
    columns = [entry.split() for entry in entries]
    shapes = [tuple(int(n) for part in rest for n in part.split(":")) for _, _, *rest in columns]
    return tuple(
        Column(column[0], column[1], shape) for column, shape in zip(columns, shapes, strict=True)
    )


@lru_cache(maxsize=1)
def catalogue_columns() -> tuple[Column, ...]:
    """Return the columns of specObj that the simulated catalogue has."""
    kept = [column for column in columns_of("SPECOBJ") if column.name not in _LEFT_OUT]
    return (*(Column(c.name, _WIDER.get(c.name, c.form), c.dim) for c in kept), *_ADDED)


@lru_cache(maxsize=2)
def coadd_columns(boss: bool) -> tuple[Column, ...]:
    """Return the columns of the coadded spectrum; BOSS-era files have upper case."""
    names = ("flux", "loglam", "ivar", "and_mask", "or_mask", "wdisp", "sky", "model")
    return tuple(
        Column(name.upper() if boss else name, "J" if name.endswith("mask") else "E")
        for name in names
    )


def _of_program(rows: Structured, value: Callable[[Any], Any]) -> NDArray[Any]:
    return np.asarray(np.array([value(program) for program in PROGRAMS])[rows["program"]])


def is_boss(rows: Structured) -> NDArray[np.bool_]:
    """Whether the BOSS spectrographs took each spectrum."""
    return _of_program(rows, lambda program: program.boss)


def run2d_listed(rows: Structured) -> NDArray[np.str_]:
    """Reduction that the catalogue names: not the one of the path for DR17's misfiled plates."""
    served = _of_program(rows, lambda program: program.run2d)
    return np.where(rows["plate"] == MISFILED_PLATE, "26", served)


def spec_ids(rows: Structured) -> NDArray[np.int64]:
    """SPECOBJID: plate, fiber, MJD - 50000 and run2d packed into 64 bits (SDSS CAS)."""
    number = np.array([_RUN2D_NUMBER[name] for name in run2d_listed(rows).tolist()], np.int64)
    ids: NDArray[np.int64] = (rows["plate"] << 50) + (rows["fiber"] << 38)
    return np.asarray(ids + ((rows["mjd"] - 50000) << 24) + (number << 10))


def values_of(rows: Structured, universe: Universe) -> dict[str, Any]:
    """Columns of SPECOBJ, SPALL and the catalogues that these spectra have a value for."""
    seen = universe.objects[rows["object"]]
    boss = is_boss(rows)
    survey = _of_program(rows, lambda program: program.survey)
    primary = rows["primary"]
    nothing = seen["kind"] == NONE
    # The pipeline gives every fiber the class that fits best, those on nothing too.
    names = CLASS_NAMES[np.where(nothing, rows["fiber"] % 3, seen["kind"])]
    ra, dec = np.radians(rows["ra"]), np.radians(rows["dec"])
    return {
        "SURVEY": survey,
        "INSTRUMENT": np.where(boss, "BOSS", "SDSS"),
        # Free text in the real tables: where a row can say that it is simulated.
        "CHUNK": "simulated",
        "PLATERUN": "simulated",
        "PROGRAMNAME": _of_program(rows, lambda program: program.name),
        "PLATEQUALITY": "good",
        "PLATESN2": np.where(boss, 12.0, 18.0),
        "LAMBDA_EFF": np.where(boss & (seen["kind"] == QSO), 4000.0, 5400.0),
        "NTURNOFF": -1,
        "SPECPRIMARY": primary,
        "SPECSDSS": primary & ~boss,
        "SPECLEGACY": primary & (survey == "sdss"),
        "SPECSEGUE": primary & np.char.startswith(survey, "segue"),
        "SPECSEGUE1": primary & (survey == "segue1"),
        "SPECSEGUE2": primary & (survey == "segue2"),
        "SPECBOSS": primary & boss,
        "NSPECOBS": universe.sdss_visits[rows["object"]],
        "FIRSTRELEASE": np.where(boss, "dr16", "dr7"),
        "RUN2D": run2d_listed(rows),
        "RUN1D": np.where(boss, "v5_13_2", ""),
        "DESIGNID": -1,
        "CX": np.cos(ra) * np.cos(dec),
        "CY": np.sin(ra) * np.cos(dec),
        "CZ": np.sin(dec),
        "SOURCETYPE": np.where(nothing, "SKY", names),
        "OBJTYPE": np.where(nothing, "SKY", names),
        "TARGETTYPE": np.where(nothing, "SKY", "SCIENCE"),
        "SPECTROGRAPHID": 1 + (rows["fiber"] > np.where(boss, 500, 320)),
        "PLATE": rows["plate"],
        "TILE": rows["plate"] + 9000,
        "MJD": rows["mjd"],
        "FIBERID": rows["fiber"],
        "PLUG_RA": rows["ra"],
        "PLUG_DEC": rows["dec"],
        "RA": rows["ra"],
        "DEC": rows["dec"],
        "CLASS": names,
        "SUBCLASS": sdss_subclass(seen, rows["snr_all"], boss),
        "Z": rows["z"],
        "Z_ERR": rows["z_err"],
        "RCHI2": 1.0,
        "DOF": np.where(boss, 4500, 3770),
        "RCHI2DIFF": np.where(rows["zwarning"] & 4, 0.003, 0.02 * rows["snr_all"]),
        "VDISP": np.where(seen["kind"] == GALAXY, seen["sigma"], 0.0),
        "WAVEMIN": np.where(boss, 3570.0, 3805.0),
        "WAVEMAX": np.where(boss, 10350.0, 9205.0),
        "WCOVERAGE": np.where(boss, 0.45, 0.378),
        "ZWARNING": rows["zwarning"],
        "SN_MEDIAN_ALL": rows["snr_all"],
        "SN_MEDIAN": rows["snr"],
        "CHI68P": 1.0,
        "THING_ID": rows["object"] + 1,
    }


def _photometric_ids(rows: Structured) -> NDArray[np.str_]:
    """BESTOBJID as text; one object in 40 has no photometric match, as in the real table."""
    ids = (1237645879551000000 + rows["object"]).astype("U19")
    return np.where(rows["object"] % 40 == 7, "", ids)


def fill(columns: tuple[Column, ...], rows: Structured, universe: Universe) -> Structured:
    """Return the table of these columns of DR17; what is not simulated is 0 or blank."""
    values = values_of(rows, universe)
    ids, photometric = spec_ids(rows), _photometric_ids(rows)
    if row_dtype(columns)["SPECOBJID"].kind == "S":
        values["SPECOBJID"] = np.char.rjust(ids.astype("U22"), 22)
        values["TARGETOBJID"] = np.char.rjust(photometric, 22)
        values["FLUXOBJID"] = values["BESTOBJID"] = photometric
        values["PLATEID"] = (rows["plate"] << 50).astype("U20")
    else:
        values["OBJID"] = photometric
        # Unsigned by FITS's convention: stored less 2**63 (TZERO).
        values["SPECOBJID"] = (ids.astype(np.uint64) ^ np.uint64(1 << 63)).view(np.int64)
    return filled(columns, values, len(rows))


def filled(columns: tuple[Column, ...], values: dict[str, Any], rows: int) -> Structured:
    """Return a table of these columns and so many rows; what has no value is 0 or blank."""
    out = np.zeros(rows, row_dtype(columns))
    for column in columns:
        kind = out.dtype[column.name]
        if kind.kind == "S":
            out[column.name] = text_field(values.get(column.name, ""), kind.itemsize)
        elif column.name in values:
            out[column.name] = values[column.name]
    return out


def primary_header(*cards: bytes) -> bytes:
    """Return the header of an empty primary HDU that says that it is simulated."""
    return header(
        [
            card("SIMPLE", True, "conforms to FITS standard"),
            card("BITPIX", 8, "array data type"),
            card("NAXIS", 0, "number of array dimensions"),
            card("EXTEND", True),
            card("ORIGIN", "SIMULATED", "not an archive's catalogue"),
            *cards,
            remark(NOTICE, "HISTORY"),
        ]
    )


class SdssFiles:
    """Writes the simulated SDSS's files."""

    def __init__(self, universe: Universe) -> None:
        self.universe = universe
        # Rows are filled in blocks, as columns: one at a time costs as much as the spectrum.
        self._filled = lru_cache(maxsize=16)(self._fill_block)

    def catalogue(self) -> bytes:
        """Return specObj-dr17.fits: one row for every spectrum."""
        rows = fill(catalogue_columns(), self.universe.sdss, self.universe)
        head = table_header(catalogue_columns(), len(rows), "SPECOBJ")
        return table(primary_header() + head, rows)

    def lite(self, number: int, exposure: Exposure, arrays: dict[str, NDArray[Any]]) -> bytes:
        """Return a lite file: primary header, coadded spectrum, catalogue row and line table.

        `arrays` are the columns of the spectrum that the exposure's pixels do not give: flux,
        ivar, model and sky.
        """
        row = self.universe.sdss[number]
        boss = PROGRAMS[row["program"]].boss
        coadd = coadd_table(boss, exposure, arrays)
        block = self._filled(boss, number // BLOCK_ROWS)
        place = number % BLOCK_ROWS
        summary = table(_summary_header(boss), block[place : place + 1])
        return _primary(row, exposure) + coadd + summary + line_table(row, boss)

    def _fill_block(self, boss: bool, block: int) -> Structured:
        rows = self.universe.sdss[block * BLOCK_ROWS : (block + 1) * BLOCK_ROWS]
        return fill(columns_of("SPALL" if boss else "SPECOBJ"), rows, self.universe)


def coadd_table(boss: bool, exposure: Exposure, arrays: dict[str, NDArray[Any]]) -> bytes:
    """Return the HDU of the coadded spectrum; `arrays` as of SdssFiles.lite."""
    columns = coadd_columns(boss)
    pixels = np.empty(exposure.pixels.count, row_dtype(columns))
    arrays = arrays | {
        "loglam": exposure.pixels.loglam,
        "and_mask": exposure.and_mask,
        "or_mask": exposure.or_mask,
        "wdisp": exposure.pixels.dispersion,
    }
    for column in columns:
        pixels[column.name] = arrays[column.name.lower()]
    return table(_coadd_header(boss, len(pixels)), pixels)


@lru_cache(maxsize=256)
def _coadd_header(boss: bool, pixels: int) -> bytes:
    return table_header(coadd_columns(boss), pixels, None if boss else "COADD")


@lru_cache(maxsize=2)
def _summary_header(boss: bool) -> bytes:
    if not boss:
        return table_header(columns_of("SPECOBJ"), 1, "SPECOBJ")
    columns = columns_of("SPALL")
    number = [column.name for column in columns].index("SPECOBJID") + 1
    unsigned = [card(f"TSCAL{number}", 1), card(f"TZERO{number}", 1 << 63)]
    return table_header(columns, 1, None, unsigned)


@lru_cache(maxsize=2)
def _line_template(boss: bool) -> tuple[bytes, Structured]:
    columns = columns_of("SPZLINE")
    rows = np.zeros(len(SPZLINE), row_dtype(columns))
    rows["LINENAME"] = text_field([name for name, _ in SPZLINE], 13)
    rows["LINEWAVE"] = [wave for _, wave in SPZLINE]
    # Not fitted, as for lines outside the spectrum.
    for name in ("LINEZ_ERR", "LINESIGMA_ERR", "LINEAREA_ERR", "LINEEW_ERR", "LINECONTLEVEL_ERR"):
        rows[name] = -1
    rows["LINECHI2"] = -1
    return table_header(columns, len(rows), None if boss else "SPZLINE"), rows


def line_table(row: np.void, boss: bool) -> bytes:
    """Return the table of lines of a lite file."""
    head, template = _line_template(boss)
    rows = template.copy()
    rows["PLATE"], rows["MJD"], rows["FIBERID"] = row["plate"], row["mjd"], row["fiber"]
    rows["LINEZ"] = row["z"]
    return table(head, rows)


def _primary(row: np.void, exposure: Exposure) -> bytes:
    """Primary header, shared by the reductions but for a few cards."""
    program = PROGRAMS[row["program"]]
    boss = program.boss
    plate, mjd, fiber = int(row["plate"]), int(row["mjd"]), int(row["fiber"])
    reduced = program.run2d if boss else "v5_3_12"
    first = round(exposure.pixels.first * 1e-4, 4)
    cards = [
        card("SIMPLE", True, "conforms to FITS standard"),
        card("BITPIX", 16 if boss else 8, "array data type"),
        card("NAXIS", 0, "number of array dimensions"),
        card("EXTEND", True),
        card("ORIGIN", "SIMULATED", "not an observation: made by specvit"),
        card("TELESCOP", "SDSS 2.5-M", "Sloan Digital Sky Survey"),
        card("FLAVOR", "science", "exposure type, SDSS spectro style"),
        card("MJD", mjd, "MJD of observation"),
        card("MJDLIST", str(mjd)),
        card("NAME", f"{plate:04d}-{mjd}-01", "Name of the plugged plate"),
        card("PLATEID", plate, "Plate Id"),
        card("TILEID", plate + 9000, "Tile Id"),
        card("CARTID", plate % 9 + 1, "Cartridge used in this plugging"),
        card("MAPID", 1, "Map Id"),
        card("EQUINOX", 2000.0),
        card("RADECSYS", "FK5"),
        card("EXPTIME", 4500.0 if boss else 3600.0, "Minimum of exposure times for all cameras"),
        card("VERS2D", reduced, "Version of idlspec2d for 2D reduction"),
        card("VERSCOMB", reduced, "Version of idlspec2d for combining"),
        card("VACUUM", True, "Wavelengths are in vacuum"),
        card("NWORDER", 2, "Linear-log10 coefficients"),
        card("WFITTYPE", "LOG-LINEAR", "Linear-log10 dispersion"),
        card("COEFF0", first, "Central wavelength (log10) of first pixel"),
        card("COEFF1", 0.0001, "Log10 dispersion per pixel"),
        card("WAT0_001", "system=linear"),
        card("WAT1_001", "wtype=linear label=Wavelength units=Angstroms"),
        card("DC-FLAG", 1, "Log-linear flag"),
        card("BUNIT", "1E-17 erg/cm^2/s/Ang"),
        card("NEXP", 8 if boss else 6, "Number of individual exposures"),
        card("PLUG_RA", float(row["ra"]), "RA of object [deg]"),
        card("PLUG_DEC", float(row["dec"]), "dec of object [deg]"),
        card("FIBERID", fiber, f"Fiber number (1-{1000 if boss else 640})"),
    ]
    if boss:
        cards.append(card("RUN2D", program.run2d, "Spectro-2D reduction name"))
        cards.append(card("THING_ID", int(row["object"]) + 1, "Unique object identifier"))
    else:
        identifier = f"{spec_ids(np.atleast_1d(row))[0]:>22}"
        cards.append(card("SPEC_ID", identifier, "Unique object identifier"))
    return header([*cards, remark(NOTICE, "HISTORY")])
