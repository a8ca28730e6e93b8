"""Failures worth looking at: the mistakes that a model was most sure of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from specvit.metrics.answers import labelled, worst
from specvit.predictions import prob_columns
from specvit.registry import survey_named
from specvit.tasks import Task


@dataclass(frozen=True)
class Failure:
    """One confident mistake."""

    spectrum_id: str
    shard: str
    survey: str
    snr: float | None
    said: str
    """What the model said, and how sure it was."""
    truth: str
    url: str | None
    """The survey's page of this spectrum; None where there is none (simulated)."""
    simulated: bool
    true_class: str | None
    true_z: float | None
    said_class: str | None
    """The predicted class; the catalogue's where the model predicts none."""
    said_z: float | None
    """The predicted redshift; None where the model predicts none."""


def worst_rows(frame: pd.DataFrame, task: Task, count: int) -> pd.DataFrame:
    """The mistakes that a model was most sure of, rows of its predictions."""
    return labelled(frame, task).iloc[worst(frame, task, count)].reset_index(drop=True)


def described(rows: pd.DataFrame, task: Task, catalog: pd.DataFrame) -> list[Failure]:
    """What a page says of mistakes, rows of predictions; `catalog` is indexed by spectrum_id."""
    return [_failure(row, task, catalog) for _, row in rows.iterrows()]


def _failure(row: pd.Series, task: Task, catalog: pd.DataFrame) -> Failure:
    origin = catalog.loc[row["spectrum_id"]]
    if task.kind == "classification":
        sure = row[prob_columns(task)].astype(float).max()
        said = f"{row[f'{task.name}_pred']} ({100 * sure:.1f} %)"
        truth = str(row[f"{task.name}_true"])
        _, z, _, said_z = _known(row)
        if z is not None and said_z is not None:
            said, truth = f"{said}, z = {said_z:.4f}", f"{truth}, z = {z:.4f}"
    else:
        said, truth = f"z = {row[f'{task.name}_pred']:.4f}", f"z = {row[f'{task.name}_true']:.4f}"
        if np.isfinite(row[f"{task.name}_lo"]):
            said += f" [{row[f'{task.name}_lo']:.4f}, {row[f'{task.name}_hi']:.4f}]"
    if isinstance(row["class"], str) and task.name != "class":
        truth = f"{row['class']}, {truth}"
    if isinstance(row["subclass"], str) and row["subclass"]:
        truth += f" ({row['subclass']})"
    return Failure(
        str(row["spectrum_id"]),
        str(origin["shard"]),
        str(row["survey"]).upper(),
        float(row["snr"]) if np.isfinite(row["snr"]) else None,
        said,
        truth,
        survey_page(origin),
        bool(origin["simulated"]),
        *_known(row),
    )


def _known(row: pd.Series) -> tuple[str | None, float | None, str | None, float | None]:
    """Class and redshift of the catalogue and of the model."""
    true, z, said_z = row["class"], row["z"], row.get("redshift_pred", np.nan)
    said = row.get("class_pred", true)
    classes = [label if isinstance(label, str) else None for label in (true, said)]
    redshifts = [float(value) if np.isfinite(value) else None for value in (z, said_z)]
    return classes[0], redshifts[0], classes[1], redshifts[1]


def survey_page(row: pd.Series) -> str | None:
    """The survey's web page of a spectrum, from the catalogue's release and identity.

    None for a simulated spectrum, which no survey knows, and where the identity is not known.
    """
    identity = row["identity"]
    if row["simulated"] or not isinstance(identity, str):
        return None
    return survey_named(row["survey"]).page(str(row["release"]), identity)
