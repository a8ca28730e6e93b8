"""Many lines onto one pixel grid at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from specvit.surveys.simulated.objects import Floats

LN10_STEP = np.log(10) * 1e-4  # relative width of a pixel


def add_gaussians(
    count: int, centres: Floats, areas: Floats, sigmas: Floats, reach: int = 7
) -> Floats:
    """Sum of Gaussians on `count` pixels; centres and sigmas in pixels, areas per pixel width.

    Each is integrated to within `reach` pixels of its centre; those outside leave nothing.
    """
    near = np.rint(centres).astype(np.int64)[:, None] + np.arange(-reach, reach + 1)
    offset = (near - centres[:, None]) / sigmas[:, None]
    values = (areas / (sigmas * np.sqrt(2 * np.pi)))[:, None] * np.exp(-0.5 * offset**2)
    return _collect(count, near, values)


def _collect(count: int, near: NDArray[np.int64], values: Floats) -> Floats:
    inside = (near >= 0) & (near < count)
    return np.asarray(np.bincount(near[inside], values[inside], count), np.float64)


def add_wings(
    count: int,
    centres: Floats,
    depths: Floats,
    widths: Floats,
    power: float,
    core: Floats,
    reach: int = 160,
) -> Floats:
    """Sum of -ln(1 - depth / (1 + (distance / width)**power)): optical depth of strong lines.

    Lorentz (power 2, damping) or Holtsmark (2.5, linear Stark effect) wings; `core` (pixels) is
    the spectrograph's sigma, which rounds the cores off.
    """
    if not len(centres):
        return np.zeros(count)
    near = np.rint(centres).astype(np.int64)[:, None] + np.arange(-reach, reach + 1)
    square = (near - centres[:, None]) ** 2
    distance2 = (square + (core**2)[:, None]) / (widths**2)[:, None]
    profile = 1 / (1 + distance2 ** (power / 2))
    return _collect(count, near, -np.log1p(-np.minimum(depths[:, None] * profile, 0.97)))
