"""LAMOST's own layouts: catalogues as text, spectra as a (5, N) image or a one-row table."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from specvit.surveys.simulated.exposure import Exposure
from specvit.surveys.simulated.fits_bytes import (
    Column,
    card,
    header,
    padded,
    remark,
    row_dtype,
    table_cards,
)
from specvit.surveys.simulated.objects import CLASS_NAMES, LIGHT_SPEED, STAR, Structured
from specvit.surveys.simulated.observations import Universe
from specvit.surveys.simulated.subclasses import lamost_subclass

NOTICE = "SIMULATED: not an observation, made by specvit's simulated sky"
MISSING_BODY = b'{"status":404,"message":"spectrum not found (simulated)"}'
_STORED = 65535  # longest stored block of deflate


def gzipped(data: bytes) -> bytes:
    """Gzip without compressing, so that the bytes do not depend on the machine's zlib (RFC 1952)."""
    parts = [b"\x1f\x8b\x08\0\0\0\0\0\0\xff"]
    for start in range(0, max(len(data), 1), _STORED):
        block = data[start : start + _STORED]
        last = start + _STORED >= len(data)
        size = len(block)
        parts += [bytes([last]), size.to_bytes(2, "little"), (size ^ 0xFFFF).to_bytes(2, "little")]
        parts.append(block)
    parts += [zlib.crc32(data).to_bytes(4, "little"), (len(data) % 2**32).to_bytes(4, "little")]
    return b"".join(parts)


def _designation(ra: float, dec: float) -> str:
    """Name from coordinates: J, hours and degrees in sexagesimal, cut and not rounded."""
    hours = int(ra / 15 * 360000)  # in 0.01 s
    arc = int(abs(dec) * 36000)  # in 0.1 arcsec
    return (
        f"J{hours // 360000:02d}{hours // 6000 % 60:02d}{hours % 6000 / 100:05.2f}"
        f"{'-' if dec < 0 else '+'}{arc // 36000:02d}{arc // 600 % 60:02d}{arc % 600 / 10:04.1f}"
    )


def _plan_name(plan: int) -> str:
    return f"SIM{plan:05d}M01"


def _date(mjd: int) -> str:
    return str(np.datetime64("1858-11-17") + int(mjd))


def _group(universe: Universe) -> NDArray[np.int64]:
    """Group number of each LAMOST row: repeat spectra of an object share it."""
    return universe.lamost["object"] + 1


def _csv(columns: dict[str, Sequence[str]]) -> bytes:
    lines = ["|".join(columns)]
    lines += ["|".join(values) for values in zip(*columns.values(), strict=True)]
    return gzipped(("\n".join(lines) + "\n").encode("ascii"))


def _shared_columns(universe: Universe, rows: Structured) -> dict[str, Sequence[str]]:
    """The columns that LAMOST's catalogues have in common, as DR10 v2.0 names them."""
    seen = universe.objects[rows["object"]]
    n = len(rows)
    snr = rows["snr"]

    def fixed(values: NDArray[np.float64], digits: int) -> list[str]:
        return [f"{value:.{digits}f}" for value in values.tolist()]

    def text(values: NDArray[np.int64]) -> list[str]:
        return [str(value) for value in values.tolist()]

    colour = np.interp(np.log(np.maximum(seen["teff"], 2500)), np.log([2700, 4000, 5800, 9700, 3e4]),
                       [1.6, 1.25, 0.45, -0.15, -0.35])  # fmt: skip
    colour = np.where(seen["kind"] == STAR, colour, 0.6)
    ra, dec = rows["ra"].tolist(), rows["dec"].tolist()
    return {
        "obsid": text(rows["obsid"]),
        "uid": [f"G{value + 10**13}" for value in rows["object"].tolist()],
        "gp_id": text(rows["object"] + 1),
        "designation": [_designation(a, d) for a, d in zip(ra, dec, strict=True)],
        "obsdate": [_date(mjd - 1) for mjd in rows["mjd"].tolist()],
        "lmjd": text(rows["mjd"]),
        "mjd": text(rows["mjd"] - 1),
        "planid": [_plan_name(plan) for plan in rows["plan"].tolist()],
        "spid": text(rows["spectrograph"]),
        "fiberid": text(rows["fiber"]),
        "ra_obs": fixed(rows["ra"], 6),
        "dec_obs": fixed(rows["dec"], 6),
        **{f"snr{band}": fixed(snr[:, i], 2) for i, band in enumerate("ugriz")},
        "class": CLASS_NAMES[seen["kind"]].tolist(),
        "subclass": lamost_subclass(seen).tolist(),
        "z": fixed(rows["z"], 8),
        "z_err": fixed(rows["z_err"], 8),
        "ps_id": ["-9999"] * n,
        "mag_ps_g": fixed(seen["rmag"] + colour, 2),
        "mag_ps_r": fixed(seen["rmag"], 2),
        "mag_ps_i": fixed(seen["rmag"] - 0.4 * colour, 2),
        "mag_ps_z": fixed(seen["rmag"] - 0.6 * colour, 2),
        "mag_ps_y": ["-9999"] * n,
        "gaia_source_id": ["-9999"] * n,
        "gaia_g_mean_mag": ["-9999"] * n,
        "fibertype": ["Obj"] * n,
        "offsets": ["0"] * n,
        "offsets_v": ["0.0"] * n,
        "ra": fixed(rows["ra"], 6),
        "dec": fixed(rows["dec"], 6),
    }


