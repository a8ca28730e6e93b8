"""The predictions file: one a model and split, one row a spectrum, the same columns for all models.

Columns: `spectrum_id`, `object_id`, `survey`, `snr`, `class`, `subclass`, `z` (the catalogue's),
then for each task of the model

- classification: `<task>_true`, `<task>_pred` (text, null where there is no label), and
  `<task>_prob_<LABEL>` (float32, one a label, summing to 1);
- redshift and regression: `<task>_true`, `<task>_pred`, `<task>_lo`, `<task>_hi` (68 % interval)
  and `<task>_pit` (the model's cumulative probability at the true value; null without a label).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from specvit.errors import DataError
from specvit.io import UNREADABLE, read_json, read_parquet, write_parquet
from specvit.plan import Plan
from specvit.tasks import Task

COVERAGE = 0.68
"""Probability that `<task>_lo` to `<task>_hi` is said to hold."""
TOLERANCE = 1e-3
"""How far probabilities, kept as float32, may sum to other than 1."""
SHOWN = 3
WEIGHTS_HASH = "weights_sha256"
"""Of the trained model: in the metadata of its predictions, in its model.json or training.json, in
its calibration.json."""
IDENTITY = ("spectrum_id", "object_id", "survey", "snr", "class", "subclass", "z")


def prob_columns(task: Task) -> list[str]:
    """Names of a classification task's probability columns, in the order of its labels."""
    return [f"{task.name}_prob_{label}" for label in task.labels]


def task_columns(task: Task) -> list[str]:
    """Every column that a task adds to the predictions file."""
    if task.kind == "classification":
        return [f"{task.name}_true", f"{task.name}_pred", *prob_columns(task)]
    return [f"{task.name}_{part}" for part in ("true", "pred", "lo", "hi", "pit")]


def check_predictions(frame: pd.DataFrame, tasks: list[Task]) -> None:
    """Raise DataError unless the frame has the contract's columns, each spectrum once and numbers.

    Probabilities of a classification are between 0 and 1 and sum to 1; its answers are labels.
    """
    wanted = [*IDENTITY, *(column for task in tasks for column in task_columns(task))]
    missing = [column for column in wanted if column not in frame.columns]
    if missing:
        raise DataError(f"predictions lack the columns {', '.join(missing)}")
    repeated = frame["spectrum_id"][frame["spectrum_id"].duplicated()]
    if len(repeated):
        raise DataError(f"{len(repeated)} spectra are predicted twice, first {repeated.iloc[0]}")
    for task in tasks:
        _check_numbers(frame, task)
        if task.kind == "classification":
            _check_classes(frame, task)


def _check_numbers(frame: pd.DataFrame, task: Task) -> None:
    names = task_columns(task) if task.kind != "classification" else prob_columns(task)
    for name in names:
        # A column without a single value has no type of its own.
        if not pd.api.types.is_numeric_dtype(frame[name]) and frame[name].notna().any():
            raise DataError(f"{name} holds {frame[name].dtype}, not numbers")


def _check_classes(frame: pd.DataFrame, task: Task) -> None:
    probabilities = frame[prob_columns(task)].to_numpy(float)
    wrong = ~((probabilities >= 0) & (probabilities <= 1 + TOLERANCE)).all(axis=1)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"probabilities of task {task.name} are not all between 0 and 1, first those of "
            f"{frame['spectrum_id'].iloc[row]}"
        )
    if not np.allclose(probabilities.sum(axis=1), 1, atol=TOLERANCE):
        raise DataError(f"probabilities of task {task.name} do not sum to 1")
    for part in ("true", "pred"):
        others = set(frame[f"{task.name}_{part}"].dropna()) - set(task.labels)
        if others:
            shown = ", ".join(sorted(map(repr, others))[:SHOWN])
            raise DataError(f"{task.name}_{part} holds {shown}, not {', '.join(task.labels)}")


def write_predictions(
    path: Path, frame: pd.DataFrame, tasks: list[Task], plan: Plan, weights: str | None = None
) -> None:
    """Check and write, ordered by spectrum_id so that equal predictions give equal bytes.

    `weights` stands for the trained model that gave them: the SHA-256 of a network's weights, for a
    baseline a hash of what it was trained from.
    """
    check_predictions(frame, tasks)
    wanted = [*IDENTITY, *(column for task in tasks for column in task_columns(task))]
    rows = frame[wanted].sort_values("spectrum_id", ignore_index=True)
    about = {} if weights is None else {WEIGHTS_HASH: weights}
    write_parquet(path, rows, {**plan.metadata, **about})


def weights_of(path: Path) -> str:
    """Which trained model gave a file's predictions; empty where it does not say."""
    try:
        metadata: dict[bytes, bytes] = pq.read_schema(path).metadata or {}
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist") from error
    except UNREADABLE as error:
        raise DataError(f"{path} is not what it should be: {error}") from error
    return metadata.get(WEIGHTS_HASH.encode(), b"").decode()


def write_beside(
    path: Path, frame: pd.DataFrame, schema: pa.Schema, plan: Plan, weights: str
) -> None:
    """Write rows with a schema's columns to predictions/KIND/; `weights`: the network's hash."""
    table = pa.Table.from_pandas(frame, schema, preserve_index=False)
    write_parquet(path, table, {**plan.metadata, WEIGHTS_HASH: weights})


def read_beside(path: Path, schema: pa.Schema, plan: Plan, weights: str) -> pd.DataFrame:
    """The rows that `write_beside` wrote.

    Raises DataError where the file is missing or broken, of another plan or of other weights.
    """
    frame = read_parquet(path, schema.names)
    Plan.of_parquet(path).check_same(path, plan, path.parent.parent / path.name)
    if weights_of(path) != weights:
        raise DataError(
            f"{path} is of other weights than the predictions beside it: predict again with "
            "specvit predict-split"
        )
    return frame


def check_weights(path: Path, summary: Path) -> None:
    """Raise DataError where predictions are not of the network that its training.json describes."""
    told: Any = read_json(summary)
    trained = told.get(WEIGHTS_HASH) if isinstance(told, dict) else None
    used = weights_of(path)
    if not trained or used != trained:
        raise DataError(
            f"{path} was predicted by other weights ({used[:12] or 'none are named'}) than "
            f"{summary} describes ({str(trained)[:12]}): the network was trained again since; "
            "predict again with specvit predict-split"
        )
