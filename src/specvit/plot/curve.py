"""A curve as grey pixels: how much of each pixel a stroke with round joins covers.

A spectrum has one flux at each wavelength, so its stroke meets a vertical line in one interval.
That makes antialiasing simple: cut each pixel column into narrow sub-columns, find the interval of
each, and average. Rising and falling strokes are laid down one after the other and their ink adds
up, as with Agg (matplotlib), so that a noise peak of two strokes is darker than one of a half.
The cost does not depend on noise, any line width works, and all machines give the same bytes.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

# Sub-columns a pixel, for antialiasing sideways. Odd, so that a vertical stroke one pixel wide is a
# whole number of them: three agree with Agg better than four do.
SUBCOLUMNS = 3
STEP_BITS = 6  # vertical antialiasing in 64ths of a pixel
STEPS = 1 << STEP_BITS

Shape = tuple[int, int]
Intervals = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Lowest and highest y in each sub-column, shapes (2, sub-columns): rising and falling parts of a
curve; inf and -inf where there is nothing."""


def stroke_intervals(x: NDArray[np.float64], y: NDArray[np.float64], columns: int) -> Intervals:
    """Find where a polyline is in each sub-column.

    `x` rises, in pixel columns (0 is the left edge of column 0); `y` is nan where there is no
    data: no segment leads to or from such a point, and a lone point between two of them draws
    nothing. Shapes (N,).
    """
    y, edges = _cut_at_edges(x * SUBCOLUMNS, y, columns * SUBCOLUMNS)
    first, last = edges[0], edges[-1]
    start, end = y[first:last], y[first + 1 : last + 1]  # of each segment between the edges
    rising, falling = end >= start, end < start  # neither where one end is nan
    cells = edges[:-1] - first
    low, high = np.empty((2, len(cells))), np.empty((2, len(cells)))
    for row, (these, below, above) in enumerate(((rising, start, end), (falling, end, start))):
        np.minimum.reduceat(np.where(these, below, np.inf), cells, out=low[row])
        np.maximum.reduceat(np.where(these, above, -np.inf), cells, out=high[row])
    return low, high


def _cut_at_edges(
    x: NDArray[np.float64], y: NDArray[np.float64], count: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Put a point wherever a polyline crosses x = 0, 1, ..., count.

    Returns y of all points in order, and the places of the `count` + 1 new ones among them. Where
    a crossing is within a gap or outside the polyline, its y is nan.
    """
    cell = np.clip(np.floor(x), -1, count).astype(np.int64)
    edges = np.arange(count + 1)
    before = np.cumsum(np.bincount(cell + 1, minlength=count + 2))[: count + 1]  # points left of it
    inside = (before > 0) & (before < len(x))
    right = np.clip(before, min(1, len(x) - 1), len(x) - 1)
    left = np.maximum(right - 1, 0)
    run = x[right] - x[left]
    share = np.divide(edges - x[left], run, out=np.zeros(count + 1), where=run > 0)
    places = edges + before
    cut = np.empty(len(x) + count + 1)
    cut[np.arange(len(x)) + cell + 1] = y  # a point comes behind the edges at or left of it
    cut[places] = np.where(inside, y[left] + share * (y[right] - y[left]), np.nan)
    return cut, places


def thicken(low: NDArray[np.float64], high: NDArray[np.float64], width: float) -> Intervals:
    """Intervals of the stroke: the curve widened by a disc whose diameter is the line width."""
    radius = width / 2
    # The stroke of a vertical line is 2 reach + 1 sub-columns wide: as near to `width` as can be.
    reach = round((width * SUBCOLUMNS - 1) / 2)
    thick_low, thick_high = low - radius, high + radius
    for step in range(1, reach + 1):
        half = np.sqrt(max(radius**2 - (step / SUBCOLUMNS) ** 2, 0))
        lower, higher = low - half, high + half
        for here, there in ((slice(step, None), slice(-step)), (slice(-step), slice(step, None))):
            np.minimum(thick_low[:, here], lower[:, there], out=thick_low[:, here])
            np.maximum(thick_high[:, here], higher[:, there], out=thick_high[:, here])
    return thick_low, thick_high


def cover(
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    tops: NDArray[np.int64],
    lines: NDArray[np.int64],
    shape: Shape,
) -> NDArray[np.uint8]:
    """Grey of each pixel, 0..255: how much of it the strokes cover, added up and cut at all of it.

    `shape` is (lines, pixels): pixel columns of the picture, each stored as one line. `low` and
    `high` are `Intervals`; each sub-column belongs to line `lines` and is moved down by `tops`
    (both of shape (sub-columns,)). An empty interval (low >= high) covers nothing. Intervals must
    be within the picture.
    """
    length = shape[1] + 2  # an interval may end at the lower edge: its last change is below
    stroke, column = np.nonzero(low < high)
    shift = tops[column]
    ends = np.concatenate([low[stroke, column] + shift, high[stroke, column] + shift])
    # In whole 64ths of a pixel: sums of integers are the same on every machine.
    place = np.rint(ends * STEPS).astype(np.int64)
    start = np.tile(lines[column] * length, 2) + (place >> STEP_BITS)
    part = (place & (STEPS - 1)).astype(np.int32)
    # Down a line, coverage changes by 1 at an end, shared by the two pixels next to it.
    sign = np.repeat(np.array([1, -1], np.int32), len(column))
    change = np.zeros(shape[0] * length, np.int32)
    np.add.at(change, start, sign * (STEPS - part))
    np.add.at(change, start + 1, sign * part)
    ink = np.cumsum(change.reshape(shape[0], length), axis=1, dtype=np.int32)
    grey = cv2.convertScaleAbs(ink[:, : shape[1]], alpha=255 / (STEPS * SUBCOLUMNS))
    return np.asarray(grey, dtype=np.uint8)
