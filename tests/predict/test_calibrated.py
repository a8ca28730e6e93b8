"""Predict, the API, and the report give one set of numbers."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small_model

import specvit
from specvit.io import write_json
from specvit.metrics.calibration import soften
from specvit.predict.calibrated import Calibration
from specvit.predictions import prob_columns
from specvit.tasks import TASKS

CLASS, PROBABILITIES = TASKS["class"], prob_columns(TASKS["class"])


def test_temperature_and_factors_by_class_are_applied(
    folder: Path, bare_folder: Path, spectra: Path
) -> None:
    raw = specvit.load(bare_folder).predict(spectra)
    ours = specvit.load(folder).predict(spectra)
    np.testing.assert_allclose(
        ours[PROBABILITIES], soften(raw[PROBABILITIES].to_numpy(), 0.5), atol=1e-6
    )
    factor = ours["class"].map(small_model.CALIBRATION["tasks"]["redshift"]["by_class"])
    for end in ("z_lo", "z_hi"):
        wanted = raw["z"] + (raw[end] - raw["z"]) * factor
        np.testing.assert_allclose(ours[end], wanted, atol=1e-9)
    # Nothing could be fitted for Teff: its intervals stay, they do not vanish.
    same = ["z", "z_second", "teff", "teff_lo", "teff_hi"]
    pd.testing.assert_frame_equal(ours[same], raw[same])
    assert (ours["class"] == raw["class"]).all()


def test_what_was_fitted_for_other_weights_is_not_applied(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = small_model.save_small(tmp_path / "vit")
    small_model.calibrate(folder, small_model.CALIBRATION)
    assert specvit.load(folder).calibration
    small_model.save_small(folder, seed=1)  # trained again
    with caplog.at_level(logging.WARNING, "specvit"):
        assert not specvit.load(folder).calibration
    assert "fitted for another training" in caplog.text
    write_json(folder / "calibration.json", small_model.CALIBRATION)  # names no weights
    assert specvit.load(folder).calibration
    (folder / "calibration.json").unlink()
    assert specvit.load(folder).calibration == Calibration()
    assert "does not exist" in caplog.text


def test_a_class_without_a_factor_takes_the_common_one() -> None:
    frame = pd.DataFrame(
        {
            "class_pred": ["STAR", "QSO", None],
            "redshift_pred": [1.0, 1.0, 1.0],
            "redshift_lo": [0.9, 0.9, 0.9],
            "redshift_hi": [1.2, 1.2, 1.2],
        }
    )
    from specvit.metrics.calibration import IntervalFactors

    calibration = Calibration({}, {"redshift": IntervalFactors(3.0, {"STAR": 2.0}, 100)})
    found = calibration.applied(frame, [TASKS["redshift"]])
    np.testing.assert_allclose(found["redshift_lo"], [0.8, 0.7, 0.7])
    np.testing.assert_allclose(found["redshift_hi"], [1.4, 1.6, 1.6])
    assert frame["redshift_lo"].tolist() == [0.9] * 3  # what was given is as it was
