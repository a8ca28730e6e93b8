"""A pixel of any picture leads back to its wavelength."""

from __future__ import annotations

import numpy as np
import pytest

from spectrum_files import LOGLAM, spectrum_of
from specvit.config.data import Grid, Render
from specvit.explain.axis import from_patches, from_pixels, stretch_edges
from specvit.plot import draw

GRID = Grid()
RENDERS = {
    "line": Render(mode="line", size=64),
    "overlap": Render(mode="overlap", size=64),
    "stacked": Render(size=64, rows=4),
    "uneven": Render(size=64, rows=6),
    "map": Render(mode="map", size=64, rows=8),
    "snake": Render(mode="map", size=64, rows=8, boustrophedon=True),
    "rest": Render(size=64, rows=4, frame="rest"),
}


@pytest.mark.parametrize("name", RENDERS)
@pytest.mark.parametrize("line", [4300.0, 6100.0, 8800.0])
def test_what_a_line_changes_is_at_its_wavelength(name: str, line: float) -> None:
    render = RENDERS[name]
    flat = np.ones(len(LOGLAM)) + 0.3 * np.sin(10**LOGLAM / 50)
    flux = flat + 2 * np.exp(-0.5 * ((10**LOGLAM - line) / 12) ** 2)
    z = 0.1 if render.frame == "rest" else None
    # The extremes of the scale are the same in both.
    high = slice(1300, 1400)
    flat[high] += 3
    flux[high] += 3
    pictures = [draw(spectrum_of(f), render, GRID, z).astype(float) for f in (flux, flat)]
    change = np.abs(pictures[0] - pictures[1])
    values = change[None, None] if change.ndim == 2 else change.transpose(2, 0, 1)[None]
    found = from_pixels(values, render)[0]
    edges = stretch_edges(render, GRID, z)
    assert len(edges) == len(found) + 1
    np.testing.assert_allclose(found.sum(), change.sum())
    middle = np.sqrt(edges[1:] * edges[:-1])
    near = np.abs(middle - line) < 60 + np.diff(edges)
    assert found[near].sum() > 0.8 * found.sum()


@pytest.mark.parametrize("name", RENDERS)
def test_patches_keep_what_they_have(name: str) -> None:
    render = RENDERS[name]
    patches = np.random.default_rng(0).random((2, 8, 8))
    found = from_patches(patches, render)
    assert found.shape == (2, len(stretch_edges(render, GRID)) - 1)
    np.testing.assert_allclose(found.sum(axis=1), patches.sum(axis=(1, 2)))


def test_a_patch_is_where_it_lies() -> None:
    patches = np.zeros((1, 8, 8))
    patches[0, 7, 7] = 1
    found = from_patches(patches, RENDERS["stacked"])[0]
    assert found[-8:].sum() == pytest.approx(1)
    patches = np.zeros((1, 8, 8))
    patches[0, 0, 0] = 1
    assert from_patches(patches, RENDERS["line"])[0][:8].sum() == pytest.approx(1)
    thirds = from_patches(patches, RENDERS["overlap"])[0].reshape(3, 64)
    np.testing.assert_allclose(thirds[:, :8].sum(axis=1), 1 / 3)
