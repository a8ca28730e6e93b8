"""Spectrographs and night sky: pixels, resolution, background and the noise that they give.

All templates live on one grid of pixels at log10(wavelength / A) = k * 1e-4 (69 km/s each), the
grid of SDSS and LAMOST spectra; an exposure is a slice of it.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from specvit.surveys.simulated.seeds import Floats

GRID_START, GRID_STOP = 35450, 40300
STEP = 1e-4


@dataclass(frozen=True, eq=False)
class Spectrograph:
    """Curves over vacuum wavelength (A), given at knots and interpolated."""

    name: str
    first: list[int]  # range of the first pixel's k
    pixels: list[int]  # range of the number of pixels
    knots: list[float]
    dispersion: list[float]
    """Sigma of the line spread function in pixels: 1844 / (resolving power R)."""
    noise: list[float]
    """Noise of the sky continuum in 1e-17 erg/s/cm2/A: arms meet near 6000 A."""
    background: list[float]
    """Sky continuum through the fiber in the same unit."""
    line_scale: float
    """Sky lines through the fiber, relative to those of a 2 arcsec fiber."""
    residual: float
    """What sky subtraction leaves of the lines, as a fraction."""
    detector: float
    """Detector noise as a sky continuum that would make the same noise."""
    arms: float
    """Where the blue and the red spectrum meet (A)."""
    extra: float
    """Sigma (pixels) by which it is less sharp than the library's spectra, which are SDSS's."""
    stated: float
    """Scatter of the pixels over the error that ivar states."""
    or_mask: list[tuple[int, float, float]] = field(default_factory=list)
    """Bits (SPPIXMASK), the share of pixels with each, and how long its runs are (pixels)."""


_TEXT = resources.files(__package__).joinpath("spectrographs.toml").read_text("utf-8")
SDSS, BOSS, LAMOST, DESI = (Spectrograph(n, **keys) for n, keys in tomllib.loads(_TEXT).items())


@dataclass(frozen=True)
class Sky:
    """Templates of one spectrograph on the whole grid; each of shape (GRID_STOP - GRID_START,)."""

    wavelength: Floats
    dispersion: Floats
    noise: Floats
    continuum: Floats
    lines: Floats
    bright: NDArray[np.bool_]  # more than 1.25 times the running median: a bright sky line


def _line_list() -> Floats:
    """Night-sky emission lines: vacuum wavelength (A) and peak in 1e-17 erg/s/cm2/A.

    [O I], Na I and OH lines after Osterbrock et al. (1996, PASP 108, 277), Hg I of street lamps;
    wavelengths to 1 A, peaks of a typical night through a 2 arcsec fiber.
    """
    text = resources.files(__package__).joinpath("sky_lines.txt").read_text("utf-8")
    return np.array([line.split() for line in text.split(",")], np.float64)


@lru_cache(maxsize=4)
def sky_of(spectrograph: Spectrograph) -> Sky:
    """Return the templates of a spectrograph, built once a process."""
    k = np.arange(GRID_START, GRID_STOP)
    wavelength = np.power(10.0, k * STEP)

    def curve(values: list[float]) -> Floats:
        return np.asarray(np.interp(wavelength, spectrograph.knots, values))

    dispersion, continuum = curve(spectrograph.dispersion), curve(spectrograph.background)
    lines = np.zeros(len(k))
    for line, peak in _line_list():
        centre = np.log10(line) / STEP - GRID_START
        near = slice(max(int(centre) - 8, 0), int(centre) + 9)
        offset = (np.arange(len(k))[near] - centre) / dispersion[near]
        lines[near] += spectrograph.line_scale * peak * np.exp(-0.5 * offset**2)
    total = continuum + lines
    bright = total > 1.25 * median_filter(total, 99)
    return Sky(wavelength, dispersion, curve(spectrograph.noise), continuum, lines, bright)
