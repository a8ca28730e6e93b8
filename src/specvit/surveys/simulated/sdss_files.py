"""SDSS's own layouts: the lite spectrum file and the catalogue specObj."""

from __future__ import annotations

import csv
from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from specvit.surveys.simulated.exposure import Exposure
from specvit.surveys.simulated.fits_bytes import (
    Column,
    card,
    header,
    remark,
    row_dtype,
    table,
    table_cards,
)
from specvit.surveys.simulated.lines import SPZLINE
from specvit.surveys.simulated.objects import CLASS_NAMES, Structured
from specvit.surveys.simulated.observations import (
    MISFILED_PLATE,
    PROGRAMS,
    Universe,
)
from specvit.surveys.simulated.subclasses import sdss_subclass

NOTICE = "SIMULATED: not an observation, made by specvit's simulated sky"

# Columns of specObj that a catalogue of millions of rows can do without here.
_LEFT_OUT = {
    "OBJID", "TCOLUMN", "THETA", "FRACNSIGMA", "FRACNSIGHI", "FRACNSIGLO", "SPECTROFLUX",
    "SPECTROFLUX_IVAR", "SPECTROSYNFLUX", "SPECTROSYNFLUX_IVAR", "SPECTROSKYFLUX", "CALIBFLUX",
    "CALIBFLUX_IVAR", "TFILE", "ELODIE_FILENAME", "ELODIE_OBJECT", "ELODIE_SPTYPE", "ELODIE_BV",
    "ELODIE_TEFF", "ELODIE_LOGG", "ELODIE_FEH", "ELODIE_Z", "ELODIE_Z_ERR", "ELODIE_Z_MODELERR",
    "ELODIE_RCHI2", "ELODIE_DOF", "VDISPZ", "VDISPZ_ERR", "VDISPCHI2", "VDISPNPIX", "VDISPDOF",
}  # fmt: skip
# Columns that joined specObj after the files our column list was read from, and wider ones.
_ADDED = (
    Column("SPECSDSS", "B"),
    Column("THING_ID", "J"),
    Column("EBOSS_TARGET0", "K"),
    Column("EBOSS_TARGET1", "K"),
    Column("EBOSS_TARGET2", "K"),
)
_WIDER = {"RUN2D": "7A", "RUN1D": "7A", "FIRSTRELEASE": "4A", "PLATEID": "20A", "SUBCLASS": "21A"}


@lru_cache(maxsize=8)
def columns_of(name: str) -> tuple[Column, ...]:
    """Return the columns of a table of the lite files: SPECOBJ, SPALL or SPZLINE."""
    text = resources.files(__package__).joinpath("sdss_columns.csv").read_text("utf-8")
    return tuple(
        Column(
            row["name"], row["format"], tuple(map(int, row["dim"].split(":") if row["dim"] else ()))
        )
        for row in csv.DictReader(text.splitlines())
        if row["table"] == name
    )


@lru_cache(maxsize=1)
def catalogue_columns() -> tuple[Column, ...]:
    """Return the columns of specObj that the simulated catalogue has."""
    kept = tuple(
        Column(c.name, _WIDER.get(c.name, c.form), c.dim)
        for c in columns_of("SPECOBJ")
        if c.name not in _LEFT_OUT
    )
    return kept + _ADDED


def _coadd_columns(boss: bool) -> tuple[Column, ...]:
    names = ("flux", "loglam", "ivar", "and_mask", "or_mask", "wdisp", "sky", "model")
    return tuple(
        Column(name.upper() if boss else name, "J" if name.endswith("mask") else "E")
        for name in names
    )


def run2d_served(rows: Structured) -> NDArray[np.str_]:
    """Reduction under which each spectrum's file is."""
    return np.array([p.run2d for p in PROGRAMS])[rows["program"]]


def run2d_listed(rows: Structured) -> NDArray[np.str_]:
    """Reduction that the catalogue names: not the same for DR17's misfiled plates."""
    return np.where(rows["plate"] == MISFILED_PLATE, "26", run2d_served(rows))


def _run2d_number(run2d: NDArray[np.str_]) -> NDArray[np.int64]:
    """26 -> 26, v5_13_2 -> 1302: as packed into SPECOBJID."""
    numbers = {"26": 26, "103": 103, "104": 104, "v5_13_2": 1302}
    return np.array([numbers[name] for name in run2d.tolist()], dtype=np.int64)


def spec_ids(rows: Structured) -> NDArray[np.int64]:
    """SPECOBJID: plate, fiber, MJD - 50000 and run2d packed into 64 bits (SDSS CAS)."""
    ids: NDArray[np.int64] = (
        (rows["plate"] << 50)
        + (rows["fiber"] << 38)
        + ((rows["mjd"] - 50000) << 24)
        + (_run2d_number(run2d_listed(rows)) << 10)
    )
    return ids


def _text(values: NDArray[np.str_] | list[str] | str, width: int) -> NDArray[np.bytes_]:
    """FITS text is padded with spaces, not with NUL as numpy does."""
    return np.char.ljust(np.asarray(values).astype(f"S{width}"), width)


