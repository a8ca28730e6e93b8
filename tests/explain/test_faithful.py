"""Relevance is where the answer is known to come from, and taking it away shows."""

from __future__ import annotations

import numpy as np
import one_line
import pytest
import torch

from spectrum_files import LOGLAM, spectrum_of
from specvit.errors import SpectrumError
from specvit.explain.answer import METHODS, along_wavelength, answers, chosen_of, pictures_of
from specvit.explain.average import ENOUGH, Average, average
from specvit.explain.axis import stretch_edges
from specvit.explain.faithful import RANDOM, faithfulness, summary
from specvit.explain.mask import WINDOWS, in_windows, window_edges, with_data, without
from specvit.explain.relevance import integrated_gradients, log_odds
from specvit.models import SpecViT

TASK = one_line.TASKS[0]


@pytest.fixture(scope="module")
def network() -> SpecViT:
    return one_line.trained()


def test_the_network_has_learned_the_line(network: SpecViT) -> None:
    spectra, labels = one_line.made(20, seed=2)
    _, columns = answers(network, pictures_of(network, spectra))
    assert (chosen_of(TASK, columns) == labels).all()


def test_the_line_that_decides_is_the_most_relevant(network: SpecViT) -> None:
    spectra, labels = one_line.made(20, seed=3)
    galaxies = spectra[1::2]
    found = along_wavelength(network, galaxies, TASK, labels[1::2])
    edges = stretch_edges(network.render, network.grid)
    at = window_edges(edges)
    decisive = np.searchsorted(at, one_line.DECIDES) - 1
    other = np.searchsorted(at, one_line.IN_BOTH) - 1
    assert set(found) == set(METHODS)
    for values in found.values():
        np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-6)
        assert (values >= 0).all()
    shares = in_windows(found["gradient"], edges)
    near = shares[:, decisive - 1 : decisive + 2].sum(axis=1)
    assert (near > 3 * shares[:, other - 1 : other + 2].sum(axis=1)).all()
    assert abs(int(shares.mean(axis=0).argmax()) - decisive) <= 1


def test_taking_it_away_hurts_more_than_at_random(network: SpecViT) -> None:
    spectra, _ = one_line.made(16, seed=4)
    galaxies = spectra[1::2]
    rows = faithfulness(network, galaxies)
    assert set(rows["method"]) == {*METHODS, RANDOM}
    table = summary(rows, samples=200).set_index(["how", "method"])
    for how in ("continuum", "gap"):
        assert table.loc[(how, "gradient"), "gain_lo"] > 1
        assert table.loc[(how, "gradient"), "changed"] > 0.9
        assert table.loc[(how, "gradient"), "changed_random"] < 0.5
    again = faithfulness(network, galaxies)
    assert again.equals(rows)


def test_integrated_gradients_add_up_to_the_difference(
    network: SpecViT, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Completeness (Sundararajan et al. 2017): it is the integral that is computed."""
    monkeypatch.setattr("specvit.explain.relevance.STEPS", 64)
    spectra, labels = one_line.made(8, seed=5)
    pictures = pictures_of(network, spectra)
    blank = torch.zeros_like(pictures)
    parts = integrated_gradients(network, pictures, blank, TASK, labels)
    with torch.no_grad():
        ends = [log_odds(network, TASK, network(p)["class"], labels) for p in (pictures, blank)]
    difference = ends[0] - ends[1]
    torch.testing.assert_close(parts.sum(dim=(1, 2, 3)), difference, atol=0.2, rtol=0)


def test_windows() -> None:
    edges = np.geomspace(3800, 9200, 129)
    even = in_windows(np.full((1, 128), 1 / 128), edges)
    np.testing.assert_allclose(even, 1 / WINDOWS)
    coarse = in_windows(np.full((1, 16), 1 / 16), np.geomspace(3800, 9200, 17))
    np.testing.assert_allclose(coarse, 1 / WINDOWS)
    good = np.ones(len(LOGLAM), bool)
    at = window_edges(edges)
    wave = 10**LOGLAM
    inside = (wave >= at[5]) & (wave < at[6])
    good[inside] = False
    line = np.exp(-0.5 * ((wave - 7000) / 10) ** 2)
    spectrum = spectrum_of(1 + line, good=good)
    assert set(range(WINDOWS)) - set(with_data(spectrum, edges)) == {5}
    window = int(np.searchsorted(at, 7000)) - 1
    gap = without(spectrum, [window], edges, "gap")
    taken = (wave >= at[window]) & (wave < at[window + 1])
    assert (gap.good == (good & ~taken)).all()
    flat = without(spectrum, [window], edges, "continuum")
    np.testing.assert_allclose(flat.flux[taken], 1, atol=0.05)
    np.testing.assert_array_equal(flat.flux[~taken], spectrum.flux[~taken])


def test_means_by_class_find_the_line_that_decides(network: SpecViT) -> None:
    spectra, _ = one_line.made(24, seed=6)
    broken = SpectrumError("cut off")
    far = spectrum_of(np.ones(100), np.linspace(4.1, 4.2, 100))
    found = average(network, [*spectra, broken, far])
    assert found.counts == {"STAR": 12, "GALAXY": 12}
    assert found.refused.total() == 2
    assert found.refused["cut off"] == 1
    table = found.table
    assert set(table["frame"]) == {"observed", "rest"}
    assert (table["spectra"] == 12).all()
    of_galaxies = table[(table["class"] == "GALAXY") & (table["frame"] == "observed")]
    assert len(of_galaxies) == WINDOWS
    assert of_galaxies["relevance"].mean() == pytest.approx(1, abs=1e-3)
    top = of_galaxies.loc[of_galaxies["relevance"].idxmax()]
    width = top["high"] - top["low"]
    assert top["low"] - width < one_line.DECIDES < top["high"] + width


def test_means_at_rest_are_moved_by_the_redshift() -> None:
    edges = np.geomspace(1000, 9200, 201)
    found = Average(edges)
    windows = np.zeros(WINDOWS)
    windows[30] = 1.0
    ratio = edges[1] / edges[0]
    for _ in range(ENOUGH):
        found.add("QSO", "redshift", windows, ratio**20 - 1)
    table = found.table
    for frame, at in (("observed", 200 - WINDOWS + 30), ("rest", 200 - WINDOWS + 10)):
        mine = table[table["frame"] == frame]
        assert len(mine) == WINDOWS
        top = mine.loc[mine["relevance"].idxmax()]
        assert top["relevance"] == pytest.approx(WINDOWS)
        assert top["low"] == pytest.approx(edges[at])
    found.add("QSO", "redshift", windows, 1e4)  # farther than there are windows
    found.add("QSO", "redshift", windows, -0.01)
    assert found.table["spectra"].max() == ENOUGH + 2
