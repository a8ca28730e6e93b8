"""The four kinds of picture, all over the same fixed log-wavelength axis.

Bright on black: 0 is "no light", so gaps and background are the same nothing, and the three thirds
of `overlap` stay apart in their channels where curves cross (on white they would hide each other).
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from specvit.config.data import Grid, Render
from specvit.plot.curve import SUBCOLUMNS, cover, stroke_intervals, thicken
from specvit.plot.scale import RANKS, percentiles, to_unit
from specvit.spectrum.grid import bin_centres, bin_edges, rebin

THIRDS = 3
# A step this many times as long as the shorter of the steps beside it has missing pixels in it.
GAP = 1.5
# `map`: data starts at this grey, so that faint flux and no data (black) differ.
DARKEST = 40

Picture = NDArray[np.uint8]


def curve_picture(
    loglam: NDArray[np.float64], flux: NDArray[np.float64], render: Render, grid: Grid
) -> Picture:
    """Modes `line`, `overlap` and `stacked`: one curve, cut into panels.

    `flux` is nan where there is no data. Returns (size, size), or (size, size, 3) for `overlap`.
    """
    size = render.size
    panels = panel_count(render)
    x, y = polyline(loglam, flux, render, grid)
    low, high = thicken(*stroke_intervals(x, y, panels * size), render.line_width)
    low, high = np.maximum(low, 0), np.minimum(high, panel_height(render))
    tops, lines = _places(render)
    if render.mode == "overlap":
        grey = cover(low, high, tops, lines, (panels * size, size))
        # Four times as fast as np.stack of transposed views.
        return np.asarray(cv2.merge([cv2.transpose(third) for third in np.split(grey, panels)]))
    grey = cover(low, high, tops, lines, (size, size))
    return np.asarray(cv2.transpose(grey), dtype=np.uint8)


@lru_cache(maxsize=32)
def _places(render: Render) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First pixel row and pixel column of each sub-column of all panels, side by side.

    Columns of `overlap` are numbered on from channel to channel.
    """
    columns = np.arange(panel_count(render) * render.size * SUBCOLUMNS) // SUBCOLUMNS
    if render.mode == "overlap":
        return np.zeros_like(columns), columns
    panel, column = np.divmod(columns, render.size)
    return panel_tops(render)[panel], column


def panel_height(render: Render) -> int:
    """Pixel rows that a curve has to itself."""
    return render.size // render.rows if render.mode == "stacked" else render.size


def panel_count(render: Render) -> int:
    """Stretches of wavelength that the range is cut into."""
    return {"line": 1, "overlap": THIRDS}.get(render.mode, render.rows)


def panel_tops(render: Render) -> NDArray[np.int64]:
    """Pixel row at the top of each panel of `stacked` and `map`, shape (rows,)."""
    if render.mode == "line":
        return np.zeros(1, np.int64)
    return np.arange(render.rows) * render.size // render.rows


def polyline(
    loglam: NDArray[np.float64], flux: NDArray[np.float64], render: Render, grid: Grid
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The curve in pixels over all panels side by side: x to the right, y downwards.

    The curve stays whole inside its panel: half a line width is left above and below. Where
    wavelengths are missing from the arrays a nan is put between, so that no line leads across.
    """
    columns = panel_count(render) * render.size
    height = panel_height(render)
    start, end = np.log10(grid.wave_min), np.log10(grid.wave_max)
    x = (loglam - start) / (end - start) * columns
    margin = min(render.line_width, height / 2) / 2
    y = margin + (1 - to_unit(loglam, flux, render)) * (height - 2 * margin)
    return _break_gaps(x, y)


def _break_gaps(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    step = x[1:] - x[:-1]
    if len(step) == 0 or step.max() < GAP * step.min():
        return x, y
    before, after = np.append(step[0], step[:-1]), np.append(step[1:], step[-1])
    behind = np.flatnonzero(step >= GAP * np.minimum(before, after)) + 1
    return np.insert(x, behind, (x[behind - 1] + x[behind]) / 2), np.insert(y, behind, np.nan)


def map_picture(
    loglam: NDArray[np.float64], flux: NDArray[np.float64], render: Render, grid: Grid
) -> Picture:
    """Mode `map`: rows of wavelength bins, flux as brightness, derivatives in further channels.

    Returns (size, size), or (size, size, 3) with derivatives: red is flux, green its first and
    blue its second derivative in log-wavelength (dark where not asked for).
    """
    rows, size = render.rows, render.size
    good = ~np.isnan(flux)
    edges = bin_edges(grid, rows * size)
    binned = rebin(loglam, flux, good, edges)
    if np.isnan(binned).all():
        return np.zeros((size, size), np.uint8)
    centres = bin_centres(grid, rows * size)
    channels = [to_unit(centres, binned, render)]
    slope = binned
    for _ in range(render.derivatives):
        slope = np.gradient(slope)
        channels.append(_signed_unit(slope))
    grey = np.zeros((rows, size, render.channels))
    for index, unit in enumerate(channels):
        grey[..., index] = np.where(
            np.isnan(unit), 0, (DARKEST + unit * (255 - DARKEST)) / 255
        ).reshape(rows, size)
    if render.boustrophedon:
        grey[1::2] = grey[1::2, ::-1]
    heights = np.diff(np.append(panel_tops(render), size))
    picture = np.repeat(_to_bytes(grey), heights, axis=0)
    return picture if render.channels == 3 else picture[..., 0]


def _signed_unit(slope: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale to 0..1 with no slope in the middle."""
    if np.isnan(slope).all():
        return slope
    largest = max(abs(limit) for limit in percentiles(slope, RANKS))
    if largest == 0:
        return np.where(np.isnan(slope), np.nan, 0.5)
    return np.clip(0.5 + 0.5 * slope / largest, 0, 1)


def _to_bytes(grey: NDArray[np.float64]) -> Picture:
    return (grey * 255 + 0.5).astype(np.uint8)
