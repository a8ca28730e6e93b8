"""What LAMOST's spectra have that SDSS's do not: relative flux, seams, gaps, air's own lines."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from specvit.surveys.simulated.exposure import Exposure
from specvit.surveys.simulated.instrument import LAMOST, sky_of
from specvit.surveys.simulated.objects import Floats, Generator

SEAM = 5850.0  # A, where the arms meet
COSMIC_RAY = 1 << 1  # bit set in or_mask where one exposure was hit

# Molecular bands of the air (vacuum A): from, to, mean depth at the zenith. O2 B and A, H2O.
_TELLURIC = ((6869, 6884, 0.22), (6884, 6947, 0.10), (7166, 7340, 0.05), (7595, 7622, 0.42),
             (7622, 7685, 0.28), (8130, 8345, 0.05), (8950, 9100, 0.10))  # fmt: skip


@lru_cache(maxsize=1)
def telluric_depth() -> Floats:
    """Optical depth of the air's bands on the common grid."""
    wavelength = sky_of(LAMOST).wavelength
    depth = np.zeros(len(wavelength))
    for low, high, mean in _TELLURIC:
        inside = (wavelength > low) & (wavelength < high)
        place = (wavelength[inside] - low) / (high - low)
        depth[inside] += mean * (1 + 0.5 * np.cos(2 * np.pi * 9 * place)) * (1.3 - 0.6 * place)
    kernel = np.exp(-0.5 * (np.arange(-5, 6) / 1.1) ** 2)
    smooth: Floats = np.convolve(depth, kernel / kernel.sum(), mode="same")
    return smooth


def through_air(rng: Generator, where: slice, model: Floats) -> Floats:
    """Leave what the pipeline's correction misses of the air's bands: up to a third, either way."""
    dimmed: Floats = model * np.exp(-rng.uniform(-0.1, 0.35) * telluric_depth()[where])
    return dimmed


def calibration(rng: Generator, wavelength: Floats) -> Floats:
    """Relative flux: an arbitrary scale, a tilt of each arm and a step where they meet."""
    scale = 10 ** rng.uniform(-0.3, 1.0)
    x = (wavelength - SEAM) / 3000
    blue, red = rng.normal(0, 0.10, 2)
    bend = rng.normal(0, 0.05)
    step = rng.normal(0, 0.02)
    arms = np.where(x < 0, blue * x - step, red * x + step) + bend * x**2
    factor: Floats = scale * np.exp(arms)
    return factor


def damage_pixels(rng: Generator, exposure: Exposure) -> None:
    """Cosmic rays, the gap between the arms that some have, and the end without data.

    LAMOST writes flux 0 where there is no data, and an ivar all the same.
    """
    flux, ivar = exposure.flux, exposure.ivar
    hits = rng.integers(0, len(flux), rng.poisson(0.6))
    flux[hits] += rng.exponential(25, len(hits)) / np.sqrt(ivar[hits])
    exposure.or_mask[hits] |= COSMIC_RAY
    if rng.random() < 0.08:
        seam = int(np.searchsorted(exposure.pixels.wavelength, SEAM + rng.uniform(-60, 60)))
        half = int(rng.integers(15, 60))
        flux[seam - half : seam + half] = 0
    missing = int(rng.integers(2, 37))
    flux[-missing:] = 0
    ivar[-missing:] = ivar[-missing - 1]