def _right(values: NDArray[np.int64], width: int) -> NDArray[np.bytes_]:
    return np.char.rjust(values.astype(f"S{width}"), width)


def fill_rows(out: Structured, rows: Structured, universe: Universe) -> None:
    """Fill a table that has (some of) SPECOBJ's or SPALL's columns for these spectra."""
    names = set(out.dtype.names or ())
    for name in names:
        if out.dtype[name].kind == "S":
            out[name] = b" " * out.dtype[name].itemsize
    seen = universe.objects[rows["object"]]
    program = [PROGRAMS[i] for i in rows["program"]]
    boss = np.array([p.boss for p in program])
    survey = np.array([p.survey for p in program])
    ids = spec_ids(rows)
    photo = 1237645879551000000 + rows["object"]
    ra, dec = np.radians(rows["ra"]), np.radians(rows["dec"])
    counts = np.bincount(universe.sdss["object"], minlength=len(universe.objects))
    values: dict[str, object] = {
        "SURVEY": survey,
        "INSTRUMENT": np.where(boss, "BOSS", "SDSS"),
        "CHUNK": "simulated",
        "PROGRAMNAME": [p.name for p in program],
        "PLATERUN": "simulated",
        "PLATEQUALITY": "good",
        "PLATESN2": np.where(boss, 12.0, 18.0),
        "LAMBDA_EFF": np.where(boss & (seen["kind"] == 2), 4000.0, 5400.0),
        "SPECPRIMARY": rows["primary"],
        "SPECSDSS": rows["primary"] & ~boss,
        "SPECLEGACY": rows["primary"] & (survey == "sdss"),
        "SPECSEGUE": rows["primary"] & np.char.startswith(survey, "segue"),
        "SPECSEGUE1": rows["primary"] & (survey == "segue1"),
        "SPECSEGUE2": rows["primary"] & (survey == "segue2"),
        "SPECBOSS": rows["primary"] & boss,
        "NSPECOBS": counts[rows["object"]],
        "FIRSTRELEASE": np.where(boss, "dr16", "dr7"),
        "RUN2D": run2d_listed(rows),
        "RUN1D": np.where(boss, "v5_13_2", ""),
        "DESIGNID": -1,
        "CX": np.cos(ra) * np.cos(dec),
        "CY": np.sin(ra) * np.cos(dec),
        "CZ": np.sin(dec),
        "SOURCETYPE": CLASS_NAMES[seen["kind"]],
        "OBJTYPE": CLASS_NAMES[seen["kind"]],
        "TARGETTYPE": "SCIENCE",
        "SPECTROGRAPHID": 1 + (rows["fiber"] > np.where(boss, 500, 320)),
        "PLATE": rows["plate"],
        "TILE": rows["plate"] + 9000,
        "MJD": rows["mjd"],
        "FIBERID": rows["fiber"],
        "PLUG_RA": rows["ra"],
        "PLUG_DEC": rows["dec"],
        "RA": rows["ra"],
        "DEC": rows["dec"],
        "CLASS": CLASS_NAMES[seen["kind"]],
        "SUBCLASS": sdss_subclass(seen, rows["snr_all"], boss),
        "Z": rows["z"],
        "Z_ERR": rows["z_err"],
        "RCHI2": 1.0,
        "DOF": np.where(boss, 4500, 3770),
        "RCHI2DIFF": np.where(rows["zwarning"] & 4, 0.003, 0.02 * rows["snr_all"]),
        "WAVEMIN": np.where(boss, 3570.0, 3805.0),
        "WAVEMAX": np.where(boss, 10350.0, 9205.0),
        "WCOVERAGE": np.where(boss, 0.45, 0.378),
        "ZWARNING": rows["zwarning"],
        "SN_MEDIAN_ALL": rows["snr_all"],
        "SN_MEDIAN": rows["snr"],
        "VDISP": np.where(seen["kind"] == 1, seen["sigma"], 0.0),
        "CHI68P": 1.0,
        "THING_ID": rows["object"] + 1,
        "NTURNOFF": -1,
        "BLUEFIBER": 0,
    }
    for name, value in values.items():
        if name not in names:
            continue
        kind = out.dtype[name]
        out[name] = _text(value, kind.itemsize) if kind.kind == "S" else value  # type: ignore[arg-type]
    # Identifiers are text in specObj, integers in the BOSS lite files.
    if out.dtype["SPECOBJID"].kind == "S":
        out["SPECOBJID"] = _right(ids, 22)
        out["PLATEID"] = _right(rows["plate"] << 50, out.dtype["PLATEID"].itemsize)
        for name in ("FLUXOBJID", "BESTOBJID"):
            out[name] = _right(photo, 19)
        out["TARGETOBJID"] = _right(photo, 22)
    else:
        # Unsigned by FITS's convention: stored less 2**63 (TZERO).
        out["SPECOBJID"] = (ids.astype(np.uint64) ^ np.uint64(1 << 63)).view(np.int64)


