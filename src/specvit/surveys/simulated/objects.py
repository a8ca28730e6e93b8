"""What is on the simulated sky: physical parameters of each object, drawn in bulk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Structured = NDArray[np.void]
Generator = np.random.Generator

STAR, GALAXY, QSO = range(3)
CLASS_NAMES = np.array(["STAR", "GALAXY", "QSO"])
LIGHT_SPEED = 299792.458  # km/s

# Galaxies are made of simple stellar populations of 0.005, 0.025, 0.1, 0.3, 0.8, 2, 5 and 10 Gyr:
# the bins of look-back time (Gyr) that each stands for, and its mass-to-light ratio in V (solar
# units, after Bruzual & Charlot 2003, MNRAS 344, 1000).
AGE_EDGES = np.array([0.0, 0.01, 0.05, 0.18, 0.5, 1.3, 3.2, 7.0, 12.0])
MASS_TO_LIGHT = np.array([0.03, 0.06, 0.15, 0.3, 0.6, 1.2, 2.5, 4.5])
# Halpha equivalent width (A) of a pure 5 Myr population; a constant star formation rate over
# 10 Gyr then has about 35 A (Kennicutt 1998).
HALPHA_EW_YOUNG = 850.0

OBJECT = np.dtype(
    [
        ("kind", "u1"),
        ("ra", "f8"),
        ("dec", "f8"),
        ("rmag", "f8"),  # AB magnitude through the fiber
        ("z", "f8"),  # heliocentric; velocity / c for stars
        ("ebv", "f8"),  # Milky Way for stars, the galaxy's own for galaxies
        ("teff", "f8"),  # K, stars
        ("logg", "f8"),
        ("feh", "f8"),
        ("white_dwarf", "?"),
        ("tau", "f8"),  # Gyr, star formation ~ exp(-t/tau), galaxies
        ("burst", "f8"),  # mass share of a burst in the last 100 Myr
        ("oh", "f8"),  # 12 + log O/H of the gas
        ("agn", "f8"),  # strength of an active nucleus, 0 to 1
        ("sigma", "f8"),  # km/s, stellar velocity dispersion
        ("slope", "f8"),  # power law f_lambda ~ lambda**slope, quasars
        ("fwhm", "f8"),  # km/s, Balmer and Mg II lines of quasars
        ("line_ew", "f8"),  # factor on all equivalent widths
        ("iron", "f8"),  # factor on the Fe II pseudo-continuum
        ("bal", "f8"),  # depth of the broad absorption trough, 0: none
    ]
)


@dataclass(frozen=True)
class Sample:
    """One way in which a survey selects objects: its class, brightness and distance."""

    kind: int
    draw: Callable[[Generator, int], dict[str, Any]]


def _choice(rng: Generator, n: int, values: list[Any], shares: list[float]) -> NDArray[Any]:
    return np.asarray(values)[rng.choice(len(values), n, p=np.array(shares) / sum(shares))]


# Range of temperature (K) in each type, hot to cool (Pecaut & Mamajek 2013, ApJS 208, 9).
TYPE_TEFF = {
    "O": (31000.0, 43000.0),
    "B": (10700.0, 31000.0),
    "A": (7300.0, 9900.0),
    "F": (5950.0, 7300.0),
    "G": (5300.0, 5950.0),
    "K": (3900.0, 5300.0),
    "M": (2700.0, 3900.0),
}


def _stars(
    rng: Generator, n: int, shares: dict[str, float], halo: float, giants: float
) -> dict[str, Any]:
    """Temperature by type shares; `halo` and `giants` are shares of those populations."""
    names = list(shares)
    types = _choice(rng, n, names, list(shares.values()))
    low = np.array([TYPE_TEFF[name][0] for name in TYPE_TEFF])
    high = np.array([TYPE_TEFF[name][1] for name in TYPE_TEFF])
    index = np.array([list(TYPE_TEFF).index(name) for name in types])
    # Uniform in log T: the spectral types within a letter are then about equally common.
    teff = low[index] * (high[index] / low[index]) ** rng.random(n)
    is_halo = (rng.random(n) < halo) & (teff < 9000)
    is_giant = (rng.random(n) < giants) & (teff < 5500)
    giant_logg = np.clip(2.6 + (teff - 4800) / 700, 0.5, 3.3) + rng.normal(0, 0.25, n)
    dwarf_logg = np.where(teff < 6000, 4.5, np.where(teff < 11000, 4.15, 3.9))
    logg = np.where(is_giant, giant_logg, dwarf_logg + rng.normal(0, 0.12, n))
    feh = np.where(is_halo, rng.normal(-1.5, 0.4, n), rng.normal(-0.15, 0.22, n))
    velocity = np.where(is_halo, rng.normal(0, 130, n), rng.normal(-5, 38, n))
    return {
        "teff": teff,
        "logg": np.clip(logg, 0.3, 5.2),
        "feh": np.clip(feh, -2.8, 0.45),
        "z": velocity / LIGHT_SPEED,
        "ebv": rng.exponential(0.06, n).clip(0, 0.6),
    }


def _sdss_stars(faint: float) -> Callable[[Generator, int], dict[str, Any]]:
    shares = {"O": 1.2, "B": 3.5, "A": 17, "F": 29, "G": 14, "K": 16, "M": 19}

    def draw(rng: Generator, n: int) -> dict[str, Any]:
        stars = _stars(rng, n, shares, halo=0.45, giants=0.08)
        stars["ebv"] = rng.exponential(0.03, n).clip(0, 0.3)
        stars["rmag"] = faint - rng.gamma(2.0, 0.9, n).clip(0, 4.5)
        white = rng.random(n) < 0.07
        stars["white_dwarf"] = white
        stars["teff"] = np.where(white, 7500 * (45000 / 7500) ** rng.random(n), stars["teff"])
        stars["logg"] = np.where(white, rng.normal(7.95, 0.15, n), stars["logg"])
        return stars

    return draw


def _lamost_stars(rng: Generator, n: int) -> dict[str, Any]:
    shares = {"O": 1.5, "B": 5, "A": 15, "F": 28, "G": 27, "K": 15, "M": 8.5}
    stars = _stars(rng, n, shares, halo=0.08, giants=0.35)
    stars["ebv"] = rng.exponential(0.12, n).clip(0, 1.2)
    stars["rmag"] = rng.triangular(11.0, 15.6, 17.8, n)
    return stars


def _galaxies(rng: Generator, n: int, passive: float) -> dict[str, Any]:
    """Star formation history, gas, nucleus and dust; `passive` is the share of quiescent ones."""
    quiet = rng.random(n) < passive
    tau = np.where(quiet, rng.uniform(0.7, 1.4, n), 10 ** rng.uniform(0.35, 1.1, n))
    burst = np.where(~quiet & (rng.random(n) < 0.15), 10 ** rng.uniform(-3, -1.3, n), 0.0)
    active = rng.random(n) < np.where(quiet, 0.15, 0.14)
    oh = np.where(quiet, 8.76, 8.57)
    mass = rng.normal(0, 1, n)  # in standard deviations: ties metallicity, dust and dispersion
    return {
        "tau": tau,
        "burst": burst,
        "oh": (oh + 0.10 * mass - 0.9 * burst**0.5 + rng.normal(0, 0.06, n)).clip(8.0, 8.82),
        # Nuclei of quiescent galaxies are weak (LINERs).
        "agn": np.where(active, rng.uniform(0.2, 0.95, n) * np.where(quiet, 0.35, 1.0), 0.0),
        "sigma": np.where(quiet, 210 * 10 ** (0.1 * mass), 110 * 10 ** (0.12 * mass)).clip(60, 350),
        "ebv": np.where(quiet, 0.03, (0.34 + 0.10 * mass + rng.normal(0, 0.12, n)).clip(0, 0.9)),
    }


def _flux_limited(
    rng: Generator, n: int, limit: float, z_limit: float, spread: float
) -> tuple[Floats, Floats]:
    """Magnitudes rising as 10**(0.6 m) to a limit, and the redshift that goes with each."""
    # Euclidean counts 10**(0.6 m) are an exponential in m; the factor is 0.6 ln 10.
    rmag = limit - rng.exponential(1 / (0.6 * np.log(10)), n).clip(0, 4)
    z = z_limit * 10 ** (0.2 * (rmag - limit)) * np.exp(rng.normal(0, spread, n))
    return rmag, z


def _main_galaxies(rng: Generator, n: int) -> dict[str, Any]:
    galaxies = _galaxies(rng, n, passive=0.45)
    rmag, z = _flux_limited(rng, n, 17.77, 0.115, 0.42)
    galaxies["z"] = z.clip(0.004, 0.32)
    galaxies["rmag"] = rmag + rng.normal(0.75, 0.3, n)  # the fiber misses the outskirts
    return galaxies


def _red_galaxies(
    centre: float, width: float, low: float, high: float, magnitude: float
) -> Callable[[Generator, int], dict[str, Any]]:
    def draw(rng: Generator, n: int) -> dict[str, Any]:
        galaxies = _galaxies(rng, n, passive=0.88)
        z = rng.normal(centre, width, n).clip(low, high)
        galaxies["z"] = z + rng.uniform(-0.01, 0.01, n)
        galaxies["rmag"] = magnitude + 2.2 * (z - centre) + rng.normal(0, 0.35, n)
        return galaxies

    return draw


def _lamost_galaxies(rng: Generator, n: int) -> dict[str, Any]:
    galaxies = _galaxies(rng, n, passive=0.4)
    rmag, z = _flux_limited(rng, n, 17.5, 0.095, 0.4)
    galaxies["z"] = z.clip(0.003, 0.3)
    galaxies["rmag"] = rmag + rng.normal(0.4, 0.25, n)
    return galaxies


def _quasars(
    mode: float, width: float, low: float, high: float, magnitude: float
) -> Callable[[Generator, int], dict[str, Any]]:
    """Redshift log-normal in 1 + z between two limits; brighter when nearer."""

    def draw(rng: Generator, n: int) -> dict[str, Any]:
        z = np.exp(rng.normal(np.log1p(mode), width, n)) - 1
        outside = (z < low) | (z > high)
        z = np.where(outside, rng.uniform(low, 0.6 * high + 0.4 * low, n), z)
        rmag = magnitude - rng.exponential(0.45, n).clip(0, 2.5) + rng.normal(0, 0.2, n)
        # Baldwin (1977) effect: lines are relatively stronger in fainter quasars.
        line_ew = np.exp(rng.normal(0, 0.28, n)) * 10 ** (0.06 * (rmag - magnitude))
        return {
            "z": z,
            "rmag": rmag - 0.4 * (z < 0.5),
            "ebv": rng.exponential(0.02, n).clip(0, 0.15),
            "slope": rng.normal(-1.55, 0.25, n).clip(-2.3, -0.6),
            "fwhm": np.exp(rng.normal(np.log(4300), 0.35, n)).clip(1500, 12000),
            "line_ew": line_ew,
            "iron": np.exp(rng.normal(0, 0.4, n)),
            "bal": np.where(rng.random(n) < 0.12, rng.uniform(0.4, 0.95, n), 0.0),
            "sigma": rng.uniform(100, 250, n),
        }

    return draw


SAMPLES: dict[str, Sample] = {
    "legacy_star": Sample(STAR, _sdss_stars(19.4)),
    "segue_star": Sample(STAR, _sdss_stars(19.0)),
    "boss_star": Sample(STAR, _sdss_stars(20.3)),
    "legacy_main": Sample(GALAXY, _main_galaxies),
    "legacy_lrg": Sample(GALAXY, _red_galaxies(0.34, 0.06, 0.15, 0.48, 19.2)),
    "boss_lowz": Sample(GALAXY, _red_galaxies(0.31, 0.07, 0.12, 0.43, 18.9)),
    "boss_cmass": Sample(GALAXY, _red_galaxies(0.54, 0.06, 0.43, 0.70, 20.3)),
    "legacy_qso": Sample(QSO, _quasars(1.35, 0.36, 0.10, 4.2, 19.0)),
    "boss_qso": Sample(QSO, _quasars(2.45, 0.12, 0.4, 4.8, 21.3)),
    "eboss_qso": Sample(QSO, _quasars(1.55, 0.18, 0.5, 2.6, 21.2)),
    "lamost_star": Sample(STAR, _lamost_stars),
    "lamost_galaxy": Sample(GALAXY, _lamost_galaxies),
    "lamost_qso": Sample(QSO, _quasars(1.2, 0.36, 0.10, 3.6, 18.6)),
}


def draw_objects(rng: Generator, samples: NDArray[np.str_]) -> Structured:
    """Return one object for each sample name, without coordinates; shape (len(samples),)."""
    objects = np.zeros(len(samples), OBJECT)
    for name, sample in SAMPLES.items():
        rows = np.flatnonzero(samples == name)
        if not len(rows):
            continue
        objects["kind"][rows] = sample.kind
        for field, values in sample.draw(rng, len(rows)).items():
            objects[field][rows] = values
    return objects


def light_shares(tau: Floats, burst: Floats) -> Floats:
    """Share of the V-band light that populations of each age give; (n, 8), rows sum to 1.

    Star formation decays as exp(-t/tau) over 12 Gyr, plus a burst in the last 100 Myr.
    """
    # Mass formed at look-back time t is ~ exp(t/tau): integrate it over each age bin.
    cumulative = np.expm1(AGE_EDGES / np.asarray(tau)[:, None])
    mass = np.diff(cumulative, axis=1) / cumulative[:, -1:]
    mass *= 1 - np.asarray(burst)[:, None]
    mass[:, :3] += np.asarray(burst)[:, None] * np.array([0.15, 0.4, 0.45])
    light = mass / MASS_TO_LIGHT
    shares: Floats = light / light.sum(axis=1, keepdims=True)
    return shares


def _nucleus_ew(objects: Structured) -> Floats:
    return np.where(objects["agn"] > 0, 2.0 + 14.0 * objects["agn"], 0.0)


def halpha_ew(objects: Structured) -> Floats:
    """Halpha equivalent width (A) that star formation and nucleus give; shape (n,)."""
    young = light_shares(objects["tau"], objects["burst"])[:, 0]
    total: Floats = HALPHA_EW_YOUNG * young * 10 ** (-0.3 * objects["ebv"]) + _nucleus_ew(objects)
    return total


def nucleus_share(objects: Structured) -> Floats:
    """Share of Halpha that comes from the active nucleus; shape (n,)."""
    share: Floats = _nucleus_ew(objects) / np.maximum(halpha_ew(objects), 1e-6)
    return share


def bpt_ratios(objects: Structured) -> tuple[Floats, Floats]:
    """Give log [N II]6585/Halpha and log [O III]5008/Hbeta; shapes (n,).

    H II regions after Pettini & Pagel (2004, MNRAS 348, L59): N2 and O3N2 against O/H; narrow-line
    regions at the Seyfert branch of Kewley et al. (2006, MNRAS 372, 961), mixed by flux.
    """
    n2_stars = (objects["oh"] - 8.90) / 0.57
    o3_stars = (8.73 - objects["oh"]) / 0.32 + n2_stars
    # Stronger nuclei are Seyferts, weaker ones LINERs.
    n2_nucleus = np.full(len(objects), 0.05)
    o3_nucleus = 0.2 + 0.8 * objects["agn"]
    share = nucleus_share(objects)
    n2 = np.log10((1 - share) * 10**n2_stars + share * 10**n2_nucleus)
    o3 = np.log10((1 - share) * 10**o3_stars + share * 10**o3_nucleus)
    return n2, o3
