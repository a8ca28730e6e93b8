"""Wavelengths of spectral lines, in vacuum (A)."""

from __future__ import annotations

import tomllib
from importlib import resources

import numpy as np

from specvit.surveys.simulated.seeds import Floats

LINE: dict[str, float] = tomllib.loads(
    resources.files(__package__).joinpath("lines.toml").read_text("utf-8")
)
"""Lines that SDSS's pipeline fits, by its names."""
RYDBERG_WAVE = 911.76334
"""Limit of the Lyman series (A): 1 / R_H (NIST, CODATA 2018)."""
LN10_STEP = np.log(10) * 1e-4
"""Relative width of a pixel of the common grid."""
LIGHT_SPEED = 299792.458  # km/s
PIXEL_VELOCITY = LIGHT_SPEED * LN10_STEP  # km/s


def hydrogen(lower: int, upper: int) -> float:
    """Vacuum wavelength (A) of a hydrogen line by Rydberg's formula, good to 0.1 A."""
    return RYDBERG_WAVE / (1 / lower**2 - 1 / upper**2)


def add_gaussians(first: int, count: int, waves: Floats, widths: Floats, sigmas: Floats) -> Floats:
    """Sum of Gaussian lines on `count` pixels from k = first.

    `waves` and `widths` (areas over level 1) in observed A, `sigmas` in pixels; each is summed
    within 24 pixels of its centre.
    """
    centres = np.log10(waves) * 1e4 - first
    near = np.rint(centres).astype(np.int64)[:, None] + np.arange(-24, 25)
    offset = (near - centres[:, None]) / sigmas[:, None]
    heights = widths / (waves * LN10_STEP * sigmas * np.sqrt(2 * np.pi))
    values = heights[:, None] * np.exp(-0.5 * offset**2)
    inside = (near >= 0) & (near < count)
    return np.asarray(np.bincount(near[inside], values[inside], count), np.float64)