def catalogue(universe: Universe) -> bytes:
    """Return the LRS general catalogue: '|' separated, gzip, one row for every spectrum."""
    rows = universe.lamost
    columns = _shared_columns(universe, rows)
    columns["fibermask"] = ["0"] * len(rows)
    columns["with_norm_flux"] = ["1"] * len(rows)
    return _csv(columns)


def stellar_catalogue(universe: Universe) -> bytes:
    """Return the LRS catalogue of A, F, G and K stars with atmospheric parameters."""
    rows = universe.lamost
    seen = universe.objects[rows["object"]]
    # LASP gives parameters to A, F, G and K stars with enough signal.
    keep = (seen["kind"] == STAR) & (seen["teff"] > 3900) & (seen["teff"] < 9000)
    keep &= ~seen["white_dwarf"] & (rows["snr"][:, 1] > 6)
    rows, seen = rows[keep], seen[keep]
    columns = _shared_columns(universe, rows)
    error = 1 + 20 / np.maximum(rows["snr"][:, 1], 1)
    # The stated error, so that repeats of one star differ by as much as it says.
    wobble = np.sin(rows["obsid"] * 12.9898) * 0.9

    def fixed(values: NDArray[np.float64], digits: int) -> list[str]:
        return [f"{value:.{digits}f}" for value in values.tolist()]

    columns.update(
        {
            "teff": fixed(seen["teff"] + 30 * error * wobble, 2),
            "teff_err": fixed(30 * error, 2),
            "logg": fixed(seen["logg"] + 0.04 * error * wobble, 3),
            "logg_err": fixed(0.04 * error, 3),
            "feh": fixed(seen["feh"] + 0.03 * error * wobble, 3),
            "feh_err": fixed(0.03 * error, 3),
            "rv": fixed(rows["z"] * LIGHT_SPEED, 2),
            "rv_err": fixed(rows["z_err"] * LIGHT_SPEED, 2),
            "alpha_m": ["-9999.0"] * len(rows),
            "alpha_m_err": ["-9999.0"] * len(rows),
            "vsini_lasp": ["-9999.0"] * len(rows),
        }
    )
    return _csv(columns)


