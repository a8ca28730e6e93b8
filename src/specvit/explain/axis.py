"""From the pixels and patches of a picture back to wavelength."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from specvit.config.data import Grid, Render
from specvit.plot.modes import panel_count, panel_tops

Floats = NDArray[np.float64]


def stretch_edges(render: Render, grid: Grid, z: float | None = None) -> Floats:
    """Edges of the stretches of wavelength that pixel columns show, in observed Angstrom.

    There are panels x size of them, even in log-wavelength, (stretches + 1,). `z` is the redshift
    by which a rest-frame picture was moved.
    """
    edges = np.geomspace(grid.wave_min, grid.wave_max, panel_count(render) * render.size + 1)
    return edges if render.frame == "observed" else edges * (1 + (z or 0.0))


def from_pixels(values: Floats, render: Render) -> Floats:
    """Sum pixels over each stretch: (n, channels, size, size) to (n, stretches).

    A stretch is a pixel column of a panel: of the whole picture in `line`, of a channel in
    `overlap`, of a row in `stacked` and `map` (whose channels are of the same wavelengths).
    """
    count = panel_count(render)
    if render.mode == "overlap":
        return np.asarray(values.sum(axis=2).reshape(len(values), -1))
    rows = np.add.reduceat(values.sum(axis=1), panel_tops(render)[:count], axis=1)
    if render.boustrophedon:
        rows[:, 1::2] = rows[:, 1::2, ::-1]
    return rows.reshape(len(values), -1)


def from_patches(values: Floats, render: Render) -> Floats:
    """Share what patches have among their pixels, then sum: (n, rows, columns) to (n, stretches).

    A patch of `overlap` shows three stretches of wavelength at once, and cannot tell them apart.
    """
    height, width = (render.size // count for count in values.shape[1:])
    pixels = values.repeat(height, axis=1).repeat(width, axis=2) / (height * width)
    channels = panel_count(render) if render.mode == "overlap" else 1
    return from_pixels(np.repeat(pixels[:, None], channels, axis=1) / channels, render)
