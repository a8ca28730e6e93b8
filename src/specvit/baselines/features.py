"""From flux to features: gaps filled, scale removed, standardised, and principal components.

What needs no fit is done to each spectrum alone: gaps are filled by linear interpolation (the
nearest good pixel at the ends, zero where nothing is good), flux is divided by its median absolute
value, so that the brightness says nothing, and asinh keeps strong lines from outweighing the rest.
What is fitted (mean and scale of each pixel, principal components) sees the train split alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specvit.logs import progress

BATCH = 4096  # spectra turned into float32 at a time: bounds the memory of a pass
MAX_PCA_ROWS = 100_000
"""Of a larger train split a sample decides the components (1.5 GB at 3840 pixels)."""

FILLING = "gaps filled by linear interpolation, ends by the nearest good pixel"
SCALING = "asinh(flux / median |flux|) of each spectrum"

Array = NDArray[np.float32]


def fill_gaps(flux: NDArray[Any]) -> Array:
    """Float32 copy of flux (n, pixels) without nan; a row without any data becomes zeros."""
    filled = np.array(flux, dtype=np.float32)
    pixel = np.arange(filled.shape[1])
    bad = ~np.isfinite(filled)
    for row in np.flatnonzero(bad.any(axis=1)):
        gaps = bad[row]
        values = filled[row, ~gaps]
        filled[row, gaps] = np.interp(pixel[gaps], pixel[~gaps], values) if len(values) else 0
    return filled


def unit_scale(filled: Array) -> Array:
    """Divide each row by its median absolute flux (by 1 where that is 0)."""
    scale = np.median(np.abs(filled), axis=1, keepdims=True)
    return np.divide(filled, np.where(scale > 0, scale, 1), dtype=np.float32)


def normalise(flux: NDArray[Any]) -> Array:
    """Fill gaps and remove scale, each spectrum alone: (n, pixels) float32."""
    return np.arcsinh(unit_scale(fill_gaps(flux)))


def batches(n: int, size: int = BATCH) -> Iterator[slice]:
    """Slices that cover n rows."""
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


def fit_scaler(flux: NDArray[Any]) -> Any:
    """Mean and standard deviation of each pixel of train flux (n, pixels): a StandardScaler."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler(copy=False)
    with progress("scaler", len(flux)) as tick:
        for part in batches(len(flux)):
            scaler.partial_fit(normalise(flux[part]))
            tick.advance(part.stop - part.start)
    return scaler


def fit_features(flux: NDArray[Any], components: int, seed: int) -> dict[str, Any]:
    """Fit scaler and PCA on train flux (n, pixels): {"scaler": ..., "pca": ...}.

    Memory is one float32 copy of at most MAX_PCA_ROWS spectra and scikit-learn's own temporary.
    There are never more components than spectra or pixels.
    """
    from sklearn.decomposition import PCA

    n, pixels = flux.shape
    scaler = fit_scaler(flux)
    rows = np.arange(n)
    if n > MAX_PCA_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(n, MAX_PCA_ROWS, replace=False))
    scaled = np.empty((len(rows), pixels), dtype=np.float32)
    for part in batches(len(rows)):
        scaled[part] = scaler.transform(normalise(flux[rows[part]]))
    pca = PCA(
        min(components, len(rows), pixels), copy=False, svd_solver="randomized", random_state=seed
    )
    with progress("principal components", pca.n_components, "components") as tick:
        pca.fit(scaled)
        tick.advance(pca.n_components)
    # As they are laid out once loaded again: products of both are then equal to the last bit.
    pca.components_ = np.ascontiguousarray(pca.components_)
    return {"scaler": scaler, "pca": pca}


def transform(features: dict[str, Any], flux: NDArray[Any]) -> Array:
    """Principal components (n, components) of flux (n, pixels)."""
    scaler, pca = features["scaler"], features["pca"]
    out = np.empty((len(flux), pca.n_components_), dtype=np.float32)
    for part in batches(len(flux)):
        out[part] = pca.transform(scaler.transform(normalise(flux[part])))
    return out
