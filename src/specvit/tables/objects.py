"""What Python holds as a spectrum: specutils' objects, tables, arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from specvit.errors import DataError, SpectrumError
from specvit.spectrum import Spectrum
from specvit.tables.arrays import Arrays, Reading, spectrum_from
from specvit.tables.columns import arrays_of, is_table
from specvit.tables.names import Error

KINDS: dict[str, Error] = {"std": "sigma", "var": "variance", "ivar": "ivar"}
"""astropy.nddata's names (`uncertainty_type`) of what an uncertainty is."""


def is_specutils(thing: Any) -> bool:
    """Whether it looks like specutils' Spectrum, by what it has: no import of specutils."""
    return hasattr(thing, "spectral_axis") and hasattr(thing, "flux")


def is_arrays(thing: Any) -> bool:
    """Whether it is (wavelength, flux) or (wavelength, flux, ivar), each an array."""
    return (
        isinstance(thing, tuple)
        and len(thing) in (2, 3)
        and not any(isinstance(part, str | bytes) or np.ndim(part) == 0 for part in thing)
    )


def spectrum_of(thing: Any, reading: Reading) -> Spectrum:
    """A spectrum from an object of another package.

    A Spectrum as it is; specutils' Spectrum; a table or mapping with columns as
    `specvit.tables.names` knows them; a tuple of arrays (wavelength in vacuum Angstrom unless
    `reading` says other, flux, and inverse variance). Raises SpectrumError where it cannot be used,
    DataError where it is no such object.
    """
    if isinstance(thing, Spectrum):
        return thing
    if is_specutils(thing):
        return spectrum_from(_of_specutils(thing), reading)
    if is_arrays(thing):
        return spectrum_from(_of_tuple(thing), reading)
    if is_table(thing):
        return spectrum_from(arrays_of(thing), reading)
    raise DataError(
        f"a {type(thing).__name__} is no spectrum: give a path, a Spectrum (specvit's, "
        "specutils'), a table, or a tuple (wavelength, flux[, ivar])"
    )


def _of_specutils(thing: Any) -> Arrays:
    axis, flux = thing.spectral_axis, thing.flux
    uncertainty = getattr(thing, "uncertainty", None)
    kind = KINDS.get(str(getattr(uncertainty, "uncertainty_type", "")))
    if np.ndim(flux) > 1 and np.size(flux) != np.shape(flux)[-1]:
        raise SpectrumError(f"{type(thing).__name__} of {np.shape(flux)[0]} spectra, not one")
    return Arrays(
        *(axis.value, np.ravel(flux.value)),
        error=np.ravel(uncertainty.array) if uncertainty is not None and kind else None,
        kind=kind,
        bad=None if getattr(thing, "mask", None) is None else np.ravel(thing.mask),
        wave_unit=str(axis.unit),
        flux_unit=str(flux.unit),
    )


def _of_tuple(parts: Sequence[Any]) -> Arrays:
    wave, flux, *error = parts
    unit = getattr(wave, "unit", None)
    return Arrays(
        *(wave, flux),
        error=error[0] if error else None,
        kind="ivar" if error else None,
        wave_unit=None if unit is None else str(unit),
        flux_unit=None if getattr(flux, "unit", None) is None else str(flux.unit),
    )
