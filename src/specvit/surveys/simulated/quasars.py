"""Spectra of quasars: power law, broad and narrow lines, iron, host galaxy, absorbers."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from specvit.surveys.simulated.absorbers import LYMAN_ALPHA, draw_absorbers
from specvit.surveys.simulated.deposit import LN10_STEP, add_gaussians
from specvit.surveys.simulated.galaxies import broadened, calzetti, populations, to_observed
from specvit.surveys.simulated.instrument import STEP
from specvit.surveys.simulated.lines import LINE
from specvit.surveys.simulated.objects import LIGHT_SPEED, Floats, Generator

# Broad lines: vacuum wavelength (A), rest equivalent width (A) and width relative to that of
# Hbeta; after the composite of Vanden Berk et al. (2001, AJ 122, 549, table 2).
_BROAD = (
    (1033.0, 9.8, 1.0), (LYMAN_ALPHA, 62.0, 0.95), (1240.14, 22.0, 1.1), (1305.0, 2.0, 0.8),
    (1335.3, 0.9, 0.8), (1398.0, 8.1, 1.1), (1549.06, 25.0, 1.0), (1640.42, 3.5, 1.5),
    (1664.7, 1.5, 1.0), (1857.4, 1.5, 0.9), (1891.0, 3.5, 0.9), (1908.73, 18.0, 1.1),
    (2798.75, 32.0, 0.85), (4102.89, 5.5, 1.0), (4341.68, 13.0, 1.0), (4862.68, 46.0, 1.0),
    (5877.3, 5.0, 1.0), (6564.61, 195.0, 0.9), (4687.0, 2.5, 1.2),
)  # fmt: skip
# Narrow lines with their equivalent widths (same source).
_NARROW = (
    (LINE["[O_II] 3725"], 0.7), (LINE["[O_II] 3727"], 0.9), (LINE["[Ne_III] 3868"], 1.4),
    (3426.8, 0.6), (LINE["[Ne_III] 3970"], 0.5), (LINE["[O_III] 4363"], 0.5),
    (LINE["H_beta"], 1.6), (LINE["[O_III] 4959"], 4.4), (LINE["[O_III] 5007"], 13.2),
    (LINE["[O_I] 6300"], 1.1), (LINE["[N_II] 6548"], 1.7), (LINE["H_alpha"], 6.0),
    (LINE["[N_II] 6583"], 5.0), (LINE["[S_II] 6716"], 1.6), (LINE["[S_II] 6730"], 1.5),
)  # fmt: skip
# Fe II pseudo-continuum: centre, sigma (A) and height over the power law; ultraviolet after
# Vestergaard & Wilkes (2001, ApJS 134, 1), optical after Boroson & Green (1992, ApJS 80, 109).
_IRON = (
    (2080, 55, 0.10), (2230, 60, 0.14), (2380, 45, 0.26), (2490, 50, 0.27), (2590, 38, 0.20),
    (2740, 32, 0.14), (2880, 45, 0.10), (2960, 45, 0.14), (3190, 80, 0.08), (3310, 60, 0.05),
    (4178, 20, 0.05), (4233, 20, 0.05), (4480, 28, 0.09), (4520, 22, 0.13), (4555, 18, 0.15),
    (4585, 18, 0.16), (4630, 22, 0.14), (4925, 12, 0.08), (5018, 12, 0.09), (5170, 18, 0.13),
    (5200, 18, 0.14), (5235, 16, 0.15), (5276, 20, 0.16), (5318, 18, 0.18), (5363, 22, 0.10),
    (5410, 25, 0.06), (5535, 25, 0.06), (6250, 60, 0.04),
)  # fmt: skip


def quasar_flux(
    wavelength: Floats, dispersion: Floats, first: int, row: np.void, rng: Generator
) -> Floats:
    """Flux of a quasar in f_lambda (arbitrary unit) on pixels from k = first; shape (count,).

    `rng` is the object's own: it draws the absorbers, which every spectrum of it shares.
    """
    z = float(row["z"])
    rest = wavelength / (1 + z)
    power = (rest / 3000) ** float(row["slope"])
    flux = power * (1 + float(row["iron"]) * _iron(np.log10(rest)))
    flux += power * _broad_lines(rest, row)
    # Balmer continuum: the blue bump between 2000 and 3650 A (Grandi 1982, ApJ 255, 25).
    bump = np.where(rest < 3650, (rest / 3650) ** 3, np.exp(-(((rest - 3650) / 60) ** 2)))
    flux += 0.16 * bump * power
    flux *= 10 ** (-0.4 * float(row["ebv"]) * (calzetti(np.maximum(rest, 1200)) - 3.0))
    flux += _host(row, first, len(wavelength), flux, rest)
    flux += _narrow_lines(row, rest, power, first, dispersion)
    absorbers = draw_absorbers(rng, z, float(row["bal"]))
    return flux * absorbers.transmission(wavelength, first)


@lru_cache(maxsize=1)
def _iron_template() -> tuple[Floats, Floats]:
    """Iron over a power law, against log10 of rest wavelength."""
    log_wave = np.arange(3.2, 3.85, 2e-4)
    offset = (10 ** log_wave[:, None] - np.array([c for c, _, _ in _IRON])) / np.array(
        [sigma for _, sigma, _ in _IRON]
    )
    return log_wave, np.exp(-0.5 * offset**2) @ np.array([height for _, _, height in _IRON])


def _iron(log_rest: Floats) -> Floats:
    return np.interp(log_rest, *_iron_template())


def _broad_lines(rest: Floats, row: np.void) -> Floats:
    """Broad lines over the power law: a core and a base twice as wide."""
    total = np.zeros(len(rest))
    width = float(row["fwhm"]) / 2.355 / LIGHT_SPEED
    # C IV winds: blueshifts of several hundred km/s, more where lines are weak.
    wind = 1 - 800 / LIGHT_SPEED / np.clip(float(row["line_ew"]), 0.5, 2)
    for centre, ew, relative in _BROAD:
        shifted = centre * wind if centre in (1549.06, 1398.0) else centre
        for part, wider in ((0.55, 0.75), (0.45, 1.9)):
            sigma = width * relative * wider * centre
            near = np.abs(rest - shifted) < 5 * sigma
            if near.any():
                offset = (rest[near] - shifted) / sigma
                height = part * ew * float(row["line_ew"]) / (sigma * 2.5066)
                total[near] += height * np.exp(-0.5 * offset**2)
    return total


def _narrow_lines(
    row: np.void, rest: Floats, power: Floats, first: int, dispersion: Floats
) -> Floats:
    waves, widths = np.array(_NARROW).T
    centres = np.log10(waves * (1 + float(row["z"]))) / STEP - first
    place = np.clip(np.rint(centres).astype(int), 0, len(rest) - 1)
    gas = float(row["sigma"]) * 1.1 / (LIGHT_SPEED * LN10_STEP)
    sigmas = np.hypot(dispersion[place], gas)
    # Strong iron goes with weak [O III] (eigenvector 1, Boroson & Green 1992).
    strength = float(row["line_ew"]) / float(row["iron"]) ** 0.8
    areas = widths * strength * power[place] / (waves * LN10_STEP)
    return add_gaussians(len(rest), centres, areas, sigmas, reach=24)


def _host(row: np.void, first: int, count: int, flux: Floats, rest: Floats) -> Floats:
    """Starlight of the host: 0.4 of the light at 5100 A nearby, none of it beyond z = 0.76."""
    z = float(row["z"])
    share = 0.45 * (1 - z / 0.8)
    if share < 0.02:
        return np.zeros(count)
    mix = populations()[1, 7] * 0.7 + populations()[1, 4] * 0.3
    light = to_observed(broadened(mix, 2.2), first, count, z)
    nucleus = float(np.median(flux[slice(*np.searchsorted(rest, (4950, 5250)))]))
    return np.asarray(share / (1 - share) * nucleus * light)
