"""SDSS's layout of a whole plate, spPlate: images with a row for each of its fibers."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specvit.spectrum.fits_write import card, header, image, padded, remark
from specvit.surveys.simulated.exposure import NOTICE, Exposure
from specvit.surveys.simulated.observations import PROGRAMS, Universe

_PLATE = re.compile(
    r"dr17/(?P<tree>sdss|eboss)/spectro/redux/(?P<run2d>[^/]+)/(?P<folder>\d{4,5})/"
    r"spPlate-(?P<plate>\d{4,5})-(?P<mjd>\d{5})\.fits"
)
# In the order of the file, each with its kind of number; behind them would come the plug map.
_IMAGES = {"flux": ">f4", "ivar": ">f4", "and_mask": ">i4", "or_mask": ">i4", "wdisp": ">f4"}
Observe = Callable[[int], tuple[Exposure, dict[str, NDArray[Any]]]]
"""From a row's number to its exposure, and flux and ivar as published."""


def plate_file(path: str, universe: Universe, observe: Observe) -> bytes | None:
    """The spPlate file at a path; None where there is none. Fibers without a target are empty."""
    match = _PLATE.fullmatch(path)
    if match is None or match["folder"] != match["plate"]:
        return None
    rows = universe.sdss
    plate, mjd = int(match["plate"]), int(match["mjd"])
    numbers = np.flatnonzero((rows["plate"] == plate) & (rows["mjd"] == mjd))
    if not len(numbers):
        return None
    program = PROGRAMS[rows["program"][numbers[0]]]
    tree = "eboss" if program.boss else "sdss"
    if (match["tree"], match["run2d"]) != (tree, program.run2d):
        return None
    seen = [(int(rows["fiber"][number]) - 1, *observe(int(number))) for number in numbers]
    first = min(exposure.pixels.first for _, exposure, _ in seen)
    width = max(one.pixels.first + one.pixels.count for _, one, _ in seen) - first
    fibers = 1000 if program.boss else 640
    images = {name: np.zeros((fibers, width), kind) for name, kind in _IMAGES.items()}
    for row, exposure, arrays in seen:
        start = exposure.pixels.first - first
        here = row, slice(start, start + exposure.pixels.count)
        images["flux"][here], images["ivar"][here] = arrays["flux"], arrays["ivar"]
        images["and_mask"][here], images["or_mask"][here] = exposure.and_mask, exposure.or_mask
        images["wdisp"][here] = exposure.pixels.dispersion
    flux, *others = images.items()
    return b"".join(
        [
            _primary(plate, mjd, program.run2d, first, flux[1].shape),
            padded(flux[1].tobytes()),
            *(image(name.replace("_", "").upper(), values) for name, values in others),
        ]
    )


def _primary(plate: int, mjd: int, run2d: str, first: int, shape: tuple[int, ...]) -> bytes:
    return header(
        [
            card("SIMPLE", True, "conforms to FITS standard"),
            card("BITPIX", -32, "array data type"),
            card("NAXIS", 2, "number of array dimensions"),
            card("NAXIS1", shape[1], "pixels"),
            card("NAXIS2", shape[0], "fibers"),
            card("EXTEND", True),
            card("ORIGIN", "SIMULATED", "not an observation: made by specvit"),
            card("PLATEID", plate, "Plate Id"),
            card("MJD", mjd, "MJD of observation"),
            card("RUN2D", run2d, "Spectro-2D reduction name"),
            card("COEFF0", round(first * 1e-4, 4), "Central wavelength (log10) of first pixel"),
            card("COEFF1", 0.0001, "Log10 dispersion per pixel"),
            card("BUNIT", "1E-17 erg/cm^2/s/Ang"),
            remark(NOTICE, "HISTORY"),
        ]
    )
