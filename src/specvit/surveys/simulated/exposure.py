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

# Mask bits of SDSS spectra (SPPIXMASK, Data Release 17).
NEARBADPIXEL, FULLREJECT, BRIGHTSKY, NODATA = 16, 18, 23, 24


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


def noise_of(pixels: Pixels, model: Floats, brightness: float) -> tuple[Floats, Floats]:
    """Noise (sigma) and sky of a spectrum, before it is matched to the catalogue's S/N.

    Photon noise of object and sky over detector noise, and a share of the sky that subtraction
    leaves; `brightness` scales the night's sky lines.
    """
    where, templates = pixels.where, pixels.sky
    continuum, lines = templates.continuum[where], brightness * templates.lines[where]
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
    tilt = np.exp(np.interp(wavelength, known, factors))
    matched: Floats = sigma * tilt
    if total is not None:
        matched *= float(np.median(model / matched)) / total
    return matched


def observe(
    rng: Generator, pixels: Pixels, model: Floats, bands: Floats, total: float | None
) -> Exposure:
    """Observe a noise-free spectrum at the S/N that the catalogue gives.

    ivar is what the pipeline states; the pixels scatter by a little less and are correlated with
    their neighbours, because it interpolated them onto the common grid.
    """
    brightness = float(np.exp(rng.normal(0, 0.35)))
    sigma, sky = noise_of(pixels, model, brightness)
    sigma = match_snr(pixels.wavelength, model, sigma, bands, total)
    noise = interpolated_noise(rng, pixels.count) * pixels.spectrograph.stated
    masks = np.zeros((2, pixels.count), np.int32)
    return Exposure(pixels, model + sigma * noise, sigma**-2, sky, masks[0], masks[1])


def veiled(rng: Generator, pixels: Pixels, model: Floats) -> Floats:
    """Add to a few spectra light of another source, or of the night, without lines of its own."""
    if rng.random() > 0.06:
        return model
    slope = rng.normal(0, 0.5) * (pixels.wavelength - 6200) / 2500
    return np.asarray(model + rng.uniform(0, 0.8) * np.median(model) * np.exp(slope))


def interpolated_noise(rng: Generator, count: int) -> Floats:
    """Noise of unit variance after linear interpolation between pixels.

    A shift by s of a pixel correlates neighbours by s (1 - s) / (s**2 + (1 - s)**2): up to 1/2.
    """
    shift = float(rng.uniform(0.05, 0.35))
    white = rng.standard_normal(count + 1)
    mixed = (1 - shift) * white[:-1] + shift * white[1:]
    return np.asarray(mixed / np.hypot(shift, 1 - shift))


def mask_sdss(rng: Generator, exposure: Exposure, model: Floats) -> None:
    """Set SDSS's masks and, in bad columns of the detectors, ivar = 0; changes the exposure."""
    pixels = exposure.pixels
    with np.errstate(divide="ignore"):
        sigma = exposure.ivar**-0.5
    # BRIGHTSKY as the pipeline defines it: sky above flux plus ten times its error.
    bright = pixels.sky.bright[pixels.where] & (exposure.sky > model + 10 * sigma)
    exposure.and_mask[bright] |= 1 << BRIGHTSKY
    if rng.random() < 0.35:
        bad = np.zeros(pixels.count, np.int32)
        add_runs(rng, bad, NEARBADPIXEL, 0.004, 6)
        if rng.random() < 0.1:
            add_runs(rng, bad, NEARBADPIXEL, 0.02, 120)  # a bad stretch of the detector
        lost = bad != 0
        exposure.and_mask[lost] |= (1 << NEARBADPIXEL) | (1 << FULLREJECT)
        exposure.ivar[lost] = 0
        exposure.flux[lost] = model[lost]  # the pipeline interpolates over them
    exposure.or_mask[:] = exposure.and_mask
    for bit, share, length in pixels.spectrograph.or_mask:
        add_runs(rng, exposure.or_mask, bit, share, length)


def switch_off(exposure: Exposure, where: slice | NDArray[np.bool_] = slice(None)) -> None:
    """Leave nothing of the spectrum: a dead fiber, or the part that a lost arm had."""
    exposure.flux[where] = 0
    exposure.ivar[where] = 0
    exposure.and_mask[where] |= 1 << NODATA
    exposure.or_mask[where] |= 1 << NODATA


def with_data(exposure: Exposure) -> slice:
    """From the first to the last pixel with data; all of them where none has."""
    seen = np.flatnonzero(exposure.ivar > 0)
    return slice(int(seen[0]), int(seen[-1]) + 1) if len(seen) else slice(0, len(exposure.ivar))


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


def add_runs(
    rng: Generator, mask: NDArray[np.int32], bit: int, share: float, length: float
) -> None:
    """Set a bit on runs of pixels that together cover about this share."""
    count = rng.poisson(share * len(mask) / length)
    starts = rng.integers(0, len(mask), count)
    ends = np.minimum(starts + 1 + rng.exponential(length, count).astype(np.int64), len(mask))
    # Runs that are open at each pixel: those begun less those ended.
    size = len(mask) + 1
    still_open = np.cumsum(np.bincount(starts, None, size) - np.bincount(ends, None, size))
    mask[still_open[:-1] > 0] |= 1 << bit


def rounded(values: Floats) -> NDArray[np.float32]:
    """Round to 17 binary digits.

    Machines differ in the last bit of exp and sin: rounding far above it makes the files the same.
    """
    bits = values.astype(np.float32).view(np.int32)
    return ((bits + 0x40) & ~0x7F).view(np.float32)
