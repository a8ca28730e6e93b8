"""From a noise-free spectrum to what a survey publishes: flux, inverse variance and masks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from specvit.surveys.simulated.instrument import GRID_START, STEP, Sky, Spectrograph, sky_of
from specvit.surveys.simulated.seeds import Floats, Generator

BAND_CENTRES = np.array([3551.0, 4686.0, 6166.0, 7480.0, 8932.0])
_BAND_EDGES = np.array([3000, 3900, 5500, 6900, 8200, 11000])


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
        return np.asarray(np.arange(self.first, self.first + self.count) * STEP)

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
    """One observed spectrum; arrays of shape (pixels.count,), flux in the model's unit.

    Frozen in its pixels; what happens on the way (masks, gaps, calibration) changes the arrays.
    """

    pixels: Pixels
    flux: Floats
    ivar: Floats
    sky: Floats
    and_mask: NDArray[np.int32]
    or_mask: NDArray[np.int32]


def noise_of(rng: Generator, pixels: Pixels, model: Floats) -> tuple[Floats, Floats]:
    """Noise (sigma) and sky of a spectrum on some night, before the catalogue's S/N is known.

    Photon noise of object and sky over detector noise, and a share of the sky's lines that
    subtraction leaves.
    """
    where, templates = pixels.where, pixels.sky
    continuum = templates.continuum[where]
    lines = float(np.exp(rng.normal(0, 0.35))) * templates.lines[where]  # nights differ
    sky = continuum + lines
    detector = pixels.spectrograph.detector
    photons = (sky + np.maximum(model, 0) + detector) / (continuum + detector)
    variance = templates.noise[where] ** 2 * photons
    variance += (pixels.spectrograph.residual * lines) ** 2
    return np.sqrt(variance), sky


def match_snr(
    wavelength: Floats, model: Floats, sigma: Floats, bands: Floats, total: float | None
) -> Floats:
    """Scale the noise so that the median S/N is the catalogue's.

    By a smooth factor in ugriz (the night's transparency, the fiber's losses); then, where the
    catalogue has a total over all pixels, by one for all to match that.
    """
    ratio = model / sigma
    edges = np.searchsorted(wavelength, _BAND_EDGES)
    known, factors = [], []
    for band, (start, stop) in enumerate(pairwise(edges.tolist())):
        if stop - start > 50:
            median = float(np.median(ratio[start:stop:3]))  # smooth enough to skip pixels
            known.append(BAND_CENTRES[band])
            factors.append(np.log(np.clip(median / max(bands[band], 1e-3), 0.2, 5.0)))
    matched = sigma * np.exp(np.interp(wavelength, known, factors))
    if total is not None:
        matched *= float(np.median(model / matched)) / total
    return np.asarray(matched)


def observe(
    rng: Generator, pixels: Pixels, model: Floats, bands: Floats, total: float | None
) -> Exposure:
    """Observe a noise-free spectrum at the S/N that the catalogue gives.

    ivar is what the pipeline states; the pixels scatter by a little less and are correlated with
    their neighbours, because it interpolated them onto the common grid.
    """
    sigma, sky = noise_of(rng, pixels, model)
    sigma = match_snr(pixels.wavelength, model, sigma, bands, total)
    noise = interpolated_noise(rng, pixels.count) * pixels.spectrograph.stated
    masks = np.zeros((2, pixels.count), np.int32)
    return Exposure(pixels, model + sigma * noise, sigma**-2, sky, masks[0], masks[1])


def interpolated_noise(rng: Generator, count: int) -> Floats:
    """Noise of unit variance after linear interpolation between pixels.

    A shift by s of a pixel correlates neighbours by s (1 - s) / (s**2 + (1 - s)**2): up to 1/2.
    """
    shift = float(rng.uniform(0.05, 0.35))
    white = rng.standard_normal(count + 1)
    mixed = (1 - shift) * white[:-1] + shift * white[1:]
    return np.asarray(mixed / np.hypot(shift, 1 - shift))


def calibrate(exposure: Exposure, factor: Floats) -> None:
    """Multiply the spectrum and its error, as a wrong calibration does."""
    exposure.flux[:] *= factor
    exposure.ivar[:] /= factor**2


def arm_join(rng: Generator, wavelength: Floats, seam: float, size: float) -> Floats:
    """Factor of a hump, and a step that fades, where two arms of a spectrograph meet."""
    offset = wavelength - seam - rng.uniform(-70, 70)
    hump = np.exp(-0.5 * (offset / rng.uniform(70, 150)) ** 2)
    step = np.sign(offset) * np.exp(-np.abs(offset) / 300)
    return np.asarray(np.exp(rng.normal(0, size) * hump + rng.normal(0, size / 3) * step))


def runs(rng: Generator, count: int, share: float, length: float) -> NDArray[np.bool_]:
    """Pixels, of `count`, in runs that together cover about this share; lengths exponential."""
    begun = rng.poisson(share * count / length)
    starts = rng.integers(0, count, begun)
    ends = np.minimum(starts + 1 + rng.exponential(length, begun).astype(np.int64), count)
    # Runs that are open at each pixel: those begun less those ended.
    changes = np.bincount(starts, None, count + 1) - np.bincount(ends, None, count + 1)
    return np.asarray(np.cumsum(changes)[:-1] > 0)


def rounded(values: Floats) -> NDArray[np.float32]:
    """Round to 17 binary digits.

    Machines differ in the last bit of exp and sin: rounding far above it makes the files the same.
    """
    bits = values.astype(np.float32).view(np.int32)
    return ((bits + 0x40) & ~0x7F).view(np.float32)
