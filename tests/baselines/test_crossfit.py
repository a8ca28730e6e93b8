"""Folds by object: nothing held out is known, every label is learned, nothing is held out twice."""

from __future__ import annotations

import numpy as np

from specvit.baselines.crossfit import FOLDS, cross_fit, folds

RNG = np.random.default_rng(1)
OBJECTS = np.array([f"o{i // 2}" for i in range(120)])  # two spectra each
LABELS = np.where(np.arange(120) // 2 % 3, "GALAXY", "QSO")
LABELS[:4] = "STAR"  # two objects: fewer than folds


def test_no_object_is_on_both_sides_and_every_label_is_fitted_on():
    held = []
    for rest, out in folds(LABELS, OBJECTS, seed=1):
        assert not set(OBJECTS[rest]) & set(OBJECTS[out])
        assert sorted([*rest, *out]) == list(range(120))
        assert set(LABELS[rest]) == {"STAR", "GALAXY", "QSO"}
        held += out.tolist()
    assert sorted(held) == list(range(4, 120))  # but the label with two objects


def test_outputs_are_of_models_that_did_not_see_the_object():
    """A model that remembers what it saw: only rows that no fold holds out are known to it."""
    seen = cross_fit(
        lambda rows: set(OBJECTS[rows]),
        lambda model, rows: np.array([OBJECTS[row] in model for row in rows], dtype=float),
        set(OBJECTS),
        LABELS,
        OBJECTS,
        seed=1,
    )
    np.testing.assert_array_equal(seen, [1.0] * 4 + [0.0] * 116)


def test_too_few_objects_leave_the_whole_model():
    few = slice(4, 4 + 2 * (FOLDS - 1))
    assert list(folds(LABELS[few], OBJECTS[few], seed=1)) == []
