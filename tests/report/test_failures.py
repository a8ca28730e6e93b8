"""Confident mistakes and their links."""

import numpy as np
import pandas as pd
import pytest
from made_run import EXPLAINED, weights_of

from specvit.config.data import Grid
from specvit.errors import DataError
from specvit.explain.kept import Relevance, read_relevance
from specvit.explain.lines import STRONG
from specvit.io import read_parquet
from specvit.plan import Plan
from specvit.report.failures import Failure, described, survey_page, worst_rows
from specvit.report.pictures import read_drawn
from specvit.report.spectra import LINES, draw_failure, shown_flux
from specvit.report.style import style
from specvit.tasks import TASKS

LOOKED = Relevance(np.array([4000.0, 5000.0, 6000.0, 8000.0]), np.array([0.1, 0.6, 0.3]))


def worst_failures(frame, task, catalog, count):
    return described(worst_rows(frame, task, count), task, catalog)


@pytest.fixture(scope="module")
def catalog(run):
    return read_parquet(run.config.paths.catalog).set_index("spectrum_id")


def test_the_most_confident_wrong_classes_come_first(run, catalog):
    frame = read_parquet(run.config.paths.predictions("vit"))
    found = worst_failures(frame, TASKS["class"], catalog, 5)
    wrong = frame[frame["class_true"] != frame["class_pred"]]
    sure = wrong.filter(like="class_prob_").max(axis=1)
    expected = wrong.loc[sure.sort_values(ascending=False).index[:5], "spectrum_id"]
    assert [failure.spectrum_id for failure in found] == list(expected)
    first = wrong.set_index("spectrum_id").loc[found[0].spectrum_id]
    assert found[0].said.startswith(first["class_pred"])
    assert found[0].said.endswith(f", z = {first['redshift_pred']:.4f}")
    assert found[0].truth.startswith(f"{first['class_true']}, z = {first['z']:.4f}")
    assert found[0].shard == catalog.loc[found[0].spectrum_id, "shard"]
    assert found[0].simulated
    assert found[0].url is None


def test_redshift_outliers_with_the_narrowest_interval_come_first(run, catalog):
    frame = read_parquet(run.config.paths.predictions("vit"))
    found = worst_failures(frame, TASKS["redshift"], catalog, 100)
    dz = (frame["redshift_pred"] - frame["redshift_true"]) / (1 + frame["redshift_true"])
    assert {f.spectrum_id for f in found} == set(frame.loc[dz.abs() > 0.05, "spectrum_id"])
    width = (frame["redshift_hi"] - frame["redshift_lo"]) / (1 + frame["redshift_pred"])
    widths = frame.assign(width=width).set_index("spectrum_id")["width"]
    chosen = widths.loc[[f.spectrum_id for f in found]].to_numpy()
    assert (np.diff(chosen) >= 0).all()


@pytest.mark.parametrize("task", ["class", "redshift"])
def test_lines_stand_at_both_redshifts(run, catalog, task):
    frame = read_parquet(run.config.paths.predictions("vit"))
    failure = worst_failures(frame, TASKS[task], catalog, 1)[0]
    row = frame.set_index("spectrum_id").loc[failure.spectrum_id]
    assert (failure.true_class, failure.said_class) == (row["class"], row["class_pred"])
    assert (failure.true_z, failure.said_z) == (row["z"], row["redshift_pred"])
    drawn = read_drawn(run.config, "stacked-64", {failure.spectrum_id: failure.shard})
    flux = drawn[failure.spectrum_id].flux.astype(float)
    grid = run.config.grid
    with style():
        ax, below = draw_failure(failure, flux, grid, LOOKED).axes
    assert below.get_xlim() == ax.get_xlim() == (grid.wave_min, grid.wave_max)
    (stairs,) = below.patches
    values, edges, _ = stairs.get_data()
    assert edges == pytest.approx(LOOKED.edges)
    assert values * np.diff(edges) == pytest.approx([0.1, 0.6, 0.3])
    solid, dashed = (
        sorted(line.get_xdata()[0] for line in ax.lines[1:] if (line.get_linestyle() == "-") == is_)
        for is_ in (True, False)
    )
    for found, label, z in (
        (solid, failure.true_class, failure.true_z),
        (dashed, failure.said_class, failure.said_z),
    ):
        waves = [dict(STRONG)[name] * (1 + z) for name in LINES[label]]
        expected = sorted(w for w in waves if grid.wave_min < w < grid.wave_max)
        assert found == pytest.approx(expected)


