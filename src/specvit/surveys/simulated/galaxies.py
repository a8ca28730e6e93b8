"""Spectra of galaxies: stellar populations, dust, and the lines of ionised gas."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter1d

from specvit.surveys.simulated import bases
from specvit.surveys.simulated.dust import calzetti, extinction, interstellar_depth
from specvit.surveys.simulated.exposure import Pixels
from specvit.surveys.simulated.lines import LINE, PIXEL_VELOCITY, add_gaussians, hydrogen
from specvit.surveys.simulated.objects import bpt_ratios, halpha, light_shares
from specvit.surveys.simulated.seeds import Floats, Structured


@lru_cache(maxsize=1)
def _rest_grid() -> tuple[Floats, Floats]:
    """Vacuum wavelengths (A) of the populations' grid, and what dust takes of starlight there."""
    k = bases.POPULATION_START + np.arange(bases.populations().flux.shape[-1])
    wavelength = np.power(10.0, k * 1e-4)
    return wavelength, calzetti(wavelength)


def _starlight(row: np.void) -> Floats:
    """Starlight of a galaxy on the rest grid in f_lambda, about 1 at 5500 A; not yet broadened."""
    library = bases.populations()
    shares = light_shares(np.atleast_1d(row["tau"]), np.atleast_1d(row["burst"]))[0]
    metals = float(np.clip(row["metals"], library.metals[0], library.metals[-1]))
    upper = int(np.clip(np.searchsorted(library.metals, metals), 1, len(library.metals) - 1))
    low, high = library.metals[upper - 1 : upper + 1].tolist()
    weight = (metals - low) / (high - low)
    mix = np.outer(shares, [1 - weight, weight]).ravel()
    light = mix @ library.flux[:, upper - 1 : upper + 1].reshape(len(mix), -1)
    # Stars feel 0.44 of the dust that the gas does (Calzetti et al. 2000).
    light *= np.exp(-0.405 * float(row["ebv"]) * _rest_grid()[1])  # 0.4 ln 10 x 0.44
    gas = interstellar_depth(bases.POPULATION_START, len(light), float(row["ebv"]))
    return np.asarray(light * np.exp(-0.2 * gas))


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
    nucleus = float(halpha(row)[1][0])
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
        (5877.309, 0.11 * hbeta),  # He I, as in a later version of LINE's source
        (LINE["He_II 4685"], 0.25 * nucleus * hbeta),
        (LINE["[Ar_III] 7135"], 0.022 * o3),
    ]
    table = np.array(fluxes)
    return table[:, 0], table[:, 1]


def _add_emission(flux: Floats, at_halpha: float, row: np.void, pixels: Pixels) -> Floats:
    """Add the lines of ionised gas to a galaxy's observed spectrum; `at_halpha` is its level."""
    single = np.atleast_1d(row)
    waves, ratios = emission_lines(single)
    # Dust between the lines: Milky Way law, unlike the starlight's.
    dust = extinction(np.append(waves, LINE["H_alpha"]))
    reddened = ratios * 10 ** (-0.4 * float(row["ebv"]) * (dust[:-1] - dust[-1]))
    observed = waves * (1 + float(row["z"]))
    # f_lambda stays as it is when redshifted here, so the width grows with the wavelength.
    widths = float(halpha(single)[0][0]) * at_halpha * reddened * (1 + float(row["z"]))
    near = np.interp(observed, pixels.wavelength, pixels.sky.dispersion)
    # Gas turns more slowly through the fiber than stars do; nuclei have wider lines.
    gas = 0.6 * float(row["sigma"]) * (1 + 0.8 * (row["agn"] > 0))
    sigmas = np.hypot(near, gas / PIXEL_VELOCITY)
    return flux + add_gaussians(pixels.first, pixels.count, observed, widths, sigmas)


def galaxy_flux(pixels: Pixels, row: np.void) -> Floats:
    """Flux of a galaxy in f_lambda (arbitrary unit); shape (pixels.count,)."""
    light = _starlight(row)
    at_halpha = float(light[slice(*np.searchsorted(_rest_grid()[0], (6600, 6660)))].mean())
    motion = float(row["sigma"]) / PIXEL_VELOCITY
    broad = gaussian_filter1d(light, np.hypot(motion, pixels.spectrograph.extra), mode="nearest")
    observed = pixels.shifted(broad, bases.POPULATION_START, float(row["z"]))
    return _add_emission(observed, at_halpha, row, pixels)
