"""A row of LAMOST as it observes it: relative flux, seams, gaps, the air's own lines."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from specvit.surveys.simulated.dust import extinction
from specvit.surveys.simulated.exposure import Exposure, arm_join, choose_pixels, observe
from specvit.surveys.simulated.instrument import LAMOST
from specvit.surveys.simulated.objects import STAR
from specvit.surveys.simulated.observations import Universe, reduced_early
from specvit.surveys.simulated.seeds import Floats, Generator, generator
from specvit.surveys.simulated.spectra import flux_of

COSMIC_RAY = 1 << 1  # bit set in or_mask where one exposure was hit
# A, cut out of spectra of the first releases: the air's strongest band and, of some, the join.
BAND, JOIN = (7581.0, 7682.0), (5608.0, 6005.0)

# Molecular bands of the air (vacuum A): from, to, mean depth at the zenith. O2 B and A, H2O.
_TELLURIC = ((6869, 6884, 0.22), (6884, 6947, 0.10), (7166, 7340, 0.05), (7595, 7622, 0.42),
             (7622, 7685, 0.28), (8130, 8345, 0.05), (8950, 9100, 0.10))  # fmt: skip


def lamost_exposure(universe: Universe, number: int) -> Exposure:
    """Observe one LAMOST row."""
    row = universe.lamost[number]
    rng = generator(universe.settings.seed, "lamost", "exposure", number)
    pixels = choose_pixels(LAMOST, rng)
    seen = universe.objects[row["object"]]
    # What the pipeline's correction misses of the air's bands: up to a third, either way.
    air = np.exp(-rng.uniform(-0.1, 0.35) * _telluric_depth()[pixels.where])
    model = flux_of(universe, row, pixels) * air
    exposure = observe(rng, pixels, model, row["snr"], None)
    star = seen["kind"] == STAR
    ebv = float(seen["ebv"]) if star else 0.0
    exposure.calibrate(calibration(rng, pixels.wavelength, ebv, float(row["snr_all"])))
    # Most galaxies and quasars are from later releases.
    old = bool(reduced_early(row["plan"]) and (star or rng.random() < 0.2))
    _damage(rng, exposure, old)
    return exposure


@lru_cache(maxsize=1)
def _telluric_depth() -> Floats:
    """Optical depth of the air's bands on the common grid."""
    wavelength = LAMOST.sky.wavelength
    depth = np.zeros(len(wavelength))
    for low, high, mean in _TELLURIC:
        inside = (wavelength > low) & (wavelength < high)
        place = (wavelength[inside] - low) / (high - low)
        depth[inside] += mean * (1 + 0.5 * np.cos(2 * np.pi * 9 * place)) * (1.3 - 0.6 * place)
    kernel = np.exp(-0.5 * (np.arange(-5, 6) / 1.1) ** 2)
    return np.convolve(depth, kernel / kernel.sum(), mode="same")


def calibration(rng: Generator, wavelength: Floats, ebv: float, snr: float) -> Floats:
    """Relative flux: an arbitrary scale, a tilt of each arm, and a hump where they meet.

    Flux is calibrated by stars of the same field as if there were no dust, which takes most of the
    dust's reddening out with it (Song et al. 2012, RAA 12, 453). Humps grow as S/N falls.
    """
    scale = 10 ** rng.uniform(-0.3, 1.0)
    x = (wavelength - LAMOST.arms) / 3000
    blue, red = rng.normal(0, 0.10, 2)
    tilt = np.where(x < 0, blue * x, red * x) + rng.normal(0, 0.05) * x**2
    dust = 0.921 * ebv * rng.normal(0.85, 0.1) * (extinction(wavelength) - 2.5)
    join = arm_join(rng, wavelength, LAMOST.arms, np.hypot(0.04, 0.9 / max(snr, 3.0)))
    return np.asarray(scale * np.exp(tilt + dust) * join)


def _damage(rng: Generator, exposure: Exposure, old: bool) -> None:
    """Cosmic rays, gaps, and the end without data; `old`: as the first releases were reduced.

    LAMOST writes flux 0 where there is no data, and an ivar all the same; the first releases
    write ivar 0 in the air's strongest band, and around pixels of no signal.
    """
    flux, ivar, wavelength = exposure.flux, exposure.ivar, exposure.pixels.wavelength
    hits = rng.integers(0, len(flux), rng.poisson(0.6))
    flux[hits] += rng.exponential(25, len(hits)) / np.sqrt(ivar[hits])
    exposure.or_mask[hits] |= COSMIC_RAY
    if rng.random() < 0.08:
        seam = int(np.searchsorted(wavelength, LAMOST.arms + rng.uniform(-60, 60)))
        half = int(rng.integers(15, 60))
        flux[seam - half : seam + half] = 0
    missing = int(rng.integers(2, 37))
    ivar[-missing:] = ivar[-missing - 1]
    if old:
        # Single exposures are shallower than their sum: any of them may have been rejected.
        signal = flux * np.sqrt(ivar)
        least = min(8.0, 0.1 * float(np.median(signal)))
        weak = signal < least * (1 + rng.exponential(0.4, len(flux)))
        weak |= rng.random(len(flux)) < 0.002
        reach = np.convolve(weak, np.ones(5), mode="same") > 0
        ivar[reach] = 0
        ivar[(wavelength > BAND[0]) & (wavelength < BAND[1])] = 0
        if rng.random() < 0.1:
            ivar[(wavelength > JOIN[0]) & (wavelength < JOIN[1])] = 0
    flux[-missing:] = 0
