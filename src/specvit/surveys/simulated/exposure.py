"""From a noise-free spectrum to what a survey publishes: flux, inverse variance and masks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from specvit.surveys.simulated.instrument import BAND_CENTRES, GRID_START, STEP, Sky, Spectrograph
from specvit.surveys.simulated.seeds import Bools, Floats, Generator

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
        return self.sky.wavelength

    @property
    def sky(self) -> Sky:
        """The spectrograph's templates at these pixels."""
        templates = vars(self.spectrograph.sky).items()
        return Sky(**{name: values[self.where] for name, values in templates})

    def shifted(self, light: Floats, start: int, z: float) -> Floats:
        """A rest-frame spectrum on the common grid from k = start, as these pixels see it."""
        place = self.first - start - np.log10(1 + z) * 1e4 + np.arange(self.count)
        return np.asarray(np.interp(place, np.arange(len(light)), light))


def choose_pixels(spectrograph: Spectrograph, rng: Generator) -> Pixels:
    """Draw the wavelength range of one fiber."""
    ranges = (spectrograph.first, spectrograph.pixels)
    first, count = (int(rng.integers(low, high, endpoint=True)) for low, high in ranges)
    return Pixels(spectrograph, first, count)


@dataclass(frozen=True)
class Exposure:
    """One observed spectrum; arrays of shape (pixels.count,), flux and sky in the model's unit.

    Frozen in its pixels; what happens on the way (masks, gaps, calibration) changes the arrays.
    """

    pixels: Pixels
    model: Floats  # noise-free
    flux: Floats
    ivar: Floats
    sky: Floats
    and_mask: NDArray[np.int32]
    or_mask: NDArray[np.int32]

    def calibrate(self, factor: Floats) -> None:
        """Multiply the spectrum and its error, as a wrong calibration does."""
        self.model[:] *= factor
        self.flux[:] *= factor
        self.ivar[:] /= factor**2


def noise_of(rng: Generator, pixels: Pixels, model: Floats) -> tuple[Floats, Floats]:
    """Noise (sigma) and sky of a spectrum on some night, before the catalogue's S/N is known.

    Photon noise of object and sky over detector noise, and a share of the sky's lines that
    subtraction leaves.
    """
    templates, detector = pixels.sky, pixels.spectrograph.detector
    lines = float(np.exp(rng.normal(0, 0.35))) * templates.lines  # nights differ
    sky = templates.continuum + lines
    photons = (sky + np.maximum(model, 0) + detector) / (templates.continuum + detector)
    variance = templates.noise**2 * photons + (pixels.spectrograph.residual * lines) ** 2
    return np.sqrt(variance), sky


def match_snr(wavelength: Floats, model: Floats, sigma: Floats, bands: Floats) -> Floats:
    """Scale the noise smoothly to the catalogue's median S/N in ugriz: nights and fibers differ."""
    ratio = model / sigma
    edges = np.searchsorted(wavelength, _BAND_EDGES)
    known, factors = [], []
    for band, (start, stop) in enumerate(pairwise(edges.tolist())):
        if stop - start > 50:
            median = float(np.median(ratio[start:stop:3]))  # smooth enough to skip pixels
            known.append(BAND_CENTRES[band])
            factors.append(np.log(np.clip(median / max(bands[band], 1e-3), 0.2, 5.0)))
    return np.asarray(sigma * np.exp(np.interp(wavelength, known, factors)))


def observe(
    rng: Generator, pixels: Pixels, model: Floats, bands: Floats, total: float | None
) -> Exposure:
    """Observe a noise-free spectrum at the catalogue's S/N: in bands and, if it has one, in total.

    ivar is what the pipeline states; the pixels scatter by a little less and are correlated with
    their neighbours, because it interpolated them onto the common grid.
    """
    sigma, sky = noise_of(rng, pixels, model)
    sigma = match_snr(pixels.wavelength, model, sigma, bands)
    if total is not None:
        sigma *= float(np.median(model / sigma)) / total
    noise = interpolated_noise(rng, pixels.count) * pixels.spectrograph.stated
    masks = np.zeros((2, pixels.count), np.int32)
    return Exposure(pixels, model, model + sigma * noise, sigma**-2, sky, *masks)


def interpolated_noise(rng: Generator, count: int) -> Floats:
    """Noise of unit variance after linear interpolation between pixels.

    A shift by s of a pixel correlates neighbours by s (1 - s) / (s**2 + (1 - s)**2): up to 1/2.
    """
    shift = float(rng.uniform(0.05, 0.35))
    white = rng.standard_normal(count + 1)
    mixed = (1 - shift) * white[:-1] + shift * white[1:]
    return np.asarray(mixed / np.hypot(shift, 1 - shift))


def arm_join(rng: Generator, wavelength: Floats, seam: float, size: float) -> Floats:
    """Factor of a hump, and a step that fades, where two arms of a spectrograph meet."""
    offset = wavelength - seam - rng.uniform(-70, 70)
    hump = np.exp(-0.5 * (offset / rng.uniform(70, 150)) ** 2)
    step = np.sign(offset) * np.exp(-np.abs(offset) / 300)
    return np.asarray(np.exp(rng.normal(0, size) * hump + rng.normal(0, size / 3) * step))


def runs(rng: Generator, count: int, share: float, length: float) -> Bools:
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
