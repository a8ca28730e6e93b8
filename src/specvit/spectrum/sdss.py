"""SDSS spectra: legacy, SEGUE, BOSS and eBOSS files, lite or full.

HDU 1 holds the coadded spectrum, HDU 2 one row of the catalogue. HDU names and the case of columns
differ between reductions, so both are found by position and upper-case name.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from specvit.errors import SpectrumError
from specvit.spectrum.fits import FitsSource
from specvit.spectrum.types import Header, Spectrum
from specvit.spectrum.values import build, first, number, text, whole

# SPPIXMASK bit 23: sky level above flux plus ten sigma of its error
# (www.sdss4.org/dr17/algorithms/bitmasks). or_mask is set on half of all pixels: no cut on it.
BRIGHTSKY = 1 << 23


def is_sdss(source: FitsSource) -> bool:
    """Whether HDU 1 has the columns of an SDSS coadd."""
    return {"FLUX", "LOGLAM", "IVAR"} <= source.names(1)


# The object's own position: the primary header's RA and DEC are the plate's centre.
RA_COLUMNS, DEC_COLUMNS = ("PLUG_RA", "FIBER_RA", "RA"), ("PLUG_DEC", "FIBER_DEC", "DEC")
NAMING_COLUMNS = ("PLATE", "MJD", "FIBERID", "FIELD", "CATALOGID", "RUN2D")
RESULT_COLUMNS = ("CLASS", "SUBCLASS", "Z", "Z_ERR", "ZWARNING", "SN_MEDIAN_ALL")
ROW_COLUMNS = (*NAMING_COLUMNS, *RESULT_COLUMNS, *RA_COLUMNS, *DEC_COLUMNS)


def sdss_header(source: FitsSource) -> Header:
    """Read what an SDSS file says of itself; SpectrumError where it does not name itself."""
    row = source.first_row(2, ROW_COLUMNS)
    ra = first(*(number(row.get(name)) for name in RA_COLUMNS))
    dec = first(*(number(row.get(name)) for name in DEC_COLUMNS))
    return Header(
        survey="sdss",
        layout="sdss",
        identity=_identity(source, row),
        object_name=None,
        release=text(row.get("RUN2D")) or text(source.get(0, "RUN2D")),
        class_=text(row.get("CLASS")),
        subclass=text(row.get("SUBCLASS")),
        z=number(row.get("Z")),
        z_err=number(row.get("Z_ERR")),
        zwarning=whole(row.get("ZWARNING")),
        snr=number(row.get("SN_MEDIAN_ALL")),
        ra=number(source.get(0, "PLUG_RA")) if ra is None else ra,
        dec=number(source.get(0, "PLUG_DEC")) if dec is None else dec,
    )


def sdss_identity(source: FitsSource) -> str:
    """Read plate-mjd-fiber, or field-mjd-catalogid; SpectrumError where they are missing."""
    return _identity(source, source.first_row(2, NAMING_COLUMNS))


def _identity(source: FitsSource, row: dict[str, Any]) -> str:
    mjd = whole(row.get("MJD")) or whole(source.get(0, "MJD"))
    # SDSS-V has fields of robots for plates, and catalogue numbers for fibers.
    place, target = whole(row.get("FIELD")), whole(row.get("CATALOGID"))
    if not target:
        place = whole(row.get("PLATE")) or whole(source.get(0, "PLATEID"))
        target = whole(row.get("FIBERID")) or whole(source.get(0, "FIBERID"))
    if not (place and mjd and target):
        raise SpectrumError("SDSS file without plate, MJD and fiber (or field, MJD and catalogid)")
    return f"{place}-{mjd}-{target}"


def sdss_spectrum(source: FitsSource) -> Spectrum:
    """Read an SDSS spectrum; a pixel is good where finite, ivar > 0 and not BRIGHTSKY."""
    bright = None
    if "AND_MASK" in source.names(1):
        bright = (source.column(1, "AND_MASK") & BRIGHTSKY) != 0
    loglam = np.asarray(source.column(1, "LOGLAM"), dtype=np.float64)
    flux, ivar = source.column(1, "FLUX"), source.column(1, "IVAR")
    return build(sdss_header(source), loglam, flux, ivar, masked=bright)
