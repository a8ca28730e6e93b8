"""LAMOST low-resolution spectra, in the two layouts that the survey has used.

Which one a file has does not follow from its release, so its structure decides: a (5, N) image in
HDU 0 (flux, inverse variance, wavelength, and-mask, or-mask), or a one-row table in HDU 1.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specvit.errors import SpectrumError
from specvit.spectrum.fits import FitsSource
from specvit.spectrum.fits_layout import Value
from specvit.spectrum.types import Header, Spectrum
from specvit.spectrum.values import build, first, number, text, whole

IMAGE, TABLE = "lamost_image", "lamost_table"


def recognise(source: FitsSource) -> str | None:
    """See Reader: an image of spectrum rows, or a table with a vector for each quantity."""
    if _is_medium_resolution(source):
        raise SpectrumError("medium resolution (COADD_B, COADD_R), not a low-resolution spectrum")
    rows = source.get(0, "NAXIS2") if source.get(0, "NAXIS") == 2 else 0
    if isinstance(rows, int) and rows >= 2 and source.get(0, "COEFF0") is not None:
        return IMAGE
    return TABLE if source.names(1) >= {"FLUX", "IVAR", "WAVELENGTH"} else None


def _is_medium_resolution(source: FitsSource) -> bool:
    """Whether the file has a spectrum for each arm (COADD_B, COADD_R)."""
    names = [str(source.get(hdu, "EXTNAME") or "") for hdu in range(1, min(source.count, 3))]
    return any(name in ("COADD_B", "COADD_R") for name in names)


NAMING_KEYS = ("OBSID", "LMJD", "PLANID", "SPID", "FIBERID")
RESULT_KEYS = ("DESIG", "DATA_V", "CLASS", "SUBCLASS", "Z", "Z_ERR", "SNRR", "SN_R", "RA", "DEC")


def header(source: FitsSource, layout: str, row: int = 0) -> Header:
    """Read what a LAMOST file says of itself.

    Where the pipeline found no class it writes "Unknown" and z = -9999: both become None. S/N is
    the r band's (SNRR, SN_R in older releases).
    """
    card = source.values(0, (*NAMING_KEYS, *RESULT_KEYS))
    return Header(
        survey="lamost",
        layout=layout,
        identity=_identity(card),
        object_name=text(card["DESIG"]),
        release=text(card["DATA_V"]),
        class_=text(card["CLASS"]),
        subclass=text(card["SUBCLASS"]),
        z=number(card["Z"]),
        z_err=number(card["Z_ERR"]),
        zwarning=None,
        snr=first(number(card["SNRR"]), number(card["SN_R"])),
        ra=number(card["RA"]),
        dec=number(card["DEC"]),
    )


def identity(source: FitsSource, layout: str, row: int = 0) -> str:
    """Read the obsid, or what the first releases have in its place."""
    return _identity(source.values(0, NAMING_KEYS))


def _identity(card: dict[str, Value]) -> str:
    obsid = whole(card["OBSID"])
    if obsid is not None:
        return str(obsid)
    # The first releases have no OBSID: plan, night, spectrograph and fiber name the same thing.
    night, plan = whole(card["LMJD"]), text(card["PLANID"])
    spectrograph, fiber = whole(card["SPID"]), whole(card["FIBERID"])
    if None in (night, plan, spectrograph, fiber):
        raise SpectrumError("LAMOST file without OBSID, or LMJD, PLANID, SPID and FIBERID")
    return f"{night}-{plan}_sp{spectrograph:02d}-{fiber:03d}"


def _log_linear(source: FitsSource, pixels: int) -> NDArray[np.float64]:
    start, step = number(source.get(0, "COEFF0")), number(source.get(0, "COEFF1"))
    if start is None or step is None or step <= 0:
        raise SpectrumError(f"no wavelength scale: COEFF0 = {start}, COEFF1 = {step}")
    return _even(start, step, pixels)


@lru_cache(maxsize=64)
def _even(start: float, step: float, pixels: int) -> NDArray[np.float64]:
    # Read-only: the spectra of a survey share a few of these.
    loglam = start + step * np.arange(pixels, dtype=np.float64)
    loglam.flags.writeable = False
    return loglam


def _vector(source: FitsSource, name: str) -> NDArray[Any]:
    """The one row of a column, whose length may be the column's or its own."""
    column = source.column(1, name).ravel()
    return np.asarray(column[0]) if column.dtype == object and len(column) else column


def read(source: FitsSource, layout: str, row: int = 0) -> Spectrum:
    """Read either layout; a flux of exactly 0 is no data even where ivar > 0 (also between arms).

    Row 3 of an image is not used, since in DR1 it is something else.
    """
    if layout == IMAGE:
        image = source.image(0)
        flux, ivar = image[0], image[1]
        loglam = _log_linear(source, image.shape[1])
    else:
        names = ("FLUX", "IVAR", "WAVELENGTH")
        flux, ivar, wave = (_vector(source, name) for name in names)
        with np.errstate(divide="ignore", invalid="ignore"):
            loglam = np.log10(wave.astype(np.float64))
    return build(header(source, layout), loglam, flux, ivar, masked=flux == 0)
