"""Spectra of stars: continuum, lines of one-layer atmospheres, molecular bands, dust."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter1d

from specvit.spectrum.values import vacuum
from specvit.surveys.simulated.atmosphere import (
    Atmosphere,
    hydrogen_lines,
    line_strengths,
    stellar_lines,
)
from specvit.surveys.simulated.deposit import LN10_STEP, add_gaussians, add_wings
from specvit.surveys.simulated.instrument import STEP
from specvit.surveys.simulated.lines import LINE
from specvit.surveys.simulated.objects import LIGHT_SPEED, Floats, Generator
from specvit.surveys.simulated.seeds import generator

# Rest-frame grid of templates, log10(wavelength) = k * 1e-4: 1995 to 10990 A.
REST_START, REST_STOP = 33000, 40410
# Lines wider than this (A) are drawn with their damping wings.
STRONG = 1.3
# Share of M dwarfs later than M3 with Balmer emission (West et al. 2011, AJ 141, 97).
ACTIVE_SHARE = 0.35


@dataclass(frozen=True)
class Bands:
    """Optical depths of unit strength on the rest grid; each of shape (REST_STOP - REST_START,)."""

    titanium: Floats  # TiO
    vanadium: Floats  # VO
    hydride: Floats  # CaH
    g_band: Floats  # CH
    magnesium: Floats  # MgH
    cyanogen: Floats  # CN
    haze: Floats  # weak lines of metals, unresolved


# Heads (air, A), relative depths and lengths (A) of bands that fade to the red: TiO after Valenti
# et al. (1998, ApJ 498, 851) and Kirkpatrick et al. (1991, ApJS 77, 417), who list the others too.
_TIO = ((4584, 0.35, 60), (4761, 0.6, 90), (4954.5, 0.9, 110), (5167, 1.0, 120), (5448, 0.8, 110),
        (5597, 0.35, 40), (5629, 0.35, 40), (5661, 0.4, 60), (5759, 0.6, 60), (5847, 0.5, 60),
        (6148, 0.50, 40), (6159, 0.55, 90), (6187, 0.45, 110), (6651, 0.35, 60), (6681, 0.40, 70),
        (6715, 0.35, 110), (7053, 0.70, 60), (7088, 0.55, 80), (7126, 0.60, 140), (7589, 0.5, 90),
        (7666, 0.50, 100), (8206, 0.08, 60), (8432, 0.40, 60), (8442, 0.25, 70), (8859, 0.35, 60),
        (8938, 0.12, 60), (9209, 0.25, 80))  # fmt: skip
_VO = ((7334, 0.35, 60), (7393, 0.35, 60), (7851, 0.5, 60), (7923, 0.5, 60), (8538, 0.3, 100),
       (8597, 0.25, 100))  # fmt: skip
_CAH = ((6346, 0.35, 35), (6382, 0.45, 40), (6750, 0.25, 60), (6903, 0.5, 35), (6946, 0.55, 60))
# Bands that fade to the blue: head and length.
_CH = ((4314.0, 1.0, 17), (4299.0, 0.35, 22))
_MGH = ((5211.1, 1.0, 150), (5180.0, 0.5, 90), (4845.0, 0.35, 80))
_CN = ((3883.4, 1.0, 22), (3871.4, 0.4, 25), (4216.0, 0.35, 30), (4197.0, 0.15, 30))


# Mean density of weak lines: wavelength (A) and relative number. The step at 4000 A is what makes
# the break of old galaxies (calibrated on theirs).
_HAZE = ((2000, 4.5), (3000, 3.2), (3850, 2.7), (3970, 2.5), (4010, 1.5), (4350, 1.25),
         (4650, 0.65), (5350, 0.40), (6500, 0.14), (8000, 0.07), (11000, 0.04))  # fmt: skip


def _bands(wavelength: Floats, heads: tuple[tuple[float, float, float], ...], red: bool) -> Floats:
    total = np.zeros(len(wavelength))
    for air, depth, length in heads:
        away = wavelength - float(vacuum(np.array(air)))
        away = away if red else -away
        total += depth * np.exp(-np.clip(away, 0, None) / length) * (away > 0)
    smooth: Floats = gaussian_filter1d(total, 1.3)
    return smooth


def _haze(wavelength: Floats) -> Floats:
    """Weak lines that tables of strong ones leave out: drawn once, denser to the blue.

    Statistical: their sum has the mean blanketing and the roughness of an iron-peak forest.
    """
    rng = generator(0, "haze of weak stellar lines")
    knots = np.array(_HAZE).T
    density = np.interp(wavelength, knots[0], knots[1])
    lines = rng.exponential(1.0, len(wavelength)) * (rng.random(len(wavelength)) < 0.25) * 4
    haze: Floats = density * gaussian_filter1d(lines, 1.05)
    return haze


@lru_cache(maxsize=1)
def bands() -> Bands:
    """Return the molecular bands and the haze, built once a process."""
    wavelength = rest_wavelength()
    return Bands(
        _bands(wavelength, _TIO, red=True),
        _bands(wavelength, _VO, red=True),
        _bands(wavelength, _CAH, red=True),
        _bands(wavelength, _CH, red=False),
        _bands(wavelength, _MGH, red=False),
        _bands(wavelength, _CN, red=False),
        _haze(wavelength),
    )


@lru_cache(maxsize=1)
def rest_wavelength() -> Floats:
    """Vacuum wavelength (A) of the rest grid."""
    return np.asarray(np.power(10.0, np.arange(REST_START, REST_STOP) * STEP))


def _band_depth(atmosphere: Atmosphere) -> Floats:
    """Optical depth of bands and haze on the rest grid.

    Each molecule's strength against temperature follows the sequences of Kirkpatrick et al. (1991)
    and Gray & Corbally (2009, Stellar Spectral Classification).
    """
    teff, logg, feh = atmosphere.teff, atmosphere.logg, atmosphere.feh
    parts = bands()
    dwarf = float(np.clip((logg - 3) / 1.5, 0, 1))
    metals = 10 ** (0.5 * feh)

    def bump(hot: float, peak: float, cool: float) -> float:
        width = hot - peak if teff > peak else peak - cool
        return float(np.clip(1 - abs(teff - peak) / width, 0, None))

    titanium = 0.75 * float(np.clip((4150 - teff) / 420, 0, None)) ** 1.2 * metals
    depth = titanium * parts.titanium
    if teff < 3150:
        depth = depth + 0.9 * (3150 - teff) / 300 * parts.vanadium
    if teff < 4200:
        depth = depth + dwarf * 0.55 * min((4200 - teff) / 600, 1.6) * parts.hydride
    depth = depth + 0.95 * bump(7000, 4900, 3300) * metals * parts.g_band
    depth += (0.05 + 0.40 * dwarf) * bump(5700, 4200, 3100) * metals * parts.magnesium
    depth += (0.55 - 0.25 * dwarf) * bump(6300, 4600, 3600) * metals * parts.cyanogen
    haze = 0.10 * float(np.interp(teff, [3300, 4300, 5000, 5800, 7000, 9000, 12000],
                                  [2.4, 2.2, 1.7, 1.0, 0.45, 0.12, 0.0]))  # fmt: skip
    return np.asarray(depth + haze * 10 ** (0.35 * feh) * parts.haze)


def planck(wavelength: Floats, teff: float) -> Floats:
    """Shape of a black body in f_lambda (arbitrary unit)."""
    value: Floats = 1e18 * wavelength**-5.0 / np.expm1(1.438777e8 / (wavelength * teff))
    return value


def continuum(wavelength: Floats, atmosphere: Atmosphere) -> Floats:
    """Continuum in f_lambda: a black body of the colour temperature, with the Balmer jump.

    In A stars the Paschen continuum is hotter than the star (hydrogen opacity grows to the red),
    and the flux drops below 3647 A by up to 0.5 dex (Gray & Corbally 2009).
    """
    teff = atmosphere.teff
    colour = teff * float(np.interp(teff, [3000, 6000, 7000, 8500, 10000, 15000, 40000],
                                    [1.0, 1.0, 1.06, 1.28, 1.42, 1.35, 1.1]))  # fmt: skip
    flux = planck(wavelength, colour)
    jump = float(np.interp(teff, [4500, 5800, 7000, 8800, 10000, 15000, 25000, 40000],
                           [0, 0.08, 0.28, 0.52, 0.50, 0.25, 0.10, 0.02]))  # fmt: skip
    # The crowded lines before the limit make the step gradual.
    step = 1 / (1 + np.exp((wavelength - 3680) / 18))
    flux *= 10 ** (-jump * step * (wavelength / 3647) ** 2)
    return flux


def extinction(wavelength: Floats) -> Floats:
    """A(lambda) / E(B-V) of Milky Way dust, R_V = 3.1 (Cardelli, Clayton & Mathis 1989, ApJ 345).

    Optical polynomials of O'Donnell (1994, ApJ 422, 158) above 3030 A, the ultraviolet form below.
    """
    x = 1e4 / wavelength
    y = x - 1.82
    a = np.polyval([-0.505, 1.647, -0.827, -1.718, 1.137, 0.701, -0.609, 0.104, 1.0], y)
    b = np.polyval([3.347, -10.805, 5.491, 11.102, -7.985, -3.989, 2.908, 1.952, 0.0], y)
    ultraviolet = x > 3.3
    if ultraviolet.any():
        u = np.minimum(x, 8.0)
        a_uv = 1.752 - 0.316 * u - 0.104 / ((u - 4.67) ** 2 + 0.341)
        b_uv = -3.090 + 1.825 * u + 1.206 / ((u - 4.62) ** 2 + 0.263)
        a, b = np.where(ultraviolet, a_uv, a), np.where(ultraviolet, b_uv, b)
    infrared = x < 1.1
    if infrared.any():
        a = np.where(infrared, 0.574 * x**1.61, a)
        b = np.where(infrared, -0.527 * x**1.61, b)
    curve: Floats = 3.1 * a + b
    return curve


def line_depth(
    first: float,
    count: int,
    shift: float,
    dispersion: Floats,
    atmosphere: Atmosphere,
    rotation: float = 0.0,
) -> Floats:
    """Optical depth of all atomic lines on `count` pixels from log10(wavelength) = first * 1e-4.

    `shift` is log10(1 + z); `dispersion` the spectrograph's sigma in pixels, (count,); `rotation`
    in km/s widens what it can.
    """  # fmt: skip
    table = stellar_lines()
    widths, wings = line_strengths(atmosphere)

    def pixel(wavelength: Floats) -> Floats:
        return (np.log10(wavelength) + shift) / STEP - first

    def sigma_at(place: Floats) -> Floats:
        sigma = dispersion[np.clip(np.rint(place).astype(int), 0, count - 1)]
        return np.asarray(np.hypot(sigma, 0.6 * rotation / (LIGHT_SPEED * LN10_STEP)))

    strong = (widths > STRONG) & (wings > 0.3)
    seen = ~strong & (widths > 0.01)
    place = pixel(table.wavelength[seen])
    per_pixel = table.wavelength[seen] * LN10_STEP  # A in a pixel
    depth = add_gaussians(count, place, widths[seen] / per_pixel, sigma_at(place))

    place = pixel(table.wavelength[strong])
    per_pixel = table.wavelength[strong] * LN10_STEP
    depth += add_wings(
        count, place, np.full(len(place), 0.93), wings[strong] / per_pixel, 2.0, sigma_at(place)
    )
    waves, depths, half = hydrogen_lines(atmosphere)
    place, per_pixel = pixel(waves), waves * LN10_STEP
    sigma = sigma_at(place)
    broad = (half / per_pixel > 1.2 * sigma) & (depths > 0)
    depth += add_wings(
        count, place[broad], depths[broad], (half / per_pixel)[broad], 2.5, sigma[broad]
    )
    narrow = ~broad & (depths > 0)
    areas = 2.64 * (half * depths / per_pixel)[narrow]
    return depth + add_gaussians(count, place[narrow], areas, sigma[narrow])


def star_flux(
    wavelength: Floats, dispersion: Floats, first: int, row: np.void, rng: Generator
) -> Floats:
    """Flux of a star in f_lambda (arbitrary unit) on pixels from k = first; shape (count,).

    `rng` is the object's own: it decides whether an M dwarf is active.
    """
    atmosphere = Atmosphere(float(row["teff"]), float(row["logg"]), float(row["feh"]))
    shift = np.log10(1 + float(row["z"]))
    count = len(wavelength)
    if row["white_dwarf"]:
        atmosphere = Atmosphere(float(row["teff"]), 4.0, -5.0)
        return continuum(wavelength, atmosphere) * np.exp(
            -_white_dwarf_depth(first, count, shift, atmosphere)
        )
    hot = atmosphere.teff > 6500
    rotation = 120.0 if hot else 5.0
    depth = line_depth(first, count, shift, dispersion, atmosphere, rotation)
    if atmosphere.teff < 12000:
        place = np.arange(first, first + count) - REST_START - shift / STEP
        depth += np.interp(place, np.arange(REST_STOP - REST_START), _band_depth(atmosphere))
    flux = continuum(wavelength, atmosphere) * np.exp(-depth)
    if atmosphere.teff < 3500 and atmosphere.logg > 4 and rng.random() < ACTIVE_SHARE:
        flux += _chromosphere(flux, dispersion, first, shift, float(rng.uniform(1.5, 9)))
    flux *= 10 ** (-0.4 * float(row["ebv"]) * extinction(wavelength))
    return flux


def _chromosphere(flux: Floats, dispersion: Floats, first: int, shift: float, ew: float) -> Floats:
    """Balmer emission of an active M dwarf; equivalent width of Halpha in A."""
    waves = np.array([LINE[name] for name in ("H_alpha", "H_beta", "H_gamma", "H_delta")])
    place = (np.log10(waves) + shift) / STEP - first
    near = np.clip(np.rint(place).astype(int), 0, len(flux) - 1)
    level = flux[np.clip(near + 20, 0, len(flux) - 1)]
    areas = ew * level * np.array([1.0, 0.8, 0.7, 0.6]) / (waves * LN10_STEP)
    return add_gaussians(len(flux), place, areas, dispersion[near])


def _white_dwarf_depth(first: int, count: int, shift: float, atmosphere: Atmosphere) -> Floats:
    """DA white dwarf: Balmer lines only, several times wider at log g = 8."""
    waves, depths, half = hydrogen_lines(atmosphere)
    keep = np.arange(len(waves)) < 8
    waves, depths, half = waves[keep], depths[keep], 3.2 * half[keep] + 6.0
    # Levels above n = 8 dissolve at this pressure.
    depths = depths * np.interp(np.arange(8), [0, 3, 7], [0.75, 0.85, 0.25])
    depths *= float(np.interp(atmosphere.teff, [6500, 9000, 14000, 25000, 45000],
                              [0.3, 0.9, 1.0, 0.75, 0.45]))  # fmt: skip
    place = (np.log10(waves) + shift) / STEP - first
    pixel = waves * LN10_STEP
    return add_wings(count, place, depths, half / pixel, 2.5, np.ones(8), reach=350)


def template(teff: float, logg: float, feh: float) -> Floats:
    """Star on the rest grid at one pixel's resolution, 1 at 5500 A: a brick for populations."""
    atmosphere = Atmosphere(teff, logg, feh)
    wavelength = rest_wavelength()
    count = len(wavelength)
    depth = line_depth(REST_START, count, 0.0, np.ones(count), atmosphere)
    depth += _band_depth(atmosphere)
    flux = continuum(wavelength, atmosphere) * np.exp(-depth)
    scaled: Floats = flux / flux[np.abs(wavelength - 5500) < 60].mean()
    return scaled
