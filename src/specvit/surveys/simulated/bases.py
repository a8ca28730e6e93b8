"""What the sky is made of: components of measured spectra, computed by sky/make_bases.py.

All rest-frame spectra lie on one grid, log10(vacuum wavelength / A) = k * 1e-4. NOTICE names the
libraries that they were computed from.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specvit.surveys.simulated.seeds import Bools, Floats, Ints

# First k of each grid, as in sky/make_bases.py.
STAR_START, POPULATION_START = 35480, 33000
QUASAR_START = {"low": 32800, "high": 29600}
TROUGH_START, TROUGH_STEP = 29750, 2


@dataclass(frozen=True)
class Stars:
    """The library of stars; arrays of one row a star."""

    names: NDArray[np.str_]
    types: NDArray[np.str_]  # letter and digit; WD, C
    parameters: Floats  # Teff (K), log g, [Fe/H]
    mean: Floats  # of log flux
    vectors: Floats
    coefficients: Floats
    giant: Bools
    super_giant: Bools
    neighbours: Ints  # the most like each star among its kind, itself first
    # What the surveys' pipelines call each: BOSS's template, the older SDSS templates' type, ...
    boss: NDArray[np.str_]
    legacy: NDArray[np.str_]
    lamost: NDArray[np.str_]
    redrock: NDArray[np.str_]

    def flux(self, star: int, other: int, mix: float) -> Floats:
        """Spectrum on the rest grid, about 1 at 6200 A: `mix` of the way from one to another."""
        place = (1 - mix) * self.coefficients[star] + mix * self.coefficients[other]
        return np.asarray(np.exp(self.mean + place @ self.vectors))


@dataclass(frozen=True)
class Populations:
    """Single stellar populations by age and metals, 1 at 5500 A."""

    metals: Floats  # [M/H]
    mean: Floats  # of log flux
    vectors: Floats
    coefficients: Floats

    @cached_property
    def flux(self) -> Floats:
        """Of shape (ages, metals, pixels)."""
        return np.asarray(np.exp(self.mean + self.coefficients @ self.vectors))


@dataclass(frozen=True)
class Quasars:
    """Eigenspectra and what real quasars are in them, by rising redshift."""

    vectors: Floats
    coefficients: Floats
    z: Floats


@lru_cache(maxsize=1)
def _file() -> dict[str, NDArray[Any]]:
    with resources.files(__package__).joinpath("bases.npz").open("rb") as handle:
        arrays = dict(np.load(handle))
    # Double: sums in single precision would depend on the machine's order of adding.
    return {n: a.astype(np.float64) if a.dtype.kind == "f" else a for n, a in arrays.items()}


def _arrays(kind: type[Any], name: str) -> dict[str, NDArray[Any]]:
    return {field.name: _file()[f"{name}_{field.name}"] for field in fields(kind)}


@lru_cache(maxsize=1)
def stars() -> Stars:
    """Return the library of stars, unpacked once a process."""
    return Stars(**_arrays(Stars, "star"))


@lru_cache(maxsize=1)
def populations() -> Populations:
    """Return the stellar populations, unpacked once a process."""
    return Populations(**_arrays(Populations, "population"))


@lru_cache(maxsize=2)
def quasars(which: str) -> Quasars:
    """Return the quasars below (`low`) or above (`high`) z = 1.6."""
    return Quasars(**_arrays(Quasars, f"quasar_{which}"))


def troughs() -> Floats:
    """Return transmissions of broad absorption lines, every second pixel from TROUGH_START."""
    return _file()["troughs"]
