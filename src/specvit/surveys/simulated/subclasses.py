"""Subclass as each survey's pipeline writes it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from specvit.surveys.simulated.objects import (
    GALAXY,
    QSO,
    STAR,
    TYPE_TEFF,
    Floats,
    Structured,
    bpt_ratios,
    halpha_ew,
)

# Templates of SDSS's BOSS-era pipeline: name with the star's HD or Luyten number, and temperature.
BOSS_TEMPLATES: tuple[tuple[str, float], ...] = (
    ("O8/O9 (167771)", 36000.0),
    ("O", 32000.0),
    ("B2IV-V (176819)", 21000.0),
    ("B5V (173087)", 15500.0),
    ("B6IV (174959)", 13800.0),
    ("B9 (105262)", 11200.0),
    ("A0 (19510)", 9700.0),
    ("A1V (95418)", 9200.0),
    ("A4 (G_165-39)", 8450.0),
    ("A8V (155514)", 7600.0),
    ("F2V (33256)", 7000.0),
    ("F3/F5V (30743)", 6600.0),
    ("F6V (16673)", 6300.0),
    ("F8V (G_243-63)", 6100.0),
    ("G0 (G_101-29)", 5900.0),
    ("G4V (32923)", 5650.0),
    ("G8V (75732)", 5400.0),
    ("K0V (10780)", 5200.0),
    ("K3V (32147)", 4800.0),
    ("K5Ve (118100)", 4350.0),
    ("K5 (G_19-24)", 4100.0),
    ("M0V", 3850.0),
    ("M1", 3650.0),
    ("M2", 3500.0),
    ("M3", 3350.0),
    ("M4", 3200.0),
    ("M5", 3050.0),
    ("M6", 2850.0),
    ("M8", 2720.0),
)
# Subtypes that the older SDSS templates had.
LEGACY_TEMPLATES = ("O", "OB", "B6", "B9", "A0", "F2", "F5", "F9", "G0", "G2", "G5", "K1", "K3",
                    "K5", "K7", "M0", "M1", "M2", "M3", "M4", "M5", "M6", "M7", "M8")  # fmt: skip


def letter_and_digit(teff: Floats) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """Spectral type from temperature (K): letter and subtype 0-9, linear in log T within a letter.

    Ranges after Pecaut & Mamajek (2013, ApJS 208, 9).
    """
    letters = np.array(list(TYPE_TEFF))
    low = np.array([limits[0] for limits in TYPE_TEFF.values()])
    high = np.array([limits[1] for limits in TYPE_TEFF.values()])
    index = (np.asarray(teff)[:, None] < low).sum(axis=1).clip(0, len(letters) - 1)
    place = np.log(high[index] / teff) / np.log(high[index] / low[index])
    return letters[index], (place * 10).astype(np.int64).clip(0, 9)


def _legacy_star(teff: Floats) -> NDArray[np.str_]:
    """Nearest of the legacy templates by numeric type."""

    def number(name: str) -> float:
        order = "OBAFGKM".index(name[0]) * 10
        return order + (int(name[1]) if name[1:].isdigit() else {"O": 5, "OB": 10}[name])

    numbers = np.array([number(name) for name in LEGACY_TEMPLATES])
    letter, digit = letter_and_digit(teff)
    value = np.array(["OBAFGKM".index(x) * 10 for x in letter.tolist()]) + digit
    names: NDArray[np.str_] = np.array(LEGACY_TEMPLATES)
    return np.asarray(names[np.abs(value[:, None] - numbers).argmin(axis=1)])


def _boss_star(teff: Floats) -> NDArray[np.str_]:
    temperatures = np.log([t for _, t in BOSS_TEMPLATES])
    names = np.array([name for name, _ in BOSS_TEMPLATES])
    return np.asarray(names[np.abs(np.log(teff)[:, None] - temperatures).argmin(axis=1)])


def sdss_subclass(seen: Structured, snr: Floats, boss: NDArray[np.bool_]) -> NDArray[np.str_]:
    """SUBCLASS of SDSS: template of a star, activity of a galaxy or quasar; shape (n,).

    Galaxies: by emission lines detected, AGN where log([O III]/Hb) > 0.7 - 1.2 (log([N II]/Ha) +
    0.4), STARBURST where EW(Ha) > 50 A, else STARFORMING (Bolton et al. 2012, AJ 144, 144).
    """
    out = np.full(len(seen), "", dtype="U21")
    for mask, name in (
        (seen["kind"] == STAR, _legacy_star),
        (boss & (seen["kind"] == STAR), _boss_star),
    ):
        rows = np.flatnonzero(mask)
        if len(rows):
            out[rows] = name(seen["teff"][rows])
    out[(seen["kind"] == STAR) & seen["white_dwarf"]] = "WD"
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
    out[rows] = "BROADLINE"
    near = rows[seen["z"][rows] < 0.35]
    out[near] = np.where(seen["iron"][near] < 0.7, "AGN BROADLINE", "STARBURST BROADLINE")
    return out


def lamost_subclass(seen: Structured) -> NDArray[np.str_]:
    """Subclass of LAMOST: type of a star (dM, gM for dwarfs and giants), Non for the others."""
    out = np.full(len(seen), "Non", dtype="U8")
    rows = np.flatnonzero(seen["kind"] == STAR)
    stars = seen[rows]
    if not len(rows):
        return out
    letter, digit = letter_and_digit(stars["teff"])
    name = np.char.add(letter, digit.astype(str))
    luminosity = np.where(stars["logg"] > 4.1, "V", "IV")
    name = np.where(letter == "A", np.char.add(name, luminosity), name)
    name = np.where(letter == "M", np.char.add(np.where(stars["logg"] > 3.6, "d", "g"), name), name)
    name = np.where(letter == "O", "O", name)
    out[rows] = np.where(stars["white_dwarf"], "WD", name)
    return out
