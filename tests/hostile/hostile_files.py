"""Small sound files of every layout, to be damaged."""

from __future__ import annotations

import gzip
from functools import cache

import numpy as np
from astropy.io import fits

from servers import fits_files
from spectrum_files import galaxy_flux, lamost_image_file, lamost_table_file, sdss_file, to_bytes

BLOCK = 2880  # the whole of an empty primary HDU
LOGLAM = 3.6 + 1e-4 * np.arange(150)
FLUX = galaxy_flux(0.1, LOGLAM)


def _full(lite: bytes) -> bytes:
    """With lines and single exposures behind the row, as SDSS's full files have them."""
    names = fits.Column("LINENAME", "14A", array=["H_alpha"])
    columns = [fits.Column(name, "E", array=FLUX) for name in ("flux", "loglam", "ivar")]
    more = [fits.BinTableHDU.from_columns([names], name="SPZLINE")]
    more += [fits.BinTableHDU.from_columns(columns, name=f"B1-{n:08d}") for n in (7, 8)]
    return lite + to_bytes(fits.PrimaryHDU(), *more)[BLOCK:]


def _spspec() -> bytes:
    rows = np.zeros((5, len(FLUX)), np.float32)
    rows[0], rows[2] = FLUX, 0.5
    rows[2, 10], rows[3, 20] = 0, 1 << 23
    hdu = fits.PrimaryHDU(rows)
    cards = {"COEFF0": 3.58, "COEFF1": 1e-4, "PLATEID": 266, "MJD": 51602, "FIBERID": 7}
    cards |= {"SPEC_CLN": 2, "Z": 0.1, "Z_ERR": 1e-4, "Z_WARNIN": 0, "SN_R": 12.5, "RAOBJ": 146.5}
    for key, value in (cards | {"DECOBJ": -0.5}).items():
        hdu.header[key] = value
    return to_bytes(hdu)


def _lamost_heap() -> bytes:
    """A LAMOST table whose vectors are in the heap."""
    values = {"FLUX": FLUX, "IVAR": np.full(len(FLUX), 4.0), "WAVELENGTH": 10**LOGLAM}
    columns = [fits.Column(name, "PE()", array=_vector(v)) for name, v in values.items()]
    primary = fits.PrimaryHDU()
    primary.header["OBSID"] = 101001
    return to_bytes(primary, fits.BinTableHDU.from_columns(columns))


def _lamost_scaled() -> bytes:
    """A LAMOST image of scaled integers."""
    image = np.zeros((5, len(FLUX)), np.float32)
    image[0], image[1] = 100 * FLUX, 2500
    hdu = fits.PrimaryHDU(image)
    hdu.scale("int16", bscale=0.1, bzero=5)
    hdu.header["OBSID"], hdu.header["COEFF0"], hdu.header["COEFF1"] = 101002, 3.57, 1e-4
    return to_bytes(hdu)


def _vector(values: np.ndarray) -> np.ndarray:
    cell = np.empty(1, object)
    cell[0] = values.astype(np.float32)
    return cell


@cache
def spectra() -> dict[str, bytes]:
    """A file of each layout."""
    lite = sdss_file(FLUX, loglam=LOGLAM)
    upper = {"loglam": LOGLAM, "upper": True, "named": False}
    return {
        "lite": lite,
        "full": _full(lite),
        "boss": sdss_file(FLUX, **upper, PLATE=3586, MJD=55181, RUN2D="v5_13_2"),
        "scaled": sdss_file(FLUX, loglam=LOGLAM, bzero=1.0),
        "sdss5": sdss_file(FLUX, **upper, FIELD=15000, CATALOGID=4375786564, SDSS_ID=54321),
        "least": fits_files.sdss_file(266, 51602, 1),
        "spspec": _spspec(),
        "lamost_image": lamost_image_file(FLUX),
        "lamost_scaled": _lamost_scaled(),
        "lamost_gz": gzip.compress(lamost_image_file(FLUX, SUBCLASS="A5"), 1, mtime=0),
        "lamost_table": lamost_table_file(FLUX),
        "lamost_heap": _lamost_heap(),
    }
