"""Spectra of galaxies: stellar populations, dust, and the lines of ionised gas."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from specvit.surveys.simulated.deposit import LN10_STEP, add_gaussians
from specvit.surveys.simulated.instrument import STEP
from specvit.surveys.simulated.lines import HE_I_5876, LINE, hydrogen
from specvit.surveys.simulated.objects import (
    LIGHT_SPEED,
    Floats,
    Structured,
    bpt_ratios,
    halpha_ew,
    light_shares,
    nucleus_share,
)
from specvit.surveys.simulated.stars import (
    REST_START,
    extinction,
    rest_wavelength,
    template,
)

# Stars that make up a simple population of each age: (Teff, log g) and share of the
# light at 5500 A: turn-off and main sequence, then giants. After the isochrones behind Bruzual &
# Charlot (2003, MNRAS 344, 1000), coarsely.
_POPULATIONS: tuple[tuple[tuple[float, float, float], ...], ...] = (
    ((36000, 4.0, 0.55), (25000, 4.0, 0.35), (4000, 1.0, 0.10)),
    ((22000, 4.0, 0.50), (14000, 4.0, 0.30), (4100, 1.2, 0.20)),
    ((14000, 4.0, 0.40), (10500, 4.1, 0.35), (8600, 4.2, 0.10), (4600, 1.8, 0.15)),
    ((10500, 4.1, 0.45), (9000, 4.1, 0.25), (7500, 4.2, 0.10), (4900, 2.3, 0.20)),
    ((8600, 4.1, 0.50), (7500, 4.2, 0.25), (6500, 4.3, 0.10), (4900, 2.5, 0.15)),
    ((7000, 4.1, 0.38), (6300, 4.3, 0.27), (5800, 4.4, 0.10), (4700, 2.4, 0.25)),
    ((6200, 4.2, 0.29), (5700, 4.4, 0.20), (4700, 2.4, 0.33), (4000, 1.4, 0.13), (3720, 0.9, 0.05)),
    ((5750, 4.3, 0.22), (5200, 4.5, 0.13), (4600, 2.4, 0.33), (4050, 1.5, 0.22), (3720, 0.9, 0.10)),
)
METALS = (-0.6, 0.0, 0.25)
"""[Fe/H] at which populations are made; galaxies lie between."""
TEMPLATE_SIGMA = 1.0  # pixels


@lru_cache(maxsize=1)
def populations() -> Floats:
    """Simple populations on the rest grid, 1 at 5500 A; shape (len(METALS), 8, rest pixels)."""
    made: dict[tuple[float, float, float], Floats] = {}

    def star(teff: float, logg: float, feh: float) -> Floats:
        if (teff, logg, feh) not in made:
            made[teff, logg, feh] = template(teff, logg, feh)
        return made[teff, logg, feh]

    return np.array(
        [
            [
                np.sum([share * star(teff, logg, feh) for teff, logg, share in mix], axis=0)
                for mix in _POPULATIONS
            ]
            for feh in METALS
        ]
    )


def calzetti(wavelength: Floats) -> Floats:
    """A(lambda) / E(B-V) of starlight in galaxies (Calzetti et al. 2000, ApJ 533, 682)."""
    x = 1e4 / wavelength
    blue = 2.659 * (-2.156 + 1.509 * x - 0.198 * x**2 + 0.011 * x**3) + 4.05
    red = 2.659 * (-1.857 + 1.040 * x) + 4.05
    curve: Floats = np.where(wavelength < 6300, blue, red)
    return curve


@lru_cache(maxsize=1)
def _starlight_dust() -> Floats:
    return calzetti(rest_wavelength())


def stellar_light(row: np.void) -> Floats:
    """Starlight of a galaxy on the rest grid in f_lambda, about 1 at 5500 A; not yet broadened."""
    shares = light_shares(np.atleast_1d(row["tau"]), np.atleast_1d(row["burst"]))[0]
    # Stars are as rich in metals as the gas, on the Sun's scale (12 + log O/H = 8.69).
    metals = float(np.clip(1.6 * (row["oh"] - 8.60), METALS[0], METALS[-1]))
    upper = int(np.clip(np.searchsorted(METALS, metals), 1, len(METALS) - 1))
    weight = (metals - METALS[upper - 1]) / (METALS[upper] - METALS[upper - 1])
    bricks = populations()
    light = (1 - weight) * (shares @ bricks[upper - 1]) + weight * (shares @ bricks[upper])
    # Stars feel 0.44 of the dust that the gas does (Calzetti et al. 2000).
    light *= np.exp(-0.405 * float(row["ebv"]) * _starlight_dust())  # 0.4 ln 10 x 0.44
    return np.asarray(light)


def broadened(light: Floats, sigma_pixels: float) -> Floats:
    """Convolve a spectrum in log wavelength with a Gaussian."""
    reach = int(np.ceil(4 * sigma_pixels))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_pixels) ** 2)
    smooth: Floats = np.convolve(light, kernel / kernel.sum(), mode="same")
    return smooth


def to_observed(light: Floats, first: int, count: int, z: float) -> Floats:
    """Redshift a spectrum of the rest grid onto `count` pixels from k = first."""
    start = first - REST_START - np.log10(1 + z) / STEP
    place = start + np.arange(count)
    shifted: Floats = np.interp(place, np.arange(len(light)), light)
    return shifted


# Case B recombination at 10^4 K relative to Hbeta (Osterbrock & Ferland 2006, table 4.4).
_BALMER = ((LINE["H_alpha"], 2.86), (LINE["H_beta"], 1.0), (LINE["H_gamma"], 0.468),
           (LINE["H_delta"], 0.259), (hydrogen(2, 7), 0.159), (hydrogen(2, 8), 0.105),
           (hydrogen(2, 9), 0.073))  # fmt: skip


def emission_lines(row: Structured) -> tuple[Floats, Floats]:
    """Wavelengths (A) and fluxes relative to Halpha before dust; `row` of shape (1,).

    Ratios fixed by atomic physics: [O III] 5008 : 4960 = 2.98, [N II] 6585 : 6550 = 3.05
    (Storey & Zeippen 2000, MNRAS 312, 813).
    """
    n2, o3 = (10 ** float(value[0]) for value in bpt_ratios(row))
    nucleus = float(nucleus_share(row)[0])
    oxygen = float(row["oh"][0])
    hbeta = 1 / 2.86
    # [O II]/Hb peaks at intermediate metallicity (Kewley & Dopita 2002); nuclei are about 3.
    o2 = hbeta * ((1 - nucleus) * 3.4 * np.exp(-(((oxygen - 8.4) / 0.35) ** 2)) + nucleus * 3.0)
    s2 = (1 - nucleus) * (0.33 - 0.18 * (oxygen - 8.2)) + nucleus * 0.8
    o1 = (1 - nucleus) * 0.03 + nucleus * 0.25
    fluxes = [(wave, ratio * hbeta) for wave, ratio in _BALMER]
    fluxes += [
        (LINE["[O_III] 5007"], o3 * hbeta),
        (LINE["[O_III] 4959"], o3 * hbeta / 2.98),
        (LINE["[O_III] 4363"], 0.012 * o3 * hbeta * 10 ** (8.3 - oxygen)),
        (LINE["[N_II] 6583"], n2),
        (LINE["[N_II] 6548"], n2 / 3.05),
        (LINE["[O_II] 3725"], o2 * 0.43),
        (LINE["[O_II] 3727"], o2 * 0.57),
        (LINE["[S_II] 6716"], s2 * 0.57),
        (LINE["[S_II] 6730"], s2 * 0.43),
        (LINE["[O_I] 6300"], o1),
        (LINE["[O_I] 6363"], o1 / 3.0),
        (LINE["[Ne_III] 3868"], 0.09 * o3 * hbeta),
        (LINE["[Ne_III] 3970"], 0.028 * o3 * hbeta),
        (HE_I_5876, 0.11 * hbeta),
        (LINE["He_II 4685"], 0.25 * nucleus * hbeta),
        (LINE["[Ar_III] 7135"], 0.022 * o3),
    ]
    table = np.array(fluxes)
    return table[:, 0], table[:, 1]


def add_emission(
    flux: Floats, continuum_at_halpha: float, row: np.void, first: int, dispersion: Floats
) -> Floats:
    """Add the lines of ionised gas to a galaxy's observed spectrum (f_lambda)."""
    single = np.atleast_1d(row)
    waves, ratios = emission_lines(single)
    # Dust between the lines: Milky Way law, unlike the starlight's.
    dust = extinction(np.append(waves, LINE["H_alpha"]))
    reddened = ratios * 10 ** (-0.4 * float(row["ebv"]) * (dust[:-1] - dust[-1]))
    areas = float(halpha_ew(single)[0]) * continuum_at_halpha * reddened  # f_lambda x rest A
    redshift = 1 + float(row["z"])
    per_pixel = waves * LN10_STEP
    centres = np.log10(waves * redshift) / STEP - first
    near = dispersion[np.clip(np.rint(centres).astype(int), 0, len(flux) - 1)]
    # Gas turns more slowly through the fiber than stars do; nuclei have wider lines.
    gas = 0.6 * float(row["sigma"]) * (1 + 0.8 * (row["agn"] > 0))
    sigmas = np.hypot(near, gas / (LIGHT_SPEED * LN10_STEP))
    return flux + add_gaussians(len(flux), centres, areas / per_pixel, sigmas, reach=24)


def galaxy_flux(dispersion: Floats, first: int, row: np.void) -> Floats:
    """Flux of a galaxy in f_lambda (arbitrary unit) on pixels from k = first; shape (count,)."""
    light = stellar_light(row)
    beside_halpha = slice(*np.searchsorted(rest_wavelength(), (6600, 6660)))
    at_halpha = float(light[beside_halpha].mean())
    instrument = float(np.median(dispersion))
    motion = float(row["sigma"]) / (LIGHT_SPEED * LN10_STEP)
    extra = np.hypot(motion, np.sqrt(max(instrument**2 - TEMPLATE_SIGMA**2, 0.0)))
    observed = to_observed(broadened(light, extra), first, len(dispersion), float(row["z"]))
    return add_emission(observed, at_halpha, row, first, dispersion)
