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
from specvit.spectrum.values import build, measured, number, text, whole

# SPPIXMASK bit 23: sky level above flux plus ten sigma of its error
# (www.sdss4.org/dr17/algorithms/bitmasks). or_mask is set on half of all pixels: no cut on it.
BRIGHTSKY = 1 << 23
# Positions of the object, the target's own before the fiber's, which SDSS-V may offset by design;
# RA and DEC of the primary header are the plate's centre.
POSITIONS = (("RACAT", "DECCAT"), ("PLUG_RA", "PLUG_DEC"), ("FIBER_RA", "FIBER_DEC"), ("RA", "DEC"))
NAMING_COLUMNS = ("PLATE", "MJD", "FIBERID", "FIELD", "CATALOGID", "RUN2D")
RESULT_COLUMNS = ("CLASS", "SUBCLASS", "Z", "Z_ERR", "ZWARNING", "SN_MEDIAN_ALL", "SDSS_ID")
POSITION_COLUMNS = tuple(name for pair in POSITIONS for name in pair)
ROW_COLUMNS = (*NAMING_COLUMNS, *RESULT_COLUMNS, *POSITION_COLUMNS)
R_BAND = 2  # of u, g, r, i, z


def header(source: FitsSource, layout: str) -> Header:
    """Read what an SDSS file says of itself; SpectrumError where it does not name itself."""
    cells = source.first_row(2, ROW_COLUMNS)
    ra, dec = _position(source, cells)
    return Header(
        survey="sdss",
        layout=layout,
        identity=_identity(source, cells),
        object_name=_object_name(cells),
        release=text(cells.get("RUN2D")) or text(source.get(0, "RUN2D")),
        class_=text(cells.get("CLASS")),
        subclass=text(cells.get("SUBCLASS")),
        z=number(cells.get("Z")),
        z_err=number(cells.get("Z_ERR")),
        zwarning=whole(cells.get("ZWARNING")),
        snr=_snr(source, cells),
        ra=ra,
        dec=dec,
    )


def _position(source: FitsSource, cells: dict[str, Any]) -> tuple[float | None, float | None]:
    """The first pair that is on the sky: what is not known is nan or -999."""
    pairs = [(cells.get(ra), cells.get(dec)) for ra, dec in POSITIONS]
    pairs.append((source.get(0, "PLUG_RA"), source.get(0, "PLUG_DEC")))
    for pair in pairs:
        ra, dec = number(pair[0]), number(pair[1])
        if ra is not None and dec is not None and 0 <= ra <= 360 and -90 <= dec <= 90:
            return ra, dec
    return None, None


def _object_name(cells: dict[str, Any]) -> str | None:
    """SDSS-V's number of the target, which its repeat spectra share (negative: none)."""
    for name in ("SDSS_ID", "CATALOGID"):
        target = whole(cells.get(name))
        if target is not None and target > 0:
            return f"{name.lower()} {target}"
    return None


def _snr(source: FitsSource, cells: dict[str, Any]) -> float | None:
    """Median S/N of all pixels; in DR9's files, which have it by band alone, the r band's."""
    if "SN_MEDIAN_ALL" in cells or "SN_MEDIAN" not in source.names(2):
        return number(cells.get("SN_MEDIAN_ALL"))
    bands = source.column(2, "SN_MEDIAN").ravel()
    return number(bands[R_BAND]) if len(bands) > R_BAND else None


def identity(source: FitsSource) -> str:
    """Read plate-mjd-fiber, or field-mjd-catalogid; SpectrumError where they are missing."""
    return _identity(source, source.first_row(2, NAMING_COLUMNS))


def _identity(source: FitsSource, cells: dict[str, Any]) -> str:
    mjd = whole(cells.get("MJD")) or whole(source.get(0, "MJD"))
    fiber = whole(cells.get("FIBERID")) or whole(source.get(0, "FIBERID"))
    if "CATALOGID" in cells:
        return _sdss5_identity(source, cells, mjd, fiber)
    plate = whole(cells.get("PLATE")) or whole(source.get(0, "PLATEID"))
    if not (plate and mjd and fiber):
        raise SpectrumError("SDSS file without plate, MJD and fiber (or field, MJD and catalogid)")
    return f"{plate}-{mjd}-{fiber}"


def _sdss5_identity(
    source: FitsSource, cells: dict[str, Any], mjd: int | None, fiber: int | None
) -> str:
    """SDSS-V has fields of robots for plates, 0 for coadds of several, and targets for fibers.

    Where no target was assigned to a fiber, it is the fiber's number or position that tells its
    spectrum from the others of the field.
    """
    field, target = whole(cells.get("FIELD")), whole(cells.get("CATALOGID"))
    if field is None or not mjd:
        raise SpectrumError("SDSS-V file without field and MJD")
    if target is not None and target > 0:
        return f"{field}-{mjd}-{target}"
    if fiber is not None and fiber > 0:
        return f"{field}-{mjd}-fiber{fiber}"
    ra, dec = _position(source, source.first_row(2, POSITION_COLUMNS))
    if ra is None or dec is None:
        raise SpectrumError("SDSS-V file without catalogid, fiber and position")
    return f"{field}-{mjd}-j{ra:.5f}{dec:+.5f}"


def is_bright(mask: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Where BRIGHTSKY is set, whatever numbers hold the mask; None where they have no such bit."""
    if mask.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            mask = np.nan_to_num(mask, nan=0, posinf=0, neginf=0).astype(np.int64)
    if mask.dtype.kind not in "iu" or 8 * mask.dtype.itemsize <= 23:
        return None
    bright: NDArray[np.bool_] = (mask & mask.dtype.type(BRIGHTSKY)) != 0
    return bright


def _numbers(source: FitsSource, name: str) -> NDArray[Any]:
    column = measured(source, 1, name)
    if column.dtype.kind == "O":  # a column of vectors in the heap
        raise SpectrumError(f"column {name} holds a list in each row, not a number")
    return column


def read(source: FitsSource, layout: str) -> Spectrum:
    """Read an SDSS spectrum; a pixel is good where finite, ivar > 0 and not BRIGHTSKY."""
    bright = is_bright(source.column(1, "AND_MASK")) if "AND_MASK" in source.names(1) else None
    loglam, flux, ivar = (_numbers(source, name) for name in ("LOGLAM", "FLUX", "IVAR"))
    return build(header(source, layout), loglam.astype(np.float64), flux, ivar, masked=bright)