def test_the_page_shows_relevance_where_it_is_kept_and_says_where_not(run):
    page = run.config.paths.report.read_text()
    failures = page[page.index('id="failures"') :]
    for task in ("class", "redshift"):
        drawn = [f'id="failure-{task}-{i}-axes_2"' in failures for i in range(6)]
        assert drawn == [True] * EXPLAINED + [False] * (6 - EXPLAINED)
    assert failures.count("<dd>not computed</dd>") == 2 * (6 - EXPLAINED)


def test_relevance_of_other_weights_or_another_plan_is_refused(run):
    path, plan = run.config.paths.relevance("vit"), Plan.of_parquet(run.config.paths.catalog)
    kept = read_relevance(path, plan, weights_of("vit"))
    assert [one.share.sum() for one in kept.values()] == pytest.approx([1] * 2 * EXPLAINED)
    with pytest.raises(DataError, match=r"relevance/vit\.parquet is of other weights than"):
        read_relevance(path, plan, "0" * 64)
    other = Plan({**plan.values, "split.seed": 7})
    with pytest.raises(DataError, match=r"vit\.parquet are of different plans: split\.seed = "):
        read_relevance(path, other, weights_of("vit"))


def test_flux_is_binned_and_gaps_stay_gaps():
    grid = Grid(wave_min=4000, wave_max=9000, pixels=1000)
    flux = np.arange(1000.0)
    flux[:100] = np.nan
    wave, binned = shown_flux(flux, grid, bins=300)
    assert len(wave) == len(binned) == 250
    assert np.isnan(binned[:25]).all()
    assert binned[25:] == pytest.approx(np.arange(100, 1000, 4) + 1.5)
    assert (np.diff(wave) > 0).all()
    assert 4000 < wave[0] < wave[-1] < 9000


def test_a_spectrum_without_data_or_redshift_is_drawn_all_the_same():
    nothing = Failure("a", "b", "SDSS", None, "STAR", "QSO", None, True, None, None, "STAR", None)
    grid = Grid(wave_min=4000, wave_max=9000, pixels=100)
    with style():
        (ax,) = draw_failure(nothing, np.full(100, np.nan), grid, None).axes
    assert len(ax.lines) == 1


def page(**values):
    row = {"survey": "sdss", "release": "dr17", "identity": "266-51602-1", "simulated": False}
    return survey_page(pd.Series({**row, **values}))


SDSS = "https://dr17.sdss.org/optical/spectrum/view?plateid=266&mjd=51602&fiberid=1"
LAMOST = "https://www.lamost.org/dr10/v2.0/spectrum/view?obsid=101001"


@pytest.mark.parametrize(
    ("row", "url"),
    [
        ({}, SDSS),
        ({"release": "26"}, SDSS),
        ({"simulated": True}, None),
        ({"identity": None}, None),
        ({"release": "dr19"}, None),
        ({"survey": "lamost", "release": "dr10 v2.0", "identity": "101001"}, LAMOST),
        (
            {"survey": "lamost", "release": "dr8 v1.1", "identity": "101001"},
            LAMOST.replace("dr10/v2.0", "dr8/v1.1"),
        ),
        ({"survey": "lamost", "release": "LAMOST DR1", "identity": "101001"}, LAMOST),
    ],
)
def test_links_lead_to_the_survey_and_never_from_simulated_spectra(row, url):
    assert page(**row) == url