def _cards(
    row: np.void, exposure: Exposure, universe: Universe, release: str, as_image: bool
) -> list[bytes]:
    """Header of a spectrum after the mandatory cards; old layouts say SN_G where new say SNRG."""
    seen = universe.objects[np.atleast_1d(row["object"])]
    plan = _plan_name(int(row["plan"]))
    mjd, spectrograph, fiber = int(row["mjd"]), int(row["spectrograph"]), int(row["fiber"])
    name = f"spec-{mjd}-{plan}_sp{spectrograph:02d}-{fiber:03d}.fits"
    ra, dec = round(float(row["ra"]), 6), round(float(row["dec"]), 6)
    cards = [
        remark(" --------FILE INFORMATION"),
        card("FILENAME", name),
        card("OBSID", int(row["obsid"]), "Unique number ID of this spectrum"),
        card("AUTHOR", "specvit simulated sky", "Who compiled the information"),
        card("DATA_V", f"LAMOST {release.upper()}", "Data release version"),
    ]
    if as_image:
        cards.append(card("EXTEN0", "Flux, Inverse, Wavelength, Andmask, Ormask"))
    cards.append(card("N_EXTEN", 1 if as_image else 2, "The extension number"))
    if as_image:
        cards.append(card("EXTNAME", "Flux", "The extension name"))
    cards += [
        card("ORIGIN", "SIMULATED", "Not an observation: made by specvit"),
        card("DATE", f"{_date(mjd)}T00:00:00", "Time when this HDU is created (UTC)"),
        remark(" --------TELESCOPE PARAMETERS"),
        card("TELESCOP", "LAMOST", "GuoShouJing Telescope"),
        card("LONGITUD", 117.58, "[deg] Longitude of site"),
        card("LATITUDE", 40.39, "[deg] Latitude of site"),
        remark(" --------OBSERVATION PARAMETERS"),
        card("DATE-OBS", f"{_date(mjd - 1)}T18:00:00", "The observation median UTC"),
        card("LMJD", mjd, "Local Modified Julian Day"),
        card("MJD", mjd - 1, "Modified Julian Day"),
        card("PLANID", plan, "Plan ID in use"),
        card("RA", ra, "[deg] Right ascension of object"),
        card("DEC", dec, "[deg] Declination of object"),
        card("RA_OBS", ra, "[deg] Right ascension during observing"),
        card("DEC_OBS", dec, "[deg] Declination during observing"),
        card("DESIG", f"LAMOST {_designation(ra, dec)}", "Designation of LAMOST target"),
        card("FIBERID", fiber, "Fiber ID of Object"),
        card("FIBERTYP", "Obj", "Fiber type of object"),
        card("OBS_TYPE", "OBJ", "The type of target (OBJ, FLAT, ARC or BIAS)"),
        card("RADECSYS", "FK5", "Equatorial coordinate system"),
        card("EQUINOX", 2000.0, "Equinox in years"),
        card("NEXP", 3, "Number of valid exposures"),
        card("EXPTIME", 5400.0, "[s] Minimum of exposure time for all cameras"),
        remark(" --------SPECTROGRAPH PARAMETERS"),
        card("SPID", spectrograph, "Spectrograph ID"),
        card("SLIT_MOD", "x2/3", "Slit mode, x1, x2/3 or x1/2"),
        remark(" --------DATA REDUCTION PARAMETERS"),
        card("HELIO", True, "Heliocentric correction"),
        card("VACUUM", True, "Wavelengths are in vacuum"),
        card("NWORDER", 2, "Number of linear-log10 coefficients"),
        card("WFITTYPE", "LOG-LINEAR", "Linear-log10 dispersion"),
        card("COEFF0", 3.5682, "Central wavelength (log10) of first pixel"),
        card("COEFF1", 0.0001, "Log10 dispersion per pixel"),
        card("WAT0_001", "system=linear"),
        card("WAT1_001", "wtype=linear label=Wavelength units=Angstroms"),
        card("CRVAL1", 3.5682, "Central wavelength (log10) of first pixel"),
        card("CD1_1", 0.0001, "Log10 dispersion per pixel"),
        card("CRPIX1", 1, "Starting pixel (1-indexed)"),
        card("CTYPE1", "LINEAR"),
        card("DC-FLAG", 1, "Log-linear flag"),
        remark(" --------SPECTRA ANALYSIS RESULTS"),
        card("VERSPIPE", "v2.9.7", "Version of Pipeline"),
        card("CLASS", str(CLASS_NAMES[seen["kind"]][0]), "Class of object"),
        card("SUBCLASS", str(lamost_subclass(seen)[0]), "Subclass of object"),
        card("Z", round(float(row["z"]), 8), "Redshift of object"),
        card("Z_ERR", round(float(row["z_err"]), 8), "Redshift error of object"),
    ]
    old = int(row["obsid"]) % 5 == 0 and as_image
    for band, value in zip("UGRIZ", row["snr"].tolist(), strict=True):
        cards.append(
            card(
                f"SN_{band}" if old else f"SNR{band}",
                round(value, 2),
                f"SNR of {band.lower()} filter",
            )
        )
    return [*cards, remark(NOTICE, "HISTORY")]


@lru_cache(maxsize=2)
def _table_header(count: int) -> bytes:
    names = ("FLUX", "IVAR", "WAVELENGTH", "ANDMASK", "ORMASK", "NORMALIZATION")
    columns = [Column(name, f"{count}E") for name in names]
    assert row_dtype(columns).itemsize == 24 * count
    return header(table_cards(columns, 1, "COADD"))


def spectrum(
    row: np.void,
    exposure: Exposure,
    arrays: Sequence[NDArray[np.float32]],
    universe: Universe,
    release: str,
) -> bytes:
    """Return a gzip FITS file; `arrays` are flux, ivar and normalisation.

    Which of the two layouts a spectrum has follows its obsid: they do not follow the release.
    """
    flux, ivar, normalised = arrays
    count = exposure.pixels.count
    stack = [flux, ivar, exposure.pixels.wavelength, exposure.and_mask, exposure.or_mask]
    as_image = int(row["obsid"]) % 2 == 0
    top = [
        card("SIMPLE", True, "Primary Header"),
        card("BITPIX", -32 if as_image else 8),
        card("NAXIS", 2 if as_image else 0, "Number of array dimensions"),
    ]
    if as_image:
        top += [card("NAXIS1", count), card("NAXIS2", 5)]
    top.append(card("EXTEND", True))
    head = header(top + _cards(row, exposure, universe, release, as_image))
    if as_image:
        return gzipped(head + padded(np.array(stack, ">f4").tobytes()))
    data = np.array([*stack, normalised], ">f4").tobytes()
    return gzipped(head + _table_header(count) + padded(data))
