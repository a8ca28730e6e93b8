"""Bootstrap by object: repeat spectra of one object are drawn together or not at all.

Resampling spectra instead would count repeats as independent and give intervals that are too
narrow. All models are scored on the same draws, so that differences are paired.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Elements of one batch of draws: bounds memory to about 1 GB whatever the number of spectra.
BATCH_ELEMENTS = 16_000_000


def object_draws(n_objects: int, samples: int, seed: int) -> Iterator[Floats]:
    """Yield batches, shape (b, n_objects), of how often each object is drawn; `samples` rows.

    Each row is one bootstrap sample: n_objects draws with replacement (Efron & Tibshirani 1993,
    An Introduction to the Bootstrap, ch. 6).
    """
    generator = np.random.default_rng(seed)
    size = max(1, min(samples, BATCH_ELEMENTS // max(n_objects, 1)))
    for start in range(0, samples, size):
        batch = min(size, samples - start)
        drawn = generator.integers(0, n_objects, (batch, n_objects))
        drawn += np.arange(batch)[:, None] * n_objects
        counts = np.bincount(drawn.ravel(), minlength=batch * n_objects)
        yield counts.reshape(batch, n_objects).astype(float)


def interval(samples: Floats) -> tuple[float, float]:
    """95 % percentile interval of bootstrap values; nan where a tenth of them is undefined.

    A small group is missing from some draws; an interval of the rest would look too certain.
    """
    kept = samples[np.isfinite(samples)]
    if len(kept) < 0.9 * len(samples) or len(kept) == 0:
        return float("nan"), float("nan")
    low, high = np.percentile(kept, (2.5, 97.5))
    return float(low), float(high)


def weighted_mad(values: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Median and median absolute deviation from it, under whole-number weights.

    As if each of `values` (n,), rising, were written `weight` times; `weights` (b, n). Both (b,),
    nan where all weights are 0. An even number of values gives the mean of the middle two, as
    numpy.median does.

    The deviations need no second sort: how many lie within r of the median is a difference of
    two cumulative weights, and r is found by bisection to the last bit.
    """
    cumulative = _cumulative(weights)
    middle = _median(values, cumulative)
    if len(values) == 0:
        return middle, middle
    total = cumulative[:, -1]
    centre = np.where(total > 0, middle, 0.0)
    lower = _radius(values, cumulative, centre, np.ceil(total / 2))
    upper = _radius(values, cumulative, centre, np.floor(total / 2) + 1)
    return middle, np.where(total > 0, (lower + upper) / 2, np.nan)


def _cumulative(weights: Floats) -> Floats:
    """Weight of the first k values in column k, from 0 to all: shape (b, n + 1)."""
    cumulative = np.zeros((weights.shape[0], weights.shape[1] + 1))
    np.cumsum(weights, axis=1, out=cumulative[:, 1:])
    return cumulative


def _median(values: Floats, cumulative: Floats) -> Floats:
    if len(values) == 0:
        return np.full(len(cumulative), np.nan)
    total = cumulative[:, -1]
    lower = values[_at_rank(cumulative, np.ceil(total / 2))]
    upper = values[_at_rank(cumulative, np.floor(total / 2) + 1)]
    return np.where(total > 0, (lower + upper) / 2, np.nan)


def _at_rank(cumulative: Floats, rank: Floats) -> NDArray[np.int64]:
    """Index, per row, of the value at which the cumulative weight reaches `rank`."""
    last = cumulative.shape[1] - 2
    places = [np.searchsorted(row, r) - 1 for row, r in zip(cumulative, rank, strict=True)]
    return np.clip(np.array(places, dtype=np.int64), 0, last)


def _radius(values: Floats, cumulative: Floats, centre: Floats, rank: Floats) -> Floats:
    """Smallest r such that at least `rank` of the weight lies within r of the centre."""
    rows = np.arange(len(cumulative))
    # Past the farthest value, so that the search always has an end that holds the rank.
    high = np.maximum(np.abs(values[0] - centre), np.abs(values[-1] - centre)) * (1 + 1e-12)
    low = np.full_like(high, -1.0)
    for _ in range(64):
        middle = (low + high) / 2
        right = np.searchsorted(values, centre + middle, side="right")
        left = np.searchsorted(values, centre - middle, side="left")
        inside = cumulative[rows, right] - cumulative[rows, np.minimum(left, right)]
        enough = inside >= rank
        high, low = np.where(enough, middle, high), np.where(enough, low, middle)
    found: Floats = np.maximum(high, 0.0)
    return found
