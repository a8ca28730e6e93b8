"""Saved models: no code on loading, damage noticed."""

from __future__ import annotations

import io
import pickle
import zipfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.svm import SVC

from specvit.baselines.store import (
    TRUSTED,
    load_arrays,
    load_skops,
    save_arrays,
    save_skops,
)
from specvit.errors import DataError

X = np.random.default_rng(1).normal(size=(60, 4)).astype(np.float32)
Y = np.where(X[:, 0] > 0, "STAR", "QSO")


def state() -> dict:
    return {
        "forest": RandomForestClassifier(5, random_state=0).fit(X, Y),
        "values": RandomForestRegressor(5, random_state=0).fit(X, X[:, 1]),
        "svm": SVC().fit(X, Y),
        "array": X,
        "k": 3,
        "scale": 0.5,
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_skops(tmp_path / "model.skops", state())
    return tmp_path / "model.skops"


def test_loaded_models_answer_as_before(path):
    before, after = state(), load_skops(path)
    np.testing.assert_array_equal(after["array"], X)
    for name in ("forest", "values", "svm"):
        np.testing.assert_array_equal(after[name].predict(X), before[name].predict(X))
    np.testing.assert_array_equal(
        after["svm"].decision_function(X), before["svm"].decision_function(X)
    )


def test_only_the_trees_type_needs_trust_and_nothing_is_pickled(path):
    assert set(skops.io.get_untrusted_types(file=path)) == set(TRUSTED)
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".npy"):
                np.load(io.BytesIO(archive.read(name)), allow_pickle=False)


def test_a_type_that_is_not_listed_is_not_loaded(tmp_path):
    skops.io.dump({"x": Fraction(1, 2)}, tmp_path / "model.skops")
    with pytest.raises(DataError, match="UntrustedTypesFoundException"):
        load_skops(tmp_path / "model.skops")


def test_a_pickle_is_not_loaded(tmp_path):
    (tmp_path / "model.skops").write_bytes(pickle.dumps({"x": 1}))
    with pytest.raises(DataError, match="cannot be loaded as a baseline"):
        load_skops(tmp_path / "model.skops")


@pytest.mark.parametrize("keep", [0, 100, -200])
def test_a_damaged_archive_is_a_data_error(path, keep):
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match="train it again"):
        load_skops(path)


def test_a_missing_archive_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        load_skops(tmp_path / "model.skops")


def test_another_object_than_a_baseline_is_a_data_error(tmp_path):
    skops.io.dump([1, 2], tmp_path / "model.skops")
    with pytest.raises(DataError, match="holds list"):
        load_skops(tmp_path / "model.skops")


def test_arrays_come_back_with_their_shapes_and_settings(tmp_path):
    arrays = {"scalar": np.array(7), "turned": np.arange(6.0).reshape(2, 3).T}
    save_arrays(tmp_path, arrays, {"step": 0.25})
    found, settings = load_arrays(tmp_path)
    assert found["scalar"].shape == ()
    np.testing.assert_array_equal(found["turned"], arrays["turned"])
    assert settings["step"] == 0.25


def test_arrays_that_do_not_belong_to_their_settings_are_a_data_error(tmp_path):
    save_arrays(tmp_path / "a", {"x": np.zeros(3)}, {})
    save_arrays(tmp_path / "b", {"x": np.ones(3)}, {})
    (tmp_path / "a" / "model.safetensors").replace(tmp_path / "b" / "model.safetensors")
    with pytest.raises(DataError, match="does not belong"):
        load_arrays(tmp_path / "b")
    with pytest.raises(DataError, match="does not exist"):
        load_arrays(tmp_path / "a")
