"""What is on the simulated sky: physical parameters of each object, drawn in bulk."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specvit.surveys.simulated import bases
from specvit.surveys.simulated.lines import LIGHT_SPEED
from specvit.surveys.simulated.seeds import Floats, Generator, Structured

STAR, GALAXY, QSO, NONE = range(4)
Columns = dict[str, Any]
"""Values of some fields of OBJECT."""
CLASS_NAMES = np.array(["STAR", "GALAXY", "QSO", "Unknown"])
QUASAR_SPLIT = 1.6
"""Redshift where the components of quasars change."""

# Populations of 0.003, 0.01, 0.032, 0.1, 0.3, 1, 3, 9 and 14 Gyr: the bins of look-back time (Gyr)
# that each stands for, and its mass-to-light ratio in V (solar units, after Bruzual & Charlot
# 2003, MNRAS 344, 1000).
AGE_EDGES = np.array([0.0, 0.0055, 0.018, 0.057, 0.17, 0.55, 1.7, 5.2, 10.5, 13.0])
MASS_TO_LIGHT = np.array([0.03, 0.04, 0.07, 0.15, 0.32, 0.75, 1.7, 4.0, 5.5])
# Halpha equivalent width (A) of a pure population of under 5 Myr; a constant star formation rate
# over 10 Gyr then has about 35 A (Kennicutt 1998), and a young starburst above 1000 A.
HALPHA_EW_YOUNG = 1800.0

OBJECT = np.dtype(
    [
        ("kind", "u1"),
        ("ra", "f8"),
        ("dec", "f8"),
        ("rmag", "f8"),  # AB magnitude through the fiber
        ("z", "f8"),  # heliocentric; velocity / c for stars
        ("ebv", "f8"),  # Milky Way for stars, the object's own for galaxies and quasars
        ("template", "i4"),  # row in the library of stars or of quasars
        ("partner", "i4"),  # of stars: the one towards which it lies
        ("mix", "f8"),  # and how far
        ("teff", "f8"),  # K, stars
        ("logg", "f8"),
        ("feh", "f8"),
        ("white_dwarf", "?"),
        ("tau", "f8"),  # Gyr, star formation ~ exp(-t/tau), galaxies
        ("burst", "f8"),  # mass share of a burst in the last 50 Myr
        ("metals", "f8"),  # [M/H] of a galaxy's stars
        ("oh", "f8"),  # 12 + log O/H of the gas
        ("agn", "f8"),  # strength of an active nucleus, 0 to 1
        ("sigma", "f8"),  # km/s, stellar velocity dispersion
        ("trough", "i4"),  # broad absorption of a quasar, -1: none
    ]
)


def _stars(rng: Generator, n: int, shares: dict[str, float], halo: float, giants: float) -> Columns:
    """Stars of the library by type shares; `halo` and `giants` are shares of those populations."""
    library = bases.stars()
    letters = np.array([name[:1] if name != "WD" else "WD" for name in library.types.tolist()])
    teff, logg, feh = library.parameters.T
    poor = feh < -0.8
    # Early M stars are by far the brightest of theirs, K giants mostly of the red clump; of F stars
    # the late ones are the commonest.
    trend = np.array([{"M": -0.55, "F": 0.25}.get(kind[:1], 0.0) for kind in library.types])
    trend = np.where(library.giant & (letters == "K"), -0.5, trend)
    digit = np.array([float(kind[1:]) if kind[1:].isdigit() else 0.0 for kind in library.types])
    weight = np.where(library.super_giant, 0.15, 1.0) * np.exp(trend * digit)
    chosen = rng.choice(list(shares), n, p=np.array(list(shares.values())) / sum(shares.values()))
    # Giants are bright enough to be half of the K stars seen; M giants are rare. A stars of the
    # halo are mostly on the horizontal branch (Sirko et al. 2004, AJ 127, 899).
    evolved = giants * np.where(chosen == "M", 0.25, np.where(chosen == "K", 1.5, 1.0))
    evolved = np.where(chosen == "A", 1.3 * halo, evolved)
    is_halo, is_giant = rng.random(n) < halo, rng.random(n) < evolved
    template = np.zeros(n, np.int64)
    for letter, metal_poor, giant in product(shares, (False, True), (False, True)):
        rows = (chosen == letter) & (is_halo == metal_poor) & (is_giant == giant)
        fit = weight * (letters == letter)
        for wanted in (poor == metal_poor, library.giant == giant):
            fit = fit * wanted if (fit * wanted).any() else fit
        template[rows] = rng.choice(len(fit), rows.sum(), p=fit / fit.sum())
    partner = library.neighbours[template, rng.integers(0, library.neighbours.shape[1], n)]
    mix = rng.uniform(0, 0.5, n)
    velocity = np.where(poor[template], rng.normal(0, 130, n), rng.normal(-5, 38, n))
    return {
        "template": template,
        "partner": partner,
        "mix": mix,
        "teff": np.exp((1 - mix) * np.log(teff[template]) + mix * np.log(teff[partner])),
        "logg": (1 - mix) * logg[template] + mix * logg[partner],
        "feh": (1 - mix) * feh[template] + mix * feh[partner],
        "white_dwarf": chosen == "WD",
        "z": velocity / LIGHT_SPEED,
    }


def _sdss_stars(rng: Generator, n: int, faint: float) -> Columns:
    shares = {"O": 0.4, "B": 3, "A": 17, "F": 29, "G": 14, "K": 17, "M": 17, "WD": 6}
    stars = _stars(rng, n, shares, halo=0.45, giants=0.3)
    stars["ebv"] = rng.exponential(0.04, n).clip(0, 0.5)
    # Standards of the flux, and the bright plates of SEGUE, are a fifth.
    bright = rng.random(n) < 0.2
    dimmer = faint - rng.gamma(2.0, 0.9, n).clip(0, 4.5)
    stars["rmag"] = np.where(bright, rng.uniform(14.0, 17.5, n), dimmer)
    return stars


def _lamost_stars(rng: Generator, n: int) -> Columns:
    shares = {"O": 0.5, "B": 4, "A": 15, "F": 29, "G": 28, "K": 16, "M": 8, "WD": 0.5}
    stars = _stars(rng, n, shares, halo=0.08, giants=0.22)
    # Towards the Galactic anticentre there is dust up to E(B-V) of 2.
    stars["ebv"] = (0.05 + rng.exponential(0.3, n)).clip(0, 2.0)
    # Cool dwarfs of that brightness lie before it.
    stars["ebv"] *= np.where((stars["teff"] < 4800) & (stars["logg"] > 3.6), 0.2, 1.0)
    stars["rmag"] = rng.triangular(11.0, 15.6, 18.3, n)
    return stars


def _galaxies(rng: Generator, n: int, passive: float) -> Columns:
    """Star formation history, gas, nucleus and dust; `passive` is the share of quiescent ones."""
    quiet = rng.random(n) < passive
    tau = np.where(quiet, rng.uniform(0.9, 2.7, n), 10 ** rng.uniform(0.5, 1.3, n))
    young = ~quiet & (rng.random(n) < 0.12)
    # One in fifty is little else than a burst: lines of 50 times the continuum's height.
    violent = ~quiet & (rng.random(n) < 0.02)
    burst = np.where(young, 10 ** rng.uniform(-3, -1.3, n), 0.0)
    burst = np.where(violent, 10 ** rng.uniform(-1.5, -0.2, n), burst)
    active = rng.random(n) < np.where(quiet, 0.25, 0.14)
    mass = rng.normal(0, 1, n)  # in standard deviations: ties metallicity, dust and dispersion
    oh = np.where(quiet, 8.72, 8.57) + 0.10 * mass - 0.7 * burst**0.5 + rng.normal(0, 0.06, n)
    # Stars hold less than the gas does now (Gallazzi et al. 2005, MNRAS 362, 41).
    metals = np.where(quiet, 0.02, -0.25) + np.where(quiet, 0.10, 0.22) * mass
    return {
        "tau": tau,
        "burst": burst,
        "oh": oh.clip(7.8, 8.82),
        "metals": metals + rng.normal(0, 0.1, n),
        # Nuclei of quiescent galaxies are weak (LINERs).
        "agn": np.where(active, rng.uniform(0.2, 0.95, n) * np.where(quiet, 0.25, 1.0), 0.0),
        "sigma": np.where(quiet, 210 * 10 ** (0.1 * mass), 110 * 10 ** (0.12 * mass)).clip(60, 350),
        "ebv": np.where(
            quiet, rng.exponential(0.06, n), (0.34 + 0.10 * mass + rng.normal(0, 0.12, n))
        ).clip(0, 0.9)
        * np.where(violent, 0.3, 1.0),
    }


def _near_galaxies(
    rng: Generator, n: int, limit: float, z_limit: float, passive: float, lost: float
) -> Columns:
    """Galaxies to a magnitude; the fiber misses the outskirts, `lost` magnitudes."""
    galaxies = _galaxies(rng, n, passive)
    # Euclidean counts 10**(0.6 m) are an exponential in m; the factor is 0.6 ln 10.
    rmag = limit - rng.exponential(1 / (0.6 * np.log(10)), n).clip(0, 4)
    # Bright ones nearby were targeted for themselves.
    rmag = np.where(rng.random(n) < 0.15, limit - rng.uniform(0.5, 4.5, n), rmag)
    z = z_limit * 10 ** (0.2 * (rmag - limit)) * np.exp(rng.normal(0, 0.42, n))
    galaxies["z"] = z.clip(0.004, 0.32)
    galaxies["rmag"] = rmag + rng.normal(lost, 0.3, n)
    return galaxies


def _red_galaxies(
    rng: Generator, n: int, centre: float, width: float, low: float, high: float, magnitude: float
) -> Columns:
    galaxies = _galaxies(rng, n, passive=0.88)
    z = rng.normal(centre, width, n).clip(low, high)
    galaxies["z"] = z + rng.uniform(-0.01, 0.01, n)
    galaxies["rmag"] = magnitude + 2.2 * (z - centre) + rng.normal(0, 0.35, n)
    return galaxies


def _quasars(rng: Generator, n: int, mode: float, width: float, low: float, high: float,
             magnitude: float, near: float, far: float) -> Columns:  # fmt: skip
    """Redshift log-normal in 1 + z between limits, shares of them `near` at 0.05-1, `far` to 5."""
    z = np.exp(rng.normal(np.log1p(mode), width, n)) - 1
    outside = (z < low) | (z > high)
    z = np.where(outside, rng.uniform(low, 0.6 * high + 0.4 * low, n), z)
    elsewhere = rng.random(n)
    z = np.where(elsewhere < near, rng.uniform(0.05, 1.0, n), z)
    z = np.where(elsewhere > 1 - far, rng.uniform(3.4, 5.0, n), z)
    rmag = magnitude - rng.exponential(0.8, n).clip(0, 3.5) + rng.normal(0, 0.4, n)
    # The real one of about this redshift whose spectrum it has.
    template = np.zeros(n, np.int64)
    for which, rows in (("low", z < QUASAR_SPLIT), ("high", z >= QUASAR_SPLIT)):
        known = bases.quasars(which).z
        place = np.searchsorted(known, z[rows]) + rng.integers(-60, 61, rows.sum())
        template[rows] = place.clip(0, len(known) - 1)
    windy = (rng.random(n) < 0.14) & (z > 1.3)
    return {
        "z": z,
        "rmag": rmag - 0.4 * (z < 0.5),
        "template": template,
        # A tenth is reddened (Richards et al. 2003, AJ 126, 1131).
        "ebv": np.where(rng.random(n) < 0.1, rng.exponential(0.12, n).clip(0, 0.6), 0.0),
        "trough": np.where(windy, rng.integers(0, len(bases.troughs()), n), -1),
        "sigma": rng.uniform(100, 250, n),
    }


def _nothing(rng: Generator, n: int, magnitude: float) -> Columns:
    """Fibers on empty sky, unplugged or broken: what light there is, is not any object's."""
    return _sdss_stars(rng, n, 20.0) | {"rmag": magnitude + rng.normal(0, 0.7, n), "z": 0.0}


