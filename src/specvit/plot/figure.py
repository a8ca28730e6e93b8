"""A picture with axes, for people: the same pixels, with wavelengths beside them."""

from __future__ import annotations

from pathlib import Path

from specvit.config.data import Grid, Render
from specvit.io import atomic_path
from specvit.plot.axes import row_ends, ticks
from specvit.plot.modes import Picture, panel_tops


def write_figure(path: Path, picture: Picture, render: Render, grid: Grid, title: str) -> None:
    """Write a PNG of the picture with a wavelength axis; rows are labelled by where they begin."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 6.0), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    size = render.size
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255, extent=(0, size, size, 0))
    axes.set_title(title, fontsize=10)
    ends = row_ends(render, grid)
    if render.mode == "line":
        at = ticks(*ends[0])
        axes.set_xticks([size * place for place in at.values()])
        axes.set_xticklabels([f"{wave:g}" for wave in at])
        axes.set_xlabel(f"vacuum wavelength, {render.frame} frame [Å]")
        axes.set_yticks([])
    elif render.mode == "overlap":
        names = ("red", "green", "blue")
        parts = [f"{n} {a:.0f}-{b:.0f}" for n, (a, b) in zip(names, ends, strict=True)]
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_xlabel(f"vacuum wavelength, {render.frame} frame [Å]: {', '.join(parts)}")
    else:
        every = -(-render.rows // 16)
        axes.set_xticks([])
        axes.set_yticks(panel_tops(render)[::every])
        axes.set_yticklabels([f"{wave:.0f}" for wave in ends[::every, 0]])
        axes.set_ylabel(f"vacuum wavelength at the row's first column, {render.frame} frame [Å]")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
