"""Eigen-templates of a class in the rest frame, from spectra that each cover a part of it.

Low-rank least squares with missing data, alternating between coefficients and templates (the
noise-weighted EM of Bailey 2012, PASP 124, 1015, with weights of 0 and 1).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ITERATIONS = 20
RIDGE = 1e-3
"""Weight of a template value of 0, in spectra: keeps pixels that few spectra cover finite."""

Array = NDArray[np.float64]


def to_rest_frame(flux: Array, shift: Array, first: int, length: int) -> Array:
    """Move spectra (n, pixels) by their redshift onto the rest grid: (n, length), nan outside.

    `shift` (n,) is ln(1+z) in pixels; cell m of the result is at observed pixel m - first + shift,
    between two pixels by linear interpolation.
    """
    n, pixels = flux.shape
    rest = np.full((n, length), np.nan, dtype=flux.dtype)
    cell = np.arange(length)
    for row in range(n):
        place = cell - first + shift[row]
        inside = (place >= 0) & (place <= pixels - 1)
        rest[row, inside] = np.interp(place[inside], np.arange(pixels), flux[row])
    return rest


def eigen_templates(rest: Array, count: int, seed: int) -> Array:
    """Orthonormal templates (count, length) of rest-frame spectra (n, length) with nan for gaps."""
    known = np.isfinite(rest)
    data = np.where(known, rest, 0.0)
    mask = known.astype(data.dtype)
    rng = np.random.default_rng(seed)
    templates = rng.standard_normal((count, rest.shape[1]))
    templates[0] = data.sum(axis=0) / np.maximum(mask.sum(axis=0), 1)
    templates = _orthonormal(templates)
    for _ in range(ITERATIONS):
        coefficients = _solve(mask, data, templates, 1e-6)
        templates = _orthonormal(_solve(mask.T, data.T, coefficients.T, RIDGE).T)
    return templates


def _solve(mask: Array, data: Array, basis: Array, ridge: float) -> Array:
    """Least squares of each row of data (n, m) by the basis (k, m) over its mask: (n, k)."""
    k = len(basis)
    products = (basis[:, None] * basis[None]).reshape(k * k, -1)
    normal = (mask @ products.T).reshape(-1, k, k) + ridge * np.eye(k)
    solution = np.linalg.solve(normal, (data @ basis.T)[..., None])
    return np.asarray(solution[..., 0], np.float64)


def _orthonormal(templates: Array) -> Array:
    q, r = np.linalg.qr(templates.T)
    return np.ascontiguousarray((q * np.sign(np.diag(r))).T)
