"""What the sky is made of: components of measured spectra, computed by sky/make_bases.py.

All rest-frame spectra lie on one grid, log10(vacuum wavelength / A) = k * 1e-4. NOTICE names the
libraries that they were computed from.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from specvit.surveys.simulated.seeds import Floats

# First k of each grid, as in sky/make_bases.py.
STAR_START, POPULATION_START = 35480, 33000
QUASAR_START = {"low": 32800, "high": 29600}
TROUGH_START, TROUGH_STEP = 29750, 2
NEIGHBOURS = 4


@dataclass(frozen=True)
class Stars:
    """The library of stars; arrays of one row a star."""

    names: NDArray[np.str_]
    types: NDArray[np.str_]  # letter and digit; WD, C
    parameters: Floats  # Teff (K), log g, [Fe/H]
    mean: Floats  # of log flux
    vectors: Floats
    coefficients: Floats
    giant: NDArray[np.bool_]
    super_giant: NDArray[np.bool_]
    neighbours: NDArray[np.int64]  # the most like each star among its kind, itself first

    def flux(self, star: int, other: int, mix: float) -> Floats:
        """Spectrum on the rest grid, about 1 at 6200 A: `mix` of the way from one to another."""
        place = (1 - mix) * self.coefficients[star] + mix * self.coefficients[other]
        return np.asarray(np.exp(self.mean + place @ self.vectors))


@dataclass(frozen=True)
class Populations:
    """Single stellar populations by age and metals, 1 at 5500 A."""

    ages: Floats  # Gyr
    metals: Floats  # [M/H]
    flux: Floats  # (ages, metals, pixels)


@dataclass(frozen=True)
class Quasars:
    """Eigenspectra and what real quasars are in them, by rising redshift."""

    vectors: Floats
    coefficients: Floats
    z: Floats


@lru_cache(maxsize=1)
def _file() -> dict[str, NDArray[np.generic]]:
    with resources.files(__package__).joinpath("bases.npz").open("rb") as handle:
        return dict(np.load(handle))


def _floats(name: str) -> Floats:
    # Double: sums in single precision would depend on the machine's order of adding.
    return _file()[name].astype(np.float64)


@lru_cache(maxsize=1)
def stars() -> Stars:
    """Return the library of stars, unpacked once a process."""
    names, types = (np.asarray(_file()[f"star_{part}"], dtype=str) for part in ("names", "types"))
    parameters = _floats("star_parameters")
    super_giant = np.array([bool(re.search("I[ab]", name)) for name in names])
    giant = parameters[:, 1] < 3.6
    scaled = parameters / np.array([1, 0.8, 0.6])
    scaled[:, 0] = np.log(parameters[:, 0]) / 0.06
    distance = ((scaled[:, None] - scaled) ** 2).sum(-1)
    letters = np.array([kind[:1] for kind in types])
    strangers = (letters[:, None] != letters) | (giant[:, None] != giant)
    distance += np.where(strangers | (super_giant[:, None] != super_giant), 1e6, 0.0)
    np.fill_diagonal(distance, -1.0)
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :NEIGHBOURS]
    # Where a kind has few stars, its strangers are replaced by the star itself.
    alone = np.take_along_axis(distance, nearest, axis=1) >= 1e6
    nearest = np.where(alone, np.arange(len(names))[:, None], nearest)
    mean, vectors, coefficients = (
        _floats(f"star_{part}") for part in ("mean", "vectors", "coefficients")
    )
    return Stars(names, types, parameters, mean, vectors, coefficients, giant, super_giant, nearest)


@lru_cache(maxsize=1)
def populations() -> Populations:
    """Return the stellar populations, unpacked once a process."""
    logs = _floats("population_coefficients") @ _floats("population_vectors")
    flux = np.exp(_floats("population_mean") + logs)
    return Populations(_floats("population_ages"), _floats("population_metals"), flux)


@lru_cache(maxsize=2)
def quasars(which: str) -> Quasars:
    """Return the quasars below (`low`) or above (`high`) z = 1.6."""
    z, coefficients = (_floats(f"quasar_{which}_{part}") for part in ("z", "coefficients"))
    order = np.argsort(z, kind="stable")
    return Quasars(_floats(f"quasar_{which}_vectors"), coefficients[order], z[order])


@lru_cache(maxsize=1)
def troughs() -> Floats:
    """Return transmissions of broad absorption lines, every second pixel from TROUGH_START."""
    return _floats("troughs")


def shifted(values: Floats, start: int, first: int, count: int, z: float) -> Floats:
    """Move a rest-frame spectrum that begins at k = start onto `count` pixels from k = first."""
    place = first - start - np.log10(1 + z) * 1e4 + np.arange(count)
    return np.asarray(np.interp(place, np.arange(len(values)), values))
