"""Distributions of numeric answers, checked by hand and against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from specvit.baselines.distributions import (
    LEVELS,
    Classes,
    Numbers,
    cumulative,
    residual_table,
    weighted_quantiles,
    with_residuals,
)
from specvit.tasks import TASKS


def test_cumulative_probability_is_that_of_the_distribution():
    rng = np.random.default_rng(1)
    quantiles = np.quantile(rng.normal(3, 2, 200_000), LEVELS)[None].repeat(5, axis=0)
    values = np.array([-1.0, 2.0, 3.0, 5.0, 8.0])
    expected = stats.norm.cdf(values, 3, 2)
    np.testing.assert_allclose(cumulative(quantiles, values), expected, atol=0.005)


def test_cumulative_probability_at_the_ends_at_a_jump_and_without_a_truth():
    row = np.concatenate([np.zeros(41), np.ones(60)])
    values = np.array([-5.0, 5.0, 0.0, 1.0, 0.5, np.nan])
    found = cumulative(row[None].repeat(6, axis=0), values)
    np.testing.assert_allclose(found, [0, 1, 0.2, 0.705, 0.405, np.nan])


def test_pit_is_uniform_for_a_right_distribution():
    rng = np.random.default_rng(2)
    centre = rng.normal(size=2000)
    quantiles = centre[:, None] + stats.norm.ppf(np.clip(LEVELS, 1e-6, 1 - 1e-6))
    pit = cumulative(quantiles, centre + rng.normal(size=2000))
    assert stats.kstest(pit, "uniform").pvalue > 0.01


def test_weighted_quantiles_by_hand():
    values = np.array([[30.0, 10.0, 20.0]])
    weights = np.array([[2.0, 1.0, 1.0]])
    # Cumulative at 10, 20, 30: 0.125, 0.375, 0.75.
    found = weighted_quantiles(values, weights)[0]
    assert found[0] == 10
    assert found[100] == 30
    np.testing.assert_allclose(found[25], 15.0)
    np.testing.assert_allclose(found[50], 20 + 10 * (0.5 - 0.375) / 0.375)


def test_residuals_are_kept_by_the_predicted_value():
    rng = np.random.default_rng(3)
    predicted = np.concatenate([rng.normal(0, 0.01, 1000), rng.normal(1, 0.1, 1000)])
    spread = np.where(predicted < 0.5, 0.001, 0.3)
    edges, table = residual_table(predicted, spread * rng.normal(size=2000))
    answer = with_residuals(np.array([0.0, 1.0]), edges, table)
    half = (answer.quantiles[:, 84] - answer.quantiles[:, 16]) / 2
    np.testing.assert_allclose(half, [0.001, 0.3], rtol=0.35)


def test_residuals_of_a_few_spectra_share_one_table():
    edges, table = residual_table(np.arange(10.0), np.linspace(-1, 1, 10))
    assert len(edges) == 0
    assert table.shape == (1, len(LEVELS))


def test_columns_of_a_redshift_are_redshifts_and_the_interval_holds_the_prediction():
    value = np.log1p(np.array([0.5, 0.5]))
    # The second answer's own prediction lies outside its central interval.
    quantiles = np.log1p(np.array([np.linspace(0.4, 0.6, 101), np.linspace(0.7, 0.9, 101)]))
    columns = Numbers(value, quantiles).columns(TASKS["redshift"], np.array([0.5, np.nan]))
    np.testing.assert_allclose(columns["redshift_pred"], 0.5)
    np.testing.assert_allclose(columns["redshift_lo"], [0.432, 0.5])
    np.testing.assert_allclose(columns["redshift_hi"], [0.568, 0.868])
    np.testing.assert_allclose(columns["redshift_pit"], [0.5, np.nan], atol=1e-6)


def test_the_predicted_class_is_the_most_probable():
    prob = np.array([[0.2, 0.7, 0.1], [0.4, 0.2, 0.4]])
    columns = Classes(prob).columns(TASKS["class"], np.array(["QSO", None], dtype=object))
    assert list(columns["class_pred"]) == ["GALAXY", "STAR"]
    assert columns["class_prob_GALAXY"] == pytest.approx([0.7, 0.2])
    assert columns["class_true"][1] is None
