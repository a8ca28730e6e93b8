"""One DESI spectrum, cut out of its coadd or alone in a file of that layout: its cameras joined.

HDUs are found by name: FIBERMAP with the target's row, and for each camera B, R and Z its
WAVELENGTH, FLUX, IVAR and MASK (desidatamodel, healpix/SURVEY/PROGRAM/PIXGROUP/PIXNUM/coadd).
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from specvit.errors import SpectrumError
from specvit.spectrum.fits import FitsSource
from specvit.spectrum.types import Header, Spectrum
from specvit.spectrum.values import build, number, whole

LAYOUT = "desi_coadd"
CAMERAS = ("B", "R", "Z")
NAMING_COLUMNS = ("TARGETID", "TARGET_RA", "TARGET_DEC")
OFF_GRID = 0.01  # of a pixel: cameras are joined pixel by pixel, never interpolated
MOST_PIXELS = 100_000  # of all cameras joined; DESI has 7781

Floats = NDArray[np.float64]


class Camera(NamedTuple):
    """What one camera saw; arrays of shape (N,)."""

    wavelength: Floats
    """Vacuum, in Angstrom, rising evenly."""
    flux: Floats
    ivar: Floats
    """0 where there is no data."""


def recognise(source: FitsSource) -> str | None:
    """See Reader."""
    hdus = hdus_by_name(source)
    if not hdus.keys() & {f"{camera}_FLUX" for camera in CAMERAS}:
        return None
    check_cameras(hdus)
    rows = source.get(hdus["B_FLUX"], "NAXIS2")
    if isinstance(rows, int) and rows > 1:
        raise SpectrumError(
            f"a DESI file of {rows} spectra: give the file itself to `specvit predict`, which "
            "takes each of them"
        )
    return LAYOUT


def hdus_by_name(source: FitsSource) -> dict[str, int]:
    """Place of each HDU that has a name."""
    names = ((source.get(hdu, "EXTNAME"), hdu) for hdu in range(1, source.count))
    return {name: hdu for name, hdu in names if isinstance(name, str)}


def check_cameras(names: Container[str]) -> None:
    """Raise SpectrumError where wavelength, flux or ivar of a camera is not among these HDUs.

    A file that was cut off between two HDUs is whole but for the cameras behind.
    """
    wanted = [f"{camera}_{part}" for camera in CAMERAS for part in ("WAVELENGTH", "FLUX", "IVAR")]
    missing = [name for name in wanted if name not in names]
    if missing:
        raise SpectrumError(f"a DESI file without {', '.join(missing)}")


def header(source: FitsSource, layout: str, row: int = 0) -> Header:
    """Read what the file says of itself: neither class nor redshift, which redrock's files have."""
    hdu = hdus_by_name(source).get("FIBERMAP")
    cells = {} if hdu is None else source.first_row(hdu, NAMING_COLUMNS)
    target = whole(cells.get("TARGETID"))
    return Header(
        survey="desi",
        layout=layout,
        identity="" if target is None else str(target),
        object_name=None if target is None else f"targetid {target}",
        release=None,
        class_=None,
        subclass=None,
        z=None,
        z_err=None,
        zwarning=None,
        snr=None,
        ra=number(cells.get("TARGET_RA")),
        dec=number(cells.get("TARGET_DEC")),
    )


def identity(source: FitsSource, layout: str, row: int = 0) -> str:
    """Read the TARGETID. Raises SpectrumError where the file has none."""
    found = header(source, layout).identity
    if not found:
        raise SpectrumError("DESI file without a TARGETID")
    return found


def read(source: FitsSource, layout: str, row: int = 0) -> Spectrum:
    """Read the cameras and join them; a pixel is good where finite, ivar > 0 and mask = 0."""
    hdus = hdus_by_name(source)
    wavelength, flux, ivar = join([_camera(source, hdus, name) for name in CAMERAS])
    return build(header(source, layout), np.log10(wavelength), flux, ivar, masked=None)


def _camera(source: FitsSource, hdus: dict[str, int], name: str) -> Camera:
    wavelength, flux, ivar = (
        source.image(hdus[f"{name}_{part}"])[0].astype(np.float64)
        for part in ("WAVELENGTH", "FLUX", "IVAR")
    )
    mask = hdus.get(f"{name}_MASK")
    masked = np.zeros(len(flux), np.bool_) if mask is None else source.image(mask)[0] != 0
    if not len(wavelength) == len(flux) == len(ivar) == len(masked) > 1:
        raise SpectrumError(f"camera {name}: wavelength, flux, ivar and mask differ in length")
    with np.errstate(invalid="ignore"):
        good = np.isfinite(flux) & np.isfinite(ivar) & (ivar > 0) & ~masked
    return Camera(wavelength, np.where(good, flux, 0.0), np.where(good, ivar, 0.0))


def join(cameras: Sequence[Camera]) -> tuple[Floats, Floats, Floats]:
    """Join cameras on the grid that they share: wavelength, flux and ivar, each of shape (M,).

    Where two see the same pixel: the mean weighted by inverse variance, whose own inverse variance
    is the sum. 0 in both where none has data. Raises SpectrumError where they share no grid.
    """
    first = cameras[0].wavelength
    start = min(float(camera.wavelength[0]) for camera in cameras)
    step = float(first[1] - first[0])
    if not (np.isfinite(start) and step > 0):
        raise SpectrumError("wavelength is not finite and rising")
    places = []
    for camera in cameras:
        place = (camera.wavelength - start) / step
        if not (place < MOST_PIXELS).all():
            raise SpectrumError("wavelength is not finite, or far from that of the other cameras")
        nearest = np.rint(place).astype(np.int64)
        if np.abs(place - nearest).max() > OFF_GRID or (np.diff(nearest) != 1).any():
            raise SpectrumError("the cameras' wavelengths are not of one even grid")
        places.append(nearest)
    size = 1 + max(int(place[-1]) for place in places)
    summed, ivar = np.zeros(size), np.zeros(size)
    for camera, pixels in zip(cameras, places, strict=True):
        summed[pixels] += camera.flux * camera.ivar
        ivar[pixels] += camera.ivar
    flux = np.divide(summed, ivar, out=np.zeros(size), where=ivar > 0)
    return np.asarray(start + step * np.arange(size)), flux, ivar
