"""The bootstrap against drawing the rows one by one."""

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given, settings
from test_metric_values import class_scores, once, value_scores

from specvit.config.reporting import Evaluate
from specvit.metrics import groups as groups_module
from specvit.metrics import resample
from specvit.metrics.classification import ClassScores
from specvit.metrics.groups import Group, make_groups
from specvit.metrics.resample import interval, object_draws, weighted_mad
from specvit.metrics.score import Estimate, holm, score


def everything(n):
    return [Group("all", "all", np.ones(n, dtype=bool))]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-1e6, 1e6, allow_subnormal=False), st.integers(0, 4)),
        min_size=1,
        max_size=40,
    )
)
def test_median_and_deviation_are_those_of_repeated_values(pairs):
    pairs = sorted(pairs)
    values = np.array([value for value, _ in pairs])
    weights = np.array([weight for _, weight in pairs])
    repeated = np.repeat(values, weights)
    middle, mad = weighted_mad(values, weights[None].astype(float))
    if len(repeated) == 0:
        assert np.isnan([middle[0], mad[0]]).all()
        return
    assert middle[0] == np.median(repeated)
    expected = np.median(np.abs(repeated - np.median(repeated)))
    assert mad[0] == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("make", [class_scores, value_scores])
def test_a_draw_gives_the_metrics_of_the_rows_it_repeats(make):
    scores = make()
    n = len(scores.true)
    counts = next(object_draws(n, 3, seed=5))
    order = scores.order()
    found = scores.metrics(order, counts[:, order])
    for i, row in enumerate(counts):
        rows = np.repeat(np.arange(n), row.astype(int))
        fields = {
            name: value[rows] if isinstance(value, np.ndarray) else value
            for name, value in vars(scores).items()
        }
        for name, value in once(type(scores)(**fields)).items():
            assert found[name][i] == pytest.approx(value, rel=1e-9, abs=1e-12), name


def test_draws_keep_the_number_of_objects_and_follow_the_seed(monkeypatch):
    first = np.concatenate(list(object_draws(50, 20, seed=1)))
    assert first.shape == (20, 50)
    assert (first.sum(axis=1) == 50).all()
    assert first.var() == pytest.approx(1 - 1 / 50, rel=0.2)  # multinomial
    assert (first == np.concatenate(list(object_draws(50, 20, seed=1)))).all()
    assert (first != np.concatenate(list(object_draws(50, 20, seed=2)))).any()
    monkeypatch.setattr(resample, "BATCH_ELEMENTS", 150)
    assert (first == np.concatenate(list(object_draws(50, 20, seed=1)))).all()


def test_interval_agrees_with_the_binomial_law():
    scores = class_scores(n=1000)
    objects = np.arange(1000)
    found = score({"m": scores}, everything(1000), objects, 2000, 1)["m"]["all", "all"]["accuracy"]
    share = found.value
    error = np.sqrt(share * (1 - share) / 1000)
    low, high = found.interval
    assert (high - low) / (2 * 1.96 * error) == pytest.approx(1, abs=0.08)
    assert low < share < high
    exact = scipy.stats.binomtest(round(share * 1000), 1000).proportion_ci()
    assert (low, high) == pytest.approx((exact.low, exact.high), abs=0.005)


def test_repeats_of_an_object_widen_the_interval():
    scores = class_scores(n=300)
    copies = type(scores)(
        scores.labels, *(np.repeat(a, 4, axis=0) for a in (scores.true, scores.pred, scores.prob))
    )
    by_object = score({"m": copies}, everything(1200), np.repeat(np.arange(300), 4), 1000, 1)
    by_row = score({"m": copies}, everything(1200), np.arange(1200), 1000, 1)

    def width(found):
        low, high = found["m"]["all", "all"]["accuracy"].interval
        return high - low

    # Four copies of each object carry the information of one: twice the width.
    assert width(by_object) / width(by_row) == pytest.approx(2, abs=0.25)


def test_differences_are_paired():
    scores = class_scores(n=600)
    pred = scores.pred.copy()
    wrong = np.flatnonzero(scores.true == pred)[:12]
    pred[wrong] = (pred[wrong] + 1) % 3
    worse = type(scores)(scores.labels, scores.true, pred, scores.prob)
    found = score({"a": scores, "b": worse}, everything(600), np.arange(600), 1000, 1)
    a, b = (found[name]["all", "all"]["accuracy"] for name in "ab")
    low, high = (a - b).interval
    assert (a - b).value == pytest.approx(12 / 600)
    assert 0 < low < 12 / 600 < high
    assert high - low < 0.4 * (a.interval[1] - a.interval[0])
    assert a.interval[0] < b.interval[1], "unpaired, the two intervals overlap"


