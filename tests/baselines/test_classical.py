"""SVM, forest and neighbours on features: by hand where possible, by known noise elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from specvit.baselines import svm
from specvit.baselines.baseline import Setup
from specvit.baselines.classical import Labelled
from specvit.baselines.distributions import Classes, Numbers
from specvit.baselines.forest import RandomForest
from specvit.baselines.knn import Knn
from specvit.baselines.svm import Svm
from specvit.config.baselines import KnnSettings, RandomForestSettings, SvmSettings
from specvit.config.data import Grid
from specvit.tasks import TASKS

METHODS = [Svm, RandomForest, Knn]
SETTINGS = {Svm: SvmSettings(), RandomForest: RandomForestSettings(trees=60), Knn: KnnSettings()}
CLASS, REDSHIFT, TEFF = TASKS["class"], TASKS["redshift"], TASKS["teff"]


def fit(method, task, data, seed=1, threads=1, settings=None):
    setup = Setup([task], settings or SETTINGS[method], Grid(), seed, threads)
    return method.fit_task(task, data, setup)


def two_blobs(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4)).astype(np.float32)
    y = np.where(np.arange(n) % 2, "QSO", "STAR")
    X[:, 0] += np.where(y == "QSO", 1.5, -1.5)
    return X, y


def noisy_line(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n, 3)).astype(np.float32)
    return X, X[:, 0] + rng.normal(0, 0.2, n)


def blobs() -> Labelled:
    return Labelled(*two_blobs(200, 1), *two_blobs(100, 2), np.arange(200))


def line() -> Labelled:
    return Labelled(*noisy_line(400, 1), *noisy_line(400, 2), np.arange(400))


@pytest.mark.parametrize("method", METHODS)
def test_classes_are_told_apart_and_probabilities_sum_to_one(method):
    state, told = fit(method, CLASS, blobs())
    X, y = two_blobs(400, 3)
    answer = method.predict_task(CLASS, state, X)
    assert isinstance(answer, Classes)
    np.testing.assert_allclose(answer.prob.sum(axis=1), 1)
    assert np.all(answer.prob[:, CLASS.labels.index("GALAXY")] == 0)  # never seen
    predicted = np.array(CLASS.labels)[answer.prob.argmax(axis=1)]
    # The best possible is the normal distribution beyond 1.5 sigma: 93.3 %.
    assert np.mean(predicted == y) > 0.88
    assert told["chosen"] in [
        {key: value for key, value in point.items() if key != "score"} for point in told["grid"]
    ]


@pytest.mark.parametrize("method", METHODS)
def test_intervals_hold_about_their_share(method):
    state, _ = fit(method, TEFF, line())
    X, y = noisy_line(500, 3)
    answer = method.predict_task(TEFF, state, X)
    assert isinstance(answer, Numbers)
    assert np.all(np.diff(answer.quantiles, axis=1) >= 0)
    inside = (answer.quantiles[:, 16] <= y) & (y <= answer.quantiles[:, 84])
    assert 0.5 < inside.mean() < 0.86
    assert np.median(np.abs(answer.value - X[:, 0])) < 0.15


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_answers_for_any_number_of_threads(method):
    X, _ = noisy_line(50, 3)
    values = []
    for threads in (1, 3):
        state, _ = fit(method, TEFF, line(), seed=5, threads=threads)
        values.append(method.predict_task(TEFF, state, X).value)
    np.testing.assert_array_equal(*values)


def test_the_kernel_switches_at_the_size_that_is_set_and_says_so():
    exact = fit(Svm, CLASS, blobs(), settings=SvmSettings(max_rbf=200))[1]
    approximate = fit(Svm, CLASS, blobs(), settings=SvmSettings(max_rbf=199))[1]
    assert exact["kernel"] == "rbf"
    assert approximate["kernel"] == "nystroem + linear"
    assert approximate["kernel_because"] == "200 train spectra, max_rbf = 199"


def test_nystroem_and_a_linear_machine_do_as_well_as_the_kernel():
    X, y = noisy_line(500, 3)
    errors = []
    for settings in (SvmSettings(), SvmSettings(max_rbf=10)):
        state, _ = fit(Svm, TEFF, line(), settings=settings)
        errors.append(np.abs(Svm.predict_task(TEFF, state, X).value - y).mean())
    assert errors[1] < 1.2 * errors[0]


def test_svm_probabilities_are_honest_for_spectra_not_seen():
    state, told = fit(Svm, CLASS, blobs())
    assert "5 folds by object" in told["probabilities"]
    X, y = two_blobs(2000, 4)
    prob = Svm.predict_task(CLASS, state, X).prob[:, CLASS.labels.index("QSO")]
    for low, high in ((0.05, 0.4), (0.6, 0.95)):
        chosen = (prob > low) & (prob < high)
        assert np.mean(y[chosen] == "QSO") == pytest.approx(prob[chosen].mean(), abs=0.15)


@pytest.mark.parametrize(("task", "data"), [(CLASS, blobs()), (TEFF, line())])
def test_val_calibrates_no_svm(task, data, monkeypatch):
    """With one point in the grid there is nothing to choose: val of any labels changes nothing."""
    monkeypatch.setattr(svm, "WHITEN", (False,))
    one = SvmSettings(C=(1.0,), gamma=(1.0,))
    other = Labelled(data.X, data.y, data.X_val[::-1], data.y_val, data.objects)
    found = [
        Svm.predict_task(task, fit(Svm, task, each, settings=one)[0], data.X_val)
        for each in (data, other)
    ]
    field = "prob" if task is CLASS else "quantiles"
    np.testing.assert_array_equal(*(getattr(each, field) for each in found))


def test_svm_knows_a_class_that_val_lacks():
    data = blobs()
    only = data.y_val == "STAR"
    data = Labelled(data.X, data.y, data.X_val[only], data.y_val[only], data.objects)
    state, _ = fit(Svm, CLASS, data)
    prob = Svm.predict_task(CLASS, state, two_blobs(20, 3)[0]).prob
    assert prob[:, CLASS.labels.index("QSO")].max() > 0.5


def test_a_class_of_one_object_is_still_learned():
    data = blobs()
    y = data.y.astype("<U6")
    y[0] = "GALAXY"
    X = data.X.copy()
    X[0] = 30.0
    state, _ = fit(Svm, CLASS, Labelled(X, y, data.X_val, data.y_val, data.objects))
    assert list(state["logistic"].classes_) == ["GALAXY", "QSO", "STAR"]


def test_a_forest_grown_in_steps_is_the_forest_grown_at_once():
    X, y = noisy_line(100, 1)
    state, told = fit(RandomForest, TEFF, Labelled(X, y, *noisy_line(50, 2), np.arange(100)))
    grown = state["model"]
    assert len(grown.estimators_) == told["trees"] == 60
    at_once = type(grown)(**{**grown.get_params(), "warm_start": False}).fit(X, y)
    np.testing.assert_array_equal(at_once.predict(X), grown.predict(X))


def test_a_forest_answers_with_the_median_and_spread_of_its_trees():
    state, _ = fit(RandomForest, TEFF, line())
    X, _ = noisy_line(20, 3)
    trees = np.array([tree.predict(X) for tree in state["model"].estimators_])
    answer = RandomForest.predict_task(TEFF, state, X)
    np.testing.assert_allclose(answer.value, np.median(trees, axis=0))
    np.testing.assert_allclose(answer.quantiles[:, 16], np.quantile(trees, 0.16, axis=0))


TWO = KnnSettings(k=(2,))  # in one dimension whitening changes nothing


def neighbours(y: np.ndarray, y_val: np.ndarray) -> Labelled:
    """Four train points on a line at 0, 1, 3, 7."""
    X = np.array([[0.0], [1.0], [3.0], [7.0]], dtype=np.float32)
    return Labelled(X, y, X[:1], y_val, np.arange(4))


def test_neighbours_vote_by_inverse_distance():
    labels = np.array(["STAR", "QSO", "QSO", "GALAXY"])
    data = neighbours(labels, labels[:1])
    state, _ = fit(Knn, CLASS, data, settings=TWO)
    # 0.25 from the star at 0, 0.75 from the quasar at 1: weights 4 and 4/3.
    prob = Knn.predict_task(CLASS, state, np.array([[0.25]], dtype=np.float32)).prob
    np.testing.assert_allclose(prob, [[0.75, 0.0, 0.25]])


def test_neighbours_values_are_weighted_by_inverse_distance():
    values = np.log1p(np.array([0.0, 0.1, 0.5, 1.0]))
    data = neighbours(values, values[:1])
    state, _ = fit(Knn, REDSHIFT, data, settings=TWO)
    # 1 from 0.1 at x = 1 and 1 from 0.5 at x = 3: equal weights, the median is the middle.
    answer = Knn.predict_task(REDSHIFT, state, np.array([[2.0]], dtype=np.float32))
    np.testing.assert_allclose(answer.value, (values[1] + values[2]) / 2)
    # At a train point, that point alone decides.
    answer = Knn.predict_task(REDSHIFT, state, np.array([[7.0]], dtype=np.float32))
    np.testing.assert_allclose(answer.value, values[3], atol=1e-6)


@pytest.mark.parametrize("method", [Svm, Knn])
def test_whitening_is_chosen_when_noise_is_in_the_strongest_component(method):
    rng = np.random.default_rng(1)
    X, y = two_blobs(200, 1)
    X_val, y_val = two_blobs(200, 2)
    X[:, 1], X_val[:, 1] = 100 * rng.normal(size=(2, 200))
    state, told = fit(method, CLASS, Labelled(X, y, X_val, y_val, np.arange(200)))
    assert told["chosen"]["whiten"] is True
    divisor = state["divisor" if method is Svm else "scale"]
    np.testing.assert_allclose(divisor, X.std(axis=0), rtol=1e-5)


def test_the_sample_of_each_tree_is_what_is_set():
    _, told = fit(RandomForest, CLASS, blobs(), settings=RandomForestSettings(rows_each_tree=50))
    assert told["rows_each_tree"] == 50
