"""SDSS spectra: legacy, SEGUE, BOSS and eBOSS files, lite or full.

HDU 1 holds the coadded spectrum, HDU 2 one row of the catalogue. HDU names and the case of columns
differ between reductions, so both are found by position and upper-case name.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from specvit.errors import SpectrumError
from specvit.spectrum.fits import FitsSource
from specvit.spectrum.types import Header, Spectrum
from specvit.spectrum.values import build, first, number, text, whole

# SPPIXMASK bit 23: sky level above flux plus ten sigma of its error
# (www.sdss4.org/dr17/algorithms/bitmasks). or_mask is set on half of all pixels: no cut on it.
BRIGHTSKY = 1 << 23


LAYOUT = "sdss"
# The object's own position: the primary header's RA and DEC are the plate's centre.
RA_COLUMNS, DEC_COLUMNS = ("PLUG_RA", "FIBER_RA", "RA"), ("PLUG_DEC", "FIBER_DEC", "DEC")
NAMING_COLUMNS = ("PLATE", "MJD", "FIBERID", "FIELD", "CATALOGID", "RUN2D")
RESULT_COLUMNS = ("CLASS", "SUBCLASS", "Z", "Z_ERR", "ZWARNING", "SN_MEDIAN_ALL")
ROW_COLUMNS = (*NAMING_COLUMNS, *RESULT_COLUMNS, *RA_COLUMNS, *DEC_COLUMNS)


def recognise(source: FitsSource) -> str | None:
    """See Reader: HDU 1 has the columns of an SDSS coadd."""
    return LAYOUT if source.names(1) >= {"FLUX", "LOGLAM", "IVAR"} else None


def header(source: FitsSource, layout: str = LAYOUT, row: int = 0) -> Header:
    """Read what an SDSS file says of itself; SpectrumError where it does not name itself."""
    cells = source.first_row(2, ROW_COLUMNS)
    ra = first(*(number(cells.get(name)) for name in RA_COLUMNS))
    dec = first(*(number(cells.get(name)) for name in DEC_COLUMNS))
    return Header(
        survey="sdss",
        layout=layout,
        identity=_identity(source, cells),
        object_name=None,
        release=text(cells.get("RUN2D")) or text(source.get(0, "RUN2D")),
        class_=text(cells.get("CLASS")),
        subclass=text(cells.get("SUBCLASS")),
        z=number(cells.get("Z")),
        z_err=number(cells.get("Z_ERR")),
        zwarning=whole(cells.get("ZWARNING")),
        snr=number(cells.get("SN_MEDIAN_ALL")),
        ra=number(source.get(0, "PLUG_RA")) if ra is None else ra,
        dec=number(source.get(0, "PLUG_DEC")) if dec is None else dec,
    )


def identity(source: FitsSource, layout: str = LAYOUT, row: int = 0) -> str:
    """Read plate-mjd-fiber, or field-mjd-catalogid; SpectrumError where they are missing."""
    return _identity(source, source.first_row(2, NAMING_COLUMNS))


def _identity(source: FitsSource, cells: dict[str, Any]) -> str:
    mjd = whole(cells.get("MJD")) or whole(source.get(0, "MJD"))
    # SDSS-V has fields of robots for plates, and catalogue numbers for fibers.
    place, target = whole(cells.get("FIELD")), whole(cells.get("CATALOGID"))
    if not target:
        place = whole(cells.get("PLATE")) or whole(source.get(0, "PLATEID"))
        target = whole(cells.get("FIBERID")) or whole(source.get(0, "FIBERID"))
    if not (place and mjd and target):
        raise SpectrumError("SDSS file without plate, MJD and fiber (or field, MJD and catalogid)")
    return f"{place}-{mjd}-{target}"


def read(source: FitsSource, layout: str = LAYOUT, row: int = 0) -> Spectrum:
    """Read an SDSS spectrum; a pixel is good where finite, ivar > 0 and not BRIGHTSKY."""
    bright = _bright(source.column(1, "AND_MASK")) if "AND_MASK" in source.names(1) else None
    loglam = np.asarray(source.column(1, "LOGLAM"), dtype=np.float64)
    flux, ivar = source.column(1, "FLUX"), source.column(1, "IVAR")
    return build(header(source), loglam, flux, ivar, masked=bright)


def _bright(mask: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Where BRIGHTSKY is set; None for a mask too narrow for it. Some tools write it as floats."""
    if mask.dtype.itemsize < 4:
        return None
    with np.errstate(invalid="ignore"):
        bits: NDArray[np.bool_] = (np.nan_to_num(mask).astype(np.int64) & BRIGHTSKY) != 0
    return bits
