"""What takes light out of a quasar's spectrum on its way: forest, metal systems, winds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter1d

from specvit.surveys.simulated.deposit import LN10_STEP, add_gaussians
from specvit.surveys.simulated.instrument import GRID_START, GRID_STOP, STEP
from specvit.surveys.simulated.lines import RYDBERG_WAVE
from specvit.surveys.simulated.objects import LIGHT_SPEED, Floats, Generator

LYMAN_ALPHA, LYMAN_BETA = 1215.67, 1025.72  # vacuum A (NIST)
SCATTER = 2.2  # of ln(optical depth) in the forest
# Doublets (NIST): wavelengths, strength of the weaker, systems in unit redshift (Nestor et al.
# 2005, ApJ 628, 637; Cooksey et al. 2013, ApJ 763, 37).
_DOUBLETS = ((2796.35, 2803.53, 0.7, 0.3), (1548.20, 1550.78, 0.6, 0.8))
# Lines that broad absorption troughs follow: wavelength and relative depth.
_TROUGHS = ((1549.06, 1.0), (1397.0, 0.6), (1240.14, 0.9), (LYMAN_ALPHA, 0.5), (1033.0, 0.9))


@dataclass(frozen=True)
class Absorbers:
    """Absorbers on one line of sight, drawn once for the object: all its spectra share them."""

    z: float
    field: Floats
    """Gaussian field of unit variance on the common pixel grid, for the forest."""
    systems: tuple[tuple[float, float, int], ...]
    """Redshift, equivalent width (A, rest) and number in _DOUBLETS."""
    trough: tuple[float, float, float]
    """Depth of the broad absorption (0: none), slowest and fastest wind (km/s)."""

    def transmission(self, wavelength: Floats, first: int) -> Floats:
        """Share of the light that arrives on pixels from k = first; shape as wavelength."""
        rest = wavelength / (1 + self.z)
        passed = np.ones(len(wavelength))
        if rest[0] < LYMAN_ALPHA:
            passed *= self._forest(wavelength, first)
        # Winds are seen where C IV is within the spectrum.
        if self.trough[0] > 0 and self.z > 1.45:
            passed *= self._winds(rest)
        depth = np.zeros(len(wavelength))
        for redshift, ew, number in self.systems:
            blue, red, ratio, _ = _DOUBLETS[number]
            if blue * (1 + redshift) < LYMAN_ALPHA * (1 + self.z):
                continue  # lost in the forest
            waves = np.array([blue, red])
            centres = np.log10(waves * (1 + redshift)) / STEP - first
            areas = ew * np.array([1, ratio]) / (waves * LN10_STEP)
            depth += add_gaussians(len(depth), centres, areas, np.full(2, 1.2))
        return np.asarray(passed * np.exp(-depth))

    def _forest(self, wavelength: Floats, first: int) -> Floats:
        """Lyman-alpha and -beta absorption with the mean of Becker et al. (2013, MNRAS 430, 2067).

        Log-normal optical depth a exp(s g) over the Gaussian field g (Bi & Davidsen 1997, ApJ 479,
        523); a is such that the mean transmission is exp(-tau_eff).
        """
        start = first - GRID_START
        field = self.field[start : start + len(wavelength)]
        depth = np.zeros(len(wavelength))
        for line, ratio in ((LYMAN_ALPHA, 1.0), (LYMAN_BETA, 0.16)):
            blue = wavelength < line * (1 + self.z)
            effective = 0.751 * (wavelength[blue] / line / 4.5) ** 2.90 - 0.132
            # The gas that absorbs in beta is elsewhere: any field of the same kind will do.
            values = field[blue] if ratio == 1.0 else -field[blue]
            depth[blue] += ratio * _amplitude(effective) * np.exp(SCATTER * values)
        # Lyman limit: nearly everything beyond it is gone (Worseck et al. 2014, MNRAS 445, 1745).
        limit = RYDBERG_WAVE * (1 + self.z)
        beyond = wavelength < limit
        depth[beyond] += 18 * (1 - wavelength[beyond] / limit)
        smooth: Floats = gaussian_filter1d(np.exp(-depth), 1.0)
        return smooth

    def _winds(self, rest: Floats) -> Floats:
        depth, slow, fast = self.trough
        passed = np.ones(len(rest))
        for line, relative in _TROUGHS:
            speed = (1 - rest / line) * LIGHT_SPEED
            inside = 1 / (1 + np.exp(np.clip((slow - speed) / 350, -50, 50)))
            inside /= 1 + np.exp(np.clip((speed - fast) / 900, -50, 50))
            passed *= 1 - depth * relative * inside
        return passed


@lru_cache(maxsize=1)
def _mean_absorption() -> tuple[Floats, Floats]:
    """log10 of a, and the tau_eff that a exp(SCATTER g) gives on average over unit Gaussians g."""
    log_a = np.linspace(-4, 2.5, 200)
    g, weight = np.polynomial.hermite_e.hermegauss(80)
    depths = 10 ** log_a[:, None] * np.exp(SCATTER * g)
    return log_a, -np.log(np.exp(-depths) @ weight / weight.sum())


def _amplitude(effective: Floats) -> Floats:
    log_a, mean = _mean_absorption()
    return np.asarray(10 ** np.interp(np.maximum(effective, 0.01), mean, log_a))


def draw_absorbers(rng: Generator, z: float, trough: float) -> Absorbers:
    """Draw what lies before a quasar at this redshift; `trough` is its wind's depth."""
    # Smoothed to the gas's own scale and the spectrograph.
    field = gaussian_filter1d(rng.standard_normal(GRID_STOP - GRID_START), 1.6)
    systems = []
    for number, (blue, _, _, rate) in enumerate(_DOUBLETS):
        low = max(3700 / blue - 1, 0.05)
        count = rng.poisson(rate * max(z - low, 0.0))
        redshifts, widths = rng.uniform(low, max(z, low), count), rng.exponential(0.9, count)
        systems += [
            (redshift, width, number)
            for redshift, width in zip(redshifts.tolist(), widths.tolist(), strict=True)
        ]
    slow, fast = np.sort(rng.uniform(1500, 22000, 2)).tolist()
    return Absorbers(z, field / field.std(), tuple(systems), (trough, slow, fast + 1500))
