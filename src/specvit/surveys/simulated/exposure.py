"""From a noise-free spectrum to what a survey publishes: flux, inverse variance and masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from specvit.surveys.simulated.instrument import GRID_START, STEP, Sky, Spectrograph, sky_of
from specvit.surveys.simulated.objects import Floats, Generator

# Electrons of detector noise, as sky continuum that would make the same noise.
DETECTOR = 1.0
BAND_CENTRES = np.array([3551.0, 4686.0, 6166.0, 7480.0, 8932.0])
_BAND_EDGES = np.array([3000, 3900, 5500, 6900, 8200, 11000])

# Mask bits of SDSS spectra (SPPIXMASK, Data Release 17).
NEARBADPIXEL, LOWFLAT, FULLREJECT, PARTIALREJECT = 16, 17, 18, 19
SCATTEREDLIGHT, BRIGHTSKY, NODATA, COMBINEREJ = 20, 23, 24, 25


@dataclass(frozen=True)
class Pixels:
    """The pixels of one spectrum: a slice of the common grid."""

    spectrograph: Spectrograph
    first: int
    count: int

    @property
    def where(self) -> slice:
        """Their place in the templates."""
        return slice(self.first - GRID_START, self.first - GRID_START + self.count)

    @property
    def loglam(self) -> Floats:
        """log10 of vacuum wavelength in Angstrom."""
        return np.arange(self.first, self.first + self.count) * STEP

    @property
    def wavelength(self) -> Floats:
        """Vacuum wavelength in Angstrom."""
        return self.sky.wavelength[self.where]

    @property
    def dispersion(self) -> Floats:
        """Sigma of the line spread function in pixels."""
        return self.sky.dispersion[self.where]

    @property
    def sky(self) -> Sky:
        """The spectrograph's templates."""
        return sky_of(self.spectrograph)


def choose_pixels(spectrograph: Spectrograph, rng: Generator) -> Pixels:
    """Draw the wavelength range of one fiber."""
    low, high = spectrograph.first
    few, many = spectrograph.pixels
    return Pixels(spectrograph, int(rng.integers(low, high + 1)), int(rng.integers(few, many + 1)))


@dataclass(frozen=True)
class Exposure:
    """One observed spectrum; arrays of shape (pixels.count,), flux in the model's unit."""

    pixels: Pixels
    flux: Floats
    ivar: Floats
    sky: Floats
    and_mask: NDArray[np.int32]
    or_mask: NDArray[np.int32]


def noise_of(pixels: Pixels, model: Floats, brightness: float) -> tuple[Floats, Floats]:
    """Noise (sigma) and sky of a spectrum, before it is matched to the catalogue's S/N.

    Photon noise of object and sky over detector noise, and a share of the sky that subtraction
    leaves; `brightness` scales the night's sky lines.
    """
    where, templates = pixels.where, pixels.sky
    continuum, lines = templates.continuum[where], brightness * templates.lines[where]
    sky = continuum + lines
    photons = (sky + np.maximum(model, 0) + DETECTOR) / (continuum + DETECTOR)
    variance = templates.noise[where] ** 2 * photons
    variance += (pixels.spectrograph.residual * lines) ** 2
    return np.sqrt(variance), sky


def match_snr(
    wavelength: Floats, model: Floats, sigma: Floats, bands: Floats, total: float
) -> Floats:
    """Scale the noise so that its median S/N in ugriz and overall is the catalogue's.

    A smooth factor between the band centres (a night's transparency and the fiber's losses), then
    one for all.
    """
    ratio = model / sigma
    edges = np.searchsorted(wavelength, _BAND_EDGES)
    known, factors = [], []
    for band, (start, stop) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        if stop - start > 50:
            median = float(np.median(ratio[start:stop]))
            known.append(BAND_CENTRES[band])
            factors.append(np.log(np.clip(median / max(bands[band], 1e-3), 0.2, 5.0)))
    tilt = np.exp(np.interp(wavelength, known, factors))
    matched: Floats = sigma * tilt
    matched *= float(np.median(model / matched)) / total
    return matched


def observe(rng: Generator, pixels: Pixels, model: Floats, bands: Floats, total: float) -> Exposure:
    """Observe a noise-free spectrum at the S/N that the catalogue gives.

    Noise is drawn from exactly the variance that ivar states, sky residuals included.
    """
    brightness = float(np.exp(rng.normal(0, 0.35)))
    sigma, sky = noise_of(pixels, model, brightness)
    sigma = match_snr(pixels.wavelength, model, sigma, bands, total)
    flux = model + sigma * rng.standard_normal(pixels.count)
    and_mask = np.zeros(pixels.count, np.int32)
    bright = pixels.sky.bright[pixels.where] & (sky > model + 10 * sigma)
    and_mask[bright] |= 1 << BRIGHTSKY
    or_mask = and_mask.copy()
    return Exposure(pixels, flux, sigma**-2, sky, and_mask, or_mask)


def add_runs(
    rng: Generator, mask: NDArray[np.int32], bit: int, share: float, length: float
) -> None:
    """Set a bit on runs of pixels that together cover about this share."""
    count = rng.poisson(share * len(mask) / length)
    starts = rng.integers(0, len(mask), count)
    lengths = 1 + rng.exponential(length, count).astype(int)
    for start, run in zip(starts, lengths, strict=True):
        mask[start : start + run] |= 1 << bit


def rounded(values: Floats) -> NDArray[np.float32]:
    """Round to 16 binary digits.

    Machines differ in the last bit of exp and sin: rounding far above it makes the files the same.
    """
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.rint(np.ldexp(mantissa, 16)), exponent - 16).astype(np.float32)
