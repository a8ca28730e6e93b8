"""LAMOST low-resolution spectra, in the two layouts that the survey has used.

Which one a file has does not follow from its release, so its structure decides: a (5, N) image in
HDU 0 (flux, inverse variance, wavelength, and-mask, or-mask), or a one-row table in HDU 1.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specvit.errors import SpectrumError
from specvit.spectrum.fits import FitsSource
from specvit.spectrum.fits_layout import Value
from specvit.spectrum.types import Header, Spectrum
from specvit.spectrum.values import build, first, log_linear, measured, number, text, vacuum, whole

IMAGE, TABLE = "lamost_image", "lamost_table"


# Any of these in the primary header tells LAMOST's tables and images from others of that shape.
ORIGIN_KEYS = ("OBSID", "PLANID", "LMJD")
# Extensions of a medium-resolution file: coadds of an arm, and its single exposures.
MEDIUM_RESOLUTION = re.compile(r"COADD_[BR]|[BR]-\d+")


def recognise(source: FitsSource) -> str | None:
    """See Reader: an image of spectrum rows, or a table with a vector for each quantity."""
    card = source.values(0, (*ORIGIN_KEYS, "TELESCOP", "NAXIS", "NAXIS2", "COEFF0"))
    is_lamost = any(card[key] is not None for key in ORIGIN_KEYS)
    is_lamost |= str(card["TELESCOP"]).startswith("LAMOST")
    # The arms may stand in any order; without LAMOST's own keys a look at the first is enough.
    names = (source.get(hdu, "EXTNAME") for hdu in range(1, source.count if is_lamost else 2))
    if any(MEDIUM_RESOLUTION.fullmatch(str(name)) for name in names):
        raise SpectrumError("medium resolution (LAMOST, arm by arm), not a low-resolution one")
    if not is_lamost:
        return None
    rows = card["NAXIS2"] if card["NAXIS"] == 2 else 0
    if isinstance(rows, int) and rows >= 2 and card["COEFF0"] is not None:
        return IMAGE
    return TABLE if source.names(1) >= {"FLUX", "IVAR", "WAVELENGTH"} else None


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


def _vector(source: FitsSource, name: str) -> NDArray[Any]:
    """The one row of a column, whose length may be the column's or its own."""
    column = measured(source, 1, name).ravel()
    return np.asarray(column[0]) if column.dtype == object and len(column) else column


def read(source: FitsSource, layout: str, row: int = 0) -> Spectrum:
    """Read either layout; a flux of exactly 0 is no data even where ivar > 0 (also between arms).

    Row 3 of an image is not used, since in DR1 it is something else. Wavelengths are in vacuum and
    heliocentric; a file whose VACUUM says no is converted, since the formula is exact and needs
    nothing else, one whose HELIO says no is refused, since its velocity is not known for sure.
    """
    if source.get(0, "HELIO") is False:
        raise SpectrumError("wavelengths are not heliocentric (HELIO = F)")
    in_air = source.get(0, "VACUUM") is False
    if layout == IMAGE:
        image = source.image(0)
        flux, ivar = image[0], image[1]
        loglam = log_linear(source, image.shape[1])
        wave = 10**loglam if in_air else None
    else:
        names = ("FLUX", "IVAR", "WAVELENGTH")
        flux, ivar, wave = (_vector(source, name) for name in names)
    if wave is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            wave = wave.astype(np.float64)
            loglam = np.log10(vacuum(wave) if in_air else wave)
    return build(header(source, layout), loglam, flux, ivar, masked=flux == 0)
