"""Spectrographs and night sky: pixels, resolution, background and the noise that they give.

All templates live on one grid of pixels at log10(wavelength / A) = k * 1e-4 (69 km/s each), the
grid of SDSS and LAMOST spectra; an exposure is a slice of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from specvit.surveys.simulated.seeds import Floats

GRID_START, GRID_STOP = 35450, 40300
STEP = 1e-4


@dataclass(frozen=True)
class Spectrograph:
    """Curves over vacuum wavelength (A), given at knots and interpolated."""

    name: str
    first: tuple[int, int]  # range of the first pixel's k
    pixels: tuple[int, int]  # range of the number of pixels
    knots: tuple[float, ...]
    dispersion: tuple[float, ...]
    """Sigma of the line spread function in pixels: 1844 / (resolving power R)."""
    noise: tuple[float, ...]
    """Noise of the sky continuum in 1e-17 erg/s/cm2/A: arms meet near 6000 A."""
    background: tuple[float, ...]
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


# Dispersion, noise and sky continuum as the WDISP, IVAR and SKY columns of public spectra have
# them; R = 1500-2300 (Smee et al. 2013, AJ 146, 32), LAMOST 1800 at 5500 A (Zhao et al. 2012).
SDSS = Spectrograph(
    "SDSS", (35765, 35820), (3806, 3872),
    (3750, 3850, 3900, 4200, 4500, 5000, 5500, 5900, 6050, 6500, 7000, 8000, 9000, 9300),
    (1.25, 1.21, 1.19, 1.12, 1.04, 0.95, 0.88, 0.90, 0.92, 0.90, 0.86, 0.79, 0.77, 0.78),
    (3.20, 2.30, 1.85, 1.12, 0.88, 0.73, 0.67, 0.80, 0.66, 0.46, 0.45, 0.52, 0.70, 0.95),
    (7.20, 7.10, 6.80, 8.10, 8.50, 8.10, 8.30, 10.5, 10.5, 7.40, 6.60, 7.60, 6.10, 5.20),
    3.6, 0.007, 6.0, 5990.0, 0.0, 1.0,
)  # fmt: skip
BOSS = Spectrograph(
    "BOSS", (35512, 35572), (4574, 4626),
    (3550, 3700, 3900, 4200, 4500, 5000, 5500, 5900, 6050, 6500, 7000, 8000, 9000, 9500, 10000,
     10400),
    (1.60, 1.52, 1.44, 1.33, 1.23, 1.05, 0.92, 0.95, 0.99, 0.95, 0.90, 0.88, 0.91, 0.95, 1.02,
     1.08),
    (1.50, 1.00, 0.73, 0.50, 0.39, 0.32, 0.285, 0.33, 0.30, 0.229, 0.21, 0.20, 0.20, 0.22, 0.30,
     0.50),
    (6.50, 5.30, 3.60, 3.90, 3.70, 3.30, 3.30, 4.60, 4.60, 2.90, 2.60, 2.90, 2.70, 3.60, 4.50,
     5.50),
    1.0, 0.014, 1.5, 6100.0, 0.0, 0.95,
)  # fmt: skip
LAMOST = Spectrograph(
    "LAMOST", (35682, 35682), (3909, 3909),
    (3700, 3850, 4000, 4300, 4700, 5200, 5700, 5850, 6000, 6300, 7000, 8000, 8600, 9100),
    (1.40, 1.33, 1.27, 1.17, 1.08, 1.02, 0.99, 1.02, 1.16, 1.10, 1.02, 0.95, 0.93, 0.95),
    (6.00, 3.60, 2.30, 1.40, 1.05, 0.92, 1.05, 1.60, 1.50, 0.85, 0.72, 0.75, 0.85, 1.20),
    (9.00, 8.80, 8.90, 9.40, 9.80, 9.80, 10.0, 12.5, 12.5, 9.50, 8.50, 8.90, 8.20, 7.60),
    4.5, 0.012, 6.0, 5850.0, 0.5, 0.83,
)  # fmt: skip

# Noise of a pixel of 0.8 A in 1000 s: the shape of IVAR in a public coadd, at the depth that its
# TSNR2 gives; R = 2000 to 5000 (DESI Collaboration 2022, AJ 164, 207). Stars are no sharper than
# the library's, whose spectra are SDSS's.
DESI = Spectrograph(
    "DESI", (35556, 35556), (4368, 4368),
    (3600, 3700, 3900, 4200, 4500, 5000, 5500, 5800, 6000, 6500, 7000, 7700, 8500, 9000, 9500,
     9800),
    (0.92, 0.88, 0.80, 0.73, 0.69, 0.62, 0.57, 0.54, 0.57, 0.50, 0.44, 0.45, 0.41, 0.39, 0.37,
     0.37),
    (2.90, 1.90, 1.05, 0.67, 0.58, 0.43, 0.40, 0.42, 0.37, 0.31, 0.22, 0.20, 0.18, 0.20, 0.30,
     0.45),
    (3.60, 3.00, 2.00, 2.20, 2.10, 1.90, 1.90, 2.50, 2.00, 1.60, 1.50, 1.50, 1.50, 2.00, 2.50,
     3.00),
    0.56, 0.010, 1.0, 5790.0, 0.0, 1.0,
)  # fmt: skip


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
    return np.array([[float(value) for value in line.split()] for line in text.split(",")])


@lru_cache(maxsize=4)
def sky_of(spectrograph: Spectrograph) -> Sky:
    """Return the templates of a spectrograph, built once a process."""
    k = np.arange(GRID_START, GRID_STOP)
    wavelength = np.power(10.0, k * STEP)

    def curve(values: tuple[float, ...]) -> Floats:
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
