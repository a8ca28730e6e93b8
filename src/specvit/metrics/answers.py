"""A model's answers in a predictions table: which rows have a label, and which are wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from specvit.metrics.classification import ClassScores
from specvit.metrics.values import ValueScores
from specvit.tasks import Task

TaskScores = ClassScores | ValueScores


def answers(frame: pd.DataFrame, task: Task) -> bool:
    """Whether the model behind these predictions answers this task at all."""
    return f"{task.name}_pred" in frame and bool(frame[f"{task.name}_pred"].notna().any())


def labelled(frame: pd.DataFrame, task: Task) -> pd.DataFrame:
    """The rows that have a label of this task."""
    return frame[frame[f"{task.name}_true"].notna()].reset_index(drop=True)


def scores_of(frame: pd.DataFrame, task: Task) -> TaskScores:
    """The answers of one model, for the rows that have a label."""
    chosen = labelled(frame, task)
    return (ClassScores if task.kind == "classification" else ValueScores).of(chosen, task)


def worst(frame: pd.DataFrame, task: Task, count: int) -> NDArray[np.int64]:
    """The `count` failures with the highest confidence, most confident first: rows of `labelled`.

    For a classification the wrong class with the largest probability; for a redshift an outlier
    (|dz| > 0.05) with the narrowest 68 % interval.
    """
    scores = scores_of(frame, task)
    confidence = np.nan_to_num(scores.confidence, nan=-np.inf)
    order = np.lexsort((labelled(frame, task)["spectrum_id"], -confidence))
    return np.asarray(order[scores.wrong[order] > 0][:count])
