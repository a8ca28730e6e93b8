"""The baselines' benchmark: what is extrapolated, and that it says so."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import baselines
from benchmarks.baselines import Growth, Point, command
from benchmarks.simulated_flux import simulated_rows
from specvit.config.data import Grid
from specvit.errors import ConfigError


def growth(sizes: list[int], factor: int = 1) -> Growth:
    points = [Point(n, 0.001 * n**1.5, 0.002 * n**1.5, 200 + 0.01 * n) for n in sizes]
    return Growth(points, 100_000, factor)


def test_a_power_law_and_a_straight_line_are_continued():
    found = growth([500, 1000, 4000])
    assert found.exponent == pytest.approx(1.5)
    seconds, memory = found.at_target()
    assert seconds == pytest.approx(0.001 * 100_000**1.5)
    assert memory == pytest.approx(1200)
    assert not found.measured
    assert "extrapolated as n^1.50" in found.sentence()


def test_a_measured_target_is_reported_as_it_is():
    found = growth([500, 100_000], factor=3)
    assert found.at_target()[0] == pytest.approx(3 * 0.001 * 100_000**1.5)
    assert found.as_dict()["target_is"] == "measured"
    assert "measured, 3 epochs of the one measured" in found.sentence()


def test_nothing_is_extrapolated_from_one_size():
    found = growth([500])
    assert found.at_target() is None
    assert found.as_dict()["target_seconds"] is None
    assert "nothing to extrapolate from" in found.sentence()


def test_memory_is_never_said_to_shrink():
    points = [Point(500, 1, 1, 900), Point(1000, 2, 2, 800)]
    assert Growth(points, 100_000, 1).at_target()[1] == 800


def test_simulated_rows_are_those_of_the_surveys_files():
    rows = simulated_rows(12, Grid(pixels=256), seed=2)
    assert rows.flux.shape == (12, 256)
    assert set(rows.table["class"]) <= {"STAR", "GALAXY", "QSO"}
    assert np.nanpercentile(np.abs(rows.flux.astype(float)), 99, axis=1) == pytest.approx(
        1, abs=0.1
    )
    assert rows.table["z"].notna().any()


def test_it_runs_and_writes_its_figures(tmp_path, monkeypatch):
    # In this process: starting Python for each fit would take most of the test's time.
    monkeypatch.setattr(baselines, "_apart", lambda function, *arguments: function(*arguments))
    path = tmp_path / "bench.json"
    options = ["--sizes", "150,100", "--models", "knn", "--json", str(path)]
    result = CliRunner().invoke(command, options, catch_exceptions=False)
    assert "extrapolated as" in result.output
    values = json.loads(path.read_text())
    assert values["ratio"] == pytest.approx(values["rate"] / values["reference_rate"])
    assert [point["train"] for point in values["models"]["knn"]["points"]] == [100, 150]
    assert values["models"]["knn"]["points"][0]["peak_rss_mb"] > 50
    assert {"cores", "machine", "peak_rss_mb"} <= values.keys()


@pytest.mark.parametrize("options", [["--sizes", "ten"], ["--sizes", "5"], ["--models", "ridge"]])
def test_wrong_options_are_refused_with_a_sentence(options):
    with pytest.raises(ConfigError, match="--"):
        CliRunner().invoke(command, options, catch_exceptions=False)
