"""Cross-correlation with eigen-templates, against brute force and against known redshifts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from made_flux import GRID, PIXELS, as_rows, make

from specvit.baselines.baseline import Setup
from specvit.baselines.correlate import Correlator, refine
from specvit.baselines.eigen import eigen_templates, to_rest_frame
from specvit.baselines.exemplars import LONGEST_FILLED, good_pixels, pixel_weights
from specvit.baselines.template import Template
from specvit.config.baselines import TemplateSettings
from specvit.errors import DataError, TrainingError
from specvit.tasks import TASKS, tasks_of

STEP = math.log(GRID.wave_max / GRID.wave_min) / PIXELS


def setup(*names: str) -> Setup[TemplateSettings]:
    return Setup(tasks_of(names or ("class", "redshift")), TemplateSettings(), GRID, 1, 1)


@pytest.fixture(scope="module")
def fitted():
    return Template.fit(as_rows(make(240, 1, 50)), as_rows(make(60, 2, 50)), setup())


def test_chi_square_is_that_of_weighted_least_squares_over_good_pixels():
    rng = np.random.default_rng(1)
    pixels, windows = 40, 12
    templates = np.linalg.qr(rng.normal(size=(pixels + windows - 1, 3)))[0].T
    weight = rng.uniform(0.5, 2, pixels)
    flux = rng.normal(size=(2, pixels))
    good = rng.random((2, pixels)) > 0.2
    correlator = Correlator("STAR", last=5, templates=templates, weight=weight)
    found = correlator.chi_square(flux, good)
    assert list(correlator.shifts) == list(range(5, 5 - windows, -1))
    for row in range(2):
        root = np.sqrt(weight * good[row])
        for start in range(windows):
            design = (templates[:, start : start + pixels] * root).T
            residual = np.linalg.lstsq(design, flux[row] * root, rcond=None)[1][0]
            assert found[row, start] == pytest.approx(residual, rel=1e-4)


def test_a_template_at_its_own_shift_leaves_nothing():
    rng = np.random.default_rng(2)
    templates = np.linalg.qr(rng.normal(size=(60, 2)))[0].T
    correlator = Correlator("QSO", last=3, templates=templates, weight=np.ones(50))
    flux = (2 * templates[0] - templates[1])[None, 4:54]
    chi = correlator.chi_square(flux, np.ones((1, 50), bool))
    assert chi[0].argmin() == 4
    assert chi[0, 4] < 1e-4 * (flux**2).sum()
    assert correlator.shifts[4] == -1


def test_the_lowest_point_is_refined_by_a_parabola():
    x = np.arange(10.0)
    curves = np.array([(x - 4.3) ** 2, (x - 7.0) ** 2, x, 9 - x])
    np.testing.assert_allclose(refine(curves), [4.3, 7.0, 0.0, 9.0])


def test_a_line_is_moved_to_its_rest_frame():
    x = np.arange(PIXELS)
    flux = np.exp(-0.5 * ((x - 300.5) / 3) ** 2)[None]
    first = 100
    rest = to_rest_frame(flux, np.array([40.5]), first, PIXELS + 150)
    # Cell m is at observed pixel m - first + shift.
    assert np.nanargmax(rest[0]) == 300.5 - 40.5 + first
    assert np.isnan(rest[0, : first - 41]).all()
    assert np.isfinite(rest[0, first : first + PIXELS - 41]).all()


def test_eigen_templates_of_whole_spectra_span_what_an_svd_finds():
    rng = np.random.default_rng(3)
    data = rng.normal(size=(40, 3)) @ rng.normal(size=(3, 80)) + 0.01 * rng.normal(size=(40, 80))
    found = eigen_templates(data, 3, seed=0)
    exact = np.linalg.svd(data, full_matrices=False)[2][:3]
    np.testing.assert_allclose(found @ found.T, np.eye(3), atol=1e-10)
    # Singular values of the product are cosines of the angles between the two spaces.
    assert np.linalg.svd(found @ exact.T)[1].min() > 0.9999


def test_eigen_templates_of_spectra_with_gaps_span_the_same():
    rng = np.random.default_rng(4)
    basis = np.linalg.qr(rng.normal(size=(80, 2)))[0].T
    data = rng.normal(size=(60, 2)) @ basis
    data[rng.random(data.shape) < 0.4] = np.nan
    found = eigen_templates(data, 2, seed=0)
    assert np.linalg.svd(found @ basis.T)[1].min() > 0.999


def test_long_gaps_are_bad_and_short_ones_filled():
    flux = np.ones((1, 60), np.float16)
    flux[0, 5 : 5 + LONGEST_FILLED] = np.nan
    flux[0, 40 : 41 + LONGEST_FILLED] = np.nan
    good = good_pixels(flux)[0]
    assert good[:40].all()
    assert not good[40 : 41 + LONGEST_FILLED].any()
    assert good[41 + LONGEST_FILLED :].all()


def test_noisy_pixels_weigh_less():
    rng = np.random.default_rng(5)
    sigma = np.where(np.arange(200) < 100, 1.0, 3.0)
    weight = pixel_weights((sigma * rng.normal(size=(500, 200))).astype(np.float32))
    assert weight[:90].mean() / weight[110:].mean() == pytest.approx(9, rel=0.2)


def test_known_redshifts_are_recovered_at_high_signal_to_noise(fitted):
    model, _ = fitted
    test = as_rows(make(120, 3, 50))
    answers = model.predict(test.flux)
    z = test.table["z"].to_numpy()
    columns = answers["redshift"].columns(TASKS["redshift"], z)
    dz = np.abs(columns["redshift_pred"] - z) / (1 + z)
    broad = (test.table["class"] == "QSO").to_numpy()  # lines of ten pixels
    assert np.mean(dz[~broad] < 0.001) > 0.98
    assert np.mean(dz[broad] < 0.005) > 0.9
    assert np.median(dz) < 0.1 * STEP
    found = answers["class"].columns(TASKS["class"], test.table["class"].to_numpy())
    assert np.mean(found["class_pred"] == test.table["class"]) > 0.97
    inside = (columns["redshift_lo"] <= z) & (z <= columns["redshift_hi"])
    assert 0.5 < inside.mean() < 0.9


def test_a_redshift_that_no_train_spectrum_has_is_recovered():
    """What templates can and a regression cannot: train has no galaxy at 0.15 < z < 0.25."""
    rows, flux = make(300, 4, 50)
    z = np.array([row["z"] for row in rows])
    hole = (z > 0.15) & (z < 0.25)
    train = ([row for row, out in zip(rows, hole, strict=True) if not out], flux[~hole])
    model, _ = Template.fit(as_rows(train), as_rows(make(60, 2, 50)), setup())
    predicted = model.predict(flux[hole])["redshift"].columns(TASKS["redshift"], z[hole])
    dz = np.abs(predicted["redshift_pred"] - z[hole]) / (1 + z[hole])
    assert hole.sum() > 20
    assert np.mean(dz < 0.001) > 0.95


def test_what_was_chosen_is_told(fitted):
    _, told = fitted
    assert [point["templates"] for point in told["grid"]] == [3, 5, 8]
    assert told["tasks"] == ["class", "redshift"]
    assert set(told["classes"]) == {"STAR", "GALAXY", "QSO"}


def test_saved_and_loaded_it_answers_the_same(fitted, tmp_path):
    model, _ = fitted
    model.save(tmp_path)
    flux = make(6, 5)[1]
    again = Template.load(tmp_path).predict(flux)["redshift"]
    np.testing.assert_array_equal(again.quantiles, model.predict(flux)["redshift"].quantiles)


def test_a_spectrum_without_data_gets_an_answer_that_admits_it(fitted):
    model, _ = fitted
    answers = model.predict(np.full((1, PIXELS), np.nan, np.float16))
    np.testing.assert_allclose(answers["class"].prob, 1 / 3)
    width = np.ptp(answers["redshift"].quantiles[0, [16, 84]])
    assert width > 0.6 * math.log(2.8)


def test_a_class_with_few_spectra_is_left_out_and_named():
    rows, flux = make(90, 6)
    keep = [i for i, row in enumerate(rows) if row["class"] != "QSO" or i < 15]
    train = as_rows(([rows[i] for i in keep], flux[keep]))
    model, told = Template.fit(train, as_rows(make(30, 7)), setup())
    assert told["classes_left_out"] == {"QSO": 5}
    assert model.predict(flux[:3])["class"].prob[:, TASKS["class"].labels.index("QSO")].max() == 0


def test_other_tasks_are_refused_with_a_sentence():
    rows = as_rows(make(30, 8))
    with pytest.raises(TrainingError, match="only the tasks class and redshift"):
        Template.fit(rows, rows, setup("stellar_type"))


def test_damaged_settings_are_a_data_error(fitted, tmp_path):
    fitted[0].save(tmp_path)
    path = tmp_path / "model.json"
    path.write_text(path.read_text().replace('"powers"', '"power"'))
    with pytest.raises(DataError, match="powers"):
        Template.load(tmp_path)


def test_val_softens_nothing():
    """With one number of templates there is nothing to choose: other val labels change no power."""
    rows, flux = make(60, 2, 50)
    train, one = as_rows(make(120, 1, 50)), TemplateSettings(templates=(3,))
    wrong = [{**row, "z": other["z"]} for row, other in zip(rows, rows[::-1], strict=True)]
    task = Setup(tasks_of(["class", "redshift"]), one, GRID, 1, 1)
    told = [Template.fit(train, as_rows((each, flux)), task)[1] for each in (rows, wrong)]
    assert told[0]["powers"] == told[1]["powers"]
    assert told[0]["spectra_behind_powers"] < 40
