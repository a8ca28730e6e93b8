"""Spectra on a common wavelength grid, even in log10 of wavelength."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from specvit.config.data import Grid
from specvit.spectrum.types import Spectrum

MIN_COVERAGE = 0.5  # a bin with less than this share of its width in good pixels holds no data


@lru_cache(maxsize=32)
def bin_edges(grid: Grid, bins: int) -> NDArray[np.float64]:
    """Edges of `bins` bins over the grid's range in log10(wavelength), shape (bins + 1,)."""
    edges = np.linspace(np.log10(grid.wave_min), np.log10(grid.wave_max), bins + 1)
    edges.flags.writeable = False
    return edges


def bin_centres(grid: Grid, bins: int) -> NDArray[np.float64]:
    """Centres of the bins in log10(wavelength), shape (bins,)."""
    edges = bin_edges(grid, bins)
    return (edges[:-1] + edges[1:]) / 2


def rebin(
    loglam: NDArray[np.float64],
    flux: NDArray[np.floating],
    good: NDArray[np.bool_],
    edges: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Mean flux density of good pixels in each bin; nan where under half of a bin has data.

    Flux-conserving: the integral over good pixels is interpolated at the edges, so a grid finer or
    coarser than the spectrum is one and the same case. `loglam` rises; shapes (N,), (N,), (N,) and
    (M + 1,) give (M,).
    """
    if len(loglam) < 2:  # a lone pixel has no width
        return np.full(len(edges) - 1, np.nan)
    # A pixel is as wide as its nearer neighbour is far: it does not grow into a gap beside it.
    step = loglam[1:] - loglam[:-1]
    half = np.empty(len(loglam))
    np.minimum(step[1:], step[:-1], out=half[1:-1])
    half[0], half[-1] = step[0], step[-1]
    half /= 2
    bounds = np.empty(2 * len(loglam))
    bounds[0::2], bounds[1::2] = loglam - half, loglam + half
    width = np.where(good, 2 * half, 0.0)
    # Integrals of 1 and of flux over good pixels, as real and imaginary part: one interpolation.
    integral = np.zeros(len(bounds), np.complex128)
    integral.real[1::2] = np.cumsum(width)
    integral.imag[1::2] = np.cumsum(np.where(good, flux, 0.0) * width)
    integral[2::2] = integral[1:-1:2]
    at_edges = np.interp(edges, bounds, integral)
    between = at_edges[1:] - at_edges[:-1]
    covered, summed = between.real, between.imag
    enough = covered >= MIN_COVERAGE * (edges[1:] - edges[:-1])
    mean = np.full(len(covered), np.nan)
    np.divide(summed, covered, out=mean, where=enough)
    return mean


def to_grid(spectrum: Spectrum, grid: Grid) -> NDArray[np.float32]:
    """Flux on the common grid, shape (grid.pixels,), observed frame; nan where there is no data."""
    edges = bin_edges(grid, grid.pixels)
    return rebin(spectrum.loglam, spectrum.flux, spectrum.good, edges).astype(np.float32)
