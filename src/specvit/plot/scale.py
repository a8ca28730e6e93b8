"""Flux to a robust scale from 0 (bottom, dark) to 1 (top, bright) that no outlier can bend."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from specvit.config.data import Render

RANKS = (0.5, 99.5)
"""Percentiles of good flux at the bottom and the top of the scale: the 40 pixels of a spectrum that
lie outside are what cosmic rays and the noise at the ends leave."""

# asinh: between the percentiles the scale is nearly linear (slope falls to a third at them), and
# this many times their half range still fits into the picture, so strong lines keep their height.
ASINH_SOFTENING = 3.0
ASINH_REACH = 10.0

# continuum: medians over stretches much wider than a broad emission line (7 x 0.016 in log10 of
# wavelength, some 80,000 km/s altogether), so that dividing by it leaves the lines.
CONTINUUM_STEP = 0.016
CONTINUUM_SMOOTH = 7
CONTINUUM_FLOOR = 0.1  # of the median level: where the continuum is noise, noise stays small


def percentiles(values: NDArray[np.floating], ranks: tuple[float, float]) -> tuple[float, float]:
    """Two percentiles of the values that are not nan, with linear interpolation.

    numpy's own rule (its nanpercentile), in a tenth of its time. There must be a value.
    """
    count = len(values) - int(np.count_nonzero(np.isnan(values)))
    places = [rank / 100 * (count - 1) for rank in ranks]
    below = [int(place) for place in places]
    above = [min(index + 1, count - 1) for index in below]
    ordered = np.partition(values, sorted({*below, *above}))  # nan is sorted to the end
    low, high = (
        float(ordered[a]) + (place - a) * (float(ordered[b]) - float(ordered[a]))
        for place, a, b in zip(places, below, above, strict=True)
    )
    return low, high


def to_unit(
    loglam: NDArray[np.float64], flux: NDArray[np.float64], render: Render
) -> NDArray[np.float64]:
    """Scale flux to 0..1, clipped; the scale is set by the values that are not nan.

    `loglam` and `flux` have shape (N,), flux is nan where there is no data and has data somewhere.
    A flux without range (constant, or a single pixel) is drawn in the middle. Multiplying flux by
    a positive number changes nothing.
    """
    if render.scale == "continuum":
        flux = flux / continuum(loglam, flux)
    low, high = percentiles(flux, RANKS)
    if not high > low:
        return np.where(np.isnan(flux), np.nan, 0.5)
    if render.scale == "asinh":
        half = (high - low) / 2
        reach = np.arcsinh((flux - low - half) / half * ASINH_SOFTENING)
        unit = 0.5 + 0.5 * reach / np.arcsinh(ASINH_REACH * ASINH_SOFTENING)
    else:
        unit = (flux - low) / (high - low)
    np.maximum(unit, 0, out=unit)
    np.minimum(unit, 1, out=unit)
    return np.asarray(unit)


def continuum(loglam: NDArray[np.float64], flux: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smooth level of a spectrum, shape (N,), positive: medians of medians, interpolated.

    Flux is nan where there is no data. The level never falls below a tenth of the median of its
    absolute values.
    """
    stretch = ((loglam - loglam[0]) / CONTINUUM_STEP).astype(int)
    starts = np.flatnonzero(np.diff(stretch, prepend=-1))
    with np.errstate(invalid="ignore"):
        levels = np.array([_median(part) for part in np.split(flux, starts[1:])])
    centres = loglam[0] + (stretch[starts] + 0.5) * CONTINUUM_STEP
    known = ~np.isnan(levels)
    levels, centres = levels[known], centres[known]
    smooth = np.empty(len(levels))
    for i in range(len(levels)):
        # Towards the ends the window shrinks on both sides: one-sided, it would be off on a slope.
        reach = min(CONTINUUM_SMOOTH // 2, i, len(levels) - 1 - i)
        smooth[i] = _median(levels[i - reach : i + reach + 1])
    floor = CONTINUUM_FLOOR * _median(np.abs(levels))
    level = np.interp(loglam, centres, smooth)
    # No level at all (flux is noise about zero): dividing by anything constant changes nothing.
    return np.asarray(np.maximum(level, floor if floor > 0 else 1.0))


def _median(values: NDArray[np.float64]) -> float:
    """Median of the values that are not nan, or nan; np.nanmedian takes ten times as long."""
    values = values[~np.isnan(values)]
    if len(values) == 0:
        return np.nan
    middle = len(values) // 2
    if len(values) % 2:
        return float(np.partition(values, middle)[middle])
    ordered = np.partition(values, (middle - 1, middle))
    return float(ordered[middle - 1] + ordered[middle]) / 2
