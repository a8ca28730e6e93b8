"""The picture against matplotlib's Agg on the same axes, and against golden pictures."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from skimage.metrics import structural_similarity

from spectrum_files import galaxy_flux, spectrum_of
from specvit.config.data import Grid, Render
from specvit.errors import SpectrumError
from specvit.plot import draw
from specvit.plot.draw import visible
from specvit.plot.modes import panel_height, polyline
from specvit.spectrum import Spectrum
from specvit.surveys.read import read_spectrum

GRID = Grid()
GOLDEN = Path(__file__).parent / "golden"
GOLDEN_RENDERS = {
    "line": Render(mode="line", size=96),
    "line-wide-asinh": Render(mode="line", size=96, line_width=2.5, scale="asinh"),
    "overlap": Render(mode="overlap", size=96),
    "stacked": Render(mode="stacked", size=96, rows=6),
    "stacked-continuum": Render(mode="stacked", size=64, rows=8, scale="continuum"),
    "map": Render(mode="map", size=64, rows=16),
    "map-turned-derivatives": Render(
        mode="map", size=64, rows=16, boustrophedon=True, derivatives=2
    ),
}


class Agg:
    """Draws polylines with matplotlib, white on black, pixel for pixel, without simplifying."""

    def __init__(self, width: int, height: int, line_width: float = 1.0) -> None:
        self._figure = Figure(figsize=(width / 100, height / 100), dpi=100, facecolor="black")
        self._canvas = FigureCanvasAgg(self._figure)
        axes = self._figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set(xlim=(0, width), ylim=(height, 0))
        style = {"solid_joinstyle": "round", "solid_capstyle": "round"}
        (self._line,) = axes.plot([], [], "w", lw=line_width * 0.72, **style)

    def __call__(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        self._line.set_data(x, y)
        with mpl.rc_context({"path.simplify": False}):
            self._canvas.draw()
        return np.asarray(self._canvas.buffer_rgba())[..., 0].copy()


def compare(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float]:
    """Mean absolute difference as a share of full scale, and structural similarity."""
    difference = np.abs(ours.astype(float) - theirs).mean() / 255
    return float(difference), float(structural_similarity(ours, theirs))


@pytest.fixture(scope="module")
def spectra(real_spectra: Path, real_index: list[dict[str, str]]) -> dict[str, Spectrum]:
    found = {}
    for row in real_index:
        try:
            found[row["file"]] = read_spectrum((real_spectra / row["file"]).read_bytes())
        except SpectrumError:
            continue
    assert len(found) == 342
    return found


@pytest.mark.parametrize(
    ("size", "line_width", "every"), [(224, 1.0, 1), (64, 1.0, 5), (224, 2.5, 5)]
)
def test_line_is_what_agg_draws(
    spectra: dict[str, Spectrum], size: int, line_width: float, every: int
) -> None:
    render = Render(mode="line", size=size, line_width=line_width)
    agg = Agg(size, size, line_width)
    for name, spectrum in list(spectra.items())[::every]:
        x, y = polyline(*visible(spectrum, render, GRID, None), render, GRID)
        difference, similarity = compare(draw(spectrum, render, GRID), agg(x, y))
        assert difference < 0.04, name
        assert similarity > 0.9, name


def test_stacked_and_overlap_are_pieces_of_what_agg_draws(spectra: dict[str, Spectrum]) -> None:
    for mode, panels in (("stacked", 7), ("overlap", 3)):
        render = Render(mode=mode)
        height = panel_height(render)
        agg = Agg(224, height)
        for name, spectrum in list(spectra.items())[::20]:
            x, y = polyline(*visible(spectrum, render, GRID, None), render, GRID)
            pieces = [agg(x - 224 * panel, y) for panel in range(panels)]
            theirs = np.concatenate(pieces) if mode == "stacked" else np.stack(pieces, axis=-1)
            ours = draw(spectrum, render, GRID)
            for channel in range(render.channels):
                one, other = (np.atleast_3d(p)[..., channel] for p in (ours, theirs))
                difference, similarity = compare(one, other)
                assert difference < 0.04, (mode, name)
                assert similarity > 0.9, (mode, name)


def _golden_spectrum() -> Spectrum:
    good = np.ones(3840, bool)
    good[1500:1560] = False
    return spectrum_of(galaxy_flux(z=0.15, noise=0.05), good=good)


@pytest.mark.parametrize("name", GOLDEN_RENDERS)
def test_golden_pictures(name: str) -> None:
    """Set SPECVIT_GOLDEN=1 to draw them anew, and look at each before it is committed."""
    picture = draw(_golden_spectrum(), GOLDEN_RENDERS[name], GRID)
    path = GOLDEN / f"{name}.png"
    shown: Callable[[np.ndarray], np.ndarray] = lambda p: p[..., ::-1] if p.ndim == 3 else p  # noqa: E731
    if os.environ.get("SPECVIT_GOLDEN") == "1":
        cv2.imwrite(str(path), shown(picture))
    golden = shown(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
    assert picture.shape == golden.shape
    # Another processor's sine may differ in the last bit, and a pixel by a grey level with it.
    assert (np.abs(picture.astype(int) - golden) > 1).mean() < 1e-3
