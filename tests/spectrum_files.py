"""Small FITS files in the surveys' layouts, made with astropy, for tests of several packages."""

from __future__ import annotations

import io

import numpy as np
from astropy.io import fits

from specvit.spectrum import Header, Spectrum

LOGLAM = 3.58 + 1e-4 * np.arange(3840)


def galaxy_flux(z: float = 0.1, loglam: np.ndarray = LOGLAM, noise: float = 0.02) -> np.ndarray:
    """A sloping continuum with H-alpha, [O III] and noise; float32."""
    wave = 10**loglam
    flux = 1 + 0.3 * np.sin(wave / 900)
    for line in (5008.24, 6564.61):
        flux += 3 * np.exp(-0.5 * ((wave - line * (1 + z)) / 6) ** 2)
    rng = np.random.default_rng(int(z * 1e6))
    return (flux + noise * rng.normal(size=len(wave))).astype(np.float32)


def spectrum_of(
    flux: np.ndarray, loglam: np.ndarray = LOGLAM, good: np.ndarray | None = None
) -> Spectrum:
    """A spectrum without a file."""
    header = Header(
        survey="sdss",
        layout="sdss",
        identity="266-51602-1",
        object_name=None,
        release="26",
        class_="GALAXY",
        subclass=None,
        z=0.1,
        z_err=1e-5,
        zwarning=0,
        snr=10.0,
        ra=10.0,
        dec=0.0,
    )
    flux = np.asarray(flux, np.float32)
    good = np.isfinite(flux) if good is None else good
    ivar = np.where(good, 2500, 0).astype(np.float32)
    return Spectrum(header, np.asarray(loglam, np.float64), flux, ivar, good)


def to_bytes(*hdus: fits.hdu.base.ExtensionHDU) -> bytes:
    buffer = io.BytesIO()
    fits.HDUList(list(hdus)).writeto(buffer)
    return buffer.getvalue()


def sdss_file(
    flux: np.ndarray,
    *,
    loglam: np.ndarray = LOGLAM,
    ivar: np.ndarray | float = 2500.0,
    and_mask: np.ndarray | int = 0,
    upper: bool = False,
    named: bool = True,
    bzero: float | None = None,
    **row: object,
) -> bytes:
    """An SDSS file; `upper`, `named` and `bzero` vary what varies between reductions."""

    def name(text: str) -> str:
        return text.upper() if upper else text

    shape = flux.shape
    columns = [
        fits.Column(name("flux"), "E", array=flux, bzero=bzero),
        fits.Column(name("loglam"), "E", array=loglam),
        fits.Column(name("ivar"), "E", array=np.broadcast_to(ivar, shape)),
        fits.Column(name("and_mask"), "J", array=np.broadcast_to(and_mask, shape)),
        fits.Column(name("or_mask"), "J", array=np.full(shape, 1 << 23)),
    ]
    values = {"PLATE": 266, "MJD": 51602, "FIBERID": 1, "CLASS": "GALAXY", "SUBCLASS": "AGN   "}
    values |= {"Z": 0.1, "Z_ERR": 1e-5, "ZWARNING": 0, "SN_MEDIAN_ALL": 12.5, "RUN2D": "26", **row}
    forms = {str: "21A", int: "K", float: "E"}
    row_columns = [
        fits.Column(key, forms[type(value)], array=[value]) for key, value in values.items()
    ]
    # Columns of kinds that only astropy reads must not keep the others from being read fast.
    row_columns.insert(1, fits.Column("ASSIGNED", "L", array=[True]))
    row_columns.insert(2, fits.Column("FLAGS", "11X", array=[[True] * 11]))
    row_columns.insert(3, fits.Column("LIST", "PJ()", array=np.array([[1, 2]], dtype=object)))
    coadd = fits.BinTableHDU.from_columns(columns, name="COADD" if named else "")
    return to_bytes(
        fits.PrimaryHDU(),
        coadd,
        fits.BinTableHDU.from_columns(row_columns, name="SPECOBJ" if named else ""),
    )


def _lamost_header(header: fits.Header, **over: object) -> None:
    values = {"OBSID": 101001, "COEFF0": 3.5682, "COEFF1": 1e-4, "DESIG": "LAMOST J0", "RA": 1.5}
    values |= {"DEC": -2.5, "CLASS": "STAR", "SUBCLASS": "G7", "Z": 1e-4, "SNRR": 30.5, **over}
    for key, value in values.items():
        if value is not None:
            header[key] = value


def lamost_image_file(
    flux: np.ndarray, *, ivar: float = 2500.0, dtype: type = np.float32, **header: object
) -> bytes:
    """The (5, N) image; row 3 holds nonsense, as in DR1."""
    image = np.zeros((5, len(flux)), dtype)
    image[0], image[1], image[2] = flux, ivar, 7
    hdu = fits.PrimaryHDU(image)
    _lamost_header(hdu.header, **header)
    return to_bytes(hdu)


def lamost_table_file(flux: np.ndarray, **header: object) -> bytes:
    """The one-row table of later releases."""
    wave = 10 ** (3.5682 + 1e-4 * np.arange(len(flux)))
    form = f"{len(flux)}E"
    rows = {"FLUX": flux, "IVAR": np.full(len(flux), 2500.0), "WAVELENGTH": wave}
    columns = [fits.Column(key, form, array=[value]) for key, value in rows.items()]
    primary = fits.PrimaryHDU()
    _lamost_header(primary.header, **header)
    return to_bytes(primary, fits.BinTableHDU.from_columns(columns, name="COADD"))
