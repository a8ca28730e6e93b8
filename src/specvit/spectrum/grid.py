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
    step = np.diff(loglam)
    # A pixel is as wide as its nearer neighbour is far: it does not grow into a gap beside it.
    half = np.minimum(np.append(step, step[-1]), np.insert(step, 0, step[0])) / 2
    bounds = np.empty(2 * len(loglam))
    bounds[0::2], bounds[1::2] = loglam - half, loglam + half
    width = np.where(good, 2 * half, 0.0)
    integral = np.empty((2, len(bounds)))
    integral[:, 0] = 0
    np.cumsum(width, out=integral[0, 1::2])
    np.cumsum(np.where(good, flux, 0.0) * width, out=integral[1, 1::2])
    integral[:, 2::2] = integral[:, 1:-1:2]
    covered = np.diff(np.interp(edges, bounds, integral[0]))
    summed = np.diff(np.interp(edges, bounds, integral[1]))
    enough = covered >= MIN_COVERAGE * np.diff(edges)
    mean = np.full(len(covered), np.nan)
    np.divide(summed, covered, out=mean, where=enough)
    return mean


def to_grid(spectrum: Spectrum, grid: Grid) -> NDArray[np.float32]:
    """Flux on the common grid, shape (grid.pixels,), observed frame; nan where there is no data."""
    edges = bin_edges(grid, grid.pixels)
    return rebin(spectrum.loglam, spectrum.flux, spectrum.good, edges).astype(np.float32)