# Ways in which the surveys select objects: class, and what draws them with which arguments.
SAMPLES: dict[str, tuple[int, Callable[..., Columns], tuple[float, ...]]] = {
    "legacy_star": (STAR, _sdss_stars, (19.4,)),
    "segue_star": (STAR, _sdss_stars, (19.0,)),
    "boss_star": (STAR, _sdss_stars, (20.3,)),
    "legacy_main": (GALAXY, _near_galaxies, (17.77, 0.115, 0.45, 0.75)),
    "legacy_lrg": (GALAXY, _red_galaxies, (0.34, 0.06, 0.15, 0.48, 19.2)),
    "boss_lowz": (GALAXY, _red_galaxies, (0.31, 0.07, 0.12, 0.43, 18.9)),
    "boss_cmass": (GALAXY, _red_galaxies, (0.54, 0.06, 0.43, 0.70, 20.3)),
    "legacy_qso": (QSO, _quasars, (1.35, 0.36, 0.10, 4.2, 19.2, 0.2, 0.06)),
    "boss_qso": (QSO, _quasars, (2.45, 0.12, 0.4, 4.8, 21.2, 0.03, 0.03)),
    "eboss_qso": (QSO, _quasars, (1.55, 0.18, 0.5, 2.6, 21.2, 0.06, 0.0)),
    "lamost_star": (STAR, _lamost_stars, ()),
    "lamost_galaxy": (GALAXY, _near_galaxies, (17.2, 0.11, 0.62, 0.1)),
    "lamost_qso": (QSO, _quasars, (1.2, 0.36, 0.10, 3.6, 18.4, 0.2, 0.03)),
    "sdss_none": (NONE, _nothing, (26.0,)),
    "lamost_none": (NONE, _nothing, (18.8,)),
}


