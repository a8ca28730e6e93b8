"""The common grid conserves flux and knows gaps."""

from __future__ import annotations

import numpy as np
import pytest

from spectrum_files import LOGLAM, galaxy_flux, spectrum_of
from specvit.config.data import Grid
from specvit.spectrum import bin_centres, rebin, to_grid
from specvit.spectrum.grid import bin_edges


def test_a_grid_of_the_same_pixels_changes_nothing() -> None:
    half = 0.5e-4
    grid = Grid(wave_min=10 ** (3.58 - half), wave_max=10 ** (LOGLAM[-1] + half), pixels=3840)
    flux = galaxy_flux()
    assert to_grid(spectrum_of(flux), grid) == pytest.approx(flux, rel=1e-5)
    assert bin_centres(grid, 3840) == pytest.approx(LOGLAM)


@pytest.mark.parametrize("pixels", [64, 1000, 3840, 16_000])
def test_flux_is_conserved_whatever_the_sampling(pixels: int) -> None:
    grid = Grid(wave_min=4000, wave_max=8000, pixels=pixels)
    flux = galaxy_flux()
    inside = (10**LOGLAM > 4000) & (10**LOGLAM < 8000)
    gridded = to_grid(spectrum_of(flux), grid)
    assert gridded.shape == (pixels,)
    assert gridded.dtype == np.float32
    assert gridded.mean() == pytest.approx(flux[inside].mean(), rel=1e-3)


def test_bad_pixels_and_missing_wavelengths_are_nan() -> None:
    grid = Grid(pixels=3840)
    good = np.ones(3840, bool)
    good[1000:1100] = False
    keep = np.r_[0:2000, 2200:3840]  # rows 2000 to 2199 are not in the arrays at all
    spectrum = spectrum_of(galaxy_flux()[keep], LOGLAM[keep], good[keep])
    empty = np.isnan(to_grid(spectrum, grid))
    centres = bin_centres(grid, 3840)
    inside = (centres > LOGLAM[1000]) & (centres < LOGLAM[1099])
    inside |= (centres > LOGLAM[2000]) & (centres < LOGLAM[2199])
    assert empty[inside].all()
    assert empty[(centres > LOGLAM[0]) & (centres < LOGLAM[-1])].sum() <= inside.sum() + 4
    assert empty[centres < LOGLAM[0] - 1e-4].all()


def test_a_bin_needs_data_in_half_of_its_width() -> None:
    edges = bin_edges(Grid(wave_min=4000, wave_max=8000, pixels=64), 64)
    step = (edges[1] - edges[0]) / 10
    loglam = edges[0] + step * (np.arange(20) + 0.5)
    good = np.r_[np.ones(4, bool), np.zeros(6, bool), np.ones(6, bool), np.zeros(4, bool)]
    binned = rebin(loglam, np.full(20, 3.0), good, edges)
    assert np.isnan(binned[0])
    assert binned[1] == pytest.approx(3.0)
    assert np.isnan(binned[2:]).all()
