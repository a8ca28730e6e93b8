"""Windows of wavelength, and spectra from which some of them are taken."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from specvit.explain.axis import Floats
from specvit.plot.scale import continuum
from specvit.spectrum import Spectrum

WINDOWS = 64
"""Equal parts of the range in log-wavelength: a few thousand km/s each, as wide as a broad line."""
How = Literal["continuum", "gap"]
HOW: tuple[How, ...] = ("continuum", "gap")


def window_edges(edges: Floats) -> Floats:
    """Edges of the windows that a range of wavelengths is cut into, (WINDOWS + 1,)."""
    return np.geomspace(edges[0], edges[-1], WINDOWS + 1)


def in_windows(relevance: Floats, edges: Floats) -> Floats:
    """Sum relevance (n, stretches) over windows, sharing the stretches that two have: (n, 64)."""
    below = np.pad(relevance.cumsum(axis=1), ((0, 0), (1, 0)))
    at = np.log(window_edges(edges))
    return np.diff([np.interp(at, np.log(edges), row) for row in below], axis=1)


def with_data(spectrum: Spectrum, edges: Floats) -> NDArray[np.int64]:
    """The windows half of whose pixels, or more, have data."""
    window = np.searchsorted(window_edges(edges), spectrum.wavelength, side="right") - 1
    inside = (window >= 0) & (window < WINDOWS)
    all_, good = (
        np.bincount(window[which], minlength=WINDOWS) for which in (inside, inside & spectrum.good)
    )
    return np.flatnonzero((good > 0) & (2 * good >= all_))


def without(spectrum: Spectrum, windows: ArrayLike, edges: Floats, how: How) -> Spectrum:
    """The spectrum with nothing but continuum, or nothing at all, in these windows."""
    window = np.searchsorted(window_edges(edges), spectrum.wavelength, side="right") - 1
    taken = np.isin(window, windows)
    if how == "gap":
        return replace(spectrum, good=spectrum.good & ~taken)
    smooth = only_continuum(spectrum).flux
    return replace(spectrum, flux=np.where(taken, smooth, spectrum.flux))


def only_continuum(spectrum: Spectrum) -> Spectrum:
    """The spectrum without lines and noise: medians over stretches much wider than a line."""
    flux = np.where(spectrum.good, spectrum.flux, np.nan).astype(np.float64)
    smooth = continuum(spectrum.loglam, flux).astype(np.float32)
    return replace(spectrum, flux=np.where(spectrum.good, smooth, spectrum.flux))
