"""How strong each absorption line of a star is: one layer in thermal equilibrium.

Saha's and Boltzmann's equations give the absorbers, H-, hydrogen and electrons the continuous
opacity that lines compete with, a curve of growth the equivalent width. This is textbook physics
(Gray 2005, The Observation and Analysis of Stellar Photospheres, chapters 8, 11 and 13), with one
temperature and pressure for the whole atmosphere; constants marked "calibrated" bring Vega's Balmer
lines, the Sun's strong lines and the indices of old galaxies near what is observed.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from specvit.spectrum.values import vacuum
from specvit.surveys.simulated.lines import hydrogen
from specvit.surveys.simulated.objects import LIGHT_SPEED, Floats

# Species -> log10 abundance by number relative to H (Asplund et al. 2009), ionisation energies of
# the neutral and the ion (eV), partition functions of neutral, ion and second ion.
_SPECIES: dict[str, tuple[float, float, float, float, float, float]] = {
    "He": (-1.07, 24.59, 54.42, 1.0, 2.0, 1.0),
    "O": (-3.31, 13.62, 35.12, 9.0, 4.0, 9.0),
    "Na": (-5.76, 5.14, 47.29, 2.1, 1.0, 6.0),
    "Mg": (-4.40, 7.65, 15.04, 1.05, 2.0, 1.0),
    "Al": (-5.55, 5.99, 18.83, 5.9, 1.0, 2.0),
    "Si": (-4.49, 8.15, 16.35, 9.5, 5.8, 1.0),
    "K": (-6.97, 4.34, 31.63, 2.2, 1.0, 6.0),
    "Ca": (-5.66, 6.11, 11.87, 1.3, 2.3, 1.0),
    "Ti": (-7.05, 6.83, 13.58, 30.0, 55.0, 35.0),
    "Cr": (-6.36, 6.77, 16.49, 10.0, 7.5, 20.0),
    "Mn": (-6.57, 7.43, 15.64, 6.5, 7.7, 6.0),
    "Fe": (-4.50, 7.90, 16.19, 29.0, 43.0, 25.0),
    "Ni": (-5.78, 7.64, 18.17, 30.0, 11.0, 18.0),
    "Sr": (-9.13, 5.69, 11.03, 1.3, 2.2, 1.0),
    "Ba": (-9.82, 5.21, 10.00, 3.0, 4.5, 1.0),
}
# Neutral metals whose wings are as wide as those of ions (calibrated on the Sun: Na D, Mg b).
_FULL_DAMPING = [list(_SPECIES).index(name) for name in ("Na", "Mg")]
# Electron pressure (dyn/cm2) of main-sequence atmospheres at optical depth of about 1/2.
_PE_TEFF = (2500, 3000, 4000, 5000, 5800, 7000, 8500, 10000, 15000, 25000, 40000)
_PE_LOG = (-2.2, -1.4, -0.2, 0.75, 1.35, 2.1, 2.75, 3.0, 3.15, 3.4, 3.7)
_PE_LOGG = 4.4


@dataclass(frozen=True)
class StellarLines:
    """The metal and helium lines; arrays of shape (L,)."""

    species: NDArray[np.int64]  # row in _SPECIES
    ion: NDArray[np.int64]  # 0 neutral, 1 singly ionised
    wavelength: Floats  # vacuum, A
    excitation: Floats  # eV, of the lower level
    log_gf: Floats


@lru_cache(maxsize=1)
def stellar_lines() -> StellarLines:
    """Return the table of lines: air wavelengths, excitation and log gf.

    From the NIST Atomic Spectra Database and, for iron-peak lines, the Kurucz and VALD lists that
    compile it (Ryabchikova et al. 2015, Phys. Scr. 90, 054005); converted to vacuum.
    """
    text = resources.files(__package__).joinpath("stellar_lines.csv").read_text("utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    names = list(_SPECIES)
    return StellarLines(
        np.array([names.index(row["species"].split()[0]) for row in rows]),
        np.array([int(row["species"].split()[1]) - 1 for row in rows]),
        vacuum(np.array([float(row["air"]) for row in rows])),
        np.array([float(row["excitation"]) for row in rows]),
        np.array([float(row["log_gf"]) for row in rows]),
    )


@dataclass(frozen=True)
class Atmosphere:
    """State of the layer where lines form."""

    teff: float
    logg: float
    feh: float

    @property
    def temperature(self) -> float:
        """Of the layer: lines form above the continuum, where it is cooler."""
        return 0.92 * self.teff

    @property
    def electron_pressure(self) -> float:
        """Dyn/cm2, by interpolation between models, with their dependence on gravity and metals."""
        log = float(np.interp(self.teff, _PE_TEFF, _PE_LOG))
        log += (0.40 if self.teff < 8000 else 0.6) * (self.logg - _PE_LOGG)
        # Metals give the electrons in cool atmospheres.
        log += 0.3 * self.feh * float(np.clip((6500 - self.teff) / 2000, 0, 1))
        return float(10**log)

    @property
    def theta(self) -> float:
        """5040 K / T."""
        return 5040 / self.temperature

    def ionised(self, energy: float | Floats, ratio: float | Floats) -> Floats:
        """N(r+1)/N(r) by Saha: `energy` in eV, `ratio` of the partition functions."""
        log = -energy * self.theta + 2.5 * np.log10(self.temperature) - 0.48
        return np.asarray(2 * ratio * 10**log / self.electron_pressure)

    @property
    def opacity(self) -> float:
        """Continuous opacity at 5000 A for each hydrogen nucleus (cm2)."""
        theta, pressure = self.theta, self.electron_pressure
        protons = float(self.ionised(13.6, 0.5))
        neutral = 1 / (1 + protons)
        # Bound-free of H-, Paschen and Balmer continua, Thomson scattering (Gray 2005, ch. 8).
        negative = 4.158e-10 * 2.7 * pressure * theta**2.5 * 10 ** (0.754 * theta) * 1e-18
        paschen = 5.4e-18 * 9 * 10 ** (-12.09 * theta)
        # Molecules veil everything in cool stars (calibrated on Na D of M dwarfs).
        veil = 10 ** (1.3 * max(0.0, (4100 - self.teff) / 1000))
        return float(neutral * (negative * veil + paschen) + 0.665e-24 * (1 - neutral))


def _populations(atmosphere: Atmosphere) -> tuple[Floats, Floats]:
    """Shares of neutral and singly ionised atoms of each species over partition function; (S,)."""
    table = np.array(list(_SPECIES.values()))
    _, first, second, u0, u1, u2 = table.T
    to_ion = atmosphere.ionised(first, u1 / u0)
    to_second = atmosphere.ionised(second, u2 / u1)
    total = 1 + to_ion * (1 + to_second)
    return 1 / total / u0, to_ion / total / u1


def _damping_share(lines: StellarLines) -> Floats:
    """Damping of each line relative to the strongest damped (calibrated).

    Resonance lines of ions and neutral iron-peak metals are narrower than Na D and Mg b; the
    linear Stark effect widens helium in hot stars.
    """
    metal = (lines.ion == 0) & ~np.isin(lines.species, _FULL_DAMPING)
    resonance = (lines.ion == 1) & (lines.excitation < 0.01)
    share = np.where(metal, 0.5, np.where(resonance, 0.55, 1.0))
    helium = lines.species == list(_SPECIES).index("He")
    return np.where(helium, np.where(lines.ion == 0, 3.0, 0.4), share)


def line_strengths(atmosphere: Atmosphere) -> tuple[Floats, Floats]:
    """Equivalent width (A) and half width of the damping wings (A) of each line; shapes (L,)."""
    lines = stellar_lines()
    neutral, ion = _populations(atmosphere)
    share = np.where(lines.ion == 0, neutral[lines.species], ion[lines.species])
    abundance = np.array([row[0] for row in _SPECIES.values()])[lines.species]
    metal = np.where(lines.species == 0, 0.0, atmosphere.feh)
    log_n = abundance + metal - lines.excitation * atmosphere.theta + lines.log_gf
    velocity = 2.0 if atmosphere.logg > 3.5 else 2.4  # km/s, thermal and turbulent
    centre = 1.497e-15 * lines.wavelength / velocity * share * 10**log_n / atmosphere.opacity
    # Damping relative to the Doppler width: collisions grow with pressure and temperature.
    pressure = 10 ** (0.45 * (atmosphere.logg - 4.4)) * (atmosphere.teff / 5800)
    damping = 0.0022 * pressure * _damping_share(lines)
    doppler = lines.wavelength * velocity / LIGHT_SPEED
    flat = (
        np.sqrt(np.pi)
        * centre
        / (1 + centre * np.sqrt(np.pi) / (2 * np.sqrt(np.log(np.e + centre))))
    )
    half_width = doppler * np.sqrt(centre * damping / np.sqrt(np.pi))
    wings = np.pi * half_width * np.minimum(1, centre * damping * 4)
    width = 0.85 * np.hypot(doppler * flat, wings)
    return width, half_width


BALMER_UPPER = np.arange(3, 21)
PASCHEN_UPPER = np.arange(9, 21)
# Widths within a series relative to Hgamma and Hdelta: higher levels feel the Stark effect more but
# absorb less, and end in the crowd before the limit (calibrated on Vega).
_BALMER_WIDTH = np.interp(
    BALMER_UPPER, [3, 4, 5, 6, 7, 9, 12, 20], [0.80, 0.97, 1, 1, 0.93, 0.7, 0.45, 0.25]
)
_PASCHEN_WIDTH = np.interp(PASCHEN_UPPER, [9, 12, 20], [0.75, 0.65, 0.4])


def hydrogen_lines(atmosphere: Atmosphere) -> tuple[Floats, Floats, Floats]:
    """Wavelength (A), central depth and half width (A) of the Balmer and Paschen lines.

    Wings by the linear Stark effect fall as distance**-2.5 (Holtsmark); half width where they are
    as opaque as the continuum, hence (absorbers x electrons / opacity)**0.4. Pressure dissolves
    the upper levels (Inglis & Teller 1939, ApJ 90, 439).
    """
    teff = atmosphere.teff
    # Hydrogen's wings form deep, where it is hotter than where metals absorb, the more so in cool
    # stars (calibrated on the Sun's Hdelta).
    hotter = 1.13 + 0.13 * float(np.clip((7500 - teff) / 2000, 0, 1))
    deep = Atmosphere(teff * hotter, atmosphere.logg, atmosphere.feh)
    density = atmosphere.electron_pressure / (1.38e-16 * atmosphere.temperature)
    neutral = 1 / (1 + float(deep.ionised(13.6, 0.5)))
    second = neutral * 4 * 10 ** (-10.2 * deep.theta)
    # Calibrated: Hdelta of Vega is 14 A wide and hotter stars' lines weaken to 4 A at B0.
    half = 7.1 * (second * density / deep.opacity / 3.4e32) ** 0.4
    half *= min(1.0, (9700 / teff) ** 0.7)
    last = 10 ** ((23.26 - np.log10(density)) / 7.5)
    upper = np.concatenate([BALMER_UPPER, PASCHEN_UPPER])
    lower = np.where(np.arange(len(upper)) < len(BALMER_UPPER), 2, 3)
    waves = np.array([hydrogen(int(a), int(b)) for a, b in zip(lower, upper, strict=True)])
    depths = np.where(lower == 2, 0.80, 0.40) * np.clip((last - upper) / 3 + 1, 0, 1)
    paschen = _PASCHEN_WIDTH * float(np.clip((teff - 4500) / 4000, 0.2, 1))
    return waves, depths, half * np.concatenate([_BALMER_WIDTH, paschen])
