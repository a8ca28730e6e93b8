"""Wavelength beside a picture, for people: what the ends of its rows and round numbers are at."""

from __future__ import annotations

import base64

import numpy as np
from numpy.typing import NDArray

from specvit.config.data import Grid, Render
from specvit.plot.modes import panel_count

ROUND = (100.0, 200.0, 250.0, 500.0, 1000.0, 2000.0)  # Angstrom between ticks
TICKS = 6
MOST_ROWS = 32  # that have room for a label
SHOWN_SIZE = 512  # small pictures are enlarged by whole pixels up to about this
SIDE, LINE, TEXT = 50, 18, 14  # of labels beside and below such a picture, and their letters
THIRD_COLOURS = ("#d1495b", "#2f8f4e", "#0072b2")  # red, green, blue on light and dark pages


def row_ends(render: Render, grid: Grid) -> NDArray[np.float64]:
    """Wavelengths (Angstrom) at the left and the right end of each panel, (panels, 2)."""
    edges = np.geomspace(grid.wave_min, grid.wave_max, panel_count(render) + 1)
    ends = np.stack([edges[:-1], edges[1:]], axis=1)
    if render.boustrophedon:
        ends[1::2] = ends[1::2, ::-1]
    return ends


def ticks(low: float, high: float) -> dict[float, float]:
    """Round wavelengths between two, and how far on the way, even in log, each of them is."""
    step = next((step for step in ROUND if (high - low) / step <= TICKS), ROUND[-1])
    waves = np.arange(np.ceil(low / step) * step, high, step)
    return {float(wave): float(np.log(wave / low) / np.log(high / low)) for wave in waves}


def picture_svg(png: bytes, render: Render, grid: Grid) -> str:
    """A picture with its wavelengths as one <svg>, in the fonts and colours of the page.

    Grey pictures have the class `grey`: a light page may show them dark on light.
    """
    size = render.size * max(1, SHOWN_SIZE // render.size)
    by_rows = render.mode in ("stacked", "map")
    labels = _beside(render, grid, size) if by_rows else _below(render, grid, size)
    left = SIDE if by_rows else LINE
    height = size + (0 if by_rows else LINE * (1 + panel_count(render)))
    source = base64.b64encode(png).decode("ascii")
    grey = ' class="grey"' if render.channels == 1 else ""
    name = f"A plot with its wavelengths, mode {render.mode}"
    return (
        f'<svg viewBox="{-left} 0 {size + 2 * left} {height}" role="img" aria-label="{name}" '
        f'font-size="{TEXT}">'
        f'<image{grey} href="data:image/png;base64,{source}" width="{size}" height="{size}" '
        f'style="image-rendering:pixelated"/>{labels}</svg>'
    )


def told_scales(render: Render) -> str:
    """What the numbers beside and below such a picture are, in a sentence."""
    where = {
        "line": "below",
        "overlap": "below, a scale for the third in each colour",
        "stacked": "at both ends of each row",
        "map": "at both ends of each row",
    }[render.mode]
    return f"({where}; vacuum, {render.frame} frame, Å)."


def _text(x: float, y: float, anchor: str, text: str, colour: str = "currentColor") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{text}</text>'


def _beside(render: Render, grid: Grid, size: int) -> str:
    """The wavelengths at both ends of each row; with many rows, of some."""
    ends = row_ends(render, grid)
    every = -(-len(ends) // MOST_ROWS)
    parts = []
    for row in range(0, len(ends), every):
        y = (row + 0.5) * size / len(ends) + TEXT / 3
        left, right = ends[row]
        parts += [_text(-6, y, "end", f"{left:.0f}"), _text(size + 6, y, "start", f"{right:.0f}")]
    return "".join(parts)


def _below(render: Render, grid: Grid, size: int) -> str:
    """A scale below the picture, or one for each third of `overlap`."""
    ends = row_ends(render, grid)
    colours = THIRD_COLOURS if len(ends) > 1 else ("currentColor",)
    parts = []
    for row, ((low, high), colour) in enumerate(zip(ends, colours, strict=True)):
        y = size + LINE * (row + 1)
        for wave, at in ticks(low, high).items():
            x = at * size
            parts += [
                f'<path d="M{x:.1f} {y - LINE + 1}v4" stroke="{colour}" fill="none"/>',
                _text(x, y, "middle", f"{wave:.0f}", colour),
            ]
    return "".join(parts)
