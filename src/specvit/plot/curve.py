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

STEPS = 64  # vertical antialiasing in 64ths of a pixel

Shape = tuple[int, int]
Interval = tuple[NDArray[np.float64], NDArray[np.float64]]


def stroke_intervals(
    x: NDArray[np.float64], y: NDArray[np.float64], columns: int
) -> tuple[Interval, Interval]:
    """Lowest and highest y in each sub-column of the polyline's rising and of its falling parts.

    `x` rises, in pixel columns (0 is the left edge of column 0); `y` is nan where there is no
    data: no segment leads to or from such a point, and a lone point between two of them draws
    nothing. Shapes (N,); each array of the result has shape (columns * SUBCOLUMNS,), inf (lowest)
    and -inf (highest) where there is nothing.
    """
    count = columns * SUBCOLUMNS
    y, cell = _cut_at_edges(x * SUBCOLUMNS, y, count)
    step = np.diff(y)
    inside = (cell >= 0) & (cell < count)
    up, down = inside[:-1] & (step >= 0), inside[:-1] & (step < 0)
    rising = _extent(cell[:-1][up], y[:-1][up], y[1:][up], count)
    falling = _extent(cell[:-1][down], y[1:][down], y[:-1][down], count)
    return rising, falling


def _cut_at_edges(
    x: NDArray[np.float64], y: NDArray[np.float64], count: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Put a point wherever the polyline crosses an integer x; return y and floor(x) of all points.

    Where the crossing is within a gap or outside the polyline, y of the point is nan.
    """
    cell = np.clip(np.floor(x), -1, count).astype(np.int64)
    edges = np.arange(count + 1)
    after = np.cumsum(np.bincount(cell + 1, minlength=count + 2))[: count + 1]
    inside = (after > 0) & (after < len(x))
    right = np.clip(after, min(1, len(x) - 1), len(x) - 1)
    left = np.maximum(right - 1, 0)
    run = x[right] - x[left]
    share = np.divide(edges - x[left], run, out=np.zeros(count + 1), where=run > 0)
    # Of points and edges in one order, a point comes behind the edges at or left of it.
    total = len(x) + count + 1
    place, edge_place = np.arange(len(x)) + cell + 1, edges + after
    cut_y, cut_cell = np.empty(total), np.empty(total, np.int64)
    cut_y[place], cut_cell[place] = y, cell
    cut_y[edge_place] = np.where(inside, y[left] + share * (y[right] - y[left]), np.nan)
    cut_cell[edge_place] = edges
    return cut_y, cut_cell


def _extent(
    cell: NDArray[np.int64], low: NDArray[np.float64], high: NDArray[np.float64], count: int
) -> Interval:
    """Smallest `low` and largest `high` of each cell; `cell` rises."""
    lowest, highest = np.full(count, np.inf), np.full(count, -np.inf)
    if len(cell):
        starts = np.flatnonzero(np.diff(cell, prepend=-1))
        found = cell[starts]
        lowest[found] = np.minimum.reduceat(low, starts)
        highest[found] = np.maximum.reduceat(high, starts)
    return lowest, highest


def thicken(low: NDArray[np.float64], high: NDArray[np.float64], width: float) -> Interval:
    """Intervals of the stroke: the curve widened by a disc whose diameter is the line width."""
    radius = width / 2
    # The stroke of a vertical line is 2 reach + 1 sub-columns wide: as near to `width` as can be.
    reach = round((width * SUBCOLUMNS - 1) / 2)
    thick_low, thick_high = low - radius, high + radius
    for step in range(1, reach + 1):
        half = np.sqrt(max(radius**2 - (step / SUBCOLUMNS) ** 2, 0))
        for here, there in ((slice(step, None), slice(-step)), (slice(-step), slice(step, None))):
            np.minimum(thick_low[here], low[there] - half, out=thick_low[here])
            np.maximum(thick_high[here], high[there] + half, out=thick_high[here])
    return thick_low, thick_high


def cover(
    strokes: list[Interval], tops: NDArray[np.int64], lines: NDArray[np.int64], shape: Shape
) -> NDArray[np.uint8]:
    """Grey of each pixel, 0..255: how much of it the strokes cover, added up and cut at all of it.

    `shape` is (lines, pixels): pixel columns of the picture, each stored as one line. Each stroke
    has one interval for each sub-column, which belongs to line `lines` and is moved down by `tops`
    (all of shape (M,)). An empty interval (low >= high) covers nothing. Intervals must be within
    the picture.
    """
    length = shape[1] + 2  # an interval may end at the lower edge: its last change is below
    change = np.zeros(shape[0] * length, np.int32)
    for low, high in strokes:
        some = low < high
        start_of_line, top = lines[some] * length, tops[some]
        for edge, sign in ((low, 1), (high, -1)):
            # In whole 64ths of a pixel: sums of integers are the same on every machine.
            place = np.rint((edge[some] + top) * STEPS).astype(np.int64)
            start, part = start_of_line + place // STEPS, (place % STEPS).astype(np.int32)
            # Down a line, coverage changes by 1 at an edge, shared by the two pixels next to it.
            np.add.at(change, start, sign * (STEPS - part))
            np.add.at(change, start + 1, sign * part)
    ink = np.cumsum(change.reshape(shape[0], length), axis=1, dtype=np.int32)
    grey = cv2.convertScaleAbs(ink[:, : shape[1]], alpha=255 / (STEPS * SUBCOLUMNS))
    return np.asarray(grey, dtype=np.uint8)
