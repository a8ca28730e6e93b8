"""Spectra of quasars: measured components, dust, and what absorbs on the way."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter1d

from specvit.surveys.simulated import bases
from specvit.surveys.simulated.dust import small_cloud
from specvit.surveys.simulated.exposure import Pixels
from specvit.surveys.simulated.instrument import GRID_START, GRID_STOP
from specvit.surveys.simulated.lines import LINE, RYDBERG_WAVE, add_gaussians
from specvit.surveys.simulated.objects import QUASAR_SPLIT
from specvit.surveys.simulated.seeds import Floats, Generator

LYMAN_ALPHA, LYMAN_BETA = LINE["Ly_alpha"], 1025.72  # vacuum A (NIST)
SCATTER = 2.2  # of ln(optical depth) in the forest
# Doublets (NIST): wavelengths, strength of the weaker, systems in unit redshift (Nestor et al.
# 2005, ApJ 628, 637; Cooksey et al. 2013, ApJ 763, 37).
_DOUBLETS = ((2796.35, 2803.53, 0.7, 0.3), (1548.20, 1550.78, 0.6, 0.8))

# Where there is next to no line (rest A).
_LINE_FREE = np.array([1285, 1350, 1450, 1700, 2200, 3040, 4020, 4220, 5600, 6200, 6900, 8000.0])


def quasar_flux(pixels: Pixels, row: np.void, rng: Generator) -> Floats:
    """Flux of a quasar in f_lambda (arbitrary unit); shape (pixels.count,).

    `rng` is the object's own: it draws the absorbers, which every spectrum of it shares.
    """
    z = float(row["z"])
    which = "low" if z < QUASAR_SPLIT else "high"
    library = bases.quasars(which)
    light = library.coefficients[int(row["template"])] @ library.vectors
    flux = pixels.shifted(light, bases.QUASAR_START[which], z)
    # The fit of a real one is positive where it was seen; beyond, at least its faintest there.
    flux = np.maximum(flux, 0.05 * np.median(flux))
    rest = pixels.wavelength / (1 + z)
    flux = _own_lines(flux, rest, rng)
    flux *= 10 ** (-0.4 * float(row["ebv"]) * (small_cloud(rest) - small_cloud(np.array(3000.0))))
    flux *= _forest(pixels, z, rng) * np.exp(-_metal_depth(pixels, z, rng))
    if row["trough"] >= 0:
        k = np.log10(rest) * 1e4
        winds = bases.troughs()[int(row["trough"])]
        flux *= np.interp(k, bases.TROUGH_START + bases.TROUGH_STEP * np.arange(len(winds)), winds)
    return flux


def _own_lines(flux: Floats, rest: Floats, rng: Generator) -> Floats:
    """Strengthen or weaken all lines: a few components hold less than the scatter of real ones.

    0.2 dex in equivalent width at a given luminosity (Shen et al. 2011, ApJS 194, 45).
    """
    strength = np.exp(rng.normal(0, 0.2 * np.log(10)))
    seen = _LINE_FREE[(1.01 * rest[0] < _LINE_FREE) & (0.99 * rest[-1] > _LINE_FREE)]
    edges = np.searchsorted(rest, np.outer(seen, [0.995, 1.005]))
    level = np.interp(rest, seen, [flux[low:high].mean() for low, high in edges])
    return np.asarray(np.maximum(level + strength * (flux - level), 0.3 * np.minimum(level, flux)))


def _forest(pixels: Pixels, z: float, rng: Generator) -> Floats:
    """Lyman-alpha and -beta absorption with the mean of Becker et al. (2013, MNRAS 430, 2067).

    Log-normal optical depth a exp(s g) over a Gaussian field g (Bi & Davidsen 1997, ApJ 479, 523),
    smoothed to the gas's own scale; a is such that the mean transmission is exp(-tau_eff).
    """
    whole = gaussian_filter1d(rng.standard_normal(GRID_STOP - GRID_START), 1.6)
    field = (whole / whole.std())[pixels.where]
    wavelength = pixels.wavelength
    if wavelength[0] > LYMAN_ALPHA * (1 + z):
        return np.ones(pixels.count)
    depth = np.zeros(pixels.count)
    log_a, mean = _mean_absorption()
    # The gas that absorbs in beta is elsewhere: any field of the same kind will do.
    for line, ratio, gas in ((LYMAN_ALPHA, 1.0, field), (LYMAN_BETA, 0.16, -field)):
        blue = wavelength < line * (1 + z)
        effective = 0.751 * (wavelength[blue] / line / 4.5) ** 2.90 - 0.132
        amplitude = 10 ** np.interp(np.maximum(effective, 0.01), mean, log_a)
        depth[blue] += ratio * amplitude * np.exp(SCATTER * gas[blue])
    # Lyman limit: nearly everything beyond it is gone (Worseck et al. 2014, MNRAS 445, 1745).
    depth += 18 * np.maximum(1 - wavelength / (RYDBERG_WAVE * (1 + z)), 0)
    return np.asarray(gaussian_filter1d(np.exp(-depth), 1.0))


@lru_cache(maxsize=1)
def _mean_absorption() -> tuple[Floats, Floats]:
    """log10 of a, and the tau_eff that a exp(SCATTER g) gives on average over unit Gaussians g."""
    log_a = np.linspace(-4, 2.5, 200)
    g, weight = np.polynomial.hermite_e.hermegauss(80)
    depths = 10 ** log_a[:, None] * np.exp(SCATTER * g)
    return log_a, -np.log(np.exp(-depths) @ weight / weight.sum())


def _metal_depth(pixels: Pixels, z: float, rng: Generator) -> Floats:
    """Optical depth of the Mg II and C IV doublets of gas on the line of sight."""
    depth = np.zeros(pixels.count)
    for blue, red, ratio, rate in _DOUBLETS:
        low = max(3700 / blue - 1, 0.05)
        count = rng.poisson(rate * max(z - low, 0.0))
        systems = 1 + rng.uniform(low, max(z, low), count)
        widths = rng.exponential(0.9, count) * systems
        seen = blue * systems > LYMAN_ALPHA * (1 + z)  # the others are lost in the forest
        for wave, share in ((blue, 1.0), (red, ratio)):
            waves, strengths = wave * systems[seen], share * widths[seen]
            sigmas = np.full(len(waves), 1.2)
            depth += add_gaussians(pixels.first, pixels.count, waves, strengths, sigmas)
    return depth