def test_a_group_absent_from_many_draws_has_no_interval():
    mask = np.zeros(200, dtype=bool)
    mask[0] = True
    found = score(
        {"m": class_scores(n=200)},
        [*everything(200), Group("class", "rare", mask)],
        np.arange(200),
        200,
        1,
    )
    rare = found["m"]["class", "rare"]["accuracy"]
    assert rare.value in (0.0, 1.0)
    assert np.isnan(rare.interval).all()
    assert np.isnan(interval(np.array([]))).all()


def test_interval_of_the_calibration_error_holds_its_value():
    # The ECE of a draw is larger than that of the data: not corrected, the interval would miss it.
    scores = class_scores(n=300)
    found = score({"m": scores}, everything(300), np.arange(300), 500, 1)["m"]["all", "all"]["ece"]
    low, high = found.interval
    assert low < found.value < high


def drawn_answers(prob, generator):
    """Answers of a model whose probability of the true label is `prob` for a label it says."""
    said = np.column_stack([prob, 1 - prob])
    true = (generator.random(len(prob)) > prob - OVERCONFIDENCE).astype(int)
    return ClassScores(("STAR", "QSO"), true, np.zeros(len(prob), dtype=int), said)


OVERCONFIDENCE = 0.02


def test_estimate_and_interval_of_the_calibration_error_are_freed_of_the_same_bias():
    """The truth is 0.02; the plain ECE of 300 spectra says more, on the average of 40 tries."""
    plain, estimates, held = [], [], []
    for seed in range(40):
        generator = np.random.default_rng(seed)
        scores = drawn_answers(generator.uniform(0.6, 1.0, 300), generator)
        metrics = scores.metrics(np.arange(300), np.ones((1, 300)))
        plain.append(metrics["ece"][0])
        models = {"m": scores}
        found = score(models, everything(300), np.arange(300), 200, seed)["m"]["all", "all"]["ece"]
        estimates.append(found.value)
        low, high = found.interval
        held.append(low <= OVERCONFIDENCE <= high)
        assert low <= found.value <= high
    bias = np.mean(plain) - OVERCONFIDENCE
    assert bias > 0.01
    assert abs(np.mean(estimates) - OVERCONFIDENCE) < 0.5 * bias
    assert np.mean(held) > 0.8


def test_holm_multiplies_by_what_is_left_and_never_falls():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_few_families_of_equal_models_have_a_decision():
    generator = np.random.default_rng(0)
    families = generator.random((400, 50))
    without = np.mean([family.min() <= 0.05 for family in families])
    adjusted = np.mean([min(holm(family)) <= 0.05 for family in families])
    assert adjusted < 0.09 < 0.8 < without


def test_p_value_is_that_of_a_mean():
    generator = np.random.default_rng(0)
    data = generator.normal(0.15, 1, 400)
    draws = next(object_draws(400, 4000, 1)) @ data / 400
    p = Estimate(data.mean(), draws).p_value
    assert p == pytest.approx(scipy.stats.ttest_1samp(data, 0).pvalue, rel=0.3)
    assert np.isnan(Estimate(0.1, np.full(50, np.nan)).p_value)
    assert np.isnan(Estimate(0.1, np.full(50, 0.1)).p_value)


def test_groups_hold_every_row_once_for_each_kind(monkeypatch):
    monkeypatch.setattr(groups_module, "SUBCLASSES", 1)
    frame = pd.DataFrame(
        {
            "class": ["STAR", "QSO", None, "GALAXY", "STAR", "STAR"],
            "survey": ["sdss", "lamost", "sdss", "sdss", "sdss", "sdss"],
            "snr": [1.0, 5.0, np.nan, 2000.0, 10.0, 4.999],
            "z": [0.0, 1.5, 0.3, 0.2, -0.5, 0.001],
            "subclass": ["A0", None, "B", "C", "A0", "B"],
        }
    )
    groups = make_groups(frame, Evaluate())
    for by in ("class", "survey", "snr", "z", "subclass"):
        total = sum(group.mask.astype(int) for group in groups if group.by == by)
        assert (total == 1).all(), by
    named = {(group.by, group.name): np.flatnonzero(group.mask).tolist() for group in groups}
    assert named["snr", "0 to 5"] == [0, 5]
    assert named["snr", "5 to 10"] == [1]
    assert named["snr", "other"] == [3]
    assert named["snr", "unknown"] == [2]
    assert named["z", "other"] == [4]
    assert named["z", "0.2 to 0.5"] == [2, 3]
    assert named["class", "unknown"] == [2]
    assert named["subclass", "A0"] == [0, 4], "of two equally frequent, the first by name"
    assert named["subclass", "other"] == [2, 3, 5]
    assert named["all", "all"] == list(range(6))