def catalogue(universe: Universe) -> bytes:
    """Return specObj-dr17.fits: one row for every spectrum."""
    columns = catalogue_columns()
    rows = np.zeros(len(universe.sdss), row_dtype(columns))
    fill_rows(rows, universe.sdss, universe)
    primary = header(
        [
            card("SIMPLE", True, "conforms to FITS standard"),
            card("BITPIX", 8, "array data type"),
            card("NAXIS", 0, "number of array dimensions"),
            card("EXTEND", True),
            card("ORIGIN", "SIMULATED", "not an archive's catalogue"),
            remark(NOTICE, "HISTORY"),
        ]
    )
    return primary + table(header(table_cards(columns, len(rows), "SPECOBJ")), rows)


def _primary(row: np.void, exposure: Exposure) -> bytes:
    program = PROGRAMS[row["program"]]
    boss = program.boss
    plate, mjd, fiber = int(row["plate"]), int(row["mjd"]), int(row["fiber"])
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
        card("VERS2D", program.run2d if boss else "v5_3_12", "Version of idlspec2d"),
        card("VERSCOMB", program.run2d if boss else "v5_3_12", "Version of idlspec2d"),
    ]
    if boss:
        cards.append(card("RUN2D", program.run2d, "Spectro-2D reduction name"))
    cards += [
        card("VACUUM", True, "Wavelengths are in vacuum"),
        card("NWORDER", 2, "Linear-log10 coefficients"),
        card("WFITTYPE", "LOG-LINEAR", "Linear-log10 dispersion"),
        card(
            "COEFF0",
            round(exposure.pixels.first * 1e-4, 4),
            "Central wavelength (log10) of first pixel",
        ),
        card("COEFF1", 0.0001, "Log10 dispersion per pixel"),
        card("WAT0_001", "system=linear"),
        card("WAT1_001", "wtype=linear label=Wavelength units=Angstroms"),
        card("DC-FLAG", 1, "Log-linear flag"),
        card("BUNIT", "1E-17 erg/cm^2/s/Ang"),
        card("NEXP", 8 if boss else 6, "Number of individual exposures"),
        card("PLUG_RA", round(float(row["ra"]), 7), "RA of object [deg]"),
        card("PLUG_DEC", round(float(row["dec"]), 7), "dec of object [deg]"),
    ]
    if boss:
        cards.append(card("THING_ID", int(row["object"]) + 1, "Unique object identifier"))
    else:
        cards.append(
            card("SPEC_ID", f"{spec_ids(np.atleast_1d(row))[0]:>22}", "Unique object identifier")
        )
    cards += [
        card("FIBERID", fiber, f"Fiber number (1-{1000 if boss else 640})"),
        remark(NOTICE, "HISTORY"),
    ]
    return header(cards)


@lru_cache(maxsize=4)
def _summary_header(boss: bool) -> tuple[bytes, np.dtype[np.void]]:
    columns = columns_of("SPALL" if boss else "SPECOBJ")
    extra = []
    if boss:
        number = [c.name for c in columns].index("SPECOBJID") + 1
        extra = [card(f"TSCAL{number}", 1), card(f"TZERO{number}", 1 << 63)]
    cards = table_cards(columns, 1, None if boss else "SPECOBJ", extra)
    return header(cards), row_dtype(columns)


@lru_cache(maxsize=4)
def _line_template(boss: bool) -> tuple[bytes, Structured]:
    columns = columns_of("SPZLINE")
    rows = np.zeros(len(SPZLINE), row_dtype(columns))
    rows["LINENAME"] = _text([name for name, _ in SPZLINE], 13)
    rows["LINEWAVE"] = [wave for _, wave in SPZLINE]
    # Not fitted, as for lines outside the spectrum.
    for name in ("LINEZ_ERR", "LINESIGMA_ERR", "LINEAREA_ERR", "LINEEW_ERR", "LINECONTLEVEL_ERR"):
        rows[name] = -1
    rows["LINECHI2"] = -1
    return header(table_cards(columns, len(rows), None if boss else "SPZLINE")), rows


def lite(
    row: np.void,
    exposure: Exposure,
    model: NDArray[np.float32],
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
    universe: Universe,
) -> bytes:
    """Return a lite file: primary header, coadded spectrum, catalogue row and line table."""
    boss = PROGRAMS[row["program"]].boss
    columns = _coadd_columns(boss)
    pixels = np.empty(exposure.pixels.count, row_dtype(columns))
    arrays = (
        flux,
        exposure.pixels.loglam,
        ivar,
        exposure.and_mask,
        exposure.or_mask,
        exposure.pixels.dispersion,
        exposure.sky,
        model,
    )
    for column, values in zip(columns, arrays, strict=True):
        pixels[column.name] = values
    coadd = table(header(table_cards(columns, len(pixels), None if boss else "COADD")), pixels)

    head, kind = _summary_header(boss)
    summary = np.zeros(1, kind)
    fill_rows(summary, np.atleast_1d(row), universe)
    line_head, template = _line_template(boss)
    lines = template.copy()
    lines["PLATE"], lines["MJD"], lines["FIBERID"] = row["plate"], row["mjd"], row["fiber"]
    lines["LINEZ"] = row["z"]
    return _primary(row, exposure) + coadd + table(head, summary) + table(line_head, lines)
