"""A spectrum to a picture: what the model sees."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from specvit.config.data import Grid, Render
from specvit.errors import SpectrumError
from specvit.io import stable_hash
from specvit.plot.modes import Picture, curve_picture, map_picture
from specvit.spectrum.types import Spectrum

DRAWING_VERSION = 1
"""Counted up when the same settings give other pixels."""


def draw(spectrum: Spectrum, render: Render, grid: Grid, z: float | None = None) -> Picture:
    """Draw a spectrum: uint8, (size, size) grey or (size, size, 3) RGB, as `render.channels` says.

    `z` is the catalogue's redshift, used (and needed) only where `render.frame` is rest. Raises
    SpectrumError where no pixel has data in the range of the grid, so a picture is never empty.
    """
    loglam, flux = visible(spectrum, render, grid, z)
    drawn = picture_of(loglam, flux, render, grid)
    if not drawn.any():
        raise SpectrumError("the picture would be empty: too few pixels with data")
    return drawn


def picture_of(
    loglam: NDArray[np.float64], flux: NDArray[np.float64], render: Render, grid: Grid
) -> Picture:
    """Draw flux (nan without data) in the mode that is asked for."""
    picture = map_picture if render.mode == "map" else curve_picture
    return picture(loglam, flux, render, grid)


def visible(
    spectrum: Spectrum, render: Render, grid: Grid, z: float | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Wavelength and flux within the grid's range and a pixel beside; flux is nan without data."""
    loglam = spectrum.loglam
    if render.frame == "rest":
        if z is None or not np.isfinite(z) or z <= -1:
            raise SpectrumError("a rest-frame plot needs a redshift, the catalogue has none")
        loglam = loglam - np.log10(1 + z)
    # With finite ends, rising alone leaves no place for nan or infinity.
    if len(loglam) == 0 or not np.isfinite(loglam[[0, -1]]).all() or not _rises(loglam):
        raise SpectrumError("wavelength is not finite and rising")
    start, end = np.log10(grid.wave_min), np.log10(grid.wave_max)
    first, last = np.searchsorted(loglam, (start, end))
    inside = slice(max(first - 1, 0), last + 1)
    good = spectrum.good[inside] & np.isfinite(spectrum.flux[inside])
    if not good[first - inside.start : last - inside.start].any():
        raise SpectrumError(
            f"no data between {grid.wave_min:g} and {grid.wave_max:g} A ({render.frame} frame)"
        )
    return loglam[inside], np.where(good, spectrum.flux[inside].astype(np.float64), np.nan)


def _rises(values: NDArray[np.float64]) -> bool:
    return bool((values[1:] > values[:-1]).all())


def render_hash(render: Render, grid: Grid) -> str:
    """12 hex digits that stand for everything that decides a picture's pixels."""
    settings = render.model_dump(mode="json", exclude={"name"})
    return stable_hash([DRAWING_VERSION, settings, grid.model_dump(mode="json")])
