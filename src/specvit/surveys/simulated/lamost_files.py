"""LAMOST's own layouts: catalogues as text, spectra as a (5, N) image or a one-row table."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from specvit.spectrum.fits_write import (
    Column,
    card,
    header,
    padded,
    remark,
    table_header,
)
from specvit.surveys.simulated.exposure import NOTICE, Exposure
from specvit.surveys.simulated.objects import CLASS_NAMES, LIGHT_SPEED, STAR, Structured
from specvit.surveys.simulated.observations import Universe
from specvit.surveys.simulated.seeds import Floats
from specvit.surveys.simulated.subclasses import lamost_subclass

MISSING_BODY = b'{"status":404,"message":"spectrum not found (simulated)"}'
_STORED = 65535  # longest stored block of deflate


def gzipped(data: bytes) -> bytes:
    """Gzip without compressing: bytes do not depend on the machine's zlib (RFC 1952)."""
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


def _fixed(values: Floats, digits: int) -> list[str]:
    return [f"{value:.{digits}f}" for value in values.tolist()]


def _text(values: NDArray[np.int64]) -> list[str]:
    return [str(value) for value in values.tolist()]


def _csv(columns: dict[str, Sequence[str]]) -> bytes:
    lines = ["|".join(columns)]
    lines += ["|".join(values) for values in zip(*columns.values(), strict=True)]
    return gzipped(("\n".join(lines) + "\n").encode("ascii"))


def _shared_columns(universe: Universe, rows: Structured) -> dict[str, Sequence[str]]:
    """The columns that LAMOST's catalogues have in common, as DR10 v2.0 names them."""
    seen = universe.objects[rows["object"]]
    n = len(rows)
    snr = rows["snr"]

    # g - r of the main sequence.
    colour = np.interp(
        seen["teff"], [2700, 4000, 5800, 9700, 30000], [1.6, 1.25, 0.45, -0.15, -0.35]
    )
    colour = np.where(seen["kind"] == STAR, colour, 0.6)
    ra, dec = rows["ra"].tolist(), rows["dec"].tolist()
    return {
        "obsid": _text(rows["obsid"]),
        "uid": [f"G{value + 10**13}" for value in rows["object"].tolist()],
        "gp_id": _text(rows["object"] + 1),
        "designation": [_designation(a, d) for a, d in zip(ra, dec, strict=True)],
        "obsdate": [_date(mjd - 1) for mjd in rows["mjd"].tolist()],
        "lmjd": _text(rows["mjd"]),
        "mjd": _text(rows["mjd"] - 1),
        "planid": [_plan_name(plan) for plan in rows["plan"].tolist()],
        "spid": _text(rows["spectrograph"]),
        "fiberid": _text(rows["fiber"]),
        "ra_obs": _fixed(rows["ra"], 6),
        "dec_obs": _fixed(rows["dec"], 6),
        **{f"snr{band}": _fixed(snr[:, i], 2) for i, band in enumerate("ugriz")},
        "class": CLASS_NAMES[seen["kind"]].tolist(),
        "subclass": lamost_subclass(seen, rows["plan"]).tolist(),
        "z": _fixed(rows["z"], 8),
        "z_err": _fixed(rows["z_err"], 8),
        "ps_id": ["-9999"] * n,
        "mag_ps_g": _fixed(seen["rmag"] + colour, 2),
        "mag_ps_r": _fixed(seen["rmag"], 2),
        "mag_ps_i": _fixed(seen["rmag"] - 0.4 * colour, 2),
        "mag_ps_z": _fixed(seen["rmag"] - 0.6 * colour, 2),
        "mag_ps_y": ["-9999"] * n,
        "gaia_source_id": ["-9999"] * n,
        "gaia_g_mean_mag": ["-9999"] * n,
        "fibertype": ["Obj"] * n,
        "offsets": ["0"] * n,
        "offsets_v": ["0.0"] * n,
        "ra": _fixed(rows["ra"], 6),
        "dec": _fixed(rows["dec"], 6),
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

    columns.update(
        {
            "teff": _fixed(seen["teff"] + 30 * error * wobble, 2),
            "teff_err": _fixed(30 * error, 2),
            "logg": _fixed(seen["logg"] + 0.04 * error * wobble, 3),
            "logg_err": _fixed(0.04 * error, 3),
            "feh": _fixed(seen["feh"] + 0.03 * error * wobble, 3),
            "feh_err": _fixed(0.03 * error, 3),
            "rv": _fixed(rows["z"] * LIGHT_SPEED, 2),
            "rv_err": _fixed(rows["z_err"] * LIGHT_SPEED, 2),
            "alpha_m": ["-9999.0"] * len(rows),
            "alpha_m_err": ["-9999.0"] * len(rows),
            "vsini_lasp": ["-9999.0"] * len(rows),
        }
    )
    return _csv(columns)


def _cards(row: np.void, universe: Universe, release: str, as_image: bool) -> list[bytes]:
    """Header of a spectrum after the mandatory cards."""
    seen = universe.objects[np.atleast_1d(row["object"])]
    plan = _plan_name(int(row["plan"]))
    mjd, spectrograph, fiber = int(row["mjd"]), int(row["spectrograph"]), int(row["fiber"])
    name = f"spec-{mjd}-{plan}_sp{spectrograph:02d}-{fiber:03d}.fits"
    ra, dec = float(row["ra"]), float(row["dec"])
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
        card("SUBCLASS", str(lamost_subclass(seen, row["plan"])[0]), "Subclass of object"),
        card("Z", float(row["z"]), "Redshift of object"),
        card("Z_ERR", float(row["z_err"]), "Redshift error of object"),
    ]
    # Releases before DR5 called it SN_G.
    prefix = "SN_" if as_image and int(row["obsid"]) % 5 == 0 else "SNR"
    for band, value in zip("UGRIZ", row["snr"].tolist(), strict=True):
        cards.append(card(f"{prefix}{band}", value, f"SNR of {band.lower()} filter"))
    return [*cards, remark(NOTICE, "HISTORY")]


@lru_cache(maxsize=2)
def _coadd_header(count: int) -> bytes:
    names = ("FLUX", "IVAR", "WAVELENGTH", "ANDMASK", "ORMASK", "NORMALIZATION")
    return table_header([Column(name, f"{count}E") for name in names], 1, "COADD")


def spectrum(
    row: np.void,
    exposure: Exposure,
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
    universe: Universe,
    release: str,
) -> bytes:
    """Return a gzip FITS file.

    Which of the two layouts a spectrum has follows its obsid: they do not follow the release.
    """
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
    head = header(top + _cards(row, universe, release, as_image))
    if as_image:
        return gzipped(head + padded(np.array(stack, ">f4").tobytes()))
    level = np.maximum(uniform_filter1d(flux, 301), 1e-3)
    stack.append(flux / level)
    return gzipped(head + _coadd_header(count) + padded(np.array(stack, ">f4").tobytes()))
