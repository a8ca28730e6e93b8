"""Predictions that no model can have made are refused in words, before anything is computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from specvit.errors import DataError
from specvit.evaluate import read_metrics
from specvit.io import write_json
from specvit.predictions import IDENTITY, check_predictions, prob_columns
from specvit.tasks import TASKS

CLASS, REDSHIFT = TASKS["class"], TASKS["redshift"]
ROWS = 6


def predictions() -> pd.DataFrame:
    """Six sound rows."""
    frame = pd.DataFrame({name: np.arange(ROWS, dtype=float) for name in IDENTITY})
    frame["spectrum_id"] = [f"s{row}" for row in range(ROWS)]
    labels = [CLASS.labels[row % len(CLASS.labels)] for row in range(ROWS)]
    frame["class_true"], frame["class_pred"] = [None, *labels[1:]], labels
    for name in prob_columns(CLASS):
        frame[name] = np.float32(1 / len(CLASS.labels))
    for part in ("true", "pred", "lo", "hi", "pit"):
        frame[f"redshift_{part}"] = 0.5
    return frame


def put(name: str, value: object) -> Callable[[pd.DataFrame], None]:
    def change(frame: pd.DataFrame) -> None:
        frame[name] = frame[name].astype(object)
        frame.loc[3, name] = value
        if not isinstance(value, str):
            frame[name] = frame[name].infer_objects()

    return change


def two_and_minus_one(frame: pd.DataFrame) -> None:
    """Their sum is 1."""
    for name, value in zip(prob_columns(CLASS), (2.0, -1.0, 0.0), strict=True):
        frame.loc[3, name] = value


def all_nan(frame: pd.DataFrame) -> None:
    frame[prob_columns(CLASS)] = np.nan


CASES = {
    "2 and -1": (two_and_minus_one, "class are not all between 0 and 1, first those of s3"),
    "nan": (put("class_prob_STAR", np.nan), "class are not all between 0 and 1"),
    "infinite": (put("class_prob_STAR", np.inf), "class are not all between 0 and 1"),
    "all nan": (all_nan, "class are not all between 0 and 1"),
    "too much": (put("class_prob_STAR", 0.9), "class do not sum to 1"),
    "text": (put("class_prob_STAR", "much"), "class_prob_STAR holds object, not numbers"),
    "another label": (put("class_pred", "COMET"), "class_pred holds 'COMET', not"),
    "a number for a label": (put("class_true", 1), "class_true holds 1, not"),
    "text for z": (put("redshift_pred", "0.5 or so"), "redshift_pred holds object, not numbers"),
    "twice": (put("spectrum_id", "s1"), "predicted twice, first s1"),
}


@pytest.mark.parametrize("name", CASES)
def test_degenerate_predictions(name: str) -> None:
    change, message = CASES[name]
    frame = predictions()
    check_predictions(frame, [CLASS, REDSHIFT])
    change(frame)
    with pytest.raises(DataError, match=message):
        check_predictions(frame, [CLASS, REDSHIFT])


def test_a_task_without_a_single_answer_is_sound() -> None:
    frame = predictions()
    for part in ("pred", "lo", "hi", "pit"):
        frame[f"redshift_{part}"] = None
    check_predictions(frame, [CLASS, REDSHIFT])


@pytest.mark.parametrize(
    ("told", "said"),
    [([], "no format"), ({}, "no format"), ({"format": 1, "tasks": {}}, "format 1")],
)
def test_metrics_of_another_version_are_computed_again(
    tmp_path: Path, told: object, said: str
) -> None:
    path = tmp_path / "metrics.json"
    write_json(path, told)
    with pytest.raises(DataError, match=f"{path} has {said}, .* reads 2: run specvit evaluate aga"):
        read_metrics(path)
