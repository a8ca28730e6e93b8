"""Each metric against a computation that shares no code with ours."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import sklearn.metrics as sk

from specvit.metrics.classification import ClassScores, confusion
from specvit.metrics.definitions import (
    ANYTHING,
    COMPARED,
    HEADLINE,
    METRICS,
    RANKING,
    headline,
    improvement,
    shown,
)
from specvit.metrics.values import ValueScores, velocity_limit
from specvit.tasks import ALL_CLASSES, CLASSES, TASKS

N = 400


def class_scores(seed=0, n=N, k=3):
    generator = np.random.default_rng(seed)
    true = generator.integers(0, k, n)
    logits = generator.normal(size=(n, k)) + 1.5 * np.eye(k)[true]
    prob = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return ClassScores(CLASSES[:k], true, prob.argmax(axis=1), prob)


def value_scores(seed=0, n=N, redshift=True):
    generator = np.random.default_rng(seed)
    true = generator.gamma(2, 0.4, n)
    pred = true + 0.004 * generator.normal(size=n) * (1 + true)
    pred[:: n // 20] += generator.normal(size=len(pred[:: n // 20]))
    width = 0.004 * (1 + true)
    limit = np.where(generator.random(n) < 0.3, 3000.0, 1000.0) if redshift else None
    pit = scipy.stats.norm.cdf((true - pred) / width)
    return ValueScores(true, pred, pred - width, pred + width, pit, limit)


def once(scores, rows=None):
    """Metrics of the data themselves, as plain floats."""
    order = scores.order()
    chosen = order if rows is None else order[np.isin(order, rows)]
    found = scores.metrics(chosen, np.ones((1, len(chosen))))
    return {name: float(value[0]) for name, value in found.items()}


def test_classification_agrees_with_scikit_learn():
    scores = class_scores()
    found = once(scores)
    true, pred = scores.true, scores.pred
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(true, pred), abs=1e-12)
    assert found["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(true, pred))
    assert found["macro_f1"] == pytest.approx(sk.f1_score(true, pred, average="macro"))
    assert found["nll"] == pytest.approx(sk.log_loss(true, scores.prob))
    assert (confusion(scores) == sk.confusion_matrix(true, pred)).all()
    recall = sk.recall_score(true, pred, average=None)
    precision = sk.precision_score(true, pred, average=None)
    for i, label in enumerate(scores.labels):
        assert found[f"recall_{label}"] == pytest.approx(recall[i])
        assert found[f"precision_{label}"] == pytest.approx(precision[i])
    onehot = np.eye(3)[true]
    assert found["brier"] == pytest.approx(
        sum(sk.brier_score_loss(onehot[:, i], scores.prob[:, i]) for i in range(3))
    )


def test_whether_anything_is_there_is_a_question_of_two_answers():
    generator = np.random.default_rng(5)
    true, pred = generator.integers(0, 4, (2, N))
    pred[:9] = -1  # no answer: of nothing said to be there
    scores = ClassScores(ALL_CLASSES, true, pred, np.full((N, 4), 0.25))
    found = once(scores)
    there, said = true != 3, (pred != 3) & (pred >= 0)
    assert found["anything_purity"] == pytest.approx(sk.precision_score(there, said))
    assert found["anything_completeness"] == pytest.approx(sk.recall_score(there, said))
    # Nothing else is moved by the columns behind them.
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(true, pred))
    assert not any(name.startswith("anything") for name in once(class_scores()))
    assert headline("classification", CLASSES) == HEADLINE["classification"]
    assert headline("classification", ALL_CLASSES)[-2:] == ANYTHING


def test_calibration_error_agrees_with_a_loop_over_bins():
    scores = class_scores(seed=3)
    confidence = scores.prob.max(axis=1)
    error = 0.0
    for i in range(15):
        inside = (confidence > i / 15) & (confidence <= (i + 1) / 15)
        if inside.any():
            right = (scores.true == scores.pred)[inside].mean()
            error += inside.mean() * abs(right - confidence[inside].mean())
    assert once(scores)["ece"] == pytest.approx(error, abs=1e-12)


def test_calibration_error_of_a_hand_made_case():
    # Two answers at 0.9, one of them right: |0.5 - 0.9| in one bin.
    prob = np.array([[0.9, 0.1], [0.9, 0.1]])
    scores = ClassScores(("STAR", "QSO"), np.array([0, 1]), np.array([0, 0]), prob)
    assert once(scores)["ece"] == pytest.approx(0.4)


def test_no_answer_is_a_wrong_answer():
    scores = class_scores()
    silent = ClassScores(
        scores.labels, scores.true, np.where(np.arange(N) < 40, -1, scores.true), scores.prob
    )
    assert once(silent)["accuracy"] == pytest.approx(0.9)
    assert confusion(silent).sum() == N - 40


def test_averages_over_classes_need_two_classes():
    scores = class_scores()
    one = once(scores, np.flatnonzero(scores.true == 1))
    assert np.isnan(one["balanced_accuracy"])
    assert np.isnan(one["macro_f1"])
    assert one["accuracy"] == pytest.approx(
        sk.recall_score(scores.true, scores.pred, average=None)[1]
    )


def test_redshift_agrees_with_scipy_and_scikit_learn():
    scores = value_scores()
    found = once(scores)
    dz = (scores.pred - scores.true) / (1 + scores.true)
    mad = scipy.stats.median_abs_deviation(dz)
    assert found["sigma_nmad"] == pytest.approx(1.4826 * mad, rel=1e-12)
    assert found["bias"] == pytest.approx(np.mean(dz), rel=1e-9)
    assert found["median_bias"] == pytest.approx(np.median(dz), rel=1e-12)
    assert found["r2"] == pytest.approx(sk.r2_score(scores.true, scores.pred), rel=1e-9)
    for limit in (0.005, 0.05, 0.15):
        assert found[f"outlier_{limit:g}"] == pytest.approx(np.mean(np.abs(dz) > limit))
    inside = (scores.low <= scores.true) & (scores.true <= scores.high)
    assert found["coverage_68"] == pytest.approx(inside.mean())


def test_success_is_by_velocity_and_class():
    # dz = 0.005 is 1499 km/s: too much for a galaxy or star, fine for a quasar; none for unknown.
    classes = pd.Series(["STAR", "GALAXY", "QSO", None, "QSO"])
    true = np.array([0.0, 0.5, 2.0, 0.1, 2.0])
    dz = np.array([0.005, 0.005, 0.005, 0.0033, 0.0101])
    nan = np.full(5, np.nan)
    scores = ValueScores(true, true + dz * (1 + true), nan, nan, nan, velocity_limit(classes))
    assert scores.success.tolist() == [False, False, True, True, False]
    assert once(scores)["success"] == pytest.approx(0.4)
    assert np.isnan(once(scores)["coverage_68"])


def test_a_redshift_not_given_fails_but_does_not_blur_the_others():
    full = value_scores()
    pred = full.pred.copy()
    pred[:100] = np.nan
    some = ValueScores(full.true, pred, full.low, full.high, full.pit, full.limit)
    found, rest = once(some), once(full, np.arange(100, N))
    assert found["sigma_nmad"] == pytest.approx(rest["sigma_nmad"])
    assert found["bias"] == pytest.approx(rest["bias"])
    assert found["r2"] == pytest.approx(rest["r2"])
    assert found["success"] == pytest.approx(rest["success"] * 0.75)
    assert found["outlier_0.05"] == pytest.approx(rest["outlier_0.05"] * 0.75 + 0.25)


def test_another_number_agrees_with_scikit_learn():
    scores = value_scores(redshift=False)
    found = once(scores)
    assert found["mae"] == pytest.approx(sk.mean_absolute_error(scores.true, scores.pred))
    assert found["rmse"] == pytest.approx(sk.root_mean_squared_error(scores.true, scores.pred))
    error = scores.pred - scores.true
    assert found["scatter_nmad"] == pytest.approx(
        scipy.stats.median_abs_deviation(error, scale=1 / 1.4826), rel=1e-9
    )
    assert found["mean_error"] == pytest.approx(error.mean())
    assert found["median_error"] == pytest.approx(np.median(error))
    assert "success" not in found


def test_r2_far_from_zero_keeps_its_digits():
    generator = np.random.default_rng(1)
    true = 1e6 + generator.normal(size=N)
    pred = true + 0.1 * generator.normal(size=N)
    nan = np.full(N, np.nan)
    found = once(ValueScores(true, pred, nan, nan, nan, None))
    assert found["r2"] == pytest.approx(sk.r2_score(true, pred), rel=1e-6)


def test_r2_of_equal_truths_is_undefined():
    same = np.full(5, 0.3)
    scores = ValueScores(same, same + 0.01, same, same, same, np.full(5, 1000.0))
    assert np.isnan(once(scores)["r2"])


@pytest.mark.parametrize("task", ["class", "redshift", "teff"])
def test_from_a_predictions_table(task):
    frame = pd.DataFrame({"class": ["STAR", "QSO"]})
    if task == "class":
        frame["class_true"], frame["class_pred"] = ["STAR", "QSO"], ["QSO", None]
        for label, column in zip(CLASSES, ([0.2, 0.1], [0.1, 0.1], [0.7, 0.8]), strict=True):
            frame[f"class_prob_{label}"] = column
        scores = ClassScores.of(frame, TASKS["class"])
        assert scores.true.tolist() == [0, 2]
        assert scores.pred.tolist() == [2, -1]
        assert scores.prob[:, 2].tolist() == [0.7, 0.8]
    else:
        for part in ("true", "pred", "lo", "hi", "pit"):
            frame[f"{task}_{part}"] = [0.1, 0.2]
        scores = ValueScores.of(frame, TASKS[task])
        assert (scores.limit is None) == (task == "teff")


def test_every_metric_that_is_shown_is_described_and_computed():
    computed = {**once(class_scores()), **once(value_scores())}
    computed |= once(value_scores(redshift=False))
    for table in (HEADLINE, COMPARED):
        for names in table.values():
            assert set(names) <= set(METRICS)
    assert set(RANKING.values()) <= set(METRICS)
    # The rest come from calibration and selective prediction, tested beside them.
    derived = {"aurc", "interval_factor", "pit_ks", "risk", "temperature"}
    derived |= {"refused_at_target", "risk_at_target", *ANYTHING}
    assert set(METRICS) - set(computed) <= derived


def test_improvement_knows_which_way_is_better():
    assert improvement("accuracy", 0.1) == 1
    assert improvement("sigma_nmad", 0.1) == -1
    assert improvement("ece", 0.0) == 0
    with pytest.raises(ValueError, match="bias"):
        improvement("bias", 0.1)


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("accuracy", 0.95166, "0.9517"),
        ("accuracy", None, "–"),
        ("sigma_nmad", 0.0008625, "0.862"),
        ("sigma_nmad", 0.0123456, "12.3"),
        ("bias", -0.000046, "\N{MINUS SIGN}0.0460"),
        ("rmse", 152.349, "152"),
        ("rmse", 0.0, "0"),
    ],
)
def test_numbers_as_shown(metric, value, text):
    assert shown(metric, value) == text
