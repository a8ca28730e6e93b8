"""spSpec files of DR1 to DR7: all rows of one spectrum as an image, its results in the header.

The rows are flux, flux without continuum, error, mask and sky; the wavelength is 10**(COEFF0 +
COEFF1 i), in vacuum and heliocentric (classic.sdss.org/dr7/dm/flatFiles/spSpec.html).
"""

from __future__ import annotations

import numpy as np

from specvit.errors import SpectrumError
from specvit.spectrum.fits import FitsSource
from specvit.spectrum.fits_layout import Value
from specvit.spectrum.types import Header, Spectrum
from specvit.spectrum.values import build, log_linear, number, whole
from specvit.surveys.sdss.coadd import is_bright

FLUX, ERROR, MASK = 0, 2, 3
# SPEC_CLN: star, galaxy, quasar, distant quasar, late star, galaxy with emission lines; the others
# (0, 5) are unknown and sky.
CLASSES = {1: "STAR", 2: "GALAXY", 3: "QSO", 4: "QSO", 6: "STAR", 7: "GALAXY"}
NAMING_KEYS = ("PLATEID", "MJD", "FIBERID")
RESULT_KEYS = ("SPEC_CLN", "Z", "Z_ERR", "Z_WARNIN", "SN_R", "RAOBJ", "DECOBJ")


def header(source: FitsSource, layout: str) -> Header:
    """Read what the file says of itself; S/N is the r band's."""
    card = source.values(0, (*NAMING_KEYS, *RESULT_KEYS))
    return Header(
        survey="sdss",
        layout=layout,
        identity=_identity(card),
        object_name=None,
        release=None,
        class_=CLASSES.get(whole(card["SPEC_CLN"]) or 0),
        subclass=None,
        z=number(card["Z"]),
        z_err=number(card["Z_ERR"]),
        zwarning=whole(card["Z_WARNIN"]),
        snr=number(card["SN_R"]),
        ra=number(card["RAOBJ"]),
        dec=number(card["DECOBJ"]),
    )


def identity(source: FitsSource) -> str:
    """Read plate-mjd-fiber; SpectrumError where it is missing."""
    return _identity(source.values(0, NAMING_KEYS))


def _identity(card: dict[str, Value]) -> str:
    parts = [whole(card[key]) for key in NAMING_KEYS]
    if not all(parts):
        raise SpectrumError(f"SDSS spSpec file without {', '.join(NAMING_KEYS)}")
    return "-".join(map(str, parts))


def read(source: FitsSource, layout: str) -> Spectrum:
    """Read the spectrum; a pixel is good where finite, error > 0 and not BRIGHTSKY."""
    image = source.image(0)
    if len(image) <= MASK:
        raise SpectrumError(f"SDSS spSpec file with {len(image)} rows, not flux, error and mask")
    error = image[ERROR].astype(np.float64)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        ivar = np.where(error > 0, 1 / error**2, 0)
    loglam = log_linear(source, image.shape[1])
    masked = is_bright(image[MASK])
    return build(header(source, layout), loglam, image[FLUX], ivar, masked=masked)
