"""Subclass as each survey's pipeline writes it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from specvit.surveys.simulated import bases
from specvit.surveys.simulated.objects import (
    GALAXY,
    QSO,
    STAR,
    Structured,
    bpt_ratios,
    halpha_ew,
)
from specvit.surveys.simulated.observations import reduced_early
from specvit.surveys.simulated.seeds import Floats

# Subtypes that the older SDSS templates had.
LEGACY_TYPES = ("O5", "B0", "B6", "B9", "A0", "F2", "F5", "F9", "G0", "G2", "G5", "K1", "K3",
                "K5", "K7", "M0", "M1", "M2", "M3", "M4", "M5", "M6", "M7", "M8")  # fmt: skip
_LEGACY_NAMES = {"O5": "O", "B0": "OB"}


def _number(kind: str) -> int:
    """Place of a type in the sequence, ten to a letter."""
    return 10 * "OBAFGKM".index(kind[0]) + int(kind[1])


@lru_cache(maxsize=1)
def _names() -> tuple[NDArray[np.str_], NDArray[np.str_], NDArray[np.str_]]:
    """For each star of the library: BOSS's template, the older templates' type, and LAMOST's."""
    stars = bases.stars()
    # BOSS's own templates are those that are named by a star's number.
    named = np.array(["(" in name for name in stars.names.tolist()])
    models = stars.coefficients
    boss: list[str] = []
    legacy: list[str] = []
    lamost: list[str] = []
    legacy_numbers = np.array([_number(kind) for kind in LEGACY_TYPES])
    for n, kind in enumerate(stars.types.tolist()):
        if kind in ("WD", "C"):
            other = {"WD": "WD", "C": "Carbon"}[kind]
            for names in (boss, legacy, lamost):
                names.append(other)
            continue
        same = named & (np.array([name[0] for name in stars.types.tolist()]) == kind[0])
        nearest = np.where(same, ((models - models[n]) ** 2).sum(1), np.inf).argmin()
        boss.append(str(stars.names[nearest]))
        older = LEGACY_TYPES[int(np.abs(legacy_numbers - _number(kind)).argmin())]
        legacy.append(_LEGACY_NAMES.get(older, older))
        giant = bool(stars.giant[n])
        lamost.append(
            {
                "O": "O",
                "A": kind + ("IV" if giant else "V"),
                "M": ("g" if giant else "d") + kind,
            }.get(kind[0], kind)
        )
    return np.array(boss), np.array(legacy), np.array(lamost)


def sdss_subclass(seen: Structured, snr: Floats, boss: NDArray[np.bool_]) -> NDArray[np.str_]:
    """SUBCLASS of SDSS: template of a star, activity of a galaxy or quasar; shape (n,).

    Galaxies: by emission lines detected, AGN where log([O III]/Hb) > 0.7 - 1.2 (log([N II]/Ha) +
    0.4), STARBURST where EW(Ha) > 50 A, else STARFORMING (Bolton et al. 2012, AJ 144, 144).
    """
    out = np.full(len(seen), "", dtype="U21")
    newer, older, _ = _names()
    star = seen["kind"] == STAR
    template = np.where(star, seen["template"], 0)
    out[star] = np.where(boss, newer[template], older[template])[star]
    rows = np.flatnonzero(seen["kind"] == GALAXY)
    galaxies = seen[rows]
    ew = halpha_ew(galaxies)
    n2, o3 = bpt_ratios(galaxies)
    # Lines count where they are measured; Halpha must be within the spectrum.
    reach = np.where(boss[rows], 10300, 9150) / 6565 - 1
    detected = (ew * snr[rows] > 40) & (galaxies["z"] < reach)
    nucleus = o3 > 0.7 - 1.2 * (n2 + 0.4)
    out[rows] = np.where(
        ~detected, "", np.where(nucleus, "AGN", np.where(ew > 50, "STARBURST", "STARFORMING"))
    )
    rows = np.flatnonzero((seen["kind"] == QSO) & (snr > 2.0))
    out[rows] = np.where(seen["z"][rows] < 0.35, "STARBURST BROADLINE", "BROADLINE")
    return out


def lamost_subclass(seen: Structured, plan: NDArray[np.int64]) -> NDArray[np.str_]:
    """Subclass of LAMOST: type of a star (dM, gM for dwarfs and giants), Non for the others.

    Its pipeline's types are not the library's: giants of the red clump are G5 and stars of 6700 to
    7700 K late A. The first releases know the older types only.
    """
    star = seen["kind"] == STAR
    template = np.where(star, seen["template"], 0)
    _, older, names = (kinds[template] for kinds in _names())
    letter, giant = bases.stars().types[template].astype("U1"), bases.stars().giant[template]
    early = reduced_early(plan) & np.isin(letter, ["F", "G", "K"])
    names = np.where(early, older, names)
    often = seen["mix"] < 0.4  # of 0.5: four of five
    names = np.where((letter == "F") & (seen["teff"] > 6700) & often, "A7", names)
    clump = np.isin(letter, ["G", "K"]) & giant & (seen["teff"] > 4500) & often
    return np.where(star, np.where(clump, "G5", names), "Non").astype("U8")
