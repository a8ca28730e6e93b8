"""The choice of hyper-parameters: the lowest score, every score told."""

from __future__ import annotations

import numpy as np
import pytest

from specvit.baselines.search import loss, search
from specvit.tasks import TASKS


def test_the_first_of_the_lowest_is_kept_and_every_score_is_told():
    scores = {1: 0.4, 2: 0.1, 3: 0.1}
    fitted, choice = search(
        "test", [{"C": c} for c in scores], lambda p: (f"model {p['C']}", scores[p["C"]])
    )
    assert fitted == "model 2"
    assert choice.as_dict(TASKS["class"]) == {
        "chosen": {"C": 2},
        "criterion": "val: share of wrong answers",
        "grid": [{"C": 1, "score": 0.4}, {"C": 2, "score": 0.1}, {"C": 3, "score": 0.1}],
    }


def test_losses_by_hand():
    assert loss(TASKS["class"], np.array(["A", "B", "B"]), np.array(["A", "B", "A"])) == (
        pytest.approx(1 / 3)
    )
    assert loss(TASKS["teff"], np.array([1.0, 5.0]), np.array([2.0, 2.0])) == 2.0
    z, predicted = np.array([0.5, 1.0]), np.array([0.53, 9.0])
    # |dz| = 0.03 / 1.5 = 0.02, and 4, which counts as 0.15.
    found = loss(TASKS["redshift"], np.log1p(z), np.log1p(predicted))
    assert found == pytest.approx((0.02 + 0.15) / 2)


def test_as_good_as_the_best_is_what_one_standard_error_cannot_tell():
    scores = {1: 0.010, 2: 0.0065, 3: 0.0110, 4: 0.0120}
    _, choice = search("test", [{"C": c} for c in scores], lambda p: (None, scores[p["C"]]))
    # sqrt(0.0065 x 0.9935 / 309) = 0.0046.
    assert choice.as_good_as_best(309) == [{"C": 2}, {"C": 1}, {"C": 3}]
    assert choice.as_good_as_best(100_000) == [{"C": 2}]


def test_a_perfect_score_on_few_rows_is_not_told_from_one_mistake():
    scores = {1: 1 / 50, 2: 0.0, 3: 2 / 50}
    _, choice = search("test", [{"C": c} for c in scores], lambda p: (None, scores[p["C"]]))
    assert choice.as_good_as_best(50) == [{"C": 2}, {"C": 1}]
