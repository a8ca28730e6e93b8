"""Subclass as each survey's pipeline writes it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from specvit.surveys.simulated import bases
from specvit.surveys.simulated.objects import GALAXY, QSO, STAR, bpt_ratios, halpha
from specvit.surveys.simulated.observations import reduced_early
from specvit.surveys.simulated.seeds import Bools, Floats, Ints, Structured


def sdss_subclass(seen: Structured, snr: Floats, boss: Bools) -> NDArray[np.str_]:
    """SUBCLASS of SDSS: template of a star, activity of a galaxy or quasar; shape (n,).

    Galaxies: by emission lines detected, AGN where log([O III]/Hb) > 0.7 - 1.2 (log([N II]/Ha) +
    0.4), STARBURST where EW(Ha) > 50 A, else STARFORMING (Bolton et al. 2012, AJ 144, 144).
    """
    out = np.full(len(seen), "", dtype="U21")
    star, library = seen["kind"] == STAR, bases.stars()
    template = np.where(star, seen["template"], 0)
    out[star] = np.where(boss, library.boss[template], library.legacy[template])[star]
    rows = np.flatnonzero(seen["kind"] == GALAXY)
    galaxies = seen[rows]
    ew, _ = halpha(galaxies)
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


def lamost_subclass(seen: Structured, plan: Ints) -> NDArray[np.str_]:
    """Subclass of LAMOST: type of a star (dM, gM for dwarfs and giants), Non for the others.

    Its pipeline's types are not the library's: giants of the red clump are G5 and stars of 6700 to
    7700 K late A. The first releases know the older types only.
    """
    star, library = seen["kind"] == STAR, bases.stars()
    template = np.where(star, seen["template"], 0)
    letter, giant = library.types[template].astype("U1"), library.giant[template]
    early = reduced_early(plan) & np.isin(letter, ["F", "G", "K"])
    names = np.where(early, library.legacy[template], library.lamost[template])
    often = seen["mix"] < 0.4  # of 0.5: four of five
    names = np.where((letter == "F") & (seen["teff"] > 6700) & often, "A7", names)
    clump = np.isin(letter, ["G", "K"]) & giant & (seen["teff"] > 4500) & often
    return np.where(star, np.where(clump, "G5", names), "Non").astype("U8")


def redrock_subtype(seen: Structured) -> NDArray[np.str_]:
    """SUBTYPE of DESI: redrock's template of a star, nothing for the others."""
    star = seen["kind"] == STAR
    return np.where(star, bases.stars().redrock[np.where(star, seen["template"], 0)], "")
