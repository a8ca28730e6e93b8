"""Spectrographs and night sky: pixels, resolution, background and the noise that they give.

All templates live on one grid of pixels at log10(wavelength / A) = k * 1e-4 (69 km/s each), the
grid of SDSS and LAMOST spectra; an exposure is a slice of it.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources

import numpy as np
from scipy.ndimage import median_filter

from specvit.surveys.simulated.seeds import Bools, Floats

GRID_START, GRID_STOP = 35450, 40300
STEP = 1e-4
BAND_CENTRES = np.array([3551.0, 4686.0, 6166.0, 7480.0, 8932.0])  # ugriz (A)


@dataclass(frozen=True)
class Sky:
    """Templates of one spectrograph, each on the same pixels: all of the grid or an exposure's."""

    wavelength: Floats
    dispersion: Floats
    noise: Floats
    continuum: Floats
    lines: Floats
    bright: Bools  # more than 1.25 times the running median: a bright sky line


@dataclass(frozen=True)
class Spectrograph:
    """Curves over vacuum wavelength (A), given at knots and interpolated."""

    name: str
    first: list[int]  # range of the first pixel's k
    pixels: list[int]  # range of the number of pixels
    knots: list[float]
    dispersion: list[float]  # sigma of the line spread function in pixels: 1844 / (resolving power)
    noise: list[float]  # of the sky continuum in 1e-17 erg/s/cm2/A: arms meet near 6000 A
    background: list[float]  # sky continuum through the fiber in the same unit
    line_scale: float  # sky lines through the fiber, relative to those of a 2 arcsec fiber
    residual: float  # what sky subtraction leaves of the lines, as a fraction
    detector: float  # its noise as a sky continuum that would make the same noise
    arms: float  # where the blue and the red spectrum meet (A)
    extra: float  # sigma (pixels) by which it is less sharp than the library's spectra, SDSS's
    stated: float  # scatter of the pixels over the error that ivar states
    # Bits (SPPIXMASK), the share of pixels with each, and how long its runs are (pixels).
    or_mask: list[tuple[int, float, float]] = field(default_factory=list)

    @cached_property
    def sky(self) -> Sky:
        """Its templates of the night sky."""
        k = np.arange(GRID_START, GRID_STOP)
        wavelength = np.power(10.0, k * STEP)
        dispersion, noise, continuum = (
            np.interp(wavelength, self.knots, values)
            for values in (self.dispersion, self.noise, self.background)
        )
        lines = np.zeros(len(k))
        for line, peak in _LINES:
            centre = np.log10(line) / STEP - GRID_START
            near = slice(max(int(centre) - 8, 0), int(centre) + 9)
            offset = (np.arange(len(k))[near] - centre) / dispersion[near]
            lines[near] += self.line_scale * peak * np.exp(-0.5 * offset**2)
        total = continuum + lines
        bright = total > 1.25 * median_filter(total, 99)
        return Sky(wavelength, dispersion, noise, continuum, lines, bright)


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")


SDSS, BOSS, LAMOST, DESI = (
    Spectrograph(name, **keys) for name, keys in tomllib.loads(_text("spectrographs.toml")).items()
)
# Night-sky emission lines: vacuum wavelength (to 1 A) and peak in 1e-17 erg/s/cm2/A, of a typical
# night through a 2 arcsec fiber. [O I], Na I and OH after Osterbrock et al. (1996, PASP 108, 277),
# Hg I of street lamps.
_LINES = np.array([line.split() for line in _text("sky_lines.txt").split(",")], np.float64)
