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
from specvit.spectrum.values import build, number, text, whole

# SPPIXMASK bit 23: sky level above flux plus ten sigma of its error
# (www.sdss4.org/dr17/algorithms/bitmasks). or_mask is set on half of all pixels: no cut on it.
BRIGHTSKY = 1 << 23


def is_sdss(source: FitsSource) -> bool:
    """Whether HDU 1 has the columns of an SDSS coadd."""
    return {"FLUX", "LOGLAM", "IVAR"} <= source.names(1)


class _Row:
    """The first row of the catalogue HDU; what it lacks is None."""

    def __init__(self, source: FitsSource) -> None:
        self._source = source
        self._names = source.names(2)

    def __call__(self, *names: str) -> Any:
        for name in names:
            if name in self._names:
                value = self._source.cell(2, name)
                return value.decode("ascii", "replace") if isinstance(value, bytes) else value
        return None


def sdss_header(source: FitsSource) -> Header:
    """Read what an SDSS file says of itself; SpectrumError where it does not name itself."""
    row = _Row(source)
    # The primary header's RA and DEC are the plate's centre, not the object's.
    ra = number(row("PLUG_RA", "FIBER_RA", "RA"))
    dec = number(row("PLUG_DEC", "FIBER_DEC", "DEC"))
    return Header(
        survey="sdss",
        layout="sdss",
        identity=_identity(source, row),
        object_name=None,
        release=text(row("RUN2D")) or text(source.get(0, "RUN2D")),
        class_=text(row("CLASS")),
        subclass=text(row("SUBCLASS")),
        z=number(row("Z")),
        z_err=number(row("Z_ERR")),
        zwarning=whole(row("ZWARNING")),
        snr=number(row("SN_MEDIAN_ALL")),
        ra=number(source.get(0, "PLUG_RA")) if ra is None else ra,
        dec=number(source.get(0, "PLUG_DEC")) if dec is None else dec,
    )


def sdss_identity(source: FitsSource) -> str:
    """Read plate-mjd-fiber, or field-mjd-catalogid; SpectrumError where they are missing."""
    return _identity(source, _Row(source))


def _identity(source: FitsSource, row: _Row) -> str:
    mjd = whole(row("MJD")) or whole(source.get(0, "MJD"))
    # SDSS-V has fields of robots for plates, and catalogue numbers for fibers.
    place, target = whole(row("FIELD")), whole(row("CATALOGID"))
    if not target:
        place = whole(row("PLATE")) or whole(source.get(0, "PLATEID"))
        target = whole(row("FIBERID")) or whole(source.get(0, "FIBERID"))
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
