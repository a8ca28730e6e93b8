"""From arrays of wavelength, flux and error to a Spectrum: units, air, order, gaps, sampling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specvit.errors import SpectrumError, on_one_line
from specvit.spectrum import Header, Spectrum, rebin
from specvit.spectrum.types import OTHER
from specvit.spectrum.values import build, vacuum
from specvit.tables.names import LOG_LAMBDA, UNITS, Error
from specvit.tables.noise import der_snr

FEWEST_PIXELS = 32
OPTICAL = (1000.0, 30_000.0)
"""Angstrom that a wavelength without a unit may have its median between."""
MIDDLE = 5500.0
"""Angstrom at which flux by frequency and by wavelength are given the same number."""
SAMPLING = 1e-4
"""Step in log10(wavelength) of SDSS's pixels, and about LAMOST's: what models have seen. Finer
spectra are brought to it, with their noise."""
FINER = 0.75
"""Steps below this share of SAMPLING count as finer."""
LOG_NAMES = {"loglam", "log", "log10", "log(angstrom)", LOG_LAMBDA.lower()}
ESTIMATED, NO_SCATTER = "noise estimated", "no noise seen"
SMALL = 1e-3
"""Of the largest flux: the error of spectra that have no scatter, so that their pixels count."""


@dataclass(frozen=True)
class Reading:
    """What the user says of tables that do not say it themselves."""

    wave_unit: str | None = None
    """Unit of wavelengths (nm, um, Angstrom, loglam, GHz, eV, ...); None: as the file says."""
    air: bool = False
    """Wavelengths are in standard air."""


@dataclass(frozen=True)
class Arrays:
    """What a table, an object or the user gives: (N,) each, in any order and unit."""

    wave: Any
    flux: Any
    error: Any = None
    kind: Error | None = None
    """What `error` is; None: there is none."""
    bad: Any = None
    """(N,) bool: pixels to leave out."""
    wave_unit: str | None = None
    flux_unit: str | None = None
    in_air: bool | None = None
    """None: not said."""
    identity: str = ""
    notes: tuple[str, ...] = ()


def spectrum_from(arrays: Arrays, reading: Reading) -> Spectrum:
    """Make a spectrum: vacuum Angstrom, rising, sampled no finer than the surveys' spectra.

    Pixels that are not finite, have no error above 0 or are said to be bad are gaps; without any
    errors, so are the zeros before the first and behind the last measured pixel. Flux by frequency
    (Jy and its like) becomes flux by wavelength. Raises SpectrumError for shapes that do not fit,
    too few pixels, and wavelengths whose unit cannot be.
    """
    # What no number can hold becomes inf, and so a gap.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return _spectrum_from(arrays, reading)


def _spectrum_from(arrays: Arrays, reading: Reading) -> Spectrum:
    wave, flux = _vector(arrays.wave, "wavelength"), _vector(arrays.flux, "flux")
    if wave.shape != flux.shape:
        raise SpectrumError(f"{len(wave)} wavelengths and {len(flux)} fluxes")
    notes = list(arrays.notes)
    wave = in_angstrom(wave, reading.wave_unit or arrays.wave_unit, notes)
    if reading.air or arrays.in_air:
        wave = vacuum(wave)
        notes.append("converted from air")
    factor = _by_wavelength(arrays.flux_unit, wave)
    ivar = _ivar(arrays, flux, notes)
    flux, ivar = flux * factor, ivar / factor**2
    if arrays.bad is not None:
        ivar = np.where(_vector(arrays.bad, "mask") != 0, 0.0, ivar)
    order = _order(wave)
    loglam, flux, ivar = np.log10(wave[order]), flux[order], ivar[order]
    good = np.isfinite(flux) & np.isfinite(ivar) & (ivar > 0)
    flux, ivar = np.where(good, flux, 0.0), np.where(good, ivar, 0.0)
    loglam, flux, ivar = _sampled(loglam, flux, ivar, notes)
    scale = _scale(flux, ivar)  # 1e-17 erg/s would vanish in float32's squares
    header = Header(
        *(OTHER, "table", arrays.identity, None, None, None, None, None, None, None),
        *(None if NO_SCATTER in notes else _snr(flux, ivar), None, None),
    )
    spectrum = build(header, loglam, flux / scale, ivar * scale**2, masked=None)
    return Spectrum(
        header, spectrum.loglam, spectrum.flux, spectrum.ivar, spectrum.good, tuple(notes)
    )


def in_angstrom(
    wave: NDArray[np.float64], unit: str | None, notes: list[str]
) -> NDArray[np.float64]:
    """Wavelengths (N,) in Angstrom, of a unit of length, frequency, energy or log10(Angstrom).

    Without a unit they are Angstrom if they can be. Raises SpectrumError where they cannot, or for
    what is no such unit.
    """
    if unit is None:
        middle = float(np.nanmedian(wave)) if np.isfinite(wave).any() else float("nan")
        if not OPTICAL[0] <= middle <= OPTICAL[1]:
            raise SpectrumError(
                f"wavelengths around {middle:g} without a unit: say --wave-unit nm, um, loglam, ..."
            )
        notes.append("wavelength taken as Angstrom")
        return wave
    if unit.lower().replace(" ", "") in LOG_NAMES:
        return np.asarray(10**wave)
    import astropy.units as u

    try:
        known = u.Unit(UNITS.get(unit.lower().strip(" .'"), unit))  # A alone is an ampere
        return np.asarray(u.Quantity(wave, known).to_value(u.AA, equivalencies=u.spectral()))
    except (ValueError, TypeError, ArithmeticError, u.UnitsError) as error:
        raise SpectrumError(
            f"wavelength unit {unit!r} is none of length, frequency or energy: "
            f"{on_one_line(error, 80)}"
        ) from error


def _vector(values: Any, what: str) -> NDArray[np.float64]:
    """One number a pixel, (N,), from an array that may have a single row. SpectrumError if not."""
    if isinstance(values, np.ma.MaskedArray) and values.dtype.kind in "biuf":
        values = np.ma.filled(values.astype(np.float64), np.nan)
    try:
        array = np.asarray(getattr(values, "value", values), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise SpectrumError(f"{what} holds what is no number") from error
    if array.ndim != 1:
        long = [size for size in array.shape if size > 1]
        if len(long) > 1:
            shape = " x ".join(map(str, array.shape))
            raise SpectrumError(f"{what} is {shape}: several spectra, or an image, not one")
        array = array.reshape(-1)
    return array


def _order(wave: NDArray[np.float64]) -> NDArray[np.intp]:
    """Rows with a wavelength, rising, each wavelength once."""
    known = np.flatnonzero(np.isfinite(wave) & (wave > 0))
    _, first = np.unique(wave[known], return_index=True)
    if len(first) < FEWEST_PIXELS:
        raise SpectrumError(f"{len(first)} pixels with a wavelength: no spectrum")
    return np.asarray(known[first])


def _by_wavelength(unit: str | None, wave: NDArray[np.float64]) -> NDArray[np.float64] | float:
    """What turns flux into flux density by wavelength, up to a constant: (N,) or 1."""
    if unit is None:
        return 1.0
    import astropy.units as u

    try:
        parsed = u.Unit(unit, parse_strict="silent")
        by_frequency = parsed.physical_type in ("spectral flux density", "surface brightness")
        by_frequency = by_frequency and parsed.is_equivalent(u.Jy)
    except (ValueError, TypeError, ArithmeticError):
        return 1.0
    return np.asarray(np.where(wave > 0, (MIDDLE / wave) ** 2, 1.0)) if by_frequency else 1.0


def _ivar(arrays: Arrays, flux: NDArray[np.float64], notes: list[str]) -> NDArray[np.float64]:
    """Inverse variances (N,), 0 where there is none; estimated where no errors are given."""
    if arrays.error is not None and arrays.kind is not None:
        error = _vector(arrays.error, arrays.kind)
        if error.shape != flux.shape:
            raise SpectrumError(f"{len(error)} errors and {len(flux)} fluxes")
        if arrays.kind == "sigma":
            error = 1 / np.where(error > 0, error, np.nan) ** 2
        elif arrays.kind == "variance":
            error = 1 / np.where(error > 0, error, np.nan)
        if np.any(np.isfinite(error) & (error > 0)):
            return np.where(np.isfinite(error) & (error > 0), error, 0.0)
    finite = np.isfinite(flux)
    measured = np.flatnonzero(finite & (flux != 0))
    if len(measured) == 0:
        raise SpectrumError(f"no data: flux is all zero or not finite ({len(flux)} pixels)")
    inside = np.zeros(len(flux), bool)
    inside[measured[0] : measured[-1] + 1] = True
    known = finite & inside
    sigma = der_snr(flux[known])
    notes.append(ESTIMATED if sigma > 0 else NO_SCATTER)
    sigma = sigma if sigma > 0 else SMALL * float(np.abs(flux[known]).max())
    return np.where(known, 1 / sigma**2, 0.0)


def _sampled(
    loglam: NDArray[np.float64],
    flux: NDArray[np.float64],
    ivar: NDArray[np.float64],
    notes: list[str],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Finer spectra as means over pixels of SAMPLING; others as they are."""
    step = float(np.median(np.diff(loglam)))
    if step <= 0:
        raise SpectrumError("wavelengths are too close for numbers to tell apart")
    if step >= FINER * SAMPLING:
        return loglam, flux, ivar
    first, last = np.floor(loglam[0] / SAMPLING), np.ceil(loglam[-1] / SAMPLING)
    edges = np.arange(first, last + 1) * SAMPLING
    good = ivar > 0
    mean = rebin(loglam, flux, good, edges)
    # Inverse variances of the pixels in one bin add up.
    total = rebin(loglam, ivar, good, edges) * (SAMPLING / step)
    known = np.isfinite(mean) & np.isfinite(total)
    notes.append("resampled")
    centres = (edges[1:] + edges[:-1]) / 2
    return centres, np.where(known, mean, 0.0), np.where(known, total, 0.0)


def _scale(flux: NDArray[np.float64], ivar: NDArray[np.float64]) -> np.float64:
    """A level that brings flux near 1: what is drawn and learned does not depend on it."""
    level = np.float64(np.median(np.abs(flux[ivar > 0]))) if (ivar > 0).any() else np.float64(0)
    return level if level > 0 and np.isfinite(level) else np.float64(1)


def _snr(flux: NDArray[np.float64], ivar: NDArray[np.float64]) -> float | None:
    """Median S/N of pixels with data."""
    good = ivar > 0
    return float(np.median(flux[good] * np.sqrt(ivar[good]))) if good.any() else None
