"""Calibration and selective prediction against known truths and brute force."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import sklearn.calibration
import sklearn.metrics as sk
from test_metric_values import class_scores, value_scores

from specvit.metrics.calibration import (
    LENT,
    IntervalFactors,
    calibrated,
    central_coverage,
    fit_interval_factor,
    fit_temperature,
    pit_distance,
    recalibrated_pit,
    reliability,
    soften,
    widened,
)
from specvit.metrics.classification import ClassScores
from specvit.metrics.selective import Selective, aurc, risk_coverage, threshold_for
from specvit.metrics.values import ValueScores


def drawn_from(prob, generator):
    """Labels drawn from the probabilities themselves: calibrated by construction."""
    return (prob.cumsum(axis=1) > generator.random((len(prob), 1))).argmax(axis=1)


def test_temperature_is_found_again():
    generator = np.random.default_rng(0)
    logits = 1.5 * generator.normal(size=(6000, 3))
    prob = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    true = drawn_from(prob, generator)
    sharp = np.exp(2 * logits) / np.exp(2 * logits).sum(axis=1, keepdims=True)
    scores = ClassScores(("STAR", "GALAXY", "QSO"), true, sharp.argmax(axis=1), sharp)
    temperature = fit_temperature(scores)
    assert temperature == pytest.approx(2, rel=0.05)
    assert soften(sharp, 2.0) == pytest.approx(prob, abs=1e-9)
    losses = {t: sk.log_loss(true, soften(sharp, t)) for t in np.linspace(1.6, 2.4, 17)}
    assert temperature == pytest.approx(min(losses, key=losses.get), abs=0.06)
    after = calibrated(scores, temperature)
    assert (after.pred == after.prob.argmax(axis=1)).all(), "a temperature changes no answer"
    rows, ones = np.arange(len(true)), np.ones((1, len(true)))
    assert after.metrics(rows, ones)["ece"] < 0.3 * scores.metrics(rows, ones)["ece"]


def test_temperature_where_nothing_can_be_fitted():
    none = np.empty(0, dtype=int)
    assert fit_temperature(ClassScores(("STAR", "QSO"), none, none, np.empty((0, 2)))) == 1
    right = np.array([[1.0, 0.0], [0.0, 1.0]])
    certain = ClassScores(("STAR", "QSO"), np.array([0, 1]), np.array([0, 1]), right)
    assert fit_temperature(certain) == 1
    assert np.isfinite(calibrated(certain, fit_temperature(certain)).prob).all()
    unsure = replace(certain, prob=np.array([[0.6, 0.4], [0.4, 0.6]]))
    assert fit_temperature(unsure) == 1, "two right answers are no reason to be certain"


def test_reliability_agrees_with_scikit_learn():
    scores = class_scores(n=2000)
    found = reliability(scores)
    accuracy, confidence = sklearn.calibration.calibration_curve(
        1 - scores.wrong, scores.confidence, n_bins=15
    )
    filled = found["count"] > 0
    assert found["accuracy"][filled] == pytest.approx(accuracy)
    assert found["confidence"][filled] == pytest.approx(confidence)
    assert found["count"].sum() == 2000
    assert np.isnan(found["accuracy"][~filled]).all()


def test_pit_distance_is_that_of_kolmogorov_and_smirnov():
    pit = np.random.default_rng(0).beta(2, 1.5, 500)
    expected = scipy.stats.kstest(pit, "uniform").statistic
    assert pit_distance(np.append(pit, np.nan)) == pytest.approx(expected)
    assert np.isnan(pit_distance(np.array([np.nan])))


def test_recalibration_makes_pit_uniform():
    generator = np.random.default_rng(0)
    val, test = generator.beta(3, 3, 4000), generator.beta(3, 3, 4000)
    after = recalibrated_pit(np.append(test, np.nan), val)
    assert np.isnan(after[-1])
    assert pit_distance(after) < 0.04 < 0.1 < pit_distance(test)
    assert (recalibrated_pit(test, np.array([np.nan])) == test).all()


def test_central_coverage_of_uniform_and_narrow_pit():
    levels = np.array([0.1, 0.5, 0.68, 0.95])
    uniform = (np.arange(10_000) + 0.5) / 10_000
    assert central_coverage(uniform, levels) == pytest.approx(levels, abs=1e-3)
    assert (central_coverage(np.array([0.0, 1.0, np.nan]), levels) == 0).all()
    assert np.isnan(central_coverage(np.array([np.nan]), levels)).all()


def test_interval_factor_restores_the_coverage():
    def gaussian(seed):
        generator = np.random.default_rng(seed)
        true = generator.normal(size=5000)
        zero, half = np.zeros(5000), np.full(5000, 0.5)
        return ValueScores(true, zero, -half, half, zero, None)

    val, test = gaussian(0), gaussian(1)
    factor = fit_interval_factor(val)
    # 68 % of a unit Gaussian lie within 0.9945, and the half width given is 0.5.
    assert factor == pytest.approx(scipy.stats.norm.ppf(0.84) / 0.5, rel=0.05)
    after = widened(test, factor)
    assert np.mean((after.low <= after.true) & (after.true <= after.high)) == pytest.approx(
        0.68, abs=0.02
    )
    nan = np.full(3, np.nan)
    assert np.isnan(fit_interval_factor(ValueScores(nan, nan, nan, nan, nan, None)))


def two_classes(seed, n=4000):
    """Stars said three times too wide, quasars half as wide as they are."""
    generator = np.random.default_rng(seed)
    quasar = generator.random(n) < 0.3
    true = generator.normal(size=n) * np.where(quasar, 2.0, 1 / 3)
    half = np.full(n, scipy.stats.norm.ppf(0.84))
    classes = np.where(quasar, "QSO", "STAR").astype(object)
    classes[:10] = "GALAXY"
    return ValueScores(true, np.zeros(n), -half, half, np.full(n, np.nan), None, classes)


def covered(scores, label):
    inside = (scores.low <= scores.true) & (scores.true <= scores.high)
    return inside[scores.predicted_class == label].mean()


def test_factors_by_predicted_class_mend_every_class_and_one_for_all_does_not():
    val, test = two_classes(0), two_classes(1)
    factors = IntervalFactors.fit(val)
    assert factors.by_class["STAR"] == pytest.approx(1 / 3, rel=0.1)
    assert factors.by_class["QSO"] == pytest.approx(2, rel=0.1)
    after = widened(test, factors.of(test))
    common = widened(test, factors.common)
    for label in ("STAR", "QSO"):
        assert covered(after, label) == pytest.approx(0.68, abs=0.03)
        assert abs(covered(common, label) - 0.68) > 0.1


def test_a_class_with_few_spectra_borrows_from_the_others():
    """Ten quasars, spread as widely as quasars are, among 200 stars."""
    stars, quasars = np.linspace(-1, 1, 200) / 3, np.linspace(-2, 2, 10)
    true, ones = np.concatenate([stars, quasars]), np.ones(210)
    classes = np.repeat(np.array(["STAR", "QSO"], dtype=object), [200, 10])
    val = ValueScores(true, 0 * ones, -ones, ones, np.nan * ones, None, classes)
    factors = IntervalFactors.fit(val)
    alone = fit_interval_factor(val.only(classes == "QSO"))
    assert factors.common < 0.3 < factors.by_class["QSO"] < alone
    # What it is: each quasar counts once, all stars together as LENT spectra, and one more is far.
    weight = np.where(classes == "QSO", 1.0, LENT / 200)
    inside = np.abs(true) <= factors.by_class["QSO"] + 1e-9
    assert weight[inside].sum() >= 0.68 * (10 + LENT + 1)
    closer = np.abs(true) < factors.by_class["QSO"] - 1e-9
    assert weight[closer].sum() < 0.68 * (10 + LENT + 1)
    nobody_says = replace(val, predicted_class=None)
    assert IntervalFactors.fit(nobody_says).by_class == {}
    assert (factors.of(nobody_says) == factors.common).all()


def test_a_class_whose_intervals_have_no_width_has_the_common_factor():
    """As what is published: `Calibration` falls back to it."""
    true, half = np.linspace(0.01, 1, 100), np.where(np.arange(100) < 10, 0.0, 0.5)
    half[-1] = np.inf  # no interval
    classes = np.repeat(np.array(["QSO", "STAR"], dtype=object), [10, 90])
    zero = np.zeros(100)
    val = ValueScores(true, zero, -half, half, zero * np.nan, None, classes)
    factors = IntervalFactors.fit(val)
    assert factors.val == 99
    assert list(factors.by_class) == ["STAR"]
    assert np.isfinite(factors.common)
    assert (factors.of(val)[:10] == factors.common).all()
    nothing = val.only(np.zeros(100, bool))
    assert IntervalFactors.fit(nothing) == IntervalFactors(
        pytest.approx(np.nan, nan_ok=True), {}, 0
    )


def brute_force_threshold(confidence, wrong, target):
    allowed = [
        threshold for threshold in confidence if wrong[confidence >= threshold].mean() <= target
    ]
    return min(allowed, default=np.inf)


@pytest.mark.parametrize("target", [0.0, 0.02, 0.1, 0.5])
def test_the_threshold_agrees_with_trying_every_one(target):
    generator = np.random.default_rng(1)
    confidence = generator.integers(0, 30, 300) / 30  # many ties
    wrong = (generator.random(300) > 0.7 + 0.3 * confidence).astype(float)
    found = threshold_for(confidence, wrong, target)
    expected = brute_force_threshold(confidence, wrong, target)
    assert found == (-np.inf if expected == confidence.min() else expected)
    assert threshold_for(confidence, np.ones(300), target) == np.inf


def test_risk_and_refusals_are_those_of_other_spectra_than_chose_the_threshold():
    """Val is easier than test: the target is reached there and missed here, and that is told."""
    generator = np.random.default_rng(2)
    confidence = generator.random((2, 2000))
    wrong = (generator.random((2, 2000)) > np.array([[0.9], [0.7]]) + 0.1 * confidence) * 1.0
    threshold = threshold_for(confidence[0], wrong[0], 0.02)
    selective = Selective(confidence[1], wrong[1], threshold)
    found = selective.metrics(selective.order(), np.ones((1, 2000)))
    kept = confidence[1] >= threshold
    assert found["refused_at_target"][0] == pytest.approx(1 - kept.mean())
    assert found["risk_at_target"][0] == pytest.approx(wrong[1][kept].mean())
    assert found["risk_at_target"][0] > 0.1
    counts = generator.integers(0, 3, (1, 2000)).astype(float)
    rows = np.repeat(np.arange(2000), counts[0].astype(int))
    drawn = selective.metrics(selective.order(), counts)
    assert drawn["risk_at_target"][0] == pytest.approx(wrong[1][rows][kept[rows]].mean())
    nobody = Selective(np.append(confidence[1], np.nan), np.append(wrong[1], 1), np.inf)
    found = nobody.metrics(nobody.order(), np.ones((1, 2001)))
    assert found["refused_at_target"] == 1
    assert np.isnan(found["risk_at_target"])
    everybody = Selective(np.array([0.1, np.nan]), np.array([0.0, 1.0]), -np.inf)
    assert everybody.accepted.tolist() == [True, False]


def test_answers_without_confidence_are_refused_first():
    confidence = np.array([np.nan, 0.2, 0.9])
    coverage, risk = risk_coverage(confidence, np.array([1.0, 0.0, 0.0]))
    assert coverage == pytest.approx([1 / 3, 2 / 3, 1])
    assert risk == pytest.approx([0, 0, 1 / 3])


def test_area_under_the_curve_by_hand():
    wrong = np.array([0.0, 1.0, 0.0, 1.0])
    assert aurc(np.array([0.9, 0.8, 0.7, 0.6]), wrong) == pytest.approx(
        np.mean([0, 1 / 2, 1 / 3, 2 / 4])
    )
    # Without any information, the risk is the same at every coverage.
    assert aurc(np.ones(4), wrong) == pytest.approx(0.5)
    assert np.isnan(aurc(np.empty(0), np.empty(0)))


def test_confidence_of_a_redshift_is_its_narrowness():
    scores = value_scores()
    width = (scores.high - scores.low) / (1 + scores.pred)
    assert (np.argsort(-scores.confidence) == np.argsort(width)).all()