def draw_objects(rng: Generator, samples: NDArray[np.str_]) -> Structured:
    """Return one object for each sample name, without coordinates; shape (len(samples),)."""
    objects = np.zeros(len(samples), OBJECT)
    for name, (kind, draw, arguments) in SAMPLES.items():
        if len(rows := np.flatnonzero(samples == name)):
            objects["kind"][rows] = kind
            for field, values in draw(rng, len(rows), *arguments).items():
                objects[field][rows] = values
    return objects


def light_shares(tau: Floats, burst: Floats) -> Floats:
    """Share of the V-band light that populations of each age give; (n, 9), rows sum to 1.

    Star formation decays as exp(-t/tau) over 13 Gyr, plus a burst in the last 50 Myr.
    """
    # Mass formed at look-back time t is ~ exp(t/tau): integrate it over each age bin.
    cumulative = np.expm1(AGE_EDGES / np.asarray(tau)[:, None])
    mass = np.diff(cumulative, axis=1) / cumulative[:, -1:]
    mass *= 1 - np.asarray(burst)[:, None]
    mass[:, :3] += np.asarray(burst)[:, None] * np.array([0.15, 0.25, 0.6])
    light = mass / MASS_TO_LIGHT
    return np.asarray(light / light.sum(axis=1, keepdims=True))


def halpha(objects: Structured) -> tuple[Floats, Floats]:
    """Halpha equivalent width (A) of star formation and nucleus, and the nucleus's share; (n,)."""
    young = light_shares(objects["tau"], objects["burst"])[:, 0]
    stars = HALPHA_EW_YOUNG * young * 10 ** (-0.3 * objects["ebv"])
    nucleus = np.where(objects["agn"] > 0, 2.0 + 14.0 * objects["agn"], 0.0)
    return stars + nucleus, nucleus / np.maximum(stars + nucleus, 1e-6)


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
    _, share = halpha(objects)
    n2 = np.log10((1 - share) * 10**n2_stars + share * 10**n2_nucleus)
    o3 = np.log10((1 - share) * 10**o3_stars + share * 10**o3_nucleus)
    return n2, o3
